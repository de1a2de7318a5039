#include "bdev_modules/gpt/gpt_table.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <bit>
#include <cstring>

#include "base/crc32c.h"
#include "base/endian.h"
#include "bdev_modules/gpt/gpt_wire.h"

namespace weft::bdev {

namespace {

template <class... Arguments>
std::unexpected<Error> refuse(fmt::format_string<Arguments...> text, Arguments&&... arguments) {
    return fail(Errc::protocol_error, fmt::format(text, std::forward<Arguments>(arguments)...));
}

template <class T>
T load(Bytes bytes) {
    T value;
    std::memcpy(&value, bytes.data(), sizeof(T));
    return value;
}

// The first three fields of a GUID are little-endian, the rest is in the order of the text (UEFI 2.10, appendix A).
Uuid uuid_of(const std::array<uint8_t, 16>& guid) {
    std::array<uint8_t, 16> octets = guid;
    std::reverse(octets.begin(), octets.begin() + 4);
    std::reverse(octets.begin() + 4, octets.begin() + 6);
    std::reverse(octets.begin() + 6, octets.begin() + 8);
    return Uuid(octets);
}

void append_utf8(std::string& text, uint32_t point) {
    const auto tail = [point](int shift) { return static_cast<char>(0x80 | ((point >> shift) & 0x3F)); };
    if (point < 0x80) {
        text += static_cast<char>(point);
    } else if (point < 0x800) {
        text += static_cast<char>(0xC0 | (point >> 6));
        text += tail(0);
    } else if (point < 0x10000) {
        text += static_cast<char>(0xE0 | (point >> 12));
        text += tail(6);
        text += tail(0);
    } else {
        text += static_cast<char>(0xF0 | (point >> 18));
        text += tail(12);
        text += tail(6);
        text += tail(0);
    }
}

// UTF-16, up to a zero; what is no character becomes the sign for that.
std::string text_of(const std::array<le16, 36>& units) {
    constexpr uint32_t replacement = 0xFFFD;
    std::string text;
    for (size_t at = 0; at < units.size() && units[at] != 0; ++at) {
        const uint32_t unit = units[at];
        const bool is_pair = unit >= 0xD800 && unit < 0xDC00 && at + 1 < units.size() && units[at + 1] >= 0xDC00 &&
                             units[at + 1] < 0xE000;
        if (is_pair) {
            append_utf8(text, 0x10000 + ((unit - 0xD800) << 10) + (units[at + 1] - 0xDC00U));
            ++at;
        } else {
            append_utf8(text, unit >= 0xD800 && unit < 0xE000 ? replacement : unit);
        }
    }
    return text;
}

// Where the list is: behind the primary header and before what can be used, or behind that and before the backup.
bool has_room_for_entries(const GptHeader& header, const GptDisk& disk) {
    const uint64_t blocks = (header.entries_bytes() + disk.block_bytes - 1) / disk.block_bytes;
    const bool is_primary = header.own_lba == 1;
    const uint64_t first = is_primary ? 2 : header.last_usable + 1;
    const uint64_t end = is_primary ? header.first_usable : header.own_lba;
    return header.entries_lba >= first && header.entries_lba <= end && blocks <= end - header.entries_lba;
}

}  // namespace

bool has_protective_mbr(Bytes block, const GptDisk& disk) {
    if (block.size() < sizeof(MbrWire) || disk.block_count < gpt_blocks_min) return false;
    const auto mbr = load<MbrWire>(block);
    if (mbr.signature != mbr_signature) return false;
    const auto covers = [&disk](const MbrWire::Record& record) {
        const bool fits = record.block_count == UINT32_MAX || record.block_count <= disk.block_count - 1;
        return record.os_type == mbr_protective && record.first_lba == 1 && record.block_count > 0 && fits;
    };
    return std::ranges::any_of(mbr.records, covers);
}

Result<GptHeader> parse_gpt_header(Bytes block, uint64_t lba, const GptDisk& disk) {
    if (block.size() != disk.block_bytes || block.size() < sizeof(GptHeaderWire)) return refuse("a block is missing");
    auto wire = load<GptHeaderWire>(block);
    if (wire.signature != gpt_signature) return refuse("there is no header");
    if (wire.revision != gpt_revision) return refuse("revision {:#x}", wire.revision.value());
    if (wire.header_bytes < sizeof(GptHeaderWire) || wire.header_bytes > disk.block_bytes) {
        return refuse("a header of {} bytes", wire.header_bytes.value());
    }
    std::vector<std::byte> checked(block.begin(), block.begin() + wire.header_bytes);
    std::fill_n(checked.begin() + offsetof(GptHeaderWire, header_crc), sizeof(wire.header_crc), std::byte{0});
    if (crc32_ieee(checked) != wire.header_crc) return refuse("the header's checksum is wrong");
    const uint64_t last_lba = disk.block_count - 1;
    if (wire.own_lba != lba) return refuse("the header says that it is at block {}", wire.own_lba.value());
    // A disk that has grown has its backup elsewhere than at the end.
    if (wire.other_lba == wire.own_lba || wire.other_lba == 0 || wire.other_lba > last_lba) {
        return refuse("the other header cannot be at block {}", wire.other_lba.value());
    }
    if (wire.entry_bytes < sizeof(GptEntryWire) || wire.entry_bytes > gpt_entry_bytes_max ||
        !std::has_single_bit(wire.entry_bytes.value())) {
        return refuse("entries of {} bytes", wire.entry_bytes.value());
    }
    if (wire.entry_count == 0 || wire.entry_count > gpt_entries_max) {
        return refuse("{} entries: from 1 to {}", wire.entry_count.value(), gpt_entries_max);
    }
    const GptHeader header{.own_lba = wire.own_lba,
                           .first_usable = wire.first_usable,
                           .last_usable = wire.last_usable,
                           .entries_lba = wire.entries_lba,
                           .entry_count = wire.entry_count,
                           .entry_bytes = wire.entry_bytes,
                           .entries_crc = wire.entries_crc,
                           .disk = uuid_of(wire.disk)};
    const uint64_t usable_end = lba == 1 ? last_lba : lba - 1;
    if (header.first_usable < 2 || header.first_usable > header.last_usable || header.last_usable > usable_end) {
        return refuse("blocks {} to {} cannot be what is usable of {}", header.first_usable, header.last_usable,
                      disk.block_count);
    }
    if (!has_room_for_entries(header, disk)) {
        return refuse("{} entries of {} bytes do not fit at block {}", header.entry_count, header.entry_bytes,
                      header.entries_lba);
    }
    return header;
}

Result<std::vector<GptPartition>> parse_gpt_entries(Bytes entries, const GptHeader& header) {
    if (entries.size() != header.entries_bytes()) return refuse("entries are missing");
    if (crc32_ieee(entries) != header.entries_crc) return refuse("the checksum of the entries is wrong");
    std::vector<GptPartition> partitions;
    for (uint32_t index = 0; index < header.entry_count; ++index) {
        const auto wire = load<GptEntryWire>(entries.subspan(size_t{index} * header.entry_bytes));
        const Uuid type = uuid_of(wire.type);
        if (type.is_nil()) continue;  // not in use
        const uint32_t number = index + 1;
        if (wire.first < header.first_usable || wire.last > header.last_usable || wire.first > wire.last) {
            return refuse("partition {} is said to be at blocks {} to {}, of {} to {}", number, wire.first.value(),
                          wire.last.value(), header.first_usable, header.last_usable);
        }
        partitions.push_back({.number = number,
                              .type = type,
                              .unique = uuid_of(wire.unique),
                              .first = wire.first,
                              .last = wire.last,
                              .name = text_of(wire.name)});
    }
    std::vector<const GptPartition*> sorted;
    sorted.reserve(partitions.size());
    for (const GptPartition& partition : partitions) sorted.push_back(&partition);
    std::ranges::sort(sorted, {}, &GptPartition::first);
    for (size_t at = 1; at < sorted.size(); ++at) {
        if (sorted[at]->first > sorted[at - 1]->last) continue;
        return refuse("partitions {} and {} overlap", sorted[at - 1]->number, sorted[at]->number);
    }
    std::ranges::sort(sorted, {}, &GptPartition::unique);
    for (size_t at = 1; at < sorted.size(); ++at) {
        if (sorted[at]->unique != sorted[at - 1]->unique) continue;
        return refuse("partitions {} and {} have the same GUID", sorted[at - 1]->number, sorted[at]->number);
    }
    return partitions;
}

}  // namespace weft::bdev
