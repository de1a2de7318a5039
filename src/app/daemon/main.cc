// weftd: the daemon, between its command line and its exit status.
#include <fmt/format.h>

#include <optional>

#include "app/daemon/daemon.h"
#include "app/daemon/options.h"
#include "app/daemon/rpc_examples.h"
#include "app/start/application.h"
#include "base/log.h"
#include "env/linux/privilege.h"
#include "env/linux/service.h"

namespace weft::app {
namespace {

constexpr const char* usage =
    "Without options: an empty target (no transport, no subsystem) on CPU 0, controlled through\n"
    "/var/tmp/spdk.sock by 'weft rpc' or the field's rpc.py.\n"
    "Example: weftd -m '[0-1]' --demo      then: nvme connect -t tcp -a 127.0.0.1 -s 4420 "
    "-n nqn.2016-06.io.spdk:cnode1";

Task<void> reload(Daemon& daemon, Gate& reloading) {
    if (!reloading.try_enter()) co_return;
    co_await yield();
    env::tell_service_manager("RELOADING=1");
    if (auto done = co_await daemon.reload(); !done) {
        WEFT_ERRLOG("reload: {}; the target is as it was", done.error().message);
    }
    env::tell_service_manager("READY=1");
    reloading.leave();
}

// The daemon is made here, since it needs the runtime, but ends after the reactors, also when a call is stuck in it.
Task<int> live(Application& app, const DaemonOptions& options, std::vector<LoadedModule>& modules,
               std::optional<Daemon>& made) {
    Daemon& daemon = made.emplace(app.runtime(), options);
    for (LoadedModule& module : modules) {
        if (auto added = daemon.add_module(std::move(module)); !added) {
            fmt::print(stderr, "weftd: {}\n", added.error().message);
            co_return 1;
        }
    }
    if (options.prints_reference) {
        auto methods = daemon.methods().descriptions();
        for (rpc::MethodDescription& method : methods) method.example = rpc_example(method.name);
        fmt::print(
            "# RPC methods\n\nMade by `weftd --rpc-reference` from the declarations of the methods; not written by "
            "hand. Each example is run by the tests, in a target with bdevs Malloc0, Null0, File0 and Ring0 and a "
            "subsystem "
            "that shows Null0.\n\n{}",
            rpc::to_markdown(methods));
        co_return 0;
    }
    daemon.on_stop_request = [&app](int) { app.request_stop(); };
    app.on_reload = [] {};  // it means nothing before the start, and from the stop on
    if (auto started = co_await daemon.start(); !started) {
        WEFT_ERRLOG("{}", started.error().message);
        co_return 1;
    }
    answer_without_memory();
    Gate reloading;
    app.on_reload = [&] { spawn(reload(daemon, reloading)); };
    co_await app.serve();
    app.on_reload = [] {};
    co_await reloading.close();
    end_without_memory();
    co_await daemon.stop();
    co_return 0;
}

int run(int argc, char** argv) {
    Application app({.name = "weftd",
                     .text = "weftd: exports block devices over NVMe/TCP from polled reactors that sleep when idle",
                     .usage = [] { return usage; },
                     .manual_section = 8,
                     .see_also = "\\fBweft\\fR(1)"});
    register_log_flags();
    DaemonOptions options;
    declare_options(app.options(), options);
    if (const auto status = app.parse(argc, argv)) return *status;
    if (options.rpc_addresses.empty()) options.rpc_addresses = {default_rpc_path};
    if (options.prints_reference) log::set_print_level(log::Level::error);
    // First of all: afterwards no file may become code.
    auto modules = load_modules(options.module_files);
    if (!modules) {
        fmt::print(stderr, "weftd: {}\n", modules.error().message);
        return 1;
    }
    // Nothing that is opened later needs a right that is not named.
    if (!options.prints_reference) {
        if (auto done = env::drop_privileges(options.privileges); !done) {
            fmt::print(stderr, "weftd: {}\n", done.error().message);
            return 1;
        }
    }
    std::optional<Daemon> daemon;
    const int status = app.run([&] { return live(app, options, *modules, daemon); });
    if (status == 0 && !options.prints_reference) WEFT_NOTICELOG("stopped in order");
    return status;
}

}  // namespace
}  // namespace weft::app

// Before the static objects of libraries, which allocate too.
[[gnu::constructor(101)]] static void begin() { weft::app::end_without_memory(); }

int main(int argc, char** argv) { return weft::app::run(argc, argv); }
