#include "app/cli/load/perf_workers.h"

#include <algorithm>

#include "reactor/poller.h"

namespace weft::cli {

// Submits, every turn, what the rate says is due.
class PerfWorker::Pacer final : public Poller {
public:
    explicit Pacer(PerfWorker& worker) : Poller(worker.thread_, "weft_perf_pacer", 0), worker_(worker) {}
    uint32_t poll() override {
        const env::TimeNs now = worker_.thread_.reactor().now();
        uint32_t work = 0;
        for (const auto& queue : worker_.queues_) work += queue->submit_due(now);
        return work;
    }
    Sleep prepare_sleep() override { return worker_.is_finished() ? Sleep::until_woken : Sleep::no; }

private:
    PerfWorker& worker_;
};

Result<std::unique_ptr<PerfWorker>> PerfWorker::create(Thread& thread, const PerfPlan& plan) {
    auto group = nvme_host::tcp::ConnectionGroup::create(thread);
    if (!group) return std::unexpected(std::move(group).error());
    return std::unique_ptr<PerfWorker>(new PerfWorker(thread, plan, std::move(*group)));
}

PerfWorker::PerfWorker(Thread& thread, const PerfPlan& plan, std::unique_ptr<nvme_host::tcp::ConnectionGroup> group)
    : thread_(thread), plan_(plan), group_(std::move(group)) {}

PerfWorker::~PerfWorker() = default;

void PerfWorker::start(PerfTimes times) {
    for (const auto& queue : queues_) queue->start(times);
    if (plan_.rate > 0) pacer_ = std::make_unique<Pacer>(*this);
}

void PerfWorker::set_end(env::TimeNs end) {
    for (const auto& queue : queues_) queue->set_end(end);
}

bool PerfWorker::is_finished() const {
    return std::ranges::all_of(queues_, [](const auto& queue) { return queue->is_finished(); });
}

PerfWorkers::~PerfWorkers() { WEFT_ASSERT(workers_.empty()); }

Task<Result<void>> PerfWorkers::create(nvme_host::Controller& controller, uint32_t connections) {
    Thread& home = Thread::current();
    for (const auto& reactor : runtime_.data_reactors()) {
        Thread& thread = reactor->first_thread();
        co_await resume_on(thread);
        auto worker = PerfWorker::create(thread, plan_);
        co_await resume_on(home);
        if (!worker) co_return std::unexpected(std::move(worker).error());
        workers_.push_back(std::move(*worker));
    }
    const uint64_t share = plan_.unit_count / connections;
    for (uint32_t index = 0; index < connections; ++index) {
        PerfWorker& worker = *workers_[index % workers_.size()];
        auto qpair = co_await controller.create_io_qpair(worker.group());
        if (!qpair) co_return std::unexpected(std::move(qpair).error());
        depth_granted_ = (*qpair)->depth();
        // Random loads share the range, unless it must be known who writes what.
        const bool is_shared = plan_.is_random && !plan_.verify;
        const UnitRange range = is_shared ? UnitRange{.first = 0, .count = plan_.unit_count}
                                          : UnitRange{.first = share * index, .count = share};
        co_await resume_on(worker.thread());
        auto queue = PerfQueue::create(plan_, worker.group(), **qpair, range, plan_.run + index * 0x9E3779B97F4A7C15);
        if (queue) worker.add(std::move(*queue));
        co_await resume_on(home);
        if (!queue) co_return std::unexpected(std::move(queue).error());
    }
    co_return Result<void>{};
}

Task<void> PerfWorkers::start(PerfTimes times) {
    Thread& home = Thread::current();
    for (const auto& worker : workers_) {
        co_await resume_on(worker->thread());
        worker->start(times);
    }
    co_await resume_on(home);
}

Task<void> PerfWorkers::set_end(env::TimeNs end) {
    Thread& home = Thread::current();
    for (const auto& worker : workers_) {
        co_await resume_on(worker->thread());
        worker->set_end(end);
    }
    co_await resume_on(home);
}

Task<bool> PerfWorkers::are_finished() {
    Thread& home = Thread::current();
    bool finished = true;
    for (const auto& worker : workers_) {
        co_await resume_on(worker->thread());
        finished = finished && worker->is_finished();
    }
    co_await resume_on(home);
    co_return finished;
}

Task<PerfResults> PerfWorkers::results() {
    Thread& home = Thread::current();
    PerfResults total;
    for (const auto& worker : workers_) {
        co_await resume_on(worker->thread());
        for (const auto& queue : worker->queues()) {
            total.add(queue->results());
        }
    }
    co_await resume_on(home);
    co_return total;
}

Task<void> PerfWorkers::destroy() {
    Thread& home = Thread::current();
    while (!workers_.empty()) {
        co_await resume_on(workers_.back()->thread());
        workers_.pop_back();
    }
    co_await resume_on(home);
}

uint64_t PerfWorkers::done_count() const {
    uint64_t count = 0;
    for (const auto& worker : workers_) {
        for (const auto& queue : worker->queues()) count += queue->done_count();
    }
    return count;
}

uint64_t PerfWorkers::busy_ns() const {
    uint64_t total = 0;
    for (const auto& reactor : runtime_.data_reactors()) total += reactor->busy_ns();
    return total;
}

}  // namespace weft::cli
