// Where a server of JSON-RPC is.
#pragma once

#include <string>

#include "base/result.h"
#include "env/address.h"

namespace weft::cli {

// Where the field's clients look for a server.
inline constexpr const char* default_rpc_socket = "/var/tmp/spdk.sock";

// A path, or "127.0.0.1:5260", "[::1]:5260"; or an address alone when there is a `port` for it, as rpc.py has it.
// Errors: invalid_argument.
Result<env::Address> parse_rpc_address(const std::string& text, uint16_t port = 0);

}  // namespace weft::cli
