// thread_* and framework_get_reactors: what runs where, and how busy it is. Each thread is asked on its own thread.
#include <string_view>

#include "app/daemon/daemon.h"
#include "env/linux/process.h"
#include "rpc/json.h"

namespace weft::app {

namespace {

// Calls `visit(thread)` on each light-weight thread, control reactor first, and comes back. The threads of a
// reactor are listed on that reactor, and none moves meanwhile.
template <class Visit>
Task<void> visit_threads(Runtime& runtime, Visit visit) {
    const auto guard = co_await runtime.placement().hold();
    for (Reactor* reactor : runtime.reactors()) {
        co_await resume_on(reactor->first_thread());
        for (size_t at = 0; at < reactor->threads().size(); ++at) visit(*reactor, *reactor->threads()[at]);
    }
    co_await resume_on(runtime.app_thread());
}

std::string_view name_of(Poller::State state) {
    switch (state) {
        case Poller::State::waiting: return "waiting";
        case Poller::State::running: return "running";
        case Poller::State::paused: return "paused";
    }
    return "?";
}

Json describe_pollers(const Thread::PollerList& pollers) {
    Json list = Json::array();
    for (const Poller* poller = pollers.front(); poller != nullptr; poller = Thread::PollerList::next(*poller)) {
        list.push_back({{"name", poller->name()},
                        {"id", poller->id()},
                        {"state", name_of(poller->state())},
                        {"run_count", poller->run_count()},
                        {"busy_count", poller->busy_count()},
                        {"period_ticks", poller->period()}});
    }
    return list;
}

// What a thread says of itself, copied on its reactor in little time; it becomes JSON on the app thread.
struct ThreadFacts {
    const Reactor* reactor;
    const Thread* thread;  // its name and id do not change, and it lives as long as the runtime
    CpuSet cpus;
    ThreadStats stats;
    size_t active_pollers, timed_pollers, paused_pollers;
};

Task<std::vector<ThreadFacts>> look_at_threads(Runtime& runtime) {
    constexpr size_t usual_max = 64;
    std::vector<ThreadFacts> facts;
    facts.reserve(usual_max);
    co_await visit_threads(runtime, [&facts](Reactor& reactor, Thread& thread) {
        facts.push_back({&reactor, &thread, thread.cpus(), thread.stats(), thread.active_pollers().size(),
                         thread.timed_pollers().size(), thread.paused_pollers().size()});
    });
    co_return facts;
}

std::string mask_of(const CpuSet& cpus) { return cpus.count() == CpuSet::cpu_max ? "all" : cpus.to_mask(); }

Task<Result<Json>> get_stats(Runtime& runtime) {
    Json threads = Json::array();
    for (const ThreadFacts& facts : co_await look_at_threads(runtime)) {
        threads.push_back({{"name", facts.thread->name()},
                           {"id", facts.thread->id()},
                           {"cpumask", mask_of(facts.cpus)},
                           {"busy", facts.stats.busy_ns},
                           {"idle", facts.stats.idle_ns},
                           {"in_interrupt", false},
                           {"active_pollers_count", facts.active_pollers},
                           {"timed_pollers_count", facts.timed_pollers},
                           {"paused_pollers_count", facts.paused_pollers}});
    }
    co_return Json{{"tick_rate", env::ns_per_s}, {"threads", std::move(threads)}};
}

Task<Result<Json>> get_pollers(Runtime& runtime) {
    Json threads = Json::array();
    co_await visit_threads(runtime, [&threads](Reactor&, Thread& thread) {
        threads.push_back({{"name", thread.name()},
                           {"id", thread.id()},
                           {"active_pollers", describe_pollers(thread.active_pollers())},
                           {"timed_pollers", describe_pollers(thread.timed_pollers())},
                           {"paused_pollers", describe_pollers(thread.paused_pollers())}});
    });
    co_return Json{{"tick_rate", env::ns_per_s}, {"threads", std::move(threads)}};
}

Task<Result<Json>> get_io_channels(Runtime& runtime) {
    Json threads = Json::array();
    co_await visit_threads(runtime, [&threads](Reactor&, Thread& thread) {
        Json channels = Json::array();
        for (const auto& [device, channel] : thread.channels()) {
            channels.push_back({{"name", device->device_name()}, {"ref", channel->references()}});
        }
        threads.push_back({{"name", thread.name()}, {"io_channels", std::move(channels)}});
    });
    co_return Json{{"tick_rate", env::ns_per_s}, {"threads", std::move(threads)}};
}

Task<Result<Json>> get_reactors(Runtime& runtime, int process_id) {
    Json reactors = Json::array();
    const Reactor* last = nullptr;
    for (const ThreadFacts& facts : co_await look_at_threads(runtime)) {
        if (facts.reactor != last) {
            last = facts.reactor;
            reactors.push_back({{"lcore", last->cpu()},
                                {"name", last->name()},
                                {"tid", last->os_thread_id()},
                                {"busy", last->busy_ns()},
                                {"idle", last->idle_ns()},
                                {"in_interrupt", false},
                                {"lw_threads", Json::array()}});
        }
        reactors.back()["lw_threads"].push_back({{"name", facts.thread->name()},
                                                 {"id", facts.thread->id()},
                                                 {"cpumask", mask_of(facts.cpus)},
                                                 {"elapsed", facts.stats.busy_ns + facts.stats.idle_ns}});
    }
    for (Json& reactor : reactors) {
        const int cpu = reactor["lcore"];
        if (cpu < 0) continue;  // the control reactor is on any of them
        const env::CpuUsage usage = co_await offload([cpu] { return env::cpu_usage(static_cast<size_t>(cpu)); });
        reactor["numa_id"] = usage.numa_node;
        reactor["irq"] = usage.interrupts;
        reactor["sys"] = usage.system;
        reactor["usr"] = usage.user;
    }
    co_return Json{{"tick_rate", env::ns_per_s}, {"pid", process_id}, {"reactors", std::move(reactors)}};
}

}  // namespace

void add_thread_methods(rpc::Registry& registry, Runtime& runtime) {
    registry.add<rpc::NoParams>({.name = "thread_get_stats",
                                 .role = rpc::Role::read,
                                 .text = "Busy and idle time of each thread, in ticks",
                                 .result = "object"},
                                [&runtime](rpc::NoParams) { return get_stats(runtime); });
    registry.add<rpc::NoParams>({.name = "thread_get_pollers",
                                 .role = rpc::Role::read,
                                 .text = "The pollers of each thread",
                                 .result = "object"},
                                [&runtime](rpc::NoParams) { return get_pollers(runtime); });
    registry.add<rpc::NoParams>({.name = "thread_get_io_channels",
                                 .role = rpc::Role::read,
                                 .text = "The device contexts of each thread",
                                 .result = "object"},
                                [&runtime](rpc::NoParams) { return get_io_channels(runtime); });
    registry.add<rpc::NoParams>(
        {.name = "framework_get_reactors",
         .role = rpc::Role::read,
         .text = "The reactors and what runs on them",
         .result = "object"},
        [&runtime](rpc::NoParams) { return get_reactors(runtime, runtime.environment().process_id()); });
}

}  // namespace weft::app
