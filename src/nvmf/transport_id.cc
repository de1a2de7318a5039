#include "nvmf/transport_id.h"

#include <fmt/format.h>

#include <algorithm>
#include <cctype>
#include <charconv>

#include "base/log.h"

namespace weft::nvmf {

bool equal_ignoring_case(std::string_view left, std::string_view right) {
    return std::ranges::equal(left, right,
                              [](unsigned char a, unsigned char b) { return std::tolower(a) == std::tolower(b); });
}

TransportId transport_id_of(const env::Address& address) {
    return {.trtype = "TCP",
            .adrfam = address.family == env::Family::ipv6 ? "IPv6" : "IPv4",
            .traddr = address.host,
            .trsvcid = fmt::format("{}", address.port)};
}

Result<env::Address> address_of(const TransportId& id) {
    uint16_t port = 0;
    const char* end = id.trsvcid.data() + id.trsvcid.size();
    const auto [stop, error] = std::from_chars(id.trsvcid.data(), end, port);
    if (error != std::errc{} || stop != end) {
        return fail(Errc::invalid_argument,
                    fmt::format("trsvcid \"{}\" is not a port number from 0 to 65535", log::quoted(id.trsvcid)));
    }
    auto address = env::parse_ip(id.traddr, port);
    if (!address) return address;
    const bool is_v6 = address->family == env::Family::ipv6;
    if (is_v6 != (id.adrfam == "IPv6")) {
        return fail(Errc::invalid_argument, fmt::format("traddr {} is not an {} address", id.traddr, id.adrfam));
    }
    return address;
}

Result<TransportId> normalise(std::string_view trtype, std::string_view adrfam, std::string_view traddr,
                              std::string_view trsvcid) {
    if (!equal_ignoring_case(trtype, "tcp")) {
        return fail(Errc::invalid_argument, fmt::format("trtype \"{}\" is not supported; TCP is", log::quoted(trtype)));
    }
    TransportId id{.trtype = "TCP",
                   .adrfam = std::string(adrfam),
                   .traddr = std::string(traddr),
                   .trsvcid = std::string(trsvcid.empty() ? "4420" : trsvcid)};
    if (adrfam.empty()) {
        id.adrfam = traddr.contains(':') ? "IPv6" : "IPv4";
    } else if (equal_ignoring_case(adrfam, "ipv4")) {
        id.adrfam = "IPv4";
    } else if (equal_ignoring_case(adrfam, "ipv6")) {
        id.adrfam = "IPv6";
    } else {
        return fail(Errc::invalid_argument,
                    fmt::format("adrfam \"{}\" is not supported; IPv4 and IPv6 are", log::quoted(adrfam)));
    }
    auto address = address_of(id);
    if (!address) return std::unexpected(std::move(address).error());
    id.traddr = address->host;
    return id;
}

}  // namespace weft::nvmf
