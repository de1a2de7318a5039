#include "app/cli/bdev/bdev_load.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstdio>

#include "app/cli/identify_fields.h"
#include "bdev/gate/device_gate.h"
#include "bdev/zones.h"
#include "reactor/reactor.h"

namespace weft::cli {

namespace {

using bdev::Op;

// What is not reads and writes.
struct Other {
    std::string_view workload;
    Op op;
};
constexpr Other others[] = {{"unmap", Op::unmap}, {"flush", Op::flush}, {"write_zeroes", Op::write_zeroes}};

// Reads, writes, or something else: also whether blocks are stamped.
Result<BdevPlan> plan_workload(const BdevLoad& load) {
    BdevPlan plan;
    plan.queue_depth = load.depth;
    plan.goes_on_after_failure = load.goes_on_after_failure;
    if (load.workload == "verify" || load.workload == "reset") {
        plan.verify = plan.reads_back = true;
        plan.resets = load.workload == "reset";
        plan.read_percent = 0;
        return plan;
    }
    const auto* const other = std::ranges::find(others, load.workload, &Other::workload);
    if (other != std::end(others)) {
        plan.op = other->op;
        plan.moves_data = false;
        return plan;
    }
    const auto workload = workload_from_name(load.workload);
    if (!workload) return fail(Errc::invalid_argument, fmt::format("-w {}: there is no such workload", load.workload));
    plan.is_random = is_random(*workload);
    plan.read_percent = read_percent(*workload, load.mix);
    return plan;
}

bool writes_to(const BdevPlan& plan) { return plan.moves_data ? plan.read_percent < 100 : plan.op != Op::flush; }

Result<void> check_support(const bdev::Device& device, const BdevPlan& plan, const BdevLoad& load) {
    const bool reads = plan.moves_data && (plan.read_percent > 0 || plan.reads_back);
    const bool writes = writes_to(plan);
    const auto refuse = [&](std::string_view reason) {
        return fail(Errc::not_supported, fmt::format("-w {}: bdev {} {}", load.workload, device.name(), reason));
    };
    if (reads && !device.accepts(Op::read)) return refuse("cannot be read");
    if (plan.moves_data && writes && !device.accepts(Op::write)) return refuse("cannot be written");
    if (!plan.moves_data && !device.accepts(plan.op)) {
        return refuse(fmt::format("does no {}", bdev::name_of(plan.op)));
    }
    if (writes && const_cast<bdev::Device&>(device).zones() != nullptr) {
        return refuse("is zoned: a zone is written from its front to its end, which no load here does");
    }
    return {};
}

}  // namespace

const std::vector<std::string>& bdev_workloads() {
    static const std::vector<std::string> names = {"read",   "write", "randread", "randwrite", "rw",          "randrw",
                                                   "verify", "reset", "unmap",    "flush",     "write_zeroes"};
    return names;
}

Result<BdevPlan> plan_for(const bdev::Device& device, const BdevLoad& load, uint32_t jobs, uint64_t run) {
    auto made = plan_workload(load);
    if (!made) return made;
    BdevPlan plan = *made;
    WEFT_TRY(check_support(device, plan, load));
    plan.run = run;
    plan.block_bytes = device.block_bytes();
    constexpr uint64_t unit_bytes_max = uint64_t{256} << 20;
    if (load.unit_bytes == 0 || load.unit_bytes % plan.block_bytes != 0 || load.unit_bytes > unit_bytes_max) {
        return fail(Errc::invalid_argument,
                    fmt::format("-o {}: bdev {} has blocks of {} bytes; whole ones are wanted, "
                                "{} at most",
                                load.unit_bytes, device.name(), plan.block_bytes, size_text(unit_bytes_max)));
    }
    plan.unit_bytes = static_cast<uint32_t>(load.unit_bytes);
    plan.unit_count = device.block_count() / plan.unit_blocks();
    if (load.range_bytes != 0) plan.unit_count = std::min(plan.unit_count, load.range_bytes / load.unit_bytes);
    const uint64_t needed = uint64_t{jobs} * (plan.verify ? load.depth + 1 : 1);
    if (plan.unit_count < needed) {
        return fail(Errc::invalid_argument,
                    fmt::format("bdev {} has room for {} requests of {} bytes, {} are needed for such a load",
                                device.name(), plan.unit_count, load.unit_bytes, needed));
    }
    // A load that verifies remembers four bytes for each unit: of a larger device, the beginning.
    if (plan.verify) plan.unit_count = std::min(plan.unit_count, verified_units_max);
    return plan;
}

PerfResults BdevSummary::total() const {
    PerfResults all;
    for (const BdevJob& job : jobs) all.add(job.results);
    return all;
}

namespace {

// A job where it runs.
struct Runner {
    Thread* thread = nullptr;
    bdev::Descriptor* descriptor = nullptr;
    std::unique_ptr<BdevQueue> queue;
};

class BdevWorkers final : public LoadWorkers {
public:
    BdevWorkers(Runtime& runtime, bdev::Registry& devices) : runtime_(runtime), devices_(devices) {}
    ~BdevWorkers() override { WEFT_ASSERT(runners_.empty()); }

