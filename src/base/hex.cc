#include "base/hex.h"

namespace weft {

namespace {

int digit_value(char digit) {
    if (digit >= '0' && digit <= '9') return digit - '0';
    if (digit >= 'a' && digit <= 'f') return digit - 'a' + 10;
    if (digit >= 'A' && digit <= 'F') return digit - 'A' + 10;
    return -1;
}

}  // namespace

std::string to_hex(std::span<const uint8_t> bytes) {
    static constexpr std::string_view digits = "0123456789abcdef";
    std::string text;
    text.reserve(bytes.size() * 2);
    for (const uint8_t byte : bytes) {
        text += digits[byte >> 4];
        text += digits[byte & 0x0F];
    }
    return text;
}

bool parse_hex(std::string_view text, std::span<uint8_t> bytes) {
    if (text.size() != bytes.size() * 2) return false;
    for (size_t at = 0; at < bytes.size(); ++at) {
        const int high = digit_value(text[at * 2]);
        const int low = digit_value(text[at * 2 + 1]);
        if (high < 0 || low < 0) return false;
        bytes[at] = static_cast<uint8_t>(high << 4 | low);
    }
    return true;
}

}  // namespace weft
