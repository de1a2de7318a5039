// Blocks that were made uncorrectable (Op::write_uncorrectable): they read as errors until they are written again. As
// there are none but in tests of hosts, all but the look whether there are any may take a lock.
#pragma once

#include <atomic>
#include <cstdint>
#include <vector>

#include "bdev/spin_lock.h"

namespace weft::bdev {

class BadBlocks {
public:
    struct Range {
        uint64_t first = 0;
        uint64_t end = 0;
    };
    static constexpr size_t ranges_max = 65536;

    [[nodiscard]] bool any() const { return count_.load(std::memory_order_acquire) != 0; }
    // False when there would be more than ranges_max; nothing has changed then.
    [[nodiscard]] bool add(uint64_t first, uint64_t blocks);
    [[nodiscard]] bool remove(uint64_t first, uint64_t blocks);
    [[nodiscard]] bool touches(uint64_t first, uint64_t blocks) const;
    // Those in the range, rising, cut to it; at most `count_max`.
    [[nodiscard]] std::vector<Range> list(uint64_t first, uint64_t blocks, size_t count_max) const;

private:
    using Ranges = std::vector<Range>;
    bool keep(Ranges ranges);

    mutable SpinLock lock_;
    std::atomic<size_t> count_{0};
    Ranges ranges_;  // rising, apart from each other
};

}  // namespace weft::bdev
