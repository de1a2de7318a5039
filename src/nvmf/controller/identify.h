// Identify (NVMe Base 2.0, 5.17): what a controller says of itself and of its namespaces.
#pragma once

#include "nvme/registers.h"
#include "nvmf/request.h"

namespace weft::nvmf {

class Controller;

// The revision that controllers claim: VS and VER.
inline nvme::Version target_version() { return nvme::Version::of(2, 0); }
// FR, eight characters at most.
inline constexpr std::string_view firmware_revision = "0.1";

// Fills the request's control data, which is zeroed.
nvme::Status identify(const Controller& controller, Request& request);

}  // namespace weft::nvmf
