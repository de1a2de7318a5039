// Where a server of JSON-RPC listens, as options name it.
#pragma once

#include <string>

#include "base/result.h"
#include "env/address.h"

namespace weft::cli {

// Where the field's clients look for a server.
inline constexpr const char* default_rpc_socket = "/var/tmp/spdk.sock";

// A path, or "127.0.0.1:5260", "[::1]:5260". Errors: invalid_argument.
Result<env::Address> parse_server_address(const std::string& text);

}  // namespace weft::cli
