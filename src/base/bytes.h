// Byte views, and copying fixed-layout structs in and out of them.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <string_view>
#include <type_traits>

#include "base/assert.h"

namespace weft {

using Bytes = std::span<const std::byte>;
using MutableBytes = std::span<std::byte>;

// Copies a T out of the front of `bytes`, which must be long enough: never a cast in place.
template <class T>
    requires std::is_trivially_copyable_v<T>
T load(Bytes bytes) {
    WEFT_ASSERT(bytes.size() >= sizeof(T));
    T value;
    std::memcpy(&value, bytes.data(), sizeof(T));
    return value;
}

// Copies `value` to the front of `bytes`, which must be long enough.
template <class T>
    requires std::is_trivially_copyable_v<T>
void store(MutableBytes bytes, const T& value) {
    WEFT_ASSERT(bytes.size() >= sizeof(T));
    std::memcpy(bytes.data(), &value, sizeof(T));
}

// Not of arrays: a string literal would bring its NUL along. See bytes_of(std::string_view).
template <class T>
    requires(std::is_trivially_copyable_v<T> && !std::is_array_v<T>)
Bytes bytes_of(const T& value) {
    return std::as_bytes(std::span<const T, 1>(&value, 1));
}

template <class T>
    requires(std::is_trivially_copyable_v<T> && !std::is_array_v<T>)
MutableBytes bytes_of(T& value) {
    return std::as_writable_bytes(std::span<T, 1>(&value, 1));
}

inline Bytes bytes_of(std::string_view text) { return std::as_bytes(std::span(text.data(), text.size())); }

inline std::string_view text_of(Bytes bytes) { return {reinterpret_cast<const char*>(bytes.data()), bytes.size()}; }

inline bool is_zero(Bytes bytes) {
    for (const std::byte byte : bytes) {
        if (byte != std::byte{0}) return false;
    }
    return true;
}

// Reads variable-length input with one bounds check in one place. A failure sticks: what is taken
// after it is zero or empty, and ok() tells at the end.
class Reader {
public:
    explicit Reader(Bytes bytes) : rest_(bytes) {}

    template <class T>
    T take() {
        if (rest_.size() < sizeof(T)) {
            failed_ = true;
            rest_ = {};
            return T{};
        }
        const T value = load<T>(rest_);
        rest_ = rest_.subspan(sizeof(T));
        return value;
    }

    Bytes take_bytes(size_t count) {
        if (rest_.size() < count) {
            failed_ = true;
            rest_ = {};
            return {};
        }
        const Bytes taken = rest_.first(count);
        rest_ = rest_.subspan(count);
        return taken;
    }

    [[nodiscard]] bool ok() const { return !failed_; }
    [[nodiscard]] Bytes rest() const { return rest_; }

private:
    Bytes rest_;
    bool failed_ = false;
};

}  // namespace weft
