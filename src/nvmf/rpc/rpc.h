// The target's RPC methods (nvmf_*), with the field's names, parameters and results.
#pragma once

#include <array>
#include <optional>
#include <string>

#include "nvme/auth/messages.h"
#include "nvmf/discovery/discovery.h"
#include "nvmf/rpc/other_targets.h"
#include "rpc/config_key.h"
#include "rpc/json_fwd.h"
#include "rpc/registry.h"

namespace weft::keyring {
class Keyring;
}

namespace weft::nvmf {

class Target;
class Subsystem;
class Transport;

// The field's numbers for what these methods refuse.
inline constexpr rpc::Codes refused_as_invalid = {.others = rpc::code::invalid_params};
inline constexpr rpc::Codes refused_as_internal = {.others = rpc::code::internal_error};

// The target, which exists from the start-up of the framework on; and what is set before that.
struct TargetHolder {
    Target* target = nullptr;
    keyring::Keyring* keys = nullptr;  // nullptr: hosts can have none
    nvme::auth::Allowed auth_allowed;
    OtherTargets others;  // of nvmf_create_target
    // Of nvmf_set_config.
    DiscoveryFilter discovery_filter;
    bool is_restricted_per_listener = false;  // dup_host_policy
    uint32_t max_subsystems = 1024;
    std::array<uint16_t, 3> command_retry_delays{};  // CRDT1 to CRDT3, in 100 ms
    // Of connections to transports made from now on; 0: the system's automatic size.
    uint32_t receive_buffer_bytes = 0;
    uint32_t send_buffer_bytes = 0;
};

void add_transport_methods(rpc::Registry& registry, TargetHolder& holder);
// nvmf_put_blockservice2transport and its like, nvmf_subsystem_listener_set_hosts.
void add_access_methods(rpc::Registry& registry, TargetHolder& holder);
void add_discovery_methods(rpc::Registry& registry, TargetHolder& holder);
// nvmf_create_target, nvmf_delete_target, nvmf_subsystem_disconnect.
void add_management_methods(rpc::Registry& registry, TargetHolder& holder);
void add_target_methods(rpc::Registry& registry, TargetHolder& holder);
void add_subsystem_methods(rpc::Registry& registry, TargetHolder& holder);
void add_auth_methods(rpc::Registry& registry, TargetHolder& holder);
// nvmf_subsystem_set_host_qos_limit.
void add_host_qos_methods(rpc::Registry& registry, TargetHolder& holder);
void add_ana_methods(rpc::Registry& registry, TargetHolder& holder);
void add_subsystem_query_methods(rpc::Registry& registry, TargetHolder& holder);
// The {method, params} entries that make the target's present configuration again.
void write_config(const TargetHolder& holder, Json& entries);
// One of them (nvmf/config_keys.h), or null when there is nothing of that name.
Json config_entry(const TargetHolder& holder, const rpc::ConfigKey& key);
Json transport_entry(const Transport& transport);
Json referral_params(const Referral& referral);

// The target named `tgt_name`, or the only one. Errors: no_such_device.
Result<Target*> target_of(const TargetHolder& holder, const std::optional<std::string>& tgt_name);

// By its NQN, or "discovery". Errors: no_such_device, invalid_argument.
Result<Subsystem*> subsystem_of(const TargetHolder& holder, const std::optional<std::string>& tgt_name,
                                const std::string& nqn);

}  // namespace weft::nvmf
