#include "nvme_host/tcp/queue_protocol.h"

#include <gtest/gtest.h>

#include <memory>
#include <vector>

#include "base/crc32c.h"
#include "nvme/fabrics.h"
#include "nvme/wire/encode.h"

namespace weft::nvme_host::tcp {
namespace {

namespace wire = nvme::wire;
namespace status = nvme::status;
using wire::FatalErrorStatus;
using Buffer = std::vector<std::byte>;

constexpr uint32_t max_h2c_data = 8192;

// A PDU that the host sent, taken apart by the receiver that controllers use.
struct Sent {
    wire::PduType type{};
    Buffer header;
    Buffer data;
    bool digest_ok = true;
    template <class T>
    [[nodiscard]] T as() const {
        return load<T>(header);
    }
};

// The other end: keeps what the protocol sends, and writes what a controller would, or would never, send.
class Peer {
public:
    explicit Peer(const ProtocolOptions& options) : options_(options), protocol_(options) { protocol_.start(); }
    ~Peer() {
        protocol_.lost();
        while (Io* io = protocol_.pop_done()) io->done(*io);
    }

    QueueProtocol& protocol() { return protocol_; }

    // Takes all output, in pieces of `bytes` when that is not 0, and gives the PDUs in it.
    std::vector<Sent> take_output(size_t bytes = 0) {
        std::array<iovec, 8> pieces{};
        while (protocol_.has_output()) {
            const auto gathered = protocol_.gather(pieces, SIZE_MAX);
            if (gathered.bytes == 0) break;
            size_t left = bytes == 0 ? gathered.bytes : std::min(bytes, gathered.bytes);
            protocol_sent_ = left;
            for (size_t at = 0; left > 0; ++at) {
                const size_t count = std::min(left, pieces[at].iov_len);
                const auto* start = static_cast<const std::byte*>(pieces[at].iov_base);
                output_.insert(output_.end(), start, start + count);
                left -= count;
            }
            protocol_.sent(protocol_sent_, 0);
        }
        return parse();
    }

    void answer_ic(uint8_t cpda = 0) {
        Buffer pdu(256);
        pdu.resize(encode_ic_resp(pdu, {.data_alignment = cpda,
                                        .header_digest = options_.header_digest,
                                        .data_digest = options_.data_digest,
                                        .limit = max_h2c_data}));
        framing_ = {.header_digest = options_.header_digest,
                    .data_digest = options_.data_digest,
                    .data_alignment = options_.data_alignment};
        receive(pdu);
        receiver_.set_negotiated({.header_digest = options_.header_digest,
                                  .data_digest = options_.data_digest,
                                  .data_alignment = cpda});
    }

    void receive(Bytes bytes, size_t step = SIZE_MAX) {
        while (!bytes.empty()) {
            const Bytes piece = bytes.first(std::min(step, bytes.size()));
            protocol_.receive(piece, 0);
            bytes = bytes.subspan(piece.size());
        }
    }

    Buffer capsule_resp(uint16_t cid, nvme::Status answer = {}, uint32_t cdw0 = 0) {
        Buffer pdu(256);
        pdu.resize(encode_capsule_resp(pdu, {.cdw0 = cdw0, .cid = cid, .status = answer.to_wire()}, framing_));
        return pdu;
    }

    Buffer r2t(uint16_t cid, uint32_t offset, uint32_t length, uint16_t ttag = 9) {
        Buffer pdu(256);
        pdu.resize(encode_r2t(pdu, {.cccid = cid, .ttag = ttag, .offset = offset, .length = length}, framing_));
        return pdu;
    }

