// Hexadecimal text.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>

namespace weft {

// Lower case, two digits a byte.
std::string to_hex(std::span<const uint8_t> bytes);
// Fills all of `bytes` from exactly twice as many digits of either case; false when `text` is anything else.
bool parse_hex(std::string_view text, std::span<uint8_t> bytes);

}  // namespace weft
