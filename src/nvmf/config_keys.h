// The names of the target's entries in the configuration: what changed says which, and rpc_config.cc writes it.
#pragma once

#include <string>
#include <string_view>

#include "nvme/fabrics.h"
#include "nvmf/transport_id.h"
#include "rpc/config_key.h"

namespace weft::nvmf {

inline constexpr const char* max_subsystems_kind = "nvmf_set_max_subsystems";
inline constexpr const char* retry_delays_kind = "nvmf_set_crdt";
inline constexpr const char* transport_kind = "nvmf_transport";
inline constexpr const char* set_config_kind = "nvmf_set_config";
inline constexpr const char* discovery_nqn_kind = "nvmf_discovery_set_nqn";
inline constexpr const char* announcement_kind = "nvmf_publish_mdns_prr";
inline constexpr const char* referral_kind = "nvmf_referral";
inline constexpr const char* namespace_host_kind = "nvmf_ns_host";
inline constexpr const char* network_kind = "nvmf_blockservice";
inline constexpr const char* subsystem_kind = "nvmf_subsystem";
inline constexpr const char* allow_any_host_kind = "nvmf_subsystem_allow_any_host";  // of the discovery subsystem
inline constexpr const char* host_kind = "nvmf_host";
inline constexpr const char* namespace_kind = "nvmf_ns";
inline constexpr const char* listener_kind = "nvmf_listener";
inline constexpr const char* ana_kind = "nvmf_ana";  // the states of a listener's groups that differ from the rest

inline rpc::ConfigKey transport_key(std::string_view trtype) { return {transport_kind, std::string(trtype), ""}; }
inline std::string address_words(const TransportId& id) {
    return id.trtype + ' ' + id.adrfam + ' ' + id.traddr + ' ' + id.trsvcid;
}
inline rpc::ConfigKey referral_key(const TransportId& address, const std::string& subnqn) {
    return {referral_kind, address_words(address), subnqn};
}
inline rpc::ConfigKey namespace_host_key(const std::string& nqn, uint32_t nsid, const std::string& host) {
    return {namespace_host_kind, nqn, std::to_string(nsid) + ' ' + host};
}
inline rpc::ConfigKey network_key(std::string_view trtype, const std::string& network) {
    return {network_kind, std::string(trtype), network};
}
// The discovery subsystem is always there; of it there is only the list of hosts to keep.
inline rpc::ConfigKey subsystem_key(const std::string& nqn) {
    return {nqn == nvme::discovery_nqn ? allow_any_host_kind : subsystem_kind, nqn, ""};
}
inline rpc::ConfigKey host_key(const std::string& nqn, const std::string& host) { return {host_kind, nqn, host}; }
inline rpc::ConfigKey namespace_key(const std::string& nqn, uint32_t nsid) {
    return {namespace_kind, nqn, std::to_string(nsid)};
}
inline rpc::ConfigKey listener_key(const std::string& nqn, const TransportId& id) {
    return {listener_kind, nqn, address_words(id)};
}
inline rpc::ConfigKey ana_key(const std::string& nqn, const TransportId& id) {
    return {ana_kind, nqn, listener_key(nqn, id).part};
}

}  // namespace weft::nvmf
