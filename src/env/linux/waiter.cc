#include "env/linux/waiter.h"

#include <fmt/format.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <ctime>

#include "env/linux/clock.h"
#include "env/linux/descriptor.h"

namespace weft::env {

namespace {

constexpr size_t events_max = 256;  // taken out of the kernel by one call

uint32_t to_epoll(WatchOptions options, const Pollable& source) {
    uint32_t events = 0;
    if ((options.events & Events::readable) != 0) events |= EPOLLIN;
    if ((options.events & Events::writable) != 0) events |= EPOLLOUT;
    if (options.edge || source.is_edge_only()) events |= EPOLLET;
    return events;
}

// EPOLLRDHUP is not asked for: a peer that sent FIN may still want to be answered, and what it sent
// before is still to be read. receive() reports the end in its place.
uint32_t from_epoll(uint32_t epoll) {
    uint32_t events = 0;
    if ((epoll & EPOLLIN) != 0) events |= Events::readable;
    if ((epoll & EPOLLOUT) != 0) events |= Events::writable;
    if ((epoll & (EPOLLHUP | EPOLLERR)) != 0) events |= Events::hung_up;
    return events;
}

class EpollWaiter final : public Waiter {
public:
    EpollWaiter(Descriptor epoll, Descriptor wakeup) : epoll_(std::move(epoll)), wakeup_(std::move(wakeup)) {}

    Result<void> add(Pollable& source, WatchOptions options, void* context) override {
        return control(EPOLL_CTL_ADD, source, options, context);
    }

    Result<void> modify(Pollable& source, WatchOptions options, void* context) override {
        return control(EPOLL_CTL_MOD, source, options, context);
    }

    void remove(Pollable& source) override {
        WEFT_ASSERT(epoll_ctl(epoll_.get(), EPOLL_CTL_DEL, source.descriptor(), nullptr) == 0);
    }

    size_t wait(TimeNs deadline, std::span<Ready> ready) override {
        WEFT_ASSERT(!ready.empty());
        // NOLINTNEXTLINE(cppcoreguidelines-pro-type-member-init): take() fills what is looked at
        std::array<epoll_event, events_max> events;
        // What does not fit is reported by the next call: epoll goes round its list of ready ones.
        const size_t count = take(deadline, std::span(events).first(std::min(ready.size(), events_max)));
        size_t filled = 0;
        for (const epoll_event& event : std::span(events).first(count)) {
            if (event.data.ptr == this) continue;
            ready[filled++] = Ready{.context = event.data.ptr, .events = from_epoll(event.events)};
        }
        return filled;
    }

    [[nodiscard]] int descriptor() const override { return epoll_.get(); }

    void wake() override {
        const uint64_t one = 1;
        WEFT_ASSERT(::write(wakeup_.get(), &one, sizeof(one)) == sizeof(one));
    }

    // The wake-up is watched by edge: each write is one report, and nothing needs to be read.
    Result<void> watch_wakeup() {
        epoll_event event{};
        event.events = EPOLLIN | EPOLLET;
        event.data.ptr = this;
        if (epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, wakeup_.get(), &event) != 0) {
            return fail_errno(errno, "watching a wake-up descriptor");
        }
        return {};
    }

private:
    Result<void> control(int operation, Pollable& source, WatchOptions options, void* context) {
        epoll_event event{};
        event.events = to_epoll(options, source);
        event.data.ptr = context;
        if (epoll_ctl(epoll_.get(), operation, source.descriptor(), &event) != 0) {
            return fail_errno(errno, fmt::format("watching descriptor {}", source.descriptor()));
        }
        return {};
    }

    // 0 after a signal, too (io-wq makes its workers by one): the caller looks around and comes back.
    size_t take(TimeNs deadline, std::span<epoll_event> events) {
        const int room = static_cast<int>(events.size());
        int count = 0;
        if (deadline == time_never) {
            count = epoll_wait(epoll_.get(), events.data(), room, -1);
        } else {
            const TimeNs now = deadline == 0 ? 0 : clock_.now();
            const TimeNs left = deadline > now ? deadline - now : 0;
            count = left == 0 ? epoll_wait(epoll_.get(), events.data(), room, 0) : wait_for(left, events);
        }
        WEFT_ASSERT(count >= 0 || errno == EINTR);
        return count > 0 ? static_cast<size_t>(count) : 0;
    }

    int wait_for(TimeNs duration, std::span<epoll_event> events) {
        const int room = static_cast<int>(events.size());
        if (has_nanoseconds_) {
            // A day is as good as longer, and fits any time_t.
            const TimeNs bounded = std::min(duration, 86'400 * ns_per_s);
            const timespec timeout{.tv_sec = static_cast<time_t>(bounded / ns_per_s),
                                   .tv_nsec = static_cast<long>(bounded % ns_per_s)};
            const int count = epoll_pwait2(epoll_.get(), events.data(), room, &timeout, nullptr);
            if (count >= 0 || (errno != ENOSYS && errno != EPERM)) return count;
            has_nanoseconds_ = false;  // before Linux 5.11, or a container's filter that does not know it
        }
        // Rounded up: to come back just before the deadline would be to spin until it.
        const TimeNs milliseconds = std::min<TimeNs>((duration + ns_per_ms - 1) / ns_per_ms, 86'400'000);
        return epoll_wait(epoll_.get(), events.data(), room, static_cast<int>(milliseconds));
    }

    LinuxClock clock_;
    Descriptor epoll_;
    Descriptor wakeup_;
    bool has_nanoseconds_ = true;
};

}  // namespace

Result<std::unique_ptr<Waiter>> make_epoll_waiter() {
    Descriptor epoll(epoll_create1(EPOLL_CLOEXEC));
    if (!epoll.is_open()) return fail_errno(errno, "making an epoll instance");
    Descriptor wakeup(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
    if (!wakeup.is_open()) return fail_errno(errno, "making a wake-up descriptor");
    auto waiter = std::make_unique<EpollWaiter>(std::move(epoll), std::move(wakeup));
    WEFT_TRY(waiter->watch_wakeup());
    return waiter;
}

}  // namespace weft::env
