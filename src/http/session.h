// One connection of a Server. Private to http/server.cc and http/session.cc.
#pragma once

#include "http/server.h"
#include "net/connection.h"

namespace weft::http {

class Session final : public net::ConnectionUser {
public:
    Session(Server& server, std::unique_ptr<env::Stream> stream);
    ~Session() override;

    Result<void> start();
    void close() {
        is_ending_ = true;
        connection_.close();
    }
    [[nodiscard]] bool is_idle() const { return !is_answering_ && received_.empty() && !is_ending_; }

private:
    friend class Reply;
    void on_received(Bytes bytes) override;
    void on_end() override;
    void on_sent() override;
    void on_closed() override;

    void take_request();
    void refuse(const Refused& refused);
    static Task<void> answer(Server& server, Session& session, Request request);
    void send_head(int status, std::string_view type, std::string_view headers);
    void reply_over();
    void on_timeout();
    void set_timeout();
    [[nodiscard]] bool is_behind() const;
    [[nodiscard]] bool is_for_us(std::string_view host) const;

    Server& server_;
    net::Connection connection_;
    std::string received_;
    Request request_;        // that is being answered
    IntrusiveList<Reply, &Reply::link> replies_;  // who must know when this session goes
    WaitList sent_;
    Timer timer_;
    env::TimeNs answer_began_ = 0;
    bool is_answering_ = false;
    bool is_ending_ = false;  // closes when all is sent
};

}  // namespace weft::http
