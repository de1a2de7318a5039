#include "app/cli/bdev/device_session.h"

#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <cstdio>

#include "app/cli/subcommand.h"
#include "base/log.h"

namespace weft::cli {

namespace {

using Body = std::move_only_function<Task<int>(app::Daemon& daemon)>;
using Prepare = std::move_only_function<void(app::Daemon& daemon)>;

int refuse(const Error& error) {
    fmt::print(stderr, "weft: {}\n", error.message);
    return exit_failed;
}

Task<int> live(Runtime& runtime, const app::DaemonOptions& options, std::vector<app::LoadedModule>& modules, Body& body,
               Prepare& prepare) {
    app::Daemon daemon(runtime, options);
    for (app::LoadedModule& module : modules) {
        if (auto added = daemon.add_module(std::move(module)); !added) co_return refuse(added.error());
    }
    if (prepare) prepare(daemon);
    if (auto started = co_await daemon.start(); !started) co_return refuse(started.error());
    const int status = co_await body(daemon);
    co_await daemon.stop();
    co_return status;
}

}  // namespace

void add_device_options(CLI::App& app, DeviceOptions& options) {
    const char* const group = "Devices";
    app.add_option("-c,--config", options.config_file,
                   "JSON configuration, as weftd's; what it says of a target is left out")
        ->required()
        ->group(group);
    app.add_option("--module", options.module_files, "Load block devices from this shared library; may be repeated")
        ->allow_extra_args(false)
        ->group(group);
}

int run_with_devices(const SessionOptions& session, const DeviceOptions& options, Body body, Prepare prepare) {
    log::set_print_level(log::Level::warning);
    app::DaemonOptions daemon;
    daemon.has_target = false;
    daemon.config_file = options.config_file;
    daemon.has_rpc_server = !options.rpc_addresses.empty();
    daemon.rpc_addresses = options.rpc_addresses;
    auto modules = app::load_modules(options.module_files);
    if (!modules) return refuse(modules.error());
    return run_session(session, [&](Runtime& runtime) { return live(runtime, daemon, *modules, body, prepare); });
}

}  // namespace weft::cli
