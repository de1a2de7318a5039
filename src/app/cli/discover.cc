// weft discover: what a discovery service knows.
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <algorithm>

#include "app/cli/session.h"
#include "app/cli/subcommand.h"
#include "app/cli/target_options.h"
#include "base/log.h"
#include "nvme/ascii.h"
#include "nvme_host/admin.h"
#include "rpc/json.h"

namespace weft::cli {

namespace {

std::string_view name_of(nvme::TransportType type) {
    switch (type) {
        case nvme::TransportType::none: return "none";
        case nvme::TransportType::rdma: return "rdma";
        case nvme::TransportType::fibre_channel: return "fc";
        case nvme::TransportType::tcp: return "tcp";
        case nvme::TransportType::intra_host: return "loop";
    }
    return "unrecognized";
}

std::string_view name_of(nvme::AddressFamily family) {
    switch (family) {
        case nvme::AddressFamily::none: return "none";
        case nvme::AddressFamily::ipv4: return "ipv4";
        case nvme::AddressFamily::ipv6: return "ipv6";
        case nvme::AddressFamily::infiniband: return "infiniband";
        case nvme::AddressFamily::fibre_channel: return "fibre-channel";
        case nvme::AddressFamily::intra_host: return "intra-host";
    }
    return "unrecognized";
}

std::string_view name_of(nvme::SubsystemType type) {
    switch (type) {
        case nvme::SubsystemType::referral: return "discovery subsystem referral";
        case nvme::SubsystemType::nvm: return "nvme subsystem";
        case nvme::SubsystemType::current_discovery: return "current discovery subsystem";
    }
    return "unrecognized";
}

std::string_view secure_channel(uint8_t treq) {
    switch (treq & 3) {
        case nvme::DiscoveryLogEntry::secure_channel_not_specified: return "not specified";
        case nvme::DiscoveryLogEntry::secure_channel_required: return "required";
        case nvme::DiscoveryLogEntry::secure_channel_not_required: return "not required";
        default: return "unrecognized";
    }
}

std::string_view security(const nvme::DiscoveryLogEntry& entry) {
    if (entry.trtype != nvme::TransportType::tcp) return "";
    switch (nvme::TcpSecurityType(entry.tsas[0])) {
        case nvme::TcpSecurityType::none: return "none";
        case nvme::TcpSecurityType::tls_1_2: return "tls";
        case nvme::TcpSecurityType::tls_1_3: return "tls13";
    }
    return "unrecognized";
}

// What the target wrote does not reach a terminal as it is.
std::string shown(std::string_view text) { return log::quoted(text); }

Json to_json(const nvme_host::DiscoveryLog& log) {
    Json records = Json::array();
    for (const nvme::DiscoveryLogEntry& entry : log.entries) {
        Json record = {{"trtype", name_of(entry.trtype)},
                       {"adrfam", name_of(entry.adrfam)},
                       {"subtype", name_of(entry.subtype)},
                       {"treq", secure_channel(entry.treq)},
                       {"portid", entry.portid.value()},
                       {"cntlid", entry.cntlid.value()},
                       {"asqsz", entry.asqsz.value()},
                       {"trsvcid", nvme::ascii_of(entry.trsvcid)},
                       {"subnqn", nvme::nqn_of_field(entry.subnqn)},
                       {"traddr", nvme::ascii_of(entry.traddr)},
                       {"eflags", entry.eflags.value()}};
        if (entry.trtype == nvme::TransportType::tcp) record["sectype"] = security(entry);
        records.push_back(std::move(record));
    }
    return {{"genctr", log.generation}, {"records", std::move(records)}};
}

struct Column {
    std::string_view title;
    std::string (*text)(const nvme::DiscoveryLogEntry& entry);
};

constexpr Column columns[] = {
    {"TRTYPE", [](const nvme::DiscoveryLogEntry& entry) { return std::string(name_of(entry.trtype)); }},
    {"ADRFAM", [](const nvme::DiscoveryLogEntry& entry) { return std::string(name_of(entry.adrfam)); }},
    {"TRADDR", [](const nvme::DiscoveryLogEntry& entry) { return shown(nvme::ascii_of(entry.traddr)); }},
    {"TRSVCID", [](const nvme::DiscoveryLogEntry& entry) { return shown(nvme::ascii_of(entry.trsvcid)); }},
    {"PORTID", [](const nvme::DiscoveryLogEntry& entry) { return std::to_string(entry.portid.value()); }},
    {"SECURE", [](const nvme::DiscoveryLogEntry& entry) { return std::string(secure_channel(entry.treq)); }},
    {"SUBTYPE", [](const nvme::DiscoveryLogEntry& entry) { return std::string(name_of(entry.subtype)); }},
    {"SUBNQN", [](const nvme::DiscoveryLogEntry& entry) { return shown(nvme::nqn_of_field(entry.subnqn)); }},
};

void print_table(const nvme_host::DiscoveryLog& log) {
    constexpr size_t count = std::size(columns);
    std::vector<std::array<std::string, count>> rows(1);
    for (size_t at = 0; at < count; ++at) rows[0][at] = columns[at].title;
    for (const nvme::DiscoveryLogEntry& entry : log.entries) {
        std::array<std::string, count>& row = rows.emplace_back();
        for (size_t at = 0; at < count; ++at) row[at] = columns[at].text(entry);
    }
    std::array<size_t, count> widths{};
    for (const auto& row : rows) {
        for (size_t at = 0; at < count; ++at) widths[at] = std::max(widths[at], row[at].size());
    }
    fmt::print("Discovery log: generation {}, {} entr{}\n", log.generation, log.entries.size(),
               log.entries.size() == 1 ? "y" : "ies");
    for (const auto& row : rows) {
        std::string line;
        for (size_t at = 0; at + 1 < count; ++at) line += fmt::format("{:{}}  ", row[at], widths[at]);
        fmt::print("{}{}\n", line, row[count - 1]);
    }
}

class Discover final : public Subcommand {
public:
    CLI::App* declare(CLI::App& app) override {
        CLI::App* sub = app.add_subcommand("discover", "List the subsystems that a discovery service knows");
        add_target_options(*sub, target_, true);
        sub->add_flag("--json", json_, "Print JSON, with nvme-cli's names");
        sub->footer("Example: weft discover -a 127.0.0.1 -s 4420");
        return sub;
    }

