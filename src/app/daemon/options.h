// The command line of weftd, with the field's option letters.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "base/result.h"
#include "base/trace_selection.h"
#include "env/clock.h"

namespace weft::app {

// Which configuration counts when both a file and a state directory have one.
enum class Winner : uint8_t { none, config_file, state };

struct DaemonOptions {
    std::vector<size_t> cpus = {0};
    bool pin = true;
    std::vector<std::string> rpc_addresses;  // paths or host:port; the default when empty
    bool has_rpc_server = true;
    std::string config_file;
    bool ignores_config_errors = false;
    std::string state_folder;  // empty: nothing is kept
    Winner winner = Winner::none;
    bool skips_failed_state = false;
    bool waits_for_rpc = false;
    std::vector<std::string> log_flags;
    std::string metrics_address;             // "" for none
    std::optional<std::string> rpcs_allowed;
    std::optional<trace::Selection> tracepoints;  // to switch on at the start
    uint32_t trace_entries = 32768;               // for each reactor; 0: none, and no tracing
    env::TimeNs spin = 200 * env::ns_per_us;
    bool prints_reference = false;           // docs/rpc.md on standard output, and leave
    bool is_demo = false;
    std::string demo_address = "127.0.0.1";
    std::string demo_port = "4420";
    uint64_t demo_mib = 64;
};

inline constexpr const char* default_rpc_path = "/var/tmp/spdk.sock";

// What main() shall do.
struct CommandLine {
    std::optional<int> exit_status;  // print was done (help, version, an error): leave with this
    DaemonOptions options;
};

CommandLine parse_command_line(int argc, const char* const* argv);

}  // namespace weft::app
