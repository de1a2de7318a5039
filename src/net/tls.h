// TLS without sockets: bytes of the peer in, bytes for the peer out, and plaintext on the other side.
//
// A TlsContext holds how the two sides prove who they are; a TlsCore is one connection. Here both sides prove it by a
// certificate. NVMe/TCP's way, a pre-shared key with TLS 1.3, would be another function that makes a TlsContext: the
// core and who drives it do not know the difference. TLS 1.2 and 1.3, forward secrecy only; no renegotiation, no
// compression, no resumption (each connection proves itself, so that a reload counts for all that follow). OpenSSL
// draws its own random numbers; the time is told to it.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/bytes.h"
#include "base/result.h"
#include "env/clock.h"

namespace weft::net {

// A file in PEM, and what messages call it ("--rpc-tls-ca /etc/weft/ca.pem").
struct PemFile {
    std::string name;
    std::string text;
};

struct TlsFiles {
    PemFile certificate;  // the own, then those between it and its authority, if any
    PemFile key;          // of the first, not encrypted
    PemFile authority;    // who vouches for the peer: one or several
};

// Whom a certificate is for. Bounded; names with control characters or a NUL are left out.
struct TlsPeer {
    std::string common_name;             // of the subject; empty: none, or several
    std::vector<std::string> dns_names;  // subject alternative names; in lower case
    std::vector<std::string> uris;
};

class TlsContext {
public:
    enum class Side : uint8_t { server, client };

    // `wall`: nanoseconds since 1970. Reads nothing but its arguments. A client may be without certificate and key
    // (both texts empty). Errors: invalid_argument, naming the file and what to do.
    static Result<std::unique_ptr<TlsContext>> make(Side side, const TlsFiles& files, env::TimeNs wall);
    TlsContext(const TlsContext&) = delete;
    TlsContext& operator=(const TlsContext&) = delete;
    ~TlsContext();

    [[nodiscard]] Side side() const { return side_; }

private:
    friend class TlsCore;
    struct Library;
    TlsContext(Side side, std::unique_ptr<Library> library);

    const Side side_;
    const std::unique_ptr<Library> library_;
};

// Used by one thread at a time, not always the same. Survives its context.
class TlsCore {
public:
    // More is not taken before the handshake is done.
    static constexpr size_t handshake_bytes_max = size_t{128} << 10;

    enum class State : uint8_t {
        handshake,
        open,
        ended,   // the peer's close_notify: nothing more to read, writing goes on
        failed,  // error() says why; take_output() may hold the alert for the peer
    };

    // `wall` is the time that certificates are looked at by. `peer_name`, of a client: the DNS name or the IP address
    // that the server's certificate must be for.
    TlsCore(const TlsContext& context, env::TimeNs wall, std::string_view peer_name = {});
    TlsCore(const TlsCore&) = delete;
    TlsCore& operator=(const TlsCore&) = delete;
    ~TlsCore();

    // Takes bytes of the peer; nothing happens to them yet.
    void feed(Bytes bytes);
    // As far as the handshake goes with what is there; a client's first step needs nothing. Milliseconds of work.
    void handshake();
    // Decrypts into the front of `into`; returns how much. 0: nothing now, or ever (state()).
    size_t read(MutableBytes into);
    // Encrypts. Only while open or ended.
    void write(std::string_view plaintext);
    // Says close_notify. Nothing is written afterwards.
    void end();
    // What is to be sent.
    std::string take_output();

    [[nodiscard]] State state() const { return state_; }
    [[nodiscard]] const Error& error() const { return error_; }
    // Once open.
    [[nodiscard]] const TlsPeer& peer() const { return peer_; }
    // "TLSv1.3"
    [[nodiscard]] std::string protocol() const;

private:
    struct Library;
    void fail_with(Errc code, std::string message);
    void take_failure(int library_error);

    const std::unique_ptr<Library> library_;
    const bool is_server_;
    const std::string peer_name_;
    State state_ = State::handshake;
    size_t handshake_bytes_ = 0;
    Error error_;
    TlsPeer peer_;
};

}  // namespace weft::net
