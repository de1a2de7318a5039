#include "bdev_modules/raid/raid_layout.h"

#include <gtest/gtest.h>

#include <map>
#include <random>

namespace weft::bdev {
namespace {

using Place = std::pair<size_t, uint64_t>;  // base, block of its data

// Where each block is, found by dealing out strips one after another.
std::vector<Place> plain_model(RaidLevel level, uint64_t strip, const std::vector<uint64_t>& usable) {
    std::vector<Place> places;
    const size_t bases = usable.size();
    if (level == RaidLevel::concat) {
        for (size_t base = 0; base < bases; ++base) {
            for (uint64_t block = 0; block < usable[base] / strip * strip; ++block) places.emplace_back(base, block);
        }
        return places;
    }
    const uint64_t strips = *std::min_element(usable.begin(), usable.end()) / strip;
    for (uint64_t row = 0; row < strips; ++row) {
        // The parity is on the last base first, then on the one before it, and so on.
        const size_t parity = level == RaidLevel::raid5f ? bases - 1 - row % bases : bases;
        for (size_t base = 0; base < bases; ++base) {
            if (base == parity) continue;
            for (uint64_t block = 0; block < strip; ++block) places.emplace_back(base, row * strip + block);
        }
    }
    return places;
}

TEST(RaidLayout, IsWhereAPlainModelSays) {
    std::minstd_rand random(3);
    for (const RaidLevel level : {RaidLevel::raid0, RaidLevel::concat, RaidLevel::raid5f}) {
        for (const uint32_t strip : {1U, 2U, 8U, 16U}) {
            for (size_t bases = bases_min(level); bases <= 6; ++bases) {
                std::vector<uint64_t> usable;
                for (size_t base = 0; base < bases; ++base) usable.push_back(strip + random() % 100);
                const auto layout = RaidLayout::make(level, 512, strip, usable);
                ASSERT_TRUE(layout.has_value());
                const std::vector<Place> model = plain_model(level, strip, usable);
                ASSERT_EQ(layout->block_count(), model.size()) << name_of(level) << ' ' << strip << ' ' << bases;
                for (uint64_t lba = 0; lba < model.size(); ++lba) {
                    const RaidLayout::Run run = layout->locate(lba);
                    ASSERT_EQ(Place(run.base, run.lba), model[lba]) << name_of(level) << " block " << lba;
                    ASSERT_GT(run.blocks, 0U);
                    const uint64_t last = std::min<uint64_t>(run.blocks, model.size() - lba) - 1;
                    ASSERT_EQ(Place(run.base, run.lba + last), model[lba + last]);
                }
                if (level == RaidLevel::raid5f) continue;
                for (int round = 0; round < 50; ++round) {
                    const uint64_t lba = random() % model.size();
                    const uint64_t blocks = 1 + random() % (model.size() - lba);
                    for (size_t base = 0; base < bases; ++base) {
                        const RaidLayout::Run part = layout->part_of(base, lba, blocks);
                        std::vector<uint64_t> expected;
                        for (uint64_t at = lba; at < lba + blocks; ++at) {
                            if (model[at].first == base) expected.push_back(model[at].second);
                        }
                        ASSERT_EQ(part.blocks, expected.size());
                        if (!expected.empty()) ASSERT_EQ(part.lba, expected.front());
                        if (!expected.empty()) ASSERT_EQ(part.lba + part.blocks - 1, expected.back());
                    }
                }
            }
        }
    }
}

TEST(RaidLayout, RefusesWhatHoldsNothingOrTooMuch) {
    EXPECT_FALSE(RaidLayout::make(RaidLevel::raid0, 512, 16, {100, 15}).has_value());
    EXPECT_FALSE(RaidLayout::make(RaidLevel::concat, 512, 16, {100, 15}).has_value());
    EXPECT_FALSE(RaidLayout::make(RaidLevel::raid5f, 512, 16, {100, 100, 15}).has_value());
    const uint64_t most = uint64_t{1} << 54;
    EXPECT_TRUE(RaidLayout::make(RaidLevel::raid0, 512, 1, {most}).has_value());
    EXPECT_FALSE(RaidLayout::make(RaidLevel::raid0, 512, 1, {most, most}).has_value());
    EXPECT_FALSE(RaidLayout::make(RaidLevel::concat, 512, 1, {most, most}).has_value());
    EXPECT_FALSE(RaidLayout::make(RaidLevel::raid5f, 512, 1, {most, most, most}).has_value());
    EXPECT_TRUE(RaidLayout::make(RaidLevel::raid1, 512, 0, {most, most, most}).has_value());
}

TEST(RaidLayout, LevelsHaveTheFieldsNumbers) {
    EXPECT_EQ(raid_level_of(0), RaidLevel::raid0);
    EXPECT_EQ(raid_level_of(1), RaidLevel::raid1);
    EXPECT_EQ(raid_level_of(95), RaidLevel::raid5f);
    EXPECT_EQ(raid_level_of(99), RaidLevel::concat);
    EXPECT_EQ(raid_level_of(5), std::nullopt);
    EXPECT_EQ(operational_min(RaidLevel::raid0, 4), 4U);
    EXPECT_EQ(operational_min(RaidLevel::raid1, 4), 1U);
    EXPECT_EQ(operational_min(RaidLevel::raid5f, 4), 3U);
}

}  // namespace
}  // namespace weft::bdev
