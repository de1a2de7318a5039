// What the checker writes: each logical block says which it is and which write it comes from, and proves to be whole.
//
// Header: magic, run, LBA, sequence, round, index and count within its write, CRC-32C of the whole block. The rest is
// pseudo-random, made from these.
#pragma once

#include <cstdint>

#include "base/bytes.h"

namespace weft::checker {

struct Stamp {
    uint64_t run = 0;       // of the journal: tells its blocks from others'
    uint64_t lba = 0;
    uint64_t sequence = 0;  // of the write, from 1 on
    uint32_t round = 0;     // how many checks came before it
    uint32_t index = 0;     // of the block in its write
    uint32_t count = 0;     // blocks of the write

    friend bool operator==(const Stamp&, const Stamp&) = default;
};

inline constexpr size_t block_bytes_min = 512;

// `block`: at least block_bytes_min bytes, a multiple of 8.
void write_block(MutableBytes block, const Stamp& stamp);

enum class Content : uint8_t {
    zeroes,
    whole,    // a block of write_block(), of any run and LBA
    garbage,  // torn, damaged, or never ours
};

// What `block` is; `stamp` is filled in when it is whole.
Content read_block(Bytes block, Stamp& stamp);

}  // namespace weft::checker
