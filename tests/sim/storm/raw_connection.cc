#include "sim/storm/raw_connection.h"

#include <algorithm>
#include <array>

#include "reactor/reactor.h"

namespace weft::sim {

using nvme::wire::PduType;

namespace {

constexpr env::TimeNs look_every = 50 * env::ns_per_us;
constexpr env::TimeNs look_seldom = 20 * env::ns_per_ms;

env::TimeNs now() { return Reactor::current().environment().clock().now(); }

// Often at first, then seldom: a long wait shall not cost many steps.
env::TimeNs pause_after(env::TimeNs waited) { return std::clamp(waited / 4, look_every, look_seldom); }

}  // namespace

void RawConnection::pump() {
    std::array<std::byte, 4096> buffer;  // NOLINT(cppcoreguidelines-pro-type-member-init): receive() fills it
    while (!has_ended_) {
        const env::Transfer got = stream_->receive(buffer);
        if (got.state == env::Transfer::State::would_block) return;
        if (got.state != env::Transfer::State::done) {
            has_ended_ = true;
            return;
        }
        received_.insert(received_.end(), buffer.begin(), buffer.begin() + static_cast<ptrdiff_t>(got.bytes));
    }
}

Task<bool> RawConnection::establish(bool with_digests) {
    const env::TimeNs began = now();
    for (;;) {
        const auto connected = stream_->connected();
        if (connected) break;
        if (connected.error().code != Errc::in_progress || now() - began > 5 * env::ns_per_s) co_return false;
        co_await sleep_for(pause_after(now() - began));
    }
    std::vector<std::byte> bytes(nvme::wire::encoded_size_max);
    bytes.resize(nvme::wire::encode_ic_req(bytes, {.header_digest = with_digests, .data_digest = with_digests}));
    if (!co_await send(bytes)) co_return false;
    const auto answer = co_await receive(5 * env::ns_per_s);
    framing.header_digest = framing.data_digest = with_digests;
    co_return answer && answer->type == PduType::ic_resp;
}

Task<bool> RawConnection::send(Bytes bytes) {
    const env::TimeNs began = now();
    while (!bytes.empty() && !has_ended_) {
        const iovec piece{.iov_base = const_cast<std::byte*>(bytes.data()), .iov_len = bytes.size()};
        const env::Transfer sent = stream_->send({&piece, 1});
        if (sent.state == env::Transfer::State::failed) has_ended_ = true;
        bytes = bytes.subspan(sent.bytes);
        if (bytes.empty()) break;
        if (now() - began > 10 * env::ns_per_s) co_return false;
        co_await sleep_for(pause_after(now() - began));
        pump();
    }
    co_return !has_ended_;
}

Task<std::optional<RawPdu>> RawConnection::receive(env::TimeNs time) {
    const env::TimeNs began = now();
    for (;;) {
        pump();
        if (received_.size() >= sizeof(nvme::wire::CommonHeader)) {
            const auto header = load<nvme::wire::CommonHeader>(received_);
            const auto size = static_cast<size_t>(header.plen);
            if (size < sizeof header) co_return std::nullopt;
            if (received_.size() >= size) {
                const auto end = received_.begin() + static_cast<ptrdiff_t>(size);
                RawPdu pdu{header.type, std::vector<std::byte>(received_.begin(), end)};
                received_.erase(received_.begin(), end);
                co_return pdu;
            }
        }
        if (has_ended_ || now() - began > time) co_return std::nullopt;
        co_await sleep_for(pause_after(now() - began));
    }
}

Task<bool> RawConnection::await_end(env::TimeNs time) {
    const env::TimeNs began = now();
    while (!has_ended_ && now() - began <= time) {
        co_await sleep_for(pause_after(now() - began));
        pump();
        received_.clear();
    }
    co_return has_ended_;
}

std::vector<std::byte> RawConnection::capsule(nvme::Command command, Bytes data) const {
    command.set_psdt(nvme::DataPointerKind::sgl_mptr_contiguous);
    std::vector<std::byte> bytes(nvme::wire::encoded_size_max);
    bytes.resize(nvme::wire::encode_capsule_cmd(bytes, command, static_cast<uint32_t>(data.size()), framing));
    bytes.insert(bytes.end(), data.begin(), data.end());
    if (nvme::wire::has_data_digest(framing, data.size())) {
        const le32 digest = nvme::wire::data_digest(data);
        const Bytes digest_bytes = bytes_of(digest);
        bytes.insert(bytes.end(), digest_bytes.begin(), digest_bytes.end());
    }
    return bytes;
}

Task<std::optional<nvme::Completion>> RawConnection::execute(nvme::Command command, Bytes data,
                                                             std::vector<std::byte>* data_in) {
    command.cid = next_cid++;
    if (!data.empty()) command.dptr = nvme::SglDescriptor::in_capsule(static_cast<uint32_t>(data.size()));
    const std::vector<std::byte> bytes = capsule(command, data);
    if (!co_await send(bytes)) co_return std::nullopt;
    for (;;) {
        const auto pdu = co_await receive();
        if (!pdu) co_return std::nullopt;
        if (pdu->type == PduType::capsule_resp) {
            const auto answer = pdu->as<nvme::wire::CapsuleResp>().cqe;
            if (answer.cid == command.cid) co_return answer;
        }
        if (pdu->type == PduType::c2h_data) {
            const auto header = pdu->as<nvme::wire::C2hData>();
            const Bytes payload = Bytes(pdu->bytes).subspan(header.ch.pdo, header.datal);
            if (data_in != nullptr) data_in->insert(data_in->end(), payload.begin(), payload.end());
            if (header.cccid == command.cid && (header.ch.flags & nvme::wire::pdu_flags::success) != 0) {
                nvme::Completion done;
                done.cid = command.cid;
                co_return done;
            }
        }
    }
}

Task<std::optional<nvme::Completion>> RawConnection::connect(uint16_t qid, uint16_t to_cntlid, std::string_view subnqn,
                                                             std::string_view hostnqn, uint8_t host_number,
                                                             uint32_t kato_ms) {
    nvme::ConnectCommand command;
    command.qid = qid;
    command.sqsize = 15;
    command.kato = kato_ms;
    nvme::ConnectData data;
    data.hostid[15] = host_number;
    data.cntlid = to_cntlid;
    nvme::fill_nqn_field(data.subnqn, subnqn);
    nvme::fill_nqn_field(data.hostnqn, hostnqn);
    co_return co_await execute(nvme::to_command(command), bytes_of(data));
}

}  // namespace weft::sim
