#include "bdev/range_locks.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <deque>
#include <random>
#include <vector>

namespace weft::bdev {
namespace {

constexpr uint32_t region_shift = 4;

struct Holder {
    Holder(uint64_t first, uint64_t end, bool writes) {
        range.first = first;
        range.end = end;
        range.writes = writes;
    }
    RangeLocks::Range range;
};
Holder reader(uint64_t first, uint64_t end) { return {first, end, false}; }
Holder writer(uint64_t first, uint64_t end) { return {first, end, true}; }

TEST(RangeLocks, ReadersShare) {
    RangeLocks locks(region_shift, false);
    Holder first = reader(0, 10);
    Holder second = reader(5, 15);
    EXPECT_TRUE(locks.enter(first.range));
    EXPECT_TRUE(locks.enter(second.range));
    locks.leave(first.range);
    locks.leave(second.range);
}

TEST(RangeLocks, NeighboursDoNotDisturbEachOther) {
    RangeLocks locks(region_shift, false);
    std::deque<Holder> all;
    for (uint64_t at = 0; at < 100; ++at) {
        all.emplace_back(at, at + 1, true);
        EXPECT_TRUE(locks.enter(all.back().range));
    }
    for (Holder& each : all) locks.leave(each.range);
}

TEST(RangeLocks, AWriterWaitsForReadersAndReadersForIt) {
    RangeLocks locks(region_shift, true);
    Holder first = reader(0, 10);
    Holder second = writer(9, 12);
    Holder third = reader(11, 14);
    Holder fourth = reader(0, 9);
    EXPECT_TRUE(locks.enter(first.range));
    EXPECT_FALSE(locks.enter(second.range));
    EXPECT_FALSE(locks.enter(third.range)) << "though nobody has it yet: the writer came first";
    EXPECT_TRUE(locks.enter(fourth.range));
    EXPECT_FALSE(locks.may_start(second.range));
    locks.leave(first.range);
    EXPECT_TRUE(locks.may_start(second.range));
    EXPECT_FALSE(locks.may_start(third.range));
    locks.leave(second.range);
    EXPECT_TRUE(locks.may_start(third.range));
    locks.leave(third.range);
    locks.leave(fourth.range);
}

TEST(RangeLocks, OneThatMovesKeepsItsPlace) {
    for (const uint64_t end : {uint64_t{8}, uint64_t{64}}) {  // in a region, and across
        RangeLocks locks(region_shift, false);
        Holder before = reader(0, end);
        Holder first = writer(0, end);
        Holder moved = writer(0, 1);
        Holder after = reader(0, end);
        EXPECT_TRUE(locks.enter(before.range));
        EXPECT_FALSE(locks.enter(first.range));
        EXPECT_FALSE(locks.enter(after.range));
        locks.move(first.range, moved.range);
        EXPECT_FALSE(first.range.link.is_linked);
        EXPECT_FALSE(locks.may_start(moved.range));
        locks.leave(before.range);
        EXPECT_TRUE(locks.may_start(moved.range));
        EXPECT_FALSE(locks.may_start(after.range));
        locks.leave(moved.range);
        EXPECT_TRUE(locks.may_start(after.range));
        locks.leave(after.range);
    }
}

TEST(RangeLocks, OneThatGivesUpLetsOthersPass) {
    RangeLocks locks(region_shift, false);
    Holder first = reader(0, 10);
    Holder second = writer(0, 10);
    Holder third = reader(0, 10);
    EXPECT_TRUE(locks.enter(first.range));
    EXPECT_FALSE(locks.enter(second.range));
    EXPECT_FALSE(locks.enter(third.range));
    locks.leave(second.range);
    EXPECT_TRUE(locks.may_start(third.range));
    locks.leave(first.range);
    locks.leave(third.range);
}

TEST(RangeLocks, TheWholeDeviceMeetsEverybody) {
    RangeLocks locks(region_shift, false);
    const uint64_t device_end = uint64_t{1} << 63;
    Holder low = writer(0, 1);
    Holder high = writer(device_end - 1, device_end);
    Holder all = writer(0, device_end);
    Holder middle = reader(12345678, 12345679);
    EXPECT_TRUE(locks.enter(low.range));
    EXPECT_TRUE(locks.enter(high.range));
    EXPECT_FALSE(locks.enter(all.range));
    EXPECT_FALSE(locks.enter(middle.range));
    locks.leave(low.range);
    EXPECT_FALSE(locks.may_start(all.range));
    locks.leave(high.range);
    EXPECT_TRUE(locks.may_start(all.range));
    locks.leave(all.range);
    EXPECT_TRUE(locks.may_start(middle.range));
    locks.leave(middle.range);
}

// Against the definition: it may start when nothing that came before overlaps, unless both read.
TEST(RangeLocks, AreExactAndFair) {
    std::minstd_rand random(1);
    RangeLocks locks(region_shift, false);
    std::deque<Holder> storage;
    std::vector<Holder*> present;  // in the order of arrival
    const auto may_start = [&present](const Holder& holder) {
        for (const Holder* other : present) {
            if (other == &holder) return true;
            const bool overlaps = other->range.first < holder.range.end && holder.range.first < other->range.end;
            if (overlaps && (other->range.writes || holder.range.writes)) return false;
        }
        return true;
    };
    for (int round = 0; round < 20'000; ++round) {
        if (present.size() < 30 && random() % 2 == 0) {
            const uint64_t first = random() % 1000;
            const uint64_t length = 1 + random() % (random() % 10 == 0 ? 1500 : 12);
            Holder& holder = storage.emplace_back(first, first + length, random() % 2 == 0);
            present.push_back(&holder);
            ASSERT_EQ(locks.enter(holder.range), may_start(holder));
        } else if (!present.empty()) {
            const size_t at = random() % present.size();
            ASSERT_EQ(locks.may_start(present[at]->range), may_start(*present[at]));
            if (random() % 2 == 0) continue;
            locks.leave(present[at]->range);
            present.erase(present.begin() + static_cast<ptrdiff_t>(at));
        }
    }
    for (Holder* holder : present) locks.leave(holder->range);
}

}  // namespace
}  // namespace weft::bdev
