// UTF-8 (RFC 3629): no overlong forms, no surrogates, nothing above U+10FFFF.
#pragma once

#include <cstddef>
#include <string_view>

namespace weft {

// How many bytes the code point has that `text` begins with, 1 to 4; 0: none begins here, or `text` is empty.
size_t utf8_length(std::string_view text);
bool is_utf8(std::string_view text);

}  // namespace weft
