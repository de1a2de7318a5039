#include "app/cli/session.h"

#include <fmt/format.h>

#include <cstdio>

#include "app/cli/subcommand.h"
#include "app/start/reactor_threads.h"

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
    const auto threads = app::ReactorThreads::start(**runtime, true);
    if (!threads) return fail_to_start(threads.error());
    {
        const CurrentThread scope(&(*runtime)->app_thread());
        spawn(run_body(body, **runtime, code));
    }
    (*runtime)->control().run();
    return code;
}

}  // namespace weft::cli
