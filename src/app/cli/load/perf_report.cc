#include "app/cli/load/perf_report.h"

#include <fmt/format.h>

#include <cstdio>

#include "app/cli/identify_fields.h"
#include "app/cli/load/load_report.h"
#include "rpc/json.h"

namespace weft::cli {

void print_summary(const PerfSummary& summary) {
    const PerfResults& results = summary.results;
    fmt::print("{} of {}, {} connection{} x depth {}, {} core{}{}{}{}, {:.1f} s\n", summary.workload,
               size_text(summary.plan.unit_bytes), summary.connections, summary.connections == 1 ? "" : "s",
               summary.plan.queue_depth, summary.cores, summary.cores == 1 ? "" : "s",
               summary.header_digest ? ", header digests" : "", summary.data_digest ? ", data digests" : "",
               summary.discard ? ", data discarded" : "", summary.seconds);
    const auto print_row = [&summary](const char* name, const Histogram& histogram) {
        print_load_row(name, 6, histogram, summary.seconds, summary.plan.unit_bytes);
    };
    print_load_heading(6);
    print_row("read", results.reads);
    print_row("write", results.writes);
    if (results.reads.count() != 0 && results.writes.count() != 0) print_row("all", all_of(results));
    if (summary.count() == 0) fmt::print("Nothing was done in the measured time.\n");
    fmt::print("client: {:.2f} CPU seconds, reactors busy {:.2f} s of {:.2f}\n", summary.cpu_seconds,
               summary.busy_seconds, summary.seconds * static_cast<double>(summary.cores));
    if (summary.plan.verify) {
        fmt::print("verified: {} blocks, {} wrong\n", results.verified_blocks, results.verify_faults);
    }
    if (summary.reauthentications > 0) fmt::print("authenticated again: {} times\n", summary.reauthentications);
    if (summary.depth_granted < summary.plan.queue_depth) {
        fmt::print("note: the controller's queues take {} commands; the others waited at the host\n",
                   summary.depth_granted);
    }
}

std::string summary_json(const PerfSummary& summary) {
    const PerfResults& results = summary.results;
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
                 {"reauthentications", summary.reauthentications},
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
