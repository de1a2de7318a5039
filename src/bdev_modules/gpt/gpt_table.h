// Reads a GUID partition table (UEFI 2.10, chapter 5). Pure: blocks in, partitions or a reason out. Nothing in a table
// is believed before it was compared with the disk and with the rest of the table.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/bytes.h"
#include "base/result.h"
#include "base/uuid.h"

namespace weft::bdev {

// The disk that the table is on.
struct GptDisk {
    uint32_t block_bytes = 512;
    uint64_t block_count = 0;
};

struct GptHeader {
    uint64_t own_lba = 0;
    uint64_t first_usable = 0;
    uint64_t last_usable = 0;
    uint64_t entries_lba = 0;
    uint32_t entry_count = 0;
    uint32_t entry_bytes = 0;
    uint32_t entries_crc = 0;
    Uuid disk;

    [[nodiscard]] uint64_t entries_bytes() const { return uint64_t{entry_count} * entry_bytes; }
};
inline constexpr uint32_t gpt_entries_max = 1024;
inline constexpr uint32_t gpt_entry_bytes_max = 1024;
// A disk with fewer blocks has no room for two headers, two lists, the protective MBR and a partition.
inline constexpr uint64_t gpt_blocks_min = 6;

struct GptPartition {
    uint32_t number = 0;  // from 1: the place in the list
    Uuid type;
    Uuid unique;
    uint64_t first = 0;
    uint64_t last = 0;
    std::string name;  // UTF-8
};

// The first block holds a protective MBR (5.2.3): a table may follow. A disk that has grown since keeps it.
bool has_protective_mbr(Bytes block, const GptDisk& disk);
// `block` is the one at `lba`: 1, or the last of the disk. Errors: protocol_error, saying what is wrong with it.
Result<GptHeader> parse_gpt_header(Bytes block, uint64_t lba, const GptDisk& disk);
// Those that are in use. `entries` has header.entries_bytes() bytes. Errors: protocol_error.
Result<std::vector<GptPartition>> parse_gpt_entries(Bytes entries, const GptHeader& header);

}  // namespace weft::bdev
