#include "env/linux/signals.h"

#include <sys/signalfd.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>

namespace weft::env {

namespace {

class LinuxSignals final : public SignalSource {
public:
    explicit LinuxSignals(int descriptor) : fd_(descriptor) {}
    ~LinuxSignals() override { close(fd_); }
    [[nodiscard]] int descriptor() const override { return fd_; }
    std::optional<int> next() override {
        signalfd_siginfo info{};
        if (read(fd_, &info, sizeof info) != static_cast<ssize_t>(sizeof info)) return std::nullopt;
        return static_cast<int>(info.ssi_signo);
    }

private:
    int fd_;
};

}  // namespace

Result<std::unique_ptr<SignalSource>> SignalSource::create(std::initializer_list<int> signals) {
    sigset_t set;
    sigemptyset(&set);
    for (const int number : signals) sigaddset(&set, number);
    if (const int error = pthread_sigmask(SIG_BLOCK, &set, nullptr); error != 0) {
        return fail_errno(error, "block signals");
    }
    std::signal(SIGPIPE, SIG_IGN);
    const int descriptor = signalfd(-1, &set, SFD_NONBLOCK | SFD_CLOEXEC);
    if (descriptor < 0) return fail_errno(errno, "make a signal descriptor");
    return std::unique_ptr<SignalSource>(new LinuxSignals(descriptor));
}

}  // namespace weft::env
