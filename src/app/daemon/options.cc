#include "app/daemon/options.h"

#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <bit>
#include <charconv>
#include <map>

#include "base/trace_layout.h"
#include "bdev/registry.h"
#include "nvmf/log_flags.h"
#include "rpc/server.h"

namespace weft::app {

void register_log_flags() {
    bdev::register_log_flags();
    nvmf::register_log_flags();
    rpc::register_log_flags();
}

namespace {

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

void declare_trace_options(CLI::App& app, DaemonOptions& options) {
    app.add_option_function<std::vector<std::string>>(
        "-e,--tpoint-group",
        [&options](const std::vector<std::string>& texts) {
            for (const std::string& text : texts) {
                const auto selection = trace::parse_selection(text);
                if (!selection) throw CLI::ValidationError("-e " + text, selection.error().message);
                if (!options.tracepoints) options.tracepoints.emplace();
                options.tracepoints->add(*selection);
            }
        },
        "Trace from the start: " + trace_group_names() +
            "; a comma between groups; behind a colon a mask of tracepoints, or names joined by +");
    app.add_option("--num-trace-entries", options.trace_entries,
                   "How many entries a reactor's trace holds, a power of two, or 0 for no tracing")
        ->check(is_trace_size, "", "trace size")
        ->capture_default_str();
}

// What the program takes for itself, and the smallest pool.
constexpr uint64_t memory_bytes_min = uint64_t{128} << 20;

void declare_privilege_options(CLI::App& app, DaemonOptions& options) {
    using env::ForeignCalls;
    app.add_option("--allow-path", options.allowed_folders,
                   "RPCs and configurations may name files below this folder only; may be repeated (default: any file)")
        ->allow_extra_args(false);
    static const std::map<std::string, ForeignCalls> actions = {
        {"refuse", ForeignCalls::refuse}, {"kill", ForeignCalls::kill}, {"off", ForeignCalls::allow}};
    app.add_option("--seccomp", options.privileges.foreign_calls,
                   "A system call that weftd does not need: refuse it, kill weftd, or off, for debuggers")
        ->transform(CLI::Transformer(actions).description("ACTION"))
        ->default_str("refuse");
    app.add_option("--keep-capability", options.privileges.kept_capabilities,
                   "Keep this capability, as CAP_NET_BIND_SERVICE; may be repeated (default: weftd gives all away)")
        ->allow_extra_args(false);
}

}  // namespace

void declare_options(Options& own, DaemonOptions& options) {
    CLI::App& app = own.cli();
    app.add_option(
        "-r,--rpc-socket", options.rpc_addresses,
        std::string("Where to listen for JSON-RPC: a path, a loopback address:port, or tls://address:port; may be "
                    "repeated (default ") +
            default_rpc_path + ")");
    app.add_option("-c,--config,--json", options.config_file, "JSON configuration to load at start");
    app.add_flag("--json-ignore-init-errors", options.ignores_config_errors, "Go on when an entry of it fails");
    app.add_option("--module", options.module_files,
                   "Load block devices from this shared library, see docs/modules.md; may be repeated")
        ->allow_extra_args(false);
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
    declare_remote_options(app, options.remote);
    app.add_option("--metrics", options.metrics_address,
                   "Serve Prometheus metrics and a status page by HTTP: a PORT (on 127.0.0.1) or ADDRESS:PORT");
    app.add_option(
           "--memory", options.memory_bytes,
           "Memory for buffers, connections and RAM disks, as 4G; what does not fit is refused (default: what the "
           "system has, less a sixteenth)")
        ->transform(CLI::AsSizeValue(false))
        ->check(CLI::Range(memory_bytes_min, uint64_t{1} << 50, "at least 128M"));
    declare_privilege_options(app, options);
    declare_trace_options(app, options);
    app.add_flag("--demo", options.is_demo, "Export a RAM disk (Malloc0) at once, for trying things out");
    app.add_option("--demo-address", options.demo_address, "Where the demo listens")->capture_default_str();
    app.add_option("--demo-port", options.demo_port, "Its port")->capture_default_str();
    app.add_option("--demo-size", options.demo_mib, "Its size in MiB")
        ->check(CLI::Range(1, 1 << 20))
        ->capture_default_str();
    app.add_flag("--rpc-reference", options.prints_reference, "Print the reference of all RPC methods and leave");
}

}  // namespace weft::app
