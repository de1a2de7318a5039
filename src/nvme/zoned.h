// The Zoned Namespace Command Set: commands, data structures of Identify, and the report of zones.
//
// NVMe Zoned Namespace Command Set 1.1, 3.4 (commands), 4.1.5 (Identify).
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

#include "base/endian.h"
#include "nvme/bits.h"

namespace weft::nvme {

// ZSA of Zone Management Send.
enum class ZoneSendAction : uint8_t {
    close = 0x01,
    finish = 0x02,
    open = 0x03,
    reset = 0x04,
    offline = 0x05,
    set_descriptor_extension = 0x10,
    flush_explicit_zrwa = 0x11,
};

// ZRA of Zone Management Receive.
enum class ZoneReceiveAction : uint8_t { report = 0x00, extended_report = 0x01 };

// CDW13 of both; CDW10 and CDW11 are an LBA, CDW12 of Receive the dwords to return, 0's based.
namespace zone_management {
inline constexpr Bits action{0, 8};
inline constexpr Bits select_all{8, 1};     // Send
inline constexpr Bits report_states{8, 8};  // Receive, ZRASF: see ZoneReportFilter
inline constexpr Bits partial_report{16, 1};
}  // namespace zone_management

enum class ZoneReportFilter : uint8_t {
    all = 0,
    empty = 1,
    implicitly_opened = 2,
    explicitly_opened = 3,
    closed = 4,
    full = 5,
    read_only = 6,
    offline = 7,
};

struct ZoneReportHeader {
    le64 zone_count;
    std::array<uint8_t, 56> reserved8{};
};
static_assert(sizeof(ZoneReportHeader) == 64);

struct ZoneDescriptor {
    uint8_t type = 0;   // ZT: 2 is sequential write required
    uint8_t state = 0;  // ZS in 7:4
    uint8_t attributes = 0;
    uint8_t attribute_information = 0;
    std::array<uint8_t, 4> reserved4{};
    le64 zcap;
    le64 zslba;
    le64 wp;
    std::array<uint8_t, 32> reserved32{};

    static constexpr uint8_t sequential_write_required = 2;
    static constexpr uint64_t no_write_pointer = UINT64_MAX;  // full, read only, offline
};
static_assert(sizeof(ZoneDescriptor) == 64 && offsetof(ZoneDescriptor, zcap) == 8);
static_assert(offsetof(ZoneDescriptor, wp) == 24);

struct ZonedLbaFormat {
    le64 zsze;         // blocks of a zone
    uint8_t zdes = 0;  // descriptor extension, in 64 bytes
    std::array<uint8_t, 7> reserved9{};
};
static_assert(sizeof(ZonedLbaFormat) == 16);

// CNS 05h, CSI 02h.
struct IdentifyZonedNamespace {
    le16 zoc;
    le16 ozcs;
    le32 mar;  // active zones, 0's based; FFFFFFFFh: no limit
    le32 mor;  // open zones
    le32 rrl;
    le32 frl;
    le32 rrl1;
    le32 rrl2;
    le32 rrl3;
    le32 frl1;
    le32 frl2;
    le32 frl3;
    le32 numzrwa;
    le16 zrwafg;
    le16 zrwasz;
    uint8_t zrwacap = 0;
    std::array<uint8_t, 2763> reserved53{};
    std::array<ZonedLbaFormat, 64> lbafe{};
    std::array<uint8_t, 256> vendor_specific{};

    static constexpr uint32_t no_limit = 0xFFFFFFFF;
};
static_assert(sizeof(IdentifyZonedNamespace) == 4096 && offsetof(IdentifyZonedNamespace, mar) == 4);
static_assert(offsetof(IdentifyZonedNamespace, lbafe) == 2816);
static_assert(offsetof(IdentifyZonedNamespace, vendor_specific) == 3840);

namespace ozcs {
inline constexpr uint16_t reads_across_zones = 1u << 0;
}  // namespace ozcs

// CNS 06h, CSI 02h.
struct IdentifyZonedController {
    uint8_t zasl = 0;  // 2 ^ value pages; 0: MDTS
    std::array<uint8_t, 4095> reserved1{};
};
static_assert(sizeof(IdentifyZonedController) == 4096);

}  // namespace weft::nvme
