// The Environment of one simulated machine; made by World.
#pragma once

#include <memory>

#include "env/environment.h"
#include "env/sim/options.h"
#include "env/sim/wire.h"

namespace weft::sim {

std::unique_ptr<env::Environment> make_sim_environment(Core& core, const Options& options, Machine& machine,
                                                       Wire& wire);

}  // namespace weft::sim
