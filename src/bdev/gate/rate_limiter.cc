#include "bdev/gate/rate_limiter.h"

#include <algorithm>

namespace weft::bdev {

RateLimiter::Ticks RateLimiter::Limit::cost(uint64_t amount, uint64_t per_second) const {
    constexpr auto ticks_per_s = static_cast<double>(ticks_per_ns * env::ns_per_s);
    return static_cast<Ticks>(static_cast<double>(amount) * ticks_per_s / static_cast<double>(per_second));
}

env::TimeNs RateLimiter::Limit::reserve(env::TimeNs now, uint64_t amount) {
    const uint64_t per_second = rate.load(std::memory_order_relaxed);
    if (per_second == 0) return 0;
    const Ticks price = cost(amount, per_second);
    const Ticks earliest = (now - std::min(now, burst)) * ticks_per_ns;
    Ticks before = next.load(std::memory_order_relaxed);
    Ticks slot = 0;
    do {
        slot = std::max(before, earliest);
    } while (!next.compare_exchange_weak(before, slot + price, std::memory_order_relaxed));
    return (slot + ticks_per_ns - 1) / ticks_per_ns;
}

void RateLimiter::Limit::give_back(uint64_t amount) {
    const uint64_t per_second = rate.load(std::memory_order_relaxed);
    if (per_second == 0) return;
    const Ticks price = cost(amount, per_second);
    Ticks before = next.load(std::memory_order_relaxed);
    while (!next.compare_exchange_weak(before, before - std::min(before, price), std::memory_order_relaxed)) {
    }
}

void RateLimiter::set(const RateLimits& limits, env::TimeNs now) {
    const std::array rates{limits.operations, limits.bytes, limits.read_bytes, limits.written_bytes};
    for (size_t at = 0; at < rates.size(); ++at) {
        // No burst: who changes limits often must not get one each time.
        limits_[at].next.store(now * ticks_per_ns, std::memory_order_relaxed);
        limits_[at].rate.store(rates[at], std::memory_order_relaxed);
    }
}

env::TimeNs RateLimiter::reserve(env::TimeNs now, bool is_write, uint64_t bytes) {
    const env::TimeNs by_count = limits_[operations].reserve(now, 1);
    const env::TimeNs by_bytes = limits_[bytes_of_all].reserve(now, bytes);
    const env::TimeNs by_direction = limits_[is_write ? bytes_of_writes : bytes_of_reads].reserve(now, bytes);
    return std::max({by_count, by_bytes, by_direction});
}

void RateLimiter::give_back(bool is_write, uint64_t bytes) {
    limits_[operations].give_back(1);
    limits_[bytes_of_all].give_back(bytes);
    limits_[is_write ? bytes_of_writes : bytes_of_reads].give_back(bytes);
}

}  // namespace weft::bdev
