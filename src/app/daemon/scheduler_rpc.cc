#include "app/daemon/scheduler_rpc.h"

#include <fmt/format.h>

#include <algorithm>
#include <optional>

#include "rpc/json.h"

namespace weft::app {

namespace {

constexpr uint64_t period_us_max = 24ULL * 3600 * 1'000'000;

struct SetScheduler {
    std::string name;
    std::optional<uint64_t> period;
    std::optional<uint8_t> load_limit, core_limit, core_busy;
    std::optional<std::string> mappings;
    static constexpr auto fields() {
        using P = SetScheduler;
        return rpc::fields(
            rpc::required("name", &P::name, "static: threads stay where they are made; dynamic: see below"),
            rpc::optional("period", &P::period, "Microseconds between two looks of the dynamic scheduler"),
            rpc::optional("load_limit", &P::load_limit, "Percent: threads below live with the other light ones"),
            rpc::optional("core_limit", &P::core_limit, "Percent: so far reactors are filled when threads gather"),
            rpc::optional("core_busy", &P::core_busy, "Percent: threads from here on have a reactor to themselves"),
            rpc::optional("mappings", &P::mappings, "Not supported: thread_set_cpumask places a thread"));
    }
};

struct SetOptions {
    std::optional<uint32_t> scheduling_core;
    std::optional<std::string> isolated_core_mask;
    static constexpr auto fields() {
        return rpc::fields(rpc::optional("scheduling_core", &SetOptions::scheduling_core,
                                         "CPU of the reactor on which light threads gather; by default the first"),
                           rpc::optional("isolated_core_mask", &SetOptions::isolated_core_mask,
                                         "CPUs of the reactors that no thread is moved to or from"));
    }
};

struct SetCpuMask {
    uint64_t id = 0;
    std::string cpumask;
    static constexpr auto fields() {
        return rpc::fields(rpc::required("id", &SetCpuMask::id, "Of the thread, from thread_get_stats"),
                           rpc::required("cpumask", &SetCpuMask::cpumask, "The CPUs it may run on: 0x3, [0,1]"));
    }
};

size_t cpu_of(const Runtime& runtime, size_t reactor) {
    return static_cast<size_t>(runtime.data_reactors()[reactor]->cpu());
}

std::string isolated_mask(const Runtime& runtime, const Scheduler::Options& options) {
    std::string list;
    for (size_t at = 0; at < options.isolated.size(); ++at) {
        if (options.isolated[at]) list += fmt::format("{}{}", list.empty() ? "" : ",", cpu_of(runtime, at));
    }
    return list.empty() ? "0" : CpuSet::parse("[" + list + "]")->to_mask();
}

Result<Json> set_scheduler(Scheduler& scheduler, const SetScheduler& params) {
    if (params.name != "static" && params.name != "dynamic") {
        return fail(Errc::invalid_argument, "name: there are two schedulers, static and dynamic");
    }
    if (!params.mappings.value_or("").empty()) {
        return fail(Errc::invalid_argument, "mappings: is not supported; thread_set_cpumask places a thread");
    }
    Scheduler::Options options = scheduler.options();
    options.is_dynamic = params.name == "dynamic";
    if (params.period.value_or(0) > period_us_max) {
        return fail(Errc::invalid_argument, "period: is longer than a day of microseconds");
    }
    if (params.period.value_or(0) > 0) options.period = *params.period * env::ns_per_us;
    LoadLimits& limits = options.limits;
    limits = {.load_limit = params.load_limit.value_or(limits.load_limit),
              .core_limit = params.core_limit.value_or(limits.core_limit),
              .core_busy = params.core_busy.value_or(limits.core_busy)};
    const std::pair<const char*, uint8_t> named[] = {
        {"load_limit", limits.load_limit}, {"core_limit", limits.core_limit}, {"core_busy", limits.core_busy}};
    for (const auto& [name, value] : named) {
        if (value > 100) return fail(Errc::invalid_argument, fmt::format("{}: {} is more than 100 %", name, value));
    }
    scheduler.set(std::move(options));
    return Json(true);
}

Result<Json> set_options(Scheduling& scheduling, const SetOptions& params) {
    const Runtime& runtime = scheduling.runtime();
    const auto& reactors = runtime.data_reactors();
    Scheduler::Options options = scheduling.scheduler().options();
    if (params.scheduling_core) {
        const auto at = std::ranges::find(reactors, static_cast<int>(*params.scheduling_core), &Reactor::cpu);
        if (at == reactors.end()) {
            return fail(Errc::invalid_argument,
                        fmt::format("scheduling_core: no reactor runs on CPU {}; -m says where they run",
                                    *params.scheduling_core));
        }
        options.first = static_cast<size_t>(at - reactors.begin());
    }
    if (params.isolated_core_mask) {
        CpuSet isolated;
        // The field writes a mask of none, too; elsewhere that is a mistake.
        if (params.isolated_core_mask != "0" && params.isolated_core_mask != "0x0") {
            auto parsed = CpuSet::parse(*params.isolated_core_mask);
            if (!parsed) {
                return fail(parsed.error().code, fmt::format("isolated_core_mask: {}", parsed.error().message));
            }
            isolated = *parsed;
        }
        options.isolated.clear();
        for (size_t at = 0; at < reactors.size(); ++at) {
            options.isolated.push_back(isolated.contains(cpu_of(runtime, at)));
        }
    }
    if (options.first < options.isolated.size() && options.isolated[options.first]) {
        return fail(Errc::invalid_argument,
                    fmt::format("isolated_core_mask: CPU {} is the scheduling core", cpu_of(runtime, options.first)));
    }
    scheduling.scheduler().set(std::move(options));
    return Json(true);
}

Json describe(Scheduling& scheduling) {
    const Scheduler::Options& options = scheduling.scheduler().options();
    Json facts = {{"scheduler_name", options.is_dynamic ? "dynamic" : "static"},
                  {"scheduler_period", options.period / env::ns_per_us},
                  {"isolated_core_mask", isolated_mask(scheduling.runtime(), options)},
                  {"scheduling_core", cpu_of(scheduling.runtime(), options.first)}};
    if (!options.is_dynamic) return facts;
    facts["load_limit"] = options.limits.load_limit;
    facts["core_limit"] = options.limits.core_limit;
    facts["core_busy"] = options.limits.core_busy;
    return facts;
}

Task<Result<Json>> set_cpumask(Runtime& runtime, SetCpuMask params) {
    const auto cpus = CpuSet::parse(params.cpumask);
    if (!cpus) co_return fail(cpus.error().code, fmt::format("cpumask: {}", cpus.error().message));
    WEFT_CO_TRY(co_await runtime.placement().set_cpus(params.id, *cpus));
    co_return Json(true);
}

}  // namespace

Json Scheduling::config_entry(const rpc::ConfigKey& key) const {
    const Scheduler::Options& options = scheduler_.options();
    if (key.kind == rpc::scheduler_kind) {
        Json params = {{"name", options.is_dynamic ? "dynamic" : "static"}};
        if (options.is_dynamic) {
            params["period"] = options.period / env::ns_per_us;
            params["load_limit"] = options.limits.load_limit;
            params["core_limit"] = options.limits.core_limit;
            params["core_busy"] = options.limits.core_busy;
        }
        return {{"method", key.kind}, {"params", std::move(params)}};
    }
    if (key.kind != rpc::scheduler_options_kind) return {};
    const std::string isolated = isolated_mask(runtime_, options);
    if (options.first == 0 && isolated == "0") return {};
    return {{"method", key.kind},
            {"params", {{"scheduling_core", cpu_of(runtime_, options.first)}, {"isolated_core_mask", isolated}}}};
}

void Scheduling::write_config(Json& entries) const {
    for (const char* kind : {rpc::scheduler_options_kind, rpc::scheduler_kind}) {
        if (Json entry = config_entry({kind, "", ""}); !entry.is_null()) entries.push_back(std::move(entry));
    }
}

void add_scheduler_methods(rpc::Registry& registry, Scheduling& scheduling,
                           const std::function<void(const char* kind)>& on_change) {
    registry.add<SetScheduler>(
        {.name = rpc::scheduler_kind,
         .role = rpc::Role::admin,
         .text =
             "Chooses how threads are placed. The dynamic scheduler looks at the load now and then, gathers threads "
             "on few reactors, so that the others sleep, and spreads them again when there is more to do",
         .states = rpc::States::any,
         .changes_config = true},
        [&scheduling, on_change](SetScheduler params) -> Task<Result<Json>> {
            auto done = set_scheduler(scheduling.scheduler(), params);
            if (done) on_change(rpc::scheduler_kind);
            co_return done;
        });
    registry.add<SetOptions>({.name = rpc::scheduler_options_kind,
                              .role = rpc::Role::admin,
                              .text = "Where threads gather, and what is left alone",
                              .states = rpc::startup,
                              .changes_config = true},
                             [&scheduling, on_change](SetOptions params) -> Task<Result<Json>> {
                                 auto done = set_options(scheduling, params);
                                 if (done) on_change(rpc::scheduler_options_kind);
                                 co_return done;
                             });
    registry.add<rpc::NoParams>({.name = "framework_get_scheduler",
                                 .role = rpc::Role::read,
                                 .text = "How threads are placed",
                                 .states = rpc::States::any,
                                 .result = "object: scheduler_name, scheduler_period (microseconds), …"},
                                [&scheduling](rpc::NoParams) -> Task<Result<Json>> { co_return describe(scheduling); });
    registry.add<SetCpuMask>(
        {.name = "thread_set_cpumask",
         .role = rpc::Role::admin,
         .text = "Lets a thread run on some CPUs only; it is moved there while it works"},
        [&runtime = scheduling.runtime()](SetCpuMask params) { return set_cpumask(runtime, std::move(params)); });
}

}  // namespace weft::app
