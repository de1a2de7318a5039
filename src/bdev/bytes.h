// Ranges in bytes, for who does not think in blocks. What is not whole blocks is refused, never widened.
#pragma once

#include <cstdint>

#include "base/bytes.h"
#include "bdev/device.h"
#include "bdev/request.h"
#include "reactor/task.h"

namespace weft::bdev {

// The blocks of `bytes` bytes at byte `offset` of the device. Errors: invalid_argument when one is no multiple of the
// block size. Whether the device is so large is seen when the request is submitted.
Result<BlockRange> blocks_of(const Device& device, uint64_t offset, uint64_t bytes);

// Reads or writes a byte range, and waits. On the channel's thread; `data` is aligned as the geometry says. Errors:
// those of blocks_of(); not_supported; out_of_range; io_error and others, see result_of() in execute.h.
Task<Result<void>> read_bytes(Channel& channel, uint64_t offset, MutableBytes data);
Task<Result<void>> write_bytes(Channel& channel, uint64_t offset, Bytes data);
// The same with scattered data, which may hold empty pieces.
Task<Result<void>> read_bytes(Channel& channel, uint64_t offset, std::span<const iovec> data);
Task<Result<void>> write_bytes(Channel& channel, uint64_t offset, std::span<const iovec> data);

}  // namespace weft::bdev
