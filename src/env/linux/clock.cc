#include "env/linux/clock.h"

#include <sys/random.h>

#include <cerrno>
#include <ctime>

namespace weft::env {

namespace {

TimeNs read_clock(clockid_t clock) {
    timespec time{};
    WEFT_ASSERT(clock_gettime(clock, &time) == 0);
    return static_cast<TimeNs>(time.tv_sec) * ns_per_s + static_cast<TimeNs>(time.tv_nsec);
}

}  // namespace

TimeNs LinuxClock::now() const { return read_clock(CLOCK_MONOTONIC); }

TimeNs LinuxClock::wall() const { return read_clock(CLOCK_REALTIME); }

void LinuxRandom::fill(MutableBytes bytes) {
    while (!bytes.empty()) {
        const ssize_t count = getrandom(bytes.data(), bytes.size(), 0);
        // It can only fail by a signal while it waits for the pool of a machine that has just booted.
        WEFT_ASSERT(count > 0 || errno == EINTR);
        if (count > 0) bytes = bytes.subspan(static_cast<size_t>(count));
    }
}

}  // namespace weft::env
