// Configuration files of the field set options of modules that Weft does not have. Such an option changes nothing here,
// so that the file loads without it; what would make something is never left out.
#pragma once

#include <string_view>

namespace weft::rpc {

// Why a configuration file may do without `method`; empty: it may not.
std::string_view reason_to_skip(std::string_view method);

}  // namespace weft::rpc
