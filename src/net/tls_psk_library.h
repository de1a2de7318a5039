// What tls_psk*.cc share: a connection of OpenSSL whose bytes come from memory or from a stream. Private to them.
#pragma once

#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/ssl.h>

#include <memory>
#include <string>
#include <vector>

#include "net/tls_library.h"
#include "net/tls_psk.h"

namespace weft::net {

struct PskContext::Library {
    Owned<SSL_CTX> context;
};

// The two ends of the connection's BIO. OpenSSL reads what `in` holds, then from `below`, if there is one; what it
// writes is appended to `out`.
struct TlsPipe {
    std::vector<std::byte> in;
    size_t in_used = 0;
    std::vector<std::byte> out;
    size_t out_max = SIZE_MAX;  // more is a failure: a peer that asks and does not listen
    env::Stream* below = nullptr;
    uint32_t receives_left = 0;  // of `below`; then it says would_block
    env::Transfer last{};        // what `below` said last

    [[nodiscard]] bool has_input() const { return in_used < in.size(); }
};

// Owned by the SSL it is given to. `pipe` outlives it.
BIO* make_pipe_bio(TlsPipe& pipe);

struct PskHandshake::Library {
    std::unique_ptr<TlsPipe> pipe = std::make_unique<TlsPipe>();
    Owned<SSL> connection;  // dies before the pipe
    std::vector<std::byte> client_hello;  // of a server: the whole message
    size_t hashed_bytes = 0;              // of it: up to the binders
    std::vector<PskOffer> offers;
    bool is_chosen = false;
    bool has_key = false;
    PskKey key;
};

}  // namespace weft::net
