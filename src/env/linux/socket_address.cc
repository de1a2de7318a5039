#include "env/linux/socket_address.h"

#include <arpa/inet.h>
#include <fmt/format.h>
#include <net/if.h>
#include <netinet/in.h>
#include <sys/un.h>

#include <array>
#include <cstddef>
#include <cstring>

#include "base/bytes.h"

namespace weft::env {

namespace {

// A sockaddr of its own kind goes in and out of the storage as bytes: no cast between types that differ.
template <class T>
SocketAddress wrap(const T& kind, size_t size = sizeof(T)) {
    SocketAddress address;
    std::memcpy(&address.storage, &kind, sizeof(T));
    address.size = static_cast<socklen_t>(size);
    return address;
}

template <class T>
T unwrap(const SocketAddress& address) {
    T kind{};
    std::memcpy(&kind, &address.storage, sizeof(T));
    return kind;
}

std::unexpected<Error> not_numeric(const Address& address) {
    return fail(Errc::invalid_argument, fmt::format("'{}' is not a numeric address", address.host));
}

Result<SocketAddress> to_system_v6(const Address& address) {
    sockaddr_in6 kind{};
    kind.sin6_family = AF_INET6;
    kind.sin6_port = htons(address.port);
    const size_t percent = address.host.find('%');
    if (inet_pton(AF_INET6, address.host.substr(0, percent).c_str(), &kind.sin6_addr) != 1) {
        return not_numeric(address);
    }
    if (percent != std::string::npos) {
        const std::string zone = address.host.substr(percent + 1);
        kind.sin6_scope_id = if_nametoindex(zone.c_str());
        if (kind.sin6_scope_id == 0) {
            return fail(Errc::invalid_argument, fmt::format("{}: no interface {}", address.host, zone));
        }
    }
    return wrap(kind);
}

Result<SocketAddress> to_system_path(const Address& address) {
    sockaddr_un kind{};
    kind.sun_family = AF_UNIX;
    if (address.host.empty() || address.host.size() >= sizeof(kind.sun_path)) {
        return fail(Errc::invalid_argument, fmt::format("socket path '{}': between 1 and {} characters are possible",
                                                        address.host, sizeof(kind.sun_path) - 1));
    }
    std::memcpy(kind.sun_path, address.host.data(), address.host.size());
    return wrap(kind, offsetof(sockaddr_un, sun_path) + address.host.size() + 1);
}

Address from_system_v6(const SocketAddress& address) {
    const auto kind = unwrap<sockaddr_in6>(address);
    std::array<char, INET6_ADDRSTRLEN> text{};
    inet_ntop(AF_INET6, &kind.sin6_addr, text.data(), text.size());
    std::string host = text.data();
    std::array<char, IF_NAMESIZE> zone{};
    if (kind.sin6_scope_id != 0 && if_indextoname(kind.sin6_scope_id, zone.data()) != nullptr) {
        host.append("%").append(zone.data());
    }
    return {.family = Family::ipv6, .host = std::move(host), .port = ntohs(kind.sin6_port)};
}

}  // namespace

Result<SocketAddress> to_system(const Address& address) {
    switch (address.family) {
        case Family::ipv4: {
            sockaddr_in kind{};
            kind.sin_family = AF_INET;
            kind.sin_port = htons(address.port);
            if (inet_pton(AF_INET, address.host.c_str(), &kind.sin_addr) != 1) return not_numeric(address);
            return wrap(kind);
        }
        case Family::ipv6: return to_system_v6(address);
        case Family::unix_path: return to_system_path(address);
    }
    return not_numeric(address);
}

Address from_system(const SocketAddress& address) {
    if (address.family() == AF_INET) {
        const auto kind = unwrap<sockaddr_in>(address);
        std::array<char, INET_ADDRSTRLEN> text{};
        inet_ntop(AF_INET, &kind.sin_addr, text.data(), text.size());
        return {.family = Family::ipv4, .host = text.data(), .port = ntohs(kind.sin_port)};
    }
    if (address.family() == AF_INET6) return from_system_v6(address);
    const auto kind = unwrap<sockaddr_un>(address);
    const size_t header = offsetof(sockaddr_un, sun_path);
    const size_t room = address.size > header ? address.size - header : 0;
    return {.family = Family::unix_path, .host = std::string(kind.sun_path, strnlen(kind.sun_path, room)), .port = 0};
}

}  // namespace weft::env
