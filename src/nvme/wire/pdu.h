// The PDUs of NVMe/TCP as they lie on the wire, and the rules that their headers keep.
//
// NVMe/TCP Transport 1.0: 3.6 "Transport Specific PDU Structures", 3.3 (padding, digests), 3.5 (errors).
// The structs are byte for byte what is sent: load<T>() and store() them, never cast in place.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>
#include <type_traits>
#include <variant>

#include "base/bytes.h"
#include "base/endian.h"
#include "nvme/command.h"

namespace weft::nvme::wire {

enum class PduType : uint8_t {
    ic_req = 0x00,
    ic_resp = 0x01,
    h2c_term_req = 0x02,
    c2h_term_req = 0x03,
    capsule_cmd = 0x04,
    capsule_resp = 0x05,
    h2c_data = 0x06,
    c2h_data = 0x07,
    r2t = 0x09,
};
std::string_view name_of(PduType type);  // "CapsuleCmd"; "reserved" for what is none

// FLAGS of the common header.
namespace pdu_flags {
inline constexpr uint8_t header_digest = 1u << 0;  // HDGSTF
inline constexpr uint8_t data_digest = 1u << 1;    // DDGSTF: CapsuleCmd, H2CData and C2HData with data
inline constexpr uint8_t last_pdu = 1u << 2;       // LAST_PDU: H2CData, C2HData
inline constexpr uint8_t success = 1u << 3;        // SUCCESS: C2HData; stands for a CapsuleResp
}  // namespace pdu_flags

// DGST of ICReq and ICResp.
namespace digest_bits {
inline constexpr uint8_t header = 1u << 0;  // HDGST_ENABLE
inline constexpr uint8_t data = 1u << 1;    // DDGST_ENABLE
}  // namespace digest_bits

inline constexpr uint32_t digest_size = 4;
inline constexpr uint32_t pdo_max = 128;          // the greatest alignment, (31 + 1) * 4
inline constexpr uint8_t data_alignment_max = 31; // HPDA and CPDA, 0's based, in dwords
inline constexpr uint32_t term_req_data_max = 128;
inline constexpr uint32_t maxh2cdata_min = 4096;

// Bytes of an HPDA or CPDA value.
constexpr uint32_t alignment_bytes(uint8_t data_alignment) { return (uint32_t{data_alignment} + 1) * 4; }

// The eight bytes that every PDU starts with (CH).
struct CommonHeader {
    PduType type{};
    uint8_t flags = 0;
    uint8_t hlen = 0;  // this header and the type's own fields, without the digest
    uint8_t pdo = 0;   // from the start of the PDU to the data; 0 when there is none
    le32 plen;         // everything, digests and padding included
};

// Initialize Connection Request, host to controller, the first PDU of a connection.
struct IcReq {
    CommonHeader ch{.type = PduType::ic_req, .hlen = 128, .plen = 128};
    le16 pfv;          // PDU format version, 0
    uint8_t hpda = 0;  // alignment of data towards the host, 0's based, in dwords
    uint8_t dgst = 0;
    le32 maxr2t;  // outstanding R2Ts per command, 0's based
    uint8_t reserved16[112]{};
};

// Initialize Connection Response.
struct IcResp {
    CommonHeader ch{.type = PduType::ic_resp, .hlen = 128, .plen = 128};
    le16 pfv;
    uint8_t cpda = 0;  // alignment of data towards the controller
    uint8_t dgst = 0;
    le32 maxh2cdata;  // bytes of data in an H2CData PDU, a multiple of 4
    uint8_t reserved16[112]{};
};

// H2CTermReq and C2HTermReq; up to 128 bytes of the offending header follow as data.
struct TermReq {
    CommonHeader ch;
    le16 fes;
    le32 fei;
    uint8_t reserved14[10]{};
};

struct CapsuleCmd {
    CommonHeader ch;
    Command sqe;
};

struct CapsuleResp {
    CommonHeader ch;
    Completion cqe;
};

struct H2cData {
    CommonHeader ch;
    le16 cccid;
    le16 ttag;
    le32 datao;
    le32 datal;
    uint8_t reserved20[4]{};
};

struct C2hData {
    CommonHeader ch;
    le16 cccid;
    le16 reserved10;
    le32 datao;
    le32 datal;
    uint8_t reserved20[4]{};
};

struct R2t {
    CommonHeader ch;
    le16 cccid;
    le16 ttag;
    le32 r2to;
    le32 r2tl;
    uint8_t reserved20[4]{};
};

static_assert(sizeof(CommonHeader) == 8 && alignof(CommonHeader) == 1 && offsetof(CommonHeader, plen) == 4);
static_assert(sizeof(IcReq) == 128 && offsetof(IcReq, pfv) == 8 && offsetof(IcReq, hpda) == 10);
static_assert(offsetof(IcReq, dgst) == 11 && offsetof(IcReq, maxr2t) == 12);
static_assert(sizeof(IcResp) == 128 && offsetof(IcResp, cpda) == 10 && offsetof(IcResp, maxh2cdata) == 12);
static_assert(sizeof(TermReq) == 24 && offsetof(TermReq, fes) == 8 && offsetof(TermReq, fei) == 10);
static_assert(sizeof(CapsuleCmd) == 72 && offsetof(CapsuleCmd, sqe) == 8);
static_assert(sizeof(CapsuleResp) == 24 && offsetof(CapsuleResp, cqe) == 8);
static_assert(sizeof(H2cData) == 24 && offsetof(H2cData, cccid) == 8 && offsetof(H2cData, ttag) == 10);
static_assert(offsetof(H2cData, datao) == 12 && offsetof(H2cData, datal) == 16);
static_assert(sizeof(C2hData) == 24 && offsetof(C2hData, datao) == 12 && offsetof(C2hData, datal) == 16);
static_assert(sizeof(R2t) == 24 && offsetof(R2t, r2to) == 12 && offsetof(R2t, r2tl) == 16);
static_assert(alignof(CapsuleCmd) == 1 && std::is_trivially_copyable_v<CapsuleCmd>);

// FES of a TermReq.
enum class FatalErrorStatus : uint16_t {
    invalid_header_field = 0x01,          // FEI: offset of the field
    pdu_sequence_error = 0x02,
    header_digest_error = 0x03,           // FEI: the digest that came
    data_transfer_out_of_range = 0x04,
    data_transfer_limit_exceeded = 0x05,  // in H2CTermReq: R2T Limit Exceeded
    unsupported_parameter = 0x06,         // FEI: offset of the parameter
};
std::string_view name_of(FatalErrorStatus status);

// What the peer did against the specification: what a TermReq says about it.
struct Violation {
    FatalErrorStatus status{};
    uint32_t field_information = 0;  // FEI

