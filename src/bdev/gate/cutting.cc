#include "bdev/gate/cutting.h"

#include <algorithm>

#include "bdev/device.h"

namespace weft::bdev {

namespace {

bool is_transfer(Op op) { return op == Op::read || op == Op::write || op == Op::compare || op == Op::verify; }

uint64_t at_most(uint64_t blocks, uint64_t limit) { return limit == 0 ? blocks : std::min(blocks, limit); }

uint64_t up_to_multiple(uint64_t lba, uint64_t blocks, uint32_t unit) { return std::min(blocks, unit - lba % unit); }

}  // namespace

uint64_t part_blocks(const Geometry& geometry, Op op, uint64_t lba, uint64_t rest) {
    switch (op) {
        case Op::unmap: return at_most(rest, geometry.max_unmap_blocks);
        case Op::write_zeroes: return at_most(rest, geometry.max_write_zeroes_blocks);
        case Op::copy: return at_most(rest, geometry.max_copy_blocks);
        default: break;
    }
    if (!is_transfer(op)) return rest;
    const uint32_t unit = geometry.write_unit_blocks;
    if (op == Op::write && geometry.splits_on_write_unit) return std::min<uint64_t>(rest, unit);
    uint64_t blocks = at_most(rest, geometry.max_rw_blocks);
    if (geometry.boundary_blocks != 0) blocks = up_to_multiple(lba, blocks, geometry.boundary_blocks);
    if (op == Op::write && blocks < rest) blocks = std::max<uint64_t>(blocks - blocks % unit, unit);
    return blocks;
}

bool breaks_limits(const Geometry& geometry, const Request& request) {
    if (request.op == Op::flush || request.op == Op::zone_management || request.blocks == 0) return false;
    if (part_blocks(geometry, request.op, request.lba, request.blocks) < request.blocks) return true;
    if (!is_transfer(request.op)) return false;
    if (geometry.max_segments != 0 && request.data.size() > geometry.max_segments) return true;
    if (geometry.max_segment_bytes == 0) return false;
    return std::ranges::any_of(request.data,
                               [&geometry](const iovec& piece) { return piece.iov_len > geometry.max_segment_bytes; });
}

size_t pieces_max(const Geometry& geometry, size_t most) {
    return geometry.max_segments == 0 ? most : std::min<size_t>(most, geometry.max_segments);
}

Slice slice(std::span<const iovec> data, uint64_t skip, uint64_t bytes, uint64_t piece_bytes_max,
            std::span<iovec> into) {
    Slice made;
    for (const iovec& whole : data) {
        if (skip >= whole.iov_len) {
            skip -= whole.iov_len;
            continue;
        }
        auto* at = static_cast<std::byte*>(whole.iov_base) + skip;
        uint64_t left = std::min(whole.iov_len - skip, bytes - made.bytes);
        skip = 0;
        while (left > 0) {
            if (made.count == into.size()) return made;
            const uint64_t piece = at_most(left, piece_bytes_max);
            into[made.count++] = {.iov_base = at, .iov_len = piece};
            made.bytes += piece;
            at += piece;
            left -= piece;
        }
        if (made.bytes == bytes) break;
    }
    return made;
}

}  // namespace weft::bdev
