// A RAM disk with zones: written from front to back, zone by zone. For hosts of the Zoned Namespace Command Set.
#pragma once

#include <memory>
#include <string>

#include "bdev/device.h"
#include "bdev/registry.h"
#include "bdev/zone_table.h"
#include "env/environment.h"
#include "reactor/task.h"

namespace weft::bdev {

struct ZonedOptions {
    std::string name;
    uint32_t block_bytes = 4096;
    uint64_t zone_count = 0;
    uint64_t zone_blocks = 0;      // a power of two
    uint64_t capacity_blocks = 0;  // of a zone; 0: all of it
    uint32_t active_max = 0;       // zones; 0: no limit
    uint32_t open_max = 0;         // zones; 0: no limit
    Uuid uuid;                     // nil: derived from the machine and the name
};
inline constexpr uint64_t zones_max = 65536;

class ZonedDevice final : public Device, public Zones {
public:
    ~ZonedDevice() override;
    // Errors: no_memory.
    static Result<std::unique_ptr<ZonedDevice>> create(ZonedOptions options, Uuid uuid);

    [[nodiscard]] std::string_view product_name() const override { return "Zoned RAM disk"; }
    [[nodiscard]] bool supports(Op op) const override;
    [[nodiscard]] Zones* zones() override { return this; }
    void describe(Json& driver_specific) const override;
    void write_config(Json& entries) const override;
    Task<void> close() override;

    [[nodiscard]] const ZoneGeometry& zone_geometry() const override { return table_.geometry(); }
    [[nodiscard]] ZoneInfo zone(uint64_t index) const override { return table_.info(index); }
    [[nodiscard]] ZoneTable& table() { return table_; }
    [[nodiscard]] std::byte* memory() const { return memory_.data(); }

protected:
    Result<std::unique_ptr<IoChannel>> make_channel() override;

private:
    ZonedDevice(ZonedOptions options, Uuid uuid, env::Mapping memory);

    const ZonedOptions options_;
    env::Mapping memory_;
    ZoneTable table_;
};

// Makes one and adds it. App thread. Errors: invalid_argument, already_exists, no_memory.
Result<Device*> create_zoned_device(Registry& registry, ZonedOptions options);

}  // namespace weft::bdev
