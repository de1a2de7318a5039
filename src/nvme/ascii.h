// Fixed-width text fields of identify data and logs: printable ASCII, left justified, padded with spaces.
//
// NVMe Base 2.0, 1.4 "Conventions" (ASCII strings).
#pragma once

#include <array>
#include <cstddef>
#include <string_view>

#include "base/assert.h"

namespace weft::nvme {

// `text` must fit.
template <size_t size>
constexpr void fill_ascii(std::array<char, size>& field, std::string_view text) {
    WEFT_ASSERT(text.size() <= size);
    for (size_t at = 0; at < size; ++at) field[at] = at < text.size() ? text[at] : ' ';
}

// The text without the padding; also without what follows a NUL, which some peers pad with.
template <size_t size>
constexpr std::string_view ascii_of(const std::array<char, size>& field) {
    std::string_view text(field.data(), size);
    text = text.substr(0, text.find('\0'));
    while (!text.empty() && text.back() == ' ') text.remove_suffix(1);
    return text;
}

// Whether a field may hold it: codes 20h to 7Eh.
constexpr bool is_printable_ascii(std::string_view text) {
    for (const char character : text) {
        if (character < 0x20 || character > 0x7E) return false;
    }
    return true;
}

}  // namespace weft::nvme