    Buffer c2h_data(const wire::DataFields& fields, std::byte fill = std::byte{0x5A}) {
        Buffer pdu(256);
        pdu.resize(encode_c2h_data(pdu, fields, framing_));
        const Buffer data(fields.length, fill);
        pdu.insert(pdu.end(), data.begin(), data.end());
        if (has_data_digest(framing_, data.size())) {
            const le32 digest = wire::data_digest(data);
            pdu.insert(pdu.end(), bytes_of(digest).begin(), bytes_of(digest).end());
        }
        return pdu;
    }

private:
    std::vector<Sent> parse() {
        std::vector<Sent> found;
        Bytes input(output_);
        for (;;) {
            const wire::Event event = receiver_.next(input);
            switch (event.kind) {
                case wire::Event::Kind::need_more: output_.clear(); return found;
                case wire::Event::Kind::begin:
                    found.push_back({.type = receiver_.type(),
                                     .header = Buffer(receiver_.header().begin(), receiver_.header().end()),
                                     .data = {}});
                    break;
                case wire::Event::Kind::data:
                    found.back().data.insert(found.back().data.end(), event.data.begin(), event.data.end());
                    break;
                case wire::Event::Kind::end: found.back().digest_ok = event.digest_ok; break;
                case wire::Event::Kind::violation:
                case wire::Event::Kind::violation_silent:
                    ADD_FAILURE() << "the host sent what is not well-formed";
                    return found;
            }
        }
    }

    const ProtocolOptions options_;
    QueueProtocol protocol_;
    wire::PduReceiver receiver_{wire::End::controller};
    wire::Framing framing_;
    Buffer output_;
    size_t protocol_sent_ = 0;
};

// A command with memory of its own.
struct TestIo {
    explicit TestIo(nvme::IoOpcode opcode, size_t size = 0) : memory(size, std::byte{0x11}) {
        io.command.opcode = static_cast<uint8_t>(opcode);
        piece = {.iov_base = memory.data(), .iov_len = size};
        if (size != 0) io.data = {&piece, 1};
        io.context = this;
        io.done = [](Io& done) { ++static_cast<TestIo*>(done.context)->done_count; };
    }
    Buffer memory;
    iovec piece{};
    Io io;
    int done_count = 0;
};

class QueueProtocolTest : public testing::Test {
protected:
    void make(ProtocolOptions options = {}) {
        peer_ = std::make_unique<Peer>(options);
        const auto sent = peer_->take_output();
        ASSERT_EQ(sent.size(), 1u);
        ASSERT_EQ(sent[0].type, wire::PduType::ic_req);
        peer_->answer_ic();
        ASSERT_TRUE(peer_->protocol().is_ready());
    }
    QueueProtocol& protocol() { return peer_->protocol(); }
    // Submits, sends, and returns the CID that was used.
    uint16_t submit(TestIo& one) {
        protocol().submit(one.io, 0);
        const auto sent = peer_->take_output();
        if (sent.empty()) return 0xFFFF;
        return sent.back().as<wire::CapsuleCmd>().sqe.cid;
    }
    void deliver() {
        while (Io* io = protocol().pop_done()) io->done(*io);
    }
    // The connection has failed, and the H2CTermReq says so.
    void expect_term_req(FatalErrorStatus fes, uint32_t fei = 0) {
        ASSERT_TRUE(protocol().failure());
        EXPECT_EQ(protocol().failure()->code, Errc::protocol_error);
        const auto sent = peer_->take_output();
        ASSERT_FALSE(sent.empty()) << protocol().failure()->message;
        ASSERT_EQ(sent.back().type, wire::PduType::h2c_term_req);
        const auto request = sent.back().as<wire::TermReq>();
        EXPECT_EQ(FatalErrorStatus(request.fes.value()), fes) << protocol().failure()->message;
        EXPECT_EQ(request.fei.value(), fei) << protocol().failure()->message;
    }

