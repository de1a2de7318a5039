// "did you mean": the name that somebody most likely meant to type.
#pragma once

#include <span>
#include <string_view>

namespace weft::rpc {

// The one of `known` that `name` becomes with the fewest letters added, left out, changed or swapped with their
// neighbour; empty when that would be more than a third of it, or more than three.
std::string_view nearest_spelling(std::string_view name, std::span<const std::string_view> known);

}  // namespace weft::rpc
