// Which target, and as whom: the options that all NVMe subcommands share.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "nvme_host/controller.h"

namespace CLI {
class App;
}

namespace weft::cli {

struct TargetOptions {
    std::string trtype = "tcp";
    std::string adrfam;
    std::string traddr = "127.0.0.1";
    std::string trsvcid = "4420";
    std::string subnqn;
    std::string hostnqn;
    std::string hostid;
    std::string transport_id;  // -r
    std::string congestion;
    bool header_digest = false;
    bool data_digest = false;
    uint32_t kato_ms = 10'000;
    uint32_t timeout_s = 10;
};

// `with_short_trtype`: -t is free for --trtype.
void add_target_options(CLI::App& app, TargetOptions& options, bool with_short_trtype);

// Takes the fields of "trtype:TCP adrfam:IPv4 traddr:10.0.0.1 trsvcid:4420 subnqn:nqn…" (also with "=") over into
// `options`. Errors: invalid_argument, naming the field.
Result<void> apply_transport_id(std::string_view text, TargetOptions& options);

// What a Controller needs. Missing host names are those that nvme-cli keeps in /etc/nvme, or else made from the
// machine's identity. A missing subsystem is the discovery service if `default_subnqn` says so.
// Errors: invalid_argument, with what to write instead.
Result<nvme_host::ControllerOptions> controller_options(const TargetOptions& given, env::Environment& environment,
                                                        std::string_view default_subnqn);

// Prints "weft: message" and, where it is known, what to do about it. Returns the exit code.
int report(const Error& error, const TargetOptions& given);

}  // namespace weft::cli
