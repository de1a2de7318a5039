// Assertions that stay on in every build. They guard our own invariants, never input from outside.
#pragma once

namespace weft {

[[noreturn]] void assertion_failed(const char* expression, const char* file, int line);

}  // namespace weft

#define WEFT_ASSERT(condition)                                        \
    do {                                                              \
        if (!(condition)) [[unlikely]] {                              \
            ::weft::assertion_failed(#condition, __FILE__, __LINE__); \
        }                                                             \
    } while (false)
