// An exact histogram of latencies, in the field's format: each power of two is a range of 2^granularity buckets, and
// ranges from the least latency of interest to the greatest are kept. What lies outside is in the first or last bucket.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "base/result.h"
#include "bdev/request.h"

namespace weft::bdev {

struct HistogramShape {
    static constexpr uint8_t granularity_min = 1;
    static constexpr uint8_t granularity_max = 12;  // 2 MiB of counters at most

    bool is_on = false;
    uint8_t granularity = 7;  // each power of two in so many buckets (log2)
    uint8_t range_min = 0;
    uint8_t range_max = 0;  // included
    std::optional<Op> op;  // only of this kind

    // Latencies from `min_ns` (included) to `max_ns` (not included). Errors: invalid_argument.
    static Result<HistogramShape> of(uint64_t granularity, uint64_t min_ns, uint64_t max_ns, std::optional<Op> op);

    // What of() makes this shape of.
    [[nodiscard]] uint64_t min_ns() const;
    [[nodiscard]] uint64_t max_ns() const;

    [[nodiscard]] bool counts(Op kind) const { return is_on && (!op || *op == kind); }
    [[nodiscard]] size_t bucket_count() const { return (size_t{range_max} - range_min + 1) << granularity; }
    [[nodiscard]] size_t bucket_of(uint64_t latency_ns) const;
    // Below which latencies of this bucket lie.
    [[nodiscard]] uint64_t bound_ns(size_t bucket) const;

    // In one word, so that other threads can look at it.
    [[nodiscard]] uint64_t packed() const;
    static HistogramShape unpacked(uint64_t word);
    friend bool operator==(const HistogramShape&, const HistogramShape&) = default;
};

class Histogram {
public:
    explicit Histogram(const HistogramShape& shape) : shape_(shape), counts_(shape.is_on ? shape.bucket_count() : 0) {}

    [[nodiscard]] const HistogramShape& shape() const { return shape_; }
    [[nodiscard]] const std::vector<uint64_t>& counts() const { return counts_; }
    void count(uint64_t latency_ns, uint64_t times) { counts_[shape_.bucket_of(latency_ns)] += times; }
    // One of another shape is left out: it is of a time before the shape changed.
    void add(const Histogram& other);
    // Base64 of the counts, little-endian.
    [[nodiscard]] std::string encoded() const;
    // For each border how many were at most that long; and at the end, how many there are. Borders ascend.
    [[nodiscard]] std::vector<uint64_t> counts_up_to(std::span<const uint64_t> borders_ns) const;

private:
    HistogramShape shape_;
    std::vector<uint64_t> counts_;
};

}  // namespace weft::bdev
