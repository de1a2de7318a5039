#include "app/cli/rpc/rpc_address.h"

#include <fmt/format.h>

#include <charconv>

namespace weft::cli {

Result<env::Address> parse_rpc_address(const std::string& text, uint16_t port_alone) {
    if (port_alone != 0) {
        if (auto bare = env::parse_ip(text, port_alone)) return bare;
    }
    const size_t colon = text.rfind(':');
    if (text.find('/') != std::string::npos || colon == std::string::npos) {
        return env::Address{.family = env::Family::unix_path, .host = text};
    }
    uint16_t port = 0;
    const char* const end = text.data() + text.size();
    const auto parsed = std::from_chars(text.data() + colon + 1, end, port);
    if (parsed.ec != std::errc{} || parsed.ptr != end) {
        return fail(Errc::invalid_argument, fmt::format("-s '{}' is neither a path nor ADDRESS:PORT", text));
    }
    std::string host = text.substr(0, colon);
    if (host.starts_with('[') && host.ends_with(']')) host = host.substr(1, host.size() - 2);
    return env::parse_ip(host, port);
}

}  // namespace weft::cli
