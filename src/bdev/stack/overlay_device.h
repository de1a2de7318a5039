// A device that stands on one base and looks as that one does: its size, its ops, its metadata, its zones.
#pragma once

#include <memory>
#include <string>

#include "bdev/stack/stacked_channel.h"
#include "bdev/stack/stacked_device.h"

namespace weft::bdev {

class OverlayDevice : public StackedDevice {
public:
    OverlayDevice(std::string name, Uuid uuid, Registry& registry, std::unique_ptr<Base> base);

    [[nodiscard]] Device& below() const { return base(0)->device(); }
    [[nodiscard]] bool supports(Op op) const override { return below().accepts(op); }
    [[nodiscard]] Zones* zones() override { return below().zones(); }

protected:
    void on_base_resized(Base& base) override;
};

// The UUID of what `module` makes of `base`: `wanted`, or, when that is nil, one that is the same each time.
Uuid uuid_or(Uuid wanted, const Base& base, std::string_view module, std::string_view name);

// For make_channel(): a channel of type C, with channels of the bases.
template <class C, class D>
Result<std::unique_ptr<IoChannel>> make_stacked_channel(D& device) {
    auto channel = std::make_unique<C>(device);
    WEFT_TRY(channel->open_bases());
    return channel;
}

}  // namespace weft::bdev
