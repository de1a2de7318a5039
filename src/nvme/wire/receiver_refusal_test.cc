// What a receiver refuses, and what it says about it: one row a rule. T numbers are those of the catalogue of
// malformed input that the target is held to (tests/conformance).
#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <optional>
#include <string>
#include <vector>

#include "base/crc32c.h"
#include "nvme/wire/encode.h"
#include "nvme/wire/pdu_trace.h"

namespace weft::nvme::wire {
namespace {

using Buffer = std::vector<std::byte>;

// A little-endian field of `width` bytes at `offset` of a PDU, overwritten.
struct Edit {
    size_t offset = 0;
    size_t width = 1;
    uint64_t value = 0;
};

constexpr Edit type(uint8_t value) { return {0, 1, value}; }
constexpr Edit flags(uint8_t value) { return {1, 1, value}; }
constexpr Edit hlen(uint8_t value) { return {2, 1, value}; }
constexpr Edit pdo(uint8_t value) { return {3, 1, value}; }
constexpr Edit plen(uint32_t value) { return {4, 4, value}; }
constexpr Edit datal(uint32_t value) { return {16, 4, value}; }
constexpr uint32_t max32 = 0xFFFFFFFF;

constexpr uint32_t capsule_data_max = 4096;
constexpr uint32_t data_max = 131072;

enum class Base : uint8_t {
    ic_req,
    ic_resp,
    h2c_term,
    c2h_term,
    command,
    command_with_data,
    response,
    h2c_data,
    c2h_data,
    r2t
};

// A valid PDU of each kind; data of 512 bytes where there is data.
Buffer valid_pdu(Base base, const Framing& framing) {
    std::byte out[encoded_size_max];
    size_t size = 0;
    const Buffer term_data(72);
    uint32_t data = 0;
    switch (base) {
        case Base::ic_req: size = encode_ic_req(out, {}); break;
        case Base::ic_resp: size = encode_ic_resp(out, {.limit = data_max}); break;
        case Base::h2c_term: size = encode_term_req(out, End::host, invalid_field(2), term_data); break;
        case Base::c2h_term: size = encode_term_req(out, End::controller, invalid_field(2), term_data); break;
        case Base::command: size = encode_capsule_cmd(out, Command{.opcode = 2}, 0, framing); break;
        case Base::command_with_data: size = encode_capsule_cmd(out, Command{.opcode = 1}, data = 512, framing); break;
        case Base::response: size = encode_capsule_resp(out, {}, framing); break;
        case Base::h2c_data: size = encode_h2c_data(out, {.length = data = 512}, framing); break;
        case Base::c2h_data: size = encode_c2h_data(out, {.length = data = 512}, framing); break;
        case Base::r2t: size = encode_r2t(out, {.length = 512}, framing); break;
    }
    Buffer bytes(out, out + size);
    bytes.resize(size + data + (has_data_digest(framing, data) ? digest_size : 0));
    if (has_data_digest(framing, data)) {
        store(MutableBytes(bytes).last(digest_size), data_digest(Bytes(bytes).subspan(size, data)));
    }
    return bytes;
}

End receiver_of(Base base) {
    switch (base) {
        case Base::ic_req:
        case Base::h2c_term:
        case Base::command:
        case Base::command_with_data:
        case Base::h2c_data: return End::controller;
        case Base::ic_resp:
        case Base::c2h_term:
        case Base::response:
        case Base::c2h_data:
        case Base::r2t: return End::host;
    }
    return End::host;
}

void overwrite(const Edit& edit, Buffer& bytes) {
    for (size_t at = 0; at < edit.width; ++at) {
        bytes[edit.offset + at] = static_cast<std::byte>(edit.value >> (8 * at) & 0xFF);
    }
}

// The header digest of what the edits made, as a peer would send it that is wrong by intent.
void sign_header(Buffer& bytes, size_t header_size, const Framing& framing) {
    if (!framing.header_digest) return;
    store(MutableBytes(bytes).subspan(header_size), le32(crc32c(Bytes(bytes).first(header_size))));
}

struct Verdict {
    std::optional<Violation> violation;
    bool is_silent = false;
    size_t begun = 0;

