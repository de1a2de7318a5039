// Integers of a wire format: arrays of bytes, alignment 1, the value in host order on access.
#pragma once

#include <array>
#include <bit>
#include <cstdint>
#include <cstring>

namespace weft {

template <class Integer, std::endian order>
class WireInteger {
public:
    constexpr WireInteger() = default;
    constexpr WireInteger(Integer value) : bytes_(std::bit_cast<Bytes>(to_wire(value))) {}  // NOLINT: as a number
    constexpr operator Integer() const { return to_wire(std::bit_cast<Integer>(bytes_)); }  // NOLINT: as a number
    [[nodiscard]] constexpr Integer value() const { return *this; }

private:
    using Bytes = std::array<uint8_t, sizeof(Integer)>;
    static constexpr Integer to_wire(Integer value) {
        if constexpr (order == std::endian::native) {
            return value;
        } else {
            return std::byteswap(value);
        }
    }
    Bytes bytes_{};
};

using le16 = WireInteger<uint16_t, std::endian::little>;
using le32 = WireInteger<uint32_t, std::endian::little>;
using le64 = WireInteger<uint64_t, std::endian::little>;
using be16 = WireInteger<uint16_t, std::endian::big>;
using be32 = WireInteger<uint32_t, std::endian::big>;
using be64 = WireInteger<uint64_t, std::endian::big>;

static_assert(sizeof(le16) == 2 && alignof(le16) == 1);
static_assert(sizeof(le32) == 4 && alignof(le32) == 1);
static_assert(sizeof(le64) == 8 && alignof(le64) == 1);

}  // namespace weft
