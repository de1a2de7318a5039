#include "bdev/range_locks.h"

#include <immintrin.h>

#include <algorithm>

#include "base/assert.h"

namespace weft::bdev {

class RangeLocks::Lock {
public:
    explicit Lock(RangeLocks& owner) : owner_(owner) {
        while (owner_.is_concurrent_ && owner_.busy_.test_and_set(std::memory_order_acquire)) {
            while (owner_.busy_.test(std::memory_order_relaxed)) _mm_pause();
        }
    }
    Lock(const Lock&) = delete;
    Lock& operator=(const Lock&) = delete;
    ~Lock() {
        if (owner_.is_concurrent_) owner_.busy_.clear(std::memory_order_release);
    }

private:
    RangeLocks& owner_;
};

RangeLocks::~RangeLocks() = default;  // the lists assert that they are empty

RangeLocks::Ranges& RangeLocks::home_of(const Range& range) {
    const uint64_t region = range.first >> region_shift_;
    const uint64_t last_region = (range.end - 1) >> region_shift_;
    return region == last_region ? by_region_[region % list_count] : crossing_;
}

// Nothing that came before `range` overlaps it, unless both only read.
bool RangeLocks::is_free(const Range& range) const {
    const auto holds_up = [&range](const Ranges& ranges) {
        for (const Range* other = ranges.front(); other != nullptr; other = Ranges::next(*other)) {
            if (other->ticket >= range.ticket) return false;  // they stand in the order of arrival
            if (other->first < range.end && range.first < other->end && (other->writes || range.writes)) return true;
        }
        return false;
    };
    if (holds_up(crossing_)) return false;
    const uint64_t region = range.first >> region_shift_;
    const uint64_t last_region = (range.end - 1) >> region_shift_;
    const uint64_t lists = std::min(last_region - region + 1, list_count);
    for (uint64_t at = 0; at < lists; ++at) {
        if (holds_up(by_region_[(region + at) % list_count])) return false;
    }
    return true;
}

bool RangeLocks::enter(Range& range) {
    WEFT_ASSERT(range.first < range.end);
    const Lock lock(*this);
    range.ticket = next_ticket_++;
    home_of(range).push_back(range);
    return is_free(range);
}

bool RangeLocks::may_start(const Range& range) {
    WEFT_ASSERT(range.link.is_linked);
    const Lock lock(*this);
    return is_free(range);
}

void RangeLocks::move(Range& range, Range& to) {
    const Lock lock(*this);
    to.first = range.first;
    to.end = range.end;
    to.ticket = range.ticket;
    to.writes = range.writes;
    home_of(range).replace(range, to);
}

void RangeLocks::leave(Range& range) {
    const Lock lock(*this);
    home_of(range).remove(range);
}

}  // namespace weft::bdev
