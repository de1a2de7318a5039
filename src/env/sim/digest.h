// Of data, for the trace: what differs between two runs differs sooner or later in a length or at an end of something.
#pragma once

#include <algorithm>
#include <cstdint>

#include "base/bytes.h"
#include "env/sim/prng.h"

namespace weft::sim {

// The length, the first 32 bytes and the last 8. Reading all of it would cost more than carrying it does.
inline uint64_t digest_of(Bytes bytes) {
    uint64_t digest = bytes.size();
    const auto take = [&digest](Bytes word) {
        uint64_t number = 0;
        for (const std::byte byte : word) number = number << 8 | static_cast<uint64_t>(byte);
        digest = mix(digest ^ number);
    };
    for (size_t at = 0; at < std::min<size_t>(bytes.size(), 32); at += 8) {
        take(bytes.subspan(at, std::min<size_t>(8, bytes.size() - at)));
    }
    if (bytes.size() > 32) take(bytes.last(8));
    return digest;
}

}  // namespace weft::sim
