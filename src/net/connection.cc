#include "net/connection.h"

#include <algorithm>
#include <array>

#include "base/assert.h"
#include "reactor/reactor.h"

namespace weft::net {

namespace {
constexpr size_t receive_bytes_per_call = size_t{16} << 10;
constexpr size_t pieces_per_send = 64;
}  // namespace

Connection::Connection(Thread& thread, std::unique_ptr<env::Stream> stream, ConnectionUser& user)
    : thread_(thread),
      stream_(std::move(stream)),
      user_(user),
      turn_(
          thread, [](void* self) { static_cast<Connection*>(self)->run_turn(); }, this),
      linger_(thread, [](void* self) { static_cast<Connection*>(self)->close(); }, this) {}

Connection::~Connection() { unwatch(); }

// Watched by edge for both directions: what can be done is remembered here, so that a peer that neither reads nor
// goes away costs nothing, and pausing is a flag.
Result<void> Connection::start() {
    WEFT_TRY(watch(thread_, *stream_, {.events = env::Events::readable | env::Events::writable, .edge = true}));
    schedule();
    return {};
}

uint32_t Connection::on_events(uint32_t events) {
    if ((events & env::Events::hung_up) != 0) hung_up_ = true;
    if ((events & (env::Events::readable | env::Events::hung_up)) != 0) may_receive_ = true;
    if ((events & (env::Events::writable | env::Events::hung_up)) != 0) may_send_ = true;
    schedule();
    return 1;
}

void Connection::schedule() {
    if (state_ != State::over && !turn_.is_running()) turn_.start_after(0);
}

void Connection::send(std::string bytes) {
    if (state_ != State::open || bytes.empty()) return;
    unsent_bytes_ += bytes.size();
    queue_.push_back(std::move(bytes));
    schedule();
}

void Connection::resume_receiving() {
    receiving_ = true;
    schedule();
}

void Connection::close_when_sent() {
    if (state_ != State::open) return;
    state_ = State::sending;
    schedule();
}

void Connection::close() {
    if (state_ != State::over) state_ = State::closed;
    schedule();
}

// The only place where the stream is used and the user is called. Nothing follows finish().
void Connection::run_turn() {
    if (state_ != State::closed) receive_some();
    const size_t unsent_before = unsent_bytes_;
    if (state_ == State::open || state_ == State::sending) send_some();
    if (state_ == State::open && unsent_bytes_ < unsent_before) user_.on_sent();
    advance_closing();
    if (state_ == State::closed) return finish();
    if (has_work()) schedule();
}

bool Connection::has_work() const {
    return (may_receive_ && !ended_ && (receiving_ || state_ != State::open)) || (may_send_ && !queue_.empty());
}

void Connection::receive_some() {
    // NOLINTNEXTLINE(cppcoreguidelines-pro-type-member-init): receive() fills it
    std::array<std::byte, receive_bytes_per_call> bytes;
    for (size_t received = 0; received < receive_bytes_per_turn && may_receive_ && !ended_;) {
        if (state_ == State::open ? !receiving_ : state_ == State::closed) return;
        const env::Transfer transfer = stream_->receive(bytes);
        switch (transfer.state) {
            case env::Transfer::State::done: break;
            case env::Transfer::State::would_block: may_receive_ = false; return;
            case env::Transfer::State::end:
                ended_ = true;
                if (state_ == State::open) user_.on_end();
                return;
            case env::Transfer::State::failed: state_ = State::closed; return;
        }
        received += transfer.bytes;
        if (state_ == State::open) {
            user_.on_received(Bytes(bytes).first(transfer.bytes));
        } else {
            discarded_bytes_ += transfer.bytes;
            if (discarded_bytes_ > discard_bytes_max) state_ = State::closed;
        }
    }
}

void Connection::send_some() {
    while (may_send_ && !queue_.empty()) {
        std::array<iovec, pieces_per_send> pieces;  // NOLINT(cppcoreguidelines-pro-type-member-init): as far as `count`
        size_t count = 0;
        for (std::string& bytes : queue_) {
            if (count == pieces.size()) break;
            const size_t skip = count == 0 ? first_sent_bytes_ : 0;
            pieces[count++] = {.iov_base = bytes.data() + skip, .iov_len = bytes.size() - skip};
        }
        const env::Transfer transfer = stream_->send(std::span(pieces).first(count));
        if (transfer.state == env::Transfer::State::would_block) {
            may_send_ = false;
            return;
        }
        if (transfer.state != env::Transfer::State::done) {
            state_ = State::closed;
            return;
        }
        unsent_bytes_ -= transfer.bytes;
        first_sent_bytes_ += transfer.bytes;
        while (!queue_.empty() && first_sent_bytes_ >= queue_.front().size()) {
            first_sent_bytes_ -= queue_.front().size();
            queue_.pop_front();
        }
    }
}

void Connection::advance_closing() {
    if (hung_up_ && ended_) state_ = State::closed;
    if (state_ == State::sending && queue_.empty()) {
        state_ = State::lingering;
        stream_->shutdown_send();
        linger_.start_after(linger);
    }
    if (state_ == State::lingering && ended_) state_ = State::closed;
}

void Connection::finish() {
    state_ = State::over;
    turn_.stop();
    linger_.stop();
    unwatch();
    user_.on_closed();
}

}  // namespace weft::net
