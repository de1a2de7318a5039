#include "sim/sent_checker.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/crc32c.h"
#include "nvme/fabrics.h"
#include "nvme/feature.h"
#include "nvme/status.h"

namespace weft::test {

using nvme::wire::PduType;
namespace flags = nvme::wire::pdu_flags;

namespace {

constexpr size_t common_bytes = 8;
constexpr size_t host_headers_max = 64;
constexpr uint32_t term_req_bytes = 24;

// What the command lets the target send or ask for: only a descriptor of the transport's own data does.
uint32_t transport_bytes(const nvme::Command& command) {
    return command.dptr.identifier == nvme::sgl_transport ? command.dptr.length.value() : 0;
}

bool is_event_request(const nvme::Command& command, uint16_t qid) {
    return qid == 0 && command.admin_opcode() == nvme::AdminOpcode::async_event_request;
}

bool is_connect_command(const nvme::Command& command) {
    return command.is_fabrics() && command.fabrics_type() == nvme::FabricsType::connect;
}

bool is_zero_between(Bytes bytes, size_t from, size_t to) { return is_zero(bytes.subspan(from, to - from)); }

// Of the commands of an I/O queue whose own fields say how much they send.
std::optional<uint64_t> io_bytes_sent(const nvme::Command& command, uint32_t block_bytes) {
    const uint32_t dword12 = command.cdw12;
    switch (command.io_opcode()) {
        case nvme::IoOpcode::write:
        case nvme::IoOpcode::compare:
            if (block_bytes == 0) return {};
            return command.block_count() * block_bytes;
        case nvme::IoOpcode::dataset_management: return uint64_t{(command.cdw10 & 0xFFU) + 1} * 16;
        case nvme::IoOpcode::copy: return uint64_t{(dword12 & 0xFFU) + 1} * ((dword12 >> 8 & 0xFU) == 1 ? 40 : 32);
        case nvme::IoOpcode::reservation_register:
        case nvme::IoOpcode::reservation_acquire: return 16;
        case nvme::IoOpcode::reservation_release: return 8;
        default: return {};
    }
}

// Of the others; the length of a feature is that of its structure.
std::optional<uint64_t> admin_bytes_sent(const nvme::Command& command) {
    if (command.is_fabrics()) {
        if (is_connect_command(command)) return 1024;
        return {};
    }
    if (command.admin_opcode() == nvme::AdminOpcode::namespace_attachment) return 4096;
    if (command.admin_opcode() != nvme::AdminOpcode::set_features) return {};
    switch (nvme::FeatureRequest::from(command).id) {
        case nvme::FeatureId::timestamp: return 8;
        case nvme::FeatureId::host_behavior_support: return 512;
        default: return {};
    }
}

}  // namespace

// The descriptor may be longer than what the command is about (NVMe Base 2.0, 4.1.2): what is over is not asked for.
uint64_t SentChecker::bytes_wanted(const nvme::Command& command) const {
    const bool is_io = connected_ && qid_ != 0 && !command.is_fabrics();
    const auto sent = is_io ? io_bytes_sent(command, options_.block_bytes) : admin_bytes_sent(command);
    return sent.value_or(transport_bytes(command));
}

void SentChecker::complain(const std::string& what) {
    if (!ok()) return;
    std::string hex;
    for (size_t at = 0; at < std::min<size_t>(pdu_.size(), 32); ++at) {
        hex += fmt::format("{:02x}{}", static_cast<unsigned>(pdu_[at]), at % 4 == 3 ? " " : "");
    }
    complaint_ = fmt::format("{} (PDU {} from the target: {})", what, pdus_seen_, hex);
}

std::optional<uint16_t> SentChecker::cid_after(uint16_t choice) const {
    std::optional<uint16_t> best;
    for (const auto& [cid, entry] : outstanding_) {
        const auto distance = [choice](uint16_t to) { return static_cast<uint16_t>(to - choice); };
        if (!best || distance(cid) < distance(*best)) best = cid;
    }
    return best;
}

// ---- What the host sends ----

uint32_t SentChecker::host_header_bytes(uint8_t type) const {
    const uint32_t digest = header_digest_ ? 4 : 0;
    switch (PduType(type)) {
        case PduType::ic_req: return 128;
        case PduType::h2c_term_req: return term_req_bytes;
        case PduType::capsule_cmd: return 72 + digest;
        case PduType::h2c_data: return 24 + digest;
        default: return 0;
    }
}

void SentChecker::host_sent(Bytes bytes) {
    while (!bytes.empty() && !host_broken_) {
        if (host_left_ > 0) {
            const size_t count = std::min<uint64_t>(host_left_, bytes.size());
            bytes = bytes.subspan(count);
            host_left_ -= count;
            if (host_left_ == 0) host_pdu_ends();
            continue;
        }
        bytes = take_host_header(bytes);
    }
}

// Takes bytes until the header at hand is whole, or makes no sense.
Bytes SentChecker::take_host_header(Bytes bytes) {
    const auto take_up_to = [&](size_t size) {
        const size_t count = std::min(size - std::min(size, host_head_.size()), bytes.size());
        host_head_.insert(host_head_.end(), bytes.begin(), bytes.begin() + static_cast<ptrdiff_t>(count));
        bytes = bytes.subspan(count);
        return host_head_.size() >= size;
    };
    if (host_head_.size() < common_bytes) {
        if (!take_up_to(common_bytes)) return bytes;
        if (host_headers_.size() < host_headers_max) host_headers_.push_back(host_head_);
    }
    const auto common = load<nvme::wire::CommonHeader>(host_head_);
    const auto type = static_cast<uint8_t>(common.type);
    const uint32_t header = host_header_bytes(type);
    const bool is_in_order = icreq_seen_ ? common.type != PduType::ic_req
                                         : common.type == PduType::ic_req || common.type == PduType::h2c_term_req;
    const bool has_digest = header_digest_ && (common.type == PduType::capsule_cmd || common.type == PduType::h2c_data);
    if (header == 0 || !is_in_order || common.hlen != header - (has_digest ? 4 : 0) || common.plen < header) {
        host_broken_ = true;
        return {};
    }
    if (!take_up_to(header)) return bytes;
    if (has_digest &&
        load<le32>(Bytes(host_head_).subspan(common.hlen)) != crc32c(Bytes(host_head_).first(common.hlen))) {
        host_broken_ = true;
        return {};
    }
    host_pdu_.swap(host_head_);
    host_head_.clear();
    host_left_ = common.plen - header;
    host_pdu_begins();
    if (host_left_ == 0) host_pdu_ends();
    return bytes;
}

void SentChecker::host_pdu_begins() {
    host_has_command_ = false;
    if (PduType(host_pdu_[0]) != PduType::capsule_cmd) return;
    Outstanding entry;
    entry.command = load<nvme::wire::CapsuleCmd>(host_pdu_).sqe;
    entry.number = ++host_commands_;
    host_command_ = outstanding_.emplace(entry.command.cid.value(), std::move(entry));
    host_has_command_ = true;
}

void SentChecker::host_pdu_ends() {
    switch (PduType(host_pdu_[0])) {
        case PduType::ic_req: host_icreq(); break;
        case PduType::h2c_data: host_h2c_data(); break;
        case PduType::capsule_cmd:
            if (host_has_command_) host_command_->second.is_whole = true;
            host_has_command_ = false;
            break;
        default: host_broken_ = true; break;  // H2CTermReq: nothing counts after it
    }
}

// The target takes whatever digests it is asked for, so the host may send on before ICResp.
void SentChecker::host_icreq() {
    const auto request = load<nvme::wire::IcReq>(host_pdu_);
    icreq_seen_ = true;
    header_digest_ = (request.dgst & nvme::wire::digest_bits::header) != 0;
    data_digest_ = (request.dgst & nvme::wire::digest_bits::data) != 0;
    hpda_ = request.hpda;
    r2t_max_ = uint64_t{request.maxr2t} + 1;
}

void SentChecker::host_h2c_data() {
    const auto data = load<nvme::wire::H2cData>(host_pdu_);
    const auto [first, last] = outstanding_.equal_range(data.cccid);
    for (auto at = first; at != last; ++at) {
        auto& grants = at->second.grants;
        const auto grant = std::ranges::find(grants, data.ttag.value(), &Grant::ttag);
        if (grant == grants.end()) continue;
        const uint32_t left = grant->bytes - grant->received;
        if (data.datao != grant->offset + grant->received || data.datal > left) break;
        grant->received += data.datal;
        if (grant->received == grant->bytes) grants.erase(grant);
        return;
    }
    host_broken_ = true;  // for data that nobody asked for there is but one answer
}

// ---- What the target sends ----

void SentChecker::target_sent(Bytes bytes) {
    while (!bytes.empty() && ok()) {
        if (term_seen_) {
            complain("bytes after a C2HTermReq");
            return;
        }
        size_t wanted = common_bytes;
        if (pdu_.size() >= common_bytes) wanted = load<nvme::wire::CommonHeader>(pdu_).plen;
        const size_t count = std::min(wanted - pdu_.size(), bytes.size());
        pdu_.insert(pdu_.end(), bytes.begin(), bytes.begin() + static_cast<ptrdiff_t>(count));
        bytes = bytes.subspan(count);
        if (pdu_.size() == common_bytes && !is_framed()) return;
        if (pdu_.size() > common_bytes && pdu_.size() == load<nvme::wire::CommonHeader>(pdu_).plen) {
            judge();
            ++pdus_seen_;
            pdu_.clear();
        }
    }
}

// From the first eight bytes: whether the rest can be waited for.
bool SentChecker::is_framed() {
    const auto common = load<nvme::wire::CommonHeader>(pdu_);
    if (common.plen < 24 || common.plen > options_.data_bytes_max + 256) complain("PLEN is out of all bounds");
    return ok();
}

void SentChecker::judge() {
    const auto common = load<nvme::wire::CommonHeader>(pdu_);
    if (!icresp_seen_ && common.type != PduType::ic_resp && common.type != PduType::c2h_term_req) {
        return complain("a PDU before ICResp");
    }
    switch (common.type) {
        case PduType::ic_resp: return judge_icresp();
        case PduType::c2h_term_req: return judge_term_req();
        case PduType::capsule_resp: return judge_completion();
        case PduType::c2h_data: return judge_c2h_data();
        case PduType::r2t: return judge_r2t();
        default: return complain("a type of PDU that no controller sends");
    }
}

// HLEN, FLAGS and, where there is one, the header's digest.
bool SentChecker::check_header(uint8_t hlen, uint8_t flags_allowed, bool has_digest) {
    const auto common = load<nvme::wire::CommonHeader>(pdu_);
    const bool digest = has_digest && header_digest_;
    if (common.hlen != hlen) complain("HLEN is not the type's");
    if ((common.flags & ~flags_allowed & ~(digest ? flags::header_digest : 0)) != 0) complain("a FLAG that is not due");
    if (!ok() || !digest) return ok();
    if ((common.flags & flags::header_digest) == 0) complain("HDGSTF is missing");
    if (common.plen < hlen + 4U) {
        complain("PLEN has no room for the header digest");
    } else if (load<le32>(Bytes(pdu_).subspan(hlen)) != crc32c(Bytes(pdu_).first(hlen))) {
        complain("the header digest is wrong");
    }
    return ok();
}

void SentChecker::judge_icresp() {
    if (!check_header(128, 0, false)) return;
    const auto response = load<nvme::wire::IcResp>(pdu_);
    if (!icreq_seen_) complain("ICResp without ICReq");
    if (icresp_seen_) complain("a second ICResp");
    if (response.ch.plen != 128 || response.ch.pdo != 0) complain("ICResp: PLEN or PDO");
    if (response.pfv != 0 || response.cpda > 31) complain("ICResp: PFV or CPDA");
    const unsigned asked = (header_digest_ ? 1U : 0U) | (data_digest_ ? 2U : 0U);
    if (response.dgst != asked) complain("ICResp: DGST is not what was asked for");
    if (response.maxh2cdata < nvme::wire::maxh2cdata_min || response.maxh2cdata % 4 != 0)
        complain("ICResp: MAXH2CDATA");
    if (!is_zero_between(pdu_, 16, 128)) complain("ICResp: reserved bytes");
    maxh2cdata_ = response.maxh2cdata;
    icresp_seen_ = true;
}

void SentChecker::judge_term_req() {
    if (!check_header(term_req_bytes, 0, false)) return;
    const auto term = load<nvme::wire::TermReq>(pdu_);
    term_seen_ = true;
    if (options_.host_is_right) return complain("C2HTermReq to a host that did nothing wrong");
    if (term.ch.pdo != 0 || term.ch.plen > term_req_bytes + nvme::wire::term_req_data_max)
        complain("C2HTermReq: PLEN or PDO");
    if (term.fes < 1 || term.fes > 6) complain("C2HTermReq: FES");
    const bool has_fei = term.fes == 1 || term.fes == 3 || term.fes == 6;
    // FEI of the others is reserved; the offset of the field is tolerated there.
    if (!has_fei && term.fei >= 128) complain("C2HTermReq: FEI of an error that has none");
    if (term.fes != 3 && has_fei && term.fei >= 128) complain("C2HTermReq: FEI is no offset into a header");
    if (!is_zero_between(pdu_, 14, term_req_bytes)) complain("C2HTermReq: reserved bytes");
    // The header that was wrong follows: one that this host sent, or none of ours would know what else it may be.
    const Bytes copy = Bytes(pdu_).subspan(term_req_bytes);
    if (copy.size() < common_bytes || host_headers_.size() >= host_headers_max) return;
    const bool is_known = std::ranges::any_of(host_headers_, [copy](const std::vector<std::byte>& header) {
        return std::ranges::equal(header, copy.first(common_bytes));
    });
    if (!is_known) complain("C2HTermReq: its data is no header that the host sent");
}

SentChecker::Table::iterator SentChecker::find(uint16_t cid, bool newest) {
    const auto [first, last] = outstanding_.equal_range(cid);
    auto best = outstanding_.end();
    for (auto at = first; at != last; ++at) {
        // An event request whose identifier is used again has been given up.
        const auto rank = [this](const Outstanding& entry) { return !is_event_request(entry.command, qid_); };
        const bool is_better =
            best == outstanding_.end() || rank(at->second) > rank(best->second) ||
            (rank(at->second) == rank(best->second) && (at->second.number > best->second.number) == newest);
        if (is_better) best = at;
    }
    return best;
}

void SentChecker::judge_completion() {
    if (!check_header(24, 0, true)) return;
    const auto response = load<nvme::wire::CapsuleResp>(pdu_);
    if (response.ch.plen != 24U + (header_digest_ ? 4 : 0) || response.ch.pdo != 0)
        complain("CapsuleResp: PLEN or PDO");
    const auto status = nvme::Status::from_wire(response.cqe.status);
    // Of two commands with one identifier it is the later one that conflicts.
    const auto at = find(response.cqe.cid, status.is(nvme::status::cid_conflict));
    if (at == outstanding_.end()) return complain("a completion for which there is no command");
    complete(at, response.cqe);
}

void SentChecker::complete(Table::iterator at, const nvme::Completion& completion) {
    const Outstanding& entry = at->second;
    const nvme::Command command = entry.command;
    const auto status = nvme::Status::from_wire(completion.status);
    if (!entry.is_whole) complain("a completion before the end of the command's capsule");
    if ((completion.status & 1U) != 0) complain("a completion with a phase tag");
    // Fabrics reserve SQID; some targets name the queue.
    if (completion.sqid != 0 && completion.sqid != qid_) complain("SQID is another queue's");
    if (status.is_success()) {
        if (!entry.grants.empty()) complain("success before the data that was asked for had come");
        const bool wants_data = nvme::transfer_direction(command) == nvme::TransferDirection::host_to_controller;
        if (wants_data && entry.data_granted > 0 && entry.data_granted != bytes_wanted(command)) {
            complain("success though not all of the data was asked for");
        }
        if (entry.data_sent > 0 && !entry.data_ended) complain("a completion before the last of the data");
        const bool is_read = connected_ && qid_ != 0 && command.io_opcode() == nvme::IoOpcode::read;
        if (is_read && options_.block_bytes != 0 && entry.data_sent != command.block_count() * options_.block_bytes) {
            complain("a Read that succeeded without all of its data");
        }
    } else if (entry.data_ended) {
        complain("an error after all of the data");
    }
    if (connected_ && (flow_control_ ? completion.sqhd >= queue_size_ : completion.sqhd != nvme::sqhd_none)) {
        complain("SQHD is outside of the queue");
    }
    if (options_.on_completion) options_.on_completion(command, completion);
    if (is_connect_command(command) && status.is_success() && !connected_) {
        const auto connect = nvme::as_fabrics<nvme::ConnectCommand>(command);
        connected_ = true;
        qid_ = connect.qid;
        queue_size_ = static_cast<uint16_t>(connect.sqsize + 1);
        flow_control_ = (connect.cattr & nvme::ConnectCommand::disable_sq_flow_control) == 0;
        cntlid_ = static_cast<uint16_t>(completion.cdw0 & 0xFFFF);
    }
    if (host_has_command_ && host_command_ == at) host_has_command_ = false;
    outstanding_.erase(at);
}

void SentChecker::judge_c2h_data() {
    if (!check_header(24, flags::data_digest | flags::last_pdu | flags::success, true)) return;
    const auto data = load<nvme::wire::C2hData>(pdu_);
    const uint32_t header = 24 + (header_digest_ ? 4 : 0);
    const uint32_t digest = data_digest_ && data.datal > 0 ? 4 : 0;
    const uint32_t alignment = (uint32_t{hpda_} + 1) * 4;
    const bool is_last = (data.ch.flags & flags::last_pdu) != 0;
    const bool is_success = (data.ch.flags & flags::success) != 0;
    if (((data.ch.flags & flags::data_digest) != 0) != (digest != 0)) complain("C2HData: DDGSTF");
    if (data.datal == 0) complain("C2HData: no data");
    if (data.ch.pdo < header || data.ch.pdo % alignment != 0)
        complain("C2HData: PDO is within the header or not aligned");
    if (data.ch.plen != uint64_t{data.ch.pdo} + data.datal + digest)
        complain("C2HData: PLEN is not the sum of its parts");
    if (data.reserved10 != 0 || !is_zero_between(pdu_, 20, 24)) complain("C2HData: reserved bytes");
    if (is_success && !is_last) complain("C2HData: SUCCESS without LAST_PDU");
    if (is_success && (!connected_ || flow_control_)) complain("C2HData: SUCCESS on a queue with flow control");
    if (!ok()) return;
    const Bytes payload = Bytes(pdu_).subspan(data.ch.pdo, data.datal);
    if (!is_zero_between(pdu_, header, data.ch.pdo)) complain("C2HData: the padding is not zero");
    if (digest != 0 && load<le32>(Bytes(pdu_).subspan(data.ch.pdo + data.datal)) != crc32c(payload)) {
        complain("C2HData: the data digest is wrong");
    }
    const auto at = find(data.cccid, false);
    if (at == outstanding_.end()) return complain("C2HData for which there is no command");
    Outstanding& entry = at->second;
    const nvme::Command command = entry.command;
    if (!entry.is_whole) complain("C2HData before the end of the command's capsule");
    if (nvme::transfer_direction(command) != nvme::TransferDirection::controller_to_host) {
        complain("C2HData for a command that has none");
    }
    if (entry.data_ended) complain("C2HData after the last");
    if (data.datao != entry.data_sent) complain("C2HData out of order");
    if (uint64_t{data.datao} + data.datal > transport_bytes(command))
        complain("C2HData beyond the command's descriptor");
    if (options_.check_data) {
        const std::string what = options_.check_data(command, data.datao, payload);
        if (!what.empty()) complain("C2HData: " + what);
    }
    entry.data_sent += data.datal;
    entry.data_ended = is_last;
    if (!is_success || !ok()) return;
    nvme::Completion completion;
    completion.cid = command.cid;
    completion.sqid = qid_;
    completion.sqhd = nvme::sqhd_none;
    complete(at, completion);
}

void SentChecker::judge_r2t() {
    if (!check_header(24, 0, true)) return;
    const auto r2t = load<nvme::wire::R2t>(pdu_);
    if (r2t.ch.plen != 24U + (header_digest_ ? 4 : 0) || r2t.ch.pdo != 0) complain("R2T: PLEN or PDO");
    if (!is_zero_between(pdu_, 20, 24)) complain("R2T: reserved bytes");
    for (const OpenR2t& open : open_r2ts()) {
        if (open.ttag == r2t.ttag) complain("R2T: its tag is in use");
    }
    const auto at = find(r2t.cccid, false);
    if (at == outstanding_.end()) return complain("R2T for which there is no command");
    Outstanding& entry = at->second;
    if (!entry.is_whole) complain("R2T before the end of the command's capsule");
    if (nvme::transfer_direction(entry.command) != nvme::TransferDirection::host_to_controller) {
        complain("R2T for a command that sends no data");
    }
    if (r2t.r2tl == 0) complain("R2T for nothing");
    if (r2t.r2to != entry.data_granted) complain("R2T out of order");
    if (uint64_t{r2t.r2to} + r2t.r2tl > transport_bytes(entry.command)) complain("R2T beyond the command's descriptor");
    if (entry.grants.size() >= r2t_max_) complain("R2T beyond MAXR2T");
    entry.data_granted += r2t.r2tl;
    entry.grants.push_back({.ttag = r2t.ttag, .offset = r2t.r2to, .bytes = r2t.r2tl});
}

size_t SentChecker::unanswered() const {
    return static_cast<size_t>(std::ranges::count_if(outstanding_, [this](const auto& at) {
        const Outstanding& entry = at.second;
        return entry.is_whole && entry.grants.empty() && !is_event_request(entry.command, qid_);
    }));
}

std::vector<OpenR2t> SentChecker::open_r2ts() const {
    std::vector<std::pair<uint64_t, OpenR2t>> found;
    for (const auto& [cid, entry] : outstanding_) {
        for (const Grant& grant : entry.grants) {
            found.push_back({entry.number,
                             {.cid = cid,
                              .ttag = grant.ttag,
                              .offset = grant.offset + grant.received,
                              .left = grant.bytes - grant.received}});
        }
    }
    std::ranges::sort(found, {}, &std::pair<uint64_t, OpenR2t>::first);
    std::vector<OpenR2t> open;
    open.reserve(found.size());
    for (const auto& [number, r2t] : found) open.push_back(r2t);
    return open;
}

}  // namespace weft::test
