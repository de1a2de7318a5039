#include "base/uuid.h"

#include <fmt/format.h>
#include <openssl/sha.h>

#include <algorithm>

#include "base/hex.h"

namespace weft {

namespace {

// RFC 9562, 4.1 and 4.2: the variant is 10b, the version the top four bits of octet 6.
Uuid with_version(std::array<uint8_t, 16> octets, uint8_t version) {
    octets[6] = static_cast<uint8_t>((octets[6] & 0x0F) | (version << 4));
    octets[8] = static_cast<uint8_t>((octets[8] & 0x3F) | 0x80);
    return Uuid(octets);
}

}  // namespace

std::optional<Uuid> Uuid::parse(std::string_view text) {
    std::string digits;
    if (text.size() == 36) {
        for (size_t at = 0; at < text.size(); ++at) {
            const bool hyphen_place = at == 8 || at == 13 || at == 18 || at == 23;
            if (hyphen_place != (text[at] == '-')) return std::nullopt;
            if (!hyphen_place) digits += text[at];
        }
    } else {
        digits = text;
    }
    std::array<uint8_t, 16> octets{};
    if (!parse_hex(digits, octets)) return std::nullopt;
    return Uuid(octets);
}

Uuid Uuid::from_random(const std::array<uint8_t, 16>& random) { return with_version(random, 4); }

Uuid Uuid::from_names(std::initializer_list<std::string_view> names) {
    const auto digest = digest_of_names(names);
    std::array<uint8_t, 16> octets{};
    std::copy_n(digest.begin(), octets.size(), octets.begin());
    return with_version(octets, 8);
}

std::string Uuid::to_string() const {
    const std::string digits = to_hex(octets_);
    return fmt::format("{}-{}-{}-{}-{}", digits.substr(0, 8), digits.substr(8, 4), digits.substr(12, 4),
                       digits.substr(16, 4), digits.substr(20));
}

std::array<uint8_t, 32> digest_of_names(std::initializer_list<std::string_view> names) {
    std::string joined;
    for (const std::string_view name : names) joined += fmt::format("{}:{}", name.size(), name);
    std::array<uint8_t, SHA256_DIGEST_LENGTH> digest{};
    // Not by EVP, which allocates, and whose first use ends in a null pointer when it cannot.
#pragma clang diagnostic push
#pragma clang diagnostic ignored "-Wdeprecated-declarations"
    SHA256_CTX sha;
    WEFT_ASSERT(SHA256_Init(&sha) == 1);
    WEFT_ASSERT(SHA256_Update(&sha, joined.data(), joined.size()) == 1);
    WEFT_ASSERT(SHA256_Final(digest.data(), &sha) == 1);
#pragma clang diagnostic pop
    return digest;
}

}  // namespace weft
