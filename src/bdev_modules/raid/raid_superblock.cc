#include "bdev_modules/raid/raid_superblock.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <bit>
#include <cstring>
#include <utility>

#include "base/assert.h"
#include "base/crc32c.h"
#include "base/endian.h"
#include "bdev/device.h"

namespace weft::bdev {

namespace {

constexpr std::array<uint8_t, 8> signature = {'S', 'P', 'D', 'K', 'R', 'A', 'I', 'D'};

struct RawMember {
    std::array<uint8_t, 16> uuid{};
    le64 data_offset;
    le64 data_size;
    le32 state;
    le32 flags;
    uint8_t slot = 0;
    std::array<uint8_t, 23> reserved{};
};
static_assert(sizeof(RawMember) == 64 && alignof(RawMember) == 1);

struct RawHeader {
    std::array<uint8_t, 8> signature{};
    le16 major_version;
    le16 minor_version;
    le32 length;  // of all
    le32 crc;     // of all, with this as zero
    le32 flags;
    std::array<uint8_t, 16> uuid{};
    std::array<char, raid_name_bytes_max + 1> name{};
    le64 block_count;
    le32 block_bytes;
    le32 level;
    le32 strip_blocks;
    le32 state;
    le64 sequence;
    uint8_t slots = 0;
    std::array<uint8_t, 118> reserved{};
    uint8_t members = 0;
};
static_assert(sizeof(RawHeader) == 256 && alignof(RawHeader) == 1);
static_assert(superblock_bytes_max < data_offset_bytes_min);

std::unexpected<Error> wrong(std::string what) {
    return fail(Errc::invalid_argument, "raid superblock: " + std::move(what));
}

// Neither inverted at the start nor at the end.
uint32_t crc_of(Bytes bytes, const RawHeader& header) {
    RawHeader without = header;
    without.crc = 0;
    const uint32_t state = crc32c_update(0, std::as_bytes(std::span(&without, 1)));
    return crc32c_update(state, bytes.subspan(sizeof(RawHeader)));
}

Result<std::string> name_in(const RawHeader& header) {
    const auto end = std::ranges::find(header.name, '\0');
    if (end == header.name.end()) return wrong("the name has no end");
    std::string name(header.name.begin(), end);
    if (name.empty()) return wrong("the name is empty");
    const auto is_odd = [](char byte) { return static_cast<unsigned char>(byte) < 0x20 || byte == 0x7F; };
    if (std::ranges::any_of(name, is_odd)) return wrong("the name holds a control character");
    return name;
}

Result<RaidMember> member_of(const RawMember& raw, const RaidSuperblock& superblock) {
    const RaidMember member{.uuid = Uuid(raw.uuid),
                            .data_offset = raw.data_offset,
                            .data_size = raw.data_size,
                            .state = static_cast<MemberState>(raw.state.value()),
                            .flags = raw.flags,
                            .slot = raw.slot};
    const auto refuse = [&raw](std::string_view what) {
        return wrong(fmt::format("base bdev {}: {}", raw.slot, what));
    };
    if (member.slot >= superblock.slots) return refuse("there is no such slot");
    if (superblock.member_in(member.slot) != nullptr) return refuse("the slot is there twice");
    if (raw.state > static_cast<uint32_t>(MemberState::spare)) return refuse("its state is unknown");
    if (member.state != MemberState::configured) return member;
    if (member.uuid.is_nil()) return refuse("it has no UUID");
    if (superblock.member_named(member.uuid) != nullptr) return refuse("another has its UUID");
    const uint64_t limit = device_bytes_max / superblock.block_bytes;
    if (member.data_offset < data_offset_bytes_min / superblock.block_bytes) {
        return refuse("its data begin within the first MiB");
    }
    if (member.data_offset > limit || member.data_size > limit - member.data_offset) {
        return refuse("its data are more than 2^63 bytes");
    }
    return member;
}

// The sizes of the bases must make up that of the raid.
Result<void> check_sizes(const RaidSuperblock& superblock) {
    std::vector<uint64_t> usable;
    for (size_t slot = 0; slot < superblock.slots; ++slot) {
        const RaidMember* member = superblock.member_in(slot);
        if (member != nullptr && member->state == MemberState::configured) usable.push_back(member->data_size);
    }
    if (usable.size() < operational_min(superblock.level, superblock.slots)) {
        return wrong(fmt::format("{} of {} base bdevs are configured: too few for {}", usable.size(), superblock.slots,
                                 name_of(superblock.level)));
    }
    if (has_redundancy(superblock.level)) usable.resize(superblock.slots, usable.front());
    const auto layout = RaidLayout::make(superblock.level, superblock.block_bytes, superblock.strip_blocks, usable);
    if (!layout) return wrong(layout.error().message);
    if (layout->block_count() != superblock.block_count) {
        return wrong(fmt::format("the size is {} blocks, but the base bdevs hold {}", superblock.block_count,
                                 layout->block_count()));
    }
    return {};
}

Result<void> check_shape(const RawHeader& header) {
    const uint32_t block_bytes = header.block_bytes;
    WEFT_TRY([&]() -> Result<void> {
        if (auto size = check_size(block_bytes, header.block_count); !size) return wrong(size.error().message);
        return {};
    }());
    const auto level = raid_level_of(header.level);
    if (!level) return wrong(fmt::format("level {} is unknown", header.level.value()));
    const uint32_t strip = header.strip_blocks;
    if (*level == RaidLevel::raid1) {
        if (strip != 0) return wrong("raid1 has no strips");
    } else if (!std::has_single_bit(strip) || uint64_t{strip} * block_bytes > uint64_t{1} << 31) {
        return wrong(fmt::format("a strip of {} blocks", strip));
    }
    if (header.slots < bases_min(*level)) {
        return wrong(fmt::format("{} base bdevs are too few for {}", header.slots, name_of(*level)));
    }
    if (header.members > header.slots) return wrong("more base bdevs are described than there are");
    if (Uuid(header.uuid).is_nil()) return wrong("the raid has no UUID");
    return {};
}

}  // namespace

const RaidMember* RaidSuperblock::member_in(size_t slot) const {
    const auto found = std::ranges::find_if(members, [slot](const RaidMember& each) { return each.slot == slot; });
    return found == members.end() ? nullptr : &*found;
}

RaidMember* RaidSuperblock::member_in(size_t slot) {
    return const_cast<RaidMember*>(std::as_const(*this).member_in(slot));
}

const RaidMember* RaidSuperblock::member_named(const Uuid& wanted) const {
    const auto found = std::ranges::find_if(members, [&wanted](const RaidMember& each) { return each.uuid == wanted; });
    return found == members.end() || wanted.is_nil() ? nullptr : &*found;
}

Result<std::optional<RaidSuperblock>> parse_superblock(Bytes bytes) {
    if (bytes.size() < sizeof(RawHeader)) return std::optional<RaidSuperblock>();
    RawHeader header;
    std::memcpy(&header, bytes.data(), sizeof(header));
    if (header.signature != signature) return std::optional<RaidSuperblock>();
    const size_t length = header.length;
    if (length != sizeof(RawHeader) + header.members * sizeof(RawMember) || length > bytes.size()) {
        return wrong(fmt::format("a length of {} bytes with {} base bdevs", length, header.members));
    }
    if (crc_of(bytes.first(length), header) != header.crc) return wrong("the checksum is wrong");
    if (header.major_version != 1) {
        return wrong(fmt::format("version {} is not supported", header.major_version.value()));
    }
    WEFT_TRY(check_shape(header));
    auto name = name_in(header);
    if (!name) return std::unexpected(std::move(name).error());
    RaidSuperblock superblock{.minor_version = header.minor_version,
                              .flags = header.flags,
                              .uuid = Uuid(header.uuid),
                              .name = std::move(*name),
                              .block_count = header.block_count,
                              .block_bytes = header.block_bytes,
                              .level = *raid_level_of(header.level),
                              .strip_blocks = header.strip_blocks,
                              .state = header.state,
                              .sequence = header.sequence,
                              .slots = header.slots,
                              .members = {}};
    for (size_t at = 0; at < header.members; ++at) {
        RawMember raw;
        std::memcpy(&raw, bytes.data() + sizeof(RawHeader) + at * sizeof(RawMember), sizeof(raw));
        auto member = member_of(raw, superblock);
        if (!member) return std::unexpected(std::move(member).error());
        superblock.members.push_back(*member);
    }
    WEFT_TRY(check_sizes(superblock));
    return superblock;
}

std::vector<std::byte> serialize(const RaidSuperblock& superblock) {
    WEFT_ASSERT(superblock.members.size() <= raid_bases_max && superblock.slots <= raid_bases_max);
    WEFT_ASSERT(superblock.name.size() <= raid_name_bytes_max);
    std::vector<std::byte> bytes(sizeof(RawHeader) + superblock.members.size() * sizeof(RawMember));
    RawHeader header;
    header.signature = signature;
    header.major_version = 1;
    header.minor_version = superblock.minor_version;
    header.length = static_cast<uint32_t>(bytes.size());
    header.flags = superblock.flags;
    header.uuid = superblock.uuid.octets();
    std::ranges::copy(superblock.name, header.name.begin());
    header.block_count = superblock.block_count;
    header.block_bytes = superblock.block_bytes;
    header.level = static_cast<uint32_t>(superblock.level);
    header.strip_blocks = superblock.strip_blocks;
    header.state = superblock.state;
    header.sequence = superblock.sequence;
    header.slots = static_cast<uint8_t>(superblock.slots);
    header.members = static_cast<uint8_t>(superblock.members.size());
    for (size_t at = 0; at < superblock.members.size(); ++at) {
        const RaidMember& member = superblock.members[at];
        RawMember raw;
        raw.uuid = member.uuid.octets();
        raw.data_offset = member.data_offset;
        raw.data_size = member.data_size;
        raw.state = static_cast<uint32_t>(member.state);
        raw.flags = member.flags;
        raw.slot = member.slot;
        std::memcpy(bytes.data() + sizeof(RawHeader) + at * sizeof(RawMember), &raw, sizeof(raw));
    }
    header.crc = crc_of(bytes, header);
    std::memcpy(bytes.data(), &header, sizeof(header));
    return bytes;
}

}  // namespace weft::bdev
