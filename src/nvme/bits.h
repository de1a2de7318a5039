// A named run of bits in a register or command dword: what the specifications print as "10:07".
#pragma once

#include <concepts>
#include <cstdint>

#include "base/assert.h"

namespace weft::nvme {

struct Bits {
    unsigned low = 0;
    unsigned width = 1;

    [[nodiscard]] constexpr uint64_t value_max() const {
        return width == 64 ? ~uint64_t{0} : (uint64_t{1} << width) - 1;
    }
    [[nodiscard]] constexpr uint64_t mask() const { return value_max() << low; }

    // The value of these bits in `raw`.
    template <std::unsigned_integral T>
    [[nodiscard]] constexpr T of(T raw) const {
        return static_cast<T>(raw >> low & value_max());
    }
    // `raw` with these bits set to `value`, which must fit.
    template <std::unsigned_integral T>
    [[nodiscard]] constexpr T set(T raw, uint64_t value) const {
        WEFT_ASSERT(value <= value_max());
        return static_cast<T>((raw & ~mask()) | value << low);
    }
};

}  // namespace weft::nvme
