// A controller that breaks the rules: nothing of it may reach memory or commands that it is not for.
#include <gtest/gtest.h>

#include <memory>
#include <utility>
#include <vector>

#include "nvme_host/tcp/queue_protocol.h"
#include "nvme_host/tcp/test_peer.h"

namespace weft::nvme_host::tcp {
namespace {

namespace wire = nvme::wire;
namespace status = nvme::status;
using namespace testing_peer;  // NOLINT: a test

class HostileControllerTest : public QueueProtocolTest {};

TEST_F(HostileControllerTest, RefusesDataPastTheBuffer) {
    make();
    TestIo& read = add(nvme::IoOpcode::read, 512);
    peer_->receive(peer_->c2h_data({.cccid = submit(read), .length = 516, .is_last = true}));
    expect_term_req(FatalErrorStatus::data_transfer_out_of_range);
    EXPECT_EQ(read.memory, Buffer(512, std::byte{0x11}));
}

TEST_F(HostileControllerTest, RefusesDataPastTheBufferInALaterPdu) {
    make();
    TestIo& read = add(nvme::IoOpcode::read, 1024);
    const uint16_t cid = submit(read);
    peer_->receive(peer_->c2h_data({.cccid = cid, .offset = 0, .length = 512}));
    peer_->receive(peer_->c2h_data({.cccid = cid, .offset = 512, .length = 1024}));
    expect_term_req(FatalErrorStatus::data_transfer_out_of_range);
}

TEST_F(HostileControllerTest, RefusesDataWhoseRangeWrapsAround) {
    make();
    TestIo& read = add(nvme::IoOpcode::read, 1024);
    const uint16_t cid = submit(read);
    peer_->receive(peer_->c2h_data({.cccid = cid, .offset = 0xFFFFFE00, .length = 1024}));
    expect_term_req(FatalErrorStatus::invalid_header_field, offsetof(wire::C2hData, datao));
}

TEST_F(HostileControllerTest, RefusesDataOutOfOrderAndTwice) {
    for (const uint32_t offset : {0u, 1024u}) {
        make();
        TestIo& read = add(nvme::IoOpcode::read, 4096);
        const uint16_t cid = submit(read);
        peer_->receive(peer_->c2h_data({.cccid = cid, .offset = 0, .length = 512}));
        peer_->receive(peer_->c2h_data({.cccid = cid, .offset = offset, .length = 512}));
        expect_term_req(FatalErrorStatus::invalid_header_field, offsetof(wire::C2hData, datao));
        protocol().lost();
        deliver();
    }
}

TEST_F(HostileControllerTest, RefusesDataAfterTheLast) {
    make();
    TestIo& read = add(nvme::IoOpcode::read, 1024);
    const uint16_t cid = submit(read);
    peer_->receive(peer_->c2h_data({.cccid = cid, .length = 512, .is_last = true}));
    peer_->receive(peer_->c2h_data({.cccid = cid, .offset = 512, .length = 512}));
    expect_term_req(FatalErrorStatus::pdu_sequence_error);
}

TEST_F(HostileControllerTest, RefusesDataForAWrite) {
    make({.in_capsule_max = 4096});
    TestIo& write = add(nvme::IoOpcode::write, 512);
    peer_->receive(peer_->c2h_data({.cccid = submit(write), .length = 512, .is_last = true}));
    expect_term_req(FatalErrorStatus::data_transfer_out_of_range);
    EXPECT_EQ(write.memory, Buffer(512, std::byte{0x11}));
}

TEST_F(HostileControllerTest, RefusesWhatNamesNoCommand) {
    for (const int kind : {0, 1, 2}) {
        make();
        TestIo& read = add(nvme::IoOpcode::read, 512);
        const uint16_t wrong = submit(read) ^ 1;
        const Buffer pdus[] = {peer_->c2h_data({.cccid = wrong, .length = 512}), peer_->r2t(wrong, 0, 512),
                               peer_->capsule_resp(wrong)};
        peer_->receive(pdus[kind]);
        expect_term_req(FatalErrorStatus::invalid_header_field, kind == 2 ? 20 : 8);
        protocol().lost();
        deliver();
        EXPECT_EQ(read.done_count, 1);
        EXPECT_TRUE(read.io.status().is(status::host_path_error));
    }
}

TEST_F(HostileControllerTest, RefusesCidsOutsideTheTable) {
    for (const uint32_t cid : {31u, 32u, 0x8000u, 0xFFFFu}) {
        make({.depth = 31});
        peer_->receive(peer_->capsule_resp(static_cast<uint16_t>(cid)));
        expect_term_req(FatalErrorStatus::invalid_header_field, 20);
    }
}

TEST_F(HostileControllerTest, RefusesASecondAnswerEvenWhenTheSlotIsInUseAgain) {
    make({.depth = 1});
    TestIo& first = add(nvme::IoOpcode::flush);
    TestIo& second = add(nvme::IoOpcode::flush);
    const uint16_t cid = submit(first);
    peer_->receive(peer_->capsule_resp(cid));
    deliver();
    const uint16_t other = submit(second);
    EXPECT_NE(other, cid);
    peer_->receive(peer_->capsule_resp(cid));
    expect_term_req(FatalErrorStatus::invalid_header_field, 20);
    deliver();
    EXPECT_EQ(first.done_count, 1);
    EXPECT_EQ(second.done_count, 0);
}

TEST_F(HostileControllerTest, RefusesAnAnswerBeforeTheCommandHasGone) {
    make({.in_capsule_max = 4096});
    TestIo& write = add(nvme::IoOpcode::write, 4096);
    protocol().submit(write.io, 0);
    std::array<iovec, 4> pieces{};
    protocol().gather(pieces, SIZE_MAX);
    const auto cid = load<wire::CapsuleCmd>(Bytes(static_cast<const std::byte*>(pieces[0].iov_base), 72)).sqe.cid;
    peer_->take_some(100);
    peer_->receive(peer_->capsule_resp(cid));
    ASSERT_TRUE(protocol().failure());
    EXPECT_NE(protocol().failure()->message.find("PDU Sequence Error"), std::string::npos);
    // The rest of the capsule goes first, then the H2CTermReq.
    const auto sent = peer_->take_output();
    ASSERT_EQ(sent.size(), 2u);
    EXPECT_EQ(sent[0].data, write.memory);
    EXPECT_EQ(sent[1].type, wire::PduType::h2c_term_req);
}

TEST_F(HostileControllerTest, RefusesR2tsPastTheData) {
    const struct {
        uint32_t offset;
        uint32_t length;
        FatalErrorStatus fes;
        uint32_t fei;
    } cases[] = {{0, 8196, FatalErrorStatus::data_transfer_out_of_range, 0},
                 {0, 0xFFFFFFFF, FatalErrorStatus::data_transfer_out_of_range, 0},
                 {4096, 4096, FatalErrorStatus::invalid_header_field, offsetof(wire::R2t, r2to)},
                 {0xFFFFF000, 8192, FatalErrorStatus::invalid_header_field, offsetof(wire::R2t, r2to)},
                 {0, 0, FatalErrorStatus::invalid_header_field, offsetof(wire::R2t, r2tl)}};
    for (const auto& one : cases) {
        make();
        TestIo& write = add(nvme::IoOpcode::write, 8192);
        peer_->receive(peer_->r2t(submit(write), one.offset, one.length));
        expect_term_req(one.fes, one.fei);
        protocol().lost();
        deliver();
    }
}

TEST_F(HostileControllerTest, RefusesASecondR2tWhileTheFirstIsAnswered) {
    make();
    TestIo& write = add(nvme::IoOpcode::write, 16384);
    const uint16_t cid = submit(write);
    peer_->receive(peer_->r2t(cid, 0, 8192));
    peer_->receive(peer_->r2t(cid, 8192, 8192));
    expect_term_req(FatalErrorStatus::data_transfer_limit_exceeded);
}

TEST_F(HostileControllerTest, RefusesR2tsForReadsAndForDataThatWentWithTheCommand) {
    make({.in_capsule_max = 4096});
    TestIo& read = add(nvme::IoOpcode::read, 4096);
    peer_->receive(peer_->r2t(submit(read), 0, 4096));
    expect_term_req(FatalErrorStatus::data_transfer_out_of_range);
    protocol().lost();
    deliver();

    make({.in_capsule_max = 4096});
    TestIo& write = add(nvme::IoOpcode::write, 4096);
    peer_->receive(peer_->r2t(submit(write), 0, 4096));
    expect_term_req(FatalErrorStatus::data_transfer_out_of_range);
}

TEST_F(HostileControllerTest, FailsOnlyTheCommandWhoseDataHaveAWrongDigest) {
    make({.data_digest = true});
    TestIo& bad = add(nvme::IoOpcode::read, 512);
    TestIo& good = add(nvme::IoOpcode::read, 512);
    Buffer pdu = peer_->c2h_data({.cccid = submit(bad), .length = 512, .is_last = true, .is_success = true});
    pdu[100] ^= std::byte{1};
    peer_->receive(pdu);
    peer_->receive(peer_->c2h_data({.cccid = submit(good), .length = 512, .is_last = true, .is_success = true}));
    deliver();
    EXPECT_FALSE(protocol().failure());
    EXPECT_TRUE(bad.io.status().is(status::transient_transport_error));
    EXPECT_TRUE(bad.io.is_status_local);
    EXPECT_TRUE(good.io.is_success());
    EXPECT_EQ(protocol().counters().digest_errors, 1u);
}

TEST_F(HostileControllerTest, EndsTheConnectionForAWrongHeaderDigest) {
    make({.header_digest = true});
    TestIo& flush = add(nvme::IoOpcode::flush);
    Buffer pdu = peer_->capsule_resp(submit(flush));
    const auto digest = load<le32>(Bytes(pdu).subspan(24));
    pdu[10] ^= std::byte{1};
    peer_->receive(pdu);
    expect_term_req(FatalErrorStatus::header_digest_error, digest);
    EXPECT_EQ(flush.done_count, 0);
}

TEST_F(HostileControllerTest, DoesNotBelieveASuccessThatMovedTooLittle) {
    make();
    TestIo& read = add(nvme::IoOpcode::read, 1024);
    TestIo& write = add(nvme::IoOpcode::write, 8192);
    TestIo& nothing = add(nvme::IoOpcode::read, 512);
    peer_->receive(peer_->c2h_data({.cccid = submit(read), .length = 512, .is_last = true, .is_success = true}));
    peer_->receive(peer_->capsule_resp(submit(write)));
    peer_->receive(peer_->capsule_resp(submit(nothing)));
    deliver();
    EXPECT_TRUE(read.io.status().is(status::data_transfer_error));
    EXPECT_EQ(read.io.bytes_moved, 512u);
    EXPECT_TRUE(write.io.status().is(status::data_transfer_error));
    EXPECT_TRUE(nothing.io.status().is(status::data_transfer_error));
    EXPECT_FALSE(protocol().failure());
}

TEST_F(HostileControllerTest, RefusesSuccessWithoutLastPdu) {
    make();
    TestIo& read = add(nvme::IoOpcode::read, 1024);
    Buffer pdu = peer_->c2h_data({.cccid = submit(read), .length = 512});
    pdu[1] |= static_cast<std::byte>(wire::pdu_flags::success);
    peer_->receive(pdu);
    expect_term_req(FatalErrorStatus::invalid_header_field, offsetof(wire::CommonHeader, flags));
}

TEST_F(HostileControllerTest, DoesNotAnswerATermReq) {
    make();
    TestIo& flush = add(nvme::IoOpcode::flush);
    submit(flush);
    Buffer pdu(256);
    pdu.resize(wire::encode_term_req(pdu, wire::End::controller, wire::invalid_field(4), {}));
    peer_->receive(pdu);
    ASSERT_TRUE(protocol().failure());
    EXPECT_NE(protocol().failure()->message.find("Invalid PDU Header Field, field 0x4"), std::string::npos);
    EXPECT_FALSE(protocol().has_output());
    protocol().lost();
    deliver();
    EXPECT_EQ(flush.done_count, 1);
}

TEST_F(HostileControllerTest, RefusesASecondIcRespAndWhatOnlyHostsSend) {
    make();
    peer_->answer_ic();
    expect_term_req(FatalErrorStatus::pdu_sequence_error);

    make();
    Buffer pdu(256);
    pdu.resize(wire::encode_capsule_cmd(pdu, {}, 0, {}));
    peer_->receive(pdu);
    expect_term_req(FatalErrorStatus::invalid_header_field, 0);
}

TEST_F(HostileControllerTest, RefusesAnythingBeforeIcResp) {
    peer_ = std::make_unique<Peer>(ProtocolOptions{});
    peer_->receive(peer_->capsule_resp(0));
    ASSERT_TRUE(protocol().failure());
    EXPECT_FALSE(protocol().is_ready());
}

TEST_F(HostileControllerTest, FailsWhenDigestsAreNotGrantedOrNotAskedFor) {
    peer_ = std::make_unique<Peer>(ProtocolOptions{.header_digest = true});
    Buffer pdu(256);
    pdu.resize(wire::encode_ic_resp(pdu, {.limit = max_h2c_data}));
    peer_->receive(pdu);
    ASSERT_TRUE(protocol().failure());
    EXPECT_EQ(protocol().failure()->code, Errc::not_supported);

    peer_ = std::make_unique<Peer>(ProtocolOptions{});
    peer_->take_output();
    pdu.resize(256);
    pdu.resize(wire::encode_ic_resp(pdu, {.data_digest = true, .limit = max_h2c_data}));
    peer_->receive(pdu);
    expect_term_req(FatalErrorStatus::invalid_header_field, offsetof(wire::IcResp, dgst));
}

}  // namespace
}  // namespace weft::nvme_host::tcp
