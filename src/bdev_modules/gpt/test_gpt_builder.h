// Makes partition tables for tests and fuzzing: right ones, whose fields are then made wrong.
#pragma once

#include <cstring>
#include <random>
#include <string_view>
#include <vector>

#include "base/crc32c.h"
#include "bdev_modules/gpt/gpt_table.h"
#include "bdev_modules/gpt/gpt_wire.h"

namespace weft::bdev {

inline std::array<uint8_t, 16> guid_of(std::string_view text) {
    std::array<uint8_t, 16> guid = Uuid::parse(text)->octets();
    std::reverse(guid.begin(), guid.begin() + 4);
    std::reverse(guid.begin() + 4, guid.begin() + 6);
    std::reverse(guid.begin() + 6, guid.begin() + 8);
    return guid;
}

// A disk with both copies of a table. Change what is to be wrong, then write(): it makes the checksums.
class GptBuilder {
public:
    static constexpr uint32_t entries = 128;
    GptBuilder(uint32_t block_bytes, uint64_t block_count) : block_bytes_(block_bytes), block_count_(block_count) {
        const uint64_t list_blocks = (uint64_t{entries} * sizeof(GptEntryWire) + block_bytes - 1) / block_bytes;
        mbr.signature = mbr_signature;
        mbr.records[0].os_type = mbr_protective;
        mbr.records[0].first_lba = 1;
        mbr.records[0].block_count = static_cast<uint32_t>(block_count - 1);
        primary.signature = gpt_signature;
        primary.revision = gpt_revision;
        primary.header_bytes = sizeof(GptHeaderWire);
        primary.own_lba = 1;
        primary.other_lba = block_count - 1;
        primary.first_usable = 2 + list_blocks;
        primary.last_usable = block_count - 2 - list_blocks;
        primary.disk = guid_of("11111111-2222-3333-4444-555555555555");
        primary.entries_lba = 2;
        primary.entry_count = entries;
        primary.entry_bytes = sizeof(GptEntryWire);
        backup = primary;
        backup.own_lba = block_count - 1;
        backup.other_lba = 1;
        backup.entries_lba = block_count - 1 - list_blocks;
    }

    GptEntryWire& add(std::string_view type, std::string_view unique, uint64_t first, uint64_t last,
                      std::u16string_view name = u"") {
        GptEntryWire& entry = list[used_++];
        entry.type = guid_of(type);
        entry.unique = guid_of(unique);
        entry.first = first;
        entry.last = last;
        for (size_t at = 0; at < name.size(); ++at) entry.name[at] = name[at];
        return entry;
    }

    // The whole disk, of zeroes but for the table.
    [[nodiscard]] std::vector<std::byte> write(bool with_right_sums = true) {
        std::vector<std::byte> disk(block_bytes_ * block_count_);
        std::memcpy(disk.data(), &mbr, sizeof(mbr));
        for (GptHeaderWire* header : {&primary, &backup}) {
            if (with_right_sums) {
                header->entries_crc = crc32_ieee(std::as_bytes(std::span(list)));
                header->header_crc = 0;
                header->header_crc = crc32_ieee(std::as_bytes(std::span(header, 1)));
            }
            const uint64_t list_at = header->entries_lba * block_bytes_;
            if (list_at <= disk.size() && sizeof(list) <= disk.size() - list_at) {
                std::memcpy(disk.data() + list_at, list.data(), sizeof(list));
            }
            const uint64_t at = (header == &primary ? 1 : block_count_ - 1) * block_bytes_;
            std::memcpy(disk.data() + at, header, sizeof(*header));
        }
        return disk;
    }

    MbrWire mbr;
    GptHeaderWire primary;
    GptHeaderWire backup;
    std::array<GptEntryWire, entries> list;

private:
    uint32_t block_bytes_;
    uint64_t block_count_;
    size_t used_ = 0;
};

}  // namespace weft::bdev
