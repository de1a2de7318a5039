#include "nvme/wire/encode.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <vector>

#include "base/crc32c.h"

namespace weft::nvme::wire {
namespace {

// Encoders write over whatever was there, padding and reserved fields included.
struct Encode : testing::Test {
    Encode() { out.fill(std::byte{0xEE}); }

    CommonHeader common() const { return load<CommonHeader>(out); }
    uint32_t digest_at(size_t offset) const { return load<le32>(Bytes(out).subspan(offset)); }
    bool is_untouched_from(size_t offset) const {
        return std::ranges::all_of(Bytes(out).subspan(offset), [](std::byte each) { return each == std::byte{0xEE}; });
    }

    std::array<std::byte, encoded_size_max> out{};
};

TEST_F(Encode, IcReqAndIcResp) {
    EXPECT_EQ(encode_ic_req(out, {.data_alignment = 31, .header_digest = true, .limit = 16}), 128u);
    EXPECT_TRUE(is_untouched_from(128));
    const auto request = load<IcReq>(out);
    EXPECT_EQ(request.ch.type, PduType::ic_req);
    EXPECT_EQ(request.ch.hlen, 128);
    EXPECT_EQ(request.ch.plen, 128u);
    EXPECT_EQ(request.ch.pdo, 0);
    EXPECT_EQ(request.hpda, 31);
    EXPECT_EQ(request.dgst, 1);
    EXPECT_EQ(request.maxr2t, 16u);
    EXPECT_TRUE(is_zero(Bytes(out).subspan(16, 112)));

    EXPECT_EQ(encode_ic_resp(out, {.data_alignment = 2, .data_digest = true, .limit = 131072}), 128u);
    const auto response = load<IcResp>(out);
    EXPECT_EQ(response.ch.type, PduType::ic_resp);
    EXPECT_EQ(response.cpda, 2);
    EXPECT_EQ(response.dgst, 2);
    EXPECT_EQ(response.maxh2cdata, 131072u);
}

TEST_F(Encode, CapsuleRespWithoutAndWithDigest) {
    const Completion completion{.cdw0 = 7, .sqhd = 5, .cid = 0x1234, .status = 0x8004};
    EXPECT_EQ(encode_capsule_resp(out, completion, {.data_digest = true}), 24u);
    EXPECT_TRUE(is_untouched_from(24));
    EXPECT_EQ(common().flags, 0);  // no data, no DDGSTF
    EXPECT_EQ(common().plen, 24u);
    EXPECT_EQ(common().pdo, 0);
    EXPECT_EQ(load<CapsuleResp>(out).cqe.cid, 0x1234);
    EXPECT_EQ(load<CapsuleResp>(out).cqe.status, 0x8004);

    EXPECT_EQ(encode_capsule_resp(out, completion, {.header_digest = true}), 28u);
    EXPECT_EQ(common().flags, pdu_flags::header_digest);
    EXPECT_EQ(common().plen, 28u);
    EXPECT_EQ(digest_at(24), crc32c(Bytes(out).first(24)));
    EXPECT_TRUE(is_untouched_from(28));
}

TEST_F(Encode, CapsuleCmdPlacesItsData) {
    const Command command{.opcode = 1, .cid = 3};
    EXPECT_EQ(encode_capsule_cmd(out, command, 0, {}), 72u);
    EXPECT_EQ(common().pdo, 0);
    EXPECT_EQ(common().plen, 72u);

    EXPECT_EQ(encode_capsule_cmd(out, command, 4096, {}), 72u);
    EXPECT_EQ(common().pdo, 72);
    EXPECT_EQ(common().plen, 72u + 4096);

    const Framing framing{.header_digest = true, .data_digest = true, .data_alignment = 31};
    EXPECT_EQ(encode_capsule_cmd(out, command, 4096, framing), 128u);
    EXPECT_EQ(common().flags, pdu_flags::header_digest | pdu_flags::data_digest);
    EXPECT_EQ(common().pdo, 128);
    EXPECT_EQ(common().plen, 128u + 4096 + 4);
    EXPECT_EQ(digest_at(72), crc32c(Bytes(out).first(72)));
    EXPECT_TRUE(is_zero(Bytes(out).subspan(76, 52)));
    EXPECT_TRUE(is_untouched_from(128));
}

TEST_F(Encode, DataPdusCarryTheirFlags) {
    const DataFields fields{.cccid = 8, .ttag = 9, .offset = 4096, .length = 512, .is_last = true};
    EXPECT_EQ(encode_h2c_data(out, fields, {}), 24u);
    const auto h2c = load<H2cData>(out);
    EXPECT_EQ(h2c.ch.type, PduType::h2c_data);
    EXPECT_EQ(h2c.ch.flags, pdu_flags::last_pdu);
    EXPECT_EQ(h2c.ch.pdo, 24);
    EXPECT_EQ(h2c.ch.plen, 536u);
    EXPECT_EQ(h2c.cccid, 8);
    EXPECT_EQ(h2c.ttag, 9);
    EXPECT_EQ(h2c.datao, 4096u);
    EXPECT_EQ(h2c.datal, 512u);

    EXPECT_EQ(encode_c2h_data(out, {.cccid = 8, .length = 512, .is_last = true, .is_success = true},
                              {.data_digest = true, .data_alignment = 7}),
              32u);
    const auto c2h = load<C2hData>(out);
    EXPECT_EQ(c2h.ch.flags, pdu_flags::last_pdu | pdu_flags::success | pdu_flags::data_digest);
    EXPECT_EQ(c2h.ch.pdo, 32);
    EXPECT_EQ(c2h.ch.plen, 32u + 512 + 4);
    EXPECT_EQ(c2h.reserved10, 0);
}

TEST_F(Encode, R2t) {
    EXPECT_EQ(encode_r2t(out, {.cccid = 1, .ttag = 2, .offset = 3, .length = 4}, {.header_digest = true}), 28u);
    const auto r2t = load<R2t>(out);
    EXPECT_EQ(r2t.ch.type, PduType::r2t);
    EXPECT_EQ(r2t.ch.plen, 28u);
    EXPECT_EQ(r2t.cccid, 1);
    EXPECT_EQ(r2t.ttag, 2);
    EXPECT_EQ(r2t.r2to, 3u);
    EXPECT_EQ(r2t.r2tl, 4u);
}

TEST_F(Encode, TermReqCutsTheHeaderAt128Bytes) {
    const std::vector<std::byte> header(200, std::byte{0x55});
    EXPECT_EQ(encode_term_req(out, End::controller, {FatalErrorStatus::header_digest_error, 0x11223344}, header), 152u);
    const auto request = load<TermReq>(out);
    EXPECT_EQ(request.ch.type, PduType::c2h_term_req);
    EXPECT_EQ(request.ch.hlen, 24);
    EXPECT_EQ(request.ch.plen, 152u);
    EXPECT_EQ(request.fes, 3);
    EXPECT_EQ(request.fei, 0x11223344u);

    EXPECT_EQ(encode_term_req(out, End::host, {FatalErrorStatus::pdu_sequence_error}, {}), 24u);
    EXPECT_EQ(common().type, PduType::h2c_term_req);
    EXPECT_EQ(common().plen, 24u);
}

TEST_F(Encode, KeepsEveryAlignment) {
    for (uint8_t alignment = 0; alignment <= data_alignment_max; ++alignment) {
        for (const bool header_digest : {false, true}) {
            const Framing framing{.header_digest = header_digest, .data_alignment = alignment};
            const size_t capsule = encode_capsule_cmd(out, {}, 4, framing);
            EXPECT_EQ(capsule % alignment_bytes(alignment), 0u);
            EXPECT_EQ(capsule, common().pdo);
            const size_t data = encode_c2h_data(out, {.length = 4}, framing);
            EXPECT_EQ(data % alignment_bytes(alignment), 0u);
            EXPECT_LE(data, pdo_max);
        }
    }
}

using EncodeDeathTest = Encode;
TEST_F(EncodeDeathTest, RefusesABufferThatIsTooShort) {
    EXPECT_DEATH(encode_capsule_resp(MutableBytes(out).first(23), {}, {}), "broken invariant");
    EXPECT_DEATH(encode_capsule_resp(MutableBytes(out).first(27), {}, {.header_digest = true}), "broken invariant");
    EXPECT_DEATH(encode_c2h_data(out, {.length = 4, .is_success = true}, {}), "broken invariant");
    EXPECT_DEATH(encode_ic_resp(out, {.limit = 4095}), "broken invariant");
}

}  // namespace
}  // namespace weft::nvme::wire
