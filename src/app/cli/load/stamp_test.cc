#include "app/cli/load/stamp.h"

#include <gtest/gtest.h>

#include <vector>

namespace weft::cli {
namespace {

constexpr Stamp stamp{.lba = 77, .generation = 5, .run = 123};

std::vector<std::byte> stamped(size_t size) {
    std::vector<std::byte> block(size);
    write_stamp(block, stamp);
    return block;
}

TEST(Stamp, IsRightAsWritten) {
    for (const size_t size : {512u, 520u, 4096u, 65536u}) {
        EXPECT_EQ(check_stamp(stamped(size), stamp), StampFault::none) << size;
    }
}

TEST(Stamp, FindsEveryFlippedBit) {
    auto block = stamped(512);
    for (size_t bit = 0; bit < block.size() * 8; ++bit) {
        const auto mask = static_cast<std::byte>(1u << bit % 8);
        block[bit / 8] ^= mask;
        EXPECT_NE(check_stamp(block, stamp), StampFault::none) << bit;
        block[bit / 8] ^= mask;
    }
}

TEST(Stamp, TellsFaultsApart) {
    const auto block = stamped(4096);
    EXPECT_EQ(check_stamp(block, {.lba = 78, .generation = 5, .run = 123}), StampFault::misplaced);
    EXPECT_EQ(check_stamp(block, {.lba = 77, .generation = 6, .run = 123}), StampFault::other_write);
    EXPECT_EQ(check_stamp(block, {.lba = 77, .generation = 5, .run = 124}), StampFault::other_run);
    EXPECT_EQ(check_stamp(std::vector<std::byte>(4096), stamp), StampFault::no_stamp);
    auto damaged = block;
    damaged[4000] ^= std::byte{1};
    EXPECT_EQ(check_stamp(damaged, stamp), StampFault::damaged);
}

TEST(Stamp, TellsWhatItFound) {
    Stamp found;
    EXPECT_EQ(read_stamp(stamped(512), 77, found), StampFault::none);
    EXPECT_EQ(found.generation, 5u);
    EXPECT_EQ(found.run, 123u);
    EXPECT_EQ(read_stamp(stamped(512), 76, found), StampFault::misplaced);
    EXPECT_EQ(found.lba, 77u);
}

TEST(Stamp, MakesBlocksThatDiffer) {
    std::vector<std::byte> one(512);
    std::vector<std::byte> two(512);
    write_stamp(one, {.lba = 1, .generation = 1, .run = 1});
    write_stamp(two, {.lba = 1, .generation = 2, .run = 1});
    size_t same = 0;
    for (size_t at = 40; at < one.size(); ++at) same += one[at] == two[at] ? 1 : 0;
    EXPECT_LT(same, 40u);
}

}  // namespace
}  // namespace weft::cli
