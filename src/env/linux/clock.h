// The kernel's clocks and random numbers. Any thread.
#pragma once

#include "env/clock.h"

namespace weft::env {

class LinuxClock final : public Clock {
public:
    [[nodiscard]] TimeNs now() const override;   // CLOCK_MONOTONIC
    [[nodiscard]] TimeNs wall() const override;  // CLOCK_REALTIME
};

class LinuxRandom final : public Random {
public:
    void fill(MutableBytes bytes) override;  // getrandom
};

}  // namespace weft::env
