#include "sim/fuzz_link.h"

#include <algorithm>

#include "nvme/registers.h"
#include "nvme/status.h"

namespace weft::test {

namespace wire = nvme::wire;

namespace {

constexpr uint64_t mix(uint64_t value) {
    value ^= value >> 31;
    value *= 0x7FB5D329728EA185;
    value ^= value >> 27;
    value *= 0x81DADEF4BC2DD44D;
    return value ^ value >> 33;
}

// The upper five bytes of an owner's words; the lower three count.
constexpr unsigned tag_shift = 24;
constexpr uint64_t tag_of(size_t owner) { return mix(0x5EED + owner) >> tag_shift; }

// Compared in this form, or a fuzzer that watches comparisons would learn what others' data looks like and send it.
constexpr std::array<uint64_t, subsystem_count> hidden_tags = {mix(tag_of(0)), mix(tag_of(1)), mix(tag_of(2))};

size_t index_of_nqn(const std::array<char, 256>& field, size_t count, std::string (*name)(size_t)) {
    const std::string_view nqn = nvme::nqn_of_field(field);
    for (size_t at = 0; at < count; ++at) {
        if (nqn == name(at)) return at;
    }
    return count;
}

// Who never may use which subsystem, whatever the administrator does in the fuzzer.
bool is_never_allowed(size_t host, size_t subsystem) {
    return (subsystem == 1 && host != 2) || (subsystem == 2 && host != 3);
}

}  // namespace

std::string subsystem_nqn(size_t subsystem) {
    if (subsystem >= subsystem_count) return std::string(nvme::discovery_nqn);
    return std::string("nqn.2026-01.x.w:") + static_cast<char>('a' + subsystem);
}

std::string host_nqn(size_t host) { return std::string("nqn.2026-01.x.h:") + static_cast<char>('a' + host); }

void stamp(MutableBytes data, size_t owner, uint64_t lba) {
    const uint64_t tag = tag_of(owner) << tag_shift;
    uint64_t count = lba * fuzz_block_bytes / 8;
    for (size_t at = 0; at + 8 <= data.size(); at += 8) store(data.subspan(at), le64(tag | (count++ & 0xFFFFFF)));
}

std::optional<size_t> foreign_owner(Bytes data, size_t self) {
    for (size_t at = 0; at + 8 <= data.size(); at += 8) {
        const auto word = load<le64>(data.subspan(at)).value();
        if (word == 0) continue;
        const uint64_t hidden = mix(word >> tag_shift);
        for (size_t owner = 0; owner < subsystem_count; ++owner) {
            if (hidden == hidden_tags[owner] && owner != self) return owner;
        }
    }
    return {};
}

FuzzLink::FuzzLink(Rig& rig, env::Environment& machine, bool is_right)
    : checker_(
          {.block_bytes = fuzz_block_bytes,
           .host_is_right = is_right,
           .check_data = [this](const nvme::Command& command, uint32_t offset,
                                Bytes data) { return check_data(command, offset, data); },
           .on_completion = [this](const nvme::Command& command,
                                   const nvme::Completion& completion) { note_completion(command, completion); }}) {
    auto stream = machine.network().connect(rig.target_address(), {});
    if (stream) stream_ = std::move(*stream);
}

std::string FuzzLink::check_data(const nvme::Command& command, uint32_t offset, Bytes data) const {
    if (const auto owner = foreign_owner(data, subsystem_)) {
        return "data of subsystem " + std::to_string(*owner) + " for a host of " + std::to_string(subsystem_);
    }
    const bool is_read = checker_.is_connected() && checker_.qid() != 0 && command.io_opcode() == nvme::IoOpcode::read;
    if (!is_read || expected.empty()) return {};
    const bool is_right = offset + data.size() <= expected.size() &&
                          std::ranges::equal(data, Bytes(expected).subspan(offset, data.size()));
    return is_right ? "" : "not the data that was written";
}

void FuzzLink::note_completion(const nvme::Command& command, const nvme::Completion& completion) {
    last_status_ = completion.status;
    if (!command.is_fabrics() || command.fabrics_type() != nvme::FabricsType::connect) return;
    const auto at = std::ranges::find(connects_, command.cid.value(), &PendingConnect::cid);
    if (at == connects_.end()) return;
    const PendingConnect connect = *at;
    connects_.erase(at);
    if (!nvme::Status::from_wire(completion.status).is_success() || checker_.is_connected()) return;
    WEFT_ASSERT(!is_never_allowed(connect.host, connect.subsystem));
    subsystem_ = connect.subsystem;
}

// Queues a PDU whose header has `header` bytes, its digest not among them, and whose data begins at `data_at`.
void FuzzLink::put(std::vector<std::byte> bytes, size_t header, size_t data_at, const Patches& patches) {
    const bool has_digest = framing_.header_digest && header < 128 && bytes.size() >= header + wire::digest_size;
    bool is_patched = false;
    for (const Patch& patch : patches) {
        const size_t at = patch.place - size_t{1};
        if (patch.place == 0 || at >= header || at >= 128) continue;
        bytes[at] = std::byte{patch.value};
        is_patched = true;
    }
    if (is_patched && has_digest) store(MutableBytes(bytes).subspan(header), le32(crc32c(Bytes(bytes).first(header))));
    for (const Patch& patch : patches) {
        if (patch.place < 160) continue;
        // The last of the header, its digest and padding; or the data, here and there.
        const size_t at =
            patch.place < 176 ? header - 8 + (patch.place - 160) : data_at + (patch.place - 176) * size_t{16};
        if (at < bytes.size()) bytes[at] = std::byte{patch.value};
    }
    out_.insert(out_.end(), bytes.begin(), bytes.end());
}

void FuzzLink::append_data(std::vector<std::byte>& pdu, Bytes data) const {
    pdu.insert(pdu.end(), data.begin(), data.end());
    if (!wire::has_data_digest(framing_, data.size())) return;
    const le32 digest = wire::data_digest(data);
    pdu.insert(pdu.end(), bytes_of(digest).begin(), bytes_of(digest).end());
}

void FuzzLink::ic_req(bool header_digest, bool data_digest, uint8_t alignment, uint32_t maxr2t,
                      const Patches& patches) {
    std::vector<std::byte> bytes(wire::encoded_size_max);
    bytes.resize(wire::encode_ic_req(
        bytes,
        {.data_alignment = alignment, .header_digest = header_digest, .data_digest = data_digest, .limit = maxr2t}));
    put(bytes, bytes.size(), bytes.size(), patches);
    const auto sent = load<wire::IcReq>(Bytes(out_).last(sizeof(wire::IcReq)));
    framing_.header_digest = (sent.dgst & wire::digest_bits::header) != 0;
    framing_.data_digest = (sent.dgst & wire::digest_bits::data) != 0;
}

uint16_t FuzzLink::command(nvme::Command command, Bytes data, const Patches& patches, std::optional<uint16_t> cid) {
    command.cid = cid ? *cid : next_cid_++;
    command.set_psdt(nvme::DataPointerKind::sgl_mptr_contiguous);
    if (!data.empty()) command.dptr = nvme::SglDescriptor::in_capsule(static_cast<uint32_t>(data.size()));
    std::vector<std::byte> bytes(wire::encoded_size_max);
    bytes.resize(wire::encode_capsule_cmd(bytes, command, static_cast<uint32_t>(data.size()), framing_));
    const size_t data_at = bytes.size();
    append_data(bytes, data);
    put(std::move(bytes), sizeof(wire::CapsuleCmd), data_at, patches);
    return command.cid;
}

void FuzzLink::connect(const ConnectFields& fields, const Patches& patches) {
    nvme::ConnectCommand command;
    command.qid = fields.qid;
    command.sqsize = fields.sqsize;
    command.kato = fields.kato;
    command.cattr = fields.cattr;
    nvme::ConnectData data;
    data.hostid[15] = static_cast<uint8_t>(fields.host + 1);
    data.cntlid = fields.cntlid;
    nvme::fill_nqn_field(data.subnqn, subsystem_nqn(fields.subsystem));
    nvme::fill_nqn_field(data.hostnqn, host_nqn(fields.host));
    const size_t before = out_.size();
    this->command(nvme::to_command(command), bytes_of(data), patches);
    // What it says in the end, with what was overwritten, decides whose data may come back.
    const Bytes pdu = Bytes(out_).subspan(before);
    const auto sent = load<wire::CapsuleCmd>(pdu);
    const auto sent_data = load<nvme::ConnectData>(pdu.subspan(sizeof sent + (framing_.header_digest ? 4 : 0)));
    connects_.push_back({.cid = sent.sqe.cid,
                         .subsystem = index_of_nqn(sent_data.subnqn, subsystem_count, subsystem_nqn),
                         .host = index_of_nqn(sent_data.hostnqn, host_count, host_nqn)});
}

void FuzzLink::enable() {
    nvme::PropertySetCommand command;
    command.offset = nvme::property::cc;
    command.value = nvme::Configuration{}
                        .with(nvme::Configuration::en, 1)
                        .with(nvme::Configuration::iosqes, nvme::sqe_size_log2)
                        .with(nvme::Configuration::iocqes, nvme::cqe_size_log2)
                        .raw;
    this->command(nvme::to_command(command), {}, {});
}

void FuzzLink::h2c_data(const OpenR2t& r2t, uint32_t offset, uint32_t length, uint64_t lba, bool is_last,
                        const Patches& patches) {
    std::vector<std::byte> data(length);
    stamp(data, subsystem_, lba);
    std::vector<std::byte> bytes(wire::encoded_size_max);
    bytes.resize(wire::encode_h2c_data(
        bytes, {.cccid = r2t.cid, .ttag = r2t.ttag, .offset = offset, .length = length, .is_last = is_last}, framing_));
    const size_t data_at = bytes.size();
    append_data(bytes, data);
    put(std::move(bytes), sizeof(wire::H2cData), data_at, patches);
}

void FuzzLink::term_req(uint8_t fes, uint32_t fei, uint8_t data_bytes, const Patches& patches) {
    const std::array<std::byte, wire::term_req_data_max> copy{};
    std::vector<std::byte> bytes(wire::encoded_size_max);
    bytes.resize(wire::encode_term_req(bytes, wire::End::host, {wire::FatalErrorStatus(fes), fei},
                                       Bytes(copy).first(data_bytes % (copy.size() + 1))));
    put(std::move(bytes), sizeof(wire::TermReq), sizeof(wire::TermReq), patches);
}

void FuzzLink::raw(Bytes bytes) { out_.insert(out_.end(), bytes.begin(), bytes.end()); }

void FuzzLink::end_sending() {
    if (is_established()) stream_->shutdown_send();
}

void FuzzLink::pump() {
    if (!is_open()) return;
    if (!is_established_) {
        const Result<void> connected = stream_->connected();
        if (!connected) {
            is_closed_ = connected.error().code != Errc::in_progress;
            return;
        }
        is_established_ = true;
    }
    while (!out_.empty()) {
        const iovec piece{.iov_base = out_.data(), .iov_len = out_.size()};
        const env::Transfer sent = stream_->send({&piece, 1});
        if (sent.state == env::Transfer::State::failed) is_closed_ = true;
        if (sent.state != env::Transfer::State::done) break;
        checker_.host_sent(Bytes(out_).first(sent.bytes));
        out_.erase(out_.begin(), out_.begin() + static_cast<ptrdiff_t>(sent.bytes));
    }
    // NOLINTNEXTLINE(cppcoreguidelines-pro-type-member-init): receive() fills it
    std::array<std::byte, 16384> buffer;
    while (is_reading && stream_ != nullptr) {
        const env::Transfer got = stream_->receive(buffer);
        if (got.state == env::Transfer::State::would_block) break;
        if (got.state != env::Transfer::State::done) {
            is_closed_ = true;
            break;
        }
        checker_.target_sent(Bytes(buffer).first(got.bytes));
    }
}

}  // namespace weft::test
