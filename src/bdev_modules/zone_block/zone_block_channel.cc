#include "bdev_modules/zone_block/zone_block_channel.h"

#include <algorithm>
#include <cstring>

#include "bdev/data_cursor.h"

namespace weft::bdev {

namespace {

Progress fail_with(Request& request, Status status) {
    request.status = status;
    return Progress::done;
}

}  // namespace

ZoneBlockChannel::ZoneBlockChannel(ZoneBlockDevice& device)
    : StackedChannel(device),
      device_(device),
      geometry_(device.zone_geometry()),
      has_gaps_(geometry_.capacity_blocks < geometry_.zone_blocks) {}

Progress ZoneBlockChannel::start(Request& request) {
    switch (request.op) {
        case Op::write:
        case Op::write_zeroes:
        case Op::zone_append: return write(request);
        case Op::zone_management: return manage(request);
        case Op::flush: return forward(request, 0, request.lba);
        default: return read(request);
    }
}

// Reads ------------------------------------------------------------------------------------------------------------

bool ZoneBlockChannel::is_readable(uint64_t lba, uint64_t blocks) const {
    const uint64_t behind_start = lba % geometry_.zone_blocks;
    return !has_gaps_ ||
           (behind_start <= geometry_.capacity_blocks && blocks <= geometry_.capacity_blocks - behind_start);
}

// May go on from one zone to the next (OZCS says so).
Progress ZoneBlockChannel::read(Request& request) {
    if (is_readable(request.lba, request.blocks)) return forward(request, 0, request.lba);
    return request.op == Op::read ? read_apart(request) : fail_with(request, Status::zone_boundary);
}

// What lies behind the capacity of a zone was never the host's: it reads as zeroes, whatever the base has there.
Progress ZoneBlockChannel::read_apart(Request& request) {
    // A zone ends a child, and so do too many pieces.
    const uint64_t zones = request.blocks / geometry_.zone_blocks + 2;
    const uint64_t children = std::min<uint64_t>(request.blocks, zones + request.data.size());
    if (children > children_max) return fail_with(request, Status::failed);
    if (!has_children(children)) return Progress::retry;
    const uint32_t block_bytes = device_.block_bytes();
    const uint64_t end_lba = request.lba + request.blocks;
    DataCursor data(request.data);
    begin(request);
    for (uint64_t at = request.lba; at < end_lba;) {
        const uint64_t zone_start = at / geometry_.zone_blocks * geometry_.zone_blocks;
        const uint64_t data_end = std::min(end_lba, zone_start + geometry_.capacity_blocks);
        if (at >= data_end) {
            const uint64_t gap_end = std::min(end_lba, zone_start + geometry_.zone_blocks);
            for (uint64_t bytes = (gap_end - at) * block_bytes; bytes > 0;) {
                const MutableBytes piece = data.next(bytes);
                std::memset(piece.data(), 0, piece.size());
                bytes -= piece.size();
            }
            at = gap_end;
            continue;
        }
        Child& child = take_child(request, 0);
        child.lba = at;
        child.blocks = take_pieces(child, data, block_bytes, data_end - at);
        if (child.blocks == 0) {
            // A block in too many pieces. The child is taken, and asks nothing of the base.
            status_of(request) = Status::failed;
            send(child);
            break;
        }
        at += child.blocks;
        send(child);
    }
    return end(request);
}

// Writes -----------------------------------------------------------------------------------------------------------

Progress ZoneBlockChannel::write(Request& request) {
    if (!has_children(1)) return Progress::retry;
    ZoneTable& table = device_.table();
    std::optional<uint64_t> lba;
    if (request.op != Op::zone_append) lba = request.lba;
    const ZoneTable::Outcome begun = table.begin_write(table.index_of(request.lba), lba, request.blocks);
    if (!begun) return Progress::retry;
    if (*begun != Status::success) return fail_with(request, *begun);
    begin(request);
    Child& child = take_child(request, 0);
    if (request.op == Op::zone_append) child.op = Op::write;
    child.lba = *lba;
    child.blocks = request.blocks;
    child.data = request.data;
    send(child);
    return end(request);
}

// Zones ------------------------------------------------------------------------------------------------------------

Progress ZoneBlockChannel::manage(Request& request) {
    if (!request.all_zones && request.lba >= device_.block_count()) return fail_with(request, Status::out_of_range);
    if (request.zone_action == ZoneAction::reset) return reset(request);
    ZoneTable& table = device_.table();
    const ZoneTable::Outcome outcome = request.all_zones
                                           ? table.manage_all(request.zone_action)
                                           : table.manage(request.zone_action, table.index_of(request.lba));
    if (!outcome) return Progress::retry;
    return fail_with(request, *outcome);
}

// The base forgets what was in the zone before anybody may write there again.
Progress ZoneBlockChannel::reset(Request& request) {
    if (!has_children(1)) return Progress::retry;
    ZoneTable& table = device_.table();
    const uint64_t index = table.index_of(request.lba);
    const ZoneTable::Outcome begun = request.all_zones ? table.begin_reset_all() : table.begin_reset(index);
    if (!begun) return Progress::retry;
    if (*begun != Status::success) return fail_with(request, *begun);
    begin(request);
    extra<Walk>(request) = {};
    if (request.all_zones) {
        empty_those_left(request);
    } else {
        empty(request, index);
    }
    return end(request);
}

void ZoneBlockChannel::empty(Request& request, uint64_t index) {
    Child& child = take_child(request, 0);
    child.op = device_.below().supports(Op::unmap) ? Op::unmap : Op::write_zeroes;
    child.note = index;
    child.lba = index * geometry_.zone_blocks;
    child.blocks = geometry_.capacity_blocks;
    send(child);
}

// In a loop, and not from child to child: a base may be done on the spot, and zones are many.
void ZoneBlockChannel::empty_those_left(Request& request) {
    ZoneTable& table = device_.table();
    auto& walk = extra<Walk>(request);
    walk.is_walking = true;
    for (;;) {
        const uint64_t index = table.next_to_reset(walk.next);
        if (index == geometry_.zone_count) break;
        if (has_children(1)) {
            empty(request, index);
            if (walk.next <= index) break;  // it takes its time
        } else {
            status_of(request) = Status::no_memory;
            table.end_reset(index, false);
            walk.next = index + 1;
        }
    }
    walk.is_walking = false;
}

void ZoneBlockChannel::child_ended(Child& child) {
    StackedChannel::child_ended(child);
    Request& request = *child.parent;
    const bool is_done = child.status == Status::success;
    ZoneTable& table = device_.table();
    if (request.op == Op::zone_management) {
        table.end_reset(child.note, is_done);
        auto& walk = extra<Walk>(request);
        walk.next = child.note + 1;
        if (request.all_zones && !walk.is_walking) empty_those_left(request);
    } else if (request.op == Op::write || request.op == Op::write_zeroes || request.op == Op::zone_append) {
        table.end_write(table.index_of(request.lba), is_done ? request.blocks : 0);
        if (is_done) request.lba = child.lba;
    }
}

}  // namespace weft::bdev