    int run() override {
        return run_session({}, [this](Runtime& runtime) { return execute(runtime); });
    }

private:
    Task<int> execute(Runtime& runtime) {
        auto log = co_await read(runtime);
        if (!log) co_return report(log.error(), target_);
        if (json_) {
            fmt::print("{}\n", dump_json_pretty(to_json(*log)));
        } else {
            print_table(*log);
        }
        co_return exit_ok;
    }

    Task<Result<nvme_host::DiscoveryLog>> read(Runtime& runtime) {
        auto options = controller_options(target_, runtime.environment(), nvme::discovery_nqn);
        if (!options) co_return std::unexpected(std::move(options).error());
        options->kato_ms = 0;  // a discovery controller that is not stayed with
        auto group = nvme_host::tcp::ConnectionGroup::create(Thread::current());
        if (!group) co_return std::unexpected(std::move(group).error());
        auto controller = co_await nvme_host::Controller::connect(**group, std::move(*options));
        if (!controller) co_return std::unexpected(std::move(controller).error());
        auto log = co_await nvme_host::read_discovery_log(**controller);
        co_await (*controller)->disconnect();
        co_return log;
    }

    TargetOptions target_;
    bool json_ = false;
};

}  // namespace

std::unique_ptr<Subcommand> make_discover() { return std::make_unique<Discover>(); }

}  // namespace weft::cli
