#include "nvme_host/tcp/connection.h"

#include <fmt/format.h>

#include <algorithm>

#include "net/connect.h"
#include "net/tls_connect.h"
#include "reactor/reactor.h"

namespace weft::nvme_host::tcp {

Task<Result<std::unique_ptr<Connection>>> Connection::open(ConnectionGroup& group, ConnectionOptions options) {
    WEFT_ASSERT(group.thread().is_current());
    auto stream = co_await net::connect(options.address, options.socket, options.connect_timeout);
    if (!stream) co_return std::unexpected(std::move(stream).error());
    if (options.tls_key) {
        stream = co_await net::secure(std::move(*stream), *options.tls_key, options.connect_timeout);
        if (!stream) co_return std::unexpected(std::move(stream).error());
    }
    std::unique_ptr<Connection> connection(new Connection(group, std::move(options), std::move(*stream)));

    constexpr env::WatchOptions watch{.events = env::Events::readable | env::Events::writable, .edge = true};
    auto watched = connection->watch(group.thread(), *connection->stream_, watch);
    if (!watched) {
        connection->end();
        co_return std::unexpected(std::move(watched).error());
    }
    while (connection->state_ == State::initializing) co_await connection->state_changes_.wait();
    if (connection->state_ != State::ready) {
        Error error = *connection->protocol_.failure();
        co_await connection->close();
        co_return std::unexpected(std::move(error));
    }
    co_return connection;
}

Connection::Connection(ConnectionGroup& group, ConnectionOptions options, std::unique_ptr<env::Stream> stream)
    : group_(group),
      options_(std::move(options)),
      stream_(std::move(stream)),
      protocol_(options_.protocol),
      timer_(group.thread(), [](void* self) { static_cast<Connection*>(self)->on_timer(); }, this) {
    group_.attach();
    group_.make_hot(*this);
    protocol_.start();
    timer_.start_after(options_.connect_timeout);
}

Connection::~Connection() {
    WEFT_ASSERT(thread().is_current());
    WEFT_ASSERT(state_ == State::ended);
    group_.detach(*this);
}

env::TimeNs Connection::now() const { return group_.thread().reactor().now(); }

void Connection::submit(Io& io) {
    WEFT_ASSERT(thread().is_current());
    note_io();
    protocol_.submit(io, now());
    group_.make_hot(*this);
}

uint32_t Connection::on_events(uint32_t events) {
    if ((events & (env::Events::writable | env::Events::hung_up)) != 0) is_send_blocked_ = send_error_.has_value();
    is_drained_ = false;
    idle_polls_ = 0;
    group_.make_hot(*this);
    return 0;  // the work is done, and counted, by the poller of this turn
}

uint32_t Connection::service() {
    uint32_t work = 0;
    switch (state_) {
        case State::initializing:
        case State::ready: work = receive(); break;
        case State::lingering: drain(); break;
        case State::ended: break;
    }
    work += hand_out();
    flush();
    return work;
}

uint32_t Connection::receive() {
    uint32_t received = 0;
    while (received < receives_per_turn && !protocol_.failure()) {
        const MutableBytes direct = protocol_.direct_destination(direct_size_min);
        const MutableBytes memory = direct.empty() ? group_.receive_buffer() : direct;
        const size_t count = receive_into(memory);
        if (count > 0) ++received;
        if (count < memory.size()) break;  // that was all there is, most likely
    }
    idle_polls_ = received > 0 ? 0 : idle_polls_ + 1;
    if (is_drained_ && send_error_) {
        protocol_.fail_connection({*send_error_, fmt::format("sending: {}", describe(*send_error_))});
    }
    if (state_ == State::initializing && protocol_.is_ready() && !protocol_.failure()) change_state(State::ready);
    end_if_failed();
    return received;
}

// Returns how much came. Only would_block means that an event will tell of more: a short read does not.
size_t Connection::receive_into(MutableBytes memory) {
    const env::Transfer transfer = stream_->receive(memory);
    is_drained_ = transfer.state == env::Transfer::State::would_block;
    switch (transfer.state) {
        case env::Transfer::State::done: protocol_.receive(memory.first(transfer.bytes), now()); return transfer.bytes;
        case env::Transfer::State::would_block: break;
        case env::Transfer::State::end:
            protocol_.fail_connection({Errc::connection_lost, "the controller closed the connection"});
            break;
        case env::Transfer::State::failed:
            protocol_.fail_connection({transfer.error, fmt::format("receiving: {}", describe(transfer.error))});
            break;
    }
    return 0;
}

// Reads until the controller closes its side, and looks at nothing.
void Connection::drain() {
    for (uint32_t count = 0; count < receives_per_turn; ++count) {
        const env::Transfer transfer = stream_->receive(group_.receive_buffer());
        if (transfer.state == env::Transfer::State::done) continue;
        is_drained_ = transfer.state == env::Transfer::State::would_block;
        if (!is_drained_) end();
        return;
    }
}

uint32_t Connection::hand_out() {
    if (!protocol_.has_done()) return 0;
    group_.stamp_arrival();
    uint32_t count = 0;
    while (Io* io = protocol_.pop_done()) {
        ++count;
        io->done(*io);
    }
    note_io();
    return count;
}

// Admin commands are no reason to stay awake.
void Connection::note_io() {
    if (!options_.protocol.is_admin) group_.thread().reactor().note_io();
}

void Connection::flush() {
    if (state_ == State::lingering || state_ == State::ended) return;
    // Digests are made while the data is in the cache, and sent before it has left it.
    const size_t bytes_max = options_.protocol.data_digest ? 512 * 1024 : SIZE_MAX;
    for (uint32_t count = 0; count < sends_per_turn && protocol_.has_output() && !is_send_blocked_; ++count) {
        const SendQueue::Gathered gathered = protocol_.gather(group_.pieces(), bytes_max);
        const env::Transfer transfer = stream_->send(group_.pieces().first(gathered.pieces));
        if (transfer.state == env::Transfer::State::done) {
            protocol_.sent(transfer.bytes, now());
        } else if (transfer.state == env::Transfer::State::would_block) {
            is_send_blocked_ = true;
        } else {
            // What the controller said before it went away may still be there to read, and says more than a
            // broken pipe does: receive() ends the connection, after that.
            send_error_ = transfer.error;
            is_send_blocked_ = true;
            is_drained_ = false;
        }
    }
}

// At the end of a turn: a connection without commands, output and news waits for an event.
bool Connection::cool_down() {
    if (has_work()) return false;
    const bool may_get_bytes = state_ == State::initializing || state_ == State::ready;
    if (may_get_bytes && (protocol_.in_flight() > 0 || idle_polls_ < idle_polls_before_cold)) return false;
    is_hot_ = false;
    idle_polls_ = 0;
    return true;
}

bool Connection::has_work() const {
    if (protocol_.has_done()) return true;
    switch (state_) {
        case State::initializing:
        case State::ready: return !is_drained_ || (protocol_.has_output() && !is_send_blocked_);
        case State::lingering: return !is_drained_;
        case State::ended: return false;
    }
    return false;
}

void Connection::end_if_failed() {
    if (!protocol_.failure() || state_ == State::lingering || state_ == State::ended) return;
    // The last thing to be sent, if anything: an H2CTermReq, perhaps behind the rest of a PDU. What the socket
    // does not take now is not sent, since the memory of the commands goes back to their owners.
    const bool has_last_words = protocol_.has_output() && !send_error_;
    if (has_last_words) {
        const SendQueue::Gathered gathered = protocol_.gather(group_.pieces(), SIZE_MAX);
        stream_->send(group_.pieces().first(gathered.pieces));
    }
    protocol_.lost();
    group_.make_hot(*this);
    if (!has_last_words) {
        end();
        return;
    }
    stream_->shutdown_send();
    is_drained_ = false;
    timer_.start_after(linger_time);
    change_state(State::lingering);
}

void Connection::end() {
    unwatch();
    timer_.stop();
    stream_.reset();
    change_state(State::ended);
}

Task<void> Connection::close() {
    WEFT_ASSERT(thread().is_current());
    co_await yield();  // from the loop: whoever was told, within poll(), that all is lost may want to close
    protocol_.fail_connection({Errc::cancelled, "the connection was closed"});
    protocol_.lost();
    if (state_ == State::lingering) {
        while (state_ != State::ended) co_await state_changes_.wait();
    } else if (state_ != State::ended) {
        end();
    }
    group_.make_hot(*this);
    while (!protocol_.is_empty()) co_await yield();
}

void Connection::on_timer() {
    switch (state_) {
        case State::initializing:
            protocol_.fail_connection({Errc::timed_out, fmt::format("no answer to ICReq within {} ms",
                                                                    options_.connect_timeout / env::ns_per_ms)});
            end_if_failed();
            break;
        case State::ready: {
            const env::TimeNs timeout = options_.command_timeout;
            const Io* overdue = now() > timeout ? protocol_.overdue(now() - timeout) : nullptr;
            if (overdue == nullptr) {
                timer_.start_after(std::max(timeout / 4, env::ns_per_ms));
                break;
            }
            protocol_.fail_connection(
                {Errc::timed_out, fmt::format("a command (opcode {:#04x}) was not answered within "
                                              "{} ms",
                                              overdue->command.opcode, timeout / env::ns_per_ms)});
            end_if_failed();
            break;
        }
        case State::lingering: end(); break;
        case State::ended: break;
    }
    group_.make_hot(*this);
}

void Connection::change_state(State state) {
    state_ = state;
    if (state == State::ready) {
        timer_.stop();
        if (options_.command_timeout > 0) timer_.start_after(options_.command_timeout);
    }
    state_changes_.wake_all();
}

}  // namespace weft::nvme_host::tcp
