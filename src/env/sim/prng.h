// The randomness of the simulated world: xoshiro256** (Blackman, Vigna), seeded by splitmix64. Its numbers
// are the same on every machine, which <random>'s distributions do not promise.
#pragma once

#include <algorithm>
#include <array>
#include <bit>
#include <cstdint>

#include "base/bytes.h"

namespace weft::sim {

// One step of splitmix64: also a good mixer of 64 bits.
constexpr uint64_t mix(uint64_t value) {
    value += 0x9E3779B97F4A7C15;
    value = (value ^ (value >> 30)) * 0xBF58476D1CE4E5B9;
    value = (value ^ (value >> 27)) * 0x94D049BB133111EB;
    return value ^ (value >> 31);
}

class Prng {
public:
    explicit Prng(uint64_t seed) {
        for (uint64_t& word : state_) {
            word = mix(seed);
            seed += 0x9E3779B97F4A7C15;
        }
    }

    uint64_t next() {
        const uint64_t result = std::rotl(state_[1] * 5, 7) * 9;
        const uint64_t shifted = state_[1] << 17;
        state_[2] ^= state_[0];
        state_[3] ^= state_[1];
        state_[1] ^= state_[2];
        state_[0] ^= state_[3];
        state_[2] ^= shifted;
        state_[3] = std::rotl(state_[3], 45);
        return result;
    }

    // 0 … count - 1, count > 0. Its bias (under count / 2^64) does not matter here.
    uint64_t below(uint64_t count) {
        WEFT_ASSERT(count > 0);
        return static_cast<uint64_t>((static_cast<unsigned __int128>(next()) * count) >> 64);
    }
    // first … last, both possible.
    uint64_t between(uint64_t first, uint64_t last) {
        WEFT_ASSERT(first <= last);
        const uint64_t count = last - first + 1;
        return count == 0 ? next() : first + below(count);
    }
    // True with `probability` (0: never, 1: always). Takes nothing from the sequence for 0, so that a fault
    // that is off leaves the other choices of a seed as they are.
    bool chance(double probability) {
        if (probability <= 0) return false;
        return static_cast<double>(next() >> 11) * 0x1.0p-53 < probability;
    }
    bool coin() { return (next() >> 63) != 0; }

    void fill(MutableBytes bytes) {
        while (!bytes.empty()) {
            const auto word = std::bit_cast<std::array<std::byte, 8>>(next());
            const size_t count = std::min(bytes.size(), word.size());
            std::copy_n(word.begin(), count, bytes.begin());
            bytes = bytes.subspan(count);
        }
    }

private:
    std::array<uint64_t, 4> state_{};
};

}  // namespace weft::sim
