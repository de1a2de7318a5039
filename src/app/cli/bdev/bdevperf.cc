// weft bdevperf: a load on block devices in this process, and what it came to.
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <charconv>
#include <cstdio>
#include <optional>
#include <string_view>

#include "app/cli/bdev/bdev_load.h"
#include "app/cli/bdev/device_session.h"
#include "app/cli/number_range.h"
#include "app/cli/subcommand.h"
#include "env/linux/os_thread.h"
#include "rpc/json.h"

namespace weft::cli {

namespace {

constexpr double seconds_max = 1e7;  // what becomes nanoseconds must fit their 64 bits

// perform_tests of the field's tool: what is given replaces what the command line says.
struct PerformTests {
    std::optional<uint32_t> time_in_sec;
    std::optional<std::string> workload_type;
    std::optional<uint32_t> queue_depth;
    std::optional<std::string> io_size;
    std::optional<uint32_t> rw_percentage;

    static constexpr auto fields() {
        return rpc::fields(
            rpc::optional("time_in_sec", &PerformTests::time_in_sec, "Seconds to measure"),
            rpc::optional("workload_type", &PerformTests::workload_type, "As -w"),
            rpc::optional("queue_depth", &PerformTests::queue_depth, "Requests outstanding on each job"),
            rpc::optional("io_size", &PerformTests::io_size, "Bytes a request, as \"4096\" or \"4k\""),
            rpc::optional("rw_percentage", &PerformTests::rw_percentage, "Share of reads in rw and randrw"));
    }
};

// "4096", "4k", "1M"; nothing that does not fit.
std::optional<uint64_t> parse_size(std::string_view text) {
    uint64_t number = 0;
    const char* const end = text.data() + text.size();
    // NOLINTNEXTLINE(bugprone-suspicious-stringview-data-usage): it has the end, too
    const auto [rest, error] = std::from_chars(text.data(), end, number);
    if (error != std::errc{} || number >> 32 != 0) return std::nullopt;
    const std::string_view unit(rest, end);
    if (unit.empty()) return number;
    constexpr std::string_view units = "kmg";
    const size_t at = unit.size() == 1 ? units.find(static_cast<char>(unit.front() | 0x20)) : std::string_view::npos;
    if (at == std::string_view::npos) return std::nullopt;
    return number << (10 * (at + 1));
}

Result<BdevLoad> apply(BdevLoad load, const PerformTests& params) {
    if (params.time_in_sec) load.seconds = *params.time_in_sec;
    if (load.seconds < 0.001 || load.seconds > seconds_max)
        return fail(Errc::invalid_argument, "time_in_sec: not a time");
    if (params.workload_type) load.workload = *params.workload_type;
    if (params.queue_depth) load.depth = *params.queue_depth;
    if (load.depth == 0 || load.depth > 65535) return fail(Errc::invalid_argument, "queue_depth: from 1 to 65535");
    if (params.rw_percentage) load.mix = *params.rw_percentage;
    if (load.mix > 100) return fail(Errc::invalid_argument, "rw_percentage: from 0 to 100");
    if (params.io_size) {
        const auto bytes = parse_size(*params.io_size);
        if (!bytes) return fail(Errc::invalid_argument, "io_size: a number of bytes, or of k, m or g, is wanted");
        load.unit_bytes = *bytes;
    }
    return load;
}

class Bdevperf final : public Subcommand {
public:
    CLI::App* declare(CLI::App& app) override;
    int run() override;

private:
    Task<int> execute(app::Daemon& daemon);
    Task<int> serve(app::Daemon& daemon);
    void add_perform_tests(app::Daemon& daemon);
    Task<Result<Json>> perform_tests(app::Daemon& daemon, PerformTests params);

