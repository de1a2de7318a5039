// Any bytes as a disk of 512-byte blocks. With the first byte odd its checksums are put right first, so that what is
// behind them is reached. What is taken out of a table lies within the disk, and no two partitions of it overlap.
#include <algorithm>
#include <cstring>
#include <vector>

#include "base/assert.h"
#include "base/crc32c.h"
#include "bdev_modules/gpt/gpt_table.h"
#include "bdev_modules/gpt/gpt_wire.h"

using namespace weft;
using namespace weft::bdev;

namespace {

constexpr uint32_t block_bytes = 512;

// As far as the lengths that the header says can be followed.
void put_sums_right(std::vector<std::byte>& bytes, uint64_t lba) {
    GptHeaderWire header;
    std::byte* const at = bytes.data() + lba * block_bytes;
    std::memcpy(&header, at, sizeof(header));
    const uint64_t list_bytes = uint64_t{header.entry_count} * header.entry_bytes;
    const uint64_t lba_max = bytes.size() / block_bytes;
    if (header.entries_lba < lba_max && list_bytes <= bytes.size() - header.entries_lba * block_bytes) {
        header.entries_crc = crc32_ieee(Bytes(bytes).subspan(header.entries_lba * block_bytes, list_bytes));
    }
    header.header_crc = 0;
    std::memcpy(at, &header, sizeof(header));
    if (header.header_bytes > block_bytes) return;
    header.header_crc = crc32_ieee(Bytes(at, header.header_bytes));
    std::memcpy(at, &header, sizeof(header));
}

void look_at(const std::vector<std::byte>& bytes, uint64_t lba) {
    const GptDisk disk{.block_bytes = block_bytes, .block_count = bytes.size() / block_bytes};
    const auto header = parse_gpt_header(Bytes(bytes).subspan(lba * block_bytes, block_bytes), lba, disk);
    WEFT_ASSERT(header || !header.error().message.empty());
    if (!header) return;
    WEFT_ASSERT(header->entries_bytes() <= gpt_entries_max * gpt_entry_bytes_max);
    WEFT_ASSERT(header->entries_lba * block_bytes + header->entries_bytes() <= bytes.size());
    auto partitions =
        parse_gpt_entries(Bytes(bytes).subspan(header->entries_lba * block_bytes, header->entries_bytes()), *header);
    WEFT_ASSERT(partitions || !partitions.error().message.empty());
    if (!partitions) return;
    std::ranges::sort(*partitions, {}, &GptPartition::first);
    uint64_t free_from = 2;
    for (const GptPartition& partition : *partitions) {
        WEFT_ASSERT(partition.first >= free_from && partition.last >= partition.first);
        WEFT_ASSERT(partition.last < disk.block_count - 1 || lba == 1);
        WEFT_ASSERT(partition.last < disk.block_count);
        WEFT_ASSERT(partition.name.size() <= 36 * 3);
        free_from = partition.last + 1;
    }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    if (size < 1 + gpt_blocks_min * block_bytes || size > 256 * 1024) return 0;
    std::vector<std::byte> bytes((size - 1) / block_bytes * block_bytes);
    std::memcpy(bytes.data(), data + 1, bytes.size());
    const uint64_t last = bytes.size() / block_bytes - 1;
    if ((data[0] & 1) != 0) {
        put_sums_right(bytes, 1);
        put_sums_right(bytes, last);
    }
    static_cast<void>(has_protective_mbr(Bytes(bytes).first(block_bytes), {block_bytes, last + 1}));
    look_at(bytes, 1);
    look_at(bytes, last);
    return 0;
}
