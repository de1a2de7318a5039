// A device that stands on others: what it does with a request ends in requests to them (stacked_channel.h).
//
// A module derives StackedDevice and a StackedChannel. Its create() opens the bases (base.h), makes the device with
// them and adds it to the registry; what is left out of that is undone by the destructors.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "bdev/device.h"
#include "bdev/stack/base.h"

namespace weft::bdev {

class StackedDevice : public Device, private BaseUser {
public:
    // App thread. `bases` is not empty.
    StackedDevice(std::string name, Uuid uuid, const Geometry& geometry, Registry& registry,
                  std::vector<std::unique_ptr<Base>> bases);
    ~StackedDevice() override;

    [[nodiscard]] Registry& registry() const { return registry_; }
    // What a channel is made from: any thread; an entry only becomes nullptr by let_go_of().
    [[nodiscard]] size_t base_count() const { return bases_.size(); }
    [[nodiscard]] Base* base(size_t index) const { return bases_[index].get(); }

    // Resets the bases that are there, one after another; who is being reset already is left to that. Whoever overrides
    // this calls it last. Errors: the first of theirs, naming the base.
    Task<Result<void>> reset() override;
    // Lets go of the bases: whoever overrides this calls it last.
    Task<void> close() override;

protected:
    // App thread. The base is going away: this device is removed, unless a module knows better.
    void on_base_removed(Base& base) override;
    // App thread. Nothing, unless a module knows better: set_block_count() and registry().notify_resized(*this).
    void on_base_resized(Base& base) override;
    // App thread. Gives a base back while the device lives on; its channels hold none of that base any more.
    void let_go_of(size_t index) { bases_[index].reset(); }
    // App thread. A base takes the empty place.
    void put(size_t index, std::unique_ptr<Base> base);
    // Of a base that is there.
    [[nodiscard]] size_t index_of(const Base& base) const;

private:
    Task<void> remove();
    Registry& registry_;
    std::vector<std::unique_ptr<Base>> bases_;
    bool is_removal_asked_ = false;
};

// The geometry of `base` as it is now: where a device that changes none of it begins.
Geometry geometry_of(const Device& base);

}  // namespace weft::bdev
