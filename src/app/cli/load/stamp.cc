#include "app/cli/load/stamp.h"

#include <cstddef>

#include "base/assert.h"
#include "base/crc32c.h"

namespace weft::cli {

namespace {

struct Header {
    le64 magic;
    le64 lba;
    le64 generation;
    le64 run;
    le32 crc;  // of the block with this field 0
    le32 size;
};
static_assert(sizeof(Header) == 40);

constexpr uint64_t magic = 0x31'50'4D'41'54'53'46'57;  // "WFSTAMP1"

// splitmix64 (Sebastiano Vigna, public domain): good enough to be no other block's contents.
uint64_t next_random(uint64_t& state) {
    state += 0x9E3779B97F4A7C15;
    uint64_t mixed = state;
    mixed = (mixed ^ (mixed >> 30)) * 0xBF58476D1CE4E5B9;
    mixed = (mixed ^ (mixed >> 27)) * 0x94D049BB133111EB;
    return mixed ^ (mixed >> 31);
}

uint32_t crc_of(Bytes block, Header header) {
    header.crc = 0;
    const uint32_t state = crc32c_update(crc32c_seed, bytes_of(header));
    return crc32c_finish(crc32c_update(state, block.subspan(sizeof(Header))));
}

}  // namespace

void write_stamp(MutableBytes block, const Stamp& stamp) {
    WEFT_ASSERT(block.size() >= stamped_block_bytes_min && block.size() % 8 == 0);
    uint64_t state = stamp.lba * 0x2545F4914F6CDD1D ^ stamp.generation << 20 ^ stamp.run;
    for (size_t at = sizeof(Header); at < block.size(); at += 8) store(block.subspan(at), next_random(state));
    Header header{.magic = magic,
                  .lba = stamp.lba,
                  .generation = stamp.generation,
                  .run = stamp.run,
                  .crc = 0,
                  .size = static_cast<uint32_t>(block.size())};
    header.crc = crc_of(block, header);
    store(block, header);
}

const char* name_of(StampFault fault) {
    switch (fault) {
        case StampFault::none: return "right";
        case StampFault::no_stamp: return "not a stamped block";
        case StampFault::damaged: return "damaged: its CRC does not match";
        case StampFault::misplaced: return "another block's data";
        case StampFault::other_run: return "data of an earlier run";
        case StampFault::other_write: return "data of another write: stale, or a write was lost";
    }
    return "";
}

StampFault read_stamp(Bytes block, uint64_t lba, Stamp& stamp) {
    WEFT_ASSERT(block.size() >= stamped_block_bytes_min);
    const auto header = load<Header>(block);
    if (header.magic != magic || header.size != block.size()) return StampFault::no_stamp;
    stamp = {.lba = header.lba, .generation = header.generation, .run = header.run};
    if (crc_of(block, header) != header.crc) return StampFault::damaged;
    return header.lba != lba ? StampFault::misplaced : StampFault::none;
}

StampFault check_stamp(Bytes block, const Stamp& expected) {
    Stamp found;
    const StampFault fault = read_stamp(block, expected.lba, found);
    if (fault != StampFault::none) return fault;
    if (found.run != expected.run) return StampFault::other_run;
    return found.generation != expected.generation ? StampFault::other_write : StampFault::none;
}

}  // namespace weft::cli
