// A device that answers late: reads and writes go on to another one at once, and their completions are held back.
#pragma once

#include <array>
#include <atomic>
#include <string>

#include "bdev/stack/awaited.h"
#include "bdev/stack/overlay_device.h"

namespace weft::bdev {

// Which completions a latency is for; of 100 the "p99" ones are one.
enum class LatencyKind : uint8_t { avg_read, p99_read, avg_write, p99_write };
inline constexpr size_t latency_kinds = 4;
inline constexpr uint64_t latency_us_max = uint64_t{86'400} * 1'000'000;

struct DelayOptions {
    std::string name;
    std::string base;
    Uuid uuid;  // nil: derived from that of the base
    std::array<uint64_t, latency_kinds> latency_us{};
};

class DelayDevice final : public OverlayDevice {
public:
    DelayDevice(const DelayOptions& options, Registry& registry, std::unique_ptr<Base> base);

    [[nodiscard]] std::string_view product_name() const override { return "delay"; }
    void describe(Json& driver_specific) const override;
    void write_config(Json& entries) const override;

    [[nodiscard]] uint64_t latency_us(LatencyKind kind) const {
        return latencies_us_[static_cast<size_t>(kind)].load(std::memory_order_relaxed);
    }
    // App thread. For completions that come from now on.
    void set_latency(LatencyKind kind, uint64_t latency_us) {
        latencies_us_[static_cast<size_t>(kind)].store(latency_us, std::memory_order_relaxed);
    }
    // App thread. What would make it as it is now.
    [[nodiscard]] DelayOptions options() const;

protected:
    Result<std::unique_ptr<IoChannel>> make_channel() override;

private:
    const DelayOptions options_;
    std::array<std::atomic<uint64_t>, latency_kinds> latencies_us_;
};

// Makes one, now or when its base comes. App thread. Errors: those of Awaited::ask(); invalid_argument for latencies.
Result<void> create_delay_device(Awaited& awaited, const DelayOptions& options);
// Changes one latency of `device`, which comes back with it if its base goes and comes. Errors: invalid_argument.
Result<void> update_latency(Awaited& awaited, DelayDevice& device, LatencyKind kind, uint64_t latency_us);

}  // namespace weft::bdev
