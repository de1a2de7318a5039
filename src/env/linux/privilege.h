// What this process may still ask of the system once it has started: capabilities, new privileges, system calls.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace weft::env {

// What becomes of a system call that is not on the list (system_calls.cc).
enum class ForeignCalls : uint8_t {
    refuse,  // it fails with EPERM; the first one of each number is told on standard error
    kill,    // the process ends with SIGSYS
    allow,   // there is no list: for debuggers and tracers that make calls in our name
};

// LeakSanitizer stops its own process from another one, which the list does not let it; it would wait for ever.
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
inline constexpr ForeignCalls foreign_calls_default = ForeignCalls::allow;
#else
inline constexpr ForeignCalls foreign_calls_default = ForeignCalls::refuse;
#endif

struct PrivilegeOptions {
    // Names such as CAP_NET_BIND_SERVICE. Those of the ambient set, which a service manager gives to who is not root,
    // are kept without being named.
    std::vector<std::string> kept_capabilities;
    ForeignCalls foreign_calls = foreign_calls_default;
};

// Gives away what is not named: capabilities, the right to get any by an exec, and system calls. Before the process has
// a second thread, since capabilities belong to a thread; those that it starts have no more. There is no way back.
// Errors: invalid_argument (no such capability, or not one of ours), not_supported (no seccomp here).
Result<void> drop_privileges(const PrivilegeOptions& options);

// Installs the list of system calls, for all threads. Errors: not_supported.
Result<void> restrict_system_calls(ForeignCalls foreign_calls);

}  // namespace weft::env
