#include "sim/raw_host.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "nvme/fabrics.h"
#include "nvme/registers.h"

namespace weft::test {

RawHost::RawHost(Rig& rig) : rig_(rig) {
    auto stream = rig.host_environment(0).network().connect(rig.target_address(), {});
    EXPECT_TRUE(stream);
    stream_ = std::move(*stream);
    rig_.run_for(20 * env::ns_per_ms);
    EXPECT_TRUE(stream_->connected());
}

RawHost::~RawHost() = default;

void RawHost::close() { stream_.reset(); }

void RawHost::pump() {
    std::array<std::byte, 4096> buffer;  // NOLINT(cppcoreguidelines-pro-type-member-init): receive() fills it
    for (;;) {
        const env::Transfer got = stream_->receive(buffer);
        if (got.state != env::Transfer::State::done) {
            is_closed_ =
                is_closed_ || got.state == env::Transfer::State::end || got.state == env::Transfer::State::failed;
            return;
        }
        received_.insert(received_.end(), buffer.begin(), buffer.begin() + static_cast<ptrdiff_t>(got.bytes));
    }
}

void RawHost::send(Bytes bytes) {
    for (int tries = 0; !bytes.empty() && tries < 1000; ++tries) {
        const iovec piece{.iov_base = const_cast<std::byte*>(bytes.data()), .iov_len = bytes.size()};
        const env::Transfer sent = stream_->send({&piece, 1});
        if (sent.state == env::Transfer::State::failed) break;
        bytes = bytes.subspan(sent.bytes);
        rig_.run_for(env::ns_per_ms);
        pump();
        if (is_closed_) break;
    }
    // Until nothing is on its way any more.
    for (int tries = 0; tries < 2000; ++tries) {
        rig_.run_for(env::ns_per_ms);
        pump();
        if (!rig_.world().has_news_under_way()) break;
    }
}

std::vector<SentPdu> RawHost::take() {
    std::vector<SentPdu> pdus;
    while (received_.size() >= sizeof(nvme::wire::CommonHeader)) {
        const auto header = load<nvme::wire::CommonHeader>(received_);
        EXPECT_GE(header.plen, sizeof(nvme::wire::CommonHeader));
        if (received_.size() < header.plen || header.plen < sizeof(nvme::wire::CommonHeader)) break;
        const auto end = received_.begin() + static_cast<ptrdiff_t>(header.plen);
        pdus.push_back({header.type, ByteVector(received_.begin(), end)});
        received_.erase(received_.begin(), end);
    }
    return pdus;
}

void RawHost::handshake(bool header_digest, bool data_digest) {
    ByteVector bytes(nvme::wire::encoded_size_max);
    bytes.resize(nvme::wire::encode_ic_req(bytes, {.header_digest = header_digest, .data_digest = data_digest}));
    send(bytes);
    const auto pdus = take();
    ASSERT_EQ(pdus.size(), 1U);
    EXPECT_EQ(pdus[0].type, nvme::wire::PduType::ic_resp);
    framing.header_digest = header_digest;
    framing.data_digest = data_digest;
}

ByteVector RawHost::capsule(nvme::Command command, Bytes data) const {
    command.set_psdt(nvme::DataPointerKind::sgl_mptr_contiguous);
    ByteVector bytes(nvme::wire::encoded_size_max);
    bytes.resize(nvme::wire::encode_capsule_cmd(bytes, command, static_cast<uint32_t>(data.size()), framing));
    bytes.insert(bytes.end(), data.begin(), data.end());
    if (nvme::wire::has_data_digest(framing, data.size())) {
        const le32 digest = nvme::wire::data_digest(data);
        const Bytes digest_bytes = bytes_of(digest);
        bytes.insert(bytes.end(), digest_bytes.begin(), digest_bytes.end());
    }
    return bytes;
}

std::optional<nvme::Completion> RawHost::execute(nvme::Command command, Bytes data) {
    command.cid = next_cid_++;
    if (!data.empty()) command.dptr = nvme::SglDescriptor::in_capsule(static_cast<uint32_t>(data.size()));
    send(capsule(command, data));
    for (const SentPdu& pdu : take()) {
        if (pdu.type == nvme::wire::PduType::capsule_resp) return pdu.as<nvme::wire::CapsuleResp>().cqe;
    }
    return std::nullopt;
}

std::optional<nvme::Completion> RawHost::connect(uint16_t qid, uint16_t cntlid, std::string_view subnqn) {
    nvme::ConnectCommand command;
    command.qid = qid;
    command.sqsize = 31;
    command.kato = qid == 0 ? kato : 0;
    nvme::ConnectData data;
    data.hostid[0] = host_number;
    data.cntlid = cntlid;
    nvme::fill_nqn_field(data.subnqn, subnqn);
    nvme::fill_nqn_field(data.hostnqn, "nqn.2014-08.org.nvmexpress:uuid:00000000-0000-4000-8000-000000000009");
    return execute(nvme::to_command(command), bytes_of(data));
}

void RawHost::connect_admin(std::string_view subnqn) {
    const auto connected = connect(0, nvme::cntlid_dynamic, subnqn);
    ASSERT_TRUE(connected && nvme::Status::from_wire(connected->status).is_success());
    cntlid_ = static_cast<uint16_t>(connected->cdw0 & 0xFFFF);
    nvme::PropertySetCommand enable;
    enable.offset = nvme::property::cc;
    enable.value = nvme::Configuration{}
                       .with(nvme::Configuration::en, 1)
                       .with(nvme::Configuration::iosqes, nvme::sqe_size_log2)
                       .with(nvme::Configuration::iocqes, nvme::cqe_size_log2)
                       .raw;
    const auto enabled = execute(nvme::to_command(enable));
    ASSERT_TRUE(enabled && nvme::Status::from_wire(enabled->status).is_success());
}

}  // namespace weft::test
