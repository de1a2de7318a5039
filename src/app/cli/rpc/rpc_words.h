// The words behind a method on a command line, taken apart: weft's own form (--param value, --param=value,
// param=value) and that of the field's rpc.py (positional arguments, short options), in any order.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <vector>

#include "app/cli/rpc/rpc_grammar.h"
#include "base/result.h"
#include "rpc/describe.h"

namespace weft::cli {

struct Argument {
    std::string name;                  // of the parameter, dots leading into objects
    std::optional<std::string> value;  // nullopt: there was none; a flag
    GrammarTarget::Kind kind = GrammarTarget::Kind::value;
};

// `grammar` and `description` may be null. Errors: invalid_argument, naming the word.
Result<std::vector<Argument>> read_words(std::span<const std::string> words, const Grammar* grammar,
                                         const rpc::MethodDescription* description);

// A line of a script as a shell splits it: quotes and backslashes count, and nothing else. Errors: invalid_argument,
// for a quotation that does not end.
Result<std::vector<std::string>> split_line(std::string_view line);

}  // namespace weft::cli
