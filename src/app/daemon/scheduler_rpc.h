// framework_set_scheduler, framework_get_scheduler, scheduler_set_options, thread_set_cpumask: which thread lives
// where.
#pragma once

#include <functional>

#include "reactor/runtime.h"
#include "reactor/scheduler.h"
#include "rpc/config_key.h"
#include "rpc/registry.h"

namespace weft::app {

// The scheduler and what save_config says of it. Lives on the app thread.
class Scheduling {
public:
    explicit Scheduling(Runtime& runtime) : runtime_(runtime), scheduler_(runtime) {}

    [[nodiscard]] Runtime& runtime() const { return runtime_; }
    [[nodiscard]] Scheduler& scheduler() { return scheduler_; }
    Task<void> stop() { return scheduler_.stop(); }

    void write_config(Json& entries) const;
    // Null for a key that is not of here, or says what is so anyway.
    [[nodiscard]] Json config_entry(const rpc::ConfigKey& key) const;

private:
    Runtime& runtime_;
    Scheduler scheduler_;
};

// `on_change` is told the kind of what was set (rpc::scheduler_kind, …).
void add_scheduler_methods(rpc::Registry& registry, Scheduling& scheduling,
                           const std::function<void(const char* kind)>& on_change);

}  // namespace weft::app
