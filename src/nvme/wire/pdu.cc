#include "nvme/wire/pdu.h"

namespace weft::nvme::wire {

namespace {

constexpr uint32_t any_length = 0xFFFFFFFF;

struct TypeRule {
    PduType type{};
    PduRule rule;
};

// clang-format off
constexpr TypeRule controller_rules[] = {  // what a host may send
    // type                   HLEN  data                    PLEN from, to
    {PduType::ic_req,        {128,  DataRule::connection,   128, 128}},
    {PduType::h2c_term_req,  {24,   DataRule::term_req,     24,  152}},
    {PduType::capsule_cmd,   {72,   DataRule::capsule,      72,  any_length}},
    {PduType::h2c_data,      {24,   DataRule::counted,      24,  any_length}},
};

constexpr TypeRule host_rules[] = {  // what a controller may send
    {PduType::ic_resp,       {128,  DataRule::connection,   128, 128}},
    {PduType::c2h_term_req,  {24,   DataRule::term_req,     24,  152}},
    {PduType::capsule_resp,  {24,   DataRule::none,         24,  24}},
    {PduType::c2h_data,      {24,   DataRule::counted,      24,  any_length}},
    {PduType::r2t,           {24,   DataRule::none,         24,  24}},
};
// clang-format on

template <size_t count>
constexpr PduRules by_type(const TypeRule (&rules)[count]) {
    PduRules table{};
    for (const TypeRule& entry : rules) table[static_cast<size_t>(entry.type)] = entry.rule;
    return table;
}

std::optional<Violation> check_flags(const CommonHeader& header, const Negotiated& negotiated, bool may_have_data,
                                     bool has_data) {
    // NVMe/TCP 1.0, 3.3.1.1: a digest is there exactly when it was negotiated. DDGSTF says nothing
    // where there is no data.
    const bool header_digest = (header.flags & pdu_flags::header_digest) != 0;
    if (header_digest != negotiated.header_digest) return invalid_field(offsetof(CommonHeader, flags));
    if (!may_have_data) return std::nullopt;
    const bool data_digest = (header.flags & pdu_flags::data_digest) != 0;
    const bool is_missing = negotiated.data_digest && has_data && !data_digest;
    const bool is_uncalled_for = data_digest && !negotiated.data_digest;
    if (is_missing || is_uncalled_for) return invalid_field(offsetof(CommonHeader, flags));
    return std::nullopt;
}

// Whether data could start there, were PLEN long enough.
bool is_pdo_right(uint32_t pdo, uint32_t header_end, const Negotiated& negotiated) {
    if (pdo == header_end && negotiated.data_alignment == 0) return true;  // nearly always
    if (pdo < header_end) return false;
    const uint32_t alignment = alignment_bytes(negotiated.data_alignment);
    if (pdo % alignment != 0) return false;
    // An alignment that is no divisor of 128 can push the first place for data beyond 128.
    return pdo <= pdo_max || pdo == smallest_pdo(header_end, negotiated.data_alignment);
}

std::optional<Violation> check_pdo(const CommonHeader& header, uint32_t header_end, const Negotiated& negotiated) {
    const uint32_t plen = header.plen;
    if (plen > header_end) {
        if (is_pdo_right(header.pdo, header_end, negotiated) && header.pdo < plen) return std::nullopt;
        return invalid_field(offsetof(CommonHeader, pdo));
    }
    // Without data PDO is of no use and is not looked at, but for values that no PDU may have.
    if (header.pdo > pdo_max && !is_pdo_right(header.pdo, header_end, negotiated)) {
        return invalid_field(offsetof(CommonHeader, pdo));
    }
    return std::nullopt;
}

bool is_plen_right(const CommonHeader& header, const PduRule& rule, uint32_t header_end, const Negotiated& negotiated) {
    const uint32_t plen = header.plen;
    const uint32_t data_digest = negotiated.data_digest ? digest_size : 0;
    switch (rule.data) {
        case DataRule::none: return plen == header_end;
        case DataRule::connection:
        case DataRule::term_req: return plen >= rule.plen_min && plen <= rule.plen_max;
        case DataRule::capsule:
            if (plen <= header_end) return plen == header_end;
            // check_pdo() saw to it that PDO is less than PLEN.
            return plen - header.pdo > data_digest && plen - header.pdo - data_digest <= negotiated.capsule_data_max;
        case DataRule::counted: return plen >= header_end;  // parse_layout() knows DATAL
    }
    return false;
}

}  // namespace

static_assert(static_cast<size_t>(End::controller) == 0 && static_cast<size_t>(End::host) == 1);
constexpr std::array<PduRules, 2> pdu_rules = {by_type(controller_rules), by_type(host_rules)};

std::string_view name_of(PduType type) {
    switch (type) {
        case PduType::ic_req: return "ICReq";
        case PduType::ic_resp: return "ICResp";
        case PduType::h2c_term_req: return "H2CTermReq";
        case PduType::c2h_term_req: return "C2HTermReq";
        case PduType::capsule_cmd: return "CapsuleCmd";
        case PduType::capsule_resp: return "CapsuleResp";
        case PduType::h2c_data: return "H2CData";
        case PduType::c2h_data: return "C2HData";
        case PduType::r2t: return "R2T";
    }
    return "reserved";
}

std::string_view name_of(FatalErrorStatus status) {
    switch (status) {
        case FatalErrorStatus::invalid_header_field: return "Invalid PDU Header Field";
        case FatalErrorStatus::pdu_sequence_error: return "PDU Sequence Error";
        case FatalErrorStatus::header_digest_error: return "Header Digest Error";
        case FatalErrorStatus::data_transfer_out_of_range: return "Data Transfer Out of Range";
        case FatalErrorStatus::data_transfer_limit_exceeded: return "Data Transfer Limit Exceeded";
        case FatalErrorStatus::unsupported_parameter: return "Unsupported Parameter";
    }
    return "reserved";
}

std::optional<Violation> check_header(const CommonHeader& header, const PduRule& rule, const Negotiated& negotiated) {
    const uint32_t header_end = header_size(rule, negotiated);
    const bool may_have_data = rule.data == DataRule::capsule || rule.data == DataRule::counted;
    if (rule.has_digests()) {
        const bool has_data = header.plen > header_end;
        if (const auto violation = check_flags(header, negotiated, may_have_data, has_data)) return violation;
    }
    if (header.hlen != rule.hlen) return invalid_field(offsetof(CommonHeader, hlen));
    // A length that no PDO could make right is what is wrong, though PDO stands before it.
    if (rule.data == DataRule::capsule && header.plen > uint64_t{pdo_max} + negotiated.capsule_data_max + digest_size) {
        return invalid_field(offsetof(CommonHeader, plen));
    }
    if (may_have_data) {
        if (const auto violation = check_pdo(header, header_end, negotiated)) return violation;
    }
    if (!is_plen_right(header, rule, header_end, negotiated)) {
        return invalid_field(offsetof(CommonHeader, plen));
    }
    return std::nullopt;
}

Parsed<PduLayout> parse_layout(Bytes header, const PduRule& rule, End receiver, const Negotiated& negotiated) {
    if (header.size() < rule.hlen) return NeedBytes{rule.hlen};
    const auto common = load<CommonHeader>(header);
    const uint32_t plen = common.plen;
    const uint32_t header_end = header_size(rule, negotiated);
    if (rule.data == DataRule::term_req) return PduLayout{.data_length = plen - header_end};
    const bool has_data = plen > header_end;
    const uint32_t data_digest = has_data && negotiated.data_digest ? digest_size : 0;
    const uint32_t data_and_digest = has_data ? plen - common.pdo : 0;

    if (rule.data == DataRule::counted) {
        static_assert(offsetof(H2cData, datal) == offsetof(C2hData, datal));
        const uint32_t datal = load<le32>(header.subspan(offsetof(H2cData, datal)));
        // Hosts send dwords (3.6.2.8), and something. Controllers are taken at their word.
        if (receiver == End::controller && (datal % 4 != 0 || datal == 0)) {
            return invalid_field(offsetof(H2cData, datal));
        }
        if (datal > negotiated.data_max) {
            return Violation{receiver == End::controller ? FatalErrorStatus::data_transfer_limit_exceeded
                                                         : FatalErrorStatus::data_transfer_out_of_range};
        }
        if (uint64_t{datal} + data_digest != data_and_digest) return invalid_field(offsetof(CommonHeader, plen));
    }
    if (!has_data) return PduLayout{};
    return PduLayout{.padding = common.pdo - header_end,
                     .data_length = data_and_digest - data_digest,
                     .data_digest = data_digest != 0};
}

Parsed<IcReq> parse_ic_req(Bytes bytes) {
    if (bytes.size() < sizeof(IcReq)) return NeedBytes{sizeof(IcReq)};
    const auto request = load<IcReq>(bytes);
    if (request.pfv != 0) return invalid_field(offsetof(IcReq, pfv));
    if (request.hpda > data_alignment_max) return invalid_field(offsetof(IcReq, hpda));
    return request;
}

Parsed<IcResp> parse_ic_resp(Bytes bytes) {
    if (bytes.size() < sizeof(IcResp)) return NeedBytes{sizeof(IcResp)};
    const auto response = load<IcResp>(bytes);
    if (response.pfv != 0) return invalid_field(offsetof(IcResp, pfv));
    if (response.cpda > data_alignment_max) return invalid_field(offsetof(IcResp, cpda));
    if (response.maxh2cdata < maxh2cdata_min || response.maxh2cdata % 4 != 0) {
        return invalid_field(offsetof(IcResp, maxh2cdata));
    }
    return response;
}

}  // namespace weft::nvme::wire
