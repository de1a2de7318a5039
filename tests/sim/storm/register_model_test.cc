// The oracle itself: what it must let pass, and what it must not.
#include "sim/storm/register_model.h"

#include <gtest/gtest.h>

#include "sim/storm/plan.h"

namespace weft::sim {
namespace {

constexpr uint32_t device = 3;
constexpr SectorRange block{8, 8};

struct RegisterModelTest : testing::Test {
    explicit RegisterModelTest(bool writes_fail = false) : model(device, 64, writes_fail) {}
    RegisterModel::Tick acknowledged(Value value, bool is_forced = false) {
        const auto began = model.begin_write(block, value);
        EXPECT_EQ(model.write_done(block, began, is_forced), "");
        return began;
    }
    // What a read that happens now and gives these values of the first and the other sectors comes to.
    std::string reads(Value first, std::optional<Value> others = {}) {
        const auto began = model.begin_read();
        return gives(began, first, others);
    }
    std::string gives(RegisterModel::Tick began, Value first, std::optional<Value> others = {}) {
        std::vector<std::byte> data(block.count * sector_bytes);
        for (uint64_t at = 0; at < block.count; ++at) {
            stamp_sector(MutableBytes(data).subspan(at * sector_bytes, sector_bytes), device, block.first + at,
                         at == 0 ? first : others.value_or(first));
        }
        return model.read_done(block, began, data, 8);
    }
    RegisterModel model;
};

struct RegisterModelOfBadDisk : RegisterModelTest {
    RegisterModelOfBadDisk() : RegisterModelTest(true) {}
};

TEST_F(RegisterModelTest, BeginsWithZeroes) {
    EXPECT_EQ(reads(zeroes), "");
    EXPECT_NE(reads(1), "");
}

TEST_F(RegisterModelTest, GivesTheLastAcknowledgedWrite) {
    acknowledged(1);
    acknowledged(2);
    EXPECT_EQ(reads(2), "");
    EXPECT_NE(reads(1), "") << "lost";
    EXPECT_NE(reads(7), "") << "invented";
    EXPECT_NE(reads(zeroes), "");
}

TEST_F(RegisterModelTest, AWriteUnderWayMayBeSeenAndThenMustBe) {
    acknowledged(1);
    (void)model.begin_write(block, 2);
    EXPECT_EQ(reads(1), "");
    EXPECT_EQ(reads(2), "");
    EXPECT_NE(reads(1), "") << "back to what was before";
}

TEST_F(RegisterModelOfBadDisk, WhatIsSeenInPartsMustFail) {
    acknowledged(1);
    const auto failed = model.begin_write(block, 2);
    EXPECT_EQ(reads(2, 1), "") << "it may have failed, and nobody knows yet";
    model.write_lost(block, failed, true);
    const auto done = model.begin_write(block, 3);
    EXPECT_EQ(reads(3, 2), "") << "either may be it";
    EXPECT_EQ(model.write_done(block, done, false), "");
    const auto torn = model.begin_write(block, 4);
    EXPECT_EQ(reads(4, 3), "");
    EXPECT_NE(model.write_done(block, torn, false).find("a read gave parts"), std::string::npos);
}

TEST_F(RegisterModelTest, AReadThatBeganEarlierMayGiveTheOlder) {
    acknowledged(1);
    const auto began = model.begin_read();
    acknowledged(2);
    EXPECT_EQ(gives(began, 1), "");
    EXPECT_EQ(reads(2), "");
}

TEST_F(RegisterModelTest, ABlockIsNeverOfTwoWrites) {
    acknowledged(1);
    (void)model.begin_write(block, 2);
    EXPECT_NE(reads(1, 2), "");
}

TEST_F(RegisterModelTest, AFailedWriteMayHaveLeftParts) {
    acknowledged(1);
    model.write_lost(block, model.begin_write(block, 2), true);
    EXPECT_EQ(reads(1, 2), "");
}

TEST_F(RegisterModelTest, ALostWriteMayComeLateUntilItIsSettled) {
    const auto lost = model.begin_write(block, 1);
    model.write_lost(block, lost, false);
    acknowledged(2);
    EXPECT_EQ(reads(2), "");
    EXPECT_EQ(reads(1), "") << "late, but its association may live";
    model.settle(block, lost);
    acknowledged(3);
    EXPECT_EQ(reads(3), "");
    EXPECT_NE(reads(1), "");
}

TEST_F(RegisterModelTest, AKilledProcessLosesNothing) {
    acknowledged(1);
    (void)model.begin_write(block, 2);
    model.process_killed();
    EXPECT_EQ(reads(2), "");
    EXPECT_NE(reads(zeroes), "");
}

TEST_F(RegisterModelTest, PowerTakesWhatWasNotFlushedAndNoMore) {
    acknowledged(1);
    model.flush_done(model.begin_flush());
    acknowledged(2);
    model.power_lost();
    EXPECT_EQ(model.known(block), std::nullopt);
    EXPECT_EQ(reads(2), "");
    EXPECT_NE(reads(1), "") << "it was 2 a moment ago";
}

TEST_F(RegisterModelTest, FlushedAndForcedWritesOutliveThePower) {
    acknowledged(1);
    acknowledged(2, true);
    model.power_lost();
    EXPECT_NE(reads(1), "");
    EXPECT_EQ(reads(2), "");
    acknowledged(3);
    model.flush_done(model.begin_flush());
    model.power_lost();
    EXPECT_NE(reads(2), "");
    EXPECT_EQ(reads(3), "");
}

TEST_F(RegisterModelTest, AFlushCoversOnlyWhatWasAcknowledgedBeforeIt) {
    acknowledged(1, true);
    const auto flush = model.begin_flush();
    acknowledged(2);
    model.flush_done(flush);
    model.power_lost();
    EXPECT_EQ(reads(1), "");
}

TEST_F(RegisterModelTest, DataOfAnotherPlaceIsSeen) {
    std::vector<std::byte> data(block.count * sector_bytes);
    acknowledged(1);
    const auto began = model.begin_read();
    for (uint64_t at = 0; at < block.count; ++at) {
        stamp_sector(MutableBytes(data).subspan(at * sector_bytes, sector_bytes), device, block.first + at + 1, 1);
    }
    EXPECT_NE(model.read_done(block, began, data, 8), "") << "misplaced";
    const auto again = model.begin_read();
    stamp_sector(data, device + 1, block.first, 1);
    EXPECT_NE(model.read_done(block, again, data, 8).find("data of device 4"), std::string::npos);
    EXPECT_EQ(foreign_device(data, device), device + 1);
}

TEST_F(RegisterModelTest, OneWrongByteIsSeen) {
    acknowledged(1);
    std::vector<std::byte> data(block.count * sector_bytes);
    for (uint64_t at = 0; at < block.count; ++at) {
        stamp_sector(MutableBytes(data).subspan(at * sector_bytes, sector_bytes), device, block.first + at, 1);
    }
    data[5 * sector_bytes + 511] ^= std::byte{1};
    EXPECT_NE(model.read_done(block, model.begin_read(), data, 8), "");
}

TEST(Plan, ASeedDecidesTheSameEveryTime) {
    EXPECT_EQ(Plan::of(5).describe(), Plan::of(5).describe());
    EXPECT_NE(Plan::of(5).describe(), Plan::of(6).describe());
}

TEST(Plan, LeavingOutAPartChangesNothingElse) {
    for (uint64_t seed = 1; seed < 50; ++seed) {
        const Plan whole = Plan::of(seed);
        std::bitset<part_count> left_out;
        left_out[static_cast<size_t>(Part::intruders)] = true;
        const Plan less = Plan::of(seed, left_out);
        EXPECT_EQ(less.intruders, 0U);
        EXPECT_EQ(less.hosts.size(), whole.hosts.size());
        EXPECT_EQ(less.incidents.size(), whole.incidents.size());
        EXPECT_EQ(less.parts, whole.parts & ~left_out);
    }
}

}  // namespace
}  // namespace weft::sim
