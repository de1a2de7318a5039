// Parity: the exclusive or of strips. Plain loops, which the compiler makes vectors of.
#pragma once

#include <cstring>

#include "base/assert.h"
#include "base/bytes.h"

namespace weft::bdev {

// `to` becomes `to` ^ `from`; both are equally long.
inline void xor_into(MutableBytes to, Bytes from) {
    WEFT_ASSERT(to.size() == from.size());
    std::byte* __restrict out = to.data();
    const std::byte* __restrict in = from.data();
    const size_t count = to.size();
    for (size_t at = 0; at < count; ++at) out[at] ^= in[at];
}

}  // namespace weft::bdev
