// Writes the headers of NVMe/TCP PDUs: everything in front of the data.
//
// Each function fills the front of `out` with the header, its digest and the padding up to PDO, and
// returns how many bytes that are. The data, then its digest when has_data_digest(), follow from wherever
// they lie. `out` must have room for encoded_size_max bytes; assertions hold that, not results.
// NVMe/TCP Transport 1.0, 3.6 and 3.3.
#pragma once

#include <cstddef>
#include <cstdint>

#include "base/bytes.h"
#include "base/crc32c.h"
#include "base/endian.h"
#include "nvme/command.h"
#include "nvme/wire/pdu.h"

namespace weft::nvme::wire {

// The longest that any of the functions below writes: a TermReq.
inline constexpr size_t encoded_size_max = sizeof(TermReq) + term_req_data_max;

// What was agreed about the PDUs that we send.
struct Framing {
    bool header_digest = false;
    bool data_digest = false;
    uint8_t data_alignment = 0;  // of data that we send: HPDA at the controller, CPDA at the host
};

// The digest to append to data of `size` bytes, if it is to have one.
constexpr bool has_data_digest(const Framing& framing, size_t size) { return framing.data_digest && size != 0; }
inline le32 data_digest(Bytes data) { return crc32c(data); }

struct IcFields {
    uint8_t data_alignment = 0;  // HPDA of the request, CPDA of the response
    bool header_digest = false;
    bool data_digest = false;
    uint32_t limit = 0;  // MAXR2T (0's based) of the request, MAXH2CDATA of the response
};
size_t encode_ic_req(MutableBytes out, const IcFields& fields);
size_t encode_ic_resp(MutableBytes out, const IcFields& fields);

// `offending_header` is cut at 128 bytes. `sender` decides between H2CTermReq and C2HTermReq.
size_t encode_term_req(MutableBytes out, End sender, const Violation& violation, Bytes offending_header);

// `in_capsule_size` bytes of data follow; 0 is none.
size_t encode_capsule_cmd(MutableBytes out, const Command& command, uint32_t in_capsule_size, const Framing& framing);
size_t encode_capsule_resp(MutableBytes out, const Completion& completion, const Framing& framing);

struct DataFields {
    uint16_t cccid = 0;
    uint16_t ttag = 0;  // H2CData only
    uint32_t offset = 0;
    uint32_t length = 0;
    bool is_last = false;
    bool is_success = false;  // C2HData only: stands for a CapsuleResp with status success
};
size_t encode_h2c_data(MutableBytes out, const DataFields& fields, const Framing& framing);
size_t encode_c2h_data(MutableBytes out, const DataFields& fields, const Framing& framing);

struct R2tFields {
    uint16_t cccid = 0;
    uint16_t ttag = 0;
    uint32_t offset = 0;
    uint32_t length = 0;
};
size_t encode_r2t(MutableBytes out, const R2tFields& fields, const Framing& framing);

}  // namespace weft::nvme::wire
