// Prometheus' text format, version 0.0.4: https://prometheus.io/docs/instrumenting/exposition_formats/
#pragma once

#include <fmt/format.h>

#include <cstdint>
#include <initializer_list>
#include <string>
#include <string_view>
#include <utility>

#include "base/latency.h"
#include "bdev/statistics.h"

namespace weft::app {

inline constexpr std::string_view exposition_type = "text/plain; version=0.0.4; charset=utf-8";

struct Label {
    std::string_view name;
    std::string_view value;  // anything: it is escaped
};
using Labels = std::initializer_list<Label>;

class Exposition {
public:
    void begin_family(std::string_view name, std::string_view type, std::string_view help);
    // Samples of the family that was begun.
    void sample(Labels labels, uint64_t value);
    void sample(Labels labels, double value);
    void seconds(Labels labels, uint64_t nanoseconds);
    // A histogram: its buckets, _sum and _count.
    void histogram(Labels labels, const bdev::OpStatistics& figures);

    [[nodiscard]] size_t size() const { return text_.size(); }
    std::string take() { return std::exchange(text_, {}); }

private:
    void name_and_labels(std::string_view suffix, Labels labels, std::string_view bound = {});
    std::string text_;
    std::string name_;
};

// Nanoseconds as seconds, exactly.
std::string seconds_of(uint64_t nanoseconds);

}  // namespace weft::app
