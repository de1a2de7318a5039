#include "bdev/histogram.h"

#include <fmt/format.h>

#include <algorithm>
#include <bit>

namespace weft::bdev {

namespace {

uint8_t range_of(uint64_t latency, unsigned granularity) {
    const auto width = static_cast<unsigned>(std::bit_width(latency));
    return static_cast<uint8_t>(width > granularity ? width - granularity : 0);
}

std::string base64(std::span<const uint8_t> bytes) {
    constexpr std::string_view digits = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    std::string text;
    text.reserve((bytes.size() + 2) / 3 * 4);
    for (size_t at = 0; at < bytes.size(); at += 3) {
        const size_t count = std::min<size_t>(3, bytes.size() - at);
        uint32_t word = 0;
        for (size_t index = 0; index < 3; ++index) word = word << 8 | (index < count ? bytes[at + index] : 0U);
        for (size_t index = 0; index < 4; ++index) {
            text += index <= count ? digits[(word >> (18 - 6 * index)) & 63] : '=';
        }
    }
    return text;
}

}  // namespace

Result<HistogramShape> HistogramShape::of(uint64_t granularity, uint64_t min_ns, uint64_t max_ns,
                                          std::optional<Op> op) {
    if (granularity < granularity_min || granularity > granularity_max) {
        return fail(Errc::invalid_argument,
                    fmt::format("granularity: {} is not from {} to {}", granularity, granularity_min, granularity_max));
    }
    if (min_ns >= max_ns) {
        return fail(Errc::invalid_argument,
                    fmt::format("min_nsec: {} is not less than max_nsec, which is {}", min_ns, max_ns));
    }
    const auto shift = static_cast<uint8_t>(granularity);
    return HistogramShape{.is_on = true,
                          .granularity = shift,
                          .range_min = range_of(min_ns, shift),
                          .range_max = range_of(max_ns - 1, shift),
                          .op = op};
}

uint64_t HistogramShape::min_ns() const { return range_min == 0 ? 0 : uint64_t{1} << (granularity + range_min - 1); }

uint64_t HistogramShape::max_ns() const {
    const unsigned bits = granularity + range_max;
    return bits < 64 ? uint64_t{1} << bits : UINT64_MAX;
}

size_t HistogramShape::bucket_of(uint64_t latency_ns) const {
    const uint8_t range = range_of(latency_ns, granularity);
    if (range < range_min) return 0;
    if (range > range_max) return bucket_count() - 1;
    const unsigned shift = range == 0 ? 0 : range - 1U;
    const size_t index = (latency_ns >> shift) & ((size_t{1} << granularity) - 1);
    return ((size_t{range} - range_min) << granularity) + index;
}

uint64_t HistogramShape::bound_ns(size_t bucket) const {
    const size_t range = range_min + (bucket >> granularity);
    const uint64_t next = (bucket & ((size_t{1} << granularity) - 1)) + 1;
    if (range == 0) return next;
    const uint64_t start = uint64_t{1} << (range + granularity - 1);
    const uint64_t bound = start + (next << (range - 1));
    return bound > start ? bound : UINT64_MAX;  // the last one of 64 bits
}

uint64_t HistogramShape::packed() const {
    const uint64_t kind = op ? static_cast<uint64_t>(*op) + 1 : 0;
    return uint64_t{is_on} | uint64_t{granularity} << 8 | uint64_t{range_min} << 16 | uint64_t{range_max} << 24 |
           kind << 32;
}

HistogramShape HistogramShape::unpacked(uint64_t word) {
    HistogramShape shape{.is_on = (word & 1) != 0,
                         .granularity = static_cast<uint8_t>(word >> 8),
                         .range_min = static_cast<uint8_t>(word >> 16),
                         .range_max = static_cast<uint8_t>(word >> 24),
                         .op = std::nullopt};
    if (const uint64_t kind = word >> 32; kind > 0) shape.op = static_cast<Op>(kind - 1);
    return shape;
}

void Histogram::add(const Histogram& other) {
    if (other.shape_ != shape_) return;
    for (size_t at = 0; at < counts_.size(); ++at) counts_[at] += other.counts_[at];
}

std::string Histogram::encoded() const {
    std::vector<uint8_t> bytes;
    bytes.reserve(counts_.size() * sizeof(uint64_t));
    for (const uint64_t count : counts_) {
        for (unsigned shift = 0; shift < 64; shift += 8) bytes.push_back(static_cast<uint8_t>(count >> shift));
    }
    return base64(bytes);
}

std::vector<uint64_t> Histogram::counts_up_to(std::span<const uint64_t> borders_ns) const {
    std::vector<uint64_t> totals(borders_ns.size() + 1);
    uint64_t so_far = 0;
    size_t border = 0;
    for (size_t bucket = 0; bucket < counts_.size(); ++bucket) {
        while (border < borders_ns.size() && shape_.bound_ns(bucket) > borders_ns[border]) totals[border++] = so_far;
        so_far += counts_[bucket];
    }
    while (border < totals.size()) totals[border++] = so_far;
    return totals;
}

}  // namespace weft::bdev
