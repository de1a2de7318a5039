// A control-plane connection: bytes in as they come, a queue of bytes out, and an orderly end. (The data path
// has connections of its own.)
//
// The user is called from the thread's loop only, never inside a call it made. Closing lets what was queued go
// out, ends our direction, and swallows what the peer still sends for a moment, since a socket closed with
// unread bytes may throw away the last answer.
#pragma once

#include <deque>
#include <memory>
#include <string>

#include "base/bytes.h"
#include "env/network.h"
#include "net/channel.h"
#include "reactor/event_source.h"
#include "reactor/thread.h"
#include "reactor/timer.h"

namespace weft::net {

// Lives on the thread it was made on; may be destroyed in on_closed(), or outside of the user's other functions.
class Connection final : public EventSource, public Channel {
public:
    static constexpr size_t receive_bytes_per_turn = size_t{64} << 10;
    static constexpr size_t discard_bytes_max = size_t{4} << 20;
    static constexpr env::TimeNs linger = env::ns_per_s;

    Connection(Thread& thread, std::unique_ptr<env::Stream> stream, ConnectionUser& user);
    ~Connection() override;

    Result<void> start() override;
    void send(std::string bytes) override;
    [[nodiscard]] size_t unsent_bytes() const override { return unsent_bytes_; }
    void pause_receiving() override { receiving_ = false; }
    void resume_receiving() override;
    [[nodiscard]] bool is_receiving() const override { return receiving_; }
    void close_when_sent() override;
    void close() override;
    [[nodiscard]] env::Stream& stream() override { return *stream_; }

private:
    enum class State : uint8_t {
        open,
        sending,    // close_when_sent(): until the queue is empty
        lingering,  // FIN sent, until the peer's or a second later
        closed,     // about to tell
        over,       // told: on_closed() was called
    };

    uint32_t on_events(uint32_t events) override;
    void schedule();
    void run_turn();
    void receive_some();
    void send_some();
    void advance_closing();
    void finish();
    [[nodiscard]] bool has_work() const;

    Thread& thread_;
    std::unique_ptr<env::Stream> stream_;
    ConnectionUser& user_;
    State state_ = State::open;
    bool receiving_ = true;
    bool may_receive_ = true;  // as far as we know: the last attempt did not say would_block
    bool may_send_ = true;
    bool ended_ = false;       // the peer's FIN
    bool hung_up_ = false;     // the peer is gone, though there may be bytes of it left to receive
    std::deque<std::string> queue_;
    size_t first_sent_bytes_ = 0;  // of the first string of the queue
    size_t unsent_bytes_ = 0;
    size_t discarded_bytes_ = 0;
    Timer turn_;    // all work is done from here, in the loop
    Timer linger_;
};

}  // namespace weft::net
