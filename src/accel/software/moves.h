// Copies, fills, comparisons, checksums and parities of scattered memory. Pure; the lengths fit each other.
#pragma once

#include <sys/uio.h>

#include <cstdint>
#include <span>

#include "accel/operation.h"

namespace weft::accel {

void copy_pieces(std::span<const iovec> to, std::span<const iovec> from);
void fill_pieces(std::span<const iovec> pieces, uint8_t value);
bool are_equal(std::span<const iovec> one, std::span<const iovec> other);
// Of base/crc32c.h: state in, state out.
uint32_t crc32c_of(uint32_t state, std::span<const iovec> pieces);
// In one pass: each piece is summed while it is in the cache.
uint32_t copy_with_crc32c(uint32_t state, std::span<const iovec> to, std::span<const iovec> from);
// At most xor_sources_max of them, each as long as `to`, which may be one of them.
Status xor_pieces(const iovec& to, std::span<const std::byte* const> sources);

}  // namespace weft::accel
