// A JSON-RPC client: what `weft rpc` and the tests talk to a server with.
#pragma once

#include <map>
#include <memory>
#include <string>

#include "env/environment.h"
#include "net/connection.h"
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
    explicit Client(std::unique_ptr<env::Stream> stream);

    void on_received(Bytes bytes) override;
    void on_end() override;
    void on_closed() override;
    void take_reply(const std::string& text);
    void fail_all(const Error& error);

    net::Connection connection_;
    JsonSplitter splitter_;
    std::map<uint64_t, Pending*> pending_;
    uint64_t next_id_ = 1;
    bool connected_ = true;
};

}  // namespace weft::rpc
