// A load on block devices, from its description to its outcome: the jobs on their threads.
#pragma once

#include <atomic>
#include <memory>
#include <string>
#include <vector>

#include "app/cli/bdev/bdev_queue.h"
#include "app/cli/load/load_watch.h"
#include "bdev/registry.h"
#include "reactor/runtime.h"
#include "rpc/json_fwd.h"

namespace weft::cli {

// As it was asked for.
struct BdevLoad {
    std::string workload = "randread";
    uint64_t unit_bytes = 4096;
    uint32_t depth = 128;
    uint32_t mix = 50;  // percent of reads in rw and randrw
    double seconds = 10;
    double warmup = 0;
    uint64_t range_bytes = 0;        // of each device; 0: all
    std::vector<std::string> names;  // of devices; none: all
    bool every_core = false;         // each core its own job on every device
    bool goes_on_after_failure = false;
    double reset_every = 0;  // seconds between two resets of `reset`; 0: a tenth of the time, a second at most
};
// The names of workloads, the field's.
const std::vector<std::string>& bdev_workloads();

// What a job on `device` does, of `jobs` on it. Errors: invalid_argument, not_supported, saying what does not fit.
Result<BdevPlan> plan_for(const bdev::Device& device, const BdevLoad& load, uint32_t jobs, uint64_t run);

struct BdevJob {
    std::string bdev;
    int core = 0;
    BdevPlan plan;
    UnitRange range;
    PerfResults results;
};

struct BdevSummary {
    BdevLoad load;
    std::vector<BdevJob> jobs;
    LoadCost cost;
    size_t cores = 0;
    bool is_stopped_early = false;  // by a failure, or because a device went
    uint64_t resets = 0;  // of all devices
    std::string reset_failure;  // "": none

    [[nodiscard]] PerfResults total() const;
};
void print_summary(const BdevSummary& summary);
// The members that the field's tool answers, and ours beside them.
Json summary_json(const BdevSummary& summary);
// 0 when all requests were well; else says on standard error what was not.
int exit_code(const BdevSummary& summary);

// Runs the load on the data reactors. On the app thread. Errors: those of plan_for() and of opening the devices.
Task<Result<BdevSummary>> run_bdev_load(Runtime& runtime, bdev::Registry& devices, BdevLoad load);

}  // namespace weft::cli
