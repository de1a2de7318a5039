#include "nvme/wire/receiver.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <string>
#include <vector>

#include "base/crc32c.h"
#include "nvme/wire/encode.h"
#include "nvme/wire/pdu_trace.h"

namespace weft::nvme::wire {
namespace {

using Buffer = std::vector<std::byte>;

Buffer pattern(size_t size, uint8_t start = 1) {
    Buffer bytes(size);
    for (size_t at = 0; at < size; ++at) bytes[at] = static_cast<std::byte>(start + at * 7);
    return bytes;
}

// Builds the stream that one end sends, and remembers what the other must be told.
class Stream {
public:
    explicit Stream(const Framing& framing) : framing_(framing) {}

    void add(size_t header_size, const Buffer& payload = {}) {
        bytes.insert(bytes.end(), out_, out_ + header_size);
        bytes.insert(bytes.end(), payload.begin(), payload.end());
        if (has_data_digest(framing_, payload.size())) {
            const le32 digest = data_digest(payload);
            const Bytes tail = bytes_of(digest);
            bytes.insert(bytes.end(), tail.begin(), tail.end());
        }
        const auto common = load<CommonHeader>(Bytes(out_));
        expected.push_back({.type = common.type,
                            .header = Buffer(out_, out_ + common.hlen),
                            .payload = payload,
                            .is_ended = true,
                            .digest_ok = true});
    }
    void add_term_req(End sender, const Buffer& copy) {
        bytes.clear();
        const size_t size = encode_term_req(out_, sender, invalid_field(4), copy);
        bytes.assign(out_, out_ + size);
        expected = {{.type = sender == End::host ? PduType::h2c_term_req : PduType::c2h_term_req,
                     .header = Buffer(out_, out_ + sizeof(TermReq)),
                     .payload = copy,
                     .is_ended = true,
                     .digest_ok = true}};
    }
    MutableBytes out() { return out_; }

