#include "app/cli/target_options.h"

#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <cstdio>

#include "app/cli/subcommand.h"

namespace weft::cli {

void add_target_options(CLI::App& app, TargetOptions& options, bool with_short_trtype) {
    const char* const group = "Target";
    app.add_option(with_short_trtype ? "-t,--trtype" : "--trtype", options.trtype, "Transport: tcp")
        ->capture_default_str()
        ->group(group);
    app.add_option("-a,--traddr", options.traddr, "Address of the target, numeric")
        ->capture_default_str()
        ->group(group);
    app.add_option("-s,--trsvcid", options.trsvcid, "Port of the target")->capture_default_str()->group(group);
    app.add_option("-f,--adrfam", options.adrfam, "ipv4 or ipv6; told by the address, too")->group(group);
    app.add_option("-n,--subnqn", options.subnqn, "NQN of the subsystem")->group(group);
    app.add_option("-r,--transport-id", options.transport_id,
                   "All of that in one: 'trtype:TCP adrfam:IPv4 traddr:127.0.0.1 trsvcid:4420 subnqn:nqn…'")
        ->group(group);
    app.add_option("--hostnqn", options.hostnqn, "NQN of this host; default: /etc/nvme/hostnqn, or of the machine id")
        ->group(group);
    app.add_option("--hostid", options.hostid, "UUID of this host; default: /etc/nvme/hostid, or of the host NQN")
        ->group(group);
    app.add_flag("--tls", options.tls, "Through TLS 1.3, with the key of --tls-key")->group(group);
    app.add_flag("--concat", options.concat,
                 "Through TLS 1.3, with a key that comes of the authentication with --dhchap-key")
        ->group(group);
    app.add_option("--tls-key", options.tls_key,
                   "File with the key (NVMeTLSkey-1:…), or the key itself, which others may see then")
        ->group(group);
    app.add_option("--tls-identity-version", options.tls_identity_version,
                   "How the key is named to the target: 0 as NVMe/TCP 1.0, 1 with a digest of the key")
        ->check(CLI::Range(0, 1))
        ->capture_default_str()
        ->group(group);
    app.add_flag("--tls-old-derivation", options.tls_old_derivation,
                 "The target's keys were made by libnvme before 1.16 (a Linux target with nvme-cli before 2.16)")
        ->group(group);
    app.add_option("--dhchap-key", options.dhchap_key,
                   "Key that this host authenticates with: a file with DHHC-1:…, mode 0600, or the text itself")
        ->group(group);
    app.add_option("--dhchap-ctrl-key", options.dhchap_ctrl_key,
                   "Key that the controller must authenticate with; as above")
        ->group(group);
    app.add_option("--dhchap-digest", options.dhchap_digest, "Offer only this hash: sha256, sha384 or sha512")
        ->group(group);
    app.add_option("--dhchap-dhgroup", options.dhchap_dhgroup, "Offer only this DH group: null, ffdhe2048 to ffdhe8192")
        ->group(group);
    app.add_flag("--hdgst", options.header_digest, "Header digests (CRC-32C)")->group(group);
    app.add_flag("--ddgst", options.data_digest, "Data digests (CRC-32C)")->group(group);
    app.add_option("--kato", options.kato_ms, "Keep-alive timeout in milliseconds, 0: none")
        ->capture_default_str()
        ->group(group);
    app.add_option("--timeout", options.timeout_s, "Seconds to wait for a connection or an admin command")
        ->check(CLI::Range(1, 3600))
        ->capture_default_str()
        ->group(group);
    app.add_option("--congestion", options.congestion, "TCP congestion control, such as cubic; default: the system's")
        ->group(group);
}

int report(const Error& error, const TargetOptions& given) {
    TargetOptions options = given;
    // A transport id that is wrong is what the error is about.
    const bool is_known = apply_transport_id(given.transport_id, options).has_value();
    fmt::print(stderr, "weft: {}\n", error.message);
    if (!is_known) return exit_failed;
    switch (error.code) {
        case Errc::connection_refused:
            fmt::print(stderr,
                       "Nothing listens at {} port {}. Is weftd (or another target) running, and has it a listener "
                       "there? `weft rpc nvmf_get_subsystems` on its machine lists them.\n",
                       options.traddr, options.trsvcid);
            break;
        case Errc::timed_out:
            fmt::print(stderr,
                       "Is {} the right address, does a firewall drop port {}, is what listens there an NVMe/TCP "
                       "target?\n",
                       options.traddr, options.trsvcid);
            break;
        case Errc::not_found:
            fmt::print(stderr, "`weft discover -a {} -s {}` lists the subsystems that are there.\n", options.traddr,
                       options.trsvcid);
            break;
        case Errc::permission_denied:
            fmt::print(stderr,
                       "Hosts are allowed with `weft rpc nvmf_subsystem_add_host` on the target; --hostnqn says who "
                       "this host is, and --dhchap-key gives the key that it may need.\n");
            break;
        default: break;
    }
    return exit_failed;
}

}  // namespace weft::cli
