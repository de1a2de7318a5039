#include "reactor/cpu_set.h"

#include <fmt/format.h>

#include <charconv>
#include <optional>

namespace weft {

namespace {

std::optional<size_t> parse_number(std::string_view text) {
    size_t value = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (error != std::errc{} || end != text.data() + text.size()) return std::nullopt;
    return value;
}

std::unexpected<Error> bad_mask(std::string_view text, std::string_view why) {
    return fail(Errc::invalid_argument,
                fmt::format("core mask '{}': {}; write a hexadecimal mask such as 0x3 or a list such as [0,2-3]",
                            text.substr(0, 64), why));
}

}  // namespace

CpuSet CpuSet::of(size_t cpu) {
    CpuSet set;
    set.bits_.set(cpu);
    return set;
}

CpuSet CpuSet::all() {
    CpuSet set;
    set.bits_.set();
    return set;
}

Result<CpuSet> CpuSet::parse(std::string_view text) {
    CpuSet set;
    if (text.starts_with('[')) {
        if (!text.ends_with(']')) return bad_mask(text, "no closing bracket");
        std::string_view rest = text.substr(1, text.size() - 2);
        while (!rest.empty()) {
            const size_t comma = rest.find(',');
            const std::string_view item = rest.substr(0, comma);
            rest = comma == std::string_view::npos ? std::string_view{} : rest.substr(comma + 1);
            if (comma != std::string_view::npos && rest.empty()) return bad_mask(text, "a list ends with a comma");
            const size_t dash = item.find('-');
            const auto first = parse_number(item.substr(0, dash));
            const auto last = dash == std::string_view::npos ? first : parse_number(item.substr(dash + 1));
            if (!first || !last) return bad_mask(text, "not a number");
            if (*last < *first) return bad_mask(text, "a range runs backwards");
            if (*last >= cpu_max) return bad_mask(text, fmt::format("CPUs end at {}", cpu_max - 1));
            for (size_t cpu = *first; cpu <= *last; ++cpu) set.bits_.set(cpu);
        }
    } else {
        std::string_view digits = text;
        if (digits.starts_with("0x") || digits.starts_with("0X")) digits.remove_prefix(2);
        if (digits.empty()) return bad_mask(text, "empty");
        if (digits.size() > cpu_max / 4) return bad_mask(text, fmt::format("CPUs end at {}", cpu_max - 1));
        size_t cpu = 0;
        for (auto digit = digits.rbegin(); digit != digits.rend(); ++digit, cpu += 4) {
            unsigned value = 0;
            const auto [end, error] = std::from_chars(&*digit, &*digit + 1, value, 16);
            if (error != std::errc{}) return bad_mask(text, "not hexadecimal");
            for (size_t bit = 0; bit < 4; ++bit) {
                if ((value >> bit & 1U) != 0) set.bits_.set(cpu + bit);
            }
        }
    }
    if (set.empty()) return bad_mask(text, "names no CPU");
    return set;
}

std::vector<size_t> CpuSet::cpus() const {
    std::vector<size_t> found;
    for (size_t cpu = 0; cpu < cpu_max; ++cpu) {
        if (bits_[cpu]) found.push_back(cpu);
    }
    return found;
}

std::string CpuSet::to_mask() const {
    std::string text;
    for (size_t cpu = 0; cpu < cpu_max; cpu += 4) {
        unsigned digit = 0;
        for (size_t bit = 0; bit < 4; ++bit) digit |= bits_[cpu + bit] ? 1U << bit : 0U;
        text.insert(text.begin(), "0123456789abcdef"[digit]);
    }
    const size_t first = text.find_first_not_of('0');
    return first == std::string::npos ? "0" : text.substr(first);
}

CpuSet operator&(const CpuSet& left, const CpuSet& right) {
    CpuSet both;
    both.bits_ = left.bits_ & right.bits_;
    return both;
}

CpuSet operator|(const CpuSet& left, const CpuSet& right) {
    CpuSet both;
    both.bits_ = left.bits_ | right.bits_;
    return both;
}

}  // namespace weft
