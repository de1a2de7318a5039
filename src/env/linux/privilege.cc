#include "env/linux/privilege.h"

#include <fmt/format.h>
#include <linux/capability.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cctype>
#include <cerrno>
#include <optional>
#include <string_view>

namespace weft::env {

namespace {

// In the order of their numbers (capabilities(7)).
constexpr std::array<std::string_view, 41> capability_names = {"CHOWN",
                                                               "DAC_OVERRIDE",
                                                               "DAC_READ_SEARCH",
                                                               "FOWNER",
                                                               "FSETID",
                                                               "KILL",
                                                               "SETGID",
                                                               "SETUID",
                                                               "SETPCAP",
                                                               "LINUX_IMMUTABLE",
                                                               "NET_BIND_SERVICE",
                                                               "NET_BROADCAST",
                                                               "NET_ADMIN",
                                                               "NET_RAW",
                                                               "IPC_LOCK",
                                                               "IPC_OWNER",
                                                               "SYS_MODULE",
                                                               "SYS_RAWIO",
                                                               "SYS_CHROOT",
                                                               "SYS_PTRACE",
                                                               "SYS_PACCT",
                                                               "SYS_ADMIN",
                                                               "SYS_BOOT",
                                                               "SYS_NICE",
                                                               "SYS_RESOURCE",
                                                               "SYS_TIME",
                                                               "SYS_TTY_CONFIG",
                                                               "MKNOD",
                                                               "LEASE",
                                                               "AUDIT_WRITE",
                                                               "AUDIT_CONTROL",
                                                               "SETFCAP",
                                                               "MAC_OVERRIDE",
                                                               "MAC_ADMIN",
                                                               "SYSLOG",
                                                               "WAKE_ALARM",
                                                               "BLOCK_SUSPEND",
                                                               "AUDIT_READ",
                                                               "PERFMON",
                                                               "BPF",
                                                               "CHECKPOINT_RESTORE"};

uint64_t bit(size_t capability) { return uint64_t{1} << capability; }

// With or without CAP_, in capitals or not.
std::optional<size_t> capability_of(std::string_view name) {
    std::string wanted(name);
    std::ranges::transform(wanted, wanted.begin(), [](unsigned char c) { return static_cast<char>(std::toupper(c)); });
    if (wanted.starts_with("CAP_")) wanted.erase(0, 4);
    const auto* const found = std::ranges::find(capability_names, wanted);
    if (found == capability_names.end()) return std::nullopt;
    return static_cast<size_t>(found - capability_names.begin());
}

struct CapabilitySets {
    __user_cap_header_struct header{.version = _LINUX_CAPABILITY_VERSION_3, .pid = 0};
    std::array<__user_cap_data_struct, _LINUX_CAPABILITY_U32S_3> data{};
};

Result<void> keep_capabilities(const std::vector<std::string>& names) {
    CapabilitySets sets;
    if (syscall(SYS_capget, &sets.header, sets.data.data()) != 0) return fail_errno(errno, "asking for capabilities");
    const uint64_t permitted = sets.data[0].permitted | (uint64_t{sets.data[1].permitted} << 32);
    uint64_t kept = 0;
    for (const std::string& name : names) {
        const auto capability = capability_of(name);
        if (!capability) {
            return fail(Errc::invalid_argument, fmt::format("--keep-capability {}: there is no such one", name));
        }
        if ((permitted & bit(*capability)) == 0) {
            return fail(Errc::invalid_argument,
                        fmt::format("--keep-capability {}: this process does not have it", name));
        }
        kept |= bit(*capability);
    }
    for (size_t at = 0; at < capability_names.size(); ++at) {
        const bool is_ambient = prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_IS_SET, at, 0, 0) == 1;
        if (is_ambient) kept |= bit(at) & permitted;
    }
    // The bounding set, while we may; without CAP_SETPCAP no_new_privs keeps an exec from giving any.
    for (size_t at = 0; at < 64; ++at) {
        if ((kept & bit(at)) == 0 && prctl(PR_CAPBSET_READ, at) == 1) (void)prctl(PR_CAPBSET_DROP, at);
    }
    if (kept == permitted) return {};  // a service manager may have forbidden the call, too
    for (size_t at = 0; at < sets.data.size(); ++at) {
        const auto half = static_cast<uint32_t>(kept >> (32 * at));
        sets.data[at] = {.effective = half, .permitted = half, .inheritable = 0};
    }
    if (syscall(SYS_capset, &sets.header, sets.data.data()) != 0) return fail_errno(errno, "dropping capabilities");
    return {};
}

}  // namespace

Result<void> drop_privileges(const PrivilegeOptions& options) {
    WEFT_TRY(keep_capabilities(options.kept_capabilities));
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) return fail_errno(errno, "setting no_new_privs");
    return restrict_system_calls(options.foreign_calls);
}

}  // namespace weft::env
