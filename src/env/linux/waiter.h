// Readiness by epoll.
#pragma once

#include "env/network.h"

namespace weft::env {

// Errors: too_many (descriptors).
Result<std::unique_ptr<Waiter>> make_epoll_waiter();

}  // namespace weft::env
