#include "app/cli/load/load_report.h"

#include <fmt/format.h>

#include <cstdio>

#include "rpc/json.h"

namespace weft::cli {

namespace {

double to_us(uint64_t ns) { return static_cast<double>(ns) / 1000; }

}  // namespace

void print_load_heading(int name_width) {
    fmt::print("{:<{}} {:>12} {:>10} {:>9} {:>9} {:>9} {:>9} {:>9} {:>9} {:>9}\n", "", name_width, "IOPS", "MiB/s",
               "mean us", "min", "p50", "p90", "p99", "p99.9", "max");
}

void print_load_row(const char* name, int name_width, const Histogram& histogram, double seconds, uint64_t unit_bytes) {
    if (histogram.count() == 0) return;
    const double iops = static_cast<double>(histogram.count()) / seconds;
    fmt::print("{:<{}} {:>12.0f} {:>10.2f} {:>9.1f} {:>9.1f} {:>9.1f} {:>9.1f} {:>9.1f} {:>9.1f} {:>9.1f}\n", name,
               name_width, iops, iops * static_cast<double>(unit_bytes) / (1 << 20), histogram.mean() / 1000,
               to_us(histogram.min()), to_us(histogram.percentile(500)), to_us(histogram.percentile(900)),
               to_us(histogram.percentile(990)), to_us(histogram.percentile(999)), to_us(histogram.max()));
}

Json latency_json(const Histogram& histogram) {
    return {{"count", histogram.count()},
            {"mean_us", histogram.mean() / 1000},
            {"min_us", to_us(histogram.min())},
            {"p50_us", to_us(histogram.percentile(500))},
            {"p90_us", to_us(histogram.percentile(900))},
            {"p99_us", to_us(histogram.percentile(990))},
            {"p99_9_us", to_us(histogram.percentile(999))},
            {"max_us", to_us(histogram.max())}};
}

Histogram all_of(const PerfResults& results) {
    Histogram all = results.reads;
    all.add(results.writes);
    return all;
}

}  // namespace weft::cli