    Buffer bytes;
    std::vector<TracedPdu> expected;

private:
    Framing framing_;
    std::byte out_[encoded_size_max]{};
};

Command write_command(uint32_t length) {
    Command command{.opcode = 1, .cid = 33, .nsid = 1, .dptr = SglDescriptor::in_capsule(length)};
    command.set_lba_range(5, 1);
    return command;
}

// One of everything that a host sends, ICReq first.
Stream host_stream(const Framing& framing) {
    Stream stream(framing);
    stream.add(encode_ic_req(stream.out(), {.data_alignment = 3, .limit = 7}));
    const Buffer capsule_data = pattern(512);
    stream.add(encode_capsule_cmd(stream.out(), write_command(512), 512, framing), capsule_data);
    stream.add(encode_capsule_cmd(stream.out(), Command{.opcode = 2, .cid = 1}, 0, framing));
    stream.add(encode_h2c_data(stream.out(), {.cccid = 33, .ttag = 4, .offset = 0, .length = 96}, framing),
               pattern(96, 9));
    stream.add(
        encode_h2c_data(stream.out(), {.cccid = 33, .ttag = 4, .offset = 96, .length = 4, .is_last = true}, framing),
        pattern(4, 77));
    return stream;
}

Stream controller_stream(const Framing& framing) {
    Stream stream(framing);
    stream.add(encode_ic_resp(stream.out(), {.data_alignment = 1, .limit = 131072}));
    stream.add(encode_r2t(stream.out(), {.cccid = 9, .ttag = 1, .offset = 0, .length = 8192}, framing));
    stream.add(encode_c2h_data(stream.out(), {.cccid = 9, .length = 200, .is_last = true}, framing), pattern(200));
    stream.add(encode_capsule_resp(stream.out(), Completion{.sqhd = 3, .cid = 9}, framing));
    stream.add(encode_c2h_data(stream.out(), {.cccid = 2, .length = 31, .is_last = true, .is_success = true}, framing),
               pattern(31));
    return stream;
}

struct Case {
    End end;
    Framing framing;
};

std::vector<Case> all_cases() {
    std::vector<Case> cases;
    for (const End end : {End::controller, End::host}) {
        for (const bool header_digest : {false, true}) {
            for (const bool data_digest : {false, true}) {
                for (const uint8_t alignment : std::to_array<uint8_t>({0, 3, 16, 17, 31})) {
                    cases.push_back({end, {header_digest, data_digest, alignment}});
                }
            }
        }
    }
    return cases;
}

Negotiated negotiated_of(const Framing& framing) {
    return {.header_digest = framing.header_digest,
            .data_digest = framing.data_digest,
            .data_alignment = framing.data_alignment};
}

class EveryFraming : public testing::TestWithParam<Case> {
protected:
    Stream stream_ =
        GetParam().end == End::controller ? host_stream(GetParam().framing) : controller_stream(GetParam().framing);
    Negotiated negotiated_ = negotiated_of(GetParam().framing);
};
INSTANTIATE_TEST_SUITE_P(Receiver, EveryFraming, testing::ValuesIn(all_cases()), [](const auto& info) {
    const Case& each = info.param;
    return std::string(each.end == End::controller ? "controller" : "host") +
           (each.framing.header_digest ? "_hdgst" : "") + (each.framing.data_digest ? "_ddgst" : "") + "_align" +
           std::to_string(each.framing.data_alignment);
});

TEST_P(EveryFraming, TellsWhatWasSent) {
    PduReceiver receiver(GetParam().end);
    PduTrace trace(receiver, negotiated_);
    trace.feed(stream_.bytes);
    EXPECT_FALSE(trace.violation);
    EXPECT_EQ(trace.pdus, stream_.expected);
    EXPECT_TRUE(receiver.is_between_pdus());
    const auto with_payload =
        std::ranges::count_if(stream_.expected, [](const TracedPdu& pdu) { return !pdu.payload.empty(); });
    EXPECT_EQ(trace.complete_count, static_cast<size_t>(with_payload));
}

TEST_P(EveryFraming, TellsTheSameForPiecesOfAnySize) {
    for (size_t size = 1; size < stream_.bytes.size(); size = size < 9 ? size + 1 : size * 2 - 1) {
        PduReceiver receiver(GetParam().end);
        PduTrace trace(receiver, negotiated_);
        trace.feed_in_pieces(stream_.bytes, size);
        EXPECT_FALSE(trace.violation);
        ASSERT_EQ(trace.pdus, stream_.expected) << size << " bytes at a time";
    }
}

TEST_P(EveryFraming, TellsTheSameForEverySplitPoint) {
    const Bytes bytes = stream_.bytes;
    for (size_t cut = 0; cut <= bytes.size(); ++cut) {
        PduReceiver receiver(GetParam().end);
        PduTrace trace(receiver, negotiated_);
        trace.feed(bytes.first(cut));
        trace.feed(bytes.subspan(cut));
        EXPECT_FALSE(trace.violation);
        ASSERT_EQ(trace.pdus, stream_.expected) << "cut at " << cut;
    }
}

TEST_P(EveryFraming, TellsNothingBeforeItsLastByte) {
    const Bytes bytes = stream_.bytes;
    PduReceiver receiver(GetParam().end);
    PduTrace trace(receiver, negotiated_);
    trace.feed(bytes.first(bytes.size() - 1));
    EXPECT_FALSE(trace.pdus.back().is_ended);
    EXPECT_FALSE(receiver.is_between_pdus());
}

PduReceiver& initialized(PduReceiver& receiver, const Negotiated& negotiated) {
    receiver.resume(negotiated);
    return receiver;
}

struct CapsuleInPieces : testing::Test {
    Framing framing{.data_digest = true};
    Stream stream{framing};
    PduReceiver receiver{End::controller};

