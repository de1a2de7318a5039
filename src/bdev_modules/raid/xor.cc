// In a file of its own: a plain function, the loop of which the compiler makes vectors of. Inlined into a coroutine
// the same loop went byte by byte, since what `__restrict` says is lost there.
#include "bdev_modules/raid/xor.h"

#include "base/assert.h"

namespace weft::bdev {

void xor_into(MutableBytes to, Bytes from) {
    WEFT_ASSERT(to.size() == from.size());
    std::byte* __restrict out = to.data();
    const std::byte* __restrict in = from.data();
    const size_t count = to.size();
    for (size_t at = 0; at < count; ++at) out[at] ^= in[at];
}

}  // namespace weft::bdev
