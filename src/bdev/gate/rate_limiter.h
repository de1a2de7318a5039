// Rates that several threads share: operations and bytes a second, reads and writes together and apart.
//
// Each limit is one word: the time from which the next request may go. To reserve is to take that time and move it on
// by what the request costs, so that the long-run rate is exact, nothing is counted out in slices, and those who wait
// are served in the order in which they reserved. Who keeps one reservation at a time, as lanes do, gets as many
// requests through as every other who waits: nobody starves. What nobody used is kept for `burst`, which makes up for
// wake-ups that come late.
//
// Any thread. Nothing here knows of block devices: whoever has requests to slow down may own one.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>

#include "env/clock.h"

namespace weft::bdev {

// A second; 0: no limit.
struct RateLimits {
    uint64_t operations = 0;
    uint64_t bytes = 0;
    uint64_t read_bytes = 0;
    uint64_t written_bytes = 0;
    [[nodiscard]] bool any() const { return (operations | bytes | read_bytes | written_bytes) != 0; }
    bool operator==(const RateLimits&) const = default;
};

class RateLimiter {
public:
    static constexpr env::TimeNs burst = 5 * env::ns_per_ms;

    // From `now` on. Reservations that were made are worth nothing any more: who waits reserves again.
    void set(const RateLimits& limits, env::TimeNs now);
    // When a request of `bytes` may go: at once when that is not after `now`.
    env::TimeNs reserve(env::TimeNs now, bool is_write, uint64_t bytes);
    // The request will not go.
    void give_back(bool is_write, uint64_t bytes);

private:
    // Sixteenths of a nanosecond: at 30 million operations a second one costs 33.3 ns.
    using Ticks = uint64_t;
    static constexpr Ticks ticks_per_ns = 16;
    struct Limit {
        std::atomic<uint64_t> rate{0};
        std::atomic<Ticks> next{0};
        [[nodiscard]] Ticks cost(uint64_t amount, uint64_t per_second) const;
        env::TimeNs reserve(env::TimeNs now, uint64_t amount);
        void give_back(uint64_t amount);
    };
    enum Kind : uint8_t { operations, bytes_of_all, bytes_of_reads, bytes_of_writes };
    alignas(64) std::array<Limit, 4> limits_;
};

}  // namespace weft::bdev
