// The parameters of an RPC call from words of a command line.
//
//   --bdev_name Malloc0 --num-blocks 1024 --listen_address.traddr 10.0.0.1 --hosts a --hosts b --force
//
// "-" in a name stands for "_", "." leads into an object, a name given again makes an array, a name without a value
// is true. The field's rpc.py's forms are taken too (rpc_grammar.h). With the method's description values become what
// the parameter is; without it, JSON is taken as JSON and everything else as a string.
#pragma once

#include <optional>
#include <span>
#include <string>

#include "base/result.h"
#include "rpc/describe.h"
#include "rpc/json_fwd.h"

namespace weft::cli {

// `words`: those behind `method`. A single one that is a JSON object or array is taken as it is. An object, or
// null for none. Errors: invalid_argument, naming the word.
Result<Json> rpc_params(std::span<const std::string> words, const std::string& method,
                        const std::optional<rpc::MethodDescription>& description);

// The answer of weft_describe_methods for one method; nullopt when it has none of that name, or is of another form.
//   [{"name", "text", "states": ["startup", "runtime"], "aliases": [], "result", "params": [{"name", "type",
//     "required", "default", "text", "alias", "enum": [], "fields": []}]}]
std::optional<rpc::MethodDescription> description_of(const Json& answer, const std::string& method);

}  // namespace weft::cli
