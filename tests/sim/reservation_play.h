// Hosts that take turns: registering, acquiring, preempting, releasing, and reading and writing in between, by chance.
// Each answer must be the one that the model says; what a host may not write must not be there.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "env/sim/prng.h"
#include "nvme_host/controller.h"
#include "nvmf/reservation/state.h"
#include "sim/rig.h"

namespace weft::test {

// One command with its data, to its end.
Task<nvme::Status> execute_io(nvme_host::Qpair& queue, nvme::Command command, MutableBytes data);
// With its two keys.
Task<nvme::Status> reserve(nvme_host::Qpair& queue, uint32_t nsid, nvmf::ReservationCommand wanted);

struct PlayOptions {
    uint32_t nsid = 1;
    uint32_t block_bytes = 512;
    bool can_persist = false;
    int steps = 200;
};

// The controllers are of hosts with different identifiers, on one subsystem, whose namespace nobody else uses and no
// reservation is on; it is left without one. On the controllers' thread. Failures: tests/sim/failure.h.
Task<void> play_reservations(sim::Prng& prng, std::vector<nvme_host::Controller*> hosts,
                             nvme_host::tcp::ConnectionGroup& group, PlayOptions options);

}  // namespace weft::test
