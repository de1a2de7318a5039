// Which ranges of a device are being read and written now, so that a block that one request writes is not torn under
// another: neither the page cache nor a disk promises that for a block of any size. Exact, so that neighbours do not
// disturb each other, and fair: first come, first served, also between reactors.
//
// Requests live in lists by the region of the device they are in; the few that cross into another region are in one
// list that everybody looks at. When the device is used by more than one reactor a spin lock is held for the time
// of a look at two short lists, 50 to 200 ns; what follows is a system call and a disk.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>

#include "base/intrusive_list.h"

namespace weft::bdev {

class RangeLocks {
public:
    // A request's place in the lists, from enter() to leave(). In bytes or blocks, as long as all are the same.
    struct Range {
        uint64_t first = 0;
        uint64_t end = 0;
        uint64_t ticket = 0;  // of its arrival
        bool writes = false;
        ListLink<Range> link;
    };

    // A region holds 2^`region_shift` bytes or blocks.
    RangeLocks(uint32_t region_shift, bool is_concurrent)
        : region_shift_(region_shift), is_concurrent_(is_concurrent) {}
    ~RangeLocks();

    // True when the request may start. False: one that came earlier is in its way; ask may_start() again.
    [[nodiscard]] bool enter(Range& range);
    [[nodiscard]] bool may_start(const Range& range);
    // `to`, which is in no list, becomes what `range` was; `range` has left.
    void move(Range& range, Range& to);
    // It is done, or will never start.
    void leave(Range& range);

private:
    using Ranges = IntrusiveList<Range, &Range::link>;
    static constexpr uint64_t list_count = 64;
    class Lock;

    Ranges& home_of(const Range& range);
    [[nodiscard]] bool is_free(const Range& range) const;

    const uint32_t region_shift_;
    const bool is_concurrent_;
    std::atomic_flag busy_;
    uint64_t next_ticket_ = 1;
    std::array<Ranges, list_count> by_region_;
    Ranges crossing_;
};

}  // namespace weft::bdev
