// A program on Weft's reactors, from its command line to its exit status:
//
//   Task<int> hello(weft::app::Application& app, const Settings& settings) {
//       …                                 // on the app thread; co_await what takes time
//       co_await app.serve();             // a server: until SIGTERM or SIGINT
//       co_return 0;
//   }
//
//   int main(int argc, char** argv) {
//       weft::app::Application app({.name = "hello", .text = "Says hello"});
//       Settings settings;
//       app.options().add_text("-H,--host", settings.host, "Whom to greet");
//       if (const auto status = app.parse(argc, argv)) return *status;
//       return app.run([&] { return hello(app, settings); });
//   }
//
// It owns the environment, the runtime and the OS threads of the reactors; the calling thread turns the control
// reactor.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "app/start/options.h"
#include "app/start/standard_options.h"
#include "base/result.h"
#include "env/environment.h"
#include "reactor/runtime.h"
#include "reactor/task.h"

namespace weft::env {
class SignalSource;
}

namespace weft::app {

struct ApplicationInfo {
    std::string name;  // of the program; its error messages begin with it
    std::string text;  // what it does, in a line
    // What --help prints last; may be empty. Called then.
    std::function<std::string()> usage;
    std::string version;  // what -v prints; default: Weft's
    // SIGINT, SIGTERM, SIGQUIT and SIGHUP come as events: `main` looks at is_stop_requested() or waits in serve().
    // Without it they end the program at once, as the system has it: for what changes nothing that lasts.
    bool catches_signals = true;
    env::TimeNs spin = 200 * env::ns_per_us;  // the default of --spin-us
    int manual_section = 1;                   // of the page that `--page man` prints
    std::string see_also;                // there, in roff
};

// From now on the program that runs out of memory says so in a line and ends at once with status 1: what was half done
// has no say. For the start and the stop of a program that others rely on, from before main().
void end_without_memory();
// From now on, and in a program that never called the other, it is an error of what wanted the memory (reactor/task.h);
// where nobody can answer, the program ends as above.
void answer_without_memory();

// One in a process. Used by the thread that made it; what `main` may call is marked.
class Application {
public:
    // Is awaited on the app thread; what it returns becomes the exit status. Nothing of it, nor of what it spawned, is
    // left when it ends. Kept as long as the Application, so that it may be a lambda with captures.
    using Main = std::move_only_function<Task<int>()>;
    // Turns all reactors of the runtime, in any threads; each reactor always in the same one. Returns when the control
    // reactor is_stopping() and no thread turns any reactor any more. Errors: it could not begin, and no reactor was
    // turned. See docs/embedding.md.
    using Loop = std::move_only_function<Result<void>(Runtime& runtime)>;

    explicit Application(ApplicationInfo info);
    Application(const Application&) = delete;
    Application& operator=(const Application&) = delete;
    ~Application();

    // For the program's own options, before parse(). Log flags (-L) are to be registered before that, too.
    [[nodiscard]] Options& options() { return options_; }
    // The exit status to leave with when all is said: --help, --version, or an error, which was printed.
    [[nodiscard]] std::optional<int> parse(int argc, const char* const* argv);
    // What parse() found; may be changed until run().
    [[nodiscard]] StandardOptions& standard() { return standard_; }

    // Once: reactors run, in threads of their own or by `loop`, as long as `main` does. Returns its exit status, or 1
    // with a message on standard error when there can be no reactors. An exception out of a turn ends the program,
    // likewise.
    int run(Main main, Loop loop = {});

    // For `main`, and for what outlives it until the Application ends:
    [[nodiscard]] Runtime& runtime() const { return *runtime_; }
    // For `main`. The program is ready and serves: tells the service manager so, gives it signs of life if it wants
    // some, and comes back when the program is to stop. At once, when that is so already.
    Task<void> serve();
    [[nodiscard]] bool is_stop_requested() const { return is_stop_requested_; }
    // As SIGTERM. App thread.
    void request_stop();
    // Called by SIGHUP, on the app thread. Without it SIGHUP stops the program.
    std::function<void()> on_reload;

private:
    class AppThread;

    Result<void> prepare();
    Result<void> turn_reactors(Loop& loop);
    int live_and_end(Main main, Loop loop);
    Task<void> live();
    void on_signal(int number);
    int fail_to_start(const Error& error) const;
    int report_exception() const;

    const ApplicationInfo info_;
    Options options_;
    StandardOptions standard_;
    std::unique_ptr<StandardOptionsParser> parser_;
    Main main_;
    std::unique_ptr<env::SignalSource> signals_;
    std::unique_ptr<env::Environment> environment_;
    std::unique_ptr<Runtime> runtime_;
    std::unique_ptr<AppThread> app_thread_;
    bool is_stop_requested_ = false;
    int status_ = 1;
};

}  // namespace weft::app
