#include "rpc/roles.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/log.h"
#include "rpc/spelling.h"

namespace weft::rpc {

namespace {

constexpr std::string_view blanks = " \t\r";

std::string_view trimmed(std::string_view text) {
    const size_t first = text.find_first_not_of(blanks);
    if (first == std::string_view::npos) return {};
    return text.substr(first, text.find_last_not_of(blanks) - first + 1);
}

std::string lower(std::string_view text) {
    std::string result(text);
    std::ranges::transform(result, result.begin(), [](char byte) {
        return byte >= 'A' && byte <= 'Z' ? static_cast<char>(byte + ('a' - 'A')) : byte;
    });
    return result;
}

std::optional<Role> role_from_name(std::string_view name) {
    for (const Role role : {Role::read, Role::operate, Role::admin}) {
        if (name == to_string(role)) return role;
    }
    return std::nullopt;
}

struct Entry {
    std::string name;
    Role role = Role::none;
};

Result<Entry> parse_line(std::string_view line) {
    const size_t gap = line.find_last_of(blanks);
    const std::string_view name = gap == std::string_view::npos ? line : trimmed(line.substr(0, gap));
    const std::string_view word = gap == std::string_view::npos ? std::string_view{} : line.substr(gap + 1);
    const auto role = role_from_name(word);
    if (!role) {
        return fail(Errc::invalid_argument, fmt::format("'{}' is no role: give read, operate or admin after the name",
                                                        log::quoted(word.empty() ? line : word, 64)));
    }
    const bool is_dns = name.starts_with("DNS:");
    if (!is_dns && !name.starts_with("CN=") && !name.starts_with("URI:")) {
        return fail(Errc::invalid_argument,
                    fmt::format("'{}' is no name: give CN=…, DNS:… or URI:…", log::quoted(name, 64)));
    }
    const size_t prefix_bytes = name.starts_with("CN=") ? 3 : 4;
    if (name.size() == prefix_bytes) return fail(Errc::invalid_argument, "the name is empty");
    return Entry{.name = is_dns ? "DNS:" + lower(name.substr(prefix_bytes)) : std::string(name), .role = *role};
}

}  // namespace

Result<Roles> Roles::parse(std::string_view text) {
    Roles roles;
    for (size_t number = 1; !text.empty(); ++number) {
        const size_t end = text.find('\n');
        const std::string_view line = trimmed(text.substr(0, end));
        text = end == std::string_view::npos ? std::string_view{} : text.substr(end + 1);
        if (line.empty() || line.starts_with('#')) continue;
        auto entry = parse_line(line);
        if (!entry) {
            return fail(Errc::invalid_argument, fmt::format("line {}: {}", number, entry.error().message));
        }
        if (roles.entries_.size() == entries_max) {
            return fail(Errc::invalid_argument, fmt::format("line {}: more than {} names", number, entries_max));
        }
        const auto [at, is_new] = roles.entries_.emplace(std::move(entry->name), entry->role);
        if (!is_new) {
            return fail(Errc::invalid_argument,
                        fmt::format("line {}: '{}' stands there twice", number, log::quoted(at->first, 64)));
        }
    }
    return roles;
}

Role Roles::role_of(const net::TlsPeer& peer) const {
    Role most = Role::none;
    const auto look = [this, &most](std::string_view prefix, const std::string& name) {
        if (name.empty()) return;
        const auto found = entries_.find(std::string(prefix) + name);
        if (found != entries_.end()) most = std::max(most, found->second);
    };
    look("CN=", peer.common_name);
    for (const std::string& name : peer.dns_names) look("DNS:", name);
    for (const std::string& name : peer.uris) look("URI:", name);
    return most;
}

std::string name_of(const net::TlsPeer& peer) {
    if (!peer.common_name.empty()) return "CN=" + peer.common_name;
    if (!peer.dns_names.empty()) return "DNS:" + peer.dns_names.front();
    if (!peer.uris.empty()) return "URI:" + peer.uris.front();
    return {};
}

}  // namespace weft::rpc
