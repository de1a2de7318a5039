// For tests of the host's protocol: the other end of a connection, which keeps the rules or breaks them.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <deque>
#include <memory>
#include <vector>

#include "nvme/wire/encode.h"
#include "nvme_host/tcp/queue_protocol.h"

namespace weft::nvme_host::tcp::testing_peer {

namespace wire = nvme::wire;
using wire::FatalErrorStatus;
using Buffer = std::vector<std::byte>;

inline constexpr uint32_t max_h2c_data = 8192;

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

    // Takes all output, in pieces of at most `bytes_max`, and gives the PDUs in it.
    std::vector<Sent> take_output(size_t bytes_max = SIZE_MAX) {
        while (take_some(bytes_max) > 0) {
        }
        return parse();
    }
    // As a socket that takes only so much. Returns how much there was of it.
    size_t take_some(size_t bytes_max) {
        std::array<iovec, 8> pieces{};
        const auto gathered = protocol_.gather(pieces, SIZE_MAX);
        const size_t taken = std::min(gathered.bytes, bytes_max);
        size_t left = taken;
        for (size_t at = 0; left > 0; ++at) {
            const size_t count = std::min(left, pieces[at].iov_len);
            const auto* start = static_cast<const std::byte*>(pieces[at].iov_base);
            output_.insert(output_.end(), start, start + count);
            left -= count;
        }
        protocol_.sent(taken, 0);
        return taken;
    }

    void answer_ic(uint8_t cpda = 0) {
        Buffer pdu(256);
        pdu.resize(wire::encode_ic_resp(pdu, {.data_alignment = cpda,
                                              .header_digest = options_.header_digest,
                                              .data_digest = options_.data_digest,
                                              .limit = max_h2c_data}));
        framing_ = {.header_digest = options_.header_digest,
                    .data_digest = options_.data_digest,
                    .data_alignment = options_.data_alignment};
        receive(pdu);
        receiver_.set_negotiated(
            {.header_digest = options_.header_digest, .data_digest = options_.data_digest, .data_alignment = cpda});
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
        pdu.resize(wire::encode_capsule_resp(pdu, {.cdw0 = cdw0, .cid = cid, .status = answer.to_wire()}, framing_));
        return pdu;
    }

    Buffer r2t(uint16_t cid, uint32_t offset, uint32_t length, uint16_t ttag = 9) {
        Buffer pdu(256);
        pdu.resize(wire::encode_r2t(pdu, {.cccid = cid, .ttag = ttag, .offset = offset, .length = length}, framing_));
        return pdu;
    }

    Buffer c2h_data(const wire::DataFields& fields, std::byte fill = std::byte{0x5A}) {
        Buffer pdu(256);
        pdu.resize(wire::encode_c2h_data(pdu, fields, framing_));
        const Buffer data(fields.length, fill);
        pdu.insert(pdu.end(), data.begin(), data.end());
        if (wire::has_data_digest(framing_, data.size())) {
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

    TestIo& add(nvme::IoOpcode opcode, size_t size = 0) { return ios_.emplace_back(opcode, size); }

    std::deque<TestIo> ios_;  // before the peer: its end is theirs
    std::unique_ptr<Peer> peer_;
};

}  // namespace weft::nvme_host::tcp::testing_peer
