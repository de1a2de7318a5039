// The lines and members of a report that every load has.
#pragma once

#include <cstdint>

#include "app/cli/load/perf_units.h"
#include "rpc/json_fwd.h"

namespace weft::cli {

// The heading of print_load_row(), behind a first column of `name_width`.
void print_load_heading(int name_width);
// One kind of command in `seconds`; nothing when there was none.
void print_load_row(const char* name, int name_width, const Histogram& histogram, double seconds, uint64_t unit_bytes);
// count, mean_us, min_us, p50_us … max_us.
Json latency_json(const Histogram& histogram);
// Reads and all others together.
Histogram all_of(const PerfResults& results);

}  // namespace weft::cli
