// Every method of weftd with any parameters, in any order: a daemon in the simulated world, and lines of a method's
// name and its parameters as JSON.
//
// Each call ends, or waits for something and ends when the daemon stops. What save_config would write at the end makes
// the same target again in a fresh daemon, entry by entry.
#include <algorithm>
#include <deque>
#include <string>

#include "app/daemon/daemon.h"
#include "base/assert.h"
#include "base/log.h"
#include "bdev/test_runtime.h"
#include "env/sim/world.h"
#include "rpc/json.h"

namespace weft::app {
namespace {

constexpr size_t calls_max = 24;
constexpr size_t line_bytes_max = 4096;

// A daemon on a machine of its own.
class Machine {
public:
    Machine() {
        env::Files& files = environment().files();
        for (const char* path : {"/a", "/b"}) {
            auto file = files.open(path, {.create = true});
            WEFT_ASSERT(file && (*file)->resize(64 << 10));
        }
        DaemonOptions options;
        options.has_rpc_server = false;
        options.trace_entries = 0;
        daemon_ = std::make_unique<Daemon>(world_.runtime(), options);
        WEFT_ASSERT(world_.run(daemon_->start()).has_value());
        world_.settle();
    }
    ~Machine() {
        world_.run([](Daemon& daemon) -> Task<bool> {
            co_await daemon.stop();
            co_return true;
        }(*daemon_));
        WEFT_ASSERT(calls_ == 0);
        daemon_.reset();
    }
    Machine(const Machine&) = delete;
    Machine& operator=(const Machine&) = delete;

    // The answer, or nothing yet.
    std::optional<rpc::Response> call(const std::string& method, const Json& params, rpc::CallOf of) {
        std::optional<rpc::Response>& answer = answers_.emplace_back();
        ++calls_;
        {
            const CurrentThread scope(&world_.app());
            spawn([](Machine& machine, std::string name, Json given, rpc::CallOf caller,
                     std::optional<rpc::Response>& out) -> Task<void> {
                out = co_await machine.daemon_->methods().call(std::move(name), std::move(given), caller);
                --machine.calls_;
            }(*this, method, params, of, answer));
        }
        const env::TimeNs end = sim_.now() + 100 * env::ns_per_ms;
        for (int turns = 0; turns < 20'000 && !answer && sim_.now() < end; ++turns) world_.turn();
        return answer;
    }
    [[nodiscard]] Json entries() {
        const CurrentThread scope(&world_.app());
        return daemon_->config_entries();
    }
    [[nodiscard]] env::Environment& environment() const { return world_.environment(); }

private:
    void pass_time(env::TimeNs deadline) {
        const env::TimeNs next = std::min(sim_.next_event_time(), deadline);
        sim_.advance_to(next == env::time_never ? sim_.now() + env::ns_per_ms : std::max(next, sim_.now()));
        sim_.deliver_due_events();
    }

    sim::World sim_{1};
    bdev::TestRuntime world_{sim_.make_environment("target"), 1, [this](env::TimeNs deadline) { pass_time(deadline); }};
    std::unique_ptr<Daemon> daemon_;
    std::deque<std::optional<rpc::Response>> answers_;  // of calls that may still run
    uint32_t calls_ = 0;
};

// Numbers that would only take this machine's memory.
bool takes_too_much(const Json& params) {
    if (!params.is_object()) return false;
    const auto number = [&params](const char* name, double otherwise) {
        const auto found = params.find(name);
        return found != params.end() && found->is_number() ? found->get<double>() : otherwise;
    };
    return number("num_blocks", 0) * number("block_size", 512) > 1 << 20 ||
           number("num_shared_buffers", 511) * number("io_unit_size", 131072) > 128 << 20;
}

void run(std::string_view input) {
    Machine machine;
    for (size_t calls = 0; calls < calls_max && !input.empty(); ++calls) {
        const std::string_view line = input.substr(0, input.find('\n'));
        input.remove_prefix(std::min(input.size(), line.size() + 1));
        const std::string_view method = line.substr(0, line.find(' '));
        const std::string_view text = line.substr(std::min(line.size(), method.size() + 1));
        const auto params = text.empty() ? Result<Json>(Json::object()) : parse_json(text.substr(0, line_bytes_max));
        if (!params || takes_too_much(*params)) continue;
        const auto answer = machine.call(std::string(method), *params, rpc::CallOf::client);
        if (answer && !*answer) WEFT_ASSERT(!answer->error().message.empty());
        if (answer && *answer) static_cast<void>(dump_json(**answer));
    }
    const Json saved = machine.entries();
    const auto read = parse_json(dump_json(saved), large_json_limits);
    WEFT_ASSERT(read && *read == saved);
    Machine fresh;
    for (const Json& entry : saved) {
        const Json params = entry.contains("params") ? entry["params"] : Json::object();
        static_cast<void>(fresh.call(entry["method"].get<std::string>(), params, rpc::CallOf::file));
    }
    if (fresh.entries() != saved) {
        std::fprintf(stderr, "saved: %s\nmade of it: %s\n", dump_json(saved).c_str(),
                     dump_json(fresh.entries()).c_str());
        WEFT_ASSERT(fresh.entries() == saved);
    }
}

}  // namespace
}  // namespace weft::app

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    weft::log::set_sink([](weft::log::Level, std::string_view) {});
    if (size <= 16384) weft::app::run({reinterpret_cast<const char*>(data), size});
    return 0;
}
