// 128-bit identifiers (RFC 9562), kept in the order of their text form.
#pragma once

#include <array>
#include <compare>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "base/bytes.h"

namespace weft {

class Uuid {
public:
    constexpr Uuid() = default;
    explicit constexpr Uuid(const std::array<uint8_t, 16>& octets) : octets_(octets) {}

    // "6ba7b810-9dad-11d1-80b4-00c04fd430c8", either case; the hyphens may be left out.
    static std::optional<Uuid> parse(std::string_view text);
    // A random one (version 4) made from 16 random bytes.
    static Uuid from_random(const std::array<uint8_t, 16>& random);
    // A stable one (version 8) derived from names by SHA-256: the same names give the same id.
    static Uuid from_names(std::initializer_list<std::string_view> names);

    [[nodiscard]] std::string to_string() const;
    [[nodiscard]] const std::array<uint8_t, 16>& octets() const { return octets_; }
    [[nodiscard]] bool is_nil() const { return *this == Uuid{}; }

    friend constexpr auto operator<=>(const Uuid&, const Uuid&) = default;

private:
    std::array<uint8_t, 16> octets_{};
};

// The SHA-256 of `names`, each preceded by its length so that ("ab","c") and ("a","bc") differ.
std::array<uint8_t, 32> digest_of_names(std::initializer_list<std::string_view> names);

}  // namespace weft
