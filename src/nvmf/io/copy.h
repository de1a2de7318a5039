// Copy within a namespace (NVM Command Set 1.0, 3.2.2): source ranges, one behind the other, to one destination, in
// descriptor formats 0h and 1h (copy_ranges.h).
//
// A device that can copies itself, if its blocks have no metadata; for others a piece at a time is read into buffers of
// the pool and written. A command holds as many buffers as one piece takes, so that any number of them goes on with
// few.
#pragma once

#include <algorithm>

#include "nvmf/request.h"
#include "nvmf/views.h"

namespace weft::nvmf {

// What is allowed, as Identify tells it. The ranges of a command fit two pages; a command ends within seconds.
inline constexpr uint32_t copy_ranges_max = 128;  // MSRC
inline constexpr uint32_t copy_bytes_max = 128U << 20;
// MCL and MSSRL, in blocks of a namespace.
constexpr uint32_t copy_blocks_max(uint8_t block_shift) { return copy_bytes_max >> block_shift; }
constexpr uint16_t copy_range_blocks_max(uint8_t block_shift) {
    return static_cast<uint16_t>(std::min(copy_blocks_max(block_shift), 65535U));
}

// Of the source ranges that the command brings. More than copy_ranges_max are brought, and refused then.
uint32_t copy_bytes(const nvme::Command& command);

// How many blocks the ranges of a command have in all, of those that may be.
uint64_t copied_blocks(const Request& request);

// The namespace is in use by the request, whose control data are the ranges.
void execute_copy(Request& request);

}  // namespace weft::nvmf
