#include "nvme/fabrics.h"

#include <algorithm>

#include "base/utf8.h"

namespace weft::nvme {

namespace {

bool is_digit(char character) { return character >= '0' && character <= '9'; }

bool is_letter(char character) {
    return (character >= 'a' && character <= 'z') || (character >= 'A' && character <= 'Z');
}

bool is_hex_digit(char character) {
    return is_digit(character) || (character >= 'a' && character <= 'f') || (character >= 'A' && character <= 'F');
}

bool is_control(char character) { return static_cast<unsigned char>(character) < 0x20 || character == 0x7F; }

bool is_uuid(std::string_view text) {
    if (text.size() != 36) return false;
    for (size_t at = 0; at < text.size(); ++at) {
        const bool hyphen_place = at == 8 || at == 13 || at == 18 || at == 23;
        if (hyphen_place ? text[at] != '-' : !is_hex_digit(text[at])) return false;
    }
    return true;
}

// "2014-08."
bool is_date_code(std::string_view text) {
    if (text.size() != 8 || text[4] != '-' || text[7] != '.') return false;
    if (!std::ranges::all_of(text.substr(0, 4), is_digit)) return false;
    if (!std::ranges::all_of(text.substr(5, 2), is_digit)) return false;
    const int month = (text[5] - '0') * 10 + (text[6] - '0');
    return month >= 1 && month <= 12;
}

// RFC 1034, 3.5: letters, digits and hyphens; a letter first, no hyphen last, at most 63.
bool is_domain_label(std::string_view label) {
    constexpr size_t label_length_max = 63;
    if (label.empty() || label.size() > label_length_max) return false;
    if (!is_letter(label.front()) || label.back() == '-') return false;
    return std::ranges::all_of(label, [](char each) { return is_letter(each) || is_digit(each) || each == '-'; });
}

bool is_domain(std::string_view text) {
    while (true) {
        const size_t dot = text.find('.');
        if (!is_domain_label(text.substr(0, dot))) return false;
        if (dot == std::string_view::npos) return true;
        text.remove_prefix(dot + 1);
    }
}

}  // namespace

bool is_valid_nqn(std::string_view nqn) {
    constexpr std::string_view prefix = "nqn.";
    constexpr size_t date_code_length = 8;
    if (nqn.size() > nqn_length_max || !is_utf8(nqn) || std::ranges::any_of(nqn, is_control)) return false;
    if (nqn == discovery_nqn) return true;
    if (nqn.starts_with(uuid_nqn_prefix)) return is_uuid(nqn.substr(uuid_nqn_prefix.size()));
    if (!nqn.starts_with(prefix)) return false;
    const std::string_view rest = nqn.substr(prefix.size());
    if (rest.size() <= date_code_length || !is_date_code(rest.substr(0, date_code_length))) return false;
    const std::string_view name = rest.substr(date_code_length);
    const size_t colon = name.find(':');
    if (colon != std::string_view::npos && colon + 1 == name.size()) return false;  // a colon, then nothing
    return is_domain(name.substr(0, colon));
}

std::string_view nqn_of_field(const std::array<char, 256>& field) {
    const std::string_view text(field.data(), field.size());
    const size_t end = text.find('\0');
    return end != std::string_view::npos ? text.substr(0, end) : std::string_view{};
}

void fill_nqn_field(std::array<char, 256>& field, std::string_view nqn) {
    WEFT_ASSERT(nqn.size() <= nqn_length_max);
    std::ranges::fill(field, '\0');
    std::ranges::copy(nqn, field.begin());
}

}  // namespace weft::nvme
