// One client of a Server. Private to rpc/server.cc and rpc/session.cc.
#pragma once

#include "net/channel.h"
#include "rpc/json_splitter.h"
#include "rpc/protocol.h"
#include "rpc/registry.h"
#include "rpc/server.h"

namespace weft::rpc {

class Session final : public net::ConnectionUser {
public:
    static constexpr uint32_t requests_per_turn = 64;

    Session(Server& server, std::unique_ptr<env::Stream> stream);
    ~Session() override;

    Result<void> start() { return channel_->start(); }
    // Takes no more requests; the connection ends when those it took are answered.
    void end();
    // Has not proved yet who it is.
    [[nodiscard]] bool is_stranger() const { return !channel_->is_ready() && !is_closed_; }
    // Waits for no answer, and has read all of them.
    [[nodiscard]] bool is_idle() const { return calls_.empty() && channel_->unsent_bytes() == 0 && !is_closed_; }
    [[nodiscard]] env::TimeNs last_active() const { return last_active_; }
    void close();

private:
    friend struct SessionCall;

    void on_received(Bytes bytes) override;
    void on_end() override;
    void on_sent() override { take_requests(); }
    void on_closed() override;

    [[nodiscard]] bool has_room() const;
    void take_requests();
    void begin(std::string text);
    [[nodiscard]] Caller caller() const;
    void deliver(Answer answer);
    void end_when_answered();

    Server& server_;
    const std::unique_ptr<net::Channel> channel_;
    const Caller local_;  // of a server without admission
    JsonSplitter splitter_;
    IntrusiveList<SessionCall, &SessionCall::session_link> calls_;
    Timer again_;  // there are requests left that a turn had no time for
    env::TimeNs last_active_ = 0;  // when it sent something, or was answered
    bool peer_ended_ = false;
    bool ending_ = false;
    bool is_closed_ = false;
};

}  // namespace weft::rpc
