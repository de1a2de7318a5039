// What a load on block devices came to, for people and for programs.
#include <fmt/format.h>

#include <algorithm>
#include <cstdio>

#include "app/cli/bdev/bdev_load.h"
#include "app/cli/identify_fields.h"
#include "app/cli/load/load_report.h"
#include "app/cli/subcommand.h"
#include "rpc/json.h"

namespace weft::cli {

namespace {

double rate_of(const Histogram& histogram, double seconds) {
    return seconds > 0 ? static_cast<double>(histogram.count()) / seconds : 0;
}

const char* status_of(const BdevSummary& summary, const BdevJob& job) {
    if (job.results.failed != 0 || job.results.verify_faults != 0 || !summary.reset_failure.empty()) return "failed";
    return summary.is_stopped_early ? "terminated" : "finished";
}

std::string mask_of(int core) {
    return core >= 0 && core < 64 ? fmt::format("{:#x}", uint64_t{1} << core) : fmt::format("[{}]", core);
}

Json json_of(const BdevSummary& summary, const BdevJob& job) {
    const Histogram all = all_of(job.results);
    const double seconds = summary.cost.seconds;
    const double iops = rate_of(all, seconds);
    Json json = {{"job", job.bdev},
                 {"core_mask", mask_of(job.core)},
                 {"workload", summary.load.workload},
                 {"status", status_of(summary, job)},
                 {"queue_depth", job.plan.queue_depth},
                 {"io_size", job.plan.unit_bytes},
                 {"runtime", seconds},
                 {"iops", iops},
                 {"mibps", iops * job.plan.unit_bytes / (1 << 20)},
                 {"io_failed", job.results.failed},
                 {"io_timeout", 0},
                 {"avg_latency_us", all.mean() / 1000},
                 {"min_latency_us", static_cast<double>(all.min()) / 1000},
                 {"max_latency_us", static_cast<double>(all.max()) / 1000},
                 {"latency", latency_json(all)},
                 {"reads", latency_json(job.results.reads)},
                 {"others", latency_json(job.results.writes)}};
    if (summary.load.workload == "rw" || summary.load.workload == "randrw") {
        json["percentage"] = job.plan.read_percent;
    }
    if (job.plan.verify) {
        json["verify_range"] = {{"start", job.range.first}, {"length", job.range.count}};
        json["verified_blocks"] = job.results.verified_blocks;
        json["verify_faults"] = job.results.verify_faults;
    }
    if (!job.results.first_failure.empty()) json["first_failure"] = job.results.first_failure;
    return json;
}

}  // namespace

void print_summary(const BdevSummary& summary) {
    const double seconds = summary.cost.seconds;
    fmt::print("{} of {}, depth {}, {} job{} on {} core{}, {:.1f} s\n", summary.load.workload,
               size_text(summary.load.unit_bytes), summary.load.depth, summary.jobs.size(),
               summary.jobs.size() == 1 ? "" : "s", summary.cores, summary.cores == 1 ? "" : "s", seconds);
    size_t width = 5;
    for (const BdevJob& job : summary.jobs) width = std::max(width, job.bdev.size() + 8);
    const int name_width = static_cast<int>(width);
    print_load_heading(name_width);
    for (const BdevJob& job : summary.jobs) {
        print_load_row(fmt::format("{} on {}", job.bdev, job.core).c_str(), name_width, all_of(job.results), seconds,
                       job.plan.unit_bytes);
    }
    const PerfResults total = summary.total();
    const Histogram all = all_of(total);
    if (summary.jobs.size() > 1) print_load_row("all", name_width, all, seconds, summary.load.unit_bytes);
    if (all.count() == 0) fmt::print("Nothing was done in the measured time.\n");
    fmt::print("{:.2f} CPU seconds, reactors busy {:.2f} s of {:.2f}\n", summary.cost.cpu_seconds,
               summary.cost.busy_seconds, seconds * static_cast<double>(summary.cores));
    const bool is_reset = summary.load.workload == "reset";
    if (is_reset || summary.load.workload == "verify") {
        fmt::print("verified: {} blocks, {} wrong\n", total.verified_blocks, total.verify_faults);
    }
    if (is_reset) {
        fmt::print("{} resets, {} requests aborted\n", summary.resets, total.aborted);
    }
}

Json summary_json(const BdevSummary& summary) {
    Json results = Json::array();
    for (const BdevJob& job : summary.jobs) results.push_back(json_of(summary, job));
    const PerfResults total = summary.total();
    const Histogram all = all_of(total);
    Json json = {
        {"results", std::move(results)},
        {"core_count", summary.cores},
        {"iops", rate_of(all, summary.cost.seconds)},
        {"bytes_per_second", rate_of(all, summary.cost.seconds) * static_cast<double>(summary.load.unit_bytes)},
        {"latency", latency_json(all)},
        {"cpu_seconds", summary.cost.cpu_seconds},
        {"busy_seconds", summary.cost.busy_seconds},
        {"failed", total.failed},
        {"verify_faults", total.verify_faults}};
    if (summary.load.workload == "reset") {
        json["resets"] = summary.resets;
        json["aborted"] = total.aborted;
    }
    return json;
}

int exit_code(const BdevSummary& summary) {
    const PerfResults total = summary.total();
    if (total.failed != 0 || total.verify_faults != 0) {
        fmt::print(stderr, "weft: {} requests failed, {} blocks were wrong; the first: {}\n", total.failed,
                   total.verify_faults, total.first_failure);
        return exit_failed;
    }
    if (!summary.reset_failure.empty()) {
        fmt::print(stderr, "weft: {}\n", summary.reset_failure);
        return exit_failed;
    }
    if (!summary.is_stopped_early) return exit_ok;
    fmt::print(stderr, "weft: a bdev was removed: the load ended early\n");
    return exit_failed;
}

}  // namespace weft::cli
