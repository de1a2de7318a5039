// Copy's descriptor formats and the protection information that they and the command name (NVM Command Set 1.1, 3.3.2;
// format 0h is in nvme/command.h). Formats 2h and 3h are 0h and 1h with a source namespace.
#pragma once

#include <array>

#include "nvme/command.h"

namespace weft::nvme {

// Descriptor format 1h (Figure 40): for namespaces with tuples of 16 bytes.
struct CopySourceRange1 {
    uint8_t reserved0[8]{};
    le64 slba;
    le16 block_count;  // 0's based
    uint8_t reserved18[8]{};
    // ELBT: the space of storage and reference tag, its last byte the lowest, as tuples have it on the medium and hosts
    // of the field send it.
    std::array<uint8_t, 10> elbt{};
    le16 elbat;
    le16 elbatm;
};
static_assert(sizeof(CopySourceRange1) == 40 && offsetof(CopySourceRange1, elbt) == 26);

namespace copy {
// CDW12 of Copy, for its read portion; PRINFOW and STCW are where Write has PRINFO and STC (io_bits).
inline constexpr uint32_t read_storage_tag_check = 1U << 25;  // STCR
inline constexpr uint32_t read_protection_action = 1U << 15;  // PRINFOR: PRACT
inline constexpr uint32_t read_check_guard = 1U << 14;
inline constexpr uint32_t read_check_application_tag = 1U << 13;
inline constexpr uint32_t read_check_reference_tag = 1U << 12;
}  // namespace copy

}  // namespace weft::nvme
