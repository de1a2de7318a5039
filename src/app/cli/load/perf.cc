// weft perf: a load on a namespace, and what it came to.
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <cstdio>

#include "app/cli/identify_fields.h"
#include "app/cli/load/load_watch.h"
#include "app/cli/load/perf_reauthentication.h"
#include "app/cli/load/perf_report.h"
#include "app/cli/load/perf_workers.h"
#include "app/cli/load/stamp.h"
#include "app/cli/number_range.h"
#include "app/cli/session.h"
#include "app/cli/subcommand.h"
#include "app/cli/target_options.h"
#include "env/linux/os_thread.h"
#include "nvme_host/admin.h"

namespace weft::cli {

namespace {

class Perf final : public Subcommand {
public:
    CLI::App* declare(CLI::App& app) override;
    int run() override;

private:
    Task<int> execute(Runtime& runtime);
    Task<Result<void>> prepare(Runtime& runtime, nvme_host::Controller& controller);
    Result<void> plan_units(const nvme::IdentifyNamespace& data, uint32_t transfer_bytes_max);
    Task<Result<PerfSummary>> load(Runtime& runtime, nvme_host::tcp::ConnectionGroup& group);
    int finish(const PerfSummary& summary);

    TargetOptions target_;
    std::string workload_name_ = "randread";
    std::string core_mask_;
    uint64_t unit_bytes_ = 4096;
    uint64_t range_bytes_ = 0;
    uint32_t depth_ = 32;
    uint32_t connections_ = 1;
    uint32_t mix_ = 50;
    double seconds_ = 10;
    double warmup_ = 1;
    double rate_ = 0;
    double reauthenticate_ = 0;
    uint32_t nsid_ = 0;
    uint32_t io_timeout_s_ = 30;
    bool verify_ = false;
    bool discard_ = false;
    bool flow_control_ = false;
    bool json_ = false;
    PerfPlan plan_;
};

constexpr double seconds_max = 1e7;  // what becomes nanoseconds must fit their 64 bits

CLI::App* Perf::declare(CLI::App& app) {
    CLI::App* sub = app.add_subcommand("perf", "Put a load on a namespace and measure it");
    add_target_options(*sub, target_, false);
    const char* const group = "Load";
    sub->add_option("-w,--workload", workload_name_, "read, write, randread, randwrite, rw or randrw")
        ->check(CLI::IsMember({"read", "write", "randread", "randwrite", "rw", "randrw"}))
        ->capture_default_str()
        ->group(group);
    sub->add_option("-M,--read-percent", mix_, "Share of reads in rw and randrw")
        ->check(CLI::Range(0, 100))
        ->capture_default_str()
        ->group(group);
    sub->add_option("-o,--io-size", unit_bytes_, "Bytes a command; 4K, 1M and so on are understood")
        ->transform(CLI::AsSizeValue(false))
        ->capture_default_str()
        ->group(group);
    sub->add_option("-q,--queue-depth", depth_, "Commands outstanding on each connection")
        ->check(CLI::Range(1, 65535))
        ->capture_default_str()
        ->group(group);
    sub->add_option("-P,--connections", connections_, "Connections (I/O queues) in all")
        ->check(CLI::Range(1, 1024))
        ->capture_default_str()
        ->group(group);
    sub->add_option("-c,--core-mask", core_mask_, "Cores of the client's reactors, 0x2 or [1,2]; default: the last one")
        ->group(group);
    sub->add_option("-t,--time", seconds_, "Seconds to measure")
        ->check(number_range(0.001, seconds_max))
        ->capture_default_str()
        ->group(group);
    sub->add_option("--warmup", warmup_, "Seconds before that, not measured")
        ->check(number_range(0, seconds_max))
        ->capture_default_str()
        ->group(group);
    sub->add_option("--rate", rate_, "Commands a second in all; 0: as fast as it goes")
        ->check(number_range(0, 1e9))
        ->group(group);
    sub->add_option("--nsid", nsid_, "Namespace; default: the first")->group(group);
    sub->add_option("--range", range_bytes_, "Use only the first so many bytes of it; 0: all")
        ->transform(CLI::AsSizeValue(false))
        ->group(group);
    sub->add_option("--io-timeout", io_timeout_s_, "Seconds after which an unanswered command ends the load")
        ->capture_default_str()
        ->group(group);
    auto* verify = sub->add_flag("--verify", verify_,
                                 "Write blocks that say what they are, check what is read. OVERWRITES THE DATA if "
                                 "the load writes");
    verify->group(group);
    sub->add_flag("--discard", discard_, "Throw away what is read without copying it: a light client")
        ->excludes(verify)
        ->group(group);
    sub->add_flag("--sq-flow-control", flow_control_, "Let the controller answer each read with a capsule of its own")
        ->group(group);
    sub->add_option("--reauthenticate", reauthenticate_,
                    "Authenticate the queues again every so many seconds, while the load runs")
        ->check(number_range(0.001, seconds_max))
        ->group(group);
    sub->add_flag("--json", json_, "Print JSON")->group(group);
    sub->footer(
        "Loads that write OVERWRITE the namespace.\n"
        "Example: weft perf -a 127.0.0.1 -n nqn.2016-06.io.spdk:cnode1 -q 32 -o 4096 -w randread -t 10");
    return sub;
}

int Perf::run() {
    SessionOptions session;
    CpuSet cores = CpuSet::of(env::usable_cpus().back());
    if (!core_mask_.empty()) {
        auto parsed = CpuSet::parse(core_mask_);
        if (!parsed) return report(parsed.error(), target_);
        cores = *parsed;
    }
    session.data_cpus = cores.cpus();
    if (session.data_cpus.size() > connections_) session.data_cpus.resize(connections_);
    end_load_by_signals();
    return run_session(session, [this](Runtime& runtime) { return execute(runtime); });
}

Task<int> Perf::execute(Runtime& runtime) {
    auto group = nvme_host::tcp::ConnectionGroup::create(Thread::current());
    if (!group) co_return report(group.error(), target_);
    auto summary = co_await load(runtime, **group);
    if (!summary) co_return report(summary.error(), target_);
    co_return finish(*summary);
}

Task<Result<PerfSummary>> Perf::load(Runtime& runtime, nvme_host::tcp::ConnectionGroup& group) {
    auto options = controller_options(target_, runtime.environment(), "");
    if (!options) co_return std::unexpected(std::move(options).error());
    options->io_queue_max = connections_;
    options->io_depth = depth_;
    options->discard = discard_;
    options->sq_flow_control = flow_control_;
    options->io_timeout = io_timeout_s_ * env::ns_per_s;
    if (reauthenticate_ > 0 && !options->dhchap) {
        co_return fail(Errc::invalid_argument, "--reauthenticate needs --dhchap-key");
    }
    auto controller = co_await nvme_host::Controller::connect(group, std::move(*options));
    if (!controller) co_return std::unexpected(std::move(controller).error());

    PerfWorkers workers(runtime, plan_);
    auto outcome = co_await prepare(runtime, **controller);
    if (outcome) outcome = co_await workers.create(**controller, connections_);
    PerfSummary summary;
    if (outcome) {
        const env::TimeNs start = runtime.environment().clock().now();
        PerfTimes times{.measure_from = start + static_cast<env::TimeNs>(warmup_ * 1e9)};
        times.end = times.measure_from + static_cast<env::TimeNs>(seconds_ * 1e9);
        co_await workers.start(times);
        PerfReauthentication again(**controller, reauthenticate_);
        if (reauthenticate_ > 0) again.start();
        const LoadCost cost = co_await watch_load(workers, times, plan_.unit_bytes);
        const auto count = co_await again.stop();
        if (count) summary.reauthentications = *count;
        if (!count) outcome = std::unexpected(count.error());
        summary.cpu_seconds = cost.cpu_seconds;
        summary.busy_seconds = cost.busy_seconds;
        summary.seconds = cost.seconds;
        summary.results = co_await workers.results();
    }
    summary.workload = workload_name_;
    summary.target =
        fmt::format("{} at {}", (*controller)->options().subnqn, env::to_string((*controller)->options().address));
    summary.plan = plan_;
    summary.connections = connections_;
    summary.depth_granted = workers.depth_granted();
    summary.cores = runtime.data_reactors().size();
    summary.header_digest = (*controller)->options().header_digest;
    summary.data_digest = (*controller)->options().data_digest;
    summary.discard = discard_;
    co_await (*controller)->disconnect();
    co_await workers.destroy();
    if (!outcome) co_return std::unexpected(std::move(outcome).error());
    co_return summary;
}

// Finds the namespace and what a command to it is.
Task<Result<void>> Perf::prepare(Runtime& runtime, nvme_host::Controller& controller) {
    if (controller.io_queue_limit() < connections_) {
        co_return fail(Errc::too_many, fmt::format("-P {}: the controller grants {} I/O queues", connections_,
                                                   controller.io_queue_limit()));
    }
    auto active = co_await nvme_host::active_namespaces(controller);
    if (!active) co_return std::unexpected(std::move(active).error());
    if (active->empty()) co_return fail(Errc::no_such_device, "the subsystem has no namespace for this host");
    plan_.nsid = nsid_ != 0 ? nsid_ : active->front();
    auto data = co_await nvme_host::identify_namespace(controller, plan_.nsid);
    if (!data) co_return std::unexpected(std::move(data).error());

    uint64_t run = 0;
    runtime.environment().random().fill(bytes_of(run));
    const auto workload = workload_from_name(workload_name_);
    WEFT_ASSERT(workload.has_value());  // the option checks it
    plan_.queue_depth = depth_;
    plan_.is_random = is_random(*workload);
    plan_.read_percent = read_percent(*workload, mix_);
    plan_.verify = verify_;
    plan_.run = run;
    plan_.rate = rate_ / connections_;
    co_return plan_units(*data, controller.transfer_bytes_max());
}

Result<void> Perf::plan_units(const nvme::IdentifyNamespace& data, uint32_t transfer_bytes_max) {
    const BlockFormat format = block_format(data);
    if (format.block_bytes == 0 || format.metadata_bytes != 0) {
        return fail(Errc::not_supported, fmt::format("namespace {} has blocks of {} bytes with {} of metadata, which "
                                                     "weft perf does not do",
                                                     plan_.nsid, format.block_bytes, format.metadata_bytes));
    }
    if (unit_bytes_ == 0 || unit_bytes_ % format.block_bytes != 0 || unit_bytes_ / format.block_bytes > 65536) {
        return fail(Errc::invalid_argument, fmt::format("-o {}: a command moves whole blocks of {} bytes, 65536 at "
                                                        "most",
                                                        unit_bytes_, format.block_bytes));
    }
    if (unit_bytes_ > transfer_bytes_max) {
        return fail(Errc::invalid_argument, fmt::format("-o {}: the controller takes {} bytes a command (MDTS)",
                                                        unit_bytes_, transfer_bytes_max));
    }
    plan_.block_bytes = format.block_bytes;
    plan_.unit_bytes = static_cast<uint32_t>(unit_bytes_);
    plan_.unit_count = data.nsze / plan_.unit_blocks();
    if (range_bytes_ != 0) plan_.unit_count = std::min(plan_.unit_count, range_bytes_ / unit_bytes_);
    // Every queue has some of its own, and with --verify more than it has commands.
    const uint64_t needed = uint64_t{connections_} * (verify_ ? depth_ + 1 : 1);
    if (plan_.unit_count < needed) {
        return fail(Errc::invalid_argument, fmt::format("{} commands of {} bytes fit the range, {} are needed for so "
                                                        "many connections and such a depth",
                                                        plan_.unit_count, unit_bytes_, needed));
    }
    if (verify_ && plan_.unit_count > verified_units_max) {
        return fail(Errc::invalid_argument, fmt::format("--verify keeps four bytes a command's range: limit it to {} "
                                                        "with --range",
                                                        size_text(verified_units_max * unit_bytes_)));
    }
    return {};
}

int Perf::finish(const PerfSummary& summary) {
    if (json_) {
        fmt::print("{}\n", summary_json(summary));
    } else {
        print_summary(summary);
    }
    const PerfResults& results = summary.results;
    if (results.failed == 0 && results.verify_faults == 0) return exit_ok;
    fmt::print(stderr, "weft: {} commands failed, {} blocks were wrong; the first: {}\n", results.failed,
               results.verify_faults, results.first_failure);
    return exit_failed;
}

}  // namespace

std::unique_ptr<Subcommand> make_perf() { return std::make_unique<Perf>(); }

}  // namespace weft::cli
