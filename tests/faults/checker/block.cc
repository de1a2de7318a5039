#include "block.h"

#include <cstddef>

#include "base/crc32c.h"
#include "base/endian.h"

namespace weft::checker {

namespace {

constexpr uint64_t magic = 0x6B636F6C42746657;

struct Header {
    le64 magic;
    le64 run;
    le64 lba;
    le64 sequence;
    le32 round;
    le32 index;
    le32 count;
    le32 crc;  // of the block with this as zero
};
static_assert(sizeof(Header) == 48);

uint32_t crc_of(Bytes block) {
    const le32 zero{};
    uint32_t state = crc32c_update(crc32c_seed, block.first(offsetof(Header, crc)));
    state = crc32c_update(state, bytes_of(zero));
    return crc32c_finish(crc32c_update(state, block.subspan(sizeof(Header))));
}

}  // namespace

void write_block(MutableBytes block, const Stamp& stamp) {
    WEFT_ASSERT(block.size() >= block_bytes_min && block.size() % 8 == 0);
    Header header{};
    header.magic = magic;
    header.run = stamp.run;
    header.lba = stamp.lba;
    header.sequence = stamp.sequence;
    header.round = stamp.round;
    header.index = stamp.index;
    header.count = stamp.count;
    store(block, header);
    uint64_t fill = (stamp.sequence << 20) ^ stamp.lba ^ stamp.run;
    for (size_t at = sizeof(Header); at < block.size(); at += 8) {
        fill = fill * 6364136223846793005 + 1442695040888963407;
        store(block.subspan(at), fill);
    }
    header.crc = crc_of(block);
    store(block, header);
}

Content read_block(Bytes block, Stamp& stamp) {
    const auto header = load<Header>(block);
    if (header.magic != magic) return is_zero(block) ? Content::zeroes : Content::garbage;
    if (header.crc != crc_of(block)) return Content::garbage;
    stamp = {.run = header.run,
             .lba = header.lba,
             .sequence = header.sequence,
             .round = header.round,
             .index = header.index,
             .count = header.count};
    return Content::whole;
}

}  // namespace weft::checker
