// Identify Controller data (CNS 01h), and what the NVM command set adds (CNS 06h).
//
// NVMe Base 2.0, 5.17.2.1 "Identify Controller data structure", with the fields of 2.1 that a target
// fills; NVM Command Set 1.0, 4.1.5.2. Field names are the specification's.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

#include "base/endian.h"
#include "nvme/ascii.h"

namespace weft::nvme {

// NVMe Base 2.0, Figure 276.
struct PowerState {
    le16 mp;  // maximum power, in the unit that MXPS says
    uint8_t reserved2 = 0;
    uint8_t flags = 0;  // MXPS, NOPS
    le32 enlat;         // microseconds
    le32 exlat;
    uint8_t rrt = 0;
    uint8_t rrl = 0;
    uint8_t rwt = 0;
    uint8_t rwl = 0;
    le16 idlp;
    uint8_t ips = 0;  // scale in 7:6
    uint8_t reserved19 = 0;
    le16 actp;
    uint8_t apws = 0;  // workload in 2:0, scale in 7:6
    std::array<uint8_t, 9> reserved23{};

    static constexpr uint8_t mxps = 1u << 0;  // MP in 0.1 mW, else 10 mW
    static constexpr uint8_t nops = 1u << 1;  // non-operational
};
static_assert(sizeof(PowerState) == 32 && offsetof(PowerState, flags) == 3 && offsetof(PowerState, enlat) == 4);
static_assert(offsetof(PowerState, rrt) == 12 && offsetof(PowerState, idlp) == 16);
static_assert(offsetof(PowerState, actp) == 20);

// CNTRLTYPE.
enum class ControllerType : uint8_t { not_reported = 0, io = 1, discovery = 2, administrative = 3 };

// DCTYPE.
enum class DiscoveryControllerType : uint8_t { not_reported = 0, direct = 1, central = 2 };

struct IdentifyController {
    // Controller capabilities and features.
    le16 vid;
    le16 ssvid;
    std::array<char, 20> sn{};
    std::array<char, 40> mn{};
    std::array<char, 8> fr{};
    uint8_t rab = 0;
    std::array<uint8_t, 3> ieee{};  // OUI, lowest byte first
    uint8_t cmic = 0;
    uint8_t mdts = 0;  // 2 ^ value pages of CAP.MPSMIN; 0 is no limit
    le16 cntlid;
    le32 ver;    // as VS
    le32 rtd3r;  // microseconds
    le32 rtd3e;
    le32 oaes;  // async_event_bits
    le32 ctratt;
    le16 rrls;
    uint8_t bpcap = 0;
    uint8_t reserved103 = 0;
    le32 nssl;
    std::array<uint8_t, 2> reserved108{};
    uint8_t plsi = 0;
    ControllerType cntrltype{};
    std::array<uint8_t, 16> fguid{};
    le16 crdt1;  // in 100 ms
    le16 crdt2;
    le16 crdt3;
    uint8_t crcap = 0;
    std::array<uint8_t, 118> reserved135{};
    uint8_t nvmsr = 0;
    uint8_t vwci = 0;
    uint8_t mec = 0;

    // Admin command set attributes.
    le16 oacs;
    uint8_t acl = 0;   // 0's based
    uint8_t aerl = 0;  // 0's based
    uint8_t frmw = 0;
    uint8_t lpa = 0;
    uint8_t elpe = 0;  // 0's based
    uint8_t npss = 0;  // 0's based
    uint8_t avscc = 0;
    uint8_t apsta = 0;
    le16 wctemp;  // kelvin
    le16 cctemp;
    le16 mtfa;  // in 100 ms
    le32 hmpre;
    le32 hmmin;
    std::array<uint8_t, 16> tnvmcap{};
    std::array<uint8_t, 16> unvmcap{};
    le32 rpmbs;
    le16 edstt;
    uint8_t dsto = 0;
    uint8_t fwug = 0;
    le16 kas;  // granularity of KATO in 100 ms; 0 is no keep alive
    le16 hctma;
    le16 mntmt;
    le16 mxtmt;
    le32 sanicap;
    le32 hmminds;
    le16 hmmaxd;
    le16 nsetidmax;
    le16 endgidmax;
    uint8_t anatt = 0;  // seconds
    uint8_t anacap = 0;
    le32 anagrpmax;
    le32 nanagrpid;
    le32 pels;
    le16 domain_id;
    std::array<uint8_t, 10> reserved358{};
    std::array<uint8_t, 16> megcap{};
    std::array<uint8_t, 128> reserved384{};