    friend bool operator==(const Verdict&, const Verdict&) = default;
};
constexpr Verdict accepted{.begun = 1};
constexpr Verdict refused(uint32_t offset) { return {.violation = invalid_field(offset)}; }
constexpr Verdict refused_with(FatalErrorStatus status, uint32_t information = 0) {
    return {.violation = Violation{status, information}};
}

struct Setting {
    Framing framing;
    bool is_initialized = true;
};

Verdict judge(End end, const Buffer& bytes, const Setting& setting) {
    const Negotiated negotiated{.header_digest = setting.framing.header_digest,
                                .data_digest = setting.framing.data_digest,
                                .data_alignment = setting.framing.data_alignment,
                                .capsule_data_max = capsule_data_max,
                                .data_max = data_max};
    Verdict verdict;
    for (const size_t piece : {bytes.size(), size_t{1}}) {
        PduReceiver receiver(end);
        if (setting.is_initialized) receiver.resume(negotiated);
        PduTrace trace(receiver, negotiated);
        trace.feed_in_pieces(bytes, piece);
        const Verdict mine{.violation = trace.violation, .is_silent = trace.is_silent, .begun = trace.pdus.size()};
        if (piece != bytes.size()) {
            EXPECT_EQ(verdict, mine) << "whole and byte at a time differ";
        }
        verdict = mine;
    }
    return verdict;
}

std::string text_of(const Verdict& verdict) {
    if (!verdict.violation) return "accepted, " + std::to_string(verdict.begun) + " begun";
    if (verdict.is_silent) return "refused in silence";
    return std::string(name_of(verdict.violation->status)) + " " + std::to_string(verdict.violation->field_information);
}

struct Row {
    const char* name;
    Base base;
    std::vector<Edit> edits;
    Verdict expected;
    Setting setting{};
};

constexpr Verdict sequence_error = refused_with(FatalErrorStatus::pdu_sequence_error);
constexpr Verdict limit_exceeded = refused_with(FatalErrorStatus::data_transfer_limit_exceeded);
const Setting fresh{.is_initialized = false};
const Setting with_header_digest{.framing = {.header_digest = true}};
const Setting with_data_digest{.framing = {.data_digest = true}};
const Setting with_digests{.framing = {.header_digest = true, .data_digest = true}};

const std::vector<Row> rows = {
    {"icreq_pfv_1", Base::ic_req, {{8, 2, 1}}, refused(8), fresh},
    {"T02 icreq_hpda_32", Base::ic_req, {{10, 1, 32}}, refused(10), fresh},
    {"icreq_hpda_31", Base::ic_req, {{10, 1, 31}}, accepted, fresh},
    {"T04 icreq_hlen_127", Base::ic_req, {hlen(127)}, refused(2), fresh},
    {"T06 icreq_plen_127", Base::ic_req, {plen(127)}, refused(4), fresh},
    {"T08 icreq_plen_0", Base::ic_req, {plen(0)}, refused(4), fresh},
    {"T10 icreq_hlen_and_plen_bad", Base::ic_req, {hlen(1), plen(1)}, refused(2), fresh},
    {"T12 icreq_maxr2t_max", Base::ic_req, {{12, 4, max32}}, accepted, fresh},
    {"icreq_reserved_is_ignored", Base::ic_req, {flags(0xFF), pdo(0xFF), {11, 1, 0xFF}, {127, 1, 1}}, accepted, fresh},
    {"T14 icreq_twice", Base::ic_req, {}, sequence_error},
    {"T16 h2cdata_before_icreq", Base::h2c_data, {}, sequence_error, fresh},
    {"command_before_icreq", Base::command, {}, sequence_error, fresh},
    {"T18 wrong_direction_icresp", Base::command, {type(0x01)}, refused(0)},
    {"wrong_direction_c2hterm", Base::command, {type(0x03)}, refused(0)},
    {"T20 wrong_direction_capsuleresp", Base::command, {type(0x05)}, refused(0)},
    {"wrong_direction_c2hdata", Base::command, {type(0x07)}, refused(0)},
    {"reserved_08", Base::command, {type(0x08)}, refused(0)},
    {"T22 wrong_direction_r2t", Base::command, {type(0x09)}, refused(0)},
    {"T24 reserved_0b", Base::command, {type(0x0B)}, refused(0)},
    {"reserved_ff", Base::command, {type(0xFF)}, refused(0)},
    {"T30 http_get", Base::ic_req, {{0, 8, 0x5448202F20544547}}, refused(0), fresh},
    {"T32 cmd_hlen_71", Base::command, {hlen(71)}, refused(2)},
    {"T34 cmd_hlen_0", Base::command, {hlen(0)}, refused(2)},
    {"T36 cmd_plen_71", Base::command, {plen(71)}, refused(4)},
    {"T36 cmd_plen_71 with data", Base::command_with_data, {plen(71)}, refused(4)},
    {"T38 cmd_plen_4g", Base::command_with_data, {plen(max32)}, refused(4)},
    {"T40 cmd_pdo_0_with_data", Base::command_with_data, {pdo(0)}, refused(3)},
    {"T42 cmd_pdo_129", Base::command_with_data, {pdo(129)}, refused(3)},
    {"T42 cmd_pdo_129 without data", Base::command, {pdo(129)}, refused(3)},
    {"T44 cmd_pdo_past_plen", Base::command_with_data, {pdo(100), plen(80)}, refused(3)},
    {"cmd_pdo_is_plen", Base::command_with_data, {pdo(76), plen(76)}, refused(3)},
    {"T46 cmd_hdgstf_not_negotiated", Base::command, {flags(1)}, refused(1)},
    {"T48 cmd_hdgstf_missing", Base::command, {flags(0)}, refused(1), with_header_digest},
    {"cmd_ddgstf_not_negotiated", Base::command_with_data, {flags(2)}, refused(1)},
    {"cmd_ddgstf_missing", Base::command_with_data, {flags(0)}, refused(1), with_data_digest},
    {"cmd_ddgstf_without_data", Base::command, {flags(2)}, accepted, with_data_digest},
    {"cmd_reserved_flags", Base::command, {flags(0xFC)}, accepted},
    {"T50 cmd_plen_short_of_ddgst", Base::command_with_data, {plen(74)}, refused(4), with_data_digest},
    {"cmd_plen_of_ddgst_alone", Base::command_with_data, {plen(76)}, refused(4), with_data_digest},
    {"T54 icd_at_limit", Base::command_with_data, {plen(72 + capsule_data_max)}, accepted},
    {"T54 icd_over_limit", Base::command_with_data, {plen(72 + capsule_data_max + 1)}, refused(4)},
    {"T54 icd_over_limit with digests",
     Base::command_with_data,
     {plen(76 + capsule_data_max + 5)},
     refused(4),
     with_digests},
    {"T82 h2c_over_maxh2cdata", Base::h2c_data, {datal(data_max + 512), plen(24 + data_max + 512)}, limit_exceeded},
    {"T82 plen_unchanged", Base::h2c_data, {datal(data_max + 512)}, limit_exceeded},
    {"h2c_at_maxh2cdata", Base::h2c_data, {datal(data_max), plen(24 + data_max)}, accepted},
    {"T84 h2c_datal_not_dword", Base::h2c_data, {datal(4095), plen(24 + 4095)}, refused(16)},
    {"T84 plen_unchanged", Base::h2c_data, {datal(511)}, refused(16)},
    {"h2c_datal_0", Base::h2c_data, {datal(0), plen(24)}, refused(16)},
    {"T86 h2c_plen_too_small", Base::h2c_data, {datal(16384), plen(124)}, refused(4)},
    {"h2c_plen_max", Base::h2c_data, {plen(max32)}, refused(4)},
    {"h2c_plen_without_ddgst", Base::h2c_data, {plen(24 + 512)}, refused(4), with_data_digest},
    {"T88 h2c_hlen_23", Base::h2c_data, {hlen(23)}, refused(2)},
    {"T90 h2c_pdo_255", Base::h2c_data, {pdo(255)}, refused(3)},
    {"h2c_flags_and_hlen", Base::h2c_data, {flags(1), hlen(0), plen(0)}, refused(1)},
    {"h2c_hlen_and_pdo", Base::h2c_data, {hlen(0), pdo(1)}, refused(2)},
    {"h2c_pdo_and_plen", Base::h2c_data, {pdo(255), plen(3)}, refused(3)},
    {"pdo_of_other_alignment", Base::h2c_data, {pdo(28)}, refused(3), {.framing = {.data_alignment = 7}}},
    // Alignment 68: the first place behind 72 bytes is 136, beyond 128.
    {"pdo_136", Base::command_with_data, {}, accepted, {.framing = {.data_alignment = 16}}},
    {"pdo_204", Base::command_with_data, {pdo(204)}, refused(3), {.framing = {.data_alignment = 16}}},
    {"T102 h2cterm_valid", Base::h2c_term, {}, accepted},
    {"T104 h2cterm_plen_23", Base::h2c_term, {plen(23)}, {.violation = invalid_field(4), .is_silent = true}},
    {"T106 h2cterm_plen_4g", Base::h2c_term, {plen(max32)}, {.violation = invalid_field(4), .is_silent = true}},
    {"h2cterm_hlen_25", Base::h2c_term, {hlen(25)}, {.violation = invalid_field(2), .is_silent = true}},
    {"T108 h2cterm_fes_ffff", Base::h2c_term, {{8, 2, 0xFFFF}}, accepted},
    {"h2cterm_reserved_is_ignored", Base::h2c_term, {flags(0xFF), pdo(0xFF)}, accepted},
    // What a host refuses of a controller.
    {"icresp_pfv_1", Base::ic_resp, {{8, 2, 1}}, refused(8), fresh},
    {"icresp_cpda_32", Base::ic_resp, {{10, 1, 32}}, refused(10), fresh},
    {"icresp_maxh2cdata_0", Base::ic_resp, {{12, 4, 0}}, refused(12), fresh},
    {"icresp_maxh2cdata_4092", Base::ic_resp, {{12, 4, 4092}}, refused(12), fresh},
    {"icresp_maxh2cdata_4096", Base::ic_resp, {{12, 4, 4096}}, accepted, fresh},
    {"icresp_maxh2cdata_4098", Base::ic_resp, {{12, 4, 4098}}, refused(12), fresh},
    {"icresp_twice", Base::ic_resp, {}, sequence_error},
    {"response_before_icresp", Base::response, {}, sequence_error, fresh},
    {"c2hterm_before_icresp", Base::c2h_term, {}, accepted, fresh},
    {"wrong_direction_icreq", Base::response, {type(0x00)}, refused(0)},
    {"wrong_direction_command", Base::response, {type(0x04)}, refused(0)},
    {"wrong_direction_h2cdata", Base::response, {type(0x06)}, refused(0)},
    {"response_hlen_23", Base::response, {hlen(23)}, refused(2)},
    {"response_with_data", Base::response, {plen(28)}, refused(4)},
    {"response_ddgstf_is_reserved", Base::response, {flags(2)}, accepted},
    {"response_hdgstf_missing", Base::response, {flags(0)}, refused(1), with_header_digest},
    {"r2t_plen_23", Base::r2t, {plen(23)}, refused(4)},
    {"r2t_plen_without_hdgst", Base::r2t, {plen(24)}, refused(4), with_header_digest},
    {"c2h_datal_not_dword", Base::c2h_data, {datal(511), plen(24 + 511)}, accepted},
    {"c2h_datal_0", Base::c2h_data, {datal(0), plen(24), pdo(0)}, accepted},
    {"c2h_datal_0 with plen", Base::c2h_data, {datal(0)}, refused(4)},
    {"c2h_over_limit",
     Base::c2h_data,
     {datal(data_max + 1)},
     refused_with(FatalErrorStatus::data_transfer_out_of_range)},
};

TEST(ReceiverRefusal, NamesTheStatusAndTheLowestWrongOffset) {
    for (const Row& row : rows) {
        Buffer bytes = valid_pdu(row.base, row.setting.framing);
        const auto header_size = static_cast<size_t>(load<CommonHeader>(bytes).hlen);
        for (const Edit& edit : row.edits) overwrite(edit, bytes);
        sign_header(bytes, header_size, row.setting.framing);
        // Where more was promised than the base holds, it does not come: the verdict must be there before.
        if (row.expected == accepted) {
            const auto end = load<CommonHeader>(bytes).plen.value();
            if (end < bytes.size()) bytes.resize(end);
        }
        const Verdict verdict = judge(receiver_of(row.base), bytes, row.setting);
        EXPECT_EQ(verdict, row.expected) << row.name << ": " << text_of(verdict);
    }
}

// The same fields at every edge: what is not named as accepted is refused with the offset of the field.
struct Sweep {
    const char* name;
    Base base;
    Edit field;
    std::vector<uint64_t> values;
    std::vector<uint64_t> accepted_values;
    Setting setting{};
};

const std::vector<uint64_t> hlen_values = {0, 1, 8, 23, 24, 25, 71, 72, 73, 127, 128, 129, 254, 255};
const std::vector<uint64_t> plen_values = {
    0,      1,      8,          23,         24,         25,         27,         28,        29,   71,
    72,     73,     75,         76,         77,         127,        128,        129,       132,  151,
    152,    153,    536,        584,        4167,       4168,       4169,       4171,      4172, 131095,
    131096, 131097, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFB, 0xFFFFFFFC, 0xFFFFFFFE, 0xFFFFFFFF};
const std::vector<uint64_t> pdo_values = {0,  1,  8,  23, 24, 25,  27,  28,  29,  32,  71,  72,  73, 75,
                                          76, 77, 80, 84, 96, 124, 127, 128, 129, 132, 136, 254, 255};

const std::vector<Sweep> sweeps = {
    {"ICReq HLEN", Base::ic_req, hlen(0), hlen_values, {128}, fresh},
    {"ICResp HLEN", Base::ic_resp, hlen(0), hlen_values, {128}, fresh},
    {"H2CTermReq HLEN", Base::h2c_term, hlen(0), hlen_values, {24}},
    {"C2HTermReq HLEN", Base::c2h_term, hlen(0), hlen_values, {24}},
    {"CapsuleCmd HLEN", Base::command, hlen(0), hlen_values, {72}},
    {"CapsuleCmd HLEN, digests", Base::command_with_data, hlen(0), hlen_values, {72}, with_digests},
    {"CapsuleResp HLEN", Base::response, hlen(0), hlen_values, {24}},
    {"H2CData HLEN", Base::h2c_data, hlen(0), hlen_values, {24}},
    {"C2HData HLEN", Base::c2h_data, hlen(0), hlen_values, {24}},
    {"R2T HLEN", Base::r2t, hlen(0), hlen_values, {24}},

    {"ICReq PLEN", Base::ic_req, plen(0), plen_values, {128}, fresh},
    {"ICResp PLEN", Base::ic_resp, plen(0), plen_values, {128}, fresh},
    {"H2CTermReq PLEN",
     Base::h2c_term,
     plen(0),
     plen_values,
     {24, 25, 27, 28, 29, 71, 72, 73, 75, 76, 77, 127, 128, 129, 132, 151, 152}},
    {"CapsuleCmd PLEN",
     Base::command_with_data,
     plen(0),
     plen_values,
     {72, 73, 75, 76, 77, 127, 128, 129, 132, 151, 152, 153, 536, 584, 4167, 4168}},
    {"CapsuleCmd PLEN, data digest",
     Base::command_with_data,
     plen(0),
     plen_values,
     {72, 77, 127, 128, 129, 132, 151, 152, 153, 536, 584, 4167, 4168, 4169, 4171, 4172},
     with_data_digest},
    {"CapsuleResp PLEN", Base::response, plen(0), plen_values, {24}},
    {"CapsuleResp PLEN, header digest", Base::response, plen(0), plen_values, {28}, with_header_digest},
    {"H2CData PLEN", Base::h2c_data, plen(0), plen_values, {536}},
    {"C2HData PLEN", Base::c2h_data, plen(0), plen_values, {536}},
    {"R2T PLEN", Base::r2t, plen(0), plen_values, {24}},

    {"CapsuleCmd PDO", Base::command_with_data, pdo(0), pdo_values, {72, 76, 80, 84, 96, 124, 128}},
    {"CapsuleCmd PDO, header digest",
     Base::command_with_data,
     pdo(0),
     pdo_values,
     {76, 80, 84, 96, 124, 128},
     with_header_digest},
    {"CapsuleCmd PDO, alignment 32",
     Base::command_with_data,
     pdo(0),
     pdo_values,
     {96, 128},
     {.framing = {.data_alignment = 7}}},
    {"CapsuleCmd PDO, alignment 128",
     Base::command_with_data,
     pdo(0),
     pdo_values,
     {128},
     {.framing = {.data_alignment = 31}}},
    {"CapsuleResp PDO", Base::response, pdo(0), pdo_values, pdo_values},
    {"R2T PDO", Base::r2t, pdo(0), pdo_values, pdo_values},
    {"ICReq PDO", Base::ic_req, pdo(0), pdo_values, pdo_values, fresh},
    {"H2CTermReq PDO", Base::h2c_term, pdo(0), pdo_values, pdo_values},
};

TEST(ReceiverRefusal, HoldsAtEveryEdgeOfHlenPdoAndPlen) {
    for (const Sweep& sweep : sweeps) {
        for (const uint64_t value : sweep.values) {
            Buffer bytes = valid_pdu(sweep.base, sweep.setting.framing);
            const auto header_size = static_cast<size_t>(load<CommonHeader>(bytes).hlen);
            overwrite({sweep.field.offset, sweep.field.width, value}, bytes);
            sign_header(bytes, header_size, sweep.setting.framing);
            bytes.resize(header_size + (sweep.setting.framing.header_digest ? digest_size : 0));
            const Verdict verdict = judge(receiver_of(sweep.base), bytes, sweep.setting);
            const bool is_accepted = std::ranges::find(sweep.accepted_values, value) != sweep.accepted_values.end();
            Verdict expected = is_accepted ? accepted : refused(static_cast<uint32_t>(sweep.field.offset));
            expected.is_silent = !is_accepted && (sweep.base == Base::h2c_term || sweep.base == Base::c2h_term);
            EXPECT_EQ(verdict, expected) << sweep.name << " " << value << ": " << text_of(verdict);
        }
    }
}

// A header digest that PLEN has no room for will never come: eight bytes are enough to say so.
TEST(ReceiverRefusal, DoesNotWaitForWhatPlenDoesNotPromise) {
    for (const uint32_t length : std::to_array<uint32_t>({0, 8, 71, 72, 75})) {
        Buffer bytes = valid_pdu(Base::command, with_header_digest.framing);
        overwrite(plen(length), bytes);
        bytes.resize(sizeof(CommonHeader));
        EXPECT_EQ(judge(End::controller, bytes, with_header_digest), refused(4)) << length;
    }
}

// PDO of H2CData is bound to DATAL by PLEN: a wrong place is PDO's fault, a wrong sum is PLEN's.
TEST(ReceiverRefusal, TellsAWrongPdoFromAWrongSum) {
    for (const uint64_t value : pdo_values) {
        Buffer bytes = valid_pdu(Base::h2c_data, {});
        overwrite(pdo(static_cast<uint8_t>(value)), bytes);
        bytes.resize(24);
        const bool is_possible = value >= 24 && value <= 128 && value % 4 == 0;
        const Verdict expected = value == 24 ? accepted : is_possible ? refused(4) : refused(3);
        EXPECT_EQ(judge(End::controller, bytes, {}), expected) << value;
    }
}

TEST(ReceiverRefusal, KnowsEveryTypeOfTheOtherEndAndNoOther) {
    for (int value = 0; value < 256; ++value) {
        const auto pdu_type = static_cast<PduType>(value);
        const bool to_controller = value == 0 || value == 2 || value == 4 || value == 6;
        const bool to_host = value == 1 || value == 3 || value == 5 || value == 7 || value == 9;
        EXPECT_EQ(find_rule(End::controller, pdu_type) != nullptr, to_controller) << value;
        EXPECT_EQ(find_rule(End::host, pdu_type) != nullptr, to_host) << value;
        EXPECT_EQ(name_of(pdu_type) == "reserved", !to_controller && !to_host) << value;
    }
}

TEST(ReceiverRefusal, KeepsWhatItCanOfAHeaderOfUnknownType) {
    Buffer bytes = valid_pdu(Base::command, {});
    overwrite(type(0x0B), bytes);
    const auto kept = [&](uint8_t claimed, size_t given) {
        overwrite(hlen(claimed), bytes);
        PduReceiver receiver(End::controller);
        receiver.resume({});
        PduTrace trace(receiver);
        trace.feed(Bytes(bytes).first(given));
        return trace.offending_header.size();
    };
    EXPECT_EQ(kept(72, 72), 72u);
    EXPECT_EQ(kept(72, 30), 30u);
    EXPECT_EQ(kept(0, 72), 8u);
    EXPECT_EQ(kept(24, 72), 24u);
    bytes.resize(300);
    EXPECT_EQ(kept(255, 300), 128u);
}

}  // namespace
}  // namespace weft::nvme::wire
