// Non-blocking stream sockets and the readiness of event sources, as the reactors use them.
//
// The calls are made per batch, never per I/O, so that a virtual call costs nothing and the simulator can
// stand in for the kernel. Objects belong to the thread that uses them; only Waiter::wake() may come from another.
#pragma once

#include <sys/uio.h>

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "base/bytes.h"
#include "base/result.h"
#include "env/address.h"
#include "env/clock.h"

namespace weft::env {

// The outcome of one non-blocking transfer.
struct Transfer {
    enum class State : uint8_t {
        done,         // `bytes` (at least one) were moved
        would_block,  // nothing now
        end,          // the peer sent FIN
        failed,       // `error`; the connection is of no more use
    };
    State state = State::would_block;
    size_t bytes = 0;
    Errc error = Errc::io_error;
};

struct Events {
    static constexpr uint32_t readable = 1;
    static constexpr uint32_t writable = 2;
    static constexpr uint32_t hung_up = 4;  // reported whether asked for or not
};

// Anything a Waiter can watch.
class Pollable {
public:
    Pollable() = default;
    Pollable(const Pollable&) = delete;
    Pollable& operator=(const Pollable&) = delete;
    virtual ~Pollable() = default;
    // The file descriptor, -1 for simulated sources.
    [[nodiscard]] virtual int descriptor() const { return -1; }
    // It tells that something arrived and is never cleared: watched by edge whatever the options say.
    [[nodiscard]] virtual bool is_edge_only() const { return false; }
};

struct SocketOptions {
    bool no_delay = true;
    std::string congestion_control;       // "" leaves the system's
    uint32_t receive_buffer_bytes = 0;    // 0 leaves the system's automatic size
    uint32_t send_buffer_bytes = 0;
    uint32_t priority = 0;                // SO_PRIORITY, 0..6 without privilege
    uint32_t user_timeout_ms = 0;         // TCP_USER_TIMEOUT; 0 leaves the system's
};

// A process at the other end, as it was when it connected.
struct PeerProcess {
    uint32_t user = 0;  // effective
    uint32_t process = 0;
};

// A connected (or connecting) stream.
class Stream : public Pollable {
public:
    virtual Transfer receive(MutableBytes into) = 0;
    // Sends from the front of `from` (at most 1024 pieces are looked at).
    virtual Transfer send(std::span<const iovec> from) = 0;
    // Sends `head` as send() does and then `body`, which the system need not copy: the peer may be given what this
    // memory holds by the time it is read there, long after the call. Neither is empty. The bytes of both count. A
    // system without a way for it copies.
    virtual Transfer send_in_place(Bytes head, Bytes body);
    // Ends our direction (FIN) after what was sent; receiving goes on.
    virtual void shutdown_send() = 0;
    // The outcome of connect(), asked once the stream is writable. Errors: connection_refused, not_found (no such
    // unix_path), timed_out, …; in_progress when asked too early.
    virtual Result<void> connected() = 0;
    virtual Result<void> configure(const SocketOptions& options) = 0;
    [[nodiscard]] virtual Address local_address() const = 0;
    [[nodiscard]] virtual Address peer_address() const = 0;
    // Who the peer of a unix_path stream is, if the system tells.
    [[nodiscard]] virtual std::optional<PeerProcess> peer_process() const { return std::nullopt; }
};

class Listener : public Pollable {
public:
    // The next connection. Errors: again (none waiting), too_many (out of descriptors), others: that one
    // connection failed, go on.
    virtual Result<std::unique_ptr<Stream>> accept() = 0;
    [[nodiscard]] virtual Address local_address() const = 0;
};

struct ListenOptions {
    int backlog = 512;
    bool v6_only = true;      // an IPv6 wildcard does not take IPv4 connections
    uint32_t path_mode = 0600;  // unix_path: permissions of the socket file
};

class Network {
public:
    Network() = default;
    Network(const Network&) = delete;
    Network& operator=(const Network&) = delete;
    virtual ~Network() = default;

    // A port of 0 takes a free one: see local_address(). A stale unix_path nobody listens on is replaced.
    // Errors: address_in_use, permission_denied, invalid_argument (no such local address).
    virtual Result<std::unique_ptr<Listener>> listen(const Address& address, const ListenOptions& options) = 0;
    // Starts to connect: the stream becomes writable when connected() has an answer. Errors: of this side only
    // (too_many, invalid_argument, not_found for an unknown congestion control); a refusal comes from connected().
    virtual Result<std::unique_ptr<Stream>> connect(const Address& address, const SocketOptions& options) = 0;
    // Addresses of the machine's interfaces of `family`, without loopback unless that is all there is.
    virtual std::vector<Address> local_addresses(Family family) = 0;
};

// How a source is watched. `edge`: told once per arrival of news, not for as long as it lasts.
struct WatchOptions {
    uint32_t events = Events::readable;
    bool edge = false;
};

struct Ready {
    void* context;
    uint32_t events;
};

// The readiness of many sources; one per reactor.
class Waiter {
public:
    Waiter() = default;
    Waiter(const Waiter&) = delete;
    Waiter& operator=(const Waiter&) = delete;
    virtual ~Waiter() = default;

    virtual Result<void> add(Pollable& source, WatchOptions options, void* context) = 0;
    virtual Result<void> modify(Pollable& source, WatchOptions options, void* context) = 0;
    // Reports already taken out by wait() may still name `context`: the reactor copes.
    virtual void remove(Pollable& source) = 0;
    // Waits until a source is ready, `deadline` (by the clock) passes or wake() is called. A deadline in the
    // past only looks; time_never waits without limit. Returns how many of `ready` were filled: 0 also when it
    // came back early, as after a signal (io_uring sends its own).
    virtual size_t wait(TimeNs deadline, std::span<Ready> ready) = 0;
    // Ends a wait that goes on, or the next one. Any thread.
    virtual void wake() = 0;
    // Readable when wait() would report something or was woken, for who waits for other descriptors, too. In
    // simulation a number that only sim::World::may_be_ready() knows.
    [[nodiscard]] virtual int descriptor() const { return -1; }
};

}  // namespace weft::env
