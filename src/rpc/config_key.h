// Names one entry of the configuration by what it makes, so that a change can say in few words what it touched.
#pragma once

#include <compare>
#include <string>

namespace weft::rpc {

// Of the daemon itself (app/daemon/sockets.h).
inline constexpr const char* sock_default_kind = "sock_set_default_impl";
inline constexpr const char* sock_options_kind = "sock_impl_set_options";
// Of the daemon itself (app/daemon/scheduler_rpc.h).
inline constexpr const char* scheduler_options_kind = "scheduler_set_options";
inline constexpr const char* scheduler_kind = "framework_set_scheduler";

// The rooms make these (bdev_key(), nvmf/config_keys.h), and find the present entry of one again (config_entry()).
struct ConfigKey {
    std::string kind;    // "bdev", "nvmf_subsystem", …; of a thing that is there once, the method that sets it
    std::string object;  // the bdev's name, the subsystem's NQN
    std::string part;    // of the object: a namespace's id, a host's NQN, a listener's address

    friend auto operator<=>(const ConfigKey&, const ConfigKey&) = default;
};

}  // namespace weft::rpc
