// Blocks that know what they are: for finding data that was lost, misplaced or damaged on its way.
//
// A stamped block says which block it is, which write it comes from, and the CRC-32C of all of it; the rest is
// pseudo-random, made from these.
#pragma once

#include <cstdint>

#include "base/bytes.h"
#include "base/endian.h"

namespace weft::cli {

struct Stamp {
    uint64_t lba = 0;
    uint64_t generation = 0;  // of the write
    uint64_t run = 0;         // of the program: tells its blocks from those of earlier runs
};

inline constexpr size_t stamped_block_bytes_min = 512;

// Fills `block` (at least stamped_block_bytes_min bytes, a multiple of 8).
void write_stamp(MutableBytes block, const Stamp& stamp);

enum class StampFault : uint8_t {
    none,
    no_stamp,      // never stamped, or damaged in its first bytes
    damaged,       // the CRC does not match
    misplaced,     // a whole block, but another one
    other_run,     // from an earlier run
    other_write,   // the right block from another write than the one asked for
};
const char* name_of(StampFault fault);

// What is wrong with `block` if it should be `expected`. The first fault in the order above that applies.
StampFault check_stamp(Bytes block, const Stamp& expected);
// The same for whoever does not know which write to expect: `stamp` is what the block says.
StampFault read_stamp(Bytes block, uint64_t lba, Stamp& stamp);

}  // namespace weft::cli
