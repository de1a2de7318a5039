#include "base/utf8.h"

#include <algorithm>
#include <cstdint>

namespace weft {

namespace {

// How many bytes follow a lead byte, and the lowest and the highest second byte that make a code point of that length
// (RFC 3629, 4).
struct Form {
    uint8_t lead_first;
    uint8_t lead_last;
    uint8_t following;
    uint8_t second_first;
    uint8_t second_last;
};
constexpr Form forms[] = {
    {0x00, 0x7F, 0, 0x00, 0x00}, {0xC2, 0xDF, 1, 0x80, 0xBF}, {0xE0, 0xE0, 2, 0xA0, 0xBF},
    {0xE1, 0xEC, 2, 0x80, 0xBF}, {0xED, 0xED, 2, 0x80, 0x9F}, {0xEE, 0xEF, 2, 0x80, 0xBF},
    {0xF0, 0xF0, 3, 0x90, 0xBF}, {0xF1, 0xF3, 3, 0x80, 0xBF}, {0xF4, 0xF4, 3, 0x80, 0x8F},
};

bool is_within(char character, uint8_t first, uint8_t last) {
    const auto byte = static_cast<uint8_t>(character);
    return byte >= first && byte <= last;
}

}  // namespace

size_t utf8_length(std::string_view text) {
    if (text.empty()) return 0;
    const auto* const form = std::ranges::find_if(
        forms, [&](const Form& each) { return is_within(text.front(), each.lead_first, each.lead_last); });
    if (form == std::end(forms) || text.size() <= form->following) return 0;
    const std::string_view following = text.substr(1, form->following);
    if (following.empty()) return 1;
    if (!is_within(following.front(), form->second_first, form->second_last)) return 0;
    const bool is_whole = std::ranges::all_of(following, [](char each) { return is_within(each, 0x80, 0xBF); });
    return is_whole ? size_t{form->following} + 1 : 0;
}

bool is_utf8(std::string_view text) {
    while (!text.empty()) {
        const size_t length = utf8_length(text);
        if (length == 0) return false;
        text.remove_prefix(length);
    }
    return true;
}

}  // namespace weft
