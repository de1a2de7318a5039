// The control plane's JSON: parsing with limits, and printing that never fails. This header is the only one
// that pulls in all of nlohmann: include it in .cc files, rpc/json_fwd.h in headers.
#pragma once

#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <string_view>

#include "base/result.h"
#include "rpc/json_fwd.h"

namespace weft {

// What a text may cost before it is refused. Values are counted with their names and containers.
struct JsonLimits {
    size_t size_bytes_max = size_t{1} << 20;
    size_t depth_max = 32;
    size_t values_max = 8192;
};
// For texts of our own making or the operator's: replies, configuration files.
inline constexpr JsonLimits large_json_limits = {
    .size_bytes_max = size_t{64} << 20, .depth_max = 64, .values_max = 8'000'000};

// One JSON value with nothing but white space around it. Integers are exact in 64 bits, signed or not, and refused
// beyond that; so are a name given twice in an object and text that is not UTF-8. Errors: protocol_error (not JSON,
// too deep), out_of_range (JSON, but see JsonDocument::fault).
Result<Json> parse_json(std::string_view text, const JsonLimits& limits = {});

// The same for a server, which must say whose request it was that it refuses.
struct JsonDocument {
    Json value;
    // Set when the text is JSON that we do not take: an integer beyond 64 bits, a name given twice, too many
    // values. `value` is then only an outline, in which the scalar members of the outermost object are right.
    std::optional<std::string> fault;
    // The member of the outermost object in which the fault is: "params".
    std::string fault_member;
};
// Errors: protocol_error.
Result<JsonDocument> parse_json_document(std::string_view text, const JsonLimits& limits);

// On one line. Invalid UTF-8 becomes U+FFFD.
std::string dump_json(const Json& value);
// For people: four spaces a level.
std::string dump_json_pretty(const Json& value);

}  // namespace weft
