// The list of system calls, as a seccomp filter. It is written by hand: libseccomp would be one more package for what
// is a list and six conditions. The calls of every I/O have no condition on their arguments, so that the kernel answers
// for them from a bitmap (5.11) without running the program below.
//
// What io_uring does in our name is not seen by seccomp. It reaches what the files' own rights allow, no more.
#include <fcntl.h>
#include <fmt/format.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/fs.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <termios.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <bit>
#include <cerrno>
#include <csignal>
#include <cstddef>
#include <cstring>
#include <span>
#include <string_view>

#include "base/assert.h"
#include "env/linux/privilege.h"

namespace weft::env {

namespace {

#if defined(__x86_64__)
constexpr uint32_t our_architecture = AUDIT_ARCH_X86_64;
#elif defined(__aarch64__)
constexpr uint32_t our_architecture = AUDIT_ARCH_AARCH64;
#else
#error "which AUDIT_ARCH is this?"
#endif
static_assert(std::endian::native == std::endian::little);  // where the halves of an argument lie

// A sanitizer's runtime looks at its own process with a helper process, and runs a program that finds symbols.
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer) || __has_feature(memory_sanitizer)
constexpr bool is_sanitized = true;
#else
constexpr bool is_sanitized = false;
#endif

// clang-format off: it would give each a line of its own
// Whatever the arguments are.
constexpr uint32_t plain_calls[] = {
    // Of each turn of a reactor, and of each I/O.
    SYS_recvfrom, SYS_sendmsg, SYS_epoll_pwait, SYS_epoll_pwait2, SYS_io_uring_enter, SYS_write, SYS_read,
    SYS_futex,
#ifdef SYS_epoll_wait
    SYS_epoll_wait,
#endif
    // Sockets.
    SYS_accept4, SYS_bind, SYS_connect, SYS_getpeername, SYS_getsockname, SYS_getsockopt, SYS_listen, SYS_recvmsg,
    SYS_sendto, SYS_setsockopt, SYS_shutdown,
    // Waiting, time.
    SYS_clock_getres, SYS_clock_gettime, SYS_clock_nanosleep, SYS_epoll_create1, SYS_epoll_ctl, SYS_eventfd2,
    SYS_gettimeofday, SYS_nanosleep, SYS_ppoll, SYS_pselect6, SYS_signalfd4, SYS_timerfd_create,
    SYS_timerfd_settime, SYS_timerfd_gettime,
#ifdef SYS_poll
    SYS_poll, SYS_select, SYS_time,
#endif
    // Files.
    SYS_close, SYS_dup, SYS_dup3, SYS_faccessat, SYS_faccessat2, SYS_fadvise64, SYS_fallocate, SYS_fchmod,
    SYS_fchmodat, SYS_fcntl, SYS_fdatasync, SYS_flock, SYS_fstat, SYS_fstatfs, SYS_fsync, SYS_ftruncate, SYS_getcwd,
    SYS_getdents64, SYS_io_uring_register, SYS_io_uring_setup, SYS_lseek, SYS_memfd_create, SYS_mkdirat,
    SYS_newfstatat, SYS_openat, SYS_openat2, SYS_pipe2, SYS_pread64, SYS_preadv, SYS_preadv2, SYS_pwrite64,
    SYS_pwritev, SYS_pwritev2, SYS_readlinkat, SYS_readv, SYS_renameat, SYS_renameat2, SYS_splice, SYS_statfs,
    SYS_statx, SYS_unlinkat, SYS_vmsplice, SYS_writev,
#ifdef SYS_open
    SYS_access, SYS_chmod, SYS_lstat, SYS_mkdir, SYS_open, SYS_readlink, SYS_rename, SYS_rmdir, SYS_stat,
    SYS_unlink, SYS_dup2,
#endif
    // Memory.
    SYS_brk, SYS_madvise, SYS_mincore, SYS_mremap, SYS_munmap,
    // Threads and the process itself.
    SYS_capget, SYS_exit, SYS_exit_group, SYS_getcpu, SYS_getegid, SYS_geteuid, SYS_getgid, SYS_getpid,
    SYS_getpriority, SYS_getrandom, SYS_getrusage, SYS_gettid, SYS_getuid, SYS_membarrier, SYS_restart_syscall,
    SYS_rseq, SYS_rt_sigaction, SYS_rt_sigpending, SYS_rt_sigprocmask, SYS_rt_sigreturn, SYS_rt_sigtimedwait,
    SYS_sched_getaffinity, SYS_sched_getparam, SYS_sched_getscheduler, SYS_sched_setaffinity, SYS_sched_yield,
    SYS_set_robust_list, SYS_set_tid_address, SYS_sigaltstack, SYS_sysinfo, SYS_uname,
#ifdef SYS_arch_prctl
    SYS_arch_prctl, SYS_getrlimit,
#endif
};

constexpr uint32_t sanitizer_calls[] = {
    SYS_clone, SYS_execve, SYS_kill, SYS_mmap, SYS_mprotect, SYS_personality, SYS_prctl, SYS_prlimit64, SYS_ptrace,
    SYS_setrlimit, SYS_socketpair, SYS_wait4,
#ifdef SYS_fork
    SYS_fork, SYS_vfork, SYS_pipe,
#endif
};
// clang-format on

constexpr uint32_t allowed_ioctls[] = {BLKGETSIZE64, BLKSSZGET, FIONBIO, FIONREAD, TCGETS, TIOCGWINSZ};
constexpr uint32_t allowed_families[] = {AF_UNIX, AF_INET, AF_INET6, AF_NETLINK};
constexpr uint32_t allowed_prctls[] = {PR_GET_DUMPABLE, PR_GET_NAME, PR_GET_NO_NEW_PRIVS, PR_SET_NAME, PR_SET_VMA};

// Writes the program: a filter is asked with the number in the accumulator, and arguments are loaded where they count.
class Filter {
public:
    explicit Filter(uint32_t refusal) : refusal_(refusal) {
        load(offsetof(seccomp_data, arch));
        skip_unless_equal(our_architecture, 1);
        jump(1);
        add(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS);
        load(offsetof(seccomp_data, nr));
    }

