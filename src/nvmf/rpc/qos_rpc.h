// Limits of hosts by the field's names for those of bdevs: what nvmf_subsystem_add_host and
// nvmf_subsystem_set_host_qos_limit share.
#pragma once

#include <string>

#include "nvmf/rpc/rpc.h"
#include "nvmf/subsystem.h"

namespace weft::nvmf {

struct LimitParams {
    std::optional<uint64_t> rw_ios_per_sec, rw_mbytes_per_sec, r_mbytes_per_sec, w_mbytes_per_sec;
    // MiB become bytes; more than there can be is as many as there can be.
    [[nodiscard]] LimitChange change() const;
};

// Those that there are, by name; an empty object when there are none.
Json limits_json(const bdev::RateLimits& limits);

}  // namespace weft::nvmf
