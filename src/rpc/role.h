// What a caller of methods may do.
#pragma once

#include <cstdint>
#include <string_view>

namespace weft::rpc {

// Each includes those before it.
enum class Role : uint8_t {
    none,     // nothing
    read,     // ask
    operate,  // change the target's configuration and figures
    admin,    // everything: also the process, its log, its state, and files of the machine it runs on
};

constexpr std::string_view to_string(Role role) {
    switch (role) {
        case Role::none: return "none";
        case Role::read: return "read";
        case Role::operate: return "operate";
        case Role::admin: return "admin";
    }
    return "";
}

}  // namespace weft::rpc
