// What a zoned device says of its zones (NVMe Zoned Namespace Command Set 1.1, 2.1). What changes them are requests:
// Op::write at a zone's write pointer, Op::zone_append, Op::zone_management.
#pragma once

#include <cstdint>

namespace weft::bdev {

// The values are those of the specification.
enum class ZoneState : uint8_t {
    empty = 0x1,
    implicitly_opened = 0x2,
    explicitly_opened = 0x3,
    closed = 0x4,
    read_only = 0xD,
    full = 0xE,
    offline = 0xF,
};

struct ZoneGeometry {
    uint64_t zone_blocks = 0;      // from the start of one zone to that of the next
    uint64_t capacity_blocks = 0;  // how many of these can be written
    uint64_t zone_count = 0;
    uint32_t active_max = 0;       // zones that are open or closed; 0: as many as there are
    uint32_t open_max = 0;         // 0: as many as there are
};

struct ZoneInfo {
    uint64_t start = 0;           // blocks, as all below
    uint64_t capacity = 0;
    uint64_t write_pointer = 0;   // means something in the states empty, opened and closed
    ZoneState state = ZoneState::empty;
};

class Zones {
public:
    virtual ~Zones() = default;
    [[nodiscard]] virtual const ZoneGeometry& zone_geometry() const = 0;
    // As it is at this moment. Any thread; `index` is below zone_count.
    [[nodiscard]] virtual ZoneInfo zone(uint64_t index) const = 0;
};

}  // namespace weft::bdev
