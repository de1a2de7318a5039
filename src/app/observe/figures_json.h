// A snapshot as JSON: /figures.json of the metrics address and the RPC method weft_get_figures.
#pragma once

#include "app/observe/snapshot.h"
#include "rpc/json.h"
#include "rpc/registry.h"

namespace weft::app {

// Figures of I/O are [operations, bytes, sum of latencies in ns, bucket, bucket, …]: as many buckets as there are
// before the rest is zero. Their bounds are 1024 ns, 2048 ns, … (base/latency.h). `queues_max`: how many queues, the
// ones with the most operations; the page need not draw more.
Json to_json(const Snapshot& snapshot, size_t queues_max);

void add_figures_method(rpc::Registry& registry, Sources sources);

}  // namespace weft::app
