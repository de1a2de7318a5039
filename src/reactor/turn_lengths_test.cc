#include "reactor/turn_lengths.h"

#include <gtest/gtest.h>

namespace weft {
namespace {

TEST(TurnLengths, EachLengthIsInTheBucketWhoseBoundIsTheNextAboveIt) {
    for (uint64_t ns = 0; ns < 100'000; ++ns) {
        const size_t at = TurnLengths::bucket_of(ns);
        ASSERT_LT(ns, TurnLengths::bound_ns(at)) << ns;
        if (at > 0) {
            ASSERT_GE(ns, TurnLengths::bound_ns(at - 1)) << ns;
        }
    }
    // An eighth at most.
    for (size_t at = TurnLengths::steps; at + 1 < TurnLengths::bucket_count; ++at) {
        const auto low = static_cast<double>(TurnLengths::bound_ns(at - 1));
        EXPECT_LE(static_cast<double>(TurnLengths::bound_ns(at)), low * 1.1251) << at;
    }
    EXPECT_EQ(TurnLengths::bucket_of(UINT64_MAX), TurnLengths::bucket_count - 1);
    EXPECT_GT(TurnLengths::bound_ns(TurnLengths::bucket_count - 2), 14'000'000'000U);
}

TEST(TurnLengths, CoarseKeepsTheSum) {
    TurnLengths turns;
    for (const uint64_t ns : {5U, 1000U, 1024U, 1025U, 70'000U}) turns.count(ns);
    uint64_t sum = 0;
    for (const uint64_t count : turns.coarse().counts) sum += count;
    EXPECT_EQ(sum, 5U);
    EXPECT_EQ(turns.coarse().counts[0], 2U);
}

}  // namespace
}  // namespace weft
