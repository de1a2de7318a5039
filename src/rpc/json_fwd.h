// The JSON value of the control plane, declared only: include rpc/json.h where values are made or read.
#pragma once

#include <nlohmann/json_fwd.hpp>

namespace weft {

// Objects keep the order of insertion, as the field's clients print them.
using Json = nlohmann::ordered_json;

}  // namespace weft
