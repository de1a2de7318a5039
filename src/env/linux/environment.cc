#include "env/environment.h"

#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstdlib>
#include <mutex>
#include <string_view>

#include "base/log.h"
#include "env/linux/avahi_directory.h"
#include "env/linux/clock.h"
#include "env/linux/file_ring.h"
#include "env/linux/file_workers.h"
#include "env/linux/files.h"
#include "env/linux/network.h"
#include "env/linux/offload.h"
#include "env/linux/os_thread.h"
#include "env/linux/shared_memory.h"
#include "env/linux/waiter.h"

namespace weft::env {

namespace {

bool is_set(const char* variable) {
    const char* value = std::getenv(variable);
    return value != nullptr && *value != '\0' && std::string_view(value) != "0";
}

// Forbidden, unknown, or not enough lockable memory (before 5.12): what another way of doing files helps against.
bool is_refusal(Errc code) {
    return code == Errc::permission_denied || code == Errc::not_supported || code == Errc::no_memory;
}

class LinuxEnvironment final : public Environment {
public:
    LinuxEnvironment() : has_rings_(!is_set("WEFT_NO_IO_URING")) {}

    Clock& clock() override { return clock_; }
    Random& random() override { return random_; }
    Network& network() override { return network_; }
    Files& files() override { return files_; }
    Result<std::unique_ptr<Waiter>> make_waiter() override { return make_epoll_waiter(); }

    Result<std::unique_ptr<FileQueue>> make_file_queue() override {
        if (has_rings_) {
            auto ring = FileRing::create();
            if (ring || !is_refusal(ring.error().code)) return ring;
            if (has_rings_.exchange(false)) {
                WEFT_NOTICELOG("{}: files are read and written by threads instead", ring.error().message);
            }
        }
        return FileWorkers::create();
    }

    Result<std::unique_ptr<SharedMemory>> make_shared_memory(const std::string& name, size_t size_bytes) override {
        return make_linux_shared_memory(name, size_bytes);
    }
    std::unique_ptr<ServiceDirectory> make_service_directory() override { return make_avahi_directory(); }
    void offload(OffloadJob job) override { offload_.run(std::move(job)); }
    void wait_for_offloaded() override { offload_.wait_until_idle(); }

    [[nodiscard]] int process_id() const override { return getpid(); }
    [[nodiscard]] uint32_t descriptors_max() const override {
        rlimit limit{};
        if (getrlimit(RLIMIT_NOFILE, &limit) != 0) return 1024;
        return static_cast<uint32_t>(std::min<rlim_t>(limit.rlim_cur, 1U << 20));
    }
    [[nodiscard]] uint32_t user_id() const override { return geteuid(); }
    std::string machine_id() override {
        if (auto text = files_.read_all("/etc/machine-id", 4096)) {
            const size_t end = text->find_first_of(" \n");
            text->resize(std::min(end, text->size()));
            // Images hold "uninitialized" there until their first boot.
            const bool is_id = text->size() == 32 && text->find_first_not_of("0123456789abcdef") == std::string::npos &&
                               text->find_first_not_of('0') != std::string::npos;
            if (is_id) return *text;
        }
        std::array<char, 256> name{};
        gethostname(name.data(), name.size() - 1);
        return name.data();
    }

private:
    LinuxClock clock_;
    LinuxRandom random_;
    LinuxNetwork network_;
    LinuxFiles files_;
    std::atomic<bool> has_rings_;
    OffloadPool offload_;
};

}  // namespace

Result<std::unique_ptr<Environment>> make_linux_environment() {
    usable_cpus();  // as they are now: later this thread may be pinned
    // Shells start programs with 1024, for those that call select(); the hard limit is what an administrator meant.
    rlimit descriptors{};
    if (getrlimit(RLIMIT_NOFILE, &descriptors) == 0 && descriptors.rlim_cur < descriptors.rlim_max) {
        descriptors.rlim_cur = descriptors.rlim_max;
        (void)setrlimit(RLIMIT_NOFILE, &descriptors);
    }
    return std::make_unique<LinuxEnvironment>();
}

}  // namespace weft::env
