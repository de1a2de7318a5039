// Feeds a receiver with the same bytes whole and cut into pieces, and holds that it tells the same.
//
// The input's first bytes choose the end, what is negotiated and how to cut. The rest is either the stream
// itself, or orders to build one: PDUs that are right, then overwritten here and there, which gets further.
#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <memory>
#include <vector>

#include "base/crc32c.h"
#include "nvme/wire/encode.h"
#include "nvme/wire/pdu_trace.h"

namespace weft::nvme::wire {
namespace {

using Buffer = std::vector<std::byte>;

struct Plan {
    End end = End::controller;
    bool is_initialized = false;
    bool is_raw = false;
    Framing framing;
    Negotiated negotiated;
    uint8_t cut_seed = 0;
};

Plan read_plan(Reader& reader) {
    const auto bits = reader.take<uint8_t>();
    const auto alignment = static_cast<uint8_t>(reader.take<uint8_t>() & data_alignment_max);
    Plan plan{.end = (bits & 1) != 0 ? End::host : End::controller,
              .is_initialized = (bits & 2) != 0,
              .is_raw = (bits & 4) != 0,
              .framing = {.header_digest = (bits & 8) != 0,
                          .data_digest = (bits & 16) != 0,
                          .data_alignment = (bits & 32) != 0 ? alignment : uint8_t{0}},
              .cut_seed = reader.take<uint8_t>()};
    plan.negotiated = {.header_digest = plan.framing.header_digest,
                       .data_digest = plan.framing.data_digest,
                       .data_alignment = plan.framing.data_alignment,
                       .capsule_data_max = (bits & 64) != 0 ? 0xFFFFFFFF : 512,
                       .data_max = (bits & 128) != 0 ? 0xFFFFFFFF : 256};
    return plan;
}

// The header of a PDU that is right, and how many bytes of data are to follow it.
struct Made {
    size_t header_size = 0;
    uint32_t data_size = 0;
};

Made encode_some(MutableBytes out, uint8_t kind, uint8_t size, const Plan& plan) {
    static constexpr std::byte copied_header[term_req_data_max]{};
    const Framing& framing = plan.framing;
    const Bytes copy = Bytes(copied_header).first(size % 129);
    const uint8_t alignment = size & data_alignment_max;
    if (plan.end == End::controller) {
        const uint32_t dwords = size & ~3u;
        switch (kind % 5) {
            case 0: return {encode_capsule_cmd(out, Command{.opcode = kind}, size, framing), size};
            case 1: return {encode_h2c_data(out, {.ttag = kind, .length = dwords}, framing), dwords};
            case 2: return {encode_capsule_cmd(out, {}, 0, framing)};
            case 3: return {encode_ic_req(out, {.data_alignment = alignment})};
            default: return {encode_term_req(out, End::host, {}, copy)};
        }
    }
    switch (kind % 6) {
        case 0: return {encode_c2h_data(out, {.cccid = kind, .length = size, .is_last = true}, framing), size};
        case 1: return {encode_capsule_resp(out, {}, framing)};
        case 2: return {encode_r2t(out, {.cccid = kind}, framing)};
        case 3: return {encode_ic_resp(out, {.data_alignment = alignment, .limit = 4096})};
        case 4: return {encode_term_req(out, End::controller, {}, copy)};
        default: return {encode_c2h_data(out, {.length = size % 8u}, framing), size % 8u};
    }
}

Buffer build_stream(Reader& reader, const Plan& plan) {
    Buffer stream;
    while (!reader.rest().empty() && stream.size() < 1024) {
        std::byte out[encoded_size_max]{};
        const auto kind = reader.take<uint8_t>();
        const auto [size, data] = encode_some(out, kind, reader.take<uint8_t>(), plan);
        const auto damage_at = reader.take<uint8_t>();
        const auto damage = reader.take<uint8_t>();
        // Half of the damage is signed as if it were meant.
        const bool is_signed = (kind & 0x80) != 0;
        if (damage_at < size) out[damage_at] ^= std::byte{damage};
        const size_t hlen = std::to_integer<size_t>(out[2]);
        if (is_signed && plan.framing.header_digest && hlen + digest_size <= size) {
            store(MutableBytes(out).subspan(hlen), le32(crc32c(Bytes(out).first(hlen))));
        }
        stream.insert(stream.end(), out, out + size);
        const Buffer payload(data, std::byte{kind});
        stream.insert(stream.end(), payload.begin(), payload.end());
        if (has_data_digest(plan.framing, data)) {
            const le32 digest = crc32c(payload) ^ (damage_at == 0xFF ? damage : 0u);
            const Bytes tail = bytes_of(digest);
            stream.insert(stream.end(), tail.begin(), tail.end());
        }
    }
    return stream;
}

// Each piece in memory of its own size, so that a sanitizer sees a read beyond it.
void feed_copy(PduTrace& trace, Bytes piece) {
    const auto copy = std::make_unique<std::byte[]>(piece.size());
    std::ranges::copy(piece, copy.get());
    trace.feed({copy.get(), piece.size()});
}

void feed_cut(PduTrace& trace, Bytes stream, uint8_t seed) {
    const bool is_copied = (seed & 3) == 0;  // not always: it is what takes the time
    uint32_t state = seed;
    while (!stream.empty()) {
        state = state * 1664525 + 1013904223;
        const size_t wanted = seed == 0 ? 1 : (state >> 24) % (seed < 128 ? 9 : 200);
        const Bytes piece = stream.first(std::min(wanted, stream.size()));
        is_copied ? feed_copy(trace, piece) : trace.feed(piece);
        stream = stream.subspan(piece.size());
    }
}

void run(Bytes input) {
    Reader reader(input);
    const Plan plan = read_plan(reader);
    const Buffer built = plan.is_raw ? Buffer(reader.rest().begin(), reader.rest().end()) : build_stream(reader, plan);

    PduReceiver whole_receiver(plan.end);
    PduReceiver cut_receiver(plan.end);
    if (plan.is_initialized) {
        whole_receiver.resume(plan.negotiated);
        cut_receiver.resume(plan.negotiated);
    }
    PduTrace whole(whole_receiver, plan.negotiated);
    PduTrace cut(cut_receiver, plan.negotiated);
    feed_copy(whole, built);
    feed_cut(cut, built, plan.cut_seed);

    WEFT_ASSERT(whole.pdus == cut.pdus);
    WEFT_ASSERT(whole.violation == cut.violation);
    WEFT_ASSERT(whole.is_silent == cut.is_silent);
    WEFT_ASSERT(whole_receiver.is_between_pdus() == cut_receiver.is_between_pdus());
    // Of an offending header, as much is kept as had come.
    WEFT_ASSERT(cut.offending_header.size() <= whole.offending_header.size());
    WEFT_ASSERT(
        std::ranges::equal(cut.offending_header, Bytes(whole.offending_header).first(cut.offending_header.size())));
    // What was told makes up what was fed, but for digests, padding and what is not told yet.
    size_t told = 0;
    for (const TracedPdu& pdu : whole.pdus) told += pdu.header.size() + pdu.payload.size();
    WEFT_ASSERT(told <= built.size());
}

}  // namespace
}  // namespace weft::nvme::wire

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    weft::nvme::wire::run(std::as_bytes(std::span(data, size)));
    return 0;
}