    // destroy() also after a failure. Errors: those of planning, opening and memory.
    Task<Result<void>> create(const BdevLoad& load, std::vector<BdevJob>& jobs) {
        WEFT_CO_TRY(plan(load, jobs));
        Thread& home = Thread::current();
        runners_.resize(jobs.size());
        for (size_t at = 0; at < jobs.size(); ++at) {
            runners_[at].descriptor = opened_[at % opened_.size()].get();
            runners_[at].thread = &runtime_.data_reactors()[reactor_of(at, load)]->first_thread();
            jobs[at].core = runners_[at].thread->reactor().cpu();
            co_await resume_on(*runners_[at].thread);
            auto queue = BdevQueue::create(jobs[at].plan, runners_[at].descriptor->device(), jobs[at].range,
                                           jobs[at].plan.run + at * 0x9E3779B97F4A7C15, stop_);
            if (queue) runners_[at].queue = std::move(*queue);
            co_await resume_on(home);
            if (!queue) co_return fail(queue.error().code, fmt::format("{}: {}", jobs[at].bdev, queue.error().message));
        }
        co_return Result<void>{};
    }

    Task<void> start(PerfTimes times) {
        return each([times](BdevQueue& queue) { queue.start(times); });
    }
    Task<void> set_end(env::TimeNs end) override {
        return each([end](BdevQueue& queue) { queue.set_end(end); });
    }
    Task<bool> are_finished() override {
        bool finished = true;
        co_await each([&finished](BdevQueue& queue) { finished = finished && queue.is_finished(); });
        co_return finished;
    }
    Task<void> collect(std::vector<BdevJob>& jobs) {
        Thread& home = Thread::current();
        for (size_t at = 0; at < runners_.size(); ++at) {
            co_await resume_on(*runners_[at].thread);
            co_await yield();  // the turn of the last request has ended
            jobs[at].results = runners_[at].queue->results();
            co_await resume_on(home);
        }
    }
    Task<void> destroy() {
        Thread& home = Thread::current();
        for (Runner& runner : runners_) {
            if (runner.queue == nullptr) continue;
            co_await resume_on(*runner.thread);
            runner.queue.reset();
            co_await resume_on(home);
        }
        runners_.clear();
        opened_.clear();
    }

    [[nodiscard]] uint64_t done_count() const override {
        uint64_t count = 0;
        for (const Runner& runner : runners_) count += runner.queue->done_count();
        return count;
    }
    [[nodiscard]] uint64_t busy_ns() const override {
        uint64_t total = 0;
        for (const auto& reactor : runtime_.data_reactors()) total += reactor->busy_ns();
        return total;
    }
    [[nodiscard]] bool is_stopped() const { return stop_.load(); }

    // Begins to reset each device by turns, until `times.end` or the load is over.
    void start_resets(const BdevLoad& load, PerfTimes times, BdevSummary& summary) {
        const double seconds = load.reset_every > 0 ? load.reset_every : std::min(1.0, load.seconds / 10);
        resets_left_ = opened_.size();
        for (const auto& descriptor : opened_) {
            spawn(keep_resetting(descriptor->device(), static_cast<env::TimeNs>(seconds * 1e9), times.end, summary));
        }
    }
    Task<void> join_resets() {
        is_over_ = true;
        while (resets_left_ > 0) co_await sleep_for(env::ns_per_ms);
    }

private:
    // Longer than anything that still answers takes.
    static constexpr env::TimeNs drain_for = 30 * env::ns_per_s;

