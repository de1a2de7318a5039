// Connecting, as a coroutine.
#pragma once

#include <memory>

#include "env/environment.h"
#include "reactor/task.h"

namespace weft::net {

// A connected stream, watched by nobody. Errors: those of Network::connect and Stream::connected; timed_out.
Task<Result<std::unique_ptr<env::Stream>>> connect(env::Address address, env::SocketOptions options,
                                                   env::TimeNs timeout);

}  // namespace weft::net
