// The checker accepts a conversation that is right, and sees each thing that a target could do wrong in it.
#include "sim/sent_checker.h"

#include <gtest/gtest.h>

#include "nvme/fabrics.h"
#include "nvme/feature.h"
#include "nvme/wire/encode.h"

namespace weft::test {
namespace {

namespace wire = nvme::wire;
using ByteVector = std::vector<std::byte>;

constexpr wire::Framing plain{};
constexpr wire::Framing digests{.header_digest = true, .data_digest = true};

ByteVector sized(ByteVector bytes, size_t size) {
    bytes.resize(size);
    return bytes;
}
ByteVector room() { return ByteVector(wire::encoded_size_max); }

ByteVector ic_req(const wire::Framing& framing = plain) {
    ByteVector out = room();
    const size_t size =
        wire::encode_ic_req(out, {.header_digest = framing.header_digest, .data_digest = framing.data_digest});
    return sized(std::move(out), size);
}
ByteVector ic_resp(const wire::Framing& framing = plain) {
    ByteVector out = room();
    const size_t size = wire::encode_ic_resp(
        out, {.header_digest = framing.header_digest, .data_digest = framing.data_digest, .limit = 131072});
    return sized(std::move(out), size);
}
ByteVector capsule(const nvme::Command& command, const wire::Framing& framing = plain) {
    ByteVector out = room();
    const size_t size = wire::encode_capsule_cmd(out, command, 0, framing);
    return sized(std::move(out), size);
}
ByteVector response(nvme::Completion completion, const wire::Framing& framing = plain) {
    ByteVector out = room();
    const size_t size = wire::encode_capsule_resp(out, completion, framing);
    return sized(std::move(out), size);
}
ByteVector with_data(ByteVector out, size_t header, uint32_t length, const wire::Framing& framing) {
    out.resize(header);
    const ByteVector data(length, std::byte{0x5A});
    out.insert(out.end(), data.begin(), data.end());
    if (wire::has_data_digest(framing, length)) {
        const le32 digest = wire::data_digest(data);
        out.insert(out.end(), bytes_of(digest).begin(), bytes_of(digest).end());
    }
    return out;
}
ByteVector c2h(const wire::DataFields& fields, const wire::Framing& framing = plain) {
    ByteVector out = room();
    const size_t header = wire::encode_c2h_data(out, fields, framing);
    return with_data(std::move(out), header, fields.length, framing);
}
ByteVector h2c(const wire::DataFields& fields, const wire::Framing& framing = plain) {
    ByteVector out = room();
    const size_t header = wire::encode_h2c_data(out, fields, framing);
    return with_data(std::move(out), header, fields.length, framing);
}
ByteVector r2t(const wire::R2tFields& fields) {
    ByteVector out = room();
    const size_t size = wire::encode_r2t(out, fields, plain);
    return sized(std::move(out), size);
}
ByteVector term() {
    ByteVector out = room();
    const size_t size = wire::encode_term_req(out, wire::End::controller, wire::invalid_field(2), ic_req());
    return sized(std::move(out), size);
}

nvme::Command io(nvme::IoOpcode opcode, uint16_t cid) {
    nvme::Command command;
    command.opcode = static_cast<uint8_t>(opcode);
    command.cid = cid;
    command.nsid = 1;
    command.set_lba_range(0, 8);
    command.dptr = nvme::SglDescriptor::transport(4096);
    return command;
}
nvme::Completion done(uint16_t cid, uint16_t status = 0) {
    nvme::Completion completion;
    completion.cid = cid;
    completion.sqhd = nvme::sqhd_none;
    completion.status = status;
    return completion;
}

// A queue of a host without flow control, connected: an I/O queue, or the admin queue (0).
struct Queue {
    explicit Queue(wire::Framing framed = plain, uint16_t qid = 1) : framing(framed) {
        checker.host_sent(ic_req(framing));
        checker.target_sent(ic_resp(framing));
        nvme::ConnectCommand connect;
        connect.cid = 7;
        connect.qid = qid;
        connect.sqsize = 31;
        connect.cattr = nvme::ConnectCommand::disable_sq_flow_control;
        checker.host_sent(capsule(nvme::to_command(connect), framing));
        checker.target_sent(response(done(7), framing));
        EXPECT_TRUE(checker.ok()) << checker.complaint();
        EXPECT_TRUE(checker.is_connected());
    }
    void host(nvme::IoOpcode opcode, uint16_t cid) { checker.host_sent(capsule(io(opcode, cid), framing)); }
    void expect_complaint(std::string_view part) const {
        EXPECT_NE(checker.complaint().find(part), std::string::npos) << "it says: " << checker.complaint();
    }
    wire::Framing framing;
    SentChecker checker{{.block_bytes = 512}};
};

TEST(SentChecker, AcceptsReadsAndWrites) {
    for (const wire::Framing& framing : {plain, digests}) {
        Queue queue(framing);
        queue.host(nvme::IoOpcode::read, 1);
        queue.host(nvme::IoOpcode::write, 2);
        EXPECT_EQ(queue.checker.unanswered(), 2U);
        ByteVector back = c2h({.cccid = 1, .length = 4096, .is_last = true, .is_success = true}, framing);
        ByteVector asks = room();
        asks.resize(wire::encode_r2t(asks, {.cccid = 2, .ttag = 9, .length = 4096}, framing));
        back.insert(back.end(), asks.begin(), asks.end());
        for (const std::byte byte : back) queue.checker.target_sent({&byte, 1});
        ASSERT_TRUE(queue.checker.ok()) << queue.checker.complaint();
        EXPECT_EQ(queue.checker.unanswered(), 0U);
        ASSERT_EQ(queue.checker.open_r2ts().size(), 1U);
        EXPECT_EQ(queue.checker.open_r2ts()[0].ttag, 9);
        for (const std::byte byte : h2c({.cccid = 2, .ttag = 9, .length = 4096, .is_last = true}, framing)) {
            queue.checker.host_sent({&byte, 1});
        }
        EXPECT_EQ(queue.checker.unanswered(), 1U);
        queue.checker.target_sent(response(done(2), framing));
        EXPECT_TRUE(queue.checker.ok()) << queue.checker.complaint();
        EXPECT_EQ(queue.checker.unanswered(), 0U);
    }
}

TEST(SentChecker, SeesASecondCompletion) {
    Queue queue;
    queue.host(nvme::IoOpcode::flush, 1);
    queue.checker.target_sent(response(done(1)));
    EXPECT_TRUE(queue.checker.ok()) << queue.checker.complaint();
    queue.checker.target_sent(response(done(1)));
    queue.expect_complaint("no command");
}

TEST(SentChecker, SeesACompletionBeforeTheCommandIsWhole) {
    Queue queue;
    const ByteVector bytes = capsule(io(nvme::IoOpcode::flush, 1));
    queue.checker.host_sent(Bytes(bytes).first(71));
    queue.checker.target_sent(response(done(1)));
    queue.expect_complaint("no command");
}

TEST(SentChecker, SeesDataThatIsWrong) {
    struct Case {
        wire::DataFields fields;
        std::string_view complaint;
    };
    const Case cases[] = {
        {{.cccid = 2, .length = 4096, .is_last = true}, "no command"},
        {{.cccid = 1, .offset = 512, .length = 512}, "out of order"},
        {{.cccid = 1, .length = 8192, .is_last = true}, "beyond the command's descriptor"},
        {{.cccid = 1, .length = 512, .is_last = true, .is_success = true}, "without all of its data"},
    };
    for (const Case& each : cases) {
        Queue queue;
        queue.host(nvme::IoOpcode::read, 1);
        queue.checker.target_sent(c2h(each.fields));
        queue.expect_complaint(each.complaint);
    }
}

TEST(SentChecker, SeesSuccessBeforeTheLastData) {
    Queue queue;
    queue.host(nvme::IoOpcode::read, 1);
    ByteVector bytes = c2h({.cccid = 1, .length = 512});
    bytes[1] |= std::byte{wire::pdu_flags::success};
    queue.checker.target_sent(bytes);
    queue.expect_complaint("SUCCESS without LAST_PDU");
}

TEST(SentChecker, SeesSuccessWithoutTheData) {
    Queue read;
    read.host(nvme::IoOpcode::read, 1);
    read.checker.target_sent(response(done(1)));
    read.expect_complaint("without all of its data");
    Queue write;
    write.host(nvme::IoOpcode::write, 1);
    write.checker.target_sent(r2t({.cccid = 1, .ttag = 3, .length = 4096}));
    write.checker.host_sent(h2c({.cccid = 1, .ttag = 3, .length = 512}));
    write.checker.target_sent(response(done(1)));
    write.expect_complaint("before the data that was asked for");
}

// A descriptor that is longer than what the command is about is no reason to ask for more, nor for less.
TEST(SentChecker, KnowsHowMuchEachCommandSends) {
    struct Case {
        uint16_t qid;
        uint8_t opcode;
        uint32_t cdw10, cdw12, bytes;
    };
    const auto of = [](auto opcode) { return static_cast<uint8_t>(opcode); };
    const Case cases[] = {
        {1, of(nvme::IoOpcode::write), 0, 3, 2048},
        {1, of(nvme::IoOpcode::compare), 0, 3, 2048},
        {1, of(nvme::IoOpcode::dataset_management), 11, 0, 192},
        {1, of(nvme::IoOpcode::copy), 0, 2, 96},
        {1, of(nvme::IoOpcode::copy), 0, 0x102, 120},
        {1, of(nvme::IoOpcode::reservation_register), 0, 0, 16},
        {1, of(nvme::IoOpcode::reservation_acquire), 0, 0, 16},
        {1, of(nvme::IoOpcode::reservation_release), 0, 0, 8},
        {0, of(nvme::AdminOpcode::set_features), of(nvme::FeatureId::timestamp), 0, 8},
        {0, of(nvme::AdminOpcode::set_features), of(nvme::FeatureId::host_behavior_support), 0, 512},
        {0, of(nvme::AdminOpcode::namespace_attachment), 0, 0, 4096},
    };
    for (const Case& each : cases) {
        SCOPED_TRACE(each.bytes);
        for (const uint32_t missing : {0U, 4U}) {
            Queue queue(plain, each.qid);
            nvme::Command command = io(nvme::IoOpcode(each.opcode), 1);
            command.dptr = nvme::SglDescriptor::transport(8192);
            command.cdw10 = each.cdw10;
            command.cdw12 = each.cdw12;
            queue.checker.host_sent(capsule(command));
            queue.checker.target_sent(r2t({.cccid = 1, .ttag = 3, .length = each.bytes - missing}));
            queue.checker.host_sent(h2c({.cccid = 1, .ttag = 3, .length = each.bytes - missing}));
            queue.checker.target_sent(response(done(1)));
            if (missing == 0) {
                EXPECT_TRUE(queue.checker.ok()) << queue.checker.complaint();
            } else {
                queue.expect_complaint("not all of the data was asked for");
            }
        }
    }
}

TEST(SentChecker, SeesR2tsThatAreWrong) {
    struct Case {
        wire::R2tFields fields;
        std::string_view complaint;
    };
    const Case cases[] = {
        {{.cccid = 1, .length = 4096}, "sends no data"},
        {{.cccid = 2, .offset = 512, .length = 512}, "out of order"},
        {{.cccid = 2, .length = 4100}, "beyond the command's descriptor"},
        {{.cccid = 2, .length = 0}, "for nothing"},
        {{.cccid = 3, .length = 512}, "no command"},
    };
    for (const Case& each : cases) {
        Queue queue;
        queue.host(nvme::IoOpcode::read, 1);
        queue.host(nvme::IoOpcode::write, 2);
        queue.checker.target_sent(r2t(each.fields));
        queue.expect_complaint(each.complaint);
    }
    Queue queue;
    queue.host(nvme::IoOpcode::write, 2);
    queue.checker.target_sent(r2t({.cccid = 2, .ttag = 1, .length = 512}));
    queue.checker.target_sent(r2t({.cccid = 2, .ttag = 2, .offset = 512, .length = 512}));
    queue.expect_complaint("beyond MAXR2T");
}

TEST(SentChecker, SeesAWrongBitOfADigest) {
    for (const size_t at : {size_t{24}, size_t{4096 + 28}}) {
        Queue queue(digests);
        queue.host(nvme::IoOpcode::read, 1);
        ByteVector bytes = c2h({.cccid = 1, .length = 4096, .is_last = true, .is_success = true}, digests);
        bytes[at] ^= std::byte{1};
        queue.checker.target_sent(bytes);
        queue.expect_complaint("digest is wrong");
    }
}

// Every bit of the headers that is not a field of the command's own makes a complaint, or a PDU that never ends.
TEST(SentChecker, SeesEveryWrongBitOfACommonHeader) {
    for (size_t bit = 0; bit < 64; ++bit) {
        Queue queue;
        queue.host(nvme::IoOpcode::flush, 1);
        ByteVector bytes = response(done(1));
        bytes[bit / 8] ^= std::byte(1U << bit % 8);
        queue.checker.target_sent(bytes);
        EXPECT_TRUE(!queue.checker.ok() || queue.checker.unanswered() == 1) << "bit " << bit;
    }
}

TEST(SentChecker, SeesWhatIsOutOfPlace) {
    SentChecker early;
    early.target_sent(ic_resp());
    EXPECT_NE(early.complaint().find("without ICReq"), std::string::npos) << early.complaint();
    Queue again;
    again.checker.target_sent(ic_resp());
    again.expect_complaint("second ICResp");
    Queue after;
    after.checker.target_sent(term());
    EXPECT_TRUE(after.checker.ok()) << after.checker.complaint();
    EXPECT_TRUE(after.checker.is_terminated());
    after.checker.target_sent(response(done(1)));
    after.expect_complaint("after a C2HTermReq");
    SentChecker honest({.host_is_right = true});
    honest.host_sent(ic_req());
    honest.target_sent(term());
    EXPECT_FALSE(honest.ok());
}

// What cannot be read as PDUs ends the host's say: an answer to what follows is none to a command.
TEST(SentChecker, StopsReadingAHostThatMakesNoSense) {
    Queue queue;
    ByteVector bytes = capsule(io(nvme::IoOpcode::flush, 1));
    bytes[2] = std::byte{71};
    queue.checker.host_sent(bytes);
    EXPECT_TRUE(queue.checker.is_host_unreadable());
    queue.host(nvme::IoOpcode::flush, 2);
    queue.checker.target_sent(response(done(2)));
    queue.expect_complaint("no command");
}

TEST(SentChecker, AsksTheCallerAboutData) {
    std::string heard;
    SentChecker checker({.check_data = [&](const nvme::Command& command, uint32_t offset, Bytes data) {
        heard = std::to_string(command.cid.value()) + " " + std::to_string(offset) + " " + std::to_string(data.size());
        return std::string("not its own");
    }});
    checker.host_sent(ic_req());
    checker.target_sent(ic_resp());
    checker.host_sent(capsule(io(nvme::IoOpcode::read, 5)));
    checker.target_sent(c2h({.cccid = 5, .length = 512}));
    EXPECT_EQ(heard, "5 0 512");
    EXPECT_NE(checker.complaint().find("not its own"), std::string::npos);
}

}  // namespace
}  // namespace weft::test
