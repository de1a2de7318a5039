// Time and randomness of a reactor.
#pragma once

#include <cstdint>
#include <limits>

#include "base/bytes.h"

namespace weft::env {

// Nanoseconds of the monotonic clock, or a span of them.
using TimeNs = uint64_t;
inline constexpr TimeNs time_never = std::numeric_limits<TimeNs>::max();
inline constexpr TimeNs ns_per_us = 1'000;
inline constexpr TimeNs ns_per_ms = 1'000'000;
inline constexpr TimeNs ns_per_s = 1'000'000'000;

class Clock {
public:
    Clock() = default;
    Clock(const Clock&) = delete;
    Clock& operator=(const Clock&) = delete;
    virtual ~Clock() = default;
    // Monotonic. Timers use nothing else.
    [[nodiscard]] virtual TimeNs now() const = 0;
    // Nanoseconds since 1970, for people and certificates only: it jumps.
    [[nodiscard]] virtual TimeNs wall() const = 0;
};

class Random {
public:
    Random() = default;
    Random(const Random&) = delete;
    Random& operator=(const Random&) = delete;
    virtual ~Random() = default;
    // Cryptographically strong in production, from the seed in simulation. Any thread.
    virtual void fill(MutableBytes bytes) = 0;
};

}  // namespace weft::env
