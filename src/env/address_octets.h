// Numeric addresses as the octets they stand for.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>

#include "env/address.h"

namespace weft::env {

using AddressOctets = std::array<uint8_t, 16>;  // IPv4: the first four, the others zero

// Without the zone, if it has one. nullopt: a path, or no address that parse_ip() made.
std::optional<AddressOctets> octets_of(const Address& address);
// In its shortest form, as parse_ip() has it. `family` is ipv4 or ipv6.
std::string host_of(Family family, const AddressOctets& octets);

}  // namespace weft::env
