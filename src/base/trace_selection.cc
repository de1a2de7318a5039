#include "base/trace_selection.h"

#include <fmt/format.h>

#include <algorithm>
#include <bit>
#include <charconv>
#include <optional>

namespace weft::trace {

namespace {

constexpr uint64_t all_points = ~uint64_t{0};

std::string group_names() {
    std::string names;
    for (const GroupInfo& info : groups) names += fmt::format("{}{}", names.empty() ? "" : ", ", info.name);
    return names;
}

// 16 digits at most, with or without 0x, as the field reads them.
std::optional<uint64_t> parse_mask(std::string_view text) {
    if (text.starts_with("0x") || text.starts_with("0X")) text.remove_prefix(2);
    uint64_t mask = 0;
    const char* const end = text.data() + text.size();
    const auto parsed = std::from_chars(text.data(), end, mask, 16);
    if (text.empty() || parsed.ec != std::errc{} || parsed.ptr != end) return std::nullopt;
    return mask;
}

std::string_view take_until(std::string_view& text, char separator) {
    const size_t at = text.find(separator);
    const std::string_view taken = text.substr(0, at);
    text = at == std::string_view::npos ? std::string_view{} : text.substr(at + 1);
    return taken;
}

bool is_same_name(std::string_view left, std::string_view right) {
    const auto lower = [](char letter) {
        return letter >= 'A' && letter <= 'Z' ? static_cast<char>(letter + 32) : letter;
    };
    return std::ranges::equal(left, right, {}, lower, lower);
}

Result<uint64_t> parse_points(Group group, std::string_view text) {
    if (const auto mask = parse_mask(text)) return *mask;
    uint64_t mask = 0;
    do {
        const std::string_view name = take_until(text, '+');
        const auto found = std::ranges::find_if(points, [group, name](const PointInfo& info) {
            return group_of(info.point) == group && is_same_name(info.name, name);
        });
        if (found == std::end(points)) {
            std::string names;
            for (const PointInfo& info : points) {
                if (group_of(info.point) == group) names += fmt::format("{}{}", names.empty() ? "" : ", ", info.name);
            }
            return fail(Errc::invalid_argument,
                        fmt::format("there is no tracepoint '{}' in this group; it has {}", name, names));
        }
        mask |= bit_of(found->point);
    } while (!text.empty());
    return mask;
}

// A bit for each group that is meant, also of those that are not here.
Result<uint64_t> parse_groups(std::string_view text) {
    if (const auto mask = parse_mask(text)) return *mask;
    for (const AbsentGroup& absent : absent_groups) {
        if (absent.name == text) return uint64_t{1} << absent.number;
    }
    auto named = groups_named(text);
    if (!named) return std::unexpected(std::move(named).error());
    uint64_t mask = 0;
    for (const Group group : *named) mask |= uint64_t{1} << static_cast<size_t>(group);
    return mask;
}

std::string name_of_bit(size_t number) {
    for (const AbsentGroup& absent : absent_groups) {
        if (absent.number == number) return std::string(absent.name);
    }
    return fmt::format("0x{:x}", uint64_t{1} << number);
}

bool is_here(size_t number) {
    return std::ranges::any_of(groups,
                               [number](const GroupInfo& info) { return static_cast<size_t>(info.group) == number; });
}

}  // namespace

Result<std::vector<Group>> groups_named(std::string_view name) {
    std::vector<Group> named;
    for (const GroupInfo& info : groups) {
        if (name == "all" || name == info.name) named.push_back(info.group);
    }
    if (named.empty()) {
        const bool is_known =
            std::ranges::any_of(absent_groups, [name](const AbsentGroup& absent) { return absent.name == name; });
        return fail(Errc::invalid_argument,
                    fmt::format("{} '{}'; there are {}, and all",
                                is_known ? "there are no tracepoints in the group" : "there is no tracepoint group",
                                name, group_names()));
    }
    return named;
}

void Selection::add(const Selection& more) {
    for (size_t number = 0; number < masks.size(); ++number) masks[number] |= more.masks[number];
    absent.insert(absent.end(), more.absent.begin(), more.absent.end());
}

Result<Selection> parse_selection(std::string_view text) {
    Selection selection;
    if (text.empty())
        return fail(Errc::invalid_argument, fmt::format("no tracepoint group; there are {}, and all", group_names()));
    while (!text.empty()) {
        std::string_view one = take_until(text, ',');
        const bool has_points = one.find(':') != std::string_view::npos;
        const std::string_view group_text = take_until(one, ':');
        const auto wanted = parse_groups(group_text);
        if (!wanted) return std::unexpected(wanted.error());
        if (has_points && !std::has_single_bit(*wanted)) {
            return fail(Errc::invalid_argument,
                        fmt::format("'{}:{}': tracepoints can be chosen of one group at a time", group_text, one));
        }
        for (size_t number = 0; number < 64; ++number) {
            if ((*wanted >> number & 1) == 0) continue;
            if (is_here(number)) {
                const Result<uint64_t> mask = has_points ? parse_points(static_cast<Group>(number), one) : all_points;
                if (!mask) return std::unexpected(mask.error());
                selection.masks[number] |= *mask;
            } else {
                selection.absent.push_back(name_of_bit(number));
            }
        }
    }
    return selection;
}

}  // namespace weft::trace