    DeviceOptions devices_;
    BdevLoad load_;
    std::string core_mask_;
    std::string rpc_address_ = "/var/tmp/bdevperf.sock";
    bool waits_for_rpc_ = false;
    bool json_ = false;
    bool is_loading_ = false;
    bool is_over_ = false;
};

CLI::App* Bdevperf::declare(CLI::App& app) {
    CLI::App* sub = app.add_subcommand("bdevperf", "Put a load on block devices in this process and measure them");
    add_device_options(*sub, devices_);
    const char* const group = "Load";
    sub->add_option("-w,--workload", load_.workload, "What to do: " + CLI::detail::join(bdev_workloads(), ", "))
        ->check(CLI::IsMember(bdev_workloads()))
        ->capture_default_str()
        ->group(group);
    sub->add_option("-M,--read-percent", load_.mix, "Share of reads in rw and randrw")
        ->check(CLI::Range(0, 100))
        ->capture_default_str()
        ->group(group);
    sub->add_option("-o,--io-size", load_.unit_bytes, "Bytes a request; 4K, 1M and so on are understood")
        ->transform(CLI::AsSizeValue(false))
        ->capture_default_str()
        ->group(group);
    sub->add_option("-q,--queue-depth", load_.depth, "Requests outstanding of each job")
        ->check(CLI::Range(1, 65535))
        ->capture_default_str()
        ->group(group);
    sub->add_option("-t,--time", load_.seconds, "Seconds to measure")
        ->check(number_range(0.001, seconds_max))
        ->capture_default_str()
        ->group(group);
    sub->add_option("--reset-every", load_.reset_every,
                    "With -w reset: seconds between two resets; 0: a tenth of the time, 1 at most")
        ->check(number_range(0, seconds_max))
        ->capture_default_str()
        ->group(group);
    sub->add_option("--warmup", load_.warmup, "Seconds before that, not measured")
        ->check(number_range(0, seconds_max))
        ->capture_default_str()
        ->group(group);
    sub->add_option("-T,--bdev", load_.names, "Only this bdev; may be repeated (default: all there are)")
        ->allow_extra_args(false)
        ->group(group);
    sub->add_option("--range", load_.range_bytes, "Use only the first so many bytes of each; 0: all")
        ->transform(CLI::AsSizeValue(false))
        ->group(group);
    sub->add_option("-m,--core-mask", core_mask_, "Cores, one reactor each: 0x2 or [1,2]; default: the last one")
        ->group(group);
    sub->add_flag("-C,--every-core", load_.every_core, "Each core has a job, and a channel, on every bdev")
        ->group(group);
    sub->add_flag("-f,--go-on", load_.goes_on_after_failure, "Go on after a request that failed")->group(group);
    sub->add_flag("-z,--wait-for-rpc", waits_for_rpc_, "Wait until perform_tests is called, as often as it is")
        ->group(group);
    sub->add_option("-r,--rpc-socket", rpc_address_, "Where to listen for that")->capture_default_str()->group(group);
    sub->add_flag("--json", json_, "Print JSON")->group(group);
    sub->footer(
        "Loads that write OVERWRITE the devices. Without -C each bdev is one core's.\n"
        "Example: weft bdevperf -c bdevs.json -q 128 -o 4096 -w randread -t 10");
    return sub;
}

int Bdevperf::run() {
    SessionOptions session;
    CpuSet cores = CpuSet::of(env::usable_cpus().back());
    if (!core_mask_.empty()) {
        auto parsed = CpuSet::parse(core_mask_);
        if (!parsed) {
            fmt::print(stderr, "weft: {}\n", parsed.error().message);
            return exit_failed;
        }
        cores = *parsed;
    }
    session.data_cpus = cores.cpus();
    end_load_by_signals();
    if (!waits_for_rpc_)
        return run_with_devices(session, devices_, [this](app::Daemon& daemon) { return execute(daemon); });
    devices_.rpc_addresses = {rpc_address_};
    return run_with_devices(
        session, devices_, [this](app::Daemon& daemon) { return serve(daemon); },
        [this](app::Daemon& daemon) { add_perform_tests(daemon); });
}

Task<int> Bdevperf::execute(app::Daemon& daemon) {
    auto summary = co_await run_bdev_load(daemon.runtime(), daemon.devices(), load_);
    if (!summary) {
        fmt::print(stderr, "weft: {}\n", summary.error().message);
        co_return exit_failed;
    }
    if (json_) {
        fmt::print("{}\n", dump_json_pretty(summary_json(*summary)));
    } else {
        print_summary(*summary);
    }
    co_return exit_code(*summary);
}

// Until a signal, or spdk_kill_instance.
Task<int> Bdevperf::serve(app::Daemon& daemon) {
    daemon.on_stop_request = [this](int) { is_over_ = true; };
    while (!is_over_ && (is_loading_ || !take_load_interrupt())) co_await sleep_for(20 * env::ns_per_ms);
    co_return exit_ok;
}

void Bdevperf::add_perform_tests(app::Daemon& daemon) {
    daemon.methods().add<PerformTests>(
        {.name = "perform_tests", .text = "Puts the load on the bdevs and answers what came of it", .result = "object"},
        [this, &daemon](PerformTests params) { return perform_tests(daemon, std::move(params)); });
}

Task<Result<Json>> Bdevperf::perform_tests(app::Daemon& daemon, PerformTests params) {
    auto load = apply(load_, params);
    if (!load) co_return std::unexpected(std::move(load).error());
    if (is_loading_) co_return fail(Errc::busy, "a load is running");
    is_loading_ = true;
    auto summary = co_await run_bdev_load(daemon.runtime(), daemon.devices(), std::move(*load));
    is_loading_ = false;
    if (!summary) co_return std::unexpected(std::move(summary).error());
    if (exit_code(*summary) != exit_ok) co_return fail(Errc::io_error, dump_json(summary_json(*summary)));
    co_return summary_json(*summary);
}

}  // namespace

std::unique_ptr<Subcommand> make_bdevperf() { return std::make_unique<Bdevperf>(); }

}  // namespace weft::cli
