#include "env/address.h"

#include <arpa/inet.h>
#include <fmt/format.h>

#include <algorithm>
#include <array>

namespace weft::env {

namespace {

// What inet_pton and inet_ntop agree on, so that equal addresses are equal texts; "" when it is none.
std::string canonical(int family, const std::string& host) {
    std::array<unsigned char, sizeof(in6_addr)> binary{};
    std::array<char, INET6_ADDRSTRLEN> text{};
    if (inet_pton(family, host.c_str(), binary.data()) != 1) return {};
    if (inet_ntop(family, binary.data(), text.data(), text.size()) == nullptr) return {};
    return text.data();
}

// "%eth0": what the system may call an interface. Anything else would reach logs and listings as it is.
bool is_zone(std::string_view text) {
    constexpr size_t interface_bytes_max = 15;
    if (text.size() < 2 || text.size() > 1 + interface_bytes_max) return false;
    return std::ranges::all_of(text.substr(1), [](char letter) {
        return letter > ' ' && letter < 0x7F && letter != '/' && letter != '%' && letter != '[' && letter != ']';
    });
}

}  // namespace

Result<Address> parse_ip(std::string_view host, uint16_t port) {
    // inet_pton stops at a NUL: what follows one must not be ignored.
    if (host.find('\0') == std::string_view::npos) {
        const size_t percent = host.find('%');
        const std::string number(host.substr(0, percent));
        const std::string_view zone = percent == std::string_view::npos ? std::string_view{} : host.substr(percent);
        if (std::string text = canonical(AF_INET, number); !text.empty() && zone.empty()) {
            return Address{.family = Family::ipv4, .host = std::move(text), .port = port};
        }
        if (std::string text = canonical(AF_INET6, number); !text.empty() && (zone.empty() || is_zone(zone))) {
            return Address{.family = Family::ipv6, .host = text.append(zone), .port = port};
        }
    }
    return fail(Errc::invalid_argument,
                fmt::format("'{}' is not a numeric IPv4 or IPv6 address", host.substr(0, INET6_ADDRSTRLEN)));
}

std::string to_string(const Address& address) {
    switch (address.family) {
        case Family::ipv4: return fmt::format("{}:{}", address.host, address.port);
        case Family::ipv6: return fmt::format("[{}]:{}", address.host, address.port);
        case Family::unix_path: return address.host;
    }
    return {};
}

bool is_wildcard(const Address& address) {
    switch (address.family) {
        case Family::ipv4: return canonical(AF_INET, address.host) == "0.0.0.0";
        case Family::ipv6: return canonical(AF_INET6, address.host) == "::";
        case Family::unix_path: return false;
    }
    return false;
}

}  // namespace weft::env