    // NVM command set attributes.
    uint8_t sqes = 0;  // required in 3:0, largest in 7:4, powers of two
    uint8_t cqes = 0;
    le16 maxcmd;
    le32 nn;  // the highest NSID
    le16 oncs;
    le16 fuses;
    uint8_t fna = 0;
    uint8_t vwc = 0;
    le16 awun;   // 0's based
    le16 awupf;  // 0's based
    uint8_t nvscc = 0;  // ICSVSCC since 2.0
    uint8_t nwpc = 0;
    le16 acwu;  // 0's based
    le16 ocfs;  // copy descriptor formats; CDFS since 2.1
    le32 sgls;
    le32 mnan;
    std::array<uint8_t, 16> maxdna{};
    le32 maxcna;
    le32 oaqd;
    std::array<uint8_t, 200> reserved568{};
    std::array<char, 256> subnqn{};  // NUL terminated

    std::array<uint8_t, 768> reserved1024{};

    // NVMe over Fabrics attributes.
    le32 ioccsz;  // in 16 bytes: 4 and what in-capsule data takes
    le32 iorcsz;  // in 16 bytes: 1
    le16 icdoff;  // in 16 bytes
    uint8_t fcatt = 0;
    uint8_t msdbd = 0;
    le16 ofcs;
    DiscoveryControllerType dctype{};
    std::array<uint8_t, 241> reserved1807{};

