// Identify Namespace data: CNS 00h, the parts of 05h and 08h, and the descriptors of 03h.
//
// NVM Command Set 1.0, 4.1.5.1 (CNS 00h) and 4.1.5.3 (05h); NVMe Base 2.0, 5.17.2.3 (03h), 5.17.2.8 (08h).
// Field names are the specification's.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

#include "base/endian.h"

namespace weft::nvme {

struct LbaFormat {
    le16 ms;            // metadata bytes a block
    uint8_t lbads = 0;  // 2 ^ value bytes of data
    uint8_t rp = 0;     // relative performance, 0 is best
};
static_assert(sizeof(LbaFormat) == 4);

// CNS 00h.
struct IdentifyNamespace {
    le64 nsze;
    le64 ncap;
    le64 nuse;
    uint8_t nsfeat = 0;
    uint8_t nlbaf = 0;  // 0's based
    uint8_t flbas = 0;  // format in 3:0 and 6:5; bit 4: metadata lies behind each block's data
    uint8_t mc = 0;
    uint8_t dpc = 0;
    uint8_t dps = 0;
    uint8_t nmic = 0;
    uint8_t rescap = 0;
    uint8_t fpi = 0;
    uint8_t dlfeat = 0;
    le16 nawun;  // 0's based
    le16 nawupf;
    le16 nacwu;
    le16 nabsn;
    le16 nabo;
    le16 nabspf;
    le16 noiob;  // blocks
    std::array<uint8_t, 16> nvmcap{};
    le16 npwg;  // this and the next four: 0's based, blocks
    le16 npwa;
    le16 npdg;
    le16 npda;
    le16 nows;
    le16 mssrl;
    le32 mcl;
    uint8_t msrc = 0;  // 0's based
    uint8_t kpios = 0;
    uint8_t nulbaf = 0;
    std::array<uint8_t, 9> reserved83{};
    le32 anagrpid;
    std::array<uint8_t, 3> reserved96{};
    uint8_t nsattr = 0;
    le16 nvmsetid;
    le16 endgid;
    std::array<uint8_t, 16> nguid{};
    std::array<uint8_t, 8> eui64{};
    std::array<LbaFormat, 64> lbaf{};
    std::array<uint8_t, 3712> vendor_specific{};
};

static_assert(sizeof(IdentifyNamespace) == 4096 && alignof(IdentifyNamespace) == 1);
static_assert(offsetof(IdentifyNamespace, nsfeat) == 24 && offsetof(IdentifyNamespace, nlbaf) == 25);
static_assert(offsetof(IdentifyNamespace, flbas) == 26 && offsetof(IdentifyNamespace, mc) == 27);
static_assert(offsetof(IdentifyNamespace, dpc) == 28 && offsetof(IdentifyNamespace, dps) == 29);
static_assert(offsetof(IdentifyNamespace, nmic) == 30 && offsetof(IdentifyNamespace, rescap) == 31);
static_assert(offsetof(IdentifyNamespace, fpi) == 32 && offsetof(IdentifyNamespace, dlfeat) == 33);
static_assert(offsetof(IdentifyNamespace, nawun) == 34 && offsetof(IdentifyNamespace, nacwu) == 38);
static_assert(offsetof(IdentifyNamespace, noiob) == 46 && offsetof(IdentifyNamespace, nvmcap) == 48);
static_assert(offsetof(IdentifyNamespace, npwg) == 64 && offsetof(IdentifyNamespace, nows) == 72);
static_assert(offsetof(IdentifyNamespace, mssrl) == 74 && offsetof(IdentifyNamespace, mcl) == 76);
static_assert(offsetof(IdentifyNamespace, msrc) == 80 && offsetof(IdentifyNamespace, anagrpid) == 92);
static_assert(offsetof(IdentifyNamespace, nsattr) == 99 && offsetof(IdentifyNamespace, nvmsetid) == 100);
static_assert(offsetof(IdentifyNamespace, endgid) == 102 && offsetof(IdentifyNamespace, nguid) == 104);
static_assert(offsetof(IdentifyNamespace, eui64) == 120 && offsetof(IdentifyNamespace, lbaf) == 128);
static_assert(offsetof(IdentifyNamespace, vendor_specific) == 384);

namespace nsfeat {
inline constexpr uint8_t thin_provisioning = 1u << 0;   // THINP
inline constexpr uint8_t atomic_fields = 1u << 1;       // NSABP: NAWUN, NAWUPF, NACWU are set
inline constexpr uint8_t deallocated_error = 1u << 2;   // DAE
inline constexpr uint8_t ids_never_reused = 1u << 3;    // UIDREUSE
inline constexpr uint8_t optimal_performance = 1u << 4; // OPTPERF: NPWG to NOWS are set
}  // namespace nsfeat

namespace flbas {
inline constexpr uint8_t format_low = 0xF;
inline constexpr uint8_t extended = 1u << 4;
}  // namespace flbas

namespace nmic {
inline constexpr uint8_t shared = 1u << 0;
}  // namespace nmic

namespace rescap {
inline constexpr uint8_t persist_through_power_loss = 1u << 0;
inline constexpr uint8_t write_exclusive = 1u << 1;
inline constexpr uint8_t exclusive_access = 1u << 2;
inline constexpr uint8_t write_exclusive_registrants_only = 1u << 3;
inline constexpr uint8_t exclusive_access_registrants_only = 1u << 4;
inline constexpr uint8_t write_exclusive_all_registrants = 1u << 5;
inline constexpr uint8_t exclusive_access_all_registrants = 1u << 6;
inline constexpr uint8_t ignore_existing_key_1_3 = 1u << 7;  // IEKEY as since revision 1.3
}  // namespace rescap

namespace dlfeat {
inline constexpr uint8_t reads_zeroes = 1u;  // 2:0: deallocated blocks read as 00h; 2 is FFh
inline constexpr uint8_t write_zeroes_deallocates = 1u << 3;
inline constexpr uint8_t guard_is_crc = 1u << 4;
}  // namespace dlfeat

namespace mc {
inline constexpr uint8_t extended = 1u << 0;  // metadata behind each block's data
inline constexpr uint8_t separate = 1u << 1;
}  // namespace mc

namespace dpc {  // 2:0: types 1 to 3
inline constexpr uint8_t first_bytes = 1u << 3;
inline constexpr uint8_t last_bytes = 1u << 4;
}  // namespace dpc

namespace dps {
inline constexpr uint8_t type = 0x7;  // 2:0, 0 is none
inline constexpr uint8_t first_bytes = 1u << 3;
}  // namespace dps

namespace nsattr {
inline constexpr uint8_t write_protected = 1u << 0;
}  // namespace nsattr

// CNS 05h, CSI 00h.
struct IdentifyNvmNamespace {
    le64 lbstm;
    uint8_t pic = 0;
    std::array<uint8_t, 3> reserved9{};
    std::array<le32, 64> elbaf{};  // storage tag size in 6:0, protection information format in 8:7
    std::array<uint8_t, 3828> reserved268{};
};
namespace pic {
inline constexpr uint8_t storage_tag_check_read = 1u << 2;  // STCRS
}
namespace elbaf {
inline constexpr uint32_t format_shift = 7;  // PIF, above STS
}
static_assert(sizeof(IdentifyNvmNamespace) == 4096 && offsetof(IdentifyNvmNamespace, elbaf) == 12);

// CNS 08h.
struct IdentifyIndependentNamespace {
    uint8_t nsfeat = 0;  // bit 3 as in CNS 00h; see independent_nsfeat
    uint8_t nmic = 0;
    uint8_t rescap = 0;
    uint8_t fpi = 0;
    le32 anagrpid;
    uint8_t nsattr = 0;
    uint8_t reserved9 = 0;
    le16 nvmsetid;
    le16 endgid;
    uint8_t nstat = 0;
    uint8_t kpios = 0;
    le16 maxkt;
    std::array<uint8_t, 2> reserved18{};
    le32 rgrpid;
    std::array<uint8_t, 4072> reserved24{};
};
static_assert(sizeof(IdentifyIndependentNamespace) == 4096);
static_assert(offsetof(IdentifyIndependentNamespace, anagrpid) == 4);
static_assert(offsetof(IdentifyIndependentNamespace, nsattr) == 8);
static_assert(offsetof(IdentifyIndependentNamespace, nvmsetid) == 10);
static_assert(offsetof(IdentifyIndependentNamespace, nstat) == 14);

namespace independent_nsfeat {
inline constexpr uint8_t ids_never_reused = 1u << 3;
inline constexpr uint8_t rotational = 1u << 4;             // RMEDIA
inline constexpr uint8_t no_volatile_write_cache = 1u << 5;  // VWCNP
}  // namespace independent_nsfeat

namespace nstat {
inline constexpr uint8_t ready = 1u << 0;
}  // namespace nstat

// CNS 03h: entries of four bytes and their identifier, one after another; a NIDT of 0 ends the list.
enum class NamespaceIdType : uint8_t {
    eui64 = 1,  // 8 bytes
    nguid = 2,  // 16 bytes
    uuid = 3,   // 16 bytes
    csi = 4,    // 1 byte
};

struct NamespaceDescriptor {
    NamespaceIdType nidt{};
    uint8_t nidl = 0;
    std::array<uint8_t, 2> reserved2{};
};
static_assert(sizeof(NamespaceDescriptor) == 4);

}  // namespace weft::nvme
