#include "nvmf/access/network.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <optional>

#include "base/log.h"

namespace weft::nvmf {

namespace {

using Octets = env::AddressOctets;

struct Number {
    env::Family family;
    Octets octets{};
};

constexpr std::array<uint8_t, 12> mapped_prefix = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xFF, 0xFF};

uint8_t bits_of(env::Family family) { return family == env::Family::ipv4 ? 32 : 128; }

bool is_mapped(const Octets& octets) { return std::equal(mapped_prefix.begin(), mapped_prefix.end(), octets.begin()); }

// Of an address that parse_ip() made; nullopt for a path.
std::optional<Number> number_of(const env::Address& address) {
    const auto octets = env::octets_of(address);
    if (!octets) return std::nullopt;
    if (address.family == env::Family::ipv6 && is_mapped(*octets)) {
        Number mapped{.family = env::Family::ipv4};
        std::copy_n(octets->begin() + mapped_prefix.size(), 4, mapped.octets.begin());
        return mapped;
    }
    return Number{.family = address.family, .octets = *octets};
}

Octets masked(Octets octets, uint8_t prefix_bits) {
    for (size_t at = 0; at < octets.size(); ++at) {
        const size_t begin = at * 8;
        if (begin >= prefix_bits) {
            octets[at] = 0;
        } else if (prefix_bits - begin < 8) {
            octets[at] &= static_cast<uint8_t>(0xFF00U >> (prefix_bits - begin));
        }
    }
    return octets;
}

}  // namespace

Result<Network> Network::parse(std::string_view text) {
    const auto refuse = [&](std::string_view why) {
        return fail(Errc::invalid_argument, fmt::format("\"{}\": {}", log::quoted(text, 64), why));
    };
    const size_t slash = text.find('/');
    const auto address = env::parse_ip(text.substr(0, slash), 0);
    if (!address || address->host.contains('%')) {
        return refuse("not a network: an IPv4 or IPv6 address, a slash, and the length of the prefix");
    }
    Network network;
    // The family as it is written: an IPv4 address in IPv6 form would have a prefix of another length.
    network.family_ = address->family;
    network.octets_ = env::octets_of(*address).value();
    const uint8_t bits_max = bits_of(network.family_);
    if (network.family_ == env::Family::ipv6 && is_mapped(network.octets_)) {
        return refuse("write the IPv4 address alone, without ::ffff:");
    }
    network.prefix_bits_ = bits_max;
    if (slash != std::string_view::npos) {
        const std::string_view number = text.substr(slash + 1);
        const char* end = number.data() + number.size();
        // NOLINTNEXTLINE(bugprone-suspicious-stringview-data-usage): it has the end, too
        const auto [stop, error] = std::from_chars(number.data(), end, network.prefix_bits_);
        if (error != std::errc{} || stop != end || network.prefix_bits_ > bits_max) {
            return refuse(fmt::format("the length of the prefix must be from 0 to {}", bits_max));
        }
    }
    const Octets whole = masked(network.octets_, network.prefix_bits_);
    if (whole != network.octets_) {
        network.octets_ = whole;
        return refuse(fmt::format("bits are set behind the prefix; the network is {}", network.to_string()));
    }
    return network;
}

bool Network::contains(const env::Address& address) const {
    const auto number = number_of(address);
    return number && number->family == family_ && masked(number->octets, prefix_bits_) == octets_;
}

std::string Network::to_string() const { return fmt::format("{}/{}", env::host_of(family_, octets_), prefix_bits_); }

bool NetworkList::admits(const env::Address& peer) const {
    return networks_.empty() ||
           std::ranges::any_of(networks_, [&](const Network& network) { return network.contains(peer); });
}

Result<void> NetworkList::add(const Network& network) {
    if (std::ranges::find(networks_, network) != networks_.end()) {
        return fail(Errc::already_exists, fmt::format("{} is in the list already", network.to_string()));
    }
    if (networks_.size() == networks_max) {
        return fail(Errc::too_many,
                    fmt::format("there are {} networks already: join some to a larger one", networks_max));
    }
    networks_.push_back(network);
    return {};
}

Result<void> NetworkList::remove(const Network& network) {
    if (std::erase(networks_, network) == 0) {
        return fail(Errc::not_found, fmt::format("{} is not in the list", network.to_string()));
    }
    return {};
}

}  // namespace weft::nvmf
