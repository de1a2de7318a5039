#include "env/address_octets.h"

#include <arpa/inet.h>

#include "base/assert.h"

namespace weft::env {

std::optional<AddressOctets> octets_of(const Address& address) {
    if (address.family == Family::unix_path) return std::nullopt;
    AddressOctets octets{};
    const std::string host = address.host.substr(0, address.host.find('%'));
    if (inet_pton(address.family == Family::ipv4 ? AF_INET : AF_INET6, host.c_str(), octets.data()) != 1) {
        return std::nullopt;
    }
    return octets;
}

std::string host_of(Family family, const AddressOctets& octets) {
    WEFT_ASSERT(family != Family::unix_path);
    std::array<char, INET6_ADDRSTRLEN> text{};
    WEFT_ASSERT(inet_ntop(family == Family::ipv4 ? AF_INET : AF_INET6, octets.data(), text.data(), text.size()) !=
                nullptr);
    return text.data();
}

}  // namespace weft::env