    std::unique_ptr<Peer> peer_;
};

TEST_F(QueueProtocolTest, SendsIcReqFirstAndHoldsCommandsBackUntilItIsAnswered) {
    peer_ = std::make_unique<Peer>(ProtocolOptions{.header_digest = true, .data_digest = true, .data_alignment = 3});
    TestIo flush(nvme::IoOpcode::flush);
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
    TestIo flush(nvme::IoOpcode::flush);
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
    TestIo flush(nvme::IoOpcode::flush);
    peer_->receive(peer_->capsule_resp(submit(flush), status::namespace_not_ready));
    deliver();
    EXPECT_TRUE(flush.io.status().is(status::namespace_not_ready));
    EXPECT_FALSE(flush.io.is_status_local);
}

TEST_F(QueueProtocolTest, ReadsDataInSeveralPdusAndPieces) {
    for (const bool digests : {false, true}) {
        for (const size_t step : {size_t{1}, size_t{7}, size_t{1000}, SIZE_MAX}) {
            make({.header_digest = digests, .data_digest = digests, .data_alignment = 7});
            TestIo read(nvme::IoOpcode::read, 8192);
            const uint16_t cid = submit(read);
            peer_->receive(peer_->c2h_data({.cccid = cid, .offset = 0, .length = 4096}, std::byte{1}), step);
            peer_->receive(peer_->c2h_data({.cccid = cid, .offset = 4096, .length = 4096, .is_last = true}, std::byte{2}),
                           step);
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
    TestIo read(nvme::IoOpcode::read, 512);
    const uint16_t cid = submit(read);
    peer_->receive(peer_->c2h_data({.cccid = cid, .length = 512, .is_last = true, .is_success = true}));
    deliver();
    EXPECT_EQ(read.done_count, 1);
    EXPECT_TRUE(read.io.is_success());
    EXPECT_EQ(read.memory[511], std::byte{0x5A});
}

TEST_F(QueueProtocolTest, ScattersWhatItReads) {
    make();
    TestIo read(nvme::IoOpcode::read, 1024);
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
    TestIo read(nvme::IoOpcode::read, 512);
    peer_->receive(peer_->c2h_data({.cccid = submit(read), .length = 512, .is_last = true, .is_success = true}));
    deliver();
    EXPECT_TRUE(read.io.is_success());
    EXPECT_EQ(read.memory[0], std::byte{0x11});
    EXPECT_EQ(protocol().counters().bytes_received, 512u);
}

TEST_F(QueueProtocolTest, OffersThePlaceOfWhatIsStillToComeAndDoesNotCopyWhatLiesThere) {
    make();
    TestIo read(nvme::IoOpcode::read, 8192);
    const Buffer pdu =
        peer_->c2h_data({.cccid = submit(read), .length = 8192, .is_last = true, .is_success = true});
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
        TestIo write(nvme::IoOpcode::write, 4096);
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
        TestIo write(nvme::IoOpcode::write, 20480);
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
    std::vector<std::unique_ptr<TestIo>> all;
    for (int count = 0; count < 5; ++count) {
        all.push_back(std::make_unique<TestIo>(nvme::IoOpcode::flush));
        protocol().submit(all.back()->io, 0);
    }
    auto sent = peer_->take_output();
    EXPECT_EQ(sent.size(), 2u);
    for (size_t answered = 0; answered < 5; ++answered) {
        peer_->receive(peer_->capsule_resp(sent[answered].as<wire::CapsuleCmd>().sqe.cid));
        for (Sent& more : peer_->take_output()) sent.push_back(std::move(more));
    }
    EXPECT_EQ(sent.size(), 5u);
    deliver();
    for (const auto& one : all) EXPECT_EQ(one->done_count, 1);
}

// ---- a controller that breaks the rules

TEST_F(QueueProtocolTest, RefusesDataPastTheBuffer) {
    make();
    TestIo read(nvme::IoOpcode::read, 512);
    peer_->receive(peer_->c2h_data({.cccid = submit(read), .length = 516, .is_last = true}));
    expect_term_req(FatalErrorStatus::data_transfer_out_of_range);
    EXPECT_EQ(read.memory, Buffer(512, std::byte{0x11}));
}

TEST_F(QueueProtocolTest, RefusesDataPastTheBufferInALaterPdu) {
    make();
    TestIo read(nvme::IoOpcode::read, 1024);
    const uint16_t cid = submit(read);
    peer_->receive(peer_->c2h_data({.cccid = cid, .offset = 0, .length = 512}));
    peer_->receive(peer_->c2h_data({.cccid = cid, .offset = 512, .length = 1024}));
    expect_term_req(FatalErrorStatus::data_transfer_out_of_range);
}

TEST_F(QueueProtocolTest, RefusesDataWhoseRangeWrapsAround) {
    make();
    TestIo read(nvme::IoOpcode::read, 1024);
    const uint16_t cid = submit(read);
    peer_->receive(peer_->c2h_data({.cccid = cid, .offset = 0xFFFFFE00, .length = 1024}));
    expect_term_req(FatalErrorStatus::invalid_header_field, offsetof(wire::C2hData, datao));
}

TEST_F(QueueProtocolTest, RefusesDataOutOfOrderAndTwice) {
    for (const uint32_t offset : {0u, 1024u}) {
        make();
        TestIo read(nvme::IoOpcode::read, 4096);
        const uint16_t cid = submit(read);
        peer_->receive(peer_->c2h_data({.cccid = cid, .offset = 0, .length = 512}));
        peer_->receive(peer_->c2h_data({.cccid = cid, .offset = offset, .length = 512}));
        expect_term_req(FatalErrorStatus::invalid_header_field, offsetof(wire::C2hData, datao));
        protocol().lost();
        deliver();
    }
}

TEST_F(QueueProtocolTest, RefusesDataAfterTheLast) {
    make();
    TestIo read(nvme::IoOpcode::read, 1024);
    const uint16_t cid = submit(read);
    peer_->receive(peer_->c2h_data({.cccid = cid, .length = 512, .is_last = true}));
    peer_->receive(peer_->c2h_data({.cccid = cid, .offset = 512, .length = 512}));
    expect_term_req(FatalErrorStatus::pdu_sequence_error);
}

TEST_F(QueueProtocolTest, RefusesDataForAWrite) {
    make({.in_capsule_max = 4096});
    TestIo write(nvme::IoOpcode::write, 512);
    peer_->receive(peer_->c2h_data({.cccid = submit(write), .length = 512, .is_last = true}));
    expect_term_req(FatalErrorStatus::data_transfer_out_of_range);
    EXPECT_EQ(write.memory, Buffer(512, std::byte{0x11}));
}

TEST_F(QueueProtocolTest, RefusesWhatNamesNoCommand) {
    for (const int kind : {0, 1, 2}) {
        make();
        TestIo read(nvme::IoOpcode::read, 512);
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

TEST_F(QueueProtocolTest, RefusesCidsOutsideTheTable) {
    for (const uint32_t cid : {31u, 32u, 0x8000u, 0xFFFFu}) {
        make({.depth = 31});
        peer_->receive(peer_->capsule_resp(static_cast<uint16_t>(cid)));
        expect_term_req(FatalErrorStatus::invalid_header_field, 20);
    }
}

TEST_F(QueueProtocolTest, RefusesASecondAnswerEvenWhenTheSlotIsInUseAgain) {
    make({.depth = 1});
    TestIo first(nvme::IoOpcode::flush);
    TestIo second(nvme::IoOpcode::flush);
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

TEST_F(QueueProtocolTest, RefusesAnAnswerBeforeTheCommandHasGone) {
    make({.in_capsule_max = 4096});
    TestIo write(nvme::IoOpcode::write, 4096);
    protocol().submit(write.io, 0);
    std::array<iovec, 4> pieces{};
    protocol().gather(pieces, SIZE_MAX);
    const auto cid = load<wire::CapsuleCmd>(Bytes(static_cast<const std::byte*>(pieces[0].iov_base), 72)).sqe.cid;
    protocol().sent(100, 0);
    peer_->receive(peer_->capsule_resp(cid));
    ASSERT_TRUE(protocol().failure());
    EXPECT_NE(protocol().failure()->message.find("PDU Sequence Error"), std::string::npos);
    // The rest of the capsule goes first, then the H2CTermReq.
    EXPECT_TRUE(protocol().has_output());
    const auto gathered = protocol().gather(pieces, SIZE_MAX);
    EXPECT_EQ(gathered.bytes, 72u + 4096 - 100 + 24 + 24);
}

TEST_F(QueueProtocolTest, RefusesR2tsPastTheData) {
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
        TestIo write(nvme::IoOpcode::write, 8192);
        peer_->receive(peer_->r2t(submit(write), one.offset, one.length));
        expect_term_req(one.fes, one.fei);
        protocol().lost();
        deliver();
    }
}

TEST_F(QueueProtocolTest, RefusesASecondR2tWhileTheFirstIsAnswered) {
    make();
    TestIo write(nvme::IoOpcode::write, 16384);
    const uint16_t cid = submit(write);
    peer_->receive(peer_->r2t(cid, 0, 8192));
    peer_->receive(peer_->r2t(cid, 8192, 8192));
    expect_term_req(FatalErrorStatus::data_transfer_limit_exceeded);
}

TEST_F(QueueProtocolTest, RefusesR2tsForReadsAndForDataThatWentWithTheCommand) {
    make({.in_capsule_max = 4096});
    TestIo read(nvme::IoOpcode::read, 4096);
    peer_->receive(peer_->r2t(submit(read), 0, 4096));
    expect_term_req(FatalErrorStatus::data_transfer_out_of_range);
    protocol().lost();
    deliver();

    make({.in_capsule_max = 4096});
    TestIo write(nvme::IoOpcode::write, 4096);
    peer_->receive(peer_->r2t(submit(write), 0, 4096));
    expect_term_req(FatalErrorStatus::data_transfer_out_of_range);
}

TEST_F(QueueProtocolTest, KeepsAnEarlyAnswerUntilTheDataBeingSentHasGone) {
    make();
    TestIo write(nvme::IoOpcode::write, 16384);
    const uint16_t cid = submit(write);
    peer_->receive(peer_->r2t(cid, 0, 16384));
    std::array<iovec, 4> pieces{};
    protocol().gather(pieces, SIZE_MAX);
    protocol().sent(1000, 0);
    peer_->receive(peer_->capsule_resp(cid, status::aborted_by_request));
    EXPECT_FALSE(protocol().has_done()) << "the kernel may still be given its memory";
    EXPECT_FALSE(protocol().failure());
    peer_->take_output();  // not parsed as a whole stream: only that it drains
    ASSERT_TRUE(protocol().has_done());
    deliver();
    EXPECT_TRUE(write.io.status().is(status::aborted_by_request));
}

TEST_F(QueueProtocolTest, FailsOnlyTheCommandWhoseDataHaveAWrongDigest) {
    make({.data_digest = true});
    TestIo bad(nvme::IoOpcode::read, 512);
    TestIo good(nvme::IoOpcode::read, 512);
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

TEST_F(QueueProtocolTest, EndsTheConnectionForAWrongHeaderDigest) {
    make({.header_digest = true});
    TestIo flush(nvme::IoOpcode::flush);
    Buffer pdu = peer_->capsule_resp(submit(flush));
    const auto digest = load<le32>(Bytes(pdu).subspan(24));
    pdu[10] ^= std::byte{1};
    peer_->receive(pdu);
    expect_term_req(FatalErrorStatus::header_digest_error, digest);
    EXPECT_EQ(flush.done_count, 0);
}

TEST_F(QueueProtocolTest, DoesNotBelieveASuccessThatMovedTooLittle) {
    make();
    TestIo read(nvme::IoOpcode::read, 1024);
    TestIo write(nvme::IoOpcode::write, 8192);
    TestIo nothing(nvme::IoOpcode::read, 512);
    peer_->receive(
        peer_->c2h_data({.cccid = submit(read), .length = 512, .is_last = true, .is_success = true}));
    peer_->receive(peer_->capsule_resp(submit(write)));
    peer_->receive(peer_->capsule_resp(submit(nothing)));
    deliver();
    EXPECT_TRUE(read.io.status().is(status::data_transfer_error));
    EXPECT_EQ(read.io.bytes_moved, 512u);
    EXPECT_TRUE(write.io.status().is(status::data_transfer_error));
    EXPECT_TRUE(nothing.io.status().is(status::data_transfer_error));
    EXPECT_FALSE(protocol().failure());
}

TEST_F(QueueProtocolTest, RefusesSuccessWithoutLastPdu) {
    make();
    TestIo read(nvme::IoOpcode::read, 1024);
    Buffer pdu = peer_->c2h_data({.cccid = submit(read), .length = 512});
    pdu[1] |= static_cast<std::byte>(wire::pdu_flags::success);
    peer_->receive(pdu);
    expect_term_req(FatalErrorStatus::invalid_header_field, offsetof(wire::CommonHeader, flags));
}

TEST_F(QueueProtocolTest, DoesNotAnswerATermReq) {
    make();
    TestIo flush(nvme::IoOpcode::flush);
    submit(flush);
    Buffer pdu(256);
    pdu.resize(encode_term_req(pdu, wire::End::controller, wire::invalid_field(4), {}));
    peer_->receive(pdu);
    ASSERT_TRUE(protocol().failure());
    EXPECT_NE(protocol().failure()->message.find("Invalid PDU Header Field, field 0x4"), std::string::npos);
    EXPECT_FALSE(protocol().has_output());
    protocol().lost();
    deliver();
    EXPECT_EQ(flush.done_count, 1);
}

TEST_F(QueueProtocolTest, RefusesASecondIcRespAndWhatOnlyHostsSend) {
    make();
    peer_->answer_ic();
    expect_term_req(FatalErrorStatus::pdu_sequence_error);

    make();
    Buffer pdu(256);
    pdu.resize(encode_capsule_cmd(pdu, {}, 0, {}));
    peer_->receive(pdu);
    expect_term_req(FatalErrorStatus::invalid_header_field, 0);
}

TEST_F(QueueProtocolTest, RefusesAnythingBeforeIcResp) {
    peer_ = std::make_unique<Peer>(ProtocolOptions{});
    peer_->receive(peer_->capsule_resp(0));
    ASSERT_TRUE(protocol().failure());
    EXPECT_FALSE(protocol().is_ready());
}

TEST_F(QueueProtocolTest, FailsWhenDigestsAreNotGrantedOrNotAskedFor) {
    peer_ = std::make_unique<Peer>(ProtocolOptions{.header_digest = true});
    Buffer pdu(256);
    pdu.resize(encode_ic_resp(pdu, {.limit = max_h2c_data}));
    peer_->receive(pdu);
    ASSERT_TRUE(protocol().failure());
    EXPECT_EQ(protocol().failure()->code, Errc::not_supported);

    peer_ = std::make_unique<Peer>(ProtocolOptions{});
    peer_->take_output();
    pdu.resize(256);
    pdu.resize(encode_ic_resp(pdu, {.data_digest = true, .limit = max_h2c_data}));
    peer_->receive(pdu);
    expect_term_req(FatalErrorStatus::invalid_header_field, offsetof(wire::IcResp, dgst));
}

TEST_F(QueueProtocolTest, IsDoneWithEverythingWhenLost) {
    make({.depth = 2, .in_capsule_max = 4096});
    TestIo sending(nvme::IoOpcode::write, 4096);
    TestIo waiting(nvme::IoOpcode::read, 4096);
    TestIo queued(nvme::IoOpcode::flush);
    TestIo late(nvme::IoOpcode::flush);
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
    TestIo slow(nvme::IoOpcode::flush);
    TestIo forever(nvme::IoOpcode::flush);
    forever.io.is_background = true;
    protocol().submit(forever.io, 50);
    protocol().submit(slow.io, 100);
    EXPECT_EQ(protocol().in_flight(), 1u);
    EXPECT_EQ(protocol().overdue(100), nullptr);
    EXPECT_EQ(protocol().overdue(101), &slow.io);
}

TEST_F(QueueProtocolTest, SendsFabricsDataInTheCapsuleWhateverIoccszSays) {
    make({.in_capsule_max = 0});
    TestIo connect(nvme::IoOpcode::flush, 1024);
    connect.io.command = nvme::to_command(nvme::ConnectCommand{});
    protocol().submit(connect.io, 0);
    const auto sent = peer_->take_output();
    ASSERT_EQ(sent.size(), 1u);
    EXPECT_EQ(sent[0].data.size(), 1024u);
}

}  // namespace
}  // namespace weft::nvme_host::tcp
