// After the troubles: hosts that share a namespace by reservations and by ANA, each answer held against a model
// (sim/reservation_play.h). On a subsystem of its own, so that nobody else's commands meet a reservation.
#pragma once

#include "sim/storm/storm.h"

namespace weft::sim {

// On the target's app thread: what play_shared() needs, and its end.
Task<void> set_up_shared(Storm& storm);
Task<void> take_down_shared(Storm& storm);
// On the first host's thread.
Task<void> play_shared(Storm& storm);

}  // namespace weft::sim
