#include "bdev_modules/malloc/malloc_channel.h"

#include <cstring>
#include <new>

#include "base/assert.h"
#include "bdev/data_cursor.h"
#include "bdev_modules/malloc/copy.h"

namespace weft::bdev {

// Zeroes long ranges, a step a turn; paused when there are none.
class MallocChannel::Chores final : public Poller {
public:
    explicit Chores(MallocChannel& channel)
        : Poller(Thread::current(), "malloc_" + channel.device_.name(), 0), channel_(channel) {
        pause();
    }
    uint32_t poll() override { return channel_.do_chores(); }

private:
    MallocChannel& channel_;
};

// In the request's module_data: zeroing of more than one step.
struct MallocChannel::Zeroing {
    uint64_t done_bytes = 0;
    bool is_aborted = false;

    static Zeroing& of(Request& request) {
        return *std::launder(reinterpret_cast<Zeroing*>(request.module_data.data()));
    }
};

MallocChannel::MallocChannel(MallocDevice& device)
    : device_(device), locks_(device.locks()), chores_(std::make_unique<Chores>(*this)) {
    if (device.metadata().metadata_bytes != 0) block_.resize(device.block_bytes() + device.metadata().metadata_bytes);
}

MallocChannel::~MallocChannel() = default;

// The first lines only: the hardware sees the pattern then, and more than it has line buffers for would be dropped
// or in the way.
void MallocChannel::prefetch(uint64_t lba) {
    constexpr size_t line_bytes = 64;
    constexpr size_t lines = 8;
    if (lba >= device_.block_count()) return;
    const std::byte* const start = device_.memory() + lba * device_.block_bytes();
    for (size_t line = 0; line < lines; ++line) __builtin_prefetch(start + line * line_bytes, 0, 2);
}

std::optional<Bytes> MallocChannel::lend_memory(uint64_t lba, uint64_t blocks) {
    const uint64_t block_count = device_.block_count();
    if (!block_.empty()) return std::nullopt;
    if (lba > block_count || blocks == 0 || blocks > block_count - lba) return std::nullopt;
    const uint64_t offset = lba * device_.block_bytes();
    const uint64_t bytes = blocks * device_.block_bytes();
    if (!locks_.lend(locks_.touched(offset, bytes))) return std::nullopt;
    return Bytes(device_.memory() + offset, bytes);
}

void MallocChannel::unlend(uint64_t lba, uint64_t blocks) {
    locks_.end_lend(locks_.touched(lba * device_.block_bytes(), blocks * device_.block_bytes()));
}

Progress MallocChannel::start(Request& request) {
    if (device_.bad_blocks().any() && !settle_bad_blocks(request)) [[unlikely]]
        return Progress::done;
    const bool moves_data =
        request.op == Op::read || request.op == Op::write || request.op == Op::compare || request.op == Op::verify;
    if (!block_.empty() && moves_data) [[unlikely]]
        return transfer_accompanied(request);
    switch (request.op) {
        case Op::read:
            thread().work().count(Work::copy, bytes_of(request));
            return copy_out(request, [](MutableBytes data, const std::byte* disk) {
                std::memcpy(data.data(), disk, data.size());
                return true;
            });
        case Op::compare:
            thread().work().count(Work::compare, bytes_of(request));
            return copy_out(request, [](MutableBytes data, const std::byte* disk) {
                return std::memcmp(data.data(), disk, data.size()) == 0;
            });
        case Op::write: thread().work().count(Work::copy, bytes_of(request)); return write(request);
        case Op::flush: return Progress::done;
        case Op::unmap:
        case Op::write_zeroes: return start_zeroing(request);
        case Op::compare_and_write: return compare_and_write(request);
        case Op::copy: return copy(request);
        case Op::verify: return Progress::done;
        case Op::write_uncorrectable:
            if (!device_.bad_blocks().add(request.lba, request.blocks)) request.status = Status::no_space;
            return Progress::done;
        case Op::zone_append:
        case Op::zone_management: break;
    }
    return Progress::done;
}

// There are uncorrectable blocks. What reads one of them fails; what writes them makes them good. False: the request
// is over.
bool MallocChannel::settle_bad_blocks(Request& request) {
    BadBlocks& bad_blocks = device_.bad_blocks();
    const auto fails = [&request](Status status) {
        request.status = status;
        return false;
    };
    const bool is_read = request.op == Op::read || request.op == Op::compare || request.op == Op::compare_and_write ||
                         request.op == Op::verify;
    if (is_read && bad_blocks.touches(request.lba, request.blocks)) return fails(Status::read_error);
    if (request.op == Op::copy && bad_blocks.touches(request.source_lba, request.blocks)) {
        return fails(Status::read_error);
    }
    const bool is_written =
        request.op == Op::write || request.op == Op::write_zeroes || request.op == Op::unmap || request.op == Op::copy;
    if (is_written && !bad_blocks.remove(request.lba, request.blocks)) return fails(Status::no_space);
    return true;
}

// All of it under one lock: it is short.
Progress MallocChannel::compare_and_write(Request& request) {
    static_assert(compare_and_write_bytes_max <= locked_bytes_max);
    const uint64_t offset = offset_of(request);
    const uint64_t bytes = bytes_of(request);
    thread().work().count(Work::compare, bytes);
    const BlockLocks::Range range = locks_.touched(offset, bytes);
    if (!locks_.lock_exclusive(range)) return Progress::retry;
    DataCursor expected(request.expected);
    bool is_same = true;
    for (uint64_t at = 0; at < bytes && is_same;) {
        const MutableBytes piece = expected.next(bytes - at);
        is_same = std::memcmp(piece.data(), device_.memory() + offset + at, piece.size()) == 0;
        at += piece.size();
    }
    if (is_same) {
        thread().work().count(Work::copy, bytes);
        DataCursor data(request.data);
        for (uint64_t at = 0; at < bytes;) {
            const MutableBytes piece = data.next(bytes - at);
            std::memcpy(device_.memory() + offset + at, piece.data(), piece.size());
            at += piece.size();
        }
    } else {
        request.status = Status::miscompare;
    }
    locks_.unlock_exclusive(range);
    return Progress::done;
}

// By a buffer of the channel's when others may write: a word of the locks may stand for blocks of both ranges. A retry
// copies the earlier steps once more, which changes nothing: the ranges do not overlap.
Progress MallocChannel::copy(Request& request) {
    thread().work().count(Work::copy, bytes_of(request));
    const uint64_t from = request.source_lba * device_.block_bytes();
    const uint64_t to = offset_of(request);
    for (uint64_t done = 0; done < bytes_of(request);) {
        const uint64_t step = std::min(bytes_of(request) - done, locked_bytes_max);
        const std::byte* source = device_.memory() + from + done;
        if (locks_.is_concurrent()) {
            if (copy_buffer_ == nullptr) copy_buffer_ = std::make_unique_for_overwrite<std::byte[]>(locked_bytes_max);
            if (!copy_to_buffer(from + done, step)) return Progress::retry;
            source = copy_buffer_.get();
        }
        const BlockLocks::Range range = locks_.touched(to + done, step);
        if (!locks_.lock_exclusive(range)) return Progress::retry;
        std::memcpy(device_.memory() + to + done, source, step);
        locks_.unlock_exclusive(range);
        done += step;
    }
    return Progress::done;
}

bool MallocChannel::copy_to_buffer(uint64_t offset, uint64_t bytes) {
    for (uint64_t done = 0; done < bytes;) {
        const uint64_t granule = locks_.touched(offset + done, 1).first;
        const uint64_t step = std::min(bytes - done, (granule + 1) * locks_.granule_bytes() - (offset + done));
        if (!locks_.lock_shared(granule)) return false;
        std::memcpy(copy_buffer_.get() + done, device_.memory() + offset + done, step);
        locks_.unlock_shared(granule);
        done += step;
    }
    return true;
}

// Calls copy(piece of the request's data, where it is on the disk) for every piece, a granule locked at a time;
// false from it means that they differ.
template <class Copy>
Progress MallocChannel::copy_out(Request& request, Copy copy) {
    DataCursor data(request.data);
    const uint64_t end = offset_of(request) + bytes_of(request);
    const bool locking = locks_.is_concurrent();
    for (uint64_t at = offset_of(request); at < end;) {
        const uint64_t granule = locks_.touched(at, 1).first;
        const uint64_t stop = locking ? std::min(end, (granule + 1) * locks_.granule_bytes()) : end;
        if (locking && !locks_.lock_shared(granule)) return Progress::retry;
        bool is_same = true;
        while (at < stop && is_same) {
            const MutableBytes piece = data.next(stop - at);
            is_same = copy(piece, device_.memory() + at);
            at += piece.size();
        }
        if (locking) locks_.unlock_shared(granule);
        if (!is_same) {
            request.status = Status::miscompare;
            break;
        }
    }
    return Progress::done;
}

// A retry writes the earlier steps once more: single blocks are whole all the same.
//
// What streams store may be seen late by other reactors, so that a lock must not end before a fence; alone there is
// nobody who could see it late. A fence costs 190 ns after any copy, as much as streaming saves on 4 KiB (copy_bench).
// To put it off, and the end of the lock with it, would gain that, but who holds a lock then must not wait for
// another one, and callers do wait for a retry to go through.
Progress MallocChannel::write(Request& request) {
    DataCursor data(request.data);
    const uint64_t end = offset_of(request) + bytes_of(request);
    const bool is_concurrent = locks_.is_concurrent();
    const uint64_t locked_bytes = is_concurrent ? locked_bytes_max : UINT64_MAX;
    const size_t streamed_bytes_min = !device_.options().streaming ? SIZE_MAX : is_concurrent ? 4096 : 0;
    for (uint64_t at = offset_of(request); at < end;) {
        const uint64_t stop = at + std::min(end - at, locked_bytes);
        const BlockLocks::Range range = locks_.touched(at, stop - at);
        if (!locks_.lock_exclusive(range)) return Progress::retry;
        bool is_fence_due = false;
        while (at < stop) {
            const MutableBytes piece = data.next(stop - at);
            if (piece.size() >= streamed_bytes_min) {
                is_fence_due = is_concurrent;
                streaming_copy(device_.memory() + at, piece.data(), piece.size());
            } else {
                std::memcpy(device_.memory() + at, piece.data(), piece.size());
            }
            at += piece.size();
        }
        if (is_fence_due) streaming_fence();
        locks_.unlock_exclusive(range);
    }
    return Progress::done;
}

// Returns how many bytes were zeroed before somebody was in the way.
uint64_t MallocChannel::zero(const Request& request, uint64_t offset, uint64_t bytes) {
    for (uint64_t done = 0; done < bytes;) {
        const uint64_t step = std::min(bytes - done, locked_bytes_max);
        const BlockLocks::Range range = locks_.touched(offset + done, step);
        if (!locks_.lock_exclusive(range)) return done;
        streaming_zero(device_.memory() + offset + done, step);
        if (!block_.empty()) {
            clear_accompanied(request, (offset + done) / device_.block_bytes(), step / device_.block_bytes());
        }
        if (locks_.is_concurrent()) streaming_fence();
        locks_.unlock_exclusive(range);
        done += step;
    }
    thread().work().count(Work::fill, bytes);
    return bytes;
}

Progress MallocChannel::start_zeroing(Request& request) {
    if (bytes_of(request) <= zeroed_bytes_max) {
        const uint64_t done = zero(request, offset_of(request), bytes_of(request));
        return done == bytes_of(request) ? Progress::done : Progress::retry;
    }
    static_assert(sizeof(Zeroing) <= Request::module_bytes);
    new (request.module_data.data()) Zeroing;
    zeroing_.push_back(request);
    chores_->resume();
    return Progress::pending;
}

bool MallocChannel::abort_started(Request& request) {
    if (!request.link.is_linked) return false;
    Zeroing::of(request).is_aborted = true;
    return true;
}

uint32_t MallocChannel::do_chores() {
    Request* request = zeroing_.front();
    if (request == nullptr) {
        chores_->pause();
        return 0;
    }
    Zeroing& progress = Zeroing::of(*request);
    const uint64_t total = bytes_of(*request);
    const uint64_t step = std::min(zeroed_bytes_max, total - progress.done_bytes);
    if (!progress.is_aborted) progress.done_bytes += zero(*request, offset_of(*request) + progress.done_bytes, step);
    if (progress.is_aborted || progress.done_bytes == total) {
        zeroing_.remove(*request);
        finish(*request, progress.is_aborted ? Status::aborted : Status::success);
    }
    return 1;
}

}  // namespace weft::bdev