    void allow(std::span<const uint32_t> numbers) {
        for (const uint32_t number : numbers) answer(number, SECCOMP_RET_ALLOW);
    }
    void answer(uint32_t number, uint32_t action) {
        skip_unless_equal(number, 1);
        add(BPF_RET | BPF_K, action);
    }
    // Only with one of `values` as argument number `argument`.
    void allow_with(uint32_t number, uint32_t argument, std::span<const uint32_t> values) {
        const auto count = static_cast<uint8_t>(values.size());
        skip_unless_equal(number, static_cast<uint8_t>(2 + 2 * count));
        load(argument_at(argument));
        for (const uint32_t value : values) answer(value, SECCOMP_RET_ALLOW);
        add(BPF_RET | BPF_K, refusal_);
    }
    // Only when the bits of `mask` in argument number `argument` are, or are not, `value`.
    void allow_masked(uint32_t number, uint32_t argument, uint32_t mask, uint32_t value, bool is_equal) {
        skip_unless_equal(number, 5);
        load(argument_at(argument));
        add(BPF_ALU | BPF_AND | BPF_K, mask);
        skip_unless_equal(value, 1);
        add(BPF_RET | BPF_K, is_equal ? uint32_t{SECCOMP_RET_ALLOW} : refusal_);
        add(BPF_RET | BPF_K, is_equal ? refusal_ : uint32_t{SECCOMP_RET_ALLOW});
    }

    // For all threads. Errors: not_supported.
    Result<void> install() {
        add(BPF_RET | BPF_K, refusal_);
        const sock_fprog program{.len = static_cast<unsigned short>(size_), .filter = instructions_.data()};
        // SPEC_ALLOW: before 5.16 a filter alone would make the CPU slower for all that the process does.
        const long refused = syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER,
                                     SECCOMP_FILTER_FLAG_TSYNC | SECCOMP_FILTER_FLAG_SPEC_ALLOW, &program);
        if (refused == 0) return {};
        return fail(Errc::not_supported,
                    fmt::format("the list of system calls cannot be set ({}); --seccomp off does without it",
                                refused > 0 ? "a thread has another" : std::strerror(errno)));
    }

private:
    // The low half: what the upper one holds means nothing for an int, and adds no permission to the flags asked for.
    static uint32_t argument_at(uint32_t argument) {
        return static_cast<uint32_t>(offsetof(seccomp_data, args) + argument * sizeof(uint64_t));
    }
    void add(uint16_t code, uint32_t value, uint8_t if_true = 0, uint8_t if_false = 0) {
        WEFT_ASSERT(size_ < instructions_.size());
        instructions_[size_++] = {.code = code, .jt = if_true, .jf = if_false, .k = value};
    }
    void load(size_t offset) { add(BPF_LD | BPF_W | BPF_ABS, static_cast<uint32_t>(offset)); }
    void skip_unless_equal(uint32_t value, uint8_t instructions) {
        add(BPF_JMP | BPF_JEQ | BPF_K, value, 0, instructions);
    }
    void jump(uint32_t instructions) { add(BPF_JMP | BPF_JA, instructions); }

