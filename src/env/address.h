// Where a socket listens or connects: numeric IPv4 or IPv6 address and port, or a path.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "base/result.h"

namespace weft::env {

enum class Family : uint8_t { ipv4, ipv6, unix_path };

struct Address {
    Family family = Family::ipv4;
    std::string host;  // numeric, without brackets; the path for unix_path
    uint16_t port = 0;

    friend bool operator==(const Address&, const Address&) = default;
};

// "127.0.0.1", "::1", "fe80::1%eth0". Names are not resolved. Errors: invalid_argument.
Result<Address> parse_ip(std::string_view host, uint16_t port);
// "127.0.0.1:4420", "[::1]:4420", or the path.
std::string to_string(const Address& address);
// 0.0.0.0 or ::
bool is_wildcard(const Address& address);

}  // namespace weft::env
