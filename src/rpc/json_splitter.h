// Finds where one JSON value ends and the next begins in a stream of bytes, whatever pieces it arrives in.
//
// It knows brackets, strings and escapes, nothing else: what it hands out may still not be JSON, but what it
// refuses never is. Each byte is looked at once, nothing recurses, and no more is kept than one value and
// what was appended behind it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "base/result.h"

namespace weft::rpc {

class JsonSplitter {
public:
    static constexpr uint32_t depth_max = 64;  // of any splitter: one bit a level

    explicit JsonSplitter(size_t size_bytes_max = size_t{1} << 20, uint32_t depth = 32);

    void append(std::string_view bytes);

    // The text of the next value, taken out; nullopt: more bytes are needed. `nothing_follows`: a number that reaches
    // the end of what was appended is complete, since only the byte behind a number tells where it ends.
    // Errors: protocol_error (no JSON value begins like this, brackets do not match, too deep, too large). They stick.
    Result<std::optional<std::string>> next(bool nothing_follows = false);

    // The bytes of a value that has begun have arrived, not its end.
    [[nodiscard]] bool is_inside_value() const { return kind_ != Kind::none; }
    [[nodiscard]] size_t buffered_bytes() const { return buffer_.size() - start_; }

private:
    enum class Kind : uint8_t { none, container, string, number, literal };
    enum class Step : uint8_t { go_on, complete, refused };

    void begin(char byte);
    Step look_at(char byte);
    Step look_inside_container(char byte);
    std::string take();
    std::unexpected<Error> refuse(std::string_view reason);

    const size_t size_bytes_max_;
    const uint32_t depth_limit_;
    std::string buffer_;
    size_t start_ = 0;  // of the value, or of what has not been looked at
    size_t next_ = 0;  // the first byte not looked at

    Kind kind_ = Kind::none;
    bool in_string_ = false;
    bool escaped_ = false;
    uint32_t depth_ = 0;
    uint64_t objects_ = 0;  // bit n: level n is an object, else an array
    size_t literal_left_ = 0;  // bytes of true, false or null that are to come
    const char* refusal_ = nullptr;
};

}  // namespace weft::rpc
