#include "app/cli/perf_report.h"

#include <fmt/format.h>

#include <cstdio>

#include "app/cli/identify_fields.h"
#include "rpc/json.h"

namespace weft::cli {

namespace {

double to_us(uint64_t ns) { return static_cast<double>(ns) / 1000; }

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

void print_row(const char* name, const Histogram& histogram, const PerfSummary& summary) {
    if (histogram.count() == 0) return;
    const double iops = static_cast<double>(histogram.count()) / summary.seconds;
    fmt::print("{:<6} {:>12.0f} {:>10.2f} {:>9.1f} {:>9.1f} {:>9.1f} {:>9.1f} {:>9.1f} {:>9.1f} {:>9.1f}\n", name, iops,
               iops * summary.plan.unit_bytes / (1 << 20), histogram.mean() / 1000, to_us(histogram.min()),
               to_us(histogram.percentile(500)), to_us(histogram.percentile(900)), to_us(histogram.percentile(990)),
               to_us(histogram.percentile(999)), to_us(histogram.max()));
}

Histogram all_of(const PerfQueue::Results& results) {
    Histogram all = results.reads;
    all.add(results.writes);
    return all;
}

}  // namespace

void print_summary(const PerfSummary& summary) {
    const PerfQueue::Results& results = summary.results;
    fmt::print("{} of {}, {} connection{} x depth {}, {} core{}{}{}{}, {:.1f} s\n", summary.workload,
               size_text(summary.plan.unit_bytes), summary.connections, summary.connections == 1 ? "" : "s",
               summary.plan.queue_depth, summary.cores, summary.cores == 1 ? "" : "s",
               summary.header_digest ? ", header digests" : "", summary.data_digest ? ", data digests" : "",
               summary.discard ? ", data discarded" : "", summary.seconds);
    fmt::print("{:<6} {:>12} {:>10} {:>9} {:>9} {:>9} {:>9} {:>9} {:>9} {:>9}\n", "", "IOPS", "MiB/s", "mean us", "min",
               "p50", "p90", "p99", "p99.9", "max");
    print_row("read", results.reads, summary);
    print_row("write", results.writes, summary);
    if (results.reads.count() != 0 && results.writes.count() != 0) print_row("all", all_of(results), summary);
    if (summary.count() == 0) fmt::print("Nothing was done in the measured time.\n");
    fmt::print("client: {:.2f} CPU seconds, reactors busy {:.2f} s of {:.2f}\n", summary.cpu_seconds,
               summary.busy_seconds, summary.seconds * static_cast<double>(summary.cores));
    if (summary.plan.verify) {
        fmt::print("verified: {} blocks, {} wrong\n", results.verified_blocks, results.verify_faults);
    }
    if (summary.depth_granted < summary.plan.queue_depth) {
        fmt::print("note: the controller's queues take {} commands; the others waited at the host\n",
                   summary.depth_granted);
    }
}

std::string summary_json(const PerfSummary& summary) {
    const PerfQueue::Results& results = summary.results;
    Json json = {{"target", summary.target},
                 {"workload", summary.workload},
                 {"io_bytes", summary.plan.unit_bytes},
                 {"queue_depth", summary.plan.queue_depth},
                 {"queue_depth_granted", summary.depth_granted},
                 {"connections", summary.connections},
                 {"cores", summary.cores},
                 {"read_percent", summary.plan.read_percent},
                 {"header_digest", summary.header_digest},
                 {"data_digest", summary.data_digest},
                 {"discard", summary.discard},
                 {"seconds", summary.seconds},
                 {"iops", summary.iops()},
                 {"bytes_per_second", summary.bytes_per_second()},
                 {"latency", latency_json(all_of(results))},
                 {"reads", latency_json(results.reads)},
                 {"writes", latency_json(results.writes)},
                 {"cpu_seconds", summary.cpu_seconds},
                 {"busy_seconds", summary.busy_seconds},
                 {"failed", results.failed}};
    if (summary.plan.verify) {
        json["verified_blocks"] = results.verified_blocks;
        json["verify_faults"] = results.verify_faults;
    }
    if (!results.first_failure.empty()) json["first_failure"] = results.first_failure;
    return dump_json_pretty(json);
}

}  // namespace weft::cli
