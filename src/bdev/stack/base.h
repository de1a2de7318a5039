// A device that another one stands on: opened, claimed, and watched for as long as that one wants it.
#pragma once

#include <memory>
#include <string>

#include "bdev/registry.h"

namespace weft::bdev {

class Base;

// Who stands on bases. App thread.
class BaseUser {
public:
    virtual ~BaseUser() = default;
    // The base is being removed, and waits until it is let go. From the loop; may be called once for a base.
    virtual void on_base_removed(Base& base) = 0;
    // Its block_count() is another.
    virtual void on_base_resized(Base& base) = 0;
};

// Lives on the app thread. To be destroyed when the user's channels to the device are gone.
class Base {
public:
    // `holder` is who claims it: a module's name; `key` is for read_many_write_shared. Errors: no_such_device; busy,
    // naming who has it.
    static Result<std::unique_ptr<Base>> open(Registry& registry, std::string_view name, std::string holder,
                                              ClaimType claim = ClaimType::exclusive_write, uint64_t key = 0);
    Base(const Base&) = delete;
    Base& operator=(const Base&) = delete;

    [[nodiscard]] Device& device() const { return descriptor_->device(); }
    [[nodiscard]] Descriptor& descriptor() const { return *descriptor_; }
    // Events go to `user` from now on, also a removal that came before there was one.
    void report_to(BaseUser& user);
    [[nodiscard]] bool is_removed() const { return is_removed_; }

private:
    Base() = default;
    void on_event(Event event);
    std::unique_ptr<Descriptor> descriptor_;
    BaseUser* user_ = nullptr;
    bool is_removed_ = false;
};

}  // namespace weft::bdev