    std::array<PowerState, 32> psd{};
    std::array<uint8_t, 1024> vendor_specific{};
};

static_assert(sizeof(IdentifyController) == 4096 && alignof(IdentifyController) == 1);
static_assert(offsetof(IdentifyController, sn) == 4 && offsetof(IdentifyController, mn) == 24);
static_assert(offsetof(IdentifyController, fr) == 64 && offsetof(IdentifyController, rab) == 72);
static_assert(offsetof(IdentifyController, ieee) == 73 && offsetof(IdentifyController, cmic) == 76);
static_assert(offsetof(IdentifyController, mdts) == 77 && offsetof(IdentifyController, cntlid) == 78);
static_assert(offsetof(IdentifyController, ver) == 80 && offsetof(IdentifyController, rtd3r) == 84);
static_assert(offsetof(IdentifyController, oaes) == 92 && offsetof(IdentifyController, ctratt) == 96);
static_assert(offsetof(IdentifyController, rrls) == 100 && offsetof(IdentifyController, nssl) == 104);
static_assert(offsetof(IdentifyController, plsi) == 110 && offsetof(IdentifyController, cntrltype) == 111);
static_assert(offsetof(IdentifyController, fguid) == 112 && offsetof(IdentifyController, crdt1) == 128);
static_assert(offsetof(IdentifyController, crdt3) == 132 && offsetof(IdentifyController, nvmsr) == 253);
static_assert(offsetof(IdentifyController, oacs) == 256 && offsetof(IdentifyController, acl) == 258);
static_assert(offsetof(IdentifyController, aerl) == 259 && offsetof(IdentifyController, frmw) == 260);
static_assert(offsetof(IdentifyController, lpa) == 261 && offsetof(IdentifyController, elpe) == 262);
static_assert(offsetof(IdentifyController, npss) == 263 && offsetof(IdentifyController, wctemp) == 266);
static_assert(offsetof(IdentifyController, cctemp) == 268 && offsetof(IdentifyController, mtfa) == 270);
static_assert(offsetof(IdentifyController, tnvmcap) == 280 && offsetof(IdentifyController, rpmbs) == 312);
static_assert(offsetof(IdentifyController, fwug) == 319 && offsetof(IdentifyController, kas) == 320);
static_assert(offsetof(IdentifyController, sanicap) == 328 && offsetof(IdentifyController, anatt) == 342);
static_assert(offsetof(IdentifyController, anacap) == 343 && offsetof(IdentifyController, anagrpmax) == 344);
static_assert(offsetof(IdentifyController, nanagrpid) == 348 && offsetof(IdentifyController, domain_id) == 356);
static_assert(offsetof(IdentifyController, megcap) == 368 && offsetof(IdentifyController, sqes) == 512);
static_assert(offsetof(IdentifyController, cqes) == 513 && offsetof(IdentifyController, maxcmd) == 514);
static_assert(offsetof(IdentifyController, nn) == 516 && offsetof(IdentifyController, oncs) == 520);
static_assert(offsetof(IdentifyController, fuses) == 522 && offsetof(IdentifyController, fna) == 524);
static_assert(offsetof(IdentifyController, vwc) == 525 && offsetof(IdentifyController, awun) == 526);
static_assert(offsetof(IdentifyController, awupf) == 528 && offsetof(IdentifyController, nvscc) == 530);
static_assert(offsetof(IdentifyController, nwpc) == 531 && offsetof(IdentifyController, acwu) == 532);
static_assert(offsetof(IdentifyController, ocfs) == 534 && offsetof(IdentifyController, sgls) == 536);
static_assert(offsetof(IdentifyController, mnan) == 540 && offsetof(IdentifyController, maxcna) == 560);
static_assert(offsetof(IdentifyController, subnqn) == 768 && offsetof(IdentifyController, ioccsz) == 1792);
static_assert(offsetof(IdentifyController, iorcsz) == 1796 && offsetof(IdentifyController, icdoff) == 1800);
static_assert(offsetof(IdentifyController, fcatt) == 1802 && offsetof(IdentifyController, msdbd) == 1803);
static_assert(offsetof(IdentifyController, ofcs) == 1804 && offsetof(IdentifyController, dctype) == 1806);
static_assert(offsetof(IdentifyController, psd) == 2048 && offsetof(IdentifyController, vendor_specific) == 3072);

namespace cmic {
inline constexpr uint8_t multiple_ports = 1u << 0;
inline constexpr uint8_t multiple_controllers = 1u << 1;
inline constexpr uint8_t virtual_function = 1u << 2;
inline constexpr uint8_t ana_reporting = 1u << 3;
}  // namespace cmic

namespace ctratt {
inline constexpr uint32_t host_identifier_128 = 1u << 0;  // HIDS
inline constexpr uint32_t nvm_sets = 1u << 2;
inline constexpr uint32_t endurance_groups = 1u << 4;
inline constexpr uint32_t traffic_based_keep_alive = 1u << 6;  // TBKAS
inline constexpr uint32_t namespace_granularity = 1u << 7;
inline constexpr uint32_t uuid_list = 1u << 9;
inline constexpr uint32_t extended_lba_formats = 1u << 15;  // ELBAS
inline constexpr uint32_t mdts_excludes_metadata = 1u << 16;  // MEM
inline constexpr uint32_t flexible_data_placement = 1u << 19;  // FDPS
}  // namespace ctratt

namespace oacs {
inline constexpr uint16_t security = 1u << 0;
inline constexpr uint16_t format_nvm = 1u << 1;
inline constexpr uint16_t firmware = 1u << 2;
inline constexpr uint16_t namespace_management = 1u << 3;
inline constexpr uint16_t device_self_test = 1u << 4;
inline constexpr uint16_t directives = 1u << 5;
inline constexpr uint16_t nvme_mi = 1u << 6;
inline constexpr uint16_t virtualization = 1u << 7;
inline constexpr uint16_t doorbell_buffer_config = 1u << 8;
inline constexpr uint16_t get_lba_status = 1u << 9;
inline constexpr uint16_t lockdown = 1u << 10;
}  // namespace oacs

namespace frmw {
inline constexpr uint8_t slot1_read_only = 1u << 0;
inline constexpr uint8_t one_slot = 1u << 1;  // number of slots in 3:1
inline constexpr uint8_t activation_without_reset = 1u << 4;
}  // namespace frmw

namespace lpa {
inline constexpr uint8_t smart_per_namespace = 1u << 0;
inline constexpr uint8_t commands_supported_and_effects = 1u << 1;
inline constexpr uint8_t extended_data = 1u << 2;  // LPO and 32-bit NUMD
inline constexpr uint8_t telemetry = 1u << 3;
inline constexpr uint8_t persistent_event = 1u << 4;
inline constexpr uint8_t supported_log_pages = 1u << 5;  // MLPS: pages 00h, 05h, 12h, 13h
}  // namespace lpa

namespace anacap {
inline constexpr uint8_t optimized = 1u << 0;
inline constexpr uint8_t non_optimized = 1u << 1;
inline constexpr uint8_t inaccessible = 1u << 2;
inline constexpr uint8_t persistent_loss = 1u << 3;
inline constexpr uint8_t change = 1u << 4;
inline constexpr uint8_t anagrpid_is_constant = 1u << 6;
inline constexpr uint8_t anagrpid_settable = 1u << 7;  // by Namespace Management
}  // namespace anacap

namespace oncs {
inline constexpr uint16_t compare = 1u << 0;
inline constexpr uint16_t write_uncorrectable = 1u << 1;
inline constexpr uint16_t dataset_management = 1u << 2;
inline constexpr uint16_t write_zeroes = 1u << 3;
inline constexpr uint16_t save_and_select = 1u << 4;
inline constexpr uint16_t reservations = 1u << 5;
inline constexpr uint16_t timestamp = 1u << 6;
inline constexpr uint16_t verify = 1u << 7;
inline constexpr uint16_t copy = 1u << 8;
}  // namespace oncs

namespace fuses {
inline constexpr uint16_t compare_and_write = 1u << 0;
}  // namespace fuses

namespace fna {
inline constexpr uint8_t format_is_for_all = 1u << 0;
inline constexpr uint8_t erase_is_for_all = 1u << 1;
inline constexpr uint8_t cryptographic_erase = 1u << 2;
}  // namespace fna

namespace vwc {
inline constexpr uint8_t present = 1u << 0;
inline constexpr uint8_t no_broadcast_flush = 2u << 1;  // NSID FFFFFFFFh fails
inline constexpr uint8_t broadcast_flush = 3u << 1;
}  // namespace vwc

namespace sgls {
inline constexpr uint32_t supported = 1u << 0;  // any alignment
inline constexpr uint32_t supported_dword_aligned = 2u << 0;
inline constexpr uint32_t keyed = 1u << 2;
inline constexpr uint32_t bit_bucket = 1u << 16;
inline constexpr uint32_t oversized = 1u << 18;
inline constexpr uint32_t offset = 1u << 20;  // in-capsule data by offset
inline constexpr uint32_t transport = 1u << 21;  // transport data block descriptor
}  // namespace sgls

namespace fcatt {
inline constexpr uint8_t static_controllers = 1u << 0;
}  // namespace fcatt

namespace copy_formats {
inline constexpr uint16_t format_0 = 1u << 0;
inline constexpr uint16_t format_1 = 1u << 1;
}  // namespace copy_formats

namespace ofcs {
inline constexpr uint16_t disconnect = 1u << 0;
}  // namespace ofcs

// CNS 06h, CSI 00h.
struct IdentifyNvmController {
    uint8_t vsl = 0;   // 2 ^ value pages; 0 is no limit
    uint8_t wzsl = 0;  // 2 ^ value pages; 0 is no limit
    uint8_t wusl = 0;
    uint8_t dmrl = 0;  // ranges a command; 0 is no limit
    le32 dmrsl;        // blocks a range
    le64 dmsl;         // blocks a command
    std::array<uint8_t, 4080> reserved16{};
};
static_assert(sizeof(IdentifyNvmController) == 4096 && offsetof(IdentifyNvmController, dmrsl) == 4);
static_assert(offsetof(IdentifyNvmController, dmsl) == 8);

}  // namespace weft::nvme
