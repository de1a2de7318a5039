#include "bdev_modules/malloc/block_locks.h"

#include <gtest/gtest.h>

namespace weft::bdev {
namespace {

constexpr uint64_t device_bytes = uint64_t{1} << 30;
using Range = BlockLocks::Range;

TEST(BlockLocks, CoverGranulesOf4KiBOrABlock) {
    const BlockLocks small(device_bytes, 512, true);
    EXPECT_EQ(small.granule_bytes(), 4096U);
    EXPECT_EQ(small.touched(0, 1).first, 0U);
    EXPECT_EQ(small.touched(0, 1).end, 1U);
    EXPECT_EQ(small.touched(4095, 1).end, 1U);
    EXPECT_EQ(small.touched(4095, 2).end, 2U);
    EXPECT_EQ(small.touched(8192, 4096).first, 2U);
    EXPECT_EQ(small.touched(8192, 4096).end, 3U);
    EXPECT_EQ(BlockLocks(device_bytes, 65536, true).granule_bytes(), 65536U);
}

TEST(BlockLocks, ReadersShareAndKeepWritersOut) {
    BlockLocks locks(device_bytes, 4096, true);
    EXPECT_TRUE(locks.lend({10, 20}));
    EXPECT_TRUE(locks.lend({15, 16}));
    EXPECT_FALSE(locks.lock_exclusive({19, 30}));
    EXPECT_TRUE(locks.lock_exclusive({20, 30})) << "what a refused writer took is free again";
    locks.unlock_exclusive({20, 30});
    locks.end_lend({10, 20});
    EXPECT_FALSE(locks.lock_exclusive({15, 16})) << "one reader is left";
    locks.end_lend({15, 16});
    EXPECT_TRUE(locks.lock_exclusive({5, 30}));
    locks.unlock_exclusive({5, 30});
}

TEST(BlockLocks, AWriterKeepsAllOthersOut) {
    BlockLocks locks(device_bytes, 4096, true);
    ASSERT_TRUE(locks.lock_exclusive({10, 20}));
    EXPECT_FALSE(locks.lock_exclusive({19, 21}));
    EXPECT_FALSE(locks.lend({5, 11}));
    EXPECT_FALSE(locks.lock_shared(10));
    EXPECT_TRUE(locks.lock_exclusive({5, 10})) << "what a refused reader took is free again";
    locks.unlock_exclusive({5, 10});
    locks.unlock_exclusive({10, 20});
    EXPECT_TRUE(locks.lend({5, 25}));
    locks.end_lend({5, 25});
}

TEST(BlockLocks, AWriterWhoWasRefusedIsNotStarvedByLentReads) {
    BlockLocks locks(device_bytes, 4096, true);
    ASSERT_TRUE(locks.lend({1, 2}));
    EXPECT_FALSE(locks.lock_exclusive({1, 2}));
    EXPECT_FALSE(locks.lend({1, 2})) << "the next reader copies instead";
    EXPECT_TRUE(locks.lock_shared(1));
    locks.unlock_shared(1);
    locks.end_lend({1, 2});
    EXPECT_TRUE(locks.lock_exclusive({1, 2}));
    locks.unlock_exclusive({1, 2});
    EXPECT_TRUE(locks.lend({1, 2}));
    locks.end_lend({1, 2});
}

TEST(BlockLocks, AWriterWhoNeverComesBackIsForgotten) {
    BlockLocks locks(device_bytes, 4096, true);
    ASSERT_TRUE(locks.lend({1, 2}));
    EXPECT_FALSE(locks.lock_exclusive({1, 2}));
    locks.end_lend({1, 2});
    int refused = 0;
    while (!locks.lend({1, 2})) ++refused;
    EXPECT_EQ(refused, 127);
    locks.end_lend({1, 2});
}

TEST(BlockLocks, OnOneReactorOnlyLentBlocksAreMarked) {
    BlockLocks locks(device_bytes, 4096, false);
    EXPECT_TRUE(locks.lock_exclusive({0, 100}));
    EXPECT_TRUE(locks.lock_exclusive({0, 100})) << "there is nothing to unlock";
    EXPECT_TRUE(locks.lend({50, 60}));
    EXPECT_TRUE(locks.lend({55, 56}));
    EXPECT_FALSE(locks.lock_exclusive({0, 100}));
    EXPECT_TRUE(locks.lend({50, 51})) << "nobody is refused";
    locks.end_lend({50, 51});
    locks.end_lend({50, 60});
    EXPECT_FALSE(locks.lock_exclusive({0, 100}));
    locks.end_lend({55, 56});
    EXPECT_TRUE(locks.lock_exclusive({0, 100}));
}

TEST(BlockLocks, ALargeReadMayGoRoundTheWords) {
    for (const bool is_concurrent : {false, true}) {
        BlockLocks locks(device_bytes, 4096, is_concurrent);
        const Range all{0, device_bytes / 4096};
        ASSERT_GT(all.end, BlockLocks::words_max);
        EXPECT_TRUE(locks.lend(all));
        EXPECT_FALSE(locks.lock_exclusive({7, 8}));
        locks.end_lend(all);
        EXPECT_TRUE(locks.lock_exclusive({7, 8}));
        locks.unlock_exclusive({7, 8});
    }
}

TEST(BlockLocks, SmallDevicesHaveFewWords) {
    for (const uint64_t bytes : {uint64_t{512}, uint64_t{4096}, uint64_t{12288}}) {
        BlockLocks locks(bytes, 512, true);
        const Range all = locks.touched(0, bytes);
        EXPECT_TRUE(locks.lock_exclusive(all));
        locks.unlock_exclusive(all);
    }
}

}  // namespace
}  // namespace weft::bdev
