// The target's part of save_config: the calls that make it again, one by one or all.
#include <fmt/format.h>

#include <charconv>

#include "base/hex.h"
#include "nvme/fabrics.h"
#include "nvmf/config_keys.h"
#include "nvmf/rpc/auth_rpc.h"
#include "nvmf/rpc/qos_rpc.h"
#include "nvmf/rpc/rpc.h"
#include "nvmf/target.h"
#include "rpc/json.h"

namespace weft::nvmf {

namespace {

Json entry_of(const char* method, Json params) { return {{"method", method}, {"params", std::move(params)}}; }

Json to_json(const TransportId& id) {
    return {{"trtype", id.trtype}, {"adrfam", id.adrfam}, {"traddr", id.traddr}, {"trsvcid", id.trsvcid}};
}

std::string upper_hex(std::span<const uint8_t> bytes) {
    std::string text = to_hex(bytes);
    for (char& digit : text) digit = digit >= 'a' ? static_cast<char>(digit - 'a' + 'A') : digit;
    return text;
}

// Null for the discovery subsystem as it is at first.
Json subsystem_entry(const Subsystem& subsystem) {
    const SubsystemIdentity& identity = subsystem.identity();
    if (identity.is_discovery) {
        if (subsystem.allows_any_host()) return {};
        return entry_of("nvmf_subsystem_allow_any_host", {{"nqn", identity.nqn}, {"allow_any_host", false}});
    }
    Json params{{"nqn", identity.nqn},
                {"allow_any_host", subsystem.allows_any_host()},
                {"serial_number", identity.serial_number},
                {"model_number", identity.model_number},
                {"max_namespaces", identity.max_namespaces},
                {"min_cntlid", identity.min_cntlid},
                {"max_cntlid", identity.max_cntlid}};
    if (identity.ana_reporting) params["ana_reporting"] = true;
    if (!identity.admin_label.empty()) params["admin_label"] = identity.admin_label;
    return entry_of("nvmf_create_subsystem", std::move(params));
}

Json host_entry(const HostPsks& psks, const Subsystem& subsystem, const std::string& host) {
    Json params{{"nqn", subsystem.nqn()}, {"host", host}};
    if (const auto psk = psks.find(subsystem.nqn(), host)) params["psk"] = psk->name();
    tell_host_keys(subsystem, host, params);
    params.update(limits_json(subsystem.limits_of(host)));
    return entry_of("nvmf_subsystem_add_host", std::move(params));
}

Json namespace_entry(const std::string& nqn, const Subsystem::Namespace& ns) {
    const NamespaceIdentity& identity = ns.identity;
    Json params{{"nsid", identity.nsid},
                {"bdev_name", identity.bdev_name},
                {"nguid", upper_hex(identity.nguid)},
                {"eui64", upper_hex(identity.eui64)},
                {"uuid", identity.uuid.to_string()},
                {"anagrpid", identity.anagrpid}};
    if (identity.hide_metadata) params["hide_metadata"] = true;
    if (!identity.ptpl_file.empty()) params["ptpl_file"] = identity.ptpl_file;
    if (!ns.visibility.is_auto) params["no_auto_visible"] = true;
    return entry_of("nvmf_subsystem_add_ns", {{"nqn", nqn}, {"namespace", std::move(params)}});
}

Json namespace_host_entry(const std::string& nqn, uint32_t nsid, const std::string& host) {
    return entry_of("nvmf_ns_add_host", {{"nqn", nqn}, {"nsid", nsid}, {"host", host}});
}

Json discovery_nqn_entry(const Target& target) {
    if (target.unique_discovery_nqn().empty()) return {};
    return entry_of(discovery_nqn_kind, {{"discovery_nqn", target.unique_discovery_nqn()}});
}

Json announcement_entry(const Target& target) {
    return target.announcer().is_on() ? entry_of(announcement_kind, Json::object()) : Json();
}

Json referral_entry(const Referral& referral) {
    return entry_of("nvmf_discovery_add_referral", referral_params(referral));
}

Json listener_entry(const std::string& nqn, const Subsystem::Listener& listener) {
    Json params{{"nqn", nqn}, {"listen_address", to_json(listener.address)}};
    if (listener.is_secure) params["secure_channel"] = true;
    if (listener.concatenation != Concatenation::off) params["secure_concatenation"] = name_of(listener.concatenation);
    if (!listener.hosts.empty()) params["hosts"] = listener.hosts;
    if (listener.ana.state_of_all() != nvme::AnaState::optimized) {
        params["ana_state"] = name_of(listener.ana.state_of_all());
    }
    return entry_of("nvmf_subsystem_add_listener", std::move(params));
}

// The groups in another state than that of all; null when there is none.
Json ana_entry(const std::string& nqn, const Subsystem::Listener& listener) {
    Json states = Json::array();
    const auto& all = listener.ana.states();
    for (uint32_t group = 1; group <= all.size(); ++group) {
        const nvme::AnaState state = listener.ana.state_of(group);
        if (state != listener.ana.state_of_all()) {
            states.push_back({{"anagrpid", group}, {"ana_state", name_of(state)}});
        }
    }
    if (states.empty()) return {};
    Json one{{"listen_address", to_json(listener.address)}, {"states", std::move(states)}};
    return entry_of("weft_nvmf_set_ana_states", {{"nqn", nqn}, {"listeners", Json::array({std::move(one)})}});
}

Json network_entry(std::string_view trtype, const Network& network) {
    return entry_of("nvmf_put_blockservice2transport", {{"trtype", trtype}, {"blockservice", network.to_string()}});
}

// What is set before the start, as the field's targets write it: also when it is the default.
Json max_subsystems_entry(const TargetHolder& holder) {
    return entry_of(max_subsystems_kind, {{"max_subsystems", holder.max_subsystems}});
}
Json set_config_entry(const TargetHolder& holder) {
    Json digests = Json::array();
    for (const auto hash : nvme::auth::all_hashes) {
        if (holder.auth_allowed.takes(hash)) digests.push_back(nvme::auth::name_of(hash));
    }
    Json groups = Json::array();
    for (const auto group : nvme::auth::all_groups) {
        if (holder.auth_allowed.takes(group)) groups.push_back(nvme::auth::name_of(group));
    }
    return entry_of(set_config_kind,
                    {{"discovery_filters", holder.discovery_filter.names()},
                     {"dup_host_policy", holder.is_restricted_per_listener ? "restrict_per_listener" : "allow"},
                     {"dhchap_digests", std::move(digests)},
                     {"dhchap_dhgroups", std::move(groups)}});
}
Json retry_delays_entry(const TargetHolder& holder) {
    const auto& delays = holder.command_retry_delays;
    return entry_of(retry_delays_kind, {{"crdt1", delays[0]}, {"crdt2", delays[1]}, {"crdt3", delays[2]}});
}

void write_subsystem_config(const HostPsks& psks, const Subsystem& subsystem, Json& entries) {
    if (Json entry = subsystem_entry(subsystem); !entry.is_null()) entries.push_back(std::move(entry));
    const std::string& nqn = subsystem.nqn();
    for (const std::string& host : subsystem.hosts()) entries.push_back(host_entry(psks, subsystem, host));
    for (const auto& [nsid, ns] : subsystem.namespaces()) {
        entries.push_back(namespace_entry(nqn, ns));
        for (const std::string& host : ns.visibility.hosts) entries.push_back(namespace_host_entry(nqn, nsid, host));
    }
    for (const auto& listener : subsystem.listeners()) {
        entries.push_back(listener_entry(nqn, listener));
        if (Json entry = ana_entry(nqn, listener); !entry.is_null()) entries.push_back(std::move(entry));
    }
}

// The calls that make what a target has, if it is the program's own.
void write_target_config(const Target& target, Json& entries) {
    for (const auto& transport : target.transports()) {
        entries.push_back(transport_entry(*transport));
        for (const Network& network : transport->networks.networks()) {
            entries.push_back(network_entry(transport->name(), network));
        }
    }
    if (Json entry = discovery_nqn_entry(target); !entry.is_null()) entries.push_back(std::move(entry));
    for (const Referral& referral : target.referrals()) entries.push_back(referral_entry(referral));
    for (const auto& [nqn, subsystem] : target.subsystems()) {
        write_subsystem_config(target.host_psks(), *subsystem, entries);
    }
    if (Json entry = announcement_entry(target); !entry.is_null()) entries.push_back(std::move(entry));
}

// One of nvmf_create_target.
Json target_entry(const Target& target) {
    const bool is_restricted = target.duplicate_host_policy == DuplicateHostPolicy::restrict_per_listener;
    return entry_of("nvmf_create_target", {{"name", target.name()},
                                           {"max_subsystems", target.subsystem_max()},
                                           {"discovery_filter", target.discovery_filter.names()},
                                           {"dup_host_policy", is_restricted ? "restrict_per_listener" : "allow"}});
}

Json part_entry(const HostPsks& psks, const Subsystem& subsystem, const rpc::ConfigKey& key) {
    const std::string& nqn = subsystem.nqn();
    if (key.kind == subsystem_kind || key.kind == allow_any_host_kind) return subsystem_entry(subsystem);
    if (key.kind == host_kind) {
        return subsystem.hosts().contains(key.part) ? host_entry(psks, subsystem, key.part) : Json();
    }
    if (key.kind == namespace_kind || key.kind == namespace_host_kind) {
        uint32_t nsid = 0;
        std::from_chars(key.part.data(), key.part.data() + key.part.size(), nsid);
        const auto at = subsystem.namespaces().find(nsid);
        if (at == subsystem.namespaces().end()) return {};
        if (key.kind == namespace_kind) return namespace_entry(nqn, at->second);
        const std::string host = key.part.substr(key.part.find(' ') + 1);
        return at->second.visibility.hosts.contains(host) ? namespace_host_entry(nqn, nsid, host) : Json();
    }
    for (const auto& listener : subsystem.listeners()) {
        if (listener_key(nqn, listener.address) == key) return listener_entry(nqn, listener);
        if (ana_key(nqn, listener.address) == key) return ana_entry(nqn, listener);
    }
    return {};
}

}  // namespace

Json config_entry(const TargetHolder& holder, const rpc::ConfigKey& key) {
    if (key.kind == max_subsystems_kind) return max_subsystems_entry(holder);
    if (key.kind == retry_delays_kind) return retry_delays_entry(holder);
    if (key.kind == set_config_kind) return set_config_entry(holder);
    if (holder.target == nullptr) return {};
    if (key.kind == discovery_nqn_kind) return discovery_nqn_entry(*holder.target);
    if (key.kind == announcement_kind) return announcement_entry(*holder.target);
    if (key.kind == referral_kind) {
        for (const Referral& referral : holder.target->referrals()) {
            if (referral_key(referral.address, referral.subnqn) == key) return referral_entry(referral);
        }
        return {};
    }
    if (key.kind == transport_kind) {
        const Transport* transport = holder.target->find_transport(key.object);
        return transport == nullptr ? Json() : transport_entry(*transport);
    }
    if (key.kind == network_kind) {
        const Transport* transport = holder.target->find_transport(key.object);
        if (transport == nullptr) return {};
        for (const Network& network : transport->networks.networks()) {
            if (network.to_string() == key.part) return network_entry(key.object, network);
        }
        return {};
    }
    const Subsystem* subsystem = holder.target->find_subsystem(key.object);
    return subsystem == nullptr ? Json() : part_entry(holder.target->host_psks(), *subsystem, key);
}

void write_config(const TargetHolder& holder, Json& entries) {
    entries.push_back(max_subsystems_entry(holder));
    entries.push_back(retry_delays_entry(holder));
    entries.push_back(set_config_entry(holder));
    if (holder.target == nullptr) return;
    write_target_config(*holder.target, entries);
    for (const Target* other : holder.others.all()) {
        entries.push_back(target_entry(*other));
        Json own = Json::array();
        write_target_config(*other, own);
        for (Json& entry : own) {
            entry["params"]["tgt_name"] = other->name();
            entries.push_back(std::move(entry));
        }
    }
}

}  // namespace weft::nvmf
