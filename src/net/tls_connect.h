// A client's TLS 1.3 handshake with a pre-shared key over a connected stream, as a coroutine.
#pragma once

#include <memory>

#include "net/tls_psk.h"
#include "reactor/task.h"

namespace weft::net {

// The stream above `stream`, which nobody watches. The arithmetic is done away from the reactor. Errors:
// permission_denied (the server does not know the key, or has another), timed_out, connection_lost, not_supported.
Task<Result<std::unique_ptr<env::Stream>>> secure(std::unique_ptr<env::Stream> stream, PskKey key, env::TimeNs timeout);

}  // namespace weft::net
