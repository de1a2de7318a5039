// What this process costs the system, as /proc tells it.
#pragma once

#include <cstddef>
#include <cstdint>

#include "env/clock.h"

namespace weft::env {

struct ProcessUsage {
    TimeNs cpu_ns = 0;             // user and system
    double started_at = 0;         // seconds since 1970
    uint64_t resident_bytes = 0;
    uint64_t virtual_bytes = 0;
    uint64_t open_descriptors = 0;
    uint64_t descriptors_max = 0;
};

// What all programs together did on one CPU since the system started, in the system's clock ticks; and where it is.
struct CpuUsage {
    uint64_t user = 0;
    uint64_t system = 0;
    uint64_t interrupts = 0;
    int numa_node = 0;
};

// Both block a little: from an offload job. What cannot be read stays 0.
ProcessUsage process_usage();
CpuUsage cpu_usage(size_t cpu);

}  // namespace weft::env
