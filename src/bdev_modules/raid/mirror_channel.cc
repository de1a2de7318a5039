#include "bdev_modules/raid/mirror_channel.h"

namespace weft::bdev {

namespace {

constexpr bool reads(Op op) { return op == Op::read || op == Op::compare || op == Op::verify; }
// Another mirror may know better.
constexpr bool is_base_failure(Status status) {
    return status != Status::success && status != Status::miscompare && status != Status::aborted;
}

}  // namespace

Progress MirrorChannel::start(Request& request) {
    if (request.op == Op::flush) return flush_all(request);
    return reads(request.op) ? start_read(request) : start_write(request);
}

bool MirrorChannel::abort_started(Request& request) {
    return reads(request.op) && io_of(request).step == reading && StackedChannel::abort_started(request);
}

void MirrorChannel::child_ended(Child& child) {
    if (reads(child.parent->op)) return read_ended(child);
    write_ended(child);
}

Progress MirrorChannel::start_write(Request& request) {
    if (!has_children(bases())) return Progress::retry;
    RangeLocks::Range* const range = lock(request.lba, request.lba + request.blocks, true);
    if (range == nullptr) return Progress::retry;
    begin(request);
    RaidIo& io = make_io(request);
    io.lock = range;
    io.pending = 1;
    write_same(request, request.lba, request.blocks, request.data);
    all_writes_sent(request);
    return end(request);
}

// Reads ---------------------------------------------------------------------------------------------------------------

size_t MirrorChannel::choose(const std::bitset<raid_bases_max>& tried) const {
    size_t best = bases();
    for (size_t base = 0; base < bases(); ++base) {
        if (mode(base) != BaseMode::in_sync || tried.test(base)) continue;
        const bool is_better =
            best == bases() ||
            (is_in_doubt(best) != is_in_doubt(base) ? is_in_doubt(best) : reading_[base] < reading_[best]);
        if (is_better) best = base;
    }
    return best;
}

Progress MirrorChannel::start_read(Request& request) {
    RaidIo& io = make_io(request);
    const size_t base = choose(io.failed);
    if (base == bases()) {
        request.status = Status::gone;
        return Progress::done;
    }
    if (is_in_doubt(base)) {
        io.lock = lock_for_read(request);
        if (io.lock == nullptr) return Progress::retry;
    }
    reading_[base] += request.blocks;
    const Progress progress = forward(request, base, on_base(base, request.lba));
    if (progress == Progress::retry) {
        reading_[base] -= request.blocks;
        if (io.lock != nullptr) unlock(io.lock);
    }
    return progress;
}

void MirrorChannel::read_ended(Child& child) {
    Request& parent = *child.parent;
    RaidIo& io = io_of(parent);
    if (io.step == repairing) {
        // What was asked for is there in any case. A base that cannot be written to is no mirror.
        if (is_base_failure(child.status)) raid().report_failure(child.base);
        return;
    }
    reading_[child.base] -= parent.blocks;
    if (is_base_failure(child.status)) {
        io.failed.set(child.base);
        io.error = child.status;
        if (io.step == reading) io.first = child.base;
        return read_elsewhere(parent, child.status);
    }
    if (io.lock == nullptr && child.status != Status::aborted && is_in_doubt(child.base)) {
        return read_again_later(parent);
    }
    if (child.status == Status::success && io.step == reading_elsewhere && repair(parent)) return;
    status_of(parent) = child.status;
}

// The blocks are locked from before the other mirror is read until it is written to the first: a write in between would
// be undone. When somebody writes there now the first mirror is not repaired this time.
void MirrorChannel::read_elsewhere(Request& parent, Status status) {
    RaidIo& io = io_of(parent);
    const size_t base = choose(io.failed);
    if (base == bases() || !has_children(1)) {
        status_of(parent) = status;
        return;
    }
    io.step = reading_elsewhere;
    if (io.lock == nullptr && parent.op == Op::read) io.lock = lock_for_read(parent);
    send_read(parent, base);
}

RangeLocks::Range* MirrorChannel::lock_for_read(const Request& parent) {
    return lock(parent.lba, parent.lba + parent.blocks, true);
}

bool MirrorChannel::read_again(Request& parent) {
    const RaidIo& io = io_of(parent);
    const size_t base = choose(io.failed);
    if (base == bases()) {
        status_of(parent) = io.error == Status::success ? Status::gone : io.error;
        return true;
    }
    if (!has_children(1)) return false;
    send_read(parent, base);
    return true;
}

void MirrorChannel::send_read(Request& parent, size_t base) {
    reading_[base] += parent.blocks;
    Child& child = take_child(parent, base);
    child.lba = on_base(base, parent.lba);
    child.blocks = parent.blocks;
    child.data = parent.data;
    send(child);
}

bool MirrorChannel::repair(Request& parent) {
    RaidIo& io = io_of(parent);
    if (io.lock == nullptr || parent.op != Op::read || mode(io.first) != BaseMode::in_sync || !has_children(1))
        return false;
    io.step = repairing;
    Child& child = take_child(parent, io.first);
    child.op = Op::write;
    child.lba = on_base(io.first, parent.lba);
    child.blocks = parent.blocks;
    child.data = parent.data;
    send(child);
    return true;
}

}  // namespace weft::bdev
