// What a process that has given its privileges away can still do, and what not: each in a child that dies of it.
#include "env/linux/privilege.h"

#include <gtest/gtest.h>
#include <linux/capability.h>
#include <sched.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <functional>
#include <string>
#include <thread>
#include <vector>

#include "env/linux/os_thread.h"

namespace weft::env {
namespace {

// Not std::exit: what the parent's other threads hold is not ours to tear down.
[[noreturn]] void leave(bool is_well) { _exit(is_well ? 0 : 1); }

// `call` fails with EPERM.
bool is_refused(const std::function<long()>& call) {
    errno = 0;
    return call() == -1 && errno == EPERM;
}

bool can_start_threads_and_do_files() {
    std::atomic<int> value = 0;
    auto thread = OsThread::start({.name = "test"}, [&value] { value = 1; });
    if (!thread) return false;
    thread->reset();
    const int socket = ::socket(AF_INET, SOCK_STREAM, 0);
    void* const memory = mmap(nullptr, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    return value == 1 && socket >= 0 && memory != MAP_FAILED && close(socket) == 0 && getpid() > 0;
}

bool refuses_what_is_not_on_the_list() {
    return is_refused([] { return unshare(CLONE_NEWUSER); }) &&
           is_refused([] { return syscall(SYS_bpf, 0, nullptr, 0); }) &&
           is_refused([] { return syscall(SYS_add_key, "user", "x", "y", 1, 0); }) &&
           is_refused([] { return syscall(SYS_process_vm_writev, getppid(), nullptr, 0, nullptr, 0, 0); }) &&
           is_refused([] { return static_cast<long>(::socket(AF_PACKET, SOCK_RAW, 0)); }) &&
           is_refused([] { return static_cast<long>(::socket(AF_VSOCK, SOCK_STREAM, 0)); }) &&
           is_refused([] { return syscall(SYS_tgkill, getppid(), getppid(), 0); }) &&
           is_refused([] { return syscall(SYS_ioctl, 0, 0x5412 /* TIOCSTI */, "x"); });
}

#if !__has_feature(address_sanitizer) && !__has_feature(thread_sanitizer)
bool refuses_what_only_sanitizers_do() {
    char program[] = "/bin/true";
    char* const words[] = {program, nullptr};
    return is_refused([&] { return static_cast<long>(execv(program, words)); }) &&
           is_refused([] { return static_cast<long>(fork()); }) &&
           is_refused([] { return syscall(SYS_kill, getppid(), 0); }) &&
           is_refused([] { return ptrace(PTRACE_TRACEME, 0, nullptr, nullptr); }) && is_refused([] {
               const void* const memory =
                   mmap(nullptr, 4096, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
               return memory == MAP_FAILED ? -1L : 0L;
           });
}
#else
bool refuses_what_only_sanitizers_do() { return true; }
#endif

class PrivilegeTest : public testing::Test {
protected:
    PrivilegeTest() { GTEST_FLAG_SET(death_test_style, "fast"); }
};

TEST_F(PrivilegeTest, SystemCallsThatAreNotOnTheListAreRefused) {
    EXPECT_EXIT(
        {
            const auto done = restrict_system_calls(ForeignCalls::refuse);
            leave(done && can_start_threads_and_do_files() && refuses_what_is_not_on_the_list() &&
                  refuses_what_only_sanitizers_do());
        },
        testing::ExitedWithCode(0), "refused a system call that is not on its list .*: number ");
}

TEST_F(PrivilegeTest, ARefusalIsToldOnceForEachCall) {
    EXPECT_EXIT(
        {
            const auto done = restrict_system_calls(ForeignCalls::refuse);
            bool is_well = done.has_value();
            for (int round = 0; round < 1000; ++round) is_well = is_well && unshare(CLONE_NEWNS) == -1;
            leave(is_well);
        },
        testing::ExitedWithCode(0), "^[^\n]*number [0-9]+\n$");
}

TEST_F(PrivilegeTest, OrAreTheEnd) {
    EXPECT_EXIT(
        {
            if (!restrict_system_calls(ForeignCalls::kill) || !can_start_threads_and_do_files()) leave(false);
            unshare(CLONE_NEWUSER);
            leave(false);
        },
        testing::KilledBySignal(SIGSYS), "");
}

TEST_F(PrivilegeTest, TheListIsForThreadsThatWereThereBefore) {
    EXPECT_EXIT(
        {
            std::atomic<int> step = 0;
            bool is_well = false;
            std::thread before([&] {
                step = 1;
                while (step != 2) sched_yield();
                is_well = is_refused([] { return unshare(CLONE_NEWUSER); });
            });
            while (step != 1) sched_yield();
            const auto done = restrict_system_calls(ForeignCalls::refuse);
            step = 2;
            before.join();
            leave(done && is_well);
        },
        testing::ExitedWithCode(0), "");
}

// After drop_privileges(): whether these are effective and permitted, and no others.
bool keeps_only(const std::vector<std::string>& names, uint32_t wanted) {
    if (!drop_privileges({.kept_capabilities = names})) return false;
    __user_cap_header_struct header{.version = _LINUX_CAPABILITY_VERSION_3, .pid = 0};
    std::array<__user_cap_data_struct, 2> sets{};
    return syscall(SYS_capget, &header, sets.data()) == 0 && sets[0].effective == wanted &&
           sets[0].permitted == wanted && sets[1].effective == 0 && sets[1].permitted == 0 &&
           prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) == 1;
}

TEST_F(PrivilegeTest, NothingIsKeptThatWasNotNamed) {
    EXPECT_EXIT(leave(keeps_only({}, 0)), testing::ExitedWithCode(0), "");
}

TEST_F(PrivilegeTest, WhatIsNamedIsKept) {
    if (geteuid() != 0) GTEST_SKIP() << "there is nothing to keep";
    const std::vector<std::string> names{"cap_net_bind_service", "CHOWN"};
    EXPECT_EXIT(leave(keeps_only(names, (1U << CAP_NET_BIND_SERVICE) | (1U << CAP_CHOWN))), testing::ExitedWithCode(0),
                "");
}

TEST_F(PrivilegeTest, ACapabilityThatIsNoneIsRefused) {
    EXPECT_EXIT(
        {
            const auto done = drop_privileges({.kept_capabilities = {"CAP_FLY"}});
            leave(!done && done.error().code == Errc::invalid_argument);
        },
        testing::ExitedWithCode(0), "");
}

}  // namespace
}  // namespace weft::env
