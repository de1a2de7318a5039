// Whether a connection gets on with what it has begun: looked at a few times within the time it has, by one timer of
// its group, and without a clock: a reactor that stood still must not blame its hosts.
#pragma once

#include <cstdint>

namespace weft::nvmf::tcp {

// The time has this many looks.
inline constexpr uint32_t looks_max = 8;
// A command whose data keeps coming, but does not come to an end, has that many times as long.
inline constexpr uint32_t patience_with_data = 6;

// Of one direction. `count` goes up with each PDU that is through.
class Progress {
public:
    // True when something was begun and the same is still not through after looks_max looks.
    bool look(bool is_begun, uint32_t count) {
        if (!is_begun || count != seen_) looks_ = 0;
        seen_ = count;
        return is_begun && ++looks_ > looks_max + 1;
    }

private:
    uint32_t seen_ = 0;
    uint32_t looks_ = 0;
};

}  // namespace weft::nvmf::tcp
