// A device cut into parts of one size: <base>p0, <base>p1, …
#pragma once

#include <string>

#include "bdev/stack/awaited.h"
#include "bdev/stack/part_device.h"

namespace weft::bdev {

struct SplitOptions {
    std::string base;
    uint32_t count = 0;      // fewer are made when there is no room for as many
    uint64_t size_mib = 0;   // of each; 0: a share of the whole
};
inline constexpr uint32_t split_count_max = 4096;
inline std::string name_of_part(const SplitOptions& options, uint32_t index) {
    return options.base + "p" + std::to_string(index);
}

class SplitDevice final : public PartDevice {
public:
    SplitDevice(SplitOptions options, uint32_t index, Registry& registry, std::unique_ptr<Base> base, BlockRange range);

    [[nodiscard]] std::string_view product_name() const override { return "Split Disk"; }
    void describe(Json& driver_specific) const override;
    // The first one speaks for all.
    void write_config(Json& entries) const override;

private:
    const SplitOptions options_;
    const uint32_t index_;
};

// Makes them, now or when the base comes. App thread. Errors: those of Awaited::ask(); invalid_argument for a number or
// a size that cannot be; not_supported for a base that cannot be cut.
Result<void> create_split_devices(Awaited& awaited, const SplitOptions& options);

}  // namespace weft::bdev
