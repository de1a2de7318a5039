#include "app/cli/target_options.h"

#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cctype>
#include <charconv>
#include <cstdio>

#include "app/cli/subcommand.h"
#include "base/uuid.h"
#include "env/environment.h"
#include "nvme/fabrics.h"

namespace weft::cli {

namespace {

std::string lower(std::string_view text) {
    std::string result(text);
    std::ranges::transform(result, result.begin(), [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
    return result;
}

Result<uint16_t> parse_port(std::string_view text) {
    uint16_t port = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), port);
    if (error != std::errc{} || end != text.data() + text.size() || port == 0) {
        return fail(Errc::invalid_argument, fmt::format("--trsvcid '{}' is not a port number from 1 to 65535", text));
    }
    return port;
}

// The first line of a file that nvme-cli keeps, without the end of line; "" when there is none.
std::string configured(env::Environment& environment, const std::string& path) {
    const auto text = environment.files().read_all(path, 4096);
    if (!text) return {};
    return text->substr(0, text->find_first_of(" \t\r\n"));
}

Result<std::array<uint8_t, 16>> parse_hostid(const std::string& text) {
    const auto id = Uuid::parse(text);
    if (!id) return fail(Errc::invalid_argument, fmt::format("--hostid '{}' is not a UUID", text));
    return id->octets();
}

Result<std::array<uint8_t, 16>> choose_hostid(const TargetOptions& options, const std::string& hostnqn,
                                              env::Environment& environment) {
    if (!options.hostid.empty()) return parse_hostid(options.hostid);
    if (hostnqn.starts_with(nvme::uuid_nqn_prefix)) {
        if (const auto id = Uuid::parse(hostnqn.substr(nvme::uuid_nqn_prefix.size()))) return id->octets();
    }
    if (options.hostnqn.empty()) {
        const std::string id = configured(environment, "/etc/nvme/hostid");
        if (!id.empty()) return parse_hostid(id);
    }
    return Uuid::from_names({"hostid", hostnqn}).octets();
}

}  // namespace

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

Result<void> apply_transport_id(std::string_view text, TargetOptions& options) {
    struct Field {
        std::string_view name;
        std::string TargetOptions::* member;
    };
    static constexpr Field fields[] = {
        {"trtype", &TargetOptions::trtype},   {"adrfam", &TargetOptions::adrfam}, {"traddr", &TargetOptions::traddr},
        {"trsvcid", &TargetOptions::trsvcid}, {"subnqn", &TargetOptions::subnqn}, {"hostnqn", &TargetOptions::hostnqn},
    };
    while (true) {
        const size_t start = text.find_first_not_of(" \t\n");
        if (start == std::string_view::npos) return {};
        text.remove_prefix(start);
        const std::string_view item = text.substr(0, text.find_first_of(" \t\n"));
        text.remove_prefix(item.size());
        const size_t colon = item.find_first_of(":=");  // the first: values have colons, too
        if (colon == std::string_view::npos) {
            return fail(Errc::invalid_argument, fmt::format("transport id: '{}' is not 'name:value'", item));
        }
        const std::string name = lower(item.substr(0, colon));
        const auto* field = std::ranges::find(fields, name, &Field::name);
        if (field == std::end(fields)) {
            return fail(Errc::invalid_argument,
                        fmt::format("transport id: there is no field '{}'; there are trtype, adrfam, traddr, trsvcid, "
                                    "subnqn and hostnqn",
                                    name));
        }
        options.*field->member = item.substr(colon + 1);
    }
}

Result<nvme_host::ControllerOptions> controller_options(const TargetOptions& given, env::Environment& environment,
                                                        std::string_view default_subnqn) {
    TargetOptions options = given;
    WEFT_TRY(apply_transport_id(given.transport_id, options));
    if (lower(options.trtype) != "tcp") {
        return fail(Errc::not_supported,
                    fmt::format("--trtype '{}': weft is a host for tcp only, so far", options.trtype));
    }
    const auto port = parse_port(options.trsvcid);
    if (!port) return std::unexpected(port.error());
    const std::string host = options.traddr == "localhost" ? "127.0.0.1" : options.traddr;
    auto address = env::parse_ip(host, *port);
    if (!address) {
        return fail(Errc::invalid_argument,
                    fmt::format("--traddr '{}' is not a numeric address such as 10.0.0.1 or fe80::1%eth0; names are "
                                "not looked up",
                                options.traddr));
    }
    const std::string family = lower(options.adrfam);
    if (!family.empty() && family != (address->family == env::Family::ipv4 ? "ipv4" : "ipv6")) {
        return fail(Errc::invalid_argument,
                    fmt::format("--adrfam '{}' does not fit address {}", options.adrfam, options.traddr));
    }
    if (options.subnqn.empty() && default_subnqn.empty()) {
        return fail(Errc::invalid_argument,
                    fmt::format("--subnqn (-n) is missing: which subsystem? `weft discover -a {} -s {}` lists them",
                                options.traddr, options.trsvcid));
    }

    nvme_host::ControllerOptions made;
    made.address = std::move(*address);
    made.socket.congestion_control = options.congestion;
    made.subnqn = options.subnqn.empty() ? std::string(default_subnqn) : options.subnqn;
    made.hostnqn = options.hostnqn.empty() ? configured(environment, "/etc/nvme/hostnqn") : options.hostnqn;
    if (made.hostnqn.empty()) {
        made.hostnqn = fmt::format("{}{}", nvme::uuid_nqn_prefix,
                                   Uuid::from_names({"hostnqn", environment.machine_id()}).to_string());
    }
    auto hostid = choose_hostid(options, made.hostnqn, environment);
    if (!hostid) return std::unexpected(std::move(hostid).error());
    made.hostid = *hostid;
    made.header_digest = options.header_digest;
    made.data_digest = options.data_digest;
    made.kato_ms = options.kato_ms;
    made.connect_timeout = options.timeout_s * env::ns_per_s;
    made.admin_timeout = options.timeout_s * env::ns_per_s;
    return made;
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
                       "this host is.\n");
            break;
        default: break;
    }
    return exit_failed;
}

}  // namespace weft::cli
