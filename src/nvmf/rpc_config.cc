// The target's part of save_config: the calls that make it again, one by one or all.
#include <fmt/format.h>

#include <charconv>

#include "base/hex.h"
#include "nvme/fabrics.h"
#include "nvmf/config_keys.h"
#include "nvmf/rpc.h"
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
    return entry_of("nvmf_create_subsystem", {{"nqn", identity.nqn},
                                              {"allow_any_host", subsystem.allows_any_host()},
                                              {"serial_number", identity.serial_number},
                                              {"model_number", identity.model_number},
                                              {"max_namespaces", identity.max_namespaces},
                                              {"min_cntlid", identity.min_cntlid},
                                              {"max_cntlid", identity.max_cntlid}});
}

Json host_entry(const std::string& nqn, const std::string& host) {
    return entry_of("nvmf_subsystem_add_host", {{"nqn", nqn}, {"host", host}});
}

Json namespace_entry(const std::string& nqn, const NamespaceIdentity& identity) {
    return entry_of("nvmf_subsystem_add_ns", {{"nqn", nqn},
                                              {"namespace",
                                               {{"nsid", identity.nsid},
                                                {"bdev_name", identity.bdev_name},
                                                {"nguid", upper_hex(identity.nguid)},
                                                {"eui64", upper_hex(identity.eui64)},
                                                {"uuid", identity.uuid.to_string()},
                                                {"anagrpid", identity.anagrpid}}}});
}

Json listener_entry(const std::string& nqn, const TransportId& address) {
    return entry_of("nvmf_subsystem_add_listener", {{"nqn", nqn}, {"listen_address", to_json(address)}});
}

// What is set before the start, as the field's targets write it: also when it is the default.
Json max_subsystems_entry(const TargetHolder& holder) {
    return entry_of(max_subsystems_kind, {{"max_subsystems", holder.max_subsystems}});
}
Json retry_delays_entry(const TargetHolder& holder) {
    const auto& delays = holder.command_retry_delays;
    return entry_of(retry_delays_kind, {{"crdt1", delays[0]}, {"crdt2", delays[1]}, {"crdt3", delays[2]}});
}

void write_subsystem_config(const Subsystem& subsystem, Json& entries) {
    if (Json entry = subsystem_entry(subsystem); !entry.is_null()) entries.push_back(std::move(entry));
    const std::string& nqn = subsystem.nqn();
    for (const std::string& host : subsystem.hosts()) entries.push_back(host_entry(nqn, host));
    for (const auto& [nsid, ns] : subsystem.namespaces()) entries.push_back(namespace_entry(nqn, ns.identity));
    for (const auto& listener : subsystem.listeners()) entries.push_back(listener_entry(nqn, listener.address));
}

Json part_entry(const Subsystem& subsystem, const rpc::ConfigKey& key) {
    const std::string& nqn = subsystem.nqn();
    if (key.kind == subsystem_kind || key.kind == allow_any_host_kind) return subsystem_entry(subsystem);
    if (key.kind == host_kind) return subsystem.hosts().contains(key.part) ? host_entry(nqn, key.part) : Json();
    if (key.kind == namespace_kind) {
        uint32_t nsid = 0;
        std::from_chars(key.part.data(), key.part.data() + key.part.size(), nsid);
        const auto at = subsystem.namespaces().find(nsid);
        return at == subsystem.namespaces().end() ? Json() : namespace_entry(nqn, at->second.identity);
    }
    for (const auto& listener : subsystem.listeners()) {
        if (listener_key(nqn, listener.address) == key) return listener_entry(nqn, listener.address);
    }
    return {};
}

}  // namespace

Json config_entry(const TargetHolder& holder, const rpc::ConfigKey& key) {
    if (key.kind == max_subsystems_kind) return max_subsystems_entry(holder);
    if (key.kind == retry_delays_kind) return retry_delays_entry(holder);
    if (holder.target == nullptr) return {};
    if (key.kind == transport_kind) {
        const Transport* transport = holder.target->find_transport(key.object);
        return transport == nullptr ? Json() : transport_entry(*transport);
    }
    const Subsystem* subsystem = holder.target->find_subsystem(key.object);
    return subsystem == nullptr ? Json() : part_entry(*subsystem, key);
}

void write_config(const TargetHolder& holder, Json& entries) {
    entries.push_back(max_subsystems_entry(holder));
    entries.push_back(retry_delays_entry(holder));
    if (holder.target == nullptr) return;
    for (const auto& transport : holder.target->transports()) entries.push_back(transport_entry(*transport));
    for (const auto& [nqn, subsystem] : holder.target->subsystems()) write_subsystem_config(*subsystem, entries);
}

}  // namespace weft::nvmf
