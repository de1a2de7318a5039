// Which tracepoints somebody asks for, in the field's words.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "base/trace_points.h"

namespace weft::trace {

// The groups that a name means: one, or all of them for "all". Errors: invalid_argument, naming those there are.
Result<std::vector<Group>> groups_named(std::string_view name);

// What -e asks for, with the field's grammar: groups separated by commas, each a name, "all" or a hexadecimal mask of
// groups; behind a colon the tracepoints of the group, as a hexadecimal mask or as names joined by "+".
struct Selection {
    std::array<uint64_t, group_max> masks{};
    std::vector<std::string> absent;  // groups of the field that were asked for and have no tracepoints here

    void add(const Selection& more);
};
// Errors: invalid_argument, naming what there is.
Result<Selection> parse_selection(std::string_view text);

}  // namespace weft::trace
