// Where a request is cut so that a module can have it. Pure.
#pragma once

#include <sys/uio.h>

#include <cstdint>
#include <span>

#include "bdev/request.h"

namespace weft::bdev {

struct Geometry;

// How many blocks the next part of an op may have that starts at `lba` and of which `rest` blocks are left (at least
// one), as far as ranges go.
uint64_t part_blocks(const Geometry& geometry, Op op, uint64_t lba, uint64_t rest);
// The request must be cut, for its range or for its pieces of data. Not of ops that are whole or nothing.
bool breaks_limits(const Geometry& geometry, const Request& request);
// Of data of `op`, how many pieces a module takes: at most `most`.
size_t pieces_max(const Geometry& geometry, size_t most);

struct Slice {
    size_t count = 0;    // pieces in `into`
    uint64_t bytes = 0;  // in them
};
// The `bytes` of `data` that begin after `skip`, in pieces of at most `piece_bytes_max` (0: any): as many of them as go
// into `into`.
Slice slice(std::span<const iovec> data, uint64_t skip, uint64_t bytes, uint64_t piece_bytes_max,
            std::span<iovec> into);

}  // namespace weft::bdev
