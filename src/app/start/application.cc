#include "app/start/application.h"

#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <iostream>
#include <new>

#include "app/manual/manual.h"
#include "app/manual/version.h"
#include "app/start/reactor_threads.h"
#include "app/start/watchdog.h"
#include "base/assert.h"
#include "base/log.h"
#include "env/linux/os_thread.h"
#include "env/linux/service.h"
#include "env/linux/signals.h"

namespace weft::app {

// What lives on the app thread: the beginning of `main` (in the control reactor's first turn, so that nothing has begun
// when there is none), signals, the watchdog, and who waits for the stop.
class Application::AppThread final : public EventSource {
public:
    explicit AppThread(Application& app)
        : watchdog(*app.runtime_),
          app_(app),
          begin_(
              app.runtime_->app_thread(), [](void* self) { spawn(static_cast<AppThread*>(self)->app_.live()); }, this) {
        begin_.start_at(0);
    }
    uint32_t on_events(uint32_t) override {
        while (const auto number = app_.signals_->next()) app_.on_signal(*number);
        return 1;
    }

    Watchdog watchdog;
    WaitList stop_waiters;

private:
    Application& app_;
    Timer begin_;
};

namespace {

// No destructor runs: they expect that what was begun was also ended.
[[noreturn]] void on_memory_out() {
    std::fputs("out of memory: the program ends; give it more, or let it do less\n", stderr);
    std::_Exit(1);
}

[[noreturn]] void on_terminate() {
    if (const std::exception_ptr current = std::current_exception()) {
        try {
            std::rethrow_exception(current);
        } catch (const std::bad_alloc&) {
            on_memory_out();
        } catch (const std::exception& error) {
            std::fprintf(stderr, "an exception that nobody expects: %s\n", error.what());
        } catch (...) {
            std::fputs("an exception that nobody expects\n", stderr);
        }
    }
    std::abort();
}

}  // namespace

void end_without_memory() {
    std::set_terminate(on_terminate);
    std::set_new_handler(on_memory_out);
}

void answer_without_memory() { std::set_new_handler(nullptr); }

Application::Application(ApplicationInfo info) : info_(std::move(info)), options_(info_.name, info_.text, info_.usage) {
    std::set_terminate(on_terminate);
    standard_.spin = info_.spin;
}

Application::~Application() = default;

std::optional<int> Application::parse(int argc, const char* const* argv) {
    WEFT_ASSERT(parser_ == nullptr);
    CLI::App& cli = options_.cli();
    try {
        parser_ = std::make_unique<StandardOptionsParser>(options_, standard_);
        const std::string version = info_.version.empty() ? std::string("Weft v") + version_text : info_.version;
        if (cli.get_option_no_throw("-v") == nullptr) {
            cli.set_version_flag("-v,--version", version);
        } else {
            cli.set_version_flag("--version", version);
        }
        add_page_option(cli, {.name = info_.name,
                              .section = info_.manual_section,
                              .version = version_text,
                              .see_also = info_.see_also,
                              .bash_more = ""});
        cli.parse(argc, argv);
        if (auto done = parser_->finish(); !done) return fail_to_start(done.error());
        return std::nullopt;
    } catch (const CLI::ParseError& error) {
        return cli.exit(error, std::cout, std::cerr) == 0 ? 0 : 1;
    } catch (...) {
        return report_exception();
    }
}

int Application::run(Main main, Loop loop) {
    WEFT_ASSERT(runtime_ == nullptr);
    try {
        return live_and_end(std::move(main), std::move(loop));
    } catch (...) {
        // What a turn has left half done is not to be cleared up.
        const int status = report_exception();
        std::cout.flush();
        std::_Exit(status);
    }
}

int Application::live_and_end(Main main, Loop loop) {
    main_ = std::move(main);
    if (auto ready = prepare(); !ready) return fail_to_start(ready.error());
    const Result<void> turned = turn_reactors(loop);
    const CurrentThread scope(&runtime_->app_thread());
    app_thread_->unwatch();
    if (!turned) return fail_to_start(turned.error());
    return status_;
}

Result<void> Application::prepare() {
    if (info_.catches_signals) {
        // Before any other OS thread: a signal goes to a thread that does not block it.
        auto signals = env::SignalSource::create({SIGINT, SIGTERM, SIGQUIT, SIGHUP});
        if (!signals) return std::unexpected(std::move(signals).error());
        signals_ = std::move(*signals);
    }
    auto environment = env::make_linux_environment();
    if (!environment) return std::unexpected(std::move(environment).error());
    environment_ = std::move(*environment);
    auto runtime =
        Runtime::create(*environment_, {.cpus = standard_.cpus, .pin = standard_.pin, .spin = standard_.spin});
    if (!runtime) return std::unexpected(std::move(runtime).error());
    runtime_ = std::move(*runtime);
    const CurrentThread scope(&runtime_->app_thread());
    app_thread_ = std::make_unique<AppThread>(*this);
    if (signals_ == nullptr) return {};
    return app_thread_->watch(runtime_->app_thread(), *signals_, {});
}

Result<void> Application::turn_reactors(Loop& loop) {
    if (loop) return loop(*runtime_);
    auto threads = ReactorThreads::start(*runtime_, standard_.pin);
    if (!threads) return std::unexpected(std::move(threads).error());
    for (const auto& reactor : runtime_->data_reactors()) {
        WEFT_NOTICELOG("Reactor started on core {}", reactor->cpu());
    }
    runtime_->control().set_os_thread_id(env::current_os_thread_id());
    // What management does is in nobody's way where there is a CPU left for it.
    if (standard_.pin) env::keep_off(standard_.cpus);
    runtime_->control().run();
    return {};
}

Task<void> Application::live() {
    status_ = co_await main_();
    co_await app_thread_->watchdog.stop();
    runtime_->control().stop();
}

Task<void> Application::serve() {
    if (!is_stop_requested_) {
        env::tell_service_manager("READY=1");
        app_thread_->watchdog.start();
        while (!is_stop_requested_) co_await app_thread_->stop_waiters.wait();
    }
    env::tell_service_manager("STOPPING=1");
    co_await app_thread_->watchdog.stop();
}

void Application::request_stop() {
    is_stop_requested_ = true;
    app_thread_->stop_waiters.wake_all();
}

void Application::on_signal(int number) {
    const bool is_reload = number == SIGHUP && on_reload;
    WEFT_NOTICELOG("signal {}: {}", number, is_reload ? "reading the configuration again" : "stopping");
    if (is_reload) {
        on_reload();
    } else {
        request_stop();
    }
}

int Application::fail_to_start(const Error& error) const {
    fmt::print(stderr, "{}: {}\n", info_.name, error.message);
    return 1;
}

// Of the exception that is being handled.
int Application::report_exception() const {
    try {
        throw;
    } catch (const std::bad_alloc&) {
        std::fprintf(stderr, "%s: out of memory\n", info_.name.c_str());
    } catch (const std::exception& error) {
        std::fprintf(stderr, "%s: %s\n", info_.name.c_str(), error.what());
    }
    return 1;
}

}  // namespace weft::app
