// Where the blocks of a raid lie on its bases: pure arithmetic, in blocks from where the data of a base begin.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace weft::bdev {

// The numbers are those of the field's superblock.
enum class RaidLevel : uint32_t { raid0 = 0, raid1 = 1, raid5f = 0x5F, concat = 99 };
inline constexpr size_t raid_bases_max = 255;
std::string_view name_of(RaidLevel level);
std::optional<RaidLevel> raid_level_of(uint32_t number);

// What a level asks for.
size_t bases_min(RaidLevel level);
// How many of `bases` must be there.
size_t operational_min(RaidLevel level, size_t bases);
inline bool has_redundancy(RaidLevel level) { return level == RaidLevel::raid1 || level == RaidLevel::raid5f; }

class RaidLayout {
public:
    // `strip_blocks` is a power of two, and not looked at for raid1. `usable` has the blocks that each base has for
    // data; what no whole strip or no other base has is left over. Errors: invalid_argument, when nothing is left or it
    // is more than a device can be.
    static Result<RaidLayout> make(RaidLevel level, uint32_t block_bytes, uint32_t strip_blocks,
                                   const std::vector<uint64_t>& usable);

    [[nodiscard]] RaidLevel level() const { return level_; }
    [[nodiscard]] size_t bases() const { return bases_; }
    [[nodiscard]] uint32_t strip_blocks() const { return strip_blocks_; }
    [[nodiscard]] uint64_t block_count() const { return block_count_; }
    // Of one base, for data.
    [[nodiscard]] uint64_t data_blocks(size_t base) const;

    // Blocks that lie one behind the other on one base.
    struct Run {
        size_t base = 0;
        uint64_t lba = 0;
        uint64_t blocks = 0;
    };
    // The longest that begins at `lba`. Not of raid1, where every base has every block.
    [[nodiscard]] Run locate(uint64_t lba) const;
    // Of raid0 and concat: those of the range that one base has; they lie together there. No blocks: none.
    [[nodiscard]] Run part_of(size_t base, uint64_t lba, uint64_t blocks) const;

    // Of raid5f. A stripe is what one strip of each base holds; one of these is the parity of the others.
    [[nodiscard]] uint64_t stripe_blocks() const { return strip_blocks_ * (bases_ - 1); }
    [[nodiscard]] size_t parity_base(uint64_t stripe) const { return bases_ - 1 - stripe % bases_; }

private:
    RaidLayout() = default;
    [[nodiscard]] uint64_t blocks_before(size_t base, uint64_t lba) const;

    RaidLevel level_ = RaidLevel::raid0;
    size_t bases_ = 0;
    uint32_t strip_blocks_ = 0;
    uint32_t strip_shift_ = 0;
    uint64_t block_count_ = 0;
    uint64_t data_blocks_ = 0;  // of each base; not of concat
    std::vector<uint64_t> ends_;  // of concat: where a base's part of the raid ends
};

}  // namespace weft::bdev
