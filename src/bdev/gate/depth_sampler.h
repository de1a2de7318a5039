// How many requests of a device are pending, looked at once in a period while somebody wants to know.
#pragma once

#include <cstdint>
#include <string>

#include "reactor/task.h"

namespace weft::bdev {

class Registry;

// Belongs to a device; used on the app thread.
class DepthSampler {
public:
    struct Figures {
        uint64_t period_us = 0;  // 0: nobody looks
        uint64_t depth = 0;      // when it was looked last, of all channels
        // Since the first look: the time before each look at which something was pending, and the same times how much
        // that was.
        uint64_t io_time_us = 0;
        uint64_t weighted_io_time_us = 0;
    };
    static constexpr uint64_t period_us_max = uint64_t{3600} * 1'000'000;

    [[nodiscard]] const Figures& figures() const { return figures_; }
    // Of the device of that name, whose sampler this is; 0: no more. While it looks it has the device open, and lets it
    // go when it is removed.
    void set_period(Registry& devices, const std::string& name, uint64_t period_us);

private:
    Task<void> run(Registry& devices, std::string name);

    Figures figures_;
    bool is_running_ = false;
    WaitList changed_;
};

}  // namespace weft::bdev
