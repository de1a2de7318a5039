#include "nvme_host/tcp/queue_protocol.h"

#include <gtest/gtest.h>

#include <memory>
#include <utility>
#include <vector>

#include "nvme/fabrics.h"
#include "nvme_host/tcp/test_peer.h"

namespace weft::nvme_host::tcp {
namespace {

namespace wire = nvme::wire;
namespace status = nvme::status;
using namespace testing_peer;  // NOLINT: a test

TEST_F(QueueProtocolTest, SendsIcReqFirstAndHoldsCommandsBackUntilItIsAnswered) {
    peer_ = std::make_unique<Peer>(ProtocolOptions{.header_digest = true, .data_digest = true, .data_alignment = 3});
    TestIo& flush = add(nvme::IoOpcode::flush);
    protocol().submit(flush.io, 0);
    const auto sent = peer_->take_output();
    ASSERT_EQ(sent.size(), 1u);
    const auto request = sent[0].as<wire::IcReq>();
    EXPECT_EQ(request.hpda, 3);
    EXPECT_EQ(request.dgst, 3);
    EXPECT_EQ(request.maxr2t, 0u);
    peer_->answer_ic();
    const auto then = peer_->take_output();
    ASSERT_EQ(then.size(), 1u);
    EXPECT_EQ(then[0].type, wire::PduType::capsule_cmd);
    EXPECT_EQ(protocol().max_h2c_data(), max_h2c_data);
}

TEST_F(QueueProtocolTest, CompletesACommandWithoutData) {
    make();
    TestIo& flush = add(nvme::IoOpcode::flush);
    const uint16_t cid = submit(flush);
    EXPECT_EQ(protocol().in_flight(), 1u);
    peer_->receive(peer_->capsule_resp(cid, {}, 77));
    EXPECT_EQ(flush.done_count, 0) << "handed out from the loop, not from receive()";
    deliver();
    EXPECT_EQ(flush.done_count, 1);
    EXPECT_TRUE(flush.io.is_success());
    EXPECT_EQ(flush.io.completion.cdw0, 77u);
    EXPECT_EQ(protocol().in_flight(), 0u);
    EXPECT_FALSE(protocol().failure());
}

TEST_F(QueueProtocolTest, HandsOnTheControllersStatus) {
    make();
    TestIo& flush = add(nvme::IoOpcode::flush);
    peer_->receive(peer_->capsule_resp(submit(flush), status::namespace_not_ready));
    deliver();
    EXPECT_TRUE(flush.io.status().is(status::namespace_not_ready));
    EXPECT_FALSE(flush.io.is_status_local);
}

TEST_F(QueueProtocolTest, ReadsDataInSeveralPdusAndPieces) {
    for (const bool digests : {false, true}) {
        for (const size_t step : {size_t{1}, size_t{7}, size_t{1000}, SIZE_MAX}) {
            make({.header_digest = digests, .data_digest = digests, .data_alignment = 7});
            TestIo& read = add(nvme::IoOpcode::read, 8192);
            const uint16_t cid = submit(read);
            peer_->receive(peer_->c2h_data({.cccid = cid, .offset = 0, .length = 4096}, std::byte{1}), step);
            peer_->receive(
                peer_->c2h_data({.cccid = cid, .offset = 4096, .length = 4096, .is_last = true}, std::byte{2}), step);
            peer_->receive(peer_->capsule_resp(cid), step);
            deliver();
            ASSERT_FALSE(protocol().failure()) << protocol().failure()->message;
            EXPECT_TRUE(read.io.is_success());
            EXPECT_EQ(read.io.bytes_moved, 8192u);
            EXPECT_EQ(read.memory[4095], std::byte{1});
            EXPECT_EQ(read.memory[4096], std::byte{2});
        }
    }
}

TEST_F(QueueProtocolTest, TakesSuccessForTheAnswer) {
    make();
    TestIo& read = add(nvme::IoOpcode::read, 512);
    const uint16_t cid = submit(read);
    peer_->receive(peer_->c2h_data({.cccid = cid, .length = 512, .is_last = true, .is_success = true}));
    deliver();
    EXPECT_EQ(read.done_count, 1);
    EXPECT_TRUE(read.io.is_success());
    EXPECT_EQ(read.memory[511], std::byte{0x5A});
}

TEST_F(QueueProtocolTest, ScattersWhatItReads) {
    make();
    TestIo& read = add(nvme::IoOpcode::read, 1024);
    const iovec pieces[] = {{read.memory.data() + 1000, 24}, {read.memory.data(), 0}, {read.memory.data(), 1000}};
    read.io.data = pieces;
    const uint16_t cid = submit(read);
    Buffer pdu = peer_->c2h_data({.cccid = cid, .length = 1024, .is_last = true, .is_success = true});
    for (size_t at = 0; at < 24; ++at) pdu[24 + at] = std::byte{7};
    peer_->receive(pdu);
    EXPECT_EQ(read.memory[1000], std::byte{7});
    EXPECT_EQ(read.memory[1023], std::byte{7});
    EXPECT_EQ(read.memory[0], std::byte{0x5A});
    deliver();
}

TEST_F(QueueProtocolTest, DiscardsWithoutWriting) {
    make({.discard = true});
    TestIo& read = add(nvme::IoOpcode::read, 512);
    peer_->receive(peer_->c2h_data({.cccid = submit(read), .length = 512, .is_last = true, .is_success = true}));
    deliver();
    EXPECT_TRUE(read.io.is_success());
    EXPECT_EQ(read.memory[0], std::byte{0x11});
    EXPECT_EQ(protocol().counters().bytes_received, 512u);
}

// What a queue says of itself, authentication for one, is read, whatever becomes of the blocks.
TEST_F(QueueProtocolTest, DiscardsNothingOfFabricsCommands) {
    make({.discard = true});
    TestIo& receive = add(nvme::IoOpcode::read, 512);
    nvme::AuthenticationCommand command;
    command.fctype = static_cast<uint8_t>(nvme::FabricsType::authentication_receive);
    command.length = 512;
    receive.io.command = nvme::to_command(command);
    peer_->receive(peer_->c2h_data({.cccid = submit(receive), .length = 512, .is_last = true, .is_success = true}));
    deliver();
    EXPECT_TRUE(receive.io.is_success());
    EXPECT_EQ(receive.memory[0], std::byte{0x5A});
}

TEST_F(QueueProtocolTest, OffersThePlaceOfWhatIsStillToComeAndDoesNotCopyWhatLiesThere) {
    make();
    TestIo& read = add(nvme::IoOpcode::read, 8192);
    const Buffer pdu = peer_->c2h_data({.cccid = submit(read), .length = 8192, .is_last = true, .is_success = true});
    peer_->receive(Bytes(pdu).first(24 + 1000));
    EXPECT_TRUE(protocol().direct_destination(8000).empty());
    const MutableBytes direct = protocol().direct_destination(1000);
    ASSERT_EQ(direct.size(), 7192u);
    EXPECT_EQ(direct.data(), read.memory.data() + 1000);
    std::ranges::copy(Bytes(pdu).subspan(24 + 1000), direct.begin());
    peer_->receive(direct);
    deliver();
    EXPECT_TRUE(read.io.is_success());
    EXPECT_EQ(read.memory, Buffer(8192, std::byte{0x5A}));
    EXPECT_TRUE(protocol().direct_destination(1).empty());
}

TEST_F(QueueProtocolTest, SendsDataInTheCapsuleWhenItFits) {
    for (const bool digests : {false, true}) {
        make({.header_digest = digests, .data_digest = digests, .in_capsule_max = 4096});
        TestIo& write = add(nvme::IoOpcode::write, 4096);
        protocol().submit(write.io, 0);
        const auto sent = peer_->take_output(13);
        ASSERT_EQ(sent.size(), 1u);
        EXPECT_EQ(sent[0].data, write.memory);
        EXPECT_TRUE(sent[0].digest_ok);
        const auto command = sent[0].as<wire::CapsuleCmd>().sqe;
        EXPECT_EQ(command.dptr.identifier, nvme::sgl_in_capsule);
        EXPECT_EQ(command.dptr.length, 4096u);
        peer_->receive(peer_->capsule_resp(command.cid));
        deliver();
        EXPECT_TRUE(write.io.is_success());
    }
}

TEST_F(QueueProtocolTest, AnswersAnR2tWithPdusOfAtMostMaxh2cdata) {
    for (const bool digests : {false, true}) {
        make({.header_digest = digests, .data_digest = digests, .in_capsule_max = 4096});
        TestIo& write = add(nvme::IoOpcode::write, 20480);
        for (size_t at = 0; at < write.memory.size(); ++at) write.memory[at] = static_cast<std::byte>(at / 100);
        const uint16_t cid = submit(write);
        Buffer arrived;
        for (const auto& [offset, length] : {std::pair{0u, 12288u}, std::pair{12288u, 8192u}}) {
            peer_->receive(peer_->r2t(cid, offset, length, 33));
            const auto sent = peer_->take_output(1000);
            ASSERT_EQ(sent.size(), length == 12288 ? 2u : 1u);
            for (const Sent& pdu : sent) {
                const auto header = pdu.as<wire::H2cData>();
                EXPECT_EQ(pdu.type, wire::PduType::h2c_data);
                EXPECT_EQ(header.ttag, 33);
                EXPECT_EQ(header.datao, arrived.size());
                EXPECT_LE(header.datal, max_h2c_data);
                EXPECT_TRUE(pdu.digest_ok);
                arrived.insert(arrived.end(), pdu.data.begin(), pdu.data.end());
                EXPECT_EQ((header.ch.flags & wire::pdu_flags::last_pdu) != 0, arrived.size() == offset + length);
            }
        }
        EXPECT_EQ(arrived, write.memory);
        peer_->receive(peer_->capsule_resp(cid));
        deliver();
        EXPECT_TRUE(write.io.is_success()) << digests;
    }
}

TEST_F(QueueProtocolTest, QueuesWhatIsBeyondItsDepth) {
    make({.depth = 2});
    for (int count = 0; count < 5; ++count) protocol().submit(add(nvme::IoOpcode::flush).io, 0);
    auto sent = peer_->take_output();
    EXPECT_EQ(sent.size(), 2u);
    for (size_t answered = 0; answered < 5; ++answered) {
        peer_->receive(peer_->capsule_resp(sent[answered].as<wire::CapsuleCmd>().sqe.cid));
        for (Sent& more : peer_->take_output()) sent.push_back(std::move(more));
    }
    EXPECT_EQ(sent.size(), 5u);
    deliver();
    for (const TestIo& one : ios_) EXPECT_EQ(one.done_count, 1);
}

TEST_F(QueueProtocolTest, KeepsAnEarlyAnswerUntilTheDataBeingSentHasGone) {
    make();
    TestIo& write = add(nvme::IoOpcode::write, 16384);
    const uint16_t cid = submit(write);
    peer_->receive(peer_->r2t(cid, 0, 16384));
    peer_->take_some(1000);
    peer_->receive(peer_->capsule_resp(cid, status::aborted_by_request));
    EXPECT_FALSE(protocol().has_done()) << "the kernel may still be given its memory";
    EXPECT_FALSE(protocol().failure());
    EXPECT_EQ(peer_->take_output().size(), 1u) << "the PDU that was begun, and no other";
    ASSERT_TRUE(protocol().has_done());
    deliver();
    EXPECT_TRUE(write.io.status().is(status::aborted_by_request));
}

TEST_F(QueueProtocolTest, IsDoneWithEverythingWhenLost) {
    make({.depth = 2, .in_capsule_max = 4096});
    TestIo& sending = add(nvme::IoOpcode::write, 4096);
    TestIo& waiting = add(nvme::IoOpcode::read, 4096);
    TestIo& queued = add(nvme::IoOpcode::flush);
    TestIo& late = add(nvme::IoOpcode::flush);
    submit(waiting);
    protocol().submit(sending.io, 0);
    protocol().submit(queued.io, 0);
    protocol().fail_connection({Errc::connection_lost, "gone"});
    protocol().fail_connection({Errc::timed_out, "a later reason"});
    protocol().lost();
    protocol().submit(late.io, 0);
    deliver();
    for (const TestIo* one : {&sending, &waiting, &queued, &late}) {
        EXPECT_EQ(one->done_count, 1);
        EXPECT_TRUE(one->io.status().is(status::host_path_error));
        EXPECT_TRUE(one->io.is_status_local);
    }
    EXPECT_EQ(protocol().failure()->message, "gone");
    EXPECT_TRUE(protocol().is_empty());
    EXPECT_EQ(protocol().in_flight(), 0u);
}

TEST_F(QueueProtocolTest, KnowsWhatIsOverdue) {
    make();
    TestIo& slow = add(nvme::IoOpcode::flush);
    TestIo& forever = add(nvme::IoOpcode::flush);
    forever.io.is_background = true;
    protocol().submit(forever.io, 50);
    protocol().submit(slow.io, 100);
    EXPECT_EQ(protocol().in_flight(), 1u);
    EXPECT_EQ(protocol().overdue(100), nullptr);
    EXPECT_EQ(protocol().overdue(101), &slow.io);
}

TEST_F(QueueProtocolTest, SendsFabricsDataInTheCapsuleWhateverIoccszSays) {
    make({.in_capsule_max = 0});
    TestIo& connect = add(nvme::IoOpcode::flush, 1024);
    connect.io.command = nvme::to_command(nvme::ConnectCommand{});
    protocol().submit(connect.io, 0);
    const auto sent = peer_->take_output();
    ASSERT_EQ(sent.size(), 1u);
    EXPECT_EQ(sent[0].data.size(), 1024u);
}

}  // namespace
}  // namespace weft::nvme_host::tcp
