// Makes one base of a raid as good as the others: window by window, while others read and write.
#pragma once

#include <atomic>
#include <memory>
#include <vector>

#include "bdev_modules/raid/raid_device.h"
#include "reactor/task.h"

namespace weft::bdev {

class Rebuild {
public:
    struct Options {
        size_t target = 0;
        uint64_t window_bytes = 0;            // of the raid
        uint64_t bytes_per_second_max = 0;    // of the raid; 0: no limit
        uint64_t done_blocks = 0;             // of a base's data, from an earlier run
        env::TimeNs delay = 0;                // before it begins
    };
    enum class Outcome : uint8_t { finished, stopped, target_failed, source_failed };

    // App thread. The device lives until run() has ended, and its bases stay until then.
    Rebuild(RaidDevice& device, const Options& options);

    // App thread, which it goes on at; the work is done on the registry's I/O thread.
    Task<Outcome> run();
    // Asks it to end after the window that it is at.
    void stop() { is_stopped_.store(true, std::memory_order_relaxed); }
    // Of a base's data. Any thread.
    [[nodiscard]] uint64_t done_blocks() const { return done_blocks_.load(std::memory_order_relaxed); }

private:
    struct Memory;
    Task<Outcome> work();
    Task<void> pause_until(env::TimeNs moment);
    Task<Outcome> do_window(uint64_t first, uint64_t blocks, Memory& memory);
    Task<Status> read(uint64_t first, uint64_t blocks, Memory& memory);
    Task<Status> run_on(size_t base, Op op, uint64_t first, uint64_t blocks, MutableBytes data);
    [[nodiscard]] uint64_t base_blocks() const;

    RaidDevice& device_;
    const Options options_;
    const uint64_t parts_;  // blocks of the raid for each block of a base
    std::atomic<bool> is_stopped_{false};
    std::atomic<uint64_t> done_blocks_;
};

}  // namespace weft::bdev
