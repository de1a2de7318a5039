// Networks in CIDR notation (RFC 4632, RFC 4291), and the list of them whose hosts may come to a transport.
#pragma once

#include <compare>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "env/address_octets.h"

namespace weft::nvmf {

class Network {
public:
    // "172.17.29.0/24", "fd00:17::/64"; an address alone is a network of one. Errors: invalid_argument, saying which
    // part is wrong; a network with bits set behind its prefix is one, as it is most often a slip.
    static Result<Network> parse(std::string_view text);

    // IPv4 hosts that reached an IPv6 socket (::ffff:a.b.c.d) are of the IPv4 networks. A zone (%eth0) does not count.
    [[nodiscard]] bool contains(const env::Address& address) const;
    // In the shortest form, with the prefix: parse() makes the same of it.
    [[nodiscard]] std::string to_string() const;

    friend auto operator<=>(const Network&, const Network&) = default;

private:
    env::Family family_ = env::Family::ipv4;
    env::AddressOctets octets_{};
    uint8_t prefix_bits_ = 0;
};

// Who may come to a transport: all while the list is empty, otherwise hosts of its networks.
class NetworkList {
public:
    static constexpr size_t networks_max = 1024;

    [[nodiscard]] bool admits(const env::Address& peer) const;
    // Errors: already_exists, too_many.
    Result<void> add(const Network& network);
    // Errors: not_found.
    Result<void> remove(const Network& network);
    [[nodiscard]] const std::vector<Network>& networks() const { return networks_; }  // in the order they came

private:
    std::vector<Network> networks_;
};

}  // namespace weft::nvmf
