// The source ranges of a Copy, in whichever of the descriptor formats it uses.
#pragma once

#include "bdev/protection/protection.h"
#include "nvmf/request.h"

namespace weft::nvmf {

struct CopyRange {
    uint64_t slba = 0;
    uint32_t blocks = 0;
    // What the read portion expects, where blocks have tuples.
    uint64_t reference = 0;
    uint16_t storage_tag = 0;
    uint16_t application_tag = 0;
    uint16_t application_mask = 0;
};

// Formats 0h and 1h: others have a source namespace, and it would have to be paused, reserved and hidden along with the
// command's.
[[nodiscard]] uint32_t copy_format(const nvme::Command& command);
[[nodiscard]] bool is_copy_format_known(uint32_t format);
[[nodiscard]] uint32_t copy_range_bytes(uint32_t format);
[[nodiscard]] uint32_t copy_range_count(const nvme::Command& command);

// `guard` says where in a tuple's space the reference tag ends; of a known format.
CopyRange copy_range_at(const Request& request, size_t index, bdev::Guard guard);

// What the read portion of the range checks and takes away.
bdev::Protection read_protection(const nvme::Command& command, const CopyRange& range);

}  // namespace weft::nvmf
