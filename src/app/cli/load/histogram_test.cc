#include "app/cli/load/histogram.h"

#include <gtest/gtest.h>

#include <cmath>
#include <memory>

namespace weft::cli {
namespace {

TEST(Histogram, IsExactForSmallValues) {
    const auto histogram = std::make_unique<Histogram>();
    for (uint64_t value = 1; value <= 200; ++value) histogram->add(value);
    EXPECT_EQ(histogram->count(), 200u);
    EXPECT_EQ(histogram->min(), 1u);
    EXPECT_EQ(histogram->max(), 200u);
    EXPECT_EQ(histogram->percentile(500), 100u);
    EXPECT_EQ(histogram->percentile(990), 198u);
    EXPECT_DOUBLE_EQ(histogram->mean(), 100.5);
}

TEST(Histogram, IsWithinAnHundredTwentyEighthForLargeOnes) {
    for (uint64_t value = 1; value < Histogram::value_max; value = value * 3 / 2 + 7) {
        const auto histogram = std::make_unique<Histogram>();
        histogram->add(value);
        histogram->add(Histogram::value_max);
        const auto found = static_cast<double>(histogram->percentile(500));
        EXPECT_GE(found, static_cast<double>(value));
        EXPECT_LE(found, static_cast<double>(value) * (1 + 1.0 / 128)) << value;
    }
}

TEST(Histogram, NeverTellsMoreThanTheGreatestValue) {
    const auto histogram = std::make_unique<Histogram>();
    histogram->add(1'000'001);
    EXPECT_EQ(histogram->percentile(999), 1'000'001u);
    EXPECT_EQ(histogram->percentile(1000), 1'000'001u);
}

TEST(Histogram, TakesValuesBeyondItsRange) {
    const auto histogram = std::make_unique<Histogram>();
    histogram->add(UINT64_MAX / 2);
    EXPECT_EQ(histogram->percentile(500), Histogram::value_max);
    EXPECT_EQ(histogram->max(), UINT64_MAX / 2);
}

TEST(Histogram, AddsUp) {
    const auto one = std::make_unique<Histogram>();
    const auto two = std::make_unique<Histogram>();
    for (uint64_t value = 0; value < 1000; ++value) (value % 2 == 0 ? one : two)->add(value * 1000);
    one->add(*two);
    EXPECT_EQ(one->count(), 1000u);
    EXPECT_EQ(one->min(), 0u);
    EXPECT_EQ(one->max(), 999'000u);
    EXPECT_NEAR(static_cast<double>(one->percentile(900)), 900'000, 9'000);
}

TEST(Histogram, IsZeroWhenEmpty) {
    const auto histogram = std::make_unique<Histogram>();
    EXPECT_EQ(histogram->percentile(500), 0u);
    EXPECT_EQ(histogram->min(), 0u);
    EXPECT_EQ(histogram->mean(), 0.0);
}

}  // namespace
}  // namespace weft::cli
