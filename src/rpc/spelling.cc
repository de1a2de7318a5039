#include "rpc/spelling.h"

#include <algorithm>
#include <cstddef>
#include <vector>

namespace weft::rpc {

namespace {

constexpr size_t length_max = 128;  // names come from outside, and the work grows with their product

// Optimal string alignment, row by row.
size_t distance(std::string_view left, std::string_view right) {
    std::vector<size_t> before(right.size() + 1);
    std::vector<size_t> above(right.size() + 1);
    std::vector<size_t> row(right.size() + 1);
    for (size_t at = 0; at <= right.size(); ++at) above[at] = at;
    for (size_t i = 1; i <= left.size(); ++i) {
        row[0] = i;
        for (size_t j = 1; j <= right.size(); ++j) {
            const bool same = left[i - 1] == right[j - 1];
            row[j] = std::min({above[j] + 1, row[j - 1] + 1, above[j - 1] + (same ? 0 : 1)});
            if (i > 1 && j > 1 && left[i - 1] == right[j - 2] && left[i - 2] == right[j - 1]) {
                row[j] = std::min(row[j], before[j - 2] + 1);
            }
        }
        std::swap(before, above);
        std::swap(above, row);
    }
    return above[right.size()];
}

}  // namespace

std::string_view nearest_spelling(std::string_view name, std::span<const std::string_view> known) {
    if (name.size() > length_max) return {};
    std::string_view nearest;
    size_t fewest = std::min<size_t>(3, (name.size() + 2) / 3) + 1;
    for (const std::string_view candidate : known) {
        if (candidate.size() > length_max) continue;
        // Each letter more or less is a step at least; for a long name this leaves few to look at.
        const size_t longer = std::max(name.size(), candidate.size());
        if (longer - std::min(name.size(), candidate.size()) >= fewest) continue;
        const size_t steps = distance(name, candidate);
        if (steps >= fewest) continue;
        fewest = steps;
        nearest = candidate;
    }
    return nearest;
}

}  // namespace weft::rpc
