// One client of a Server. Private to rpc/server.cc and rpc/session.cc.
#pragma once

#include "net/connection.h"
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

    Result<void> start() { return connection_.start(); }
    // Takes no more requests; the connection ends when those it took are answered.
    void end();

private:
    friend struct SessionCall;

    void on_received(Bytes bytes) override;
    void on_end() override;
    void on_sent() override { take_requests(); }
    void on_closed() override { server_.on_session_closed(*this); }

    [[nodiscard]] bool has_room() const;
    void take_requests();
    void begin(std::string text);
    void deliver(Answer answer);
    void end_when_answered();

    Server& server_;
    net::Connection connection_;
    JsonSplitter splitter_;
    IntrusiveList<SessionCall, &SessionCall::session_link> calls_;
    Timer again_;  // there are requests left that a turn had no time for
    bool peer_ended_ = false;
    bool ending_ = false;
};

}  // namespace weft::rpc
