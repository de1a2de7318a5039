// How a GUID partition table lies on a disk (UEFI 2.10: 5.2.1, 5.3.2, 5.3.3).
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

#include "base/endian.h"

namespace weft::bdev {

inline constexpr uint16_t mbr_signature = 0xAA55;
inline constexpr uint8_t mbr_protective = 0xEE;
inline constexpr uint64_t gpt_signature = 0x5452415020494645;  // "EFI PART"
inline constexpr uint32_t gpt_revision = 0x00010000;

struct MbrWire {
    struct Record {
        uint8_t boot = 0;
        std::array<uint8_t, 3> first_chs{};
        uint8_t os_type = 0;
        std::array<uint8_t, 3> last_chs{};
        le32 first_lba;
        le32 block_count;
    };
    std::array<uint8_t, 446> code{};
    std::array<Record, 4> records;
    le16 signature;
};
static_assert(sizeof(MbrWire) == 512 && alignof(MbrWire) == 1);

struct GptHeaderWire {
    le64 signature;
    le32 revision;
    le32 header_bytes;
    le32 header_crc;  // of header_bytes, with this as 0
    le32 reserved;
    le64 own_lba;
    le64 other_lba;
    le64 first_usable;
    le64 last_usable;
    std::array<uint8_t, 16> disk{};
    le64 entries_lba;
    le32 entry_count;
    le32 entry_bytes;
    le32 entries_crc;
};
static_assert(sizeof(GptHeaderWire) == 92 && alignof(GptHeaderWire) == 1 && offsetof(GptHeaderWire, disk) == 56);

struct GptEntryWire {
    std::array<uint8_t, 16> type{};
    std::array<uint8_t, 16> unique{};
    le64 first;
    le64 last;
    le64 attributes;
    std::array<le16, 36> name{};
};
static_assert(sizeof(GptEntryWire) == 128 && alignof(GptEntryWire) == 1);

}  // namespace weft::bdev
