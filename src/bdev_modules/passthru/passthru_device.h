// A device that hands everything on to another, as it is. It does nothing; it shows how a module that stands on a bdev
// is made (README.md one room up).
#pragma once

#include <string>

#include "bdev/stack/awaited.h"
#include "bdev/stack/overlay_device.h"

namespace weft::bdev {

struct PassthruOptions {
    std::string name;
    std::string base;
    Uuid uuid;  // nil: derived from that of the base
};

class PassthruDevice final : public OverlayDevice {
public:
    PassthruDevice(PassthruOptions options, Registry& registry, std::unique_ptr<Base> base);

    [[nodiscard]] std::string_view product_name() const override { return "passthru"; }
    void describe(Json& driver_specific) const override;
    void write_config(Json& entries) const override;

protected:
    Result<std::unique_ptr<IoChannel>> make_channel() override;

private:
    const PassthruOptions options_;
};

// Makes one, now or when its base comes. App thread. Errors: those of Awaited::ask().
Result<void> create_passthru_device(Awaited& awaited, const PassthruOptions& options);

}  // namespace weft::bdev
