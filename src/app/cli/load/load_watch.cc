#include "app/cli/load/load_watch.h"

#include <fmt/format.h>
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <csignal>
#include <cstdio>
#include <optional>

#include "reactor/reactor.h"

namespace weft::cli {

namespace {

// Set by a signal.
std::atomic<bool> is_interrupted{false};

double process_cpu_seconds() {
    rusage usage{};
    getrusage(RUSAGE_SELF, &usage);
    const auto seconds = [](const timeval& time) {
        return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_usec) / 1e6;
    };
    return seconds(usage.ru_utime) + seconds(usage.ru_stime);
}

LoadCost cost_so_far(const LoadWorkers& workers) {
    return {.cpu_seconds = process_cpu_seconds(), .busy_seconds = static_cast<double>(workers.busy_ns()) / 1e9};
}

}  // namespace

void end_load_by_signals() {
    std::signal(SIGINT, [](int) { is_interrupted.store(true); });
    std::signal(SIGTERM, [](int) { is_interrupted.store(true); });
}

bool take_load_interrupt() { return is_interrupted.exchange(false); }

Task<LoadCost> watch_load(LoadWorkers& workers, PerfTimes times, uint64_t unit_bytes) {
    const bool shows_progress = isatty(STDERR_FILENO) != 0;
    Reactor& reactor = Thread::current().reactor();
    // From here on when nobody lets this thread run before the measured time is over: more than was asked for (the
    // warm-up is in it), but the workers' counts stay what they are.
    LoadCost at_start = cost_so_far(workers);
    bool is_measuring = reactor.now() >= times.measure_from;
    std::optional<LoadCost> at_end;
    env::TimeNs next_line = reactor.now() + env::ns_per_s;
    uint64_t last_count = 0;
    while (!co_await workers.are_finished()) {
        const env::TimeNs now = reactor.now();
        const env::TimeNs next = is_measuring ? times.end : times.measure_from;
        const env::TimeNs left = next > now ? next - now : 0;
        co_await sleep_for(std::clamp(left, env::ns_per_ms, 20 * env::ns_per_ms));
        if (is_interrupted.exchange(false)) {
            times.end = std::min(times.end, reactor.now());
            co_await workers.set_end(times.end);
        }
        if (!is_measuring && reactor.now() >= times.measure_from) {
            is_measuring = true;
            at_start = cost_so_far(workers);
        }
        if (is_measuring && !at_end && reactor.now() >= times.end) at_end = cost_so_far(workers);
        if (!shows_progress || reactor.now() < next_line) continue;
        next_line += env::ns_per_s;
        const uint64_t count = workers.done_count();
        fmt::print(stderr, "\r{:>9} IOPS {:>9.1f} MiB/s {:>5.0f} s left ", count - last_count,
                   static_cast<double>((count - last_count) * unit_bytes) / (1 << 20), static_cast<double>(left) / 1e9);
        last_count = count;
    }
    if (shows_progress) fmt::print(stderr, "\r{:60}\r", "");
    const env::TimeNs end = std::min(reactor.now(), times.end);
    if (end <= times.measure_from) co_return LoadCost{};  // nothing was measured
    if (!at_end) at_end = cost_so_far(workers);
    co_return LoadCost{.cpu_seconds = at_end->cpu_seconds - at_start.cpu_seconds,
                       .busy_seconds = at_end->busy_seconds - at_start.busy_seconds,
                       .seconds = static_cast<double>(end - times.measure_from) / 1e9};
}

}  // namespace weft::cli
