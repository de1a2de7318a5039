// Latencies in fixed memory: buckets that are 1/128 wide, or less, relative to what they hold.
//
// As in HdrHistogram: below 256 ns every value has a bucket; above, every power of two has 128.
#pragma once

#include <algorithm>
#include <array>
#include <bit>
#include <cstdint>

namespace weft::cli {

class Histogram {
public:
    // 2^40 ns, 18 minutes: what is longer counts as that.
    static constexpr uint64_t value_max = (uint64_t{1} << 40) - 1;

    void add(uint64_t value, uint64_t times = 1) {
        buckets_[index_of(std::min(value, value_max))] += times;
        count_ += times;
        sum_ += value * times;
        max_ = std::max(max_, value);
        min_ = std::min(min_, value);
    }

    void add(const Histogram& other) {
        for (size_t at = 0; at < bucket_count; ++at) buckets_[at] += other.buckets_[at];
        count_ += other.count_;
        sum_ += other.sum_;
        max_ = std::max(max_, other.max_);
        min_ = std::min(min_, other.min_);
    }

    // The value that `per_mille` / 1000 of all do not exceed, to the precision of a bucket; 0 when there is none.
    [[nodiscard]] uint64_t percentile(double per_mille) const {
        const double wanted = static_cast<double>(count_) * per_mille / 1000;
        uint64_t seen = 0;
        for (size_t at = 0; at < bucket_count; ++at) {
            seen += buckets_[at];
            if (seen != 0 && static_cast<double>(seen) >= wanted) return std::min(upper_end(at), max_);
        }
        return max_;
    }

    [[nodiscard]] uint64_t count() const { return count_; }
    [[nodiscard]] uint64_t min() const { return count_ == 0 ? 0 : min_; }
    [[nodiscard]] uint64_t max() const { return max_; }
    [[nodiscard]] double mean() const {
        return count_ == 0 ? 0 : static_cast<double>(sum_) / static_cast<double>(count_);
    }

private:
    static constexpr int exact_bits = 8;  // below 2^8 a bucket a value
    static constexpr size_t bucket_count = (40 - exact_bits) * 128 + 256;

    static size_t index_of(uint64_t value) {
        const int shift = std::max(0, static_cast<int>(std::bit_width(value)) - exact_bits);
        return (static_cast<size_t>(shift) << (exact_bits - 1)) + (value >> shift);
    }
    // The largest value that falls into the bucket.
    static uint64_t upper_end(size_t index) {
        if (index < 256) return index;
        const size_t shift = (index >> (exact_bits - 1)) - 1;
        const uint64_t top = index - (shift << (exact_bits - 1));
        return ((top + 1) << shift) - 1;
    }

    std::array<uint64_t, bucket_count> buckets_{};  // 34 KiB
    uint64_t count_ = 0;
    uint64_t sum_ = 0;
    uint64_t max_ = 0;
    uint64_t min_ = UINT64_MAX;
};

}  // namespace weft::cli
