// A small HTTP/1.1 server for pages of our own: GET and HEAD, keep-alive, one request of a connection at a time.
//
// Everything a client can do is bounded: the head's size and time, how long it may be idle or not read, and how many
// connections there are. A page may be long: its handler writes it in pieces, and waits while the client reads.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "base/intrusive_list.h"
#include "env/environment.h"
#include "http/request.h"
#include "net/acceptor.h"
#include "reactor/task.h"

namespace weft::http {

class Session;

// The answer to one request. Lives in its coroutine's frame; the client may be gone before it.
class Reply {
public:
    explicit Reply(Session& session);
    Reply(const Reply&) = delete;
    Reply& operator=(const Reply&) = delete;
    ~Reply();

    // All of it at once. `headers` are whole lines with their CRLF, or "".
    void send(int status, std::string_view type, std::string_view body, std::string_view headers = {});
    // A body whose length is not known: begin(), then write() any number of times, then end().
    void begin(std::string_view type);
    // Waits while much is unsent. False: the client is gone, the rest is not wanted.
    Task<bool> write(std::string piece);
    void end();
    [[nodiscard]] bool is_wanted() const { return session_ != nullptr; }

    ListLink<Reply> link;  // the session's

private:
    friend class Session;
    Session* session_;
    bool is_chunked_ = false;
    bool has_body_ = true;
};

struct ServerOptions {
    env::Address address;
    uint32_t connections_max = 32;               // beyond it, idle ones are closed for new ones
    env::TimeNs head_timeout = 10 * env::ns_per_s;  // from its first byte to its last
    env::TimeNs idle_timeout = 90 * env::ns_per_s;  // without a request
    env::TimeNs send_timeout = 20 * env::ns_per_s;  // without anything being read by the client
    env::TimeNs answer_timeout = 120 * env::ns_per_s;  // until all of an answer is read
    size_t unsent_bytes_max = size_t{256} << 10;
    // Only requests to an IP address or to localhost are answered: a page of somebody else's site, opened in a browser
    // on this machine, could reach us under its own name else (DNS rebinding).
    bool is_local = true;
};

// Lives on the thread it was made on, and so do its handlers.
class Server {
public:
    // Answers by exactly one of Reply::send() and Reply::begin() … end(). Both arguments live until its task ends.
    using Handler = std::move_only_function<Task<void>(const Request& request, Reply& reply)>;

    // Errors: those of env::Network::listen.
    static Result<std::unique_ptr<Server>> listen(ServerOptions options, Handler handler);
    Server(const Server&) = delete;
    Server& operator=(const Server&) = delete;
    ~Server();  // after stop(), or before anything was accepted

    // Drops every connection, and waits until the handlers have ended.
    Task<void> stop();
    // With the port that was taken.
    [[nodiscard]] env::Address address() const { return acceptor_->local_address(); }
    [[nodiscard]] size_t connection_count() const { return sessions_.size(); }

private:
    friend class Session;
    Server(ServerOptions options, Handler handler);
    void on_accepted(std::unique_ptr<env::Stream> stream);
    void on_closed(Session& session);
    bool close_an_idle_one();

    const ServerOptions options_;
    Handler handler_;
    Thread& thread_;
    std::unique_ptr<net::Acceptor> acceptor_;
    std::vector<std::unique_ptr<Session>> sessions_;
    uint32_t handlers_running_ = 0;
    WaitList handlers_ended_;
    bool is_stopping_ = false;
};

}  // namespace weft::http
