// A JSON-RPC 2.0 server: clients connect to a UNIX path or a TCP port and call the registry's methods.
//
// No framing: values stand back to back, requests may be sent before the last was answered, and answers come in
// the order in which calls end. A text that is not JSON is answered with -32700 and ends the connection.
// A client that goes away does not stop the call it made; its answer is dropped. A client that does not
// read is not read from any more.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "base/intrusive_list.h"
#include "env/environment.h"
#include "net/acceptor.h"
#include "reactor/task.h"
#include "rpc/caller.h"

namespace weft::rpc {

struct ServerOptions {
    env::Address address;
    Admission* admission = nullptr;  // null: whoever connects is the administrator, as is right for paths and loopback
    // Then one that is idle for idle_min makes room: the one that is so for the longest. Without one, new ones wait in
    // the kernel's backlog.
    uint32_t connections_max = 512;
    env::TimeNs idle_min = env::ns_per_s;
    uint32_t calls_max = 64;  // of one connection at a time; a batch counts as one
    size_t request_bytes_max = size_t{1} << 20;
    size_t reply_bytes_max = size_t{32} << 20;
    size_t unsent_bytes_max = size_t{8} << 20;  // of one connection, then it is not read
    env::TimeNs stop_timeout = 5 * env::ns_per_s;
};

// Puts the room's log flag, "rpc", in the list.
void register_log_flags();

class Registry;
class Session;
class Server;

// A call that was begun; private to server.cc and session.cc. Lives in its coroutine's frame, which ends when the
// call does; whoever of session and server goes first takes its name out of here.
struct SessionCall {
    Server* server;
    Session* session;
    ListLink<SessionCall> server_link;
    ListLink<SessionCall> session_link;

    SessionCall(Server& of_server, Session& of_session);
    SessionCall(const SessionCall&) = delete;
    SessionCall& operator=(const SessionCall&) = delete;
    ~SessionCall();
};

// Lives on the thread it was made on, and so do the registry and all calls. Several servers may share a registry.
class Server {
public:
    // A UNIX path gets mode 0600, serves root and the user of this process only, and has a lock file PATH.lock while
    // the server lives. Errors: address_in_use when
    // another target listens there; those of env::Network::listen.
    static Task<Result<std::unique_ptr<Server>>> listen(Registry& registry, ServerOptions options);
    Server(const Server&) = delete;
    Server& operator=(const Server&) = delete;
    // After stop(), or before anything was accepted.
    ~Server();

    // Accepts no more, reads no more, waits for the calls in flight and their answers for stop_timeout at most, closes
    // every connection, and removes the path. Calls that still run go on; nobody hears of them. Not from a handler.
    Task<void> stop();

    // With the port that was taken.
    [[nodiscard]] env::Address address() const;
    [[nodiscard]] size_t connection_count() const { return sessions_.size(); }
    [[nodiscard]] size_t calls_in_flight() const { return calls_.size(); }

private:
    friend class Session;
    friend struct SessionCall;
    Server(Registry& registry, ServerOptions options);

    void on_accepted(std::unique_ptr<env::Stream> stream);
    void on_session_closed(Session& session);
    bool make_room();
    void look_for_room();
    void note_change();
    Task<void> remove_files();

    Registry& registry_;
    const ServerOptions options_;
    Thread& thread_;
    std::unique_ptr<env::File> lock_;
    std::unique_ptr<net::Acceptor> acceptor_;
    std::vector<std::unique_ptr<Session>> sessions_;
    IntrusiveList<SessionCall, &SessionCall::server_link> calls_;
    Timer room_;  // nobody was idle long enough when the last place was taken: perhaps now
    WaitList changed_;  // stop() waits here for calls and sessions to end
    bool stopping_ = false;
};

}  // namespace weft::rpc
