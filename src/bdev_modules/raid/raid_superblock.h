// What a raid writes at the start of each of its bases, in the field's format (version 1.0, little endian), so that
// disks move between targets. No I/O here: bytes in, bytes out.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/bytes.h"
#include "base/result.h"
#include "base/uuid.h"
#include "bdev_modules/raid/raid_layout.h"

namespace weft::bdev {

enum class MemberState : uint32_t { missing = 0, configured = 1, failed = 2, spare = 3 };

struct RaidMember {
    Uuid uuid;
    uint64_t data_offset = 0;  // blocks
    uint64_t data_size = 0;    // blocks
    MemberState state = MemberState::missing;
    uint32_t flags = 0;
    uint8_t slot = 0;
    friend bool operator==(const RaidMember&, const RaidMember&) = default;
};

struct RaidSuperblock {
    uint16_t minor_version = 0;
    uint32_t flags = 0;
    Uuid uuid;
    std::string name;
    uint64_t block_count = 0;
    uint32_t block_bytes = 0;
    RaidLevel level = RaidLevel::raid0;
    uint32_t strip_blocks = 0;
    uint32_t state = 0;
    uint64_t sequence = 0;  // one more each time it is written: the highest counts
    size_t slots = 0;
    std::vector<RaidMember> members;  // at most one a slot
    friend bool operator==(const RaidSuperblock&, const RaidSuperblock&) = default;

    // nullptr when there is none.
    [[nodiscard]] const RaidMember* member_in(size_t slot) const;
    [[nodiscard]] RaidMember* member_in(size_t slot);
    [[nodiscard]] const RaidMember* member_named(const Uuid& wanted) const;
};

inline constexpr size_t superblock_bytes_max = 256 + raid_bases_max * 64;
// Data begin behind this on every base, at least.
inline constexpr uint64_t data_offset_bytes_min = uint64_t{1} << 20;
inline constexpr size_t raid_name_bytes_max = 63;

// `bytes` is the start of a device. nullopt: it begins with no superblock. Errors: invalid_argument, saying what is
// wrong with the one it begins with.
Result<std::optional<RaidSuperblock>> parse_superblock(Bytes bytes);
// As long as it is, not padded to blocks. What it says is what parse_superblock() takes.
std::vector<std::byte> serialize(const RaidSuperblock& superblock);

}  // namespace weft::bdev
