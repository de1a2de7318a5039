#include "bdev/stack/overlay_device.h"

namespace weft::bdev {

namespace {

std::vector<std::unique_ptr<Base>> alone(std::unique_ptr<Base> base) {
    std::vector<std::unique_ptr<Base>> bases;
    bases.push_back(std::move(base));
    return bases;
}

}  // namespace

// In braces, which keep the order: what the base looks like is asked before it is moved.
OverlayDevice::OverlayDevice(std::string name, Uuid uuid, Registry& registry, std::unique_ptr<Base> base)
    : StackedDevice{std::move(name), uuid, geometry_of(base->device()), registry, alone(std::move(base))} {}

void OverlayDevice::on_base_resized(Base& base) {
    set_block_count(base.device().block_count());
    registry().notify_resized(*this);
}

Uuid uuid_or(Uuid wanted, const Base& base, std::string_view module, std::string_view name) {
    return wanted.is_nil() ? Uuid::from_names({base.device().uuid().to_string(), module, name}) : wanted;
}

}  // namespace weft::bdev
