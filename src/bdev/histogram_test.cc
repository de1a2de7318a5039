#include "bdev/histogram.h"

#include <gtest/gtest.h>

#include "base/latency.h"

namespace weft::bdev {
namespace {

HistogramShape shape(uint64_t granularity, uint64_t min_ns, uint64_t max_ns) {
    const auto made = HistogramShape::of(granularity, min_ns, max_ns, std::nullopt);
    EXPECT_TRUE(made.has_value());
    return *made;
}

TEST(HistogramShape, HasTheRangesOfTheFieldsDefaults) {
    // 1 µs to 120 s with 128 buckets a power of two, as bdev_enable_histogram has it when nothing is said.
    const HistogramShape usual = shape(7, 1000, 120'000'000'000);
    EXPECT_EQ(usual.range_min, 3);
    EXPECT_EQ(usual.range_max, 30);
    EXPECT_EQ(usual.bucket_count(), 28U * 128U);
    const HistogramShape all = shape(7, 0, UINT64_MAX);
    EXPECT_EQ(all.range_min, 0);
    EXPECT_EQ(all.range_max, 57);
}

TEST(HistogramShape, PutsEveryLatencyBelowItsBucketsBoundAndNotBelowTheOneBefore) {
    for (const uint64_t granularity : {1U, 3U, 7U, 12U}) {
        const HistogramShape all = shape(granularity, 0, UINT64_MAX);
        for (unsigned bit = 0; bit < 64; ++bit) {
            for (const int64_t step : {-1, 0, 1, 3}) {
                const uint64_t latency = (uint64_t{1} << bit) + static_cast<uint64_t>(step);
                const size_t bucket = all.bucket_of(latency);
                ASSERT_LT(bucket, all.bucket_count());
                if (bucket + 1 < all.bucket_count()) ASSERT_LT(latency, all.bound_ns(bucket)) << latency;
                if (bucket > 0) ASSERT_GE(latency, all.bound_ns(bucket - 1)) << latency;
            }
        }
    }
}

TEST(HistogramShape, KeepsWhatLiesOutsideAtItsEnds) {
    const HistogramShape some = shape(7, 1024, 4096);
    EXPECT_EQ(some.bucket_of(0), 0U);
    EXPECT_EQ(some.bucket_of(UINT64_MAX), some.bucket_count() - 1);
}

TEST(HistogramShape, RefusesWhatMakesNoSense) {
    EXPECT_FALSE(HistogramShape::of(0, 1, 2, {}).has_value());
    EXPECT_FALSE(HistogramShape::of(13, 1, 2, {}).has_value());
    EXPECT_FALSE(HistogramShape::of(64, 1, 2, {}).has_value());
    const auto twisted = HistogramShape::of(7, 5, 5, {});
    ASSERT_FALSE(twisted.has_value());
    EXPECT_EQ(twisted.error().message, "min_nsec: 5 is not less than max_nsec, which is 5");
}

TEST(HistogramShape, GoesThroughAWordUnchanged) {
    HistogramShape some = shape(9, 1000, 1'000'000);
    EXPECT_EQ(HistogramShape::unpacked(some.packed()), some);
    some.op = Op::read;
    EXPECT_EQ(HistogramShape::unpacked(some.packed()), some);
    EXPECT_FALSE(some.counts(Op::write));
    EXPECT_EQ(HistogramShape::unpacked(0).is_on, false);
}

TEST(Histogram, IsBase64OfLittleEndianCounts) {
    Histogram small(shape(1, 0, 3));  // ranges 0 and 1, two buckets each
    ASSERT_EQ(small.counts().size(), 4U);
    small.count(0, 1);
    small.count(3, 258);
    const std::string text = small.encoded();
    EXPECT_EQ(text, "AQAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAgEAAAAAAAA=");
}

TEST(Histogram, CountsUpToBorders) {
    Histogram counted(shape(7, 0, UINT64_MAX));
    counted.count(10, 1);
    counted.count(100, 2);
    counted.count(1000, 3);
    EXPECT_EQ(counted.counts_up_to(std::vector<uint64_t>{50, 500, 5000}), (std::vector<uint64_t>{1, 3, 6, 6}));
    EXPECT_EQ(counted.counts_up_to(std::vector<uint64_t>{}), std::vector<uint64_t>{6});
    Histogram other(shape(8, 0, UINT64_MAX));
    other.count(1, 5);
    counted.add(other);  // of another shape: left out
    EXPECT_EQ(counted.counts_up_to(std::vector<uint64_t>{}), std::vector<uint64_t>{6});
    counted.add(Histogram(counted));
    EXPECT_EQ(counted.counts_up_to(std::vector<uint64_t>{}), std::vector<uint64_t>{12});
}

TEST(LatencyBuckets, HaveInclusiveUpperBounds) {
    EXPECT_EQ(LatencyBuckets::bucket_of(0), 0U);
    for (size_t at = 0; at < LatencyBuckets::bound_count; ++at) {
        EXPECT_EQ(LatencyBuckets::bucket_of(LatencyBuckets::bound_ns(at)), at);
        EXPECT_EQ(LatencyBuckets::bucket_of(LatencyBuckets::bound_ns(at) + 1), at + 1);
    }
    EXPECT_EQ(LatencyBuckets::bucket_of(UINT64_MAX), LatencyBuckets::bound_count);
}

}  // namespace
}  // namespace weft::bdev
