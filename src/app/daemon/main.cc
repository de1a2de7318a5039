// weftd: the daemon. Reactors run on OS threads of their own; this thread runs the control reactor.
#include <fmt/format.h>

#include <csignal>
#include <cstdio>
#include <exception>
#include <new>

#include "app/daemon/daemon.h"
#include "app/daemon/options.h"
#include "app/daemon/watchdog.h"
#include "base/log.h"
#include "env/linux/os_thread.h"
#include "env/linux/service.h"
#include "env/linux/signals.h"
#include "reactor/runtime.h"

namespace weft::app {
namespace {

// Ends the program in order: once when asked to, and only after a start that is under way has come to its end.
class Life {
public:
    Life(Daemon& daemon, Reactor& control) : daemon_(daemon), control_(control), watchdog_(daemon.runtime()) {}

    Task<void> start() {
        Result<void> done = co_await daemon_.start();
        is_started_ = true;
        if (!done) {
            WEFT_ERRLOG("{}", done.error().message);
            status = 1;
            control_.stop();
            co_return;
        }
        if (is_stop_wanted_) {
            co_await end();
            co_return;
        }
        env::tell_service_manager("READY=1");
        watchdog_.start();
    }
    void request_stop() {
        if (is_stop_wanted_) return;
        is_stop_wanted_ = true;
        if (is_started_) spawn(end());
    }
    // SIGHUP: the configuration file once more. Before the start and from the stop on it means nothing.
    void request_reload() {
        if (is_started_ && !is_stop_wanted_) spawn(reload());
    }
    int status = 0;

private:
    Task<void> reload() {
        co_await yield();
        env::tell_service_manager("RELOADING=1");
        if (auto done = co_await daemon_.reload(); !done) {
            WEFT_ERRLOG("reload: {}; the target is as it was", done.error().message);
        }
        env::tell_service_manager("READY=1");
    }
    Task<void> end() {
        co_await yield();
        env::tell_service_manager("STOPPING=1");
        co_await watchdog_.stop();
        co_await daemon_.stop();
        control_.stop();
    }
    Daemon& daemon_;
    Reactor& control_;
    Watchdog watchdog_;
    bool is_started_ = false;
    bool is_stop_wanted_ = false;
};

class SignalWatch final : public EventSource {
public:
    SignalWatch(env::SignalSource& signals, Life& life) : signals_(signals), life_(life) {}
    uint32_t on_events(uint32_t) override {
        while (const auto number = signals_.next()) {
            WEFT_NOTICELOG("signal {}: {}", *number,
                           *number == SIGHUP ? "reading the configuration again" : "stopping");
            if (*number == SIGHUP) {
                life_.request_reload();
            } else {
                life_.request_stop();
            }
        }
        return 1;
    }

private:
    env::SignalSource& signals_;
    Life& life_;
};

constexpr uint32_t log_lines_max = 50;
constexpr uint32_t log_window_ms = 5000;

int fail_start(const Error& error) {
    fmt::print(stderr, "weftd: {}\n", error.message);
    return 1;
}

int run(const DaemonOptions& options) {
    if (!options.log_flags.empty()) log::set_print_level(log::Level::debug);
    if (options.prints_reference) log::set_print_level(log::Level::error);
    // Whoever lets a component talk wants to hear all of it; otherwise no host shall fill the disk with our lines.
    if (options.log_flags.empty()) log::set_rate_limit(log_lines_max, log_window_ms);
    auto signals = env::SignalSource::create({SIGINT, SIGTERM, SIGQUIT, SIGHUP});
    if (!signals) return fail_start(signals.error());
    auto environment = env::make_linux_environment();
    if (!environment) return fail_start(environment.error());
    auto runtime = Runtime::create(**environment, {.cpus = options.cpus, .pin = options.pin, .spin = options.spin});
    if (!runtime) return fail_start(runtime.error());

    std::vector<std::unique_ptr<env::OsThread>> threads;
    const auto stop_reactors = [&] {
        for (const auto& reactor : (*runtime)->data_reactors()) reactor->stop();
        threads.clear();
    };
    for (const auto& reactor : (*runtime)->data_reactors()) {
        auto thread = env::OsThread::start({.name = reactor->name(), .cpu = options.pin ? reactor->cpu() : -1},
                                           [&reactor = *reactor] {
                                               reactor.set_os_thread_id(env::current_os_thread_id());
                                               WEFT_NOTICELOG("Reactor started on core {}", reactor.cpu());
                                               reactor.run();
                                           });
        if (!thread) {
            stop_reactors();
            return fail_start(thread.error());
        }
        threads.push_back(std::move(*thread));
    }
    Reactor& control = (*runtime)->control();
    control.set_os_thread_id(env::current_os_thread_id());
    Daemon daemon(**runtime, options);
    if (options.prints_reference) {
        fmt::print(
            "# RPC methods\n\nMade by `weftd --rpc-reference` from the declarations of the methods; not written by "
            "hand.\n\n{}",
            rpc::to_markdown(daemon.methods().descriptions()));
        stop_reactors();
        return 0;
    }
    for (const std::string& flag : options.log_flags) {
        if (log::set_flag(flag, true)) continue;
        stop_reactors();
        return fail_start(
            {Errc::invalid_argument, fmt::format("-L {}: there is no such log flag; -L all sets every one", flag)});
    }
    Life life(daemon, control);
    daemon.on_stop_request = [&life](int) { life.request_stop(); };
    SignalWatch watch(**signals, life);
    {
        const CurrentThread scope(&(*runtime)->app_thread());
        if (auto watched = watch.watch((*runtime)->app_thread(), **signals, {}); !watched) {
            stop_reactors();
            return fail_start(watched.error());
        }
        spawn(life.start());
    }
    control.run();
    stop_reactors();
    const CurrentThread scope(&(*runtime)->app_thread());
    watch.unwatch();
    if (life.status == 0) WEFT_NOTICELOG("stopped in order");
    return life.status;
}

}  // namespace
}  // namespace weft::app

int main(int argc, char** argv) {
    try {
        const weft::app::CommandLine line = weft::app::parse_command_line(argc, argv);
        return line.exit_status ? *line.exit_status : weft::app::run(line.options);
    } catch (const std::bad_alloc&) {
        std::fputs("weftd: out of memory\n", stderr);
    } catch (const std::exception& error) {
        fmt::print(stderr, "weftd: {}\n", error.what());
    }
    return 1;
}
