// The faults and delays of a simulated world. The defaults are a correct but lively world: delays, segments
// of any size, full windows; no errors.
#pragma once

#include <cstdint>
#include <limits>

#include "env/sim/core.h"

namespace weft::sim {

struct NetworkOptions {
    Latency latency{.min = 5 * env::ns_per_us,
                    .max = 100 * env::ns_per_us,
                    .slow_probability = 0.01,
                    .slow_max = 10 * env::ns_per_ms};
    bool segmentation = true;           // false: all that was sent arrives at once
    uint32_t window_bytes_min = 2048;   // what a connection takes before send() would block: one size
    uint32_t window_bytes_max = 262144; //   for each direction, evenly spread over the powers of two
    double refuse_probability = 0;      // a connect is refused though somebody listens
    double reset_probability = 0;       // a connection is reset in place of a segment
    double flip_probability = 0;        // a bit of a segment is changed
};

struct DiskOptions {
    Latency latency{.min = 20 * env::ns_per_us,
                    .max = 200 * env::ns_per_us,
                    .slow_probability = 0.01,
                    .slow_max = 20 * env::ns_per_ms};
};

// Of one file, whatever it is opened by. Probabilities are per operation.
struct FileFaults {
    double read_error = 0;
    double write_error = 0;     // some sectors of it may have been written
    double sync_error = 0;      // nothing was made durable
    double short_transfer = 0;
    uint32_t short_unit_bytes = 1;  // where a transfer is cut, when the file's alignment is not more
    uint64_t capacity_bytes = std::numeric_limits<uint64_t>::max();  // no_space beyond
    TimeNs delay = 0;  // of each operation, besides the disk's latency
    bool has_zero_range = true;  // false: not_supported
    bool has_punch_hole = true;
};

struct Options {
    NetworkOptions network;
    DiskOptions disk;
    TimeNs wall_epoch = 1'800'000'000 * env::ns_per_s;  // what the wall clock showed when the world began
};

}  // namespace weft::sim
