#include "nvmf/tcp/connection.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/log.h"
#include "base/mutants.h"
#include "bdev/device.h"
#include "nvmf/connect.h"
#include "nvmf/execute.h"
#include "nvmf/io/fused.h"
#include "nvmf/io/io_commands.h"
#include "nvmf/log_flags.h"
#include "nvmf/tcp/group.h"
#include "nvmf/tcp/transport.h"
#include "reactor/trace_here.h"

namespace weft::nvmf::tcp {

namespace {

// How long a terminated connection waits for the host to close its end.
constexpr env::TimeNs linger_ns = 1 * env::ns_per_s;

// For data that was asked for, or for the command that belongs to it.
bool waits_for_host(const TcpRequest& request) {
    return (request.state() == RequestState::receiving && request.r2t_sent) ||
           (request.state() == RequestState::waiting_for_partner && request.partner == nullptr);
}

void on_timer(void* context) { static_cast<Connection*>(context)->on_late(); }

}  // namespace

// NOLINTNEXTLINE(cppcoreguidelines-pro-type-member-init): control_ is written before it is sent
Connection::Connection(TcpGroup& group, uint64_t uid, std::unique_ptr<env::Stream> stream, TransportId listener,
                       ConnectionLimits::Place place, env::MemoryShare memory)
    : Qpair(group.poll_group(), group.transport().options(), uid),
      group_(group),
      stream_(std::move(stream)),
      listener_(std::move(listener)),
      place_(std::move(place)),
      memory_(std::move(memory)),
      timer_(group.poll_group().thread(), on_timer, this) {
    state = State::connecting;
}

Connection::~Connection() {
    WEFT_ASSERT(send_queue_.empty());
    if (trace::is_on(trace::Point::tcp_qp_destroy)) [[unlikely]]
        trace_here(trace::Point::tcp_qp_destroy, uid(), {.c = qid});
}

Result<void> Connection::start() {
    const TransportOptions& opts = options();
    WEFT_TRY(
        stream_->configure({.no_delay = true,
                            .congestion_control = opts.congestion_control,
                            .receive_buffer_bytes = opts.receive_buffer_bytes,
                            .send_buffer_bytes = opts.send_buffer_bytes,
                            .priority = opts.sock_priority,
                            .user_timeout_ms = opts.ack_timeout != 0 ? opts.ack_timeout : default_ack_timeout_ms}));
    WEFT_TRY(
        watch(group().thread(), *stream_, {.events = env::Events::readable | env::Events::writable, .edge = true}));
    if (!mutant::on(mutant::handshake_without_limit)) timer_.start_after(opts.handshake_timeout_ms * env::ns_per_ms);
    if (trace::is_on(trace::Point::tcp_qp_create)) [[unlikely]]
        trace_here(trace::Point::tcp_qp_create, uid());
    return {};
}

BufferCache& Connection::buffers() { return group_.buffers(); }
TransportId Connection::local_id() const { return stream_ ? transport_id_of(stream_->local_address()) : TransportId{}; }
TransportId Connection::peer_id() const { return stream_ ? transport_id_of(stream_->peer_address()) : TransportId{}; }

void Connection::connect_began() {
    is_connecting = true;
    group_.connect_began(*this);
}

void Connection::connect_ended() {
    is_connecting = false;
    group_.connect_ended();
    if (state == State::connecting) group_.await_connect(*this);  // it was refused
}

void Connection::connected() {
    timer_.stop();
    state = auth != nullptr ? State::authenticating : State::enabled;
    if (trace::is_on(trace::Point::tcp_qp_state_change)) [[unlikely]]
        trace_here(trace::Point::tcp_qp_state_change, uid(), {.c = qid, .d = static_cast<uint16_t>(state)});
    nvme::wire::Negotiated negotiated = receiver_.negotiated();
    negotiated.capsule_data_max = is_admin() || auth != nullptr
                                      ? std::max(options().in_capsule_data_size, admin_in_capsule_max)
                                      : options().in_capsule_data_size;
    receiver_.set_negotiated(negotiated);
}

uint32_t Connection::on_events(uint32_t events) {
    if (is_closing()) return 0;
    if (is_stalled() && (events & env::Events::hung_up) != 0) {
        close("the connection was lost");  // it is not read now, and what it waits for may be this host's data
        return 1;
    }
    if ((events & (env::Events::readable | env::Events::hung_up)) != 0) group_.make_hot(*this);
    if ((events & env::Events::writable) != 0 && is_blocked_) {
        is_blocked_ = false;
        if (!mutant::on(mutant::room_not_used)) group_.mark_dirty(*this);
    }
    return 0;
}

void Connection::on_late() {
    if (phase_ == Phase::terminating) return close("it did not end after a fatal error");
    ++group_.figures.timed_out_connections;
    close("time-out: no finished Connect");
}

bool Connection::is_under_way() const {
    if (phase_ != Phase::running) return false;  // a timer of its own
    if (is_blocked_ || (!receiver_.is_between_pdus() && !is_stalled())) return true;
    for (const Request* at = outstanding.front(); at != nullptr; at = decltype(outstanding)::next(*at)) {
        if (waits_for_host(static_cast<const TcpRequest&>(*at))) return true;
    }
    return false;
}

const char* Connection::look_at_progress() {
    if (phase_ != Phase::running) return nullptr;
    bool waits_for_data = false;
    bool waits_for_long = false;
    for (Request* at = outstanding.front(); at != nullptr; at = decltype(outstanding)::next(*at)) {
        auto& request = static_cast<TcpRequest&>(*at);
        if (!waits_for_host(request)) continue;
        waits_for_data = true;
        waits_for_long = waits_for_long || ++request.looks > looks_max * patience_with_data;
    }
    // What waits for a slot or a buffer of ours is not the host's fault.
    const bool is_in_pdu = !receiver_.is_between_pdus();
    if (receiving_.look(!is_stalled() && (is_in_pdu || waits_for_data), pdus_received_)) {
        return is_in_pdu ? "time-out: it began a PDU and did not finish it"
                         : "time-out: it was sent an R2T and no data came";
    }
    if (waits_for_long) return "time-out: the data of a command did not come to an end";
    if (sending_.look(is_blocked_, pdus_sent_)) return "time-out: it does not read what it asked for";
    return nullptr;
}

void Connection::close(std::string_view why) {
    if (is_closing()) return;
    WEFT_INFOLOG(log_nvmf_tcp, "closing queue {} of host \"{}\": {}", qid, log::quoted(hostnqn), why);
    if (trace::is_on(trace::Point::tcp_qp_disconnect)) [[unlikely]]
        trace_here(trace::Point::tcp_qp_disconnect, uid(), {.c = qid});
    phase_ = Phase::closing;
    stall_ = Stall::none;
    state = State::deactivating;
    timer_.stop();
    unwatch();
    group_.forget_awaited(*this);
    group_.add_closing(*this);
    // A request that is executing comes back through send(); all others are let go now.
    for (Request* at = outstanding.front(); at != nullptr;) {
        Request& request = *at;
        at = decltype(outstanding)::next(request);
        lose(static_cast<TcpRequest&>(request));
    }
    rx_request_ = nullptr;
    qpair_closed(*this);
    stream_.reset();
}

void Connection::lose(TcpRequest& request) {
    switch (request.state()) {
        case RequestState::executing:
            request.move(RequestEvent::connection_lost);
            if (mutant::on(mutant::executing_request_freed)) {
                request.move(RequestEvent::drained);
                return release(request);
            }
            // What the device has may take long: ask for it back. It says so by its completion either way.
            if (request.ns != nullptr) request.ns->channel->abort(request.io);
            break;
        case RequestState::draining: break;
        case RequestState::free:
            // Its capsule has not come to its end.
            request.trace_at(trace::Point::tcp_req_lost, {.c = static_cast<uint32_t>(outstanding.size())});
            release(request);
            break;
        case RequestState::sending:
        case RequestState::receiving:
            if (request.send_link.is_linked) send_queue_.remove(request);
            request.move(RequestEvent::connection_lost);
            release(request);
            break;
        default:
            stop_waiting(request);
            request.move(RequestEvent::connection_lost);
            release(request);
            break;
    }
}

// The request is over: gives back all that it holds.
void Connection::release(TcpRequest& request) {
    WEFT_ASSERT(request.state() == RequestState::free);
    end_lending(request);
    release_namespace(request);
    admin_command_over(request);
    if (is_fused(request)) [[unlikely]]
        forget_fused(request);
    if (request.buffer_count > 0) {
        if (mutant::on(mutant::buffer_leaked) && request.is_aborted) request.buffer_count = 0;
        if (mutant::on(mutant::buffer_given_twice) && group_.slots().in_use() > 8) {
            buffers().give(std::span(request.buffers).first(1));
        }
        buffers().give(std::span(request.buffers).first(request.buffer_count));
        request.buffer_count = 0;
    }
    --cids_[request.command.cid & 0xFF];
    outstanding.remove(request);
    group_.slots().give(request);
}

// NVMe/TCP 1.0, 3.5.1: stop processing, send a C2HTermReq with the header that was wrong, close.
void Connection::terminate(const nvme::wire::Violation& violation) {
    if (phase_ != Phase::running || mutant::on(mutant::violations_ignored)) return;
    WEFT_INFOLOG(log_nvmf_tcp, "host \"{}\" broke the protocol: {}, field information {}", log::quoted(hostnqn),
                 nvme::wire::name_of(violation.status), violation.field_information);
    phase_ = Phase::terminating;
    ++group_.figures.terminations;
    stall_ = Stall::none;
    group_.forget_stalled(*this);
    // A PDU whose first byte is out must be finished, or the host could not find the C2HTermReq.
    for (Request* at = outstanding.front(); at != nullptr;) {
        auto& request = static_cast<TcpRequest&>(*at);
        at = decltype(outstanding)::next(request);
        if (request.send_link.is_linked && request.sent_bytes > 0) continue;
        lose(request);
    }
    rx_request_ = nullptr;
    // Behind an ICResp that is still to be sent.
    if (control_bytes_ == control_sent_) control_bytes_ = control_sent_ = 0;
    control_bytes_ += static_cast<uint32_t>(nvme::wire::encode_term_req(
        MutableBytes(control_).subspan(control_bytes_), nvme::wire::End::controller, violation, receiver_.header()));
    group_.mark_dirty(*this);
    timer_.start_after(linger_ns);
}

void Connection::stall(Stall why, Bytes rest) {
    stall_ = why;
    backlog_.assign(rest.begin(), rest.end());
    group_.add_stalled(*this);
}

void Connection::withdraw(NamespaceView& ns) {
    for (Request* at = outstanding.front(); at != nullptr;) {
        auto& request = static_cast<TcpRequest&>(*at);
        at = decltype(outstanding)::next(request);
        if (request.ns != &ns || request.state() != RequestState::sending || request.sent_bytes > 0) continue;
        WEFT_ASSERT(request.source == DataSource::lent && !request.is_lending);
        send_queue_.remove(request);
        release_namespace(request);
        request.source = DataSource::none;
        request.move(RequestEvent::withdraw);
        if (!mutant::on(mutant::withdrawn_read_lost)) subsystem->held.push_back(request);
    }
}

}  // namespace weft::nvmf::tcp