    const uint32_t refusal_;
    size_t size_ = 0;
    std::array<sock_filter, 512> instructions_{};
};

// Which numbers were told.
std::array<std::atomic<uint64_t>, 16> told;

// Of what is refused, on the thread that asked: it goes on with EPERM. Only what a signal handler may do.
void on_refused(int, siginfo_t* info, void* context) {
    const int saved = errno;
    const auto number = static_cast<uint32_t>(info->si_syscall);
#if defined(__x86_64__)
    static_cast<ucontext_t*>(context)->uc_mcontext.gregs[REG_RAX] = -EPERM;
#else
    static_cast<ucontext_t*>(context)->uc_mcontext.regs[0] = static_cast<unsigned long long>(-EPERM);
#endif
    const uint64_t mark = uint64_t{1} << (number % 64);
    const size_t word = number / 64;
    if (word >= told.size() || (told[word].fetch_or(mark) & mark) == 0) {
        std::array<char, 12> digits{};
        char* at = digits.data() + digits.size();
        *--at = '\n';
        uint32_t left = number;
        do {
            *--at = static_cast<char>('0' + left % 10);
            left /= 10;
        } while (left > 0);
        constexpr std::string_view text = "weft: refused a system call that is not on its list (--seccomp): number ";
        const auto size = static_cast<size_t>(digits.data() + digits.size() - at);
        (void)!::write(STDERR_FILENO, text.data(), text.size());
        (void)!::write(STDERR_FILENO, at, size);
    }
    errno = saved;
}

Result<void> catch_refusals() {
    struct sigaction action{};
    action.sa_sigaction = on_refused;
    action.sa_flags = SA_SIGINFO | SA_RESTART;
    sigfillset(&action.sa_mask);
    if (sigaction(SIGSYS, &action, nullptr) != 0) return fail_errno(errno, "catching SIGSYS");
    return {};
}

}  // namespace

Result<void> restrict_system_calls(ForeignCalls foreign_calls) {
    if (foreign_calls == ForeignCalls::allow) return {};
    const bool is_fatal = foreign_calls == ForeignCalls::kill;
    if (!is_fatal) WEFT_TRY(catch_refusals());
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) return fail_errno(errno, "setting no_new_privs");

    Filter filter(is_fatal ? SECCOMP_RET_KILL_PROCESS : SECCOMP_RET_TRAP);
    filter.allow(plain_calls);
    if (is_sanitized) filter.allow(sanitizer_calls);
    // Threads, no processes. Where the flags lie in memory they cannot be looked at: libc asks again with clone.
    filter.allow_masked(SYS_clone, 0, CLONE_THREAD, CLONE_THREAD, true);
    filter.answer(SYS_clone3, SECCOMP_RET_ERRNO | ENOSYS);
    // No memory that is code and can be written.
    filter.allow_masked(SYS_mmap, 2, PROT_WRITE | PROT_EXEC, PROT_WRITE | PROT_EXEC, false);
    filter.allow_masked(SYS_mprotect, 2, PROT_EXEC, PROT_EXEC, false);
    filter.allow_with(SYS_socket, 0, allowed_families);
    filter.allow_with(SYS_ioctl, 1, allowed_ioctls);
    filter.allow_with(SYS_prctl, 0, allowed_prctls);
    const std::array<uint32_t, 1> ourselves{static_cast<uint32_t>(getpid())};
    filter.allow_with(SYS_tgkill, 0, ourselves);
    const std::array<uint32_t, 1> this_process{0};
    filter.allow_with(SYS_prlimit64, 0, this_process);
    return filter.install();
}

}  // namespace weft::env
