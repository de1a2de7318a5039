// The states of a zoned device's zones (NVMe Zoned Namespace Command Set 1.1, 2.1.1): who may write where, and how many
// zones may be open and active. Any thread; a lock is held for the time of a look or a change, never for a copy.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "bdev/request.h"
#include "bdev/spin_lock.h"
#include "bdev/zones.h"

namespace weft::bdev {

class ZoneTable {
public:
    // All zones are empty or full.
    explicit ZoneTable(const ZoneGeometry& geometry, ZoneState state = ZoneState::empty);

    [[nodiscard]] const ZoneGeometry& geometry() const { return geometry_; }
    [[nodiscard]] uint64_t index_of(uint64_t lba) const { return lba / geometry_.zone_blocks; }
    [[nodiscard]] ZoneInfo info(uint64_t index) const;

    // What becomes of an attempt: nothing when somebody is in the way for the time of a copy, and it is to be made
    // again.
    using Outcome = std::optional<Status>;

    // A write of so many blocks may begin, at `lba` or, when that is not given, where the zone's data ends. On success
    // `lba` is set, nobody else writes the zone, and end_write() must follow.
    Outcome begin_write(uint64_t index, std::optional<uint64_t>& lba, uint64_t blocks);
    void end_write(uint64_t index, uint64_t blocks);

    // On success what lies below `written` (of the zone, in blocks) does not change until end_read().
    Outcome begin_read(uint64_t index, uint64_t& written);
    void end_read(uint64_t index);

    Outcome manage(ZoneAction action, uint64_t index);
    // Every zone that the action is for.
    Outcome manage_all(ZoneAction action);

    // For devices whose zones are not emptied on the spot. On success nobody writes or manages the zone, or each that
    // a reset of all is for, until end_reset() says whether it is empty now.
    Outcome begin_reset(uint64_t index);
    Outcome begin_reset_all();
    void end_reset(uint64_t index, bool is_empty);
    // The first zone from `index` on that a reset of all is still for; zone_count when there is none.
    [[nodiscard]] uint64_t next_to_reset(uint64_t index) const;

    // The medium gave up: read_only or offline. What was in the zone can still be read when it is read_only.
    void fail_zone(uint64_t index, ZoneState state);

private:
    struct Zone {
        ZoneState state = ZoneState::empty;
        bool is_written = false;  // a write is under way, or a reset
        bool is_in_reset = false;
        bool is_in_reset_of_all = false;
        uint32_t readers = 0;
        uint64_t written = 0;  // blocks
    };

    static bool is_open(ZoneState state) {
        return state == ZoneState::implicitly_opened || state == ZoneState::explicitly_opened;
    }
    static bool is_active(ZoneState state) { return is_open(state) || state == ZoneState::closed; }
    void set(Zone& zone, ZoneState state);
    [[nodiscard]] Status open(Zone& zone, ZoneState state);
    [[nodiscard]] bool close_another();
    [[nodiscard]] Outcome apply(ZoneAction action, Zone& zone);

    const ZoneGeometry geometry_;
    mutable SpinLock lock_;
    std::vector<Zone> zones_;
    uint32_t active_ = 0;
    uint32_t open_ = 0;
};

}  // namespace weft::bdev
