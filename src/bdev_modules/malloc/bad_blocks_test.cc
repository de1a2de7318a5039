#include "bdev_modules/malloc/bad_blocks.h"

#include <gtest/gtest.h>

#include <random>

namespace weft::bdev {
namespace {

TEST(BadBlocks, AreWhatASetOfBlocksIs) {
    BadBlocks bad;
    constexpr uint64_t blocks = 64;
    std::vector<bool> model(blocks);
    std::minstd_rand random(1);
    EXPECT_FALSE(bad.any());
    for (int round = 0; round < 3000; ++round) {
        const uint64_t first = random() % blocks;
        const uint64_t count = 1 + random() % (blocks - first);
        const bool adds = random() % 3 == 0;
        ASSERT_TRUE(adds ? bad.add(first, count) : bad.remove(first, std::min<uint64_t>(count, 4)));
        for (uint64_t at = first; at < first + (adds ? count : std::min<uint64_t>(count, 4)); ++at) model[at] = adds;
        uint64_t in_list = 0;
        uint64_t last_end = 0;
        for (const BadBlocks::Range& range : bad.list(0, blocks, blocks)) {
            EXPECT_TRUE(in_list == 0 || range.first > last_end) << "they rise, and are apart";
            last_end = range.end;
            in_list += range.end - range.first;
        }
        uint64_t in_model = 0;
        for (uint64_t at = 0; at < blocks; ++at) {
            ASSERT_EQ(bad.touches(at, 1), model[at]) << "round " << round << " block " << at;
            in_model += model[at] ? 1 : 0;
        }
        EXPECT_EQ(in_list, in_model);
        EXPECT_EQ(bad.any(), in_model != 0);
    }
}

TEST(BadBlocks, AreListedAsTheyLieInARange) {
    BadBlocks bad;
    ASSERT_TRUE(bad.add(10, 10));
    ASSERT_TRUE(bad.add(30, 10));
    const auto found = bad.list(15, 20, 8);
    ASSERT_EQ(found.size(), 2U);
    EXPECT_EQ(found[0].first, 15U);
    EXPECT_EQ(found[0].end, 20U);
    EXPECT_EQ(found[1].first, 30U);
    EXPECT_EQ(found[1].end, 35U);
    EXPECT_EQ(bad.list(0, 100, 1).size(), 1U);
}

}  // namespace
}  // namespace weft::bdev