    friend constexpr bool operator==(const Violation&, const Violation&) = default;
};

constexpr Violation invalid_field(size_t offset) {
    return {FatalErrorStatus::invalid_header_field, static_cast<uint32_t>(offset)};
}

struct NeedBytes {
    size_t count = 0;  // in all, from the start
};

template <class T>
using Parsed = std::variant<T, NeedBytes, Violation>;

// Which end of the connection we are.
enum class End : uint8_t { controller, host };

// Where a type's data is counted, which decides how PLEN is checked.
enum class DataRule : uint8_t {
    none,        // PLEN is HLEN and the header digest
    capsule,     // CapsuleCmd: what lies from PDO to the end is data, and there may be none
    counted,     // H2CData, C2HData: DATAL counts it
    connection,  // ICReq, ICResp: no data, no digest, no flags
    term_req,    // everything after HLEN; no digest, no padding, no flags
};

// What a header of a type must look like to be read on. A type without a rule is refused.
struct PduRule {
    uint8_t hlen = 0;
    DataRule data = DataRule::none;
    uint32_t plen_min = 0;  // without digests
    uint32_t plen_max = 0;  // without digests; where data is `capsule` or `counted`, Negotiated decides

    [[nodiscard]] constexpr bool has_digests() const {
        return data != DataRule::connection && data != DataRule::term_req;
    }
};

inline constexpr size_t pdu_type_count = static_cast<size_t>(PduType::r2t) + 1;
using PduRules = std::array<PduRule, pdu_type_count>;  // by type; HLEN is 0 where there is no rule
extern const std::array<PduRules, 2> pdu_rules;        // by receiver

// The rule for `type` arriving at `receiver`, or nullptr when its peer may not send that.
inline const PduRule* find_rule(End receiver, PduType type) {
    const auto index = static_cast<size_t>(type);
    if (index >= pdu_type_count) return nullptr;
    const PduRule& rule = pdu_rules[static_cast<size_t>(receiver)][index];
    return rule.hlen != 0 ? &rule : nullptr;
}

// What was agreed in ICReq and ICResp, as far as headers depend on it; and the receiver's own limits.
struct Negotiated {
    bool header_digest = false;
    bool data_digest = false;
    uint8_t data_alignment = 0;  // of data that arrives here: CPDA at the controller, HPDA at the host
    uint32_t capsule_data_max = 0xFFFFFFFF;  // bytes of in-capsule data: IOCCSZ, or 8192 on an admin queue
    uint32_t data_max = 0xFFFFFFFF;          // DATAL: MAXH2CDATA at the controller

    // Whether PDUs have the same layout, whatever the limits.
    [[nodiscard]] constexpr bool is_framed_as(const Negotiated& other) const {
        return header_digest == other.header_digest && data_digest == other.data_digest &&
               data_alignment == other.data_alignment;
    }
};

// Bytes of the header with its digest.
constexpr uint32_t header_size(const PduRule& rule, const Negotiated& negotiated) {
    return rule.hlen + (negotiated.header_digest && rule.has_digests() ? digest_size : 0);
}

// The lowest PDO that keeps the alignment.
constexpr uint32_t smallest_pdo(uint32_t header_size, uint8_t data_alignment) {
    const uint32_t alignment = alignment_bytes(data_alignment);
    return (header_size + alignment - 1) / alignment * alignment;
}

// Whether the header says rightly how long it is: HDGSTF, HLEN, and a PLEN with room for it. If not,
// check_header() tells what is wrong.
inline bool is_framed(const CommonHeader& header, const PduRule& rule, const Negotiated& negotiated) {
    if (header.hlen != rule.hlen || header.plen < header_size(rule, negotiated)) return false;
    return !rule.has_digests() || ((header.flags & pdu_flags::header_digest) != 0) == negotiated.header_digest;
}

// Checks the common header: flags, HLEN, PDO, PLEN, in this order, so that the lowest offset wins.
std::optional<Violation> check_header(const CommonHeader& header, const PduRule& rule, const Negotiated& negotiated);

// How the bytes behind the header are laid out.
struct PduLayout {
    uint32_t padding = 0;      // between the header, or its digest, and the data
    uint32_t data_length = 0;
    bool data_digest = false;  // four bytes of digest follow the data
};

// Of a PDU whose common header passed check_header(). `header` is all of it. Here DATAL is checked: by
// itself, then PLEN against it.
Parsed<PduLayout> parse_layout(Bytes header, const PduRule& rule, End receiver, const Negotiated& negotiated);

// Fields of ICReq (PFV, HPDA) and of ICResp (PFV, CPDA, MAXH2CDATA).
Parsed<IcReq> parse_ic_req(Bytes bytes);
Parsed<IcResp> parse_ic_resp(Bytes bytes);

}  // namespace weft::nvme::wire
