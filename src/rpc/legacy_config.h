// The field's configuration files of before JSON (INI: sections, keys and values), as the calls that they stand for.
//
//   [Transport]                        [Malloc]               [Subsystem1]
//   Type TCP                           NumberOfLuns 2         NQN nqn.2016-06.io.spdk:cnode1
//                                      LunSizeInMB 64         Listen TCP 192.168.0.1:4420
//                                                             AllowAnyHost Yes
//                                                             Namespace Malloc0 1
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "rpc/json_fwd.h"

namespace weft::rpc {

// Such a file begins with a section, not with a JSON object; comments begin with "#".
bool is_legacy_config(std::string_view text);

// A configuration file in JSON. Keys that change nothing here are left out, with a line in `notes` each. Errors:
// invalid_argument, naming the line.
Result<Json> convert_legacy_config(std::string_view text, std::vector<std::string>& notes);

}  // namespace weft::rpc
