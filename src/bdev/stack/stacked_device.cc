#include "bdev/stack/stacked_device.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/assert.h"
#include "bdev/gate/device_gate.h"

namespace weft::bdev {

StackedDevice::StackedDevice(std::string name, Uuid uuid, const Geometry& geometry, Registry& registry,
                             std::vector<std::unique_ptr<Base>> bases)
    : Device(std::move(name), uuid, geometry), registry_(registry), bases_(std::move(bases)) {
    WEFT_ASSERT(!bases_.empty());
    for (const auto& base : bases_) {
        if (base) base->report_to(*this);
    }
}

StackedDevice::~StackedDevice() = default;

Task<Result<void>> StackedDevice::reset() {
    Result<void> outcome;
    for (size_t index = 0; index < bases_.size(); ++index) {
        if (!bases_[index]) continue;
        // Held by ourselves: a base that is removed meanwhile is let go of.
        const auto held = registry_.open(bases_[index]->device().name(), {});
        if (!held) continue;  // it is going
        Device& base = (*held)->device();
        // Of ours nothing is under way there but what does not answer; and others may stand on it.
        const Result<void> done = co_await base.gate().reset(IoTimeout().drain_for);
        if (done || done.error().code == Errc::busy || !outcome) continue;
        outcome = fail(done.error().code, fmt::format("{}: {}", base.name(), done.error().message));
    }
    co_return outcome;
}

Task<void> StackedDevice::close() {
    for (auto& base : bases_) base.reset();
    co_return;
}

void StackedDevice::on_base_removed(Base&) {
    if (is_removal_asked_) return;
    is_removal_asked_ = true;
    spawn(remove());
}

void StackedDevice::on_base_resized(Base&) {}

// From the loop: a base may have said so while this device was being made. Who removes it may have come first.
Task<void> StackedDevice::remove() {
    Registry& registry = registry_;
    const std::string own_name = name();
    const Device* const self = this;
    co_await yield();
    if (registry.find(own_name) == self) static_cast<void>(co_await registry.remove(own_name));
}

void StackedDevice::put(size_t index, std::unique_ptr<Base> base) {
    WEFT_ASSERT(!bases_[index] && base);
    bases_[index] = std::move(base);
    bases_[index]->report_to(*this);
}

size_t StackedDevice::index_of(const Base& base) const {
    const auto found = std::ranges::find_if(bases_, [&base](const auto& held) { return held.get() == &base; });
    WEFT_ASSERT(found != bases_.end());
    return static_cast<size_t>(found - bases_.begin());
}

Geometry geometry_of(const Device& base) {
    Geometry geometry = base.geometry();
    geometry.block_count = base.block_count();
    return geometry;
}

}  // namespace weft::bdev
