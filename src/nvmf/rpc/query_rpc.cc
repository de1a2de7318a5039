// Methods that tell about subsystems.
#include <fmt/format.h>

#include "base/hex.h"
#include "nvme/fabrics.h"
#include "nvmf/auth/qpair_auth.h"
#include "nvmf/controller/controller.h"
#include "nvmf/rpc/auth_rpc.h"
#include "nvmf/rpc/qos_rpc.h"
#include "nvmf/rpc/rpc.h"
#include "nvmf/target.h"
#include "rpc/json.h"

namespace weft::nvmf {

namespace {

struct Query {
    std::optional<std::string> nqn, tgt_name;
    static constexpr auto fields() {
        return rpc::fields(rpc::optional("nqn", &Query::nqn, "Only this subsystem"),
                           rpc::optional("tgt_name", &Query::tgt_name, "Target"));
    }
};

struct OneSubsystem {
    std::string nqn;
    std::optional<std::string> tgt_name;
    static constexpr auto fields() {
        return rpc::fields(rpc::required("nqn", &OneSubsystem::nqn, "NQN of the subsystem"),
                           rpc::optional("tgt_name", &OneSubsystem::tgt_name, "Target"));
    }
};

Json to_json(const TransportId& id) {
    return {{"trtype", id.trtype}, {"adrfam", id.adrfam}, {"traddr", id.traddr}, {"trsvcid", id.trsvcid}};
}

std::string upper_hex(std::span<const uint8_t> bytes) {
    std::string text = to_hex(bytes);
    for (char& digit : text) digit = digit >= 'a' ? static_cast<char>(digit - 'a' + 'A') : digit;
    return text;
}

Json to_json(const NamespaceIdentity& ns) {
    Json json{{"nsid", ns.nsid},
              {"bdev_name", ns.bdev_name},
              {"name", ns.bdev_name},
              {"nguid", upper_hex(ns.nguid)},
              {"eui64", upper_hex(ns.eui64)},
              {"uuid", ns.uuid.to_string()},
              {"anagrpid", ns.anagrpid}};
    if (!ns.ptpl_file.empty()) json["ptpl_file"] = ns.ptpl_file;
    return json;
}

Json to_json(const Subsystem::Listener& listener) {
    Json json{{"address", to_json(listener.address)}, {"secure_channel", listener.is_secure}};
    if (listener.concatenation != Concatenation::off) json["secure_concatenation"] = name_of(listener.concatenation);
    if (!listener.hosts.empty()) json["hosts"] = listener.hosts;
    const auto& states = listener.ana.states();
    if (states.empty()) return json;  // ANA is not reported
    Json& groups = json["ana_states"] = Json::array();
    for (uint32_t group = 1; group <= states.size(); ++group) {
        groups.push_back({{"ana_group", group}, {"ana_state", name_of(listener.ana.state_of(group))}});
    }
    return json;
}

Json to_json(const HostPsks& psks, const Subsystem& subsystem) {
    const SubsystemIdentity& identity = subsystem.identity();
    Json json{{"nqn", identity.nqn}, {"subtype", identity.is_discovery ? "Discovery" : "NVMe"}};
    Json& listeners = json["listen_addresses"] = Json::array();
    for (const auto& listener : subsystem.listeners()) listeners.push_back(to_json(listener.address));
    json["allow_any_host"] = subsystem.allows_any_host();
    Json& hosts = json["hosts"] = Json::array();
    for (const std::string& host : subsystem.hosts()) {
        Json entry{{"nqn", host}};
        if (const auto psk = psks.find(identity.nqn, host)) entry["psk"] = psk->name();
        tell_host_keys(subsystem, host, entry);
        if (Json limits = limits_json(subsystem.limits_of(host)); !limits.empty()) {
            entry["assigned_rate_limits"] = std::move(limits);
        }
        hosts.push_back(std::move(entry));
    }
    if (identity.is_discovery) return json;
    json["serial_number"] = identity.serial_number;
    json["model_number"] = identity.model_number;
    if (!identity.admin_label.empty()) json["admin_label"] = identity.admin_label;
    json["max_namespaces"] = identity.max_namespaces;
    json["ana_reporting"] = identity.ana_reporting;
    json["passthrough"] = false;
    json["min_cntlid"] = identity.min_cntlid;
    json["max_cntlid"] = identity.max_cntlid;
    // 0: no limit.
    json["dmrsl"] = 0;
    json["wzsl"] = 0;
    Json& namespaces = json["namespaces"] = Json::array();
    for (const auto& [nsid, ns] : subsystem.namespaces()) {
        Json one = to_json(ns.identity);
        if (!ns.visibility.is_auto) {
            one["no_auto_visible"] = true;
            one["hosts"] = ns.visibility.hosts;
        }
        namespaces.push_back(std::move(one));
    }
    return json;
}

Result<Subsystem*> find(const TargetHolder& holder, const OneSubsystem& params) {
    auto target = target_of(holder, params.tgt_name);
    if (!target) return std::unexpected(std::move(target).error());
    const std::string nqn = params.nqn == "discovery" ? std::string(nvme::discovery_nqn) : params.nqn;
    Subsystem* subsystem = (*target)->find_subsystem(nqn);
    if (subsystem == nullptr)
        return fail(Errc::invalid_argument, fmt::format("Subsystem with NQN '{}' not found", params.nqn));
    return subsystem;
}

std::string_view name_of(Qpair::State state) {
    switch (state) {
        case Qpair::State::uninitialized: return "uninitialized";
        case Qpair::State::connecting: return "connecting";
        case Qpair::State::authenticating: return "authenticating";
        case Qpair::State::enabled: return "enabled";
        case Qpair::State::deactivating: return "deactivating";
    }
    return "?";
}

Task<Result<Json>> get_controllers(Target& target, uint32_t subsystem_id) {
    Json list = Json::array();
    for (PollGroup* group : target.poll_groups()) {
        co_await resume_on(group->thread());
        for (const auto& [uid, controller] : group->controllers()) {
            if (controller->subsystem().identity.id != subsystem_id) continue;
            list.push_back({{"cntlid", controller->identity().cntlid},
                            {"cntrltype", controller->is_discovery() ? "discovery" : "io"},
                            {"hostnqn", controller->identity().hostnqn},
                            {"hostid", controller->identity().hostid.to_string()},
                            {"num_io_qpairs", controller->io_queue_count()}});
        }
    }
    co_await resume_on(target.thread());
    co_return list;
}

Task<Result<Json>> get_qpairs(Target& target, uint32_t subsystem_id) {
    Json list = Json::array();
    for (PollGroup* group : target.poll_groups()) {
        co_await resume_on(group->thread());
        for (Qpair* qpair = group->qpairs.front(); qpair != nullptr; qpair = decltype(group->qpairs)::next(*qpair)) {
            if (qpair->subsystem == nullptr || qpair->subsystem->identity.id != subsystem_id) continue;
            list.push_back({{"cntlid", qpair->cntlid},
                            {"qid", qpair->qid},
                            {"state", name_of(qpair->state)},
                            {"thread", group->name()},
                            {"hostnqn", qpair->hostnqn},
                            {"listen_address", to_json(qpair->local_id())},
                            {"peer_address", to_json(qpair->peer_id())}});
            if (qpair->auth != nullptr) {
                const AuthReport report = qpair->auth->report();
                list.back()["auth"] = {{"state", report.state}, {"digest", report.digest}, {"dhgroup", report.dhgroup}};
            }
            if (qpair->secure == nullptr) continue;
            list.back()["tls"] = {{"version", "TLSv1.3"},
                                  {"cipher", qpair->secure->cipher},
                                  {"identity_version", qpair->secure->identity_version}};
        }
    }
    co_await resume_on(target.thread());
    co_return list;
}

}  // namespace

void add_subsystem_query_methods(rpc::Registry& registry, TargetHolder& holder) {
    registry.add<Query>({.name = "nvmf_get_subsystems",
                         .role = rpc::Role::read,
                         .text = "The subsystems, by NQN",
                         .result = "array",
                         .codes = refused_as_invalid},
                        [&holder](Query params) -> Task<Result<Json>> {
                            auto target = target_of(holder, params.tgt_name);
                            if (!target) co_return std::unexpected(std::move(target).error());
                            Json list = Json::array();
                            for (const auto& [nqn, subsystem] : (*target)->subsystems()) {
                                if (!params.nqn || *params.nqn == nqn) {
                                    list.push_back(to_json((*target)->host_psks(), *subsystem));
                                }
                            }
                            if (params.nqn && list.empty()) {
                                co_return fail(Errc::invalid_argument,
                                               fmt::format("Subsystem with NQN '{}' not found", *params.nqn));
                            }
                            co_return list;
                        });
    registry.add<OneSubsystem>({.name = "nvmf_subsystem_get_controllers",
                                .role = rpc::Role::read,
                                .text = "The controllers of a subsystem",
                                .result = "array",
                                .codes = refused_as_invalid},
                               [&holder](OneSubsystem params) -> Task<Result<Json>> {
                                   auto subsystem = find(holder, params);
                                   if (!subsystem) co_return std::unexpected(std::move(subsystem).error());
                                   co_return co_await get_controllers(**target_of(holder, params.tgt_name),
                                                                      (*subsystem)->identity().id);
                               });
    registry.add<OneSubsystem>({.name = "nvmf_subsystem_get_qpairs",
                                .role = rpc::Role::read,
                                .text = "The queue pairs of a subsystem",
                                .result = "array",
                                .codes = refused_as_invalid},
                               [&holder](OneSubsystem params) -> Task<Result<Json>> {
                                   auto subsystem = find(holder, params);
                                   if (!subsystem) co_return std::unexpected(std::move(subsystem).error());
                                   co_return co_await get_qpairs(**target_of(holder, params.tgt_name),
                                                                 (*subsystem)->identity().id);
                               });
    registry.add<OneSubsystem>({.name = "nvmf_subsystem_get_listeners",
                                .role = rpc::Role::read,
                                .text = "Where a subsystem can be reached",
                                .result = "array",
                                .codes = refused_as_invalid},
                               [&holder](OneSubsystem params) -> Task<Result<Json>> {
                                   auto subsystem = find(holder, params);
                                   if (!subsystem) co_return std::unexpected(std::move(subsystem).error());
                                   Json list = Json::array();
                                   for (const auto& listener : (*subsystem)->listeners()) {
                                       list.push_back(to_json(listener));
                                   }
                                   co_return list;
                               });
}

}  // namespace weft::nvmf
