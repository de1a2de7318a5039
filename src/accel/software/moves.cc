#include "accel/software/moves.h"

#include <isa-l/raid.h>

#include <algorithm>
#include <array>
#include <cstring>

#include "base/crc32c.h"
#include "base/data_cursor.h"

namespace weft::accel {

namespace {

Bytes bytes_at(const iovec& piece) { return {static_cast<const std::byte*>(piece.iov_base), piece.iov_len}; }

// Calls visit(to, from) for each stretch that lies together on both sides, at most `bytes_max` long, until one says
// false.
template <class Visit>
bool side_by_side(std::span<const iovec> to, std::span<const iovec> from, size_t bytes_max, Visit visit) {
    uint64_t left = bytes_in(from);
    DataCursor target(to);
    DataCursor source(from);
    while (left > 0) {
        MutableBytes there = target.next(std::min<uint64_t>(left, bytes_max));
        left -= there.size();
        while (!there.empty()) {
            const MutableBytes here = source.next(there.size());
            if (!visit(there.first(here.size()), Bytes(here))) return false;
            there = there.subspan(here.size());
        }
    }
    return true;
}

constexpr size_t unlimited = SIZE_MAX;

}  // namespace

void copy_pieces(std::span<const iovec> to, std::span<const iovec> from) {
    side_by_side(to, from, unlimited, [](MutableBytes there, Bytes here) {
        std::memmove(there.data(), here.data(), here.size());
        return true;
    });
}

void fill_pieces(std::span<const iovec> pieces, uint8_t value) {
    for (const iovec& piece : pieces) {
        if (piece.iov_len > 0) std::memset(piece.iov_base, value, piece.iov_len);
    }
}

bool are_equal(std::span<const iovec> one, std::span<const iovec> other) {
    return side_by_side(one, other, unlimited, [](MutableBytes there, Bytes here) {
        return std::memcmp(there.data(), here.data(), here.size()) == 0;
    });
}

uint32_t crc32c_of(uint32_t state, std::span<const iovec> pieces) {
    for (const iovec& piece : pieces) state = crc32c_update(state, bytes_at(piece));
    return state;
}

uint32_t copy_with_crc32c(uint32_t state, std::span<const iovec> to, std::span<const iovec> from) {
    constexpr size_t in_cache = 16384;
    side_by_side(to, from, in_cache, [&state](MutableBytes there, Bytes here) {
        std::memmove(there.data(), here.data(), here.size());
        state = crc32c_update(state, there);
        return true;
    });
    return state;
}

Status xor_pieces(const iovec& to, std::span<const std::byte* const> sources) {
    auto* const target = static_cast<std::byte*>(to.iov_base);
    const size_t bytes = to.iov_len;
    if (bytes == 0) return Status::success;
    // isa-l wants two sources at least, all at multiples of 32, and a length that is an int.
    constexpr size_t alignment = 32;
    const auto is_aligned = [](const std::byte* at) { return reinterpret_cast<uintptr_t>(at) % alignment == 0; };
    const size_t whole = bytes / alignment * alignment;
    size_t done = 0;
    if (sources.size() >= 2 && is_aligned(target) && std::ranges::all_of(sources, is_aligned)) {
        constexpr size_t piece_max = size_t{1} << 30;
        std::array<void*, xor_sources_max + 1> all{};
        while (done < whole) {
            const size_t piece = std::min(whole - done, piece_max);
            std::ranges::transform(sources, all.begin(), [done](const std::byte* source) {
                return const_cast<std::byte*>(source) + done;  // it only reads them
            });
            all[sources.size()] = target + done;
            if (xor_gen(static_cast<int>(sources.size()) + 1, static_cast<int>(piece), all.data()) != 0) {
                return Status::failed;
            }
            done += piece;
        }
    }
    // What is left of it, word by word, all sources of a word before it is written: the target may be one of them.
    while (done < bytes) {
        const size_t piece = std::min<size_t>(bytes - done, sizeof(uint64_t));
        uint64_t sum = 0;
        for (const std::byte* source : sources) {
            uint64_t word = 0;
            std::memcpy(&word, source + done, piece);
            sum ^= word;
        }
        std::memcpy(target + done, &sum, piece);
        done += piece;
    }
    return Status::success;
}

}  // namespace weft::accel
