// The discovery log page, which tells a host where subsystems are.
//
// NVMe Base 2.0, 5.16.1.23 "Discovery (Log Identifier 70h)"; TSAS of TCP: NVMe/TCP 1.0, 3.1.1; RDMA: NVMe/RDMA 1.0.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

#include "base/endian.h"
#include "nvme/fabrics.h"

namespace weft::nvme {

// SUBTYPE.
enum class SubsystemType : uint8_t {
    referral = 1,           // another discovery service
    nvm = 2,
    current_discovery = 3,  // the discovery subsystem that answers
};

struct DiscoveryLogHeader {
    le64 genctr;
    le64 numrec;
    le16 recfmt;
    uint8_t dlpf = 0;  // discovery log page flags
    uint8_t reserved19 = 0;
    le32 tdlpl;  // total length in bytes, with extended entries only
    std::array<uint8_t, 1000> reserved24{};

    static constexpr uint8_t extended = 1u << 0;  // DLPF: the entries are extended ones
};
static_assert(sizeof(DiscoveryLogHeader) == 1024 && offsetof(DiscoveryLogHeader, recfmt) == 16);
static_assert(offsetof(DiscoveryLogHeader, tdlpl) == 20);

// Transport specific address subtype, 256 bytes: of TCP the first says how it is secured, of RDMA three
// say what kind it is.
enum class TcpSecurityType : uint8_t { none = 0, tls_1_2 = 1, tls_1_3 = 2 };

struct DiscoveryLogEntry {
    TransportType trtype{};
    AddressFamily adrfam{};
    SubsystemType subtype{};
    uint8_t treq = 0;
    le16 portid;
    le16 cntlid;
    le16 asqsz;
    le16 eflags;
    std::array<uint8_t, 20> reserved12{};
    std::array<char, 32> trsvcid{};  // ASCII, padded with spaces
    std::array<uint8_t, 192> reserved64{};
    std::array<char, 256> subnqn{};  // UTF-8, NUL terminated
    std::array<char, 256> traddr{};  // ASCII, padded with spaces
    std::array<uint8_t, 256> tsas{};

    // TREQ.
    static constexpr uint8_t secure_channel_not_specified = 0;
    static constexpr uint8_t secure_channel_required = 1;
    static constexpr uint8_t secure_channel_not_required = 2;
    static constexpr uint8_t sq_flow_control_disable = 1u << 2;  // may be disabled

    // EFLAGS.
    static constexpr uint16_t duplicate_returned_information = 1u << 0;  // DUPRETINFO
    static constexpr uint16_t explicit_persistent_connection = 1u << 1;  // EPCSD
};
static_assert(sizeof(DiscoveryLogEntry) == 1024 && offsetof(DiscoveryLogEntry, portid) == 4);
static_assert(offsetof(DiscoveryLogEntry, asqsz) == 8 && offsetof(DiscoveryLogEntry, eflags) == 10);
static_assert(offsetof(DiscoveryLogEntry, trsvcid) == 32 && offsetof(DiscoveryLogEntry, subnqn) == 256);
static_assert(offsetof(DiscoveryLogEntry, traddr) == 512 && offsetof(DiscoveryLogEntry, tsas) == 768);

// Behind an entry of an extended log: how long both and the attributes are, and how many of these follow.
struct ExtendedDiscoveryHeader {
    le32 tel;
    le16 numexat;
    le16 reserved6;
};
static_assert(sizeof(ExtendedDiscoveryHeader) == 8);

struct ExtendedAttribute {
    static constexpr uint16_t admin_label = 0x02;  // ASCII
    le16 type;
    le16 length;  // of the value that follows: a multiple of 4, not 0
};
static_assert(sizeof(ExtendedAttribute) == 4);

// Log specific parameters of LID 70h in the log of supported pages (Figure 197): what of LSP may be asked.
inline constexpr uint32_t discovery_supports_extended = 1u << 16;
inline constexpr uint32_t discovery_supports_port_local = 1u << 17;
inline constexpr uint32_t discovery_supports_all = 1u << 18;

// The smallest admin submission queue that a discovery entry may name (NVMe Base 2.0, ASQSZ).
inline constexpr uint16_t admin_queue_size_min = 32;

// LSP of Get Log Page.
inline constexpr uint8_t discovery_lsp_extended = 1u << 0;    // EXTDLPE
inline constexpr uint8_t discovery_lsp_port_local = 1u << 1;  // PLEO
inline constexpr uint8_t discovery_lsp_all = 1u << 2;         // ALLSUBE

}  // namespace weft::nvme
