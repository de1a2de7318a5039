// Watches a load until it is done, for whoever started it: progress on a terminal, Ctrl-C, what it cost.
#pragma once

#include <cstdint>

#include "app/cli/load/perf_units.h"
#include "reactor/task.h"

namespace weft::cli {

// The workers of a load, as who watches it asks them. On the control thread.
class LoadWorkers {
public:
    LoadWorkers() = default;
    LoadWorkers(const LoadWorkers&) = delete;
    LoadWorkers& operator=(const LoadWorkers&) = delete;
    virtual ~LoadWorkers() = default;

    virtual Task<void> set_end(env::TimeNs end) = 0;
    virtual Task<bool> are_finished() = 0;
    // Commands done in the measured time.
    [[nodiscard]] virtual uint64_t done_count() const = 0;
    // What the reactors' turns with work in them took so far.
    [[nodiscard]] virtual uint64_t busy_ns() const = 0;
};

// Of the measured time.
struct LoadCost {
    double cpu_seconds = 0;   // user and system time of the process
    double busy_seconds = 0;  // of the reactors, in turns that found work
    double seconds = 0;
};

// SIGINT and SIGTERM end the load that is watched, early, from now on.
void end_load_by_signals();
// Whether there was such a signal since the last call, when no load is watched.
bool take_load_interrupt();
// Until all is done; with a line a second on a terminal. Ends `times.end` early by a signal.
Task<LoadCost> watch_load(LoadWorkers& workers, PerfTimes times, uint64_t unit_bytes);

}  // namespace weft::cli
