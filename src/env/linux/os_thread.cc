#include "env/linux/os_thread.h"

#include <fmt/format.h>
#include <sched.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>

namespace weft::env {

namespace {

// Large enough for CpuSet's 1024 CPUs, glibc's own limit.
std::vector<size_t> cpus_of_calling_thread() {
    cpu_set_t set;
    CPU_ZERO(&set);
    std::vector<size_t> cpus;
    if (sched_getaffinity(0, sizeof(set), &set) != 0) return {0};
    for (size_t cpu = 0; cpu < CPU_SETSIZE; ++cpu) {
        if (CPU_ISSET(cpu, &set)) cpus.push_back(cpu);
    }
    return cpus;
}

}  // namespace

const std::vector<size_t>& usable_cpus() {
    static const std::vector<size_t> cpus = cpus_of_calling_thread();
    return cpus;
}

std::vector<size_t> cpus_for_helpers() {
    std::vector<size_t> cpus = usable_cpus();
    const std::vector<size_t> own = cpus_of_calling_thread();
    if (own.size() == 1 && cpus.size() > 1) std::erase(cpus, own.front());
    return cpus;
}

void keep_off(const std::vector<size_t>& cpus) {
    cpu_set_t set;
    CPU_ZERO(&set);
    for (const size_t cpu : usable_cpus()) {
        if (std::ranges::find(cpus, cpu) == cpus.end()) CPU_SET(cpu, &set);
    }
    // A wish: the CPUs may have been taken from us meanwhile.
    if (CPU_COUNT(&set) > 0) (void)sched_setaffinity(0, sizeof(set), &set);
}

int current_os_thread_id() { return gettid(); }

Result<std::unique_ptr<OsThread>> OsThread::start(const ThreadOptions& options,
                                                  std::move_only_function<void()> function) {
    if (options.cpu < 0) return start_on(options.name, usable_cpus(), std::move(function));
    const auto cpu = static_cast<size_t>(options.cpu);
    if (std::ranges::find(usable_cpus(), cpu) == usable_cpus().end()) {
        return fail(Errc::invalid_argument, fmt::format("CPU {} is not one of those this process may use ({})", cpu,
                                                        fmt::join(usable_cpus(), ",")));
    }
    return start_on(options.name, {cpu}, std::move(function));
}

Result<std::unique_ptr<OsThread>> OsThread::start_on(const std::string& name, const std::vector<size_t>& cpus,
                                                     std::move_only_function<void()> function) {
    WEFT_ASSERT(!cpus.empty());
    std::unique_ptr<OsThread> thread(new OsThread());
    thread->name_ = name.substr(0, 15);  // TASK_COMM_LEN without the NUL
    thread->function_ = std::move(function);

    // By attribute, so that it holds from the first instruction: a thread started by a pinned one would
    // otherwise begin on that one's CPU.
    cpu_set_t set;
    CPU_ZERO(&set);
    for (const size_t cpu : cpus) CPU_SET(cpu, &set);
    pthread_attr_t attributes;
    WEFT_ASSERT(pthread_attr_init(&attributes) == 0);
    pthread_attr_setaffinity_np(&attributes, sizeof(set), &set);

    sigset_t all;
    sigset_t before;
    sigfillset(&all);
    // What is refused (privilege.h) is told by this one, on the thread that asked; blocked, it would be the end.
    sigdelset(&all, SIGSYS);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    const int refused = pthread_create(&thread->handle_, &attributes, &OsThread::run, thread.get());
    pthread_sigmask(SIG_SETMASK, &before, nullptr);
    pthread_attr_destroy(&attributes);
    if (refused != 0) return fail_errno(refused, fmt::format("starting thread {}", name));
    thread->started_ = true;
    return thread;
}

OsThread::~OsThread() {
    if (started_) WEFT_ASSERT(pthread_join(handle_, nullptr) == 0);
}

void* OsThread::run(void* self) {
    auto* thread = static_cast<OsThread*>(self);
    pthread_setname_np(pthread_self(), thread->name_.c_str());
    thread->function_();
    return nullptr;
}

}  // namespace weft::env
