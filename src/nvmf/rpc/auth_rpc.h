// Keys of hosts by their names: what nvmf_subsystem_add_host and nvmf_subsystem_set_keys share.
#pragma once

#include <optional>
#include <string>

#include "nvmf/rpc/rpc.h"
#include "nvmf/subsystem.h"

namespace weft::nvmf {

// Errors: invalid_argument: no such key, what a file has is no secret of DH-HMAC-CHAP, or a controller's key alone.
Task<Result<HostKeys>> find_host_keys(TargetHolder& holder, std::optional<std::string> dhchap_key,
                                      std::optional<std::string> dhchap_ctrlr_key);

// Puts the names of a host's keys beside its own: in save_config, in nvmf_get_subsystems.
void tell_host_keys(const Subsystem& subsystem, const std::string& host, Json& told);

}  // namespace weft::nvmf
