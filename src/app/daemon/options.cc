#include "app/daemon/options.h"

#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <bit>
#include <charconv>
#include <iostream>

#include "app/manual/manual.h"
#include "app/manual/version.h"
#include "base/log.h"
#include "base/trace_layout.h"
#include "bdev/registry.h"
#include "env/linux/os_thread.h"
#include "nvmf/log_flags.h"
#include "reactor/cpu_set.h"
#include "rpc/server.h"

namespace weft::app {

namespace {

// Options of the field's daemons that have no meaning here: taken, with a word why.
struct Accepted {
    const char* names;
    bool has_value;
    const char* why;
};

constexpr Accepted accepted[] = {
    {"-s,--mem-size", true, "memory is ordinary memory, taken as it is needed"},
    {"-i,--shm-id", true, "the memory of a trace is named by the process id"},
    {"-g,--single-file-segments", false, "there are no huge page files"},
    {"-n,--mem-channels", true, "memory channels do not matter"},
    {"-p,--main-core", true, "the control thread is not pinned"},
    {"-u,--no-pci", false, "no PCI device is touched"},
    {"-d,--limit-coredump", false, "core dumps are the system's to limit"},
    {"-A,--pci-allowed", true, "no PCI device is touched"},
    {"-B,--pci-blocked,--pci-blacklist", true, "no PCI device is touched"},
    {"-W,--pci-whitelist", true, "no PCI device is touched"},
    {"-R,--huge-unlink", false, "there are no huge page files"},
    {"--no-huge", false, "huge pages are never needed"},
    {"--huge-dir", true, "huge pages are never needed"},
    {"--iova-mode", true, "no device is driven by DMA"},
    {"--base-virtaddr", true, "addresses are the system's choice"},
    {"--msg-mempool-size", true, "messages are the sender's memory and never run out"},
    {"--env-context", true, "there is no DPDK"},
    {"--vfio-vf-token", true, "no PCI device is touched"},
    {"--interrupt-mode", false, "reactors sleep by themselves when there is nothing to do"},
    {"--disable-cpumask-locks", false, "CPUs are not locked"},
    {"--enforce-numa", false, "NUMA placement comes later"},
};

constexpr const char* footer =
    "Without options: an empty target (no transport, no subsystem) on CPU 0, controlled through\n"
    "/var/tmp/spdk.sock by 'weft rpc' or the field's rpc.py.\n"
    "Example: weftd -m '[0-1]' --demo      then: nvme connect -t tcp -a 127.0.0.1 -s 4420 "
    "-n nqn.2016-06.io.spdk:cnode1";

Result<void> set_cpus(DaemonOptions& options, const std::string& mask, const std::string& lcores) {
    if (mask.empty() && lcores.empty()) {
        // CPU 0 may not be ours in a container; the first one that is will do.
        options.cpus = {env::usable_cpus().front()};
        return {};
    }
    auto set = CpuSet::parse(lcores.empty() ? mask : "[" + lcores + "]");
    if (!set) return std::unexpected(std::move(set).error());
    options.cpus = set->cpus();
    const auto& usable = env::usable_cpus();
    for (const size_t cpu : options.cpus) {
        if (std::ranges::find(usable, cpu) != usable.end()) continue;
        std::string list;
        for (const size_t mine : usable) list += (list.empty() ? "" : ",") + std::to_string(mine);
        return fail(Errc::invalid_argument, "core mask: CPU " + std::to_string(cpu) +
                                                " is not there or not allowed to this process; it may use [" + list +
                                                "]");
    }
    return {};
}

std::string log_flag_names() {
    bdev::register_log_flags();
    nvmf::register_log_flags();
    rpc::register_log_flags();
    std::string names = "all";
    for (const log::FlagState& flag : log::flags()) names += ", " + std::string(flag.name);
    return names;
}

std::string trace_group_names() {
    std::string names = "all";
    for (const trace::GroupInfo& group : trace::groups) names += ", " + std::string(group.name);
    return names;
}

std::string is_trace_size(const std::string& text) {
    uint32_t entries = 0;
    const char* const end = text.data() + text.size();
    const auto [rest, error] = std::from_chars(text.data(), end, entries);
    const bool is_size = entries >= trace::ring_entries_min && entries <= trace::ring_entries_max;
    if (error == std::errc{} && rest == end && (entries == 0 || (is_size && std::has_single_bit(entries)))) return "";
    return fmt::format("'{}' is not 0 or a power of two from {} to {}", text, trace::ring_entries_min,
                       trace::ring_entries_max);
}

// What CLI11 fills besides the options themselves.
struct Texts {
    std::string mask;
    std::string lcores;
    std::string config;
    std::string log_format = "text";
    uint64_t spin_us = 200;
    std::vector<std::string> tracepoints;
    bool is_silent = false;
    std::vector<std::string> ignored;  // options without effect that were given, with the reason
};

void declare(CLI::App& app, DaemonOptions& options, Texts& texts) {
    app.add_option("-m,--cpumask", texts.mask, "CPUs to run reactors on: a hexadecimal mask (0x3) or a list ([0,2-3])");
    app.add_option("--lcores", texts.lcores, "The same as a list without brackets (0,2-3)");
    app.add_option("-r,--rpc-socket", options.rpc_addresses,
                   std::string("Where to listen for JSON-RPC: a path, or address:port; may be repeated (default ") +
                       default_rpc_path + ")");
    app.add_option("-c,--config,--json", texts.config, "JSON configuration to load at start");
    app.add_flag("--json-ignore-init-errors", options.ignores_config_errors, "Go on when an entry of it fails");
    CLI::Option* const state =
        app.add_option("--state", options.state_folder,
                       "Directory in which the configuration is kept over restarts; made if it is not there");
    const auto wins = [&options](Winner winner) { return [&options, winner](int64_t) { options.winner = winner; }; };
    CLI::Option* const config_wins =
        app.add_flag("--config-wins", wins(Winner::config_file), "With --state and -c: the file replaces the state")
            ->needs(state);
    app.add_flag("--state-wins", wins(Winner::state),
                 "With --state and -c: the file counts only while the state is empty")
        ->needs(state)
        ->excludes(config_wins);
    app.add_flag("--state-skip-failed", options.skips_failed_state,
                 "Start without the entries of the state that fail; they stay in it")
        ->needs(state);
    app.add_flag("--wait-for-rpc", options.waits_for_rpc, "Start nothing until framework_start_init is called");
    app.add_flag("--no-rpc-server", [&options](int64_t) { options.has_rpc_server = false; }, "Open no RPC socket");
    app.add_option("--rpcs-allowed", options.rpcs_allowed,
                   "Comma-separated methods that may be called; others are hidden");
    app.add_option("-L,--logflag", options.log_flags,
                   "Let a component talk: " + log_flag_names() + "; may be repeated");
    app.add_option("--log-format", texts.log_format, "text, or json: one JSON object a line")
        ->check(CLI::IsMember({"text", "json"}))
        ->capture_default_str();
    app.add_option("--metrics", options.metrics_address,
                   "Serve Prometheus metrics and a status page by HTTP: a PORT (on 127.0.0.1) or ADDRESS:PORT");
    app.add_option("-e,--tpoint-group", texts.tracepoints,
                   "Trace from the start: " + trace_group_names() +
                       "; a comma between groups; behind a colon a mask of tracepoints, or names joined by +");
    app.add_option("--num-trace-entries", options.trace_entries,
                   "How many entries a reactor's trace holds, a power of two, or 0 for no tracing")
        ->check(is_trace_size, "", "trace size")
        ->capture_default_str();
    app.add_option("--spin-us", texts.spin_us, "Microseconds a reactor stays awake after its last I/O command")
        ->check(CLI::Range(uint64_t{0}, uint64_t{10'000'000}))
        ->capture_default_str();
    app.add_flag("--no-pin", [&options](int64_t) { options.pin = false; }, "Do not pin reactors to their CPUs");
    app.add_flag("--demo", options.is_demo, "Export a RAM disk (Malloc0) at once, for trying things out");
    app.add_option("--demo-address", options.demo_address, "Where the demo listens")->capture_default_str();
    app.add_option("--demo-port", options.demo_port, "Its port")->capture_default_str();
    app.add_option("--demo-size", options.demo_mib, "Its size in MiB")
        ->check(CLI::Range(1, 1 << 20))
        ->capture_default_str();
    app.add_flag("--rpc-reference", options.prints_reference, "Print the reference of all RPC methods and leave");
    app.add_flag("-q,--silence-noticelog", texts.is_silent, "Print warnings and errors only");
    app.set_version_flag("-v,--version", std::string("Weft v") + version_text);
}

// Options of the field's targets that have no meaning here.
void declare_accepted(CLI::App& app, std::vector<std::string>& ignored) {
    for (const Accepted& option : accepted) {
        const std::string note =
            std::string(option.names).substr(0, std::string(option.names).find(',')) + ": " + option.why;
        const std::string help = std::string("Accepted: ") + option.why;
        if (option.has_value) {
            app.add_option_function<std::string>(
                   option.names, [&ignored, note](const std::string&) { ignored.push_back(note); }, help)
                ->group("Accepted and without effect");
        } else {
            app.add_flag_function(
                   option.names, [&ignored, note](int64_t) { ignored.push_back(note); }, help)
                ->group("Accepted and without effect");
        }
    }
}

}  // namespace

CommandLine parse_command_line(int argc, const char* const* argv) {
    CommandLine line;
    DaemonOptions& options = line.options;
    CLI::App app{"weftd: exports block devices over NVMe/TCP from polled reactors that sleep when idle", "weftd"};
    app.footer(footer);
    app.get_formatter()->column_width(34);
    Texts texts;
    declare(app, options, texts);
    declare_accepted(app, texts.ignored);
    add_page_option(
        app, {.name = "weftd", .section = 8, .version = version_text, .see_also = "\\fBweft\\fR(1)", .bash_more = ""});
    try {
        app.parse(argc, argv);
    } catch (const CLI::ParseError& error) {
        line.exit_status = app.exit(error, std::cout, std::cerr);
        if (*line.exit_status != 0) line.exit_status = 1;
        return line;
    }
    for (const std::string& text : texts.tracepoints) {
        auto selection = trace::parse_selection(text);
        if (!selection) {
            std::cerr << "weftd: -e " << text << ": " << selection.error().message << "\n";
            line.exit_status = 1;
            return line;
        }
        if (!options.tracepoints) options.tracepoints.emplace();
        options.tracepoints->add(*selection);
    }
    options.config_file = texts.config;
    options.spin = texts.spin_us * env::ns_per_us;
    log::set_format(texts.log_format == "json" ? log::Format::json : log::Format::text);
    if (texts.is_silent) log::set_print_level(log::Level::warning);
    if (auto done = set_cpus(options, texts.mask, texts.lcores); !done) {
        std::cerr << "weftd: " << done.error().message << "\n";
        line.exit_status = 1;
        return line;
    }
    for (const std::string& note : texts.ignored) WEFT_NOTICELOG("option {}; it changes nothing here", note);
    if (options.rpc_addresses.empty()) options.rpc_addresses = {default_rpc_path};
    return line;
}

}  // namespace weft::app
