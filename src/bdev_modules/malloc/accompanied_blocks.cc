// Reads, writes and compares on a RAM disk whose blocks have metadata. Data and metadata of a block are kept in two
// places, and are under the lock of its data: nobody sees the one without the other.
#include <algorithm>

#include "bdev/protection/blocks.h"
#include "bdev_modules/malloc/malloc_channel.h"

namespace weft::bdev {

Progress MallocChannel::transfer_accompanied(Request& request) {
    if (request.op != Op::write) return read_accompanied(request);
    const Protection* const protection = request.protection;
    if (protection != nullptr && !protection->is_ours && protection->checks()) {
        check_accompanied_write(request);
        if (request.status != Status::success) return Progress::done;
    }
    return write_accompanied(request);
}

// All blocks, before the first one is written.
void MallocChannel::check_accompanied_write(Request& request) {
    const ProtectionFormat& format = device_.metadata();
    BlockPieces pieces(request);
    const MutableBytes data = MutableBytes(block_).first(device_.block_bytes());
    const MutableBytes metadata = MutableBytes(block_).subspan(device_.block_bytes());
    if (!pieces.wants_metadata()) return;
    for (uint64_t index = 0; index < request.blocks && request.status == Status::success; ++index) {
        take_bytes(pieces.data(), data);
        take_bytes(pieces.metadata(), metadata);
        request.status = status_of(check_tuple(format, *request.protection, index, data, metadata));
    }
}

Progress MallocChannel::write_accompanied(Request& request) {
    const ProtectionFormat& format = device_.metadata();
    const uint32_t block_bytes = device_.block_bytes();
    const bool makes_tuples = request.protection != nullptr && request.protection->is_ours;
    const uint64_t blocks_max = std::max<uint64_t>(1, locked_bytes_max / block_bytes);
    BlockPieces pieces(request);
    for (uint64_t index = 0; index < request.blocks;) {
        const uint64_t stop = index + std::min(request.blocks - index, blocks_max);
        const BlockLocks::Range range =
            locks_.touched((request.lba + index) * block_bytes, (stop - index) * block_bytes);
        if (!locks_.lock_exclusive(range)) return Progress::retry;
        for (; index < stop; ++index) {
            const uint64_t lba = request.lba + index;
            const MutableBytes data(device_.memory() + lba * block_bytes, block_bytes);
            const MutableBytes metadata = device_.metadata_of(lba);
            take_bytes(pieces.data(), data);
            if (pieces.wants_metadata()) {
                take_bytes(pieces.metadata(), metadata);
            } else {
                device_.clear_metadata(lba, 1);
            }
            if (makes_tuples) write_tuple(format, *request.protection, index, data, metadata);
        }
        locks_.unlock_exclusive(range);
    }
    return Progress::done;
}

Progress MallocChannel::read_accompanied(Request& request) {
    const ProtectionFormat& format = device_.metadata();
    const uint32_t block_bytes = device_.block_bytes();
    const bool checks = request.protection != nullptr && request.protection->checks();
    const bool locking = locks_.is_concurrent();
    BlockPieces pieces(request);
    for (uint64_t index = 0; index < request.blocks && request.status == Status::success; ++index) {
        const uint64_t lba = request.lba + index;
        const uint64_t granule = locks_.touched(lba * block_bytes, 1).first;
        if (locking && !locks_.lock_shared(granule)) return Progress::retry;
        const Bytes data(device_.memory() + lba * block_bytes, block_bytes);
        const Bytes metadata = device_.metadata_of(lba);
        if (checks) request.status = status_of(check_tuple(format, *request.protection, index, data, metadata));
        if (request.op == Op::read) {
            give_bytes(pieces.data(), data);
            if (pieces.wants_metadata()) give_bytes(pieces.metadata(), metadata);
        } else if (request.op == Op::compare) {
            bool same = is_same(pieces.data(), data);
            if (pieces.wants_metadata()) same = is_same(pieces.metadata(), metadata) && same;
            if (!same && request.status == Status::success) request.status = Status::miscompare;
        }
        if (locking) locks_.unlock_shared(granule);
    }
    return Progress::done;
}

// The blocks hold zeroes now; the lock is held.
void MallocChannel::clear_accompanied(const Request& request, uint64_t lba, uint64_t blocks) {
    device_.clear_metadata(lba, blocks);
    if (request.protection == nullptr || !request.protection->is_ours) return;
    const uint32_t block_bytes = device_.block_bytes();
    for (const uint64_t end = lba + blocks; lba < end; ++lba) {
        const Bytes data(device_.memory() + lba * block_bytes, block_bytes);
        write_tuple(device_.metadata(), *request.protection, lba - request.lba, data, device_.metadata_of(lba));
    }
}

}  // namespace weft::bdev