    void SetUp() override {
        initialized(receiver, negotiated_of(framing));
        stream.add(encode_capsule_cmd(stream.out(), write_command(64), 64, framing), pattern(64));
    }
    Event next(Bytes& input) { return receiver.next(input); }
};

TEST_F(CapsuleInPieces, PointsIntoTheInput) {
    Bytes input = stream.bytes;
    EXPECT_EQ(next(input).kind, Event::Kind::begin);
    EXPECT_EQ(receiver.type(), PduType::capsule_cmd);
    EXPECT_EQ(receiver.header_as<CapsuleCmd>().sqe.cid, 33);
    EXPECT_EQ(receiver.payload_left(), 64u);
    const Event data = next(input);
    EXPECT_EQ(data.kind, Event::Kind::data);
    EXPECT_EQ(data.data.data(), stream.bytes.data() + 72);
    EXPECT_TRUE(data.is_complete);
    EXPECT_TRUE(input.empty());  // the digest is taken with the data that it proves
    EXPECT_EQ(next(input).kind, Event::Kind::end);
    EXPECT_EQ(next(input).kind, Event::Kind::need_more);
}

TEST_F(CapsuleInPieces, IsNotCompleteBeforeItsDigestHasCome) {
    Bytes input = Bytes(stream.bytes).first(stream.bytes.size() - 1);
    next(input);
    const Event data = next(input);
    EXPECT_EQ(data.data.size(), 64u);
    EXPECT_FALSE(data.is_complete);
    EXPECT_EQ(receiver.payload_left(), 0u);
    EXPECT_EQ(next(input).kind, Event::Kind::need_more);
    input = Bytes(stream.bytes).last(1);
    const Event end = next(input);
    EXPECT_EQ(end.kind, Event::Kind::end);
    EXPECT_TRUE(end.digest_ok);
}

TEST_F(CapsuleInPieces, IsCompleteWithItsLastPiece) {
    Bytes input = Bytes(stream.bytes).first(72 + 1);
    next(input);
    EXPECT_FALSE(next(input).is_complete);
    EXPECT_EQ(receiver.payload_left(), 63u);
    input = Bytes(stream.bytes).subspan(72 + 1);
    const Event data = next(input);
    EXPECT_EQ(data.offset, 1u);
    EXPECT_TRUE(data.is_complete);
    EXPECT_TRUE(next(input).digest_ok);
}

// T100: a wrong data digest fails the command, not the connection.
TEST_F(CapsuleInPieces, GoesOnAfterAWrongDataDigest) {
    stream.bytes.back() ^= std::byte{1};
    stream.add(encode_capsule_cmd(stream.out(), Command{.opcode = 2}, 0, framing));
    stream.expected[0].digest_ok = false;
    for (size_t size = 1; size <= stream.bytes.size(); ++size) {
        PduReceiver fresh(End::controller);
        PduTrace trace(initialized(fresh, negotiated_of(framing)));
        trace.feed_in_pieces(stream.bytes, size);
        EXPECT_FALSE(trace.violation);
        EXPECT_EQ(trace.complete_count, 0u);
        ASSERT_EQ(trace.pdus, stream.expected);
    }
}

TEST(PduReceiver, ReportsTheHeaderDigestThatCame) {  // T98
    const Framing framing{.header_digest = true};
    Stream stream(framing);
    stream.add(encode_h2c_data(stream.out(), {.ttag = 1, .length = 64}, framing), pattern(64));
    for (size_t byte = 24; byte < 28; ++byte) stream.bytes[byte] ^= std::byte{0xFF};
    const uint32_t received = load<le32>(Bytes(stream.bytes).subspan(24));
    PduReceiver receiver(End::controller);
    PduTrace trace(initialized(receiver, negotiated_of(framing)));
    trace.feed(stream.bytes);
    EXPECT_EQ(trace.violation, (Violation{FatalErrorStatus::header_digest_error, received}));
    EXPECT_EQ(trace.offending_header, Buffer(stream.bytes.begin(), stream.bytes.begin() + 24));
    EXPECT_TRUE(trace.pdus.empty());
}

// Fields that were damaged on the way are not blamed on the peer: FLAGS bit 1, PDO, PLEN above, and all behind.
TEST(PduReceiver, BelievesADigestBeforeTheFieldsItCovers) {
    const Framing framing{.header_digest = true, .data_digest = true};
    for (const size_t byte : std::to_array<size_t>({3, 4, 5, 6, 7, 8, 10, 12, 16, 18, 23})) {
        Stream stream(framing);
        stream.add(encode_h2c_data(stream.out(), {.ttag = 1, .length = 64}, framing), pattern(64));
        stream.bytes[byte] ^= std::byte{0x40};
        PduReceiver receiver(End::controller);
        PduTrace trace(initialized(receiver, negotiated_of(framing)));
        trace.feed_in_pieces(stream.bytes, 5);
        ASSERT_TRUE(trace.violation) << "byte " << byte;
        EXPECT_EQ(trace.violation->status, FatalErrorStatus::header_digest_error) << "byte " << byte;
    }
}

TEST(PduReceiver, TellsATermReqBeforeAndAfterInitialization) {  // T102
    for (const bool is_initialized : {false, true}) {
        for (const End sender : {End::host, End::controller}) {
            for (const size_t size : std::to_array<size_t>({0, 8, 72, 128})) {
                const Framing framing{.header_digest = true, .data_digest = true};  // TermReqs have none
                Stream stream(framing);
                stream.add_term_req(sender, pattern(size));
                PduReceiver receiver(sender == End::host ? End::controller : End::host);
                if (is_initialized) receiver.resume(negotiated_of(framing));
                PduTrace trace(receiver);
                trace.feed_in_pieces(stream.bytes, 11);
                EXPECT_FALSE(trace.violation);
                EXPECT_EQ(trace.pdus, stream.expected);
            }
        }
    }
}

TEST(PduReceiver, StaysDeadAndKeepsTheOffendingHeader) {  // T110
    Stream stream({});
    stream.add(encode_capsule_cmd(stream.out(), write_command(512), 0, {}));
    stream.bytes[2] = std::byte{71};
    stream.add(encode_capsule_cmd(stream.out(), write_command(512), 0, {}));
    PduReceiver receiver(End::controller);
    PduTrace trace(initialized(receiver, {}));
    trace.feed(stream.bytes);
    EXPECT_EQ(trace.violation, invalid_field(2));
    EXPECT_TRUE(trace.pdus.empty());
    EXPECT_TRUE(receiver.is_dead());
    EXPECT_EQ(trace.offending_header, Buffer(stream.bytes.begin(), stream.bytes.begin() + 72));

    std::byte reply[encoded_size_max];
    const size_t size = encode_term_req(reply, End::controller, *trace.violation, receiver.header());
    EXPECT_EQ(size, 24u + 72u);
}

TEST(PduReceiver, CanMoveBetweenPdus) {
    Stream stream = host_stream({});
    PduReceiver receiver(End::controller);
    EXPECT_TRUE(receiver.is_between_pdus());
    PduTrace trace(receiver);
    trace.feed(Bytes(stream.bytes).first(128));
    ASSERT_TRUE(receiver.is_between_pdus());
    PduReceiver moved(End::controller);
    moved.resume(receiver.negotiated());
    PduTrace rest(moved);
    rest.feed(Bytes(stream.bytes).subspan(128));
    EXPECT_FALSE(rest.violation);
    EXPECT_EQ(rest.pdus.size(), stream.expected.size() - 1);
}

// The queue that a connection is for is known later than its framing, and a peer may already have sent more.
TEST(PduReceiver, TakesNewLimitsInTheMiddleOfAHeader) {
    Stream stream({});
    stream.add(encode_capsule_cmd(stream.out(), write_command(512), 512, {}), pattern(512));
    PduReceiver receiver(End::controller);
    PduTrace trace(initialized(receiver, {}));
    trace.feed(Bytes(stream.bytes).first(71));
    receiver.set_negotiated({.capsule_data_max = 511});
    trace.feed(Bytes(stream.bytes).subspan(71));
    EXPECT_EQ(trace.violation, invalid_field(4));
}

TEST(PduReceiverDeathTest, RefusesNewFramingInTheMiddleOfAPdu) {
    Stream stream = host_stream({});
    PduReceiver receiver(End::controller);
    Bytes input = Bytes(stream.bytes).first(64);
    receiver.next(input);
    EXPECT_DEATH(receiver.set_negotiated({.data_digest = true}), "broken invariant");
    EXPECT_DEATH(receiver.resume({}), "broken invariant");
}

static_assert(sizeof(PduReceiver) <= 256, "an idle connection holds no more than this");
static_assert(sizeof(Event) == 32);

}  // namespace
}  // namespace weft::nvme::wire
