// Who calls, and what it may.
#pragma once

#include <memory>
#include <string>

#include "env/network.h"
#include "net/channel.h"
#include "reactor/thread.h"
#include "rpc/role.h"

namespace weft::rpc {

struct Caller {
    Role role = Role::admin;
    std::string name;     // "CN=alice", "uid 0, pid 12"; empty: not known
    std::string address;  // "192.0.2.7:40112", or the path of the socket
};

// Ourselves: a configuration file, a test.
inline const Caller own_program = {.role = Role::admin, .name = "weftd", .address = {}};

// How clients of a server come in.
class Admission {
public:
    Admission() = default;
    Admission(const Admission&) = delete;
    Admission& operator=(const Admission&) = delete;
    virtual ~Admission() = default;

    // What `stream`, a new client, speaks through.
    virtual std::unique_ptr<net::Channel> open(Thread& thread, std::unique_ptr<env::Stream> stream,
                                               net::ConnectionUser& user) = 0;
    // The client behind a channel of open() that is ready.
    [[nodiscard]] virtual Caller caller_of(net::Channel& channel) const = 0;
};

}  // namespace weft::rpc
