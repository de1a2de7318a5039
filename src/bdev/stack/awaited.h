// What is configured to stand on a base: made when the base is there, made again when the base comes back, and saved
// all the while.
//
// A module's create() hands a Wish in, its delete method is delete_wish(). One list serves all modules, so that of two
// who wait for the same base the first to ask has it.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "bdev/registry.h"
#include "bdev/stack/base.h"
#include "reactor/task.h"
#include "rpc/error.h"

namespace weft::bdev {

struct Wish {
    std::string module;  // whose delete method takes the wish back
    std::string base;    // its name, alias or UUID
    // Of what is to be made: a device, or several, as many as there may be. The first is what the wish is saved under:
    // its write_config() says the same as config().
    std::vector<std::string> names;
    // The {method, params} that would ask for the same.
    std::move_only_function<Json() const> config;
    // Opens the base, makes what is wished for and adds it; gives the names of the devices. Errors: those of
    // Base::open() and Registry::add(), and why this base will not do; then nothing was added.
    std::move_only_function<Result<std::vector<std::string>>() const> make;
};

// Lives on the app thread; outlives the registry's devices.
class Awaited final : public Examiner {
public:
    explicit Awaited(Registry& registry) : registry_(registry) { registry.add_examiner(*this); }

    // Grants the wish now if its base is there, and keeps it until it is taken back, or its last device is removed
    // while the base stays. Errors: invalid_argument and already_exists for a name; those of make(), but for
    // no_such_device. Then nothing is kept.
    Result<void> ask(Wish wish);
    // Puts `wish` in the place of the one of that module with the same first name, if there is one: how it will be made
    // from now on.
    void amend(Wish wish);
    // The names of the devices that were made for the wish of which `name` is the first name, if there is such a wish
    // of that module; it is forgotten, and the devices stay. `name` may be any name of a device. Errors:
    // no_such_device.
    Result<std::vector<std::string>> take_back(const std::string& module, std::string_view name);
    [[nodiscard]] Registry& registry() const { return registry_; }

    void examine_config(Device& device) override;
    void write_waiting(std::string_view name, Json& entries) const override;
    void device_gone(const std::string& name) override;
    void forget_all() override { kept_.clear(); }

private:
    struct Kept {
        Wish wish;
        std::vector<std::string> made;  // names of the devices that are there
    };
    [[nodiscard]] bool is_promised(std::string_view name) const;

    Registry& registry_;
    std::vector<std::unique_ptr<Kept>> kept_;
};

// The body of a module's bdev_x_delete: takes the wish back and removes its devices, if there are any yet. Errors:
// no_such_device.
Task<Result<void>> delete_wish(Awaited& awaited, std::string module, std::string name);

// What a create method answers: a base that somebody else has claimed is EPERM in the field; `invalid` is the code for
// what its module does not take.
rpc::Response answer_to(Result<void> asked, Json answer, int invalid = rpc::code::invalid_params);

}  // namespace weft::bdev
