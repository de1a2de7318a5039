#include "bdev/zone_table.h"

#include "base/assert.h"

namespace weft::bdev {

ZoneTable::ZoneTable(const ZoneGeometry& geometry, ZoneState state)
    : geometry_(geometry),
      zones_(geometry.zone_count,
             Zone{.state = state, .written = state == ZoneState::full ? geometry.capacity_blocks : 0}) {
    WEFT_ASSERT(state == ZoneState::empty || state == ZoneState::full);
}

ZoneInfo ZoneTable::info(uint64_t index) const {
    const SpinLock::Hold hold(lock_);
    const Zone& zone = zones_[index];
    const uint64_t start = index * geometry_.zone_blocks;
    return {.start = start,
            .capacity = geometry_.capacity_blocks,
            .write_pointer = start + zone.written,
            .state = zone.state};
}

// The only change of a state.
void ZoneTable::set(Zone& zone, ZoneState state) {
    open_ = open_ - (is_open(zone.state) ? 1 : 0) + (is_open(state) ? 1 : 0);
    active_ = active_ - (is_active(zone.state) ? 1 : 0) + (is_active(state) ? 1 : 0);
    zone.state = state;
    if (state == ZoneState::empty) zone.written = 0;
}

// One that was opened by writes only makes room for another (2.1.1.4.1).
bool ZoneTable::close_another() {
    for (Zone& zone : zones_) {
        if (zone.state != ZoneState::implicitly_opened || zone.is_written) continue;
        set(zone, ZoneState::closed);
        return true;
    }
    return false;
}

Status ZoneTable::open(Zone& zone, ZoneState state) {
    if (!is_active(zone.state) && geometry_.active_max != 0 && active_ >= geometry_.active_max) {
        return Status::too_many_active_zones;
    }
    if (!is_open(zone.state) && geometry_.open_max != 0 && open_ >= geometry_.open_max && !close_another()) {
        return Status::too_many_open_zones;
    }
    set(zone, state);
    return Status::success;
}

ZoneTable::Outcome ZoneTable::begin_write(uint64_t index, std::optional<uint64_t>& lba, uint64_t blocks) {
    const SpinLock::Hold hold(lock_);
    Zone& zone = zones_[index];
    switch (zone.state) {
        case ZoneState::full: return Status::zone_full;
        case ZoneState::read_only: return Status::zone_read_only;
        case ZoneState::offline: return Status::zone_offline;
        default: break;
    }
    if (zone.is_written) return std::nullopt;
    const uint64_t start = index * geometry_.zone_blocks;
    const uint64_t first = lba ? *lba - start : zone.written;
    if (first > geometry_.capacity_blocks || blocks > geometry_.capacity_blocks - first) return Status::zone_boundary;
    if (first != zone.written) return Status::zone_invalid_write;
    if (!is_open(zone.state)) {
        if (const Status opened = open(zone, ZoneState::implicitly_opened); opened != Status::success) return opened;
    }
    zone.is_written = true;
    lba = start + first;
    return Status::success;
}

void ZoneTable::end_write(uint64_t index, uint64_t blocks) {
    const SpinLock::Hold hold(lock_);
    Zone& zone = zones_[index];
    WEFT_ASSERT(zone.is_written);
    zone.is_written = false;
    zone.written += blocks;
    // It may have failed meanwhile.
    if (zone.written == geometry_.capacity_blocks && is_active(zone.state)) set(zone, ZoneState::full);
}

ZoneTable::Outcome ZoneTable::begin_read(uint64_t index, uint64_t& written) {
    const SpinLock::Hold hold(lock_);
    Zone& zone = zones_[index];
    if (zone.state == ZoneState::offline) return Status::zone_offline;
    ++zone.readers;
    written = zone.written;
    return Status::success;
}

void ZoneTable::end_read(uint64_t index) {
    const SpinLock::Hold hold(lock_);
    WEFT_ASSERT(zones_[index].readers > 0);
    --zones_[index].readers;
}

// 3.4.3 and Figure 2 "Zone State Machine".
ZoneTable::Outcome ZoneTable::apply(ZoneAction action, Zone& zone) {
    if (zone.is_written) return std::nullopt;
    const ZoneState state = zone.state;
    const bool is_lost = state == ZoneState::read_only || state == ZoneState::offline;
    switch (action) {
        case ZoneAction::open:
            if (is_lost || state == ZoneState::full) return Status::zone_invalid_transition;
            return open(zone, ZoneState::explicitly_opened);
        case ZoneAction::close:
            if (!is_active(state)) return Status::zone_invalid_transition;
            set(zone, ZoneState::closed);
            return Status::success;
        case ZoneAction::finish:
            if (is_lost) return Status::zone_invalid_transition;
            set(zone, ZoneState::full);
            return Status::success;
        case ZoneAction::reset:
            if (is_lost) return Status::zone_invalid_transition;
            if (zone.readers > 0) return std::nullopt;
            set(zone, ZoneState::empty);
            return Status::success;
        case ZoneAction::offline:
            if (!is_lost) return Status::zone_invalid_transition;
            set(zone, ZoneState::offline);
            return Status::success;
    }
    return Status::failed;
}

ZoneTable::Outcome ZoneTable::manage(ZoneAction action, uint64_t index) {
    const SpinLock::Hold hold(lock_);
    return apply(action, zones_[index]);
}

ZoneTable::Outcome ZoneTable::manage_all(ZoneAction action) {
    const SpinLock::Hold hold(lock_);
    const auto is_meant = [action](const Zone& zone) {
        switch (action) {
            case ZoneAction::open: return zone.state == ZoneState::closed;
            case ZoneAction::close: return is_open(zone.state);
            case ZoneAction::finish: return is_active(zone.state);
            case ZoneAction::reset: return is_active(zone.state) || zone.state == ZoneState::full;
            case ZoneAction::offline: return zone.state == ZoneState::read_only;
        }
        return false;
    };
    // All or none.
    uint32_t to_open = 0;
    for (const Zone& zone : zones_) {
        if (!is_meant(zone)) continue;
        if (zone.is_written || (action == ZoneAction::reset && zone.readers > 0)) return std::nullopt;
        ++to_open;
    }
    if (action == ZoneAction::open && geometry_.open_max != 0 && open_ + to_open > geometry_.open_max) {
        return Status::too_many_open_zones;
    }
    for (Zone& zone : zones_) {
        if (is_meant(zone)) (void)apply(action, zone);
    }
    return Status::success;
}

ZoneTable::Outcome ZoneTable::begin_reset(uint64_t index) {
    const SpinLock::Hold hold(lock_);
    Zone& zone = zones_[index];
    if (zone.is_written || zone.readers > 0) return std::nullopt;
    if (zone.state == ZoneState::read_only || zone.state == ZoneState::offline) return Status::zone_invalid_transition;
    zone.is_written = zone.is_in_reset = true;
    return Status::success;
}

ZoneTable::Outcome ZoneTable::begin_reset_all() {
    const SpinLock::Hold hold(lock_);
    const auto is_meant = [](const Zone& zone) { return is_active(zone.state) || zone.state == ZoneState::full; };
    for (const Zone& zone : zones_) {
        if (is_meant(zone) && (zone.is_written || zone.readers > 0)) return std::nullopt;
    }
    for (Zone& zone : zones_) {
        if (is_meant(zone)) zone.is_written = zone.is_in_reset = zone.is_in_reset_of_all = true;
    }
    return Status::success;
}

void ZoneTable::end_reset(uint64_t index, bool is_empty) {
    const SpinLock::Hold hold(lock_);
    Zone& zone = zones_[index];
    WEFT_ASSERT(zone.is_in_reset);
    zone.is_written = zone.is_in_reset = zone.is_in_reset_of_all = false;
    if (is_empty) set(zone, ZoneState::empty);
}

uint64_t ZoneTable::next_to_reset(uint64_t index) const {
    const SpinLock::Hold hold(lock_);
    while (index < zones_.size() && !zones_[index].is_in_reset_of_all) ++index;
    return index;
}

void ZoneTable::fail_zone(uint64_t index, ZoneState state) {
    WEFT_ASSERT(state == ZoneState::read_only || state == ZoneState::offline);
    const SpinLock::Hold hold(lock_);
    set(zones_[index], state);
}

}  // namespace weft::bdev
