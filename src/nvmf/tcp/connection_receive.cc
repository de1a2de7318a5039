// What arrives on an NVMe/TCP connection: PDUs become requests, and the host's data finds its place.
#include <algorithm>

#include "base/log.h"
#include "base/mutants.h"
#include "base/probe.h"
#include "bdev/device.h"
#include "nvmf/connect.h"
#include "nvmf/controller/controller.h"
#include "nvmf/execute.h"
#include "nvmf/io/fused.h"
#include "nvmf/io/io_commands.h"
#include "nvmf/io/streamed_write.h"
#include "nvmf/log_flags.h"
#include "nvmf/tcp/connection.h"
#include "nvmf/tcp/group.h"
#include "reactor/trace_here.h"

namespace weft::nvmf::tcp {

namespace {

using nvme::Status;
using nvme::TransferDirection;
using nvme::wire::Event;
using nvme::wire::FatalErrorStatus;
using nvme::wire::PduType;
namespace status = nvme::status;

// What is kept of a host that does not count the commands of its queue, so that strangers cost no more.
constexpr size_t uncounted_bytes_max = 16 * 1024;

void on_buffers_granted(BufferWaiter& waiter) {
    auto& request = *static_cast<Request*>(waiter.context);
    request.buffer_count = static_cast<uint8_t>(waiter.into.size());
    request.qpair->resume(request);
}

}  // namespace

uint32_t Connection::receive() {
    if (is_stalled() || is_closing()) return 0;
    const MutableBytes buffer = group_.receive_buffer();
    WEFT_PROBE(receive_begin, uid());
    const env::TimeNs began = trace::is_on(trace::Point::sock_recv) ? trace_time() : 0;
    const env::Transfer got = stream_->receive(buffer);
    WEFT_PROBE(receive_end, uid(), got.bytes);
    const bool is_news = got.state != env::Transfer::State::would_block;
    if (began != 0 && is_news) [[unlikely]] {
        trace_here(trace::Point::sock_recv, uid(), {.b = trace_time() - began, .c = static_cast<uint32_t>(got.bytes)});
    }
    if (trace::is_on(trace::Point::tcp_read_done) && is_news) [[unlikely]]
        trace_here(trace::Point::tcp_read_done, uid(), {.c = static_cast<uint32_t>(got.bytes)});
    switch (got.state) {
        case env::Transfer::State::would_block: return 0;
        case env::Transfer::State::end: close("the host closed the connection"); return 1;
        case env::Transfer::State::failed: close("the connection was lost"); return 1;
        case env::Transfer::State::done: break;
    }
    group_.figures.received_bytes += got.bytes;
    if (phase_ == Phase::running) process(buffer.first(got.bytes));
    if (!receiver_.is_between_pdus()) group_.watch_progress();
    return 1;
}

void Connection::take_received(Bytes bytes) {
    if (bytes.empty()) return;
    group_.figures.received_bytes += bytes.size();
    process(bytes);
    if (!receiver_.is_between_pdus()) group_.watch_progress();
}

void Connection::process(Bytes input) {
    while (phase_ == Phase::running) {
        const Event event = receiver_.next(input);
        switch (event.kind) {
            case Event::Kind::need_more: return;
            case Event::Kind::begin: begin_pdu(input); break;
            case Event::Kind::data: take_data(event); break;
            case Event::Kind::end: end_pdu(event.digest_ok); break;
            case Event::Kind::violation: terminate(event.violation); return;
            case Event::Kind::violation_silent: close("malformed H2CTermReq"); return;
        }
        if (is_stalled()) return;
    }
}

// What stalled the connection may be over: goes on with the command at hand, then with the backlog.
uint32_t Connection::unstall() {
    WEFT_ASSERT(is_stalled());
    const bool is_over = stall_ == Stall::slot ? outstanding.size() < queue_depth()
                                               : rx_request_->state() != RequestState::waiting_for_buffer;
    if (!is_over && is_deadlocked()) {
        // More commands than the queue holds: the host broke its promise, and nothing of what it sent will end.
        terminate({FatalErrorStatus::pdu_sequence_error});
        return 1;
    }
    if (!is_over) {
        group_.add_stalled(*this);
        return 0;
    }
    const bool lacks_slot = stall_ == Stall::slot;
    const std::vector<std::byte> backlog = std::move(backlog_);
    backlog_.clear();
    stall_ = Stall::none;
    if (lacks_slot) begin_command(backlog);
    if (!is_stalled() && !mutant::on(mutant::backlog_dropped)) process(backlog);
    if (!is_stalled()) group_.make_hot(*this);
    return 1;
}

// Nothing moves `request` on but the host, or an event that may never be.
bool Connection::awaits_host(const Request& request) const {
    if (request.state() == RequestState::receiving) return true;
    if (request.state() == RequestState::waiting_for_partner && request.partner == nullptr) return true;
    return is_admin() && !request.command.is_fabrics() && request.state() == RequestState::executing &&
           request.command.admin_opcode() == nvme::AdminOpcode::async_event_request;
}

// The slots that the stalled command needs are held by commands whose data stands behind it in the stream. (Buffers
// for its in-capsule data are kept: see BufferClaim::urgent.)
bool Connection::is_deadlocked() const {
    if (stall_ != Stall::slot) return false;
    for (const Request* at = outstanding.front(); at != nullptr; at = decltype(outstanding)::next(*at)) {
        if (!awaits_host(*at)) return false;
    }
    return true;
}

void Connection::begin_pdu(Bytes rest) {
    rx_request_ = nullptr;
    rx_inline_ = false;
    rx_offset_ = 0;
    switch (receiver_.type()) {
        case PduType::capsule_cmd: begin_command(rest); break;
        case PduType::h2c_data: begin_h2c_data(); break;
        default: break;
    }
}

void Connection::begin_command(Bytes rest) {
    // More than the queue holds can only come from a host that does not count; it waits.
    TcpRequest* request = outstanding.size() < queue_depth() ? group_.slots().take() : nullptr;
    if (request == nullptr) {
        if (outstanding.size() >= queue_depth() && rest.size() > uncounted_bytes_max) {
            return close("it sends more commands than its queue holds");
        }
        stall(Stall::slot, rest);
        return;
    }
    request->command = receiver_.header_as<nvme::wire::CapsuleCmd>().sqe;
    request->qpair = this;
    request->began = group().thread().reactor().now();
    trace_new(*request);
    const uint16_t cid = request->command.cid;
    const bool conflicts = cids_[cid & 0xFF] > 0 && has_outstanding_cid(cid) && !gives_up_event_request(cid);
    ++cids_[cid & 0xFF];
    outstanding.push_back(*request);
    rx_request_ = request;
    const uint32_t payload_bytes = receiver_.payload_size();
    request->refusal = conflicts ? status::cid_conflict : plan(*request, payload_bytes);
    if (is_fused(*request) || awaits_fused) [[unlikely]] {
        request->refusal = arrive_fused(*request, request->refusal);
        if (request->refusal.is_success() && is_fused(*request)) group_.watch_progress();
    }
    if (request->refusal.is_success() && payload_bytes > 0) place_in_capsule_data(*request, payload_bytes, rest);
}

void Connection::trace_new(TcpRequest& request) {
    const nvme::Command& command = request.command;
    const uint16_t admin = is_admin() ? trace::admin_opcode : 0;
    request.trace_at(
        trace::Point::tcp_req_new,
        {.a = uid(), .b = command.slba(), .c = command.cid, .d = static_cast<uint16_t>(command.opcode | admin)});
}

bool Connection::has_outstanding_cid(uint16_t cid) const {
    for (const Request* at = outstanding.front(); at != nullptr; at = decltype(outstanding)::next(*at)) {
        if (at->command.cid == cid) return true;
    }
    return false;
}

// The field's initiator ends its event requests on its side only before it shuts a controller down.
bool Connection::gives_up_event_request(uint16_t cid) {
    return is_admin() && controller != nullptr && controller->drop_event_request(cid);
}

// Checks what NVMe/TCP says of the command's SGL (1.0, 3.3.2), then what the command itself needs.
Status Connection::plan(TcpRequest& request, uint32_t payload_bytes) {
    const nvme::Command& command = request.command;
    if (state != State::enabled) [[unlikely]] {
        if (const Status early = check_early(command); !early.is_success()) return early;
    }
    if (command.psdt() != nvme::DataPointerKind::sgl_mptr_contiguous) return status::invalid_field.with_dnr();

    const nvme::SglDescriptor& sgl = command.dptr;
    const bool is_in_capsule = sgl.identifier == nvme::sgl_in_capsule;
    const bool has_sgl = is_in_capsule || sgl.identifier == nvme::sgl_transport;
    const uint32_t sgl_bytes = has_sgl ? sgl.length.value() : 0;
    const Status planned = plan_command(request, sgl_bytes);
    if (request.direction == TransferDirection::none && planned.is_success()) return planned;
    // The descriptor is wrong before anything is wrong with what it describes.
    if (transfer_direction(command) != TransferDirection::none) {
        if (!has_sgl && sgl.length != 0) return status::sgl_descriptor_type_invalid.with_dnr();
        if (is_in_capsule && sgl.address != 0) return status::sgl_offset_invalid.with_dnr();
        const bool is_as_long = sgl_bytes == payload_bytes || mutant::on(mutant::capsule_length_unchecked);
        if (is_in_capsule && !is_as_long) return status::data_sgl_length_invalid.with_dnr();
        if (is_in_capsule && sgl_bytes > 0 && request.direction == TransferDirection::controller_to_host) {
            return status::sgl_descriptor_type_invalid.with_dnr();
        }
        if (!is_in_capsule && sgl_bytes > std::max(options().max_io_size, admin_in_capsule_max)) {
            return status::invalid_field.with_dnr();
        }
    }
    if (!planned.is_success()) return planned;
    if (!is_in_capsule && payload_bytes > 0) return status::data_sgl_length_invalid.with_dnr();
    return status::success;
}

// The command's data follows in its capsule: finds where it goes.
void Connection::place_in_capsule_data(TcpRequest& request, uint32_t payload_bytes, Bytes rest) {
    if (request.direction != TransferDirection::host_to_controller) return;
    request.trace_at(trace::Point::tcp_req_tx_h_to_c, {.c = payload_bytes});
    if (uses_control_data(request)) {
        request.allocate_control(request.data_bytes);
        request.move(RequestEvent::receive);
        return;
    }
    // All of it is here, with padding and digest, and the device takes it from where it is.
    const size_t whole = payload_bytes + nvme::wire::pdo_max + nvme::wire::digest_size;
    const size_t least = payload_bytes + (framing_.data_digest ? nvme::wire::digest_size : 0);
    if ((rest.size() >= whole || (framing_.data_alignment == 0 && rest.size() >= least)) &&
        takes_received_data(request)) {
        rx_inline_ = true;
        request.move(RequestEvent::receive);
        return;
    }
    // What follows on the connection may be what others with buffers wait for.
    if (get_buffers(request, request.data_bytes,
                    mutant::on(mutant::capsule_waits_for_data) ? BufferClaim::ordinary : BufferClaim::urgent)) {
        request.use_buffers(buffers().pool().buffer_bytes());
        request.move(RequestEvent::receive);
        return;
    }
    stall(Stall::buffer, rest);
}

// Buffers for so many bytes. False: the request waits for them.
bool Connection::get_buffers(TcpRequest& request, uint32_t bytes, BufferClaim claim) {
    const uint32_t unit = buffers().pool().buffer_bytes();
    const auto into = std::span(request.buffers).first((bytes + unit - 1) / unit);
    if (buffers().take(into, claim)) {
        request.buffer_count = static_cast<uint8_t>(into.size());
        return true;
    }
    request.move(RequestEvent::need_buffer);
    request.buffer_waiter.into = into;
    request.buffer_waiter.claim = claim;
    request.buffer_waiter.granted = on_buffers_granted;
    request.buffer_waiter.context = &request;
    buffers().wait(request.buffer_waiter);
    return false;
}

// Buffers came, a pause ended, or a device may take the request now.
void Connection::resume(Request& waiting) {
    auto& request = static_cast<TcpRequest&>(waiting);
    if (request.state() != RequestState::waiting_for_buffer) return execute(request);
    if (request.direction != TransferDirection::host_to_controller) return execute(request);
    if (&request != rx_request_ || !is_stalled()) return receive_into_buffers(request);
    request.use_buffers(buffers().pool().buffer_bytes());
    request.move(RequestEvent::receive);
}

void Connection::begin_h2c_data() {
    const auto header = receiver_.header_as<nvme::wire::H2cData>();
    TcpRequest* request = header.ttag == 0xFFFF ? nullptr : group_.slots().at(header.ttag);
    const bool is_own = request != nullptr && (request->qpair == this || mutant::on(mutant::ttag_of_any_connection));
    const bool awaits = is_own && request->r2t_sent && request->state() == RequestState::receiving;
    if (!awaits) return terminate(nvme::wire::invalid_field(offsetof(nvme::wire::H2cData, ttag)));
    if (header.cccid != request->command.cid) {
        return terminate(nvme::wire::invalid_field(offsetof(nvme::wire::H2cData, cccid)));
    }
    if (header.datao != request->received_bytes && !mutant::on(mutant::data_offset_unchecked)) {
        // Out of the range that was asked for, or not the next piece of it (NVMe/TCP 1.0, 3.3.2.2).
        const bool outside = header.datao >= request->granted_bytes;
        return terminate({outside ? FatalErrorStatus::data_transfer_out_of_range : FatalErrorStatus::pdu_sequence_error,
                          outside ? 0U : static_cast<uint32_t>(offsetof(nvme::wire::H2cData, datao))});
    }
    const uint32_t left = request->granted_bytes - request->received_bytes;
    if (header.datal > left && !mutant::on(mutant::data_length_unchecked))
        return terminate({FatalErrorStatus::data_transfer_out_of_range, 0});
    const bool is_last = (header.ch.flags & nvme::wire::pdu_flags::last_pdu) != 0;
    if (is_last != (header.datal == left)) return terminate({FatalErrorStatus::pdu_sequence_error, 0});
    if (header.datal == 0) return terminate(nvme::wire::invalid_field(offsetof(nvme::wire::H2cData, datal)));
    rx_request_ = request;
    rx_offset_ = header.datao;
    request->trace_at(trace::Point::tcp_req_tx_h_to_c, {.b = header.datao, .c = header.datal});
}

void Connection::take_data(const Event& event) {
    TcpRequest* request = rx_request_;
    if (request == nullptr || !request->refusal.is_success()) return;
    if (rx_inline_) {
        if (event.is_complete) use_received(*request, 0, event.data);
        return;  // or else the digest was wrong: end_pdu() says so
    }
    if (request->direction != TransferDirection::host_to_controller) return;
    if (request->stream_opening != 0) {
        request->refusal = stream(*request, event.data);
        return;
    }
    // The last of it, all verified: the buffers are not needed for this piece after all.
    const uint32_t offset = rx_offset_ + event.offset;
    const bool is_last = event.is_complete && offset + event.data.size() == request->data_bytes;
    if (is_last && request->source == DataSource::buffers && takes_received_data(*request)) {
        return use_received(*request, offset, event.data);
    }
    copy_in(*request, offset, event.data);
}

// The device takes the last of the data from where it was received, at the end of this PDU; what came before it is in
// the request's buffers.
void Connection::use_received(TcpRequest& request, uint32_t offset, Bytes data) {
    request.source = DataSource::received;
    uint8_t count = 0;
    for (size_t before = offset; before > 0; ++count) {
        iovec& piece = request.iov[count];
        piece.iov_len = std::min(piece.iov_len, before);
        before -= piece.iov_len;
    }
    request.iov[count] = {.iov_base = const_cast<std::byte*>(data.data()), .iov_len = request.data_bytes - offset};
    request.iov_count = count + 1;
}

// Copies `data` to `offset` of the command's data; what the command does not need is dropped.
void Connection::copy_in(TcpRequest& request, uint32_t offset, Bytes data) {
    if (offset >= request.data_bytes) return;
    data = data.first(std::min<size_t>(data.size(), request.data_bytes - offset));
    for (const iovec& piece : request.data()) {
        if (offset >= piece.iov_len) {
            offset -= static_cast<uint32_t>(piece.iov_len);
            continue;
        }
        const size_t count = std::min(data.size(), piece.iov_len - offset);
        std::copy_n(data.begin(), count, static_cast<std::byte*>(piece.iov_base) + offset);
        data = data.subspan(count);
        offset = 0;
        if (data.empty()) return;
    }
}

void Connection::end_pdu(bool digest_ok) {
    if (mutant::on(mutant::data_digest_ignored)) digest_ok = true;
    ++pdus_received_;
    const uint32_t payload_bytes = receiver_.payload_size();
    if (framing_.data_digest && payload_bytes > 0) group().thread().work().count(Work::crc32c, payload_bytes);
    switch (receiver_.type()) {
        case PduType::ic_req: end_ic_req(); break;
        case PduType::capsule_cmd: end_command(digest_ok); break;
        case PduType::h2c_data: end_h2c_data(digest_ok); break;
        case PduType::h2c_term_req: {
            const auto header = receiver_.header_as<nvme::wire::TermReq>();
            WEFT_INFOLOG(log_nvmf_tcp, "host \"{}\" ended the connection: fatal error status {:#x}",
                         log::quoted(hostnqn), header.fes.value());
            close("H2CTermReq");
            break;
        }
        default: break;
    }
    rx_request_ = nullptr;
    rx_inline_ = false;
}

// NVMe/TCP 1.0, 3.6.2.3.
void Connection::end_ic_req() {
    const auto request = receiver_.header_as<nvme::wire::IcReq>();
    framing_.header_digest = (request.dgst & nvme::wire::digest_bits::header) != 0;
    framing_.data_digest = (request.dgst & nvme::wire::digest_bits::data) != 0;
    framing_.data_alignment = request.hpda;
    receiver_.set_negotiated({.header_digest = framing_.header_digest,
                              .data_digest = framing_.data_digest,
                              .data_alignment = 0,
                              .capsule_data_max = std::max(options().in_capsule_data_size, admin_in_capsule_max),
                              .data_max = options().max_io_size});
    control_sent_ = 0;
    control_bytes_ =
        static_cast<uint32_t>(nvme::wire::encode_ic_resp(control_, {.data_alignment = 0,
                                                                    .header_digest = framing_.header_digest,
                                                                    .data_digest = framing_.data_digest,
                                                                    .limit = options().max_io_size}));
    is_initialized_ = true;
    group_.mark_dirty(*this);
}

void Connection::end_command(bool digest_ok) {
    TcpRequest& request = *rx_request_;
    if (!request.refusal.is_success()) return refuse(request, request.refusal);
    if (!digest_ok) return refuse(request, status::transient_transport_error);
    const bool wants_data = request.direction == TransferDirection::host_to_controller && request.data_bytes > 0;
    if (!wants_data || receiver_.payload_size() > 0) return execute(request);
    if (uses_control_data(request)) {
        request.allocate_control(request.data_bytes);
        request.move(RequestEvent::receive);
        return ask_for_data(request);
    }
    // One buffer, for a block that comes in pieces, if the rest goes straight into the device.
    const bool is_streamed = !framing_.data_digest && can_stream(request, buffers().pool().buffer_bytes());
    if (is_streamed) request.source = DataSource::streamed;
    if (get_buffers(request, is_streamed ? 1 : request.data_bytes, BufferClaim::ordinary))
        receive_into_buffers(request);
    // Or else resume() goes on.
}

// The buffers are there for the data that R2Ts ask for.
void Connection::receive_into_buffers(TcpRequest& request) {
    if (request.source == DataSource::streamed) {
        start_stream(request, request.buffers[0]);
    } else {
        request.use_buffers(buffers().pool().buffer_bytes());
    }
    request.move(RequestEvent::receive);
    ask_for_data(request);
}

// Queues an R2T for what is missing, at most MAXH2CDATA at a time (NVMe/TCP 1.0, 3.6.2.9). One is outstanding at
// most, which every MAXR2T allows.
void Connection::ask_for_data(TcpRequest& request) {
    request.granted_bytes =
        request.received_bytes + std::min(request.data_bytes - request.received_bytes, options().max_io_size);
    if (mutant::on(mutant::r2t_length_wraps)) request.granted_bytes &= 0xFFFF;
    request.r2t_sent = false;
    request.is_r2t_queued = true;
    request.trace_at(trace::Point::tcp_req_await_r2t_ack,
                     {.b = request.received_bytes, .c = request.granted_bytes - request.received_bytes});
    queue(request);
}

void Connection::end_h2c_data(bool digest_ok) {
    TcpRequest& request = *rx_request_;
    if (!digest_ok) request.refusal = status::transient_transport_error;
    request.received_bytes += receiver_.payload_size();
    if (request.received_bytes < request.granted_bytes) return;
    request.r2t_sent = false;
    if (!request.refusal.is_success()) return refuse(request, request.refusal);
    if (request.received_bytes < request.data_bytes) return ask_for_data(request);
    execute(request);
}

void Connection::execute(TcpRequest& request) {
    request.trace_at(trace::Point::tcp_req_rdy_to_execute);
    if (is_admin() || request.command.is_fabrics()) {
        execute_command(request);
    } else {
        execute_io(request);
    }
}

void Connection::refuse(TcpRequest& request, Status refusal) {
    if (is_fused(request)) [[unlikely]]
        leave_fused(request);
    request.set_status(refusal);
    send(request);
}

}  // namespace weft::nvmf::tcp
