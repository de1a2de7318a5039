#include "app/cli/session.h"

#include <fmt/format.h>

#include <cstdio>

#include "app/cli/subcommand.h"
#include "env/linux/os_thread.h"

namespace weft::cli {

namespace {

int fail_to_start(const Error& error) {
    fmt::print(stderr, "weft: {}\n", error.message);
    return exit_failed;
}

Task<void> run_body(std::move_only_function<Task<int>(Runtime&)>& body, Runtime& runtime, int& code) {
    code = co_await body(runtime);
    runtime.control().stop();
}

}  // namespace

int run_session(const SessionOptions& options, std::move_only_function<Task<int>(Runtime& runtime)> body) {
    auto environment = env::make_linux_environment();
    if (!environment) return fail_to_start(environment.error());
    auto runtime = Runtime::create(**environment, {.cpus = options.data_cpus, .spin = options.data_spin});
    if (!runtime) return fail_to_start(runtime.error());

    int code = exit_failed;
    {
        std::vector<std::unique_ptr<env::OsThread>> threads;
        const auto stop_all = [&runtime] {
            for (const auto& reactor : (*runtime)->data_reactors()) reactor->stop();
        };
        for (const auto& reactor : (*runtime)->data_reactors()) {
            auto thread = env::OsThread::start({.name = reactor->name(), .cpu = reactor->cpu()},
                                               [running = reactor.get()] { running->run(); });
            if (!thread) {
                stop_all();
                return fail_to_start(thread.error());
            }
            threads.push_back(std::move(*thread));
        }
        {
            const CurrentThread scope(&(*runtime)->app_thread());
            spawn(run_body(body, **runtime, code));
        }
        (*runtime)->control().run();
        stop_all();
    }  // joins the threads
    return code;
}

}  // namespace weft::cli
