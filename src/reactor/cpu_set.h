// A set of CPUs, as option -m and the RPCs write it: "0x3", "f", "[0,2-3]".
#pragma once

#include <bitset>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace weft {

class CpuSet {
public:
    static constexpr size_t cpu_max = 1024;

    CpuSet() = default;
    static CpuSet of(size_t cpu);
    static CpuSet all();
    // A hexadecimal mask with or without 0x ("15" is CPUs 0, 2 and 4), or a bracketed list of numbers and ranges.
    // Errors: invalid_argument; an empty set is one.
    static Result<CpuSet> parse(std::string_view text);

    [[nodiscard]] bool contains(size_t cpu) const { return cpu < cpu_max && bits_[cpu]; }
    [[nodiscard]] bool empty() const { return bits_.none(); }
    [[nodiscard]] size_t count() const { return bits_.count(); }
    [[nodiscard]] std::vector<size_t> cpus() const;  // ascending
    [[nodiscard]] std::string to_mask() const;       // "f", without 0x, as the field's RPCs print it

    friend bool operator==(const CpuSet&, const CpuSet&) = default;
    friend CpuSet operator&(const CpuSet& left, const CpuSet& right);
    friend CpuSet operator|(const CpuSet& left, const CpuSet& right);

private:
    std::bitset<cpu_max> bits_;
};

}  // namespace weft
