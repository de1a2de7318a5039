// The options of weftd besides those of every program (app/start/standard_options.h), with the field's letters.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "app/daemon/remote_options.h"
#include "app/start/options.h"
#include "base/trace_selection.h"
#include "env/linux/privilege.h"

namespace weft::app {

// Which configuration counts when both a file and a state directory have one.
enum class Winner : uint8_t { none, config_file, state };

struct DaemonOptions {
    std::string target_name = "nvmf_tgt";    // tgt_name of the RPCs
    uint32_t max_subsystems = 1024;          // until nvmf_set_max_subsystems says otherwise
    std::vector<std::string> rpc_addresses;  // paths or host:port
    bool has_rpc_server = true;
    bool has_target = true;  // without: block devices only, and what a configuration says of the target is left out
    RemoteOptions remote;
    std::string config_file;
    bool ignores_config_errors = false;
    std::vector<std::string> module_files;  // shared libraries, see bdev/module.h
    std::string state_folder;  // empty: nothing is kept
    Winner winner = Winner::none;
    bool skips_failed_state = false;
    bool waits_for_rpc = false;
    std::string metrics_address;             // "" for none
    std::vector<std::string> allowed_folders;  // of files that are named by RPC; empty: any
    env::PrivilegeOptions privileges;
    uint64_t memory_bytes = 0;  // 0: what the system has
    std::optional<std::string> rpcs_allowed;
    std::optional<trace::Selection> tracepoints;  // to switch on at the start
    uint32_t trace_entries = 32768;               // for each reactor; 0: none, and no tracing
    bool prints_reference = false;           // docs/rpc.md on standard output, and leave
    bool is_demo = false;
    std::string demo_address = "127.0.0.1";
    std::string demo_port = "4420";
    uint64_t demo_mib = 64;
};

inline constexpr const char* default_rpc_path = "/var/tmp/spdk.sock";

// What the target's rooms can be made to say (-L).
void register_log_flags();

// Declares weftd's own options, which are in `options` once they are parsed.
void declare_options(Options& own, DaemonOptions& options);

}  // namespace weft::app
