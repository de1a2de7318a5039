#include "bdev_modules/raid/raid_channel.h"

#include <new>

#include "base/assert.h"
#include "base/mutants.h"
#include "bdev_modules/raid/linear_channel.h"
#include "bdev_modules/raid/mirror_channel.h"
#include "bdev_modules/raid/parity_channel.h"

namespace weft::bdev {

std::unique_ptr<RaidChannel> RaidChannel::make(RaidDevice& device) {
    switch (device.layout().level()) {
        case RaidLevel::raid1: return std::make_unique<MirrorChannel>(device);
        case RaidLevel::raid5f: return std::make_unique<ParityChannel>(device);
        case RaidLevel::raid0:
        case RaidLevel::concat: break;
    }
    return std::make_unique<LinearChannel>(device);
}

// On the list before it looks at the bases: who changes them afterwards finds it there.
RaidChannel::RaidChannel(RaidDevice& device)
    : StackedChannel(device),
      raid_(device),
      home_(Thread::current()),
      modes_(device.base_count(), BaseMode::absent),
      again_poller_(*this) {
    again_poller_.pause();
    raid_.add_channel_thread(home_);
}

RaidChannel::~RaidChannel() {
    WEFT_ASSERT(held_.empty() && again_.empty());
    raid_.remove_channel_thread(home_);
}

Result<void> RaidChannel::open() {
    for (size_t index = 0; index < modes_.size(); ++index) {
        const BaseMode mode = raid_.mode(index);
        if (mode == BaseMode::absent) continue;
        WEFT_TRY(adopt_base(index));
        modes_[index] = mode;
    }
    return {};
}

// Bases ---------------------------------------------------------------------------------------------------------------

void RaidChannel::stop_reading(size_t base) {
    if (modes_[base] == BaseMode::in_sync) modes_[base] = BaseMode::write_only;
}

bool RaidChannel::take_out(size_t base) {
    modes_[base] = BaseMode::absent;
    if (!has_base(base)) return true;
    if (children_of(base) > 0) return false;
    drop_base(base);
    return true;
}

Result<void> RaidChannel::take_in(size_t base) {
    if (!has_base(base)) WEFT_TRY(adopt_base(base));
    if (modes_[base] == BaseMode::absent) modes_[base] = BaseMode::write_only;
    return {};
}

void RaidChannel::settle(size_t base) {
    for (Request* request = held_.front(); request != nullptr;) {
        Request* const next = decltype(held_)::next(*request);
        RaidIo& io = io_of(*request);
        if (io.failed.test(base)) {
            io.failed.reset(base);
            if (mode(base) != BaseMode::absent) status_of(*request) = io.error;
            if (io.failed.none()) {
                held_.remove(*request);
                let_go(*request);
            }
        }
        request = next;
    }
}

// Locks ---------------------------------------------------------------------------------------------------------------

RangeLocks::Range* RaidChannel::lock(uint64_t first, uint64_t end, bool writes) {
    if (free_ranges_.empty()) {
        std::unique_ptr<Ranges> more(new (std::nothrow) Ranges());
        if (!more) return nullptr;
        for (RangeLocks::Range& range : *more) free_ranges_.push_back(&range);
        range_memory_.push_back(std::move(more));
        free_ranges_.reserve(range_memory_.size() * ranges_step);
    }
    RangeLocks::Range* range = free_ranges_.back();
    range->first = first;
    range->end = end;
    range->writes = writes;
    if (!raid_.locks().enter(*range)) {
        raid_.locks().leave(*range);
        return nullptr;
    }
    free_ranges_.pop_back();
    return range;
}

void RaidChannel::unlock(RangeLocks::Range* range) {
    raid_.locks().leave(*range);
    free_ranges_.push_back(range);
}

// Reads of what may have failed --------------------------------------------------------------------------------------

RaidChannel::Again::Again(RaidChannel& channel) : Poller(Thread::current(), "raid_again", 0), channel_(channel) {}

RangeLocks::Range* RaidChannel::lock_for_read(const Request& /*parent*/) { return nullptr; }
bool RaidChannel::read_again(Request& /*parent*/) { return false; }

void RaidChannel::read_again_later(Request& parent) {
    RaidIo& io = io_of(parent);
    if (std::exchange(io.is_to_be_read_again, true)) return;
    hold(parent);
    again_.push_back(parent);
    again_poller_.resume();
}

uint32_t RaidChannel::read_some_again() {
    uint32_t started = 0;
    for (size_t rest = again_.size(); rest > 0; --rest) {
        Request& request = *again_.pop_front();
        // A child of it may end, fail, and want this once more before it is known to be under way.
        io_of(request).is_to_be_read_again = false;
        if (is_under_way_again(request)) {
            let_go(request);
            ++started;
        } else {
            io_of(request).is_to_be_read_again = true;
            again_.push_back(request);
        }
    }
    if (again_.empty()) again_poller_.pause();
    return started;
}

bool RaidChannel::is_under_way_again(Request& parent) {
    if (is_waiting_for_children(parent)) return false;
    if (status_of(parent) != Status::success) return true;  // it has failed
    RaidIo& io = io_of(parent);
    if (io.lock == nullptr) io.lock = lock_for_read(parent);
    return io.lock != nullptr && read_again(parent);
}

// Writes to several bases ---------------------------------------------------------------------------------------------

Child& RaidChannel::take_write(Request& parent, size_t base) {
    ++io_of(parent).pending;
    return take_child(parent, base);
}

void RaidChannel::write_ended(Child& child) {
    RaidIo& io = io_of(*child.parent);
    if (child.status == Status::success) {
        ++io.succeeded;
    } else if (mode(child.base) != BaseMode::absent && !mutant::on(mutant::failed_side_stays)) {
        io.failed.set(child.base);
        if (!io.doubted.test(child.base)) raid_.begin_doubt(child.base);
        io.doubted.set(child.base);
        if (io.error == Status::success) io.error = child.status;
    }
    write_gone(*child.parent);
}

void RaidChannel::write_gone(Request& parent) {
    RaidIo& io = io_of(parent);
    if (--io.pending > 0) return;
    if (io.succeeded == 0) {
        status_of(parent) = io.error == Status::success ? Status::gone : io.error;
        return;
    }
    for (size_t base = 0; base < modes_.size(); ++base) {
        if (io.failed.test(base) && mode(base) == BaseMode::absent) io.failed.reset(base);  // it went meanwhile
    }
    if (io.failed.none()) return;
    hold(parent);
    held_.push_back(parent);
    for (size_t base = 0; base < modes_.size(); ++base) {
        if (io.failed.test(base)) raid_.report_failure(base);
    }
}

void RaidChannel::write_same(Request& parent, uint64_t lba, uint64_t blocks, std::span<const iovec> data) {
    for (size_t base = 0; base < modes_.size(); ++base) {
        if (mode(base) == BaseMode::absent) continue;
        if (mutant::on(mutant::mirror_half_written) && io_of(parent).pending > 1) continue;
        Child& child = take_write(parent, base);
        child.lba = on_base(base, lba);
        child.blocks = blocks;
        child.data = data;
        send(child);
    }
}

Progress RaidChannel::flush_all(Request& request) {
    if (!has_children(modes_.size())) return Progress::retry;
    begin(request);
    make_io(request).pending = 1;
    write_same(request, 0, 0, {});
    all_writes_sent(request);
    return end(request);
}

// NOLINTNEXTLINE(readability-function-size): which run, and what becomes of it
bool RaidChannel::send_run(Request& parent, size_t base, uint64_t base_lba, uint64_t blocks, DataCursor& cursor,
                           uint64_t note, bool is_write) {
    const uint32_t block_bytes = raid_.block_bytes();
    while (blocks > 0) {
        Child& child = is_write ? take_write(parent, base) : take_child(parent, base);
        const uint64_t taken = take_pieces(child, cursor, block_bytes, blocks);
        if (taken == 0) child.data = {};
        child.lba = on_base(base, base_lba);
        child.blocks = taken;
        child.note = note;
        send(child);
        if (taken == 0) return false;
        base_lba += taken;
        blocks -= taken;
        note += taken * block_bytes;
    }
    return true;
}

Status RaidChannel::family_ended(Request& parent, Status status) {
    RaidIo& io = io_of(parent);
    release(parent);
    if (io.lock != nullptr) unlock(std::exchange(io.lock, nullptr));
    for (size_t base = 0; io.doubted.any() && base < modes_.size(); ++base) {
        if (!io.doubted.test(base)) continue;
        io.doubted.reset(base);
        raid_.end_doubt(base);
    }
    return status;
}

}  // namespace weft::bdev
