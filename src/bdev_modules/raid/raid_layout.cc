#include "bdev_modules/raid/raid_layout.h"

#include <algorithm>
#include <bit>

#include "base/assert.h"
#include "bdev/device.h"

namespace weft::bdev {

std::string_view name_of(RaidLevel level) {
    switch (level) {
        case RaidLevel::raid0: return "raid0";
        case RaidLevel::raid1: return "raid1";
        case RaidLevel::raid5f: return "raid5f";
        case RaidLevel::concat: return "concat";
    }
    return "";
}

std::optional<RaidLevel> raid_level_of(uint32_t number) {
    for (const RaidLevel level : {RaidLevel::raid0, RaidLevel::raid1, RaidLevel::raid5f, RaidLevel::concat}) {
        if (static_cast<uint32_t>(level) == number) return level;
    }
    return std::nullopt;
}

size_t bases_min(RaidLevel level) {
    if (level == RaidLevel::raid5f) return 3;
    return level == RaidLevel::raid1 ? 2 : 1;
}

size_t operational_min(RaidLevel level, size_t bases) {
    if (level == RaidLevel::raid1) return 1;
    return level == RaidLevel::raid5f ? bases - 1 : bases;
}

Result<RaidLayout> RaidLayout::make(RaidLevel level, uint32_t block_bytes, uint32_t strip_blocks,
                                    const std::vector<uint64_t>& usable) {
    WEFT_ASSERT(usable.size() >= bases_min(level) && usable.size() <= raid_bases_max);
    RaidLayout layout;
    layout.level_ = level;
    layout.bases_ = usable.size();
    if (level != RaidLevel::raid1) {
        WEFT_ASSERT(std::has_single_bit(strip_blocks));
        layout.strip_blocks_ = strip_blocks;
        layout.strip_shift_ = static_cast<uint32_t>(std::countr_zero(strip_blocks));
    }
    const uint64_t limit = device_bytes_max / block_bytes;
    uint64_t total = 0;
    if (level == RaidLevel::concat) {
        for (const uint64_t blocks : usable) {
            const uint64_t whole = blocks >> layout.strip_shift_ << layout.strip_shift_;
            if (whole == 0) return fail(Errc::invalid_argument, "a base bdev is smaller than a strip");
            if (whole > limit - total) return fail(Errc::invalid_argument, "the base bdevs are more than 2^63 bytes");
            total += whole;
            layout.ends_.push_back(total);
        }
        layout.block_count_ = total;
        return layout;
    }
    const uint64_t least = *std::ranges::min_element(usable);
    layout.data_blocks_ = least >> layout.strip_shift_ << layout.strip_shift_;
    if (layout.data_blocks_ == 0) return fail(Errc::invalid_argument, "a base bdev is smaller than a strip");
    const uint64_t parts =
        level == RaidLevel::raid1 ? 1 : layout.bases_ - static_cast<size_t>(level == RaidLevel::raid5f);
    if (layout.data_blocks_ > limit / parts) {
        return fail(Errc::invalid_argument, "the base bdevs are more than 2^63 bytes");
    }
    layout.block_count_ = layout.data_blocks_ * parts;
    return layout;
}

uint64_t RaidLayout::data_blocks(size_t base) const {
    if (level_ != RaidLevel::concat) return data_blocks_;
    return ends_[base] - (base == 0 ? 0 : ends_[base - 1]);
}

RaidLayout::Run RaidLayout::locate(uint64_t lba) const {
    if (level_ == RaidLevel::concat) {
        const auto end = std::ranges::upper_bound(ends_, lba);
        const auto base = static_cast<size_t>(end - ends_.begin());
        const uint64_t begin = base == 0 ? 0 : ends_[base - 1];
        return {.base = base, .lba = lba - begin, .blocks = *end - lba};
    }
    if (bases_ == 1) return {.base = 0, .lba = lba, .blocks = UINT64_MAX - lba};  // it may have grown
    const uint64_t strip = lba >> strip_shift_;
    const uint64_t offset = lba & (strip_blocks_ - 1);
    const uint64_t rest = strip_blocks_ - offset;
    if (level_ == RaidLevel::raid0) {
        return {.base = strip % bases_, .lba = (strip / bases_ << strip_shift_) + offset, .blocks = rest};
    }
    const uint64_t stripe = strip / (bases_ - 1);
    const size_t chunk = strip % (bases_ - 1);
    const size_t base = chunk < parity_base(stripe) ? chunk : chunk + 1;
    return {.base = base, .lba = (stripe << strip_shift_) + offset, .blocks = rest};
}

// Of those of the raid that come before `lba`, how many that base has.
uint64_t RaidLayout::blocks_before(size_t base, uint64_t lba) const {
    if (level_ == RaidLevel::concat) {
        const uint64_t begin = base == 0 ? 0 : ends_[base - 1];
        return std::clamp(lba, begin, ends_[base]) - begin;
    }
    const uint64_t strip = lba >> strip_shift_;
    const uint64_t whole = strip / bases_ << strip_shift_;
    const size_t next = strip % bases_;
    if (base == next) return whole + (lba & (strip_blocks_ - 1));
    return base < next ? whole + strip_blocks_ : whole;
}

RaidLayout::Run RaidLayout::part_of(size_t base, uint64_t lba, uint64_t blocks) const {
    const uint64_t first = blocks_before(base, lba);
    return {.base = base, .lba = first, .blocks = blocks_before(base, lba + blocks) - first};
}

}  // namespace weft::bdev
