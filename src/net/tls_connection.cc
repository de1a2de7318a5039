#include "net/tls_connection.h"

#include <algorithm>
#include <array>

#include "base/assert.h"
#include "reactor/reactor.h"

namespace weft::net {

namespace {
constexpr size_t read_bytes = size_t{16} << 10;  // of a record
}  // namespace

TlsConnection::TlsConnection(Thread& thread, std::unique_ptr<env::Stream> stream, ConnectionUser& user,
                             const TlsContext& context, TlsHandshakes& handshakes, std::string_view peer_name)
    : user_(user),
      handshakes_(handshakes),
      core_(std::make_unique<TlsCore>(context, thread.reactor().environment().clock().wall(), peer_name)),
      below_(thread, std::move(stream), *this),
      deadline_(
          thread, [](void* self) { static_cast<TlsConnection*>(self)->on_deadline(); }, this),
      again_(
          thread,
          [](void* self) {
              auto* connection = static_cast<TlsConnection*>(self);
              connection->write_some();
              connection->read_some();
          },
          this) {}

TlsConnection::~TlsConnection() {
    if (step_ != nullptr) step_->connection = nullptr;
}

Result<void> TlsConnection::start() {
    WEFT_TRY(below_.start());
    deadline_.start_after(handshake_timeout);
    begin_step();  // a client speaks first
    return {};
}

void TlsConnection::on_deadline() {
    if (!is_ready_ && !failure_) failure_ = Error{Errc::timed_out, "TLS: the handshake took too long"};
    below_.close();
}

// The alert goes out, if there is one; what the user had queued does not.
void TlsConnection::fail_with(Error error) {
    if (is_closing_) return;
    is_closing_ = true;
    failure_ = std::move(error);
    queue_.clear();
    queued_bytes_ = 0;
    below_.close_when_sent();
    deadline_.start_after(failing_timeout);
}

// The handshake --------------------------------------------------------------------------------------------------

void TlsConnection::begin_step() {
    if (is_closing_ || step_ != nullptr) return;
    spawn(run_step(*this));
    look_below();
}

Task<void> TlsConnection::run_step(TlsConnection& connection) {
    TlsHandshakes& handshakes = connection.handshakes_;
    if (!handshakes.running_.try_enter()) {
        connection.below_.close();
        co_return;
    }
    Step step{&connection};
    connection.step_ = &step;
    std::unique_ptr<TlsCore> core = std::move(connection.core_);
    {
        const AsyncMutex::Guard turn = co_await handshakes.turn_.lock();
        if (step.connection != nullptr) {
            co_await offload([&core] {
                core->handshake();
                return true;
            });
        }
    }
    if (step.connection != nullptr) step.connection->end_step(std::move(core));
    handshakes.running_.leave();
}

// From the loop: there was at least the way to the worker and back.
void TlsConnection::end_step(std::unique_ptr<TlsCore> core) {
    core_ = std::move(core);
    step_ = nullptr;
    if (is_closing_) return;
    pass_on_output();
    switch (core_->state()) {
        case TlsCore::State::handshake: break;
        case TlsCore::State::failed: fail_with(core_->error()); return;
        case TlsCore::State::open:
        case TlsCore::State::ended:
            is_ready_ = true;
            deadline_.stop();
            user_.on_ready();
            write_some();
            read_some();
            break;
    }
    look_below();
}

// Receiving ------------------------------------------------------------------------------------------------------

// Whether more is wanted from below: one step of the handshake at a time, then what the user can take.
void TlsConnection::look_below() {
    const bool is_wanted = is_ready_ ? receiving_ && !is_held_back_ : step_ == nullptr;
    if (is_closing_ || is_wanted == below_.is_receiving()) return;
    if (is_wanted) {
        below_.resume_receiving();
    } else {
        below_.pause_receiving();
    }
}

void TlsConnection::pause_receiving() {
    receiving_ = false;
    look_below();
}

void TlsConnection::resume_receiving() {
    receiving_ = true;
    look_below();
    if (!again_.is_running()) again_.start_after(0);
}

void TlsConnection::on_received(Bytes bytes) {
    if (is_closing_) return;
    WEFT_ASSERT(core_ != nullptr);  // a step pauses what is below
    core_->feed(bytes);
    if (core_->state() == TlsCore::State::failed) return fail_with(core_->error());
    if (!is_ready_) return begin_step();
    read_some();
}

void TlsConnection::on_end() {
    is_cut_ = true;
    if (!is_ready_) return fail_with({Errc::connection_lost, "TLS: the other side left during the handshake"});
    read_some();
}

// Hands over what can be decrypted, until the user has enough.
void TlsConnection::read_some() {
    if (!is_ready_) return;
    std::array<std::byte, read_bytes> bytes;  // NOLINT(cppcoreguidelines-pro-type-member-init): read() fills it
    while (receiving_ && !is_closing_) {
        const size_t count = core_->read(bytes);
        if (count == 0) break;
        user_.on_received(Bytes(bytes).first(count));
    }
    if (is_closing_) return;
    pass_on_output();
    if (core_->state() == TlsCore::State::failed) return fail_with(core_->error());
    if (!receiving_) return;
    if (core_->state() == TlsCore::State::ended) {
        if (!std::exchange(is_end_told_, true)) user_.on_end();
    } else if (is_cut_) {
        fail_with({Errc::connection_lost, "TLS: the connection was cut"});
    }
}

// Sending --------------------------------------------------------------------------------------------------------

void TlsConnection::send(std::string bytes) {
    if (is_closing_ || bytes.empty()) return;
    queued_bytes_ += bytes.size();
    queue_.push_back(std::move(bytes));
    if (is_ready_ && !again_.is_running()) again_.start_after(0);
}

// Encrypts no more than is soon sent: large answers must not hold up the thread, nor lie here twice.
void TlsConnection::write_some() {
    if (!is_ready_ || failure_) return;
    while (!queue_.empty() && below_.unsent_bytes() < encrypted_ahead_bytes) {
        const std::string_view rest = std::string_view(queue_.front()).substr(first_written_bytes_);
        const std::string_view piece = rest.substr(0, bytes_per_write);
        core_->write(piece);
        if (core_->state() == TlsCore::State::failed) {
            return is_closing_ ? below_.close() : fail_with(core_->error());
        }
        queued_bytes_ -= piece.size();
        first_written_bytes_ += piece.size();
        if (piece.size() == rest.size()) {
            queue_.pop_front();
            first_written_bytes_ = 0;
        }
        below_.send(core_->take_output());
    }
    if (is_closing_ && queue_.empty()) {
        core_->end();
        below_.send(core_->take_output());
        below_.close_when_sent();
    }
}

// What the protocol says by itself. A peer can make us say as much as it says: then it has to listen, too.
void TlsConnection::pass_on_output() {
    std::string output = core_->take_output();
    if (output.empty()) return;
    below_.send(std::move(output));
    is_held_back_ = below_.unsent_bytes() > unsent_protocol_bytes_max;
    look_below();
}

void TlsConnection::on_sent() {
    if (is_held_back_ && below_.unsent_bytes() <= unsent_protocol_bytes_max) {
        is_held_back_ = false;
        look_below();
    }
    write_some();
    if (is_ready_ && !is_closing_) user_.on_sent();
}

// The end --------------------------------------------------------------------------------------------------------

void TlsConnection::close_when_sent() {
    if (is_closing_) return;
    is_closing_ = true;
    if (!is_ready_) return below_.close();
    if (!below_.is_receiving()) below_.resume_receiving();  // it throws away what comes, and notices the end
    write_some();
}

void TlsConnection::on_closed() {
    deadline_.stop();
    again_.stop();
    user_.on_closed();
}

}  // namespace weft::net
