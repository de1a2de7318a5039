// The daemon: builds the target out of the rooms, in order, and takes it down again. Lives on the app thread.
#pragma once

#include <memory>
#include <vector>

#include "accel/framework.h"
#include "app/daemon/loaded_module.h"
#include "app/daemon/module.h"
#include "app/daemon/notifications.h"
#include "app/daemon/options.h"
#include "app/daemon/remote.h"
#include "app/daemon/scheduler_rpc.h"
#include "app/daemon/sockets.h"
#include "app/daemon/tracing.h"
#include "app/observe/pages.h"
#include "app/state/keeper.h"
#include "bdev/bdev_rpc.h"
#include "bdev/registry.h"
#include "bdev/stack/awaited.h"
#include "bdev_modules/gpt/gpt_device.h"
#include "bdev_modules/raid/raids.h"
#include "env/memory_budget.h"
#include "keyring/keyring.h"
#include "nvmf/rpc/rpc.h"
#include "nvmf/target.h"
#include "reactor/runtime.h"
#include "rpc/registry.h"

namespace weft::app {

// Of a configuration file.
inline constexpr size_t config_bytes_max = size_t{64} << 20;

class Daemon {
public:
    Daemon(Runtime& runtime, const DaemonOptions& options);
    Daemon(const Daemon&) = delete;
    Daemon& operator=(const Daemon&) = delete;
    ~Daemon();

    // A module of somebody else's, whose methods are there from now on. Before start(). Errors: it is refused, and the
    // daemon must not be started.
    Result<void> add_module(LoadedModule module);

    // From nothing to serving: RPC server, modules, configuration, demo. What failed is undone, as by stop().
    Task<Result<void>> start();
    // Once, and not from a call. Calls that wait for what will not come any more end first.
    Task<void> stop();

    // Reads certificates and roles again, and makes the target what the file of -c says now, as `weft apply` does: one
    // transaction. Errors: why it is as it was; also that there is nothing to read.
    Task<Result<void>> reload();

    // Starts the modules: framework_start_init. Errors: busy when that was done; cancelled after stop().
    Task<Result<void>> start_framework();
    // Ends when the modules have started: framework_wait_init. Errors: cancelled when stop() comes first.
    Task<Result<void>> wait_for_framework();

    [[nodiscard]] Runtime& runtime() const { return runtime_; }
    [[nodiscard]] const Modules& modules() const { return modules_; }
    [[nodiscard]] rpc::Registry& methods() { return methods_; }
    [[nodiscard]] bdev::Registry& devices() { return bdevs_; }
    [[nodiscard]] nvmf::Target* target() const { return target_.get(); }
    // nullptr without --state.
    [[nodiscard]] state::Keeper* keeper() const { return keeper_.get(); }
    // The entries of save_config that make what runs.
    [[nodiscard]] Json config_entries() const;
    // Asks the program to end, as SIGTERM does.
    std::function<void(int signal)> on_stop_request;

private:
    void add_modules();
    void add_target_module();
    void add_methods();
    void add_target_methods();
    void warn_of_unknown_names() const;
    [[nodiscard]] Json write_bdev_config() const;
    Task<Result<void>> bring_up();
    Task<void> wait_for_calls();
    Task<Result<void>> open_rpc_servers();
    Task<Result<void>> start_tracing();
    Task<Result<void>> confine_files();
    Result<void> open_pages();
    // daemon_state.cc
    Task<Result<void>> open_state();
    Task<Result<void>> restore_state();
    Task<Result<void>> keep_as_one(Task<Result<void>> work, bool is_anew);
    Task<Result<void>> load_config();
    Task<Result<void>> set_up_demo();
    Task<Result<Json>> call(std::string method, Json params);

    Runtime& runtime_;
    const DaemonOptions options_;
    Tracing tracing_{runtime_, options_.trace_entries};
    std::vector<LoadedModule> loaded_;  // longer than methods and devices, which may be theirs
    rpc::Registry methods_;
    env::MemoryShare own_memory_;
    keyring::Keyring keys_;
    accel::Framework accel_;
    bdev::Registry bdevs_;
    const bdev::ModuleContext module_context_{runtime_, methods_, bdevs_, accel_, runtime_.data_reactors().size() > 1};
    bdev::Awaited awaited_bdevs_{bdevs_};
    bdev::GptExaminer gpt_{bdevs_};
    bdev::BdevOptions bdev_options_;
    bdev::Raids raids_{bdevs_, accel_, runtime_.data_reactors().size() > 1};
    Modules modules_;
    SockSettings sockets_;
    Scheduling scheduling_;
    Notifications notifications_;
    nvmf::TargetHolder holder_;
    std::unique_ptr<nvmf::Target> target_;
    std::unique_ptr<state::Keeper> keeper_;
    bool loads_config_file_ = false;
    bool is_demo_wanted_ = false;
    Remote remote_;
    std::unique_ptr<Pages> pages_;
    bool is_framework_started_ = false;
    bool is_framework_starting_ = false;
    bool is_stopping_ = false;
    WaitList framework_started_;
};

// The methods about the process itself.
void add_framework_methods(rpc::Registry& registry, Daemon& daemon);
void add_thread_methods(rpc::Registry& registry, Runtime& runtime);
void add_log_methods(rpc::Registry& registry);
void add_state_methods(rpc::Registry& registry, Daemon& daemon);

}  // namespace weft::app
