// A JSON-RPC client: what `weft rpc` and the tests talk to a server with.
#pragma once

#include <map>
#include <memory>
#include <string>

#include "env/environment.h"
#include "net/tls_connection.h"
#include "reactor/task.h"
#include "rpc/error.h"
#include "rpc/json_fwd.h"
#include "rpc/json_splitter.h"

namespace weft::rpc {

// Lives on the thread it was made on. Any number of calls at a time.
class Client final : private net::ConnectionUser {
public:
    static constexpr env::TimeNs default_timeout = 60 * env::ns_per_s;

    // Errors: those of connecting, timed_out.
    static Task<Result<std::unique_ptr<Client>>> connect(env::Address address, env::TimeNs timeout = default_timeout);
    // Through TLS, to a server whose certificate is for `name`. Errors: also why the two do not accept each other; with
    // TLS 1.3 a server's objection comes a moment later, with the first call.
    static Task<Result<std::unique_ptr<Client>>> connect(env::Address address, const net::TlsContext& context,
                                                         std::string name, env::TimeNs timeout = default_timeout);
    Client(const Client&) = delete;
    Client& operator=(const Client&) = delete;
    // When no call is in flight.
    ~Client() override;

    // `params` is an object, or null for none. Errors: what the server answered, by its nearest Errc; connection_lost,
    // timed_out, protocol_error (the server does not speak JSON-RPC).
    Task<Result<Json>> call(std::string method, Json params, env::TimeNs timeout = default_timeout);
    // The same with the server's error code.
    Task<Response> request(std::string method, Json params, env::TimeNs timeout = default_timeout);

    [[nodiscard]] bool is_connected() const { return connected_; }

private:
    struct Pending;
    Client();
    net::ConnectionUser& user() { return *this; }

    void on_ready() override { changed_.wake_all(); }
    void on_received(Bytes bytes) override;
    void on_end() override;
    void on_closed() override;
    void take_reply(const std::string& text);
    void fail_all(const Error& error);
    [[nodiscard]] Error failure() const;

    net::TlsHandshakes handshakes_;
    std::unique_ptr<net::Channel> channel_;
    WaitList changed_;  // connect() waits here
    JsonSplitter splitter_;
    std::map<uint64_t, Pending*> pending_;
    uint64_t next_id_ = 1;
    bool connected_ = true;
};

}  // namespace weft::rpc
