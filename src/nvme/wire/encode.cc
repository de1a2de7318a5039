#include "nvme/wire/encode.h"

#include <algorithm>

namespace weft::nvme::wire {

namespace {

// Fills in the common header of `pdu`, which is followed by `data_size` bytes of data, and writes it,
// its digest and the padding.
template <class Pdu>
size_t encode(MutableBytes out, Pdu pdu, PduType type, uint8_t flags, uint32_t data_size, const Framing& framing) {
    const uint32_t header_end = static_cast<uint32_t>(sizeof(Pdu)) + (framing.header_digest ? digest_size : 0);
    const uint32_t pdo = data_size != 0 ? smallest_pdo(header_end, framing.data_alignment) : 0;
    const bool data_digest = has_data_digest(framing, data_size);
    const uint32_t behind_header = data_size != 0 ? pdo - header_end + data_size + (data_digest ? digest_size : 0) : 0;

    WEFT_ASSERT(out.size() >= std::max(pdo, header_end));
    pdu.ch.type = type;
    pdu.ch.flags = static_cast<uint8_t>(flags | (framing.header_digest ? pdu_flags::header_digest : 0) |
                                        (data_digest ? pdu_flags::data_digest : 0));
    pdu.ch.hlen = sizeof(Pdu);
    pdu.ch.pdo = static_cast<uint8_t>(pdo);
    pdu.ch.plen = header_end + behind_header;
    store(out, pdu);
    if (framing.header_digest) store(out.subspan(sizeof(Pdu)), le32(crc32c(out.first(sizeof(Pdu)))));
    if (data_size == 0) return header_end;
    std::ranges::fill(out.subspan(header_end, pdo - header_end), std::byte{0});
    return pdo;
}

uint8_t digest_flags(const IcFields& fields) {
    return static_cast<uint8_t>((fields.header_digest ? digest_bits::header : 0) |
                                (fields.data_digest ? digest_bits::data : 0));
}

}  // namespace

size_t encode_ic_req(MutableBytes out, const IcFields& fields) {
    WEFT_ASSERT(fields.data_alignment <= data_alignment_max);
    IcReq request;
    request.hpda = fields.data_alignment;
    request.dgst = digest_flags(fields);
    request.maxr2t = fields.limit;
    store(out, request);
    return sizeof(request);
}

size_t encode_ic_resp(MutableBytes out, const IcFields& fields) {
    WEFT_ASSERT(fields.data_alignment <= data_alignment_max);
    WEFT_ASSERT(fields.limit >= maxh2cdata_min && fields.limit % 4 == 0);
    IcResp response;
    response.cpda = fields.data_alignment;
    response.dgst = digest_flags(fields);
    response.maxh2cdata = fields.limit;
    store(out, response);
    return sizeof(response);
}

size_t encode_term_req(MutableBytes out, End sender, const Violation& violation, Bytes offending_header) {
    const Bytes copy = offending_header.first(std::min<size_t>(offending_header.size(), term_req_data_max));
    TermReq request;
    request.ch.type = sender == End::controller ? PduType::c2h_term_req : PduType::h2c_term_req;
    request.ch.hlen = sizeof(TermReq);
    request.ch.plen = static_cast<uint32_t>(sizeof(TermReq) + copy.size());
    request.fes = static_cast<uint16_t>(violation.status);
    request.fei = violation.field_information;
    WEFT_ASSERT(out.size() >= sizeof(TermReq) + copy.size());
    store(out, request);
    std::ranges::copy(copy, out.subspan(sizeof(TermReq)).begin());
    return sizeof(TermReq) + copy.size();
}

size_t encode_capsule_cmd(MutableBytes out, const Command& command, uint32_t in_capsule_size, const Framing& framing) {
    return encode(out, CapsuleCmd{.sqe = command}, PduType::capsule_cmd, 0, in_capsule_size, framing);
}

size_t encode_capsule_resp(MutableBytes out, const Completion& completion, const Framing& framing) {
    return encode(out, CapsuleResp{.cqe = completion}, PduType::capsule_resp, 0, 0, framing);
}

size_t encode_h2c_data(MutableBytes out, const DataFields& fields, const Framing& framing) {
    const H2cData pdu{.cccid = fields.cccid, .ttag = fields.ttag, .datao = fields.offset, .datal = fields.length};
    const uint8_t flags = fields.is_last ? pdu_flags::last_pdu : 0;
    return encode(out, pdu, PduType::h2c_data, flags, fields.length, framing);
}

size_t encode_c2h_data(MutableBytes out, const DataFields& fields, const Framing& framing) {
    // NVMe/TCP 1.0, 3.6.2.9: SUCCESS only in the last PDU.
    WEFT_ASSERT(!fields.is_success || fields.is_last);
    const C2hData pdu{.cccid = fields.cccid, .datao = fields.offset, .datal = fields.length};
    const auto flags =
        static_cast<uint8_t>((fields.is_last ? pdu_flags::last_pdu : 0) | (fields.is_success ? pdu_flags::success : 0));
    return encode(out, pdu, PduType::c2h_data, flags, fields.length, framing);
}

size_t encode_r2t(MutableBytes out, const R2tFields& fields, const Framing& framing) {
    const R2t pdu{.cccid = fields.cccid, .ttag = fields.ttag, .r2to = fields.offset, .r2tl = fields.length};
    return encode(out, pdu, PduType::r2t, 0, 0, framing);
}

}  // namespace weft::nvme::wire
