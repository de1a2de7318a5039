#include "base/crc32c.h"

#include <isa-l/crc.h>

#include <algorithm>

namespace weft {

uint32_t crc32c_update(uint32_t state, Bytes bytes) {
    // isa-l takes the length as an int and the buffer without const, though it only reads.
    constexpr size_t piece_max = size_t{1} << 30;
    while (!bytes.empty()) {
        const Bytes piece = bytes.first(std::min(bytes.size(), piece_max));
        auto* start = const_cast<unsigned char*>(reinterpret_cast<const unsigned char*>(piece.data()));
        state = crc32_iscsi(start, static_cast<int>(piece.size()), state);
        bytes = bytes.subspan(piece.size());
    }
    return state;
}

uint32_t crc32_ieee(Bytes bytes) {
    return crc32_gzip_refl(0, reinterpret_cast<const unsigned char*>(bytes.data()), bytes.size());
}

}  // namespace weft
