// Zones over a plain device: written from front to back, zone by zone. A zone begins where a multiple of its size does
// on the base, and so do its blocks. Zones are full at first, so that what is on the base can be read, and a reset
// makes room; the states are not kept on the base, so they are full again after a restart.
#pragma once

#include <string>

#include "bdev/stack/awaited.h"
#include "bdev/stack/stacked_device.h"
#include "bdev/zone_table.h"

namespace weft::bdev {

struct ZoneBlockOptions {
    std::string name;
    std::string base;
    uint64_t capacity_blocks = 0;     // of a zone; its size is the next power of two
    uint64_t optimal_open_zones = 0;  // told
};
inline constexpr uint64_t zone_blocks_zones_max = 262144;

class ZoneBlockDevice final : public StackedDevice, public Zones {
public:
    // The base was checked, and has room for a zone.
    ZoneBlockDevice(ZoneBlockOptions options, const ZoneGeometry& geometry, Registry& registry,
                    std::unique_ptr<Base> base);

    [[nodiscard]] std::string_view product_name() const override { return "zone_block"; }
    [[nodiscard]] bool supports(Op op) const override;
    [[nodiscard]] Zones* zones() override { return this; }
    void describe(Json& driver_specific) const override;
    void write_config(Json& entries) const override;

    [[nodiscard]] const ZoneGeometry& zone_geometry() const override { return table_.geometry(); }
    [[nodiscard]] ZoneInfo zone(uint64_t index) const override { return table_.info(index); }
    [[nodiscard]] Device& below() const { return base(0)->device(); }
    [[nodiscard]] ZoneTable& table() { return table_; }

protected:
    Result<std::unique_ptr<IoChannel>> make_channel() override;

private:
    const ZoneBlockOptions options_;
    ZoneTable table_;
};

// Makes one, now or when its base comes. App thread. Errors: those of Awaited::ask(); invalid_argument for a size that
// cannot be; not_supported for a base that cannot have zones; already_exists for one that has some.
Result<void> create_zone_block_device(Awaited& awaited, const ZoneBlockOptions& options);

}  // namespace weft::bdev
