#include "bdev_modules/malloc/bad_blocks.h"

#include <algorithm>
#include <utility>

namespace weft::bdev {

bool BadBlocks::keep(Ranges ranges) {
    if (ranges.size() > ranges_max) return false;
    ranges_ = std::move(ranges);
    count_.store(ranges_.size(), std::memory_order_release);
    return true;
}

bool BadBlocks::add(uint64_t first, uint64_t blocks) {
    const SpinLock::Hold hold(lock_);
    Range added{first, first + blocks};
    Ranges changed;
    for (const Range& range : ranges_) {
        if (range.end < added.first || range.first > added.end) {
            changed.push_back(range);
        } else {
            added = {std::min(range.first, added.first), std::max(range.end, added.end)};
        }
    }
    changed.insert(std::ranges::lower_bound(changed, added.first, {}, &Range::first), added);
    return keep(std::move(changed));
}

bool BadBlocks::remove(uint64_t first, uint64_t blocks) {
    const SpinLock::Hold hold(lock_);
    const uint64_t end = first + blocks;
    Ranges changed;
    for (const Range& range : ranges_) {
        if (range.end <= first || range.first >= end) {
            changed.push_back(range);
            continue;
        }
        if (range.first < first) changed.push_back({range.first, first});
        if (range.end > end) changed.push_back({end, range.end});
    }
    return keep(std::move(changed));
}

bool BadBlocks::touches(uint64_t first, uint64_t blocks) const {
    const SpinLock::Hold hold(lock_);
    return std::ranges::any_of(ranges_,
                               [&](const Range& range) { return range.first < first + blocks && first < range.end; });
}

std::vector<BadBlocks::Range> BadBlocks::list(uint64_t first, uint64_t blocks, size_t count_max) const {
    const SpinLock::Hold hold(lock_);
    Ranges found;
    const uint64_t end = first + blocks;
    for (const Range& range : ranges_) {
        if (range.end <= first || range.first >= end) continue;
        if (found.size() == count_max) break;
        found.push_back({std::max(range.first, first), std::min(range.end, end)});
    }
    return found;
}

}  // namespace weft::bdev
