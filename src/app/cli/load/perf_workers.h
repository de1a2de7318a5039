// The client reactors of `weft perf` and their queues, from setting up to tearing down.
#pragma once

#include <memory>
#include <vector>

#include "app/cli/load/load_watch.h"
#include "app/cli/load/perf_queue.h"
#include "nvme_host/controller.h"
#include "reactor/runtime.h"

namespace weft::cli {

// One thread of the load: its group of connections, its queues, and, with a rate, what submits in time.
// Lives on a data reactor's thread.
class PerfWorker {
public:
    static Result<std::unique_ptr<PerfWorker>> create(Thread& thread, const PerfPlan& plan);
    PerfWorker(const PerfWorker&) = delete;
    PerfWorker& operator=(const PerfWorker&) = delete;
    ~PerfWorker();

    [[nodiscard]] Thread& thread() const { return thread_; }
    [[nodiscard]] nvme_host::tcp::ConnectionGroup& group() const { return *group_; }
    void add(std::unique_ptr<PerfQueue> queue) { queues_.push_back(std::move(queue)); }
    void start(PerfTimes times);
    void set_end(env::TimeNs end);
    [[nodiscard]] bool is_finished() const;
    [[nodiscard]] const std::vector<std::unique_ptr<PerfQueue>>& queues() const { return queues_; }

private:
    class Pacer;
    PerfWorker(Thread& thread, const PerfPlan& plan, std::unique_ptr<nvme_host::tcp::ConnectionGroup> group);

    Thread& thread_;
    const PerfPlan& plan_;
    std::unique_ptr<nvme_host::tcp::ConnectionGroup> group_;
    std::vector<std::unique_ptr<PerfQueue>> queues_;
    std::unique_ptr<Pacer> pacer_;
};

// All of them. Lives on the control thread, and goes to theirs.
class PerfWorkers final : public LoadWorkers {
public:
    PerfWorkers(Runtime& runtime, const PerfPlan& plan) : runtime_(runtime), plan_(plan) {}
    ~PerfWorkers() override;  // after destroy()

    // A worker on each data reactor, then `connections` queues spread over them. destroy() also after a failure.
    Task<Result<void>> create(nvme_host::Controller& controller, uint32_t connections);
    Task<void> start(PerfTimes times);
    Task<void> set_end(env::TimeNs end) override;
    Task<bool> are_finished() override;
    // When they are finished.
    Task<PerfResults> results();
    // The groups, whose connections the controller has closed (disconnect()).
    Task<void> destroy();

    [[nodiscard]] uint64_t done_count() const override;
    [[nodiscard]] uint64_t busy_ns() const override;
    [[nodiscard]] uint32_t depth_granted() const { return depth_granted_; }

private:
    Runtime& runtime_;
    const PerfPlan& plan_;
    std::vector<std::unique_ptr<PerfWorker>> workers_;
    uint32_t depth_granted_ = 0;
};

}  // namespace weft::cli
