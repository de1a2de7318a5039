// TLS 1.3 with a pre-shared key: the handshake without sockets, and the stream that comes of it.
//
// For the data path (NVMe/TCP): what results is an env::Stream like the socket below it, so that who uses it knows no
// difference, and who uses none pays nothing. Only TLS 1.3, psk_dhe_ke, AES-GCM; no tickets, no resumption, no early
// data, no certificates. OpenSSL draws its own random numbers.
//
//   handshake.feed(bytes of the peer); handshake.step(); send handshake.take_output(); ... until state() is open.
//   state() wants_key, of a server: look at offers(), and choose().
#pragma once

#include <array>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/bytes.h"
#include "base/result.h"
#include "env/memory_budget.h"
#include "env/network.h"

namespace weft::net {

// Both sides know it. 32 bytes stand for TLS_AES_128_GCM_SHA256, 48 for TLS_AES_256_GCM_SHA384. Wipes itself.
struct PskKey {
    static constexpr size_t bytes_max = 48;

    PskKey() = default;
    PskKey(std::string name, Bytes secret);
    PskKey(const PskKey&) = default;
    PskKey& operator=(const PskKey&) = default;
    ~PskKey();
    [[nodiscard]] Bytes secret() const { return Bytes(bytes).first(size); }

    std::string identity;
    std::array<std::byte, bytes_max> bytes{};
    size_t size = 0;
};

// The settings that all handshakes of a side share. Any thread may make handshakes of it.
class PskContext {
public:
    enum class Side : uint8_t { server, client };

    // Errors: not_supported (an OpenSSL without TLS 1.3).
    static Result<std::unique_ptr<PskContext>> make(Side side);
    PskContext(const PskContext&) = delete;
    PskContext& operator=(const PskContext&) = delete;
    ~PskContext();
    [[nodiscard]] Side side() const { return side_; }

private:
    friend class PskHandshake;
    struct Library;
    PskContext(Side side, std::unique_ptr<Library> library);

    const Side side_;
    const std::unique_ptr<Library> library_;
};

// A key that a client says it has.
struct PskOffer {
    std::string identity;
    std::string binder;  // proves it: an HMAC over the ClientHello
};

// Used by one thread at a time, not always the same: a step may take a millisecond. Survives its context.
class PskHandshake {
public:
    // Of the peer; beyond it the handshake fails.
    static constexpr size_t bytes_max = size_t{64} << 10;
    static constexpr size_t offers_max = 8;
    static constexpr size_t identity_bytes_max = 1024;

    enum class State : uint8_t {
        running,    // wants bytes of the peer
        wants_key,  // a server has heard a ClientHello: see offers()
        open,
        failed,     // error() says why; take_output() may hold the alert for the peer
    };

    // A server; of a client, too: its key.
    explicit PskHandshake(const PskContext& context);
    PskHandshake(const PskContext& context, const PskKey& key);
    PskHandshake(const PskHandshake&) = delete;
    PskHandshake& operator=(const PskHandshake&) = delete;
    ~PskHandshake();

    // Takes bytes of the peer; nothing happens to them yet.
    void feed(Bytes bytes);
    // As far as it goes with what is there; a client's first needs nothing.
    void step();
    // What is to be sent.
    std::string take_output();

    // While it wants a key: what the client offers, in its order, without those that are too long or too many.
    [[nodiscard]] const std::vector<PskOffer>& offers() const;
    // Whether the client's `offer` was made with `key`.
    [[nodiscard]] bool proves(const PskOffer& offer, const PskKey& key) const;
    // Goes on with `key`, or without any, which lets the handshake fail with the right alert.
    void choose(const PskKey* key);

    [[nodiscard]] State state() const { return state_; }
    [[nodiscard]] const Error& error() const { return error_; }
    // Once open: "TLS_AES_128_GCM_SHA256".
    [[nodiscard]] std::string cipher() const;

    // Once open: the stream above `below`, which the handshake's bytes were exchanged with. The handshake is of no more
    // use. `memory` is kept as long as the stream lives.
    std::unique_ptr<env::Stream> into_stream(std::unique_ptr<env::Stream> below, env::MemoryShare memory = {});

    struct Library;

private:
    void fail_with(Errc code, std::string message);
    void take_failure(int library_error);

    std::unique_ptr<Library> library_;
    const bool is_server_;
    State state_ = State::running;
    size_t fed_bytes_ = 0;
    Error error_;
};

// What a stream through TLS holds beside the socket, for --memory: OpenSSL's state and buffers, and ours.
inline constexpr uint64_t psk_stream_memory_bytes = 224 * 1024;

}  // namespace weft::net
