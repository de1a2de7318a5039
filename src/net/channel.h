// A connection of the control plane as its user sees it: plain (connection.h), or through TLS (tls_connection.h).
//
// The user is called from the thread's loop only, never inside a call it made.
#pragma once

#include <string>

#include "base/bytes.h"
#include "base/result.h"
#include "env/network.h"

namespace weft::net {

struct TlsPeer;

class ConnectionUser {
public:
    ConnectionUser() = default;
    ConnectionUser(const ConnectionUser&) = delete;
    ConnectionUser& operator=(const ConnectionUser&) = delete;
    virtual ~ConnectionUser() = default;

    // Through TLS only: the handshake is done, and tls_peer() says with whom.
    virtual void on_ready() {}
    // `bytes` die when it returns.
    virtual void on_received(Bytes bytes) = 0;
    // The peer sends no more. It may still read.
    virtual void on_end() = 0;
    // Some of the queue was sent.
    virtual void on_sent() {}
    // The last call, exactly once unless the connection is destroyed first: closed, or lost. May destroy the
    // connection.
    virtual void on_closed() = 0;
};

// Lives on the thread it was made on; may be destroyed in on_closed(), or outside of the user's other functions.
class Channel {
public:
    Channel() = default;
    Channel(const Channel&) = delete;
    Channel& operator=(const Channel&) = delete;
    virtual ~Channel() = default;

    // Begins to receive. Errors: of watching; the connection is then of no use.
    virtual Result<void> start() = 0;

    // Queues `bytes`; dropped when the connection is closing.
    virtual void send(std::string bytes) = 0;
    [[nodiscard]] virtual size_t unsent_bytes() const = 0;

    virtual void pause_receiving() = 0;
    virtual void resume_receiving() = 0;
    [[nodiscard]] virtual bool is_receiving() const = 0;

    // No more is received; on_closed() follows when the queue is sent.
    virtual void close_when_sent() = 0;
    // on_closed() follows; what is queued is lost.
    virtual void close() = 0;

    [[nodiscard]] virtual env::Stream& stream() = 0;

    // False while there is a handshake.
    [[nodiscard]] virtual bool is_ready() const { return true; }
    // Whom the peer proved to be; nullptr: that was not asked, or not yet.
    [[nodiscard]] virtual const TlsPeer* tls_peer() const { return nullptr; }
    // Why it came to an end that is not an orderly one; nullptr: nothing more is known.
    [[nodiscard]] virtual const Error* failure() const { return nullptr; }
};

}  // namespace weft::net