    Task<void> keep_resetting(bdev::Device& device, env::TimeNs interval, env::TimeNs end, BdevSummary& summary) {
        Reactor& reactor = Thread::current().reactor();
        while (!is_done()) {
            const env::TimeNs next = reactor.now() + interval;
            while (!is_done() && reactor.now() < next) {
                co_await sleep_for(std::min(next - reactor.now(), 20 * env::ns_per_ms));
            }
            if (is_done() || reactor.now() >= end) break;
            const Result<void> outcome = co_await device.gate().reset(drain_for);
            if (!outcome) {
                summary.reset_failure = fmt::format("{}: reset: {}", device.name(), outcome.error().message);
                stop_ = true;
                break;
            }
            ++summary.resets;
        }
        --resets_left_;
    }
    [[nodiscard]] bool is_done() const { return is_over_ || stop_.load(); }

    template <class Function>
    Task<void> each(Function function) {
        Thread& home = Thread::current();
        for (Runner& runner : runners_) {
            co_await resume_on(*runner.thread);
            function(*runner.queue);
        }
        co_await resume_on(home);
    }

    [[nodiscard]] size_t reactor_of(size_t job, const BdevLoad& load) const {
        const size_t reactors = runtime_.data_reactors().size();
        return load.every_core ? job / opened_.size() : job % reactors;
    }

    // Opens the devices, and says what each job does: device by device, and that once a core with every_core.
    Result<void> plan(const BdevLoad& load, std::vector<BdevJob>& jobs) {
        std::vector<std::string> names = load.names;
        if (names.empty()) {
            // Not what others stand on: they are what counts, and a write would spoil them.
            for (const bdev::Device* device : devices_.all()) {
                if (device->claim_type() == bdev::ClaimType::none) names.push_back(device->name());
            }
        }
        if (names.empty()) return fail(Errc::no_such_device, "the configuration makes no bdev");
        const auto rounds = load.every_core ? static_cast<uint32_t>(runtime_.data_reactors().size()) : 1;
        for (const std::string& name : names) {
            auto opened = devices_.open(name, [this](bdev::Event event) {
                if (event == bdev::Event::removed) stop_ = true;
            });
            if (!opened) return fail(opened.error().code, fmt::format("-T {}: {}", name, opened.error().message));
            opened_.push_back(std::move(*opened));
        }
        uint64_t run = 0;
        runtime_.environment().random().fill(bytes_of(run));
        for (uint32_t round = 0; round < rounds; ++round) {
            for (const auto& descriptor : opened_) {
                const bdev::Device& device = descriptor->device();
                auto planned = plan_for(device, load, rounds, run);
                if (!planned) return std::unexpected(std::move(planned).error());
                if (round == 0 && writes_to(*planned)) {
                    if (auto claimed = descriptor->claim("bdevperf"); !claimed) return claimed;
                }
                const uint64_t share = planned->unit_count / rounds;
                const bool is_shared = planned->is_random && !planned->verify;
                jobs.push_back({.bdev = device.name(),
                                .plan = *planned,
                                .range = is_shared ? UnitRange{.first = 0, .count = planned->unit_count}
                                                   : UnitRange{.first = share * round, .count = share},
                                .results = {}});
            }
        }
        return {};
    }

    Runtime& runtime_;
    bdev::Registry& devices_;
    std::vector<std::unique_ptr<bdev::Descriptor>> opened_;
    std::vector<Runner> runners_;
    std::atomic<bool> stop_{false};
    size_t resets_left_ = 0;  // devices that are reset from time to time
    bool is_over_ = false;    // no more of that
};

}  // namespace

Task<Result<BdevSummary>> run_bdev_load(Runtime& runtime, bdev::Registry& devices, BdevLoad load) {
    BdevSummary summary;
    summary.cores = runtime.data_reactors().size();
    BdevWorkers workers(runtime, devices);
    const Result<void> made = co_await workers.create(load, summary.jobs);
    if (made) {
        PerfTimes times;
        times.measure_from = runtime.environment().clock().now() + static_cast<env::TimeNs>(load.warmup * 1e9);
        times.end = times.measure_from + static_cast<env::TimeNs>(load.seconds * 1e9);
        co_await workers.start(times);
        if (load.workload == "reset") workers.start_resets(load, times, summary);
        summary.cost = co_await watch_load(workers, times, load.unit_bytes);
        co_await workers.join_resets();
        co_await workers.collect(summary.jobs);
        summary.is_stopped_early = workers.is_stopped();
    }
    co_await workers.destroy();
    if (!made) co_return std::unexpected(made.error());
    summary.load = std::move(load);
    co_return summary;
}

}  // namespace weft::cli
