// What `weft perf` does, as all of its queues see it.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

namespace weft::cli {

enum class Workload : uint8_t { read, write, randread, randwrite, rw, randrw };

std::optional<Workload> workload_from_name(std::string_view name);
constexpr bool is_random(Workload workload) {
    return workload == Workload::randread || workload == Workload::randwrite || workload == Workload::randrw;
}
// Percent of reads; `mixed` is what was asked for where both are done.
constexpr uint32_t read_percent(Workload workload, uint32_t mixed) {
    switch (workload) {
        case Workload::read:
        case Workload::randread: return 100;
        case Workload::write:
        case Workload::randwrite: return 0;
        case Workload::rw:
        case Workload::randrw: return mixed;
    }
    return mixed;
}

// Immutable while the load runs. A unit is what one command reads or writes.
struct PerfPlan {
    uint32_t nsid = 1;
    uint32_t block_bytes = 512;
    uint32_t unit_bytes = 4096;
    uint64_t unit_count = 0;   // of the whole range
    uint32_t queue_depth = 1;
    bool is_random = false;
    uint32_t read_percent = 100;
    bool verify = false;
    uint64_t run = 0;          // names this run in the stamps
    double rate = 0;           // commands a second and queue; 0: as fast as it goes

    [[nodiscard]] uint32_t unit_blocks() const { return unit_bytes / block_bytes; }
};

// The generations that --verify keeps: four bytes a unit.
inline constexpr uint64_t verified_units_max = uint64_t{64} << 20;

}  // namespace weft::cli
