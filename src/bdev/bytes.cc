#include "bdev/bytes.h"

#include <fmt/format.h>

#include "bdev/execute.h"

namespace weft::bdev {

namespace {

Task<Result<void>> move(Channel& channel, Op op, uint64_t offset, std::span<const iovec> data) {
    uint64_t bytes = 0;
    for (const iovec& piece : data) bytes += piece.iov_len;
    const auto range = blocks_of(channel.bdev(), offset, bytes);
    if (!range) co_return std::unexpected(range.error());
    Request request;
    request.op = op;
    request.lba = range->first;
    request.blocks = range->blocks;
    request.data = data;
    const Status status = co_await execute(channel, request);
    co_return result_of(status, fmt::format("{} of {} bytes at {}", name_of(op), bytes, offset));
}

Task<Result<void>> move_one(Channel& channel, Op op, uint64_t offset, iovec piece) {
    co_return co_await move(channel, op, offset, {&piece, 1});
}

}  // namespace

Result<BlockRange> blocks_of(const Device& device, uint64_t offset, uint64_t bytes) {
    const uint64_t block_bytes = device.block_bytes();
    if (offset % block_bytes == 0 && bytes % block_bytes == 0) {
        return BlockRange{.first = offset / block_bytes, .blocks = bytes / block_bytes};
    }
    return fail(Errc::invalid_argument, fmt::format("{} bytes at {}: {} has blocks of {} bytes, and only whole ones",
                                                    bytes, offset, device.name(), block_bytes));
}

Task<Result<void>> read_bytes(Channel& channel, uint64_t offset, std::span<const iovec> data) {
    return move(channel, Op::read, offset, data);
}

Task<Result<void>> write_bytes(Channel& channel, uint64_t offset, std::span<const iovec> data) {
    return move(channel, Op::write, offset, data);
}

Task<Result<void>> read_bytes(Channel& channel, uint64_t offset, MutableBytes data) {
    return move_one(channel, Op::read, offset, {.iov_base = data.data(), .iov_len = data.size()});
}

Task<Result<void>> write_bytes(Channel& channel, uint64_t offset, Bytes data) {
    // iovec has no const; a write only reads it.
    return move_one(channel, Op::write, offset,
                    {.iov_base = const_cast<std::byte*>(data.data()), .iov_len = data.size()});
}

}  // namespace weft::bdev
