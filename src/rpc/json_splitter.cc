#include "rpc/json_splitter.h"

#include <fmt/format.h>

#include "base/assert.h"
#include "base/log.h"

namespace weft::rpc {

namespace {

// The space that taken values leave at the front is given back when there is so much of it.
constexpr size_t compact_bytes_min = size_t{64} << 10;

bool is_white(char byte) { return byte == ' ' || byte == '\n' || byte == '\r' || byte == '\t'; }
bool is_number_part(char byte) {
    return (byte >= '0' && byte <= '9') || byte == '-' || byte == '+' || byte == '.' || byte == 'e' || byte == 'E';
}

}  // namespace

JsonSplitter::JsonSplitter(size_t size_bytes_max, uint32_t depth)
    : size_bytes_max_(size_bytes_max), depth_limit_(depth) {
    WEFT_ASSERT(depth <= depth_max);
}

void JsonSplitter::append(std::string_view bytes) {
    if (refusal_ != nullptr) return;
    if (start_ > 0 && (start_ == buffer_.size() || start_ >= compact_bytes_min)) {
        buffer_.erase(0, start_);
        next_ -= start_;
        start_ = 0;
    }
    buffer_.append(bytes);
}

Result<std::optional<std::string>> JsonSplitter::next(bool nothing_follows) {
    while (refusal_ == nullptr && next_ < buffer_.size()) {
        const char byte = buffer_[next_];
        if (kind_ == Kind::none) {
            ++next_;
            if (is_white(byte)) {
                start_ = next_;
                continue;
            }
            start_ = next_ - 1;
            begin(byte);
            continue;
        }
        if (kind_ == Kind::number && !is_number_part(byte)) return take();
        ++next_;
        if (next_ - start_ > size_bytes_max_) refusal_ = "larger than a request may be";
        switch (look_at(byte)) {
            case Step::go_on:
            case Step::refused: break;
            case Step::complete: return take();
        }
    }
    if (refusal_ != nullptr) return refuse(refusal_);
    if (nothing_follows && kind_ == Kind::number) return take();
    return std::nullopt;
}

void JsonSplitter::begin(char byte) {
    depth_ = 0;
    in_string_ = false;
    escaped_ = false;
    switch (byte) {
        case '{':
        case '[':
            kind_ = Kind::container;
            look_inside_container(byte);
            return;
        case '"': kind_ = Kind::string; return;
        case 't':
        case 'n':
            kind_ = Kind::literal;
            literal_left_ = 3;
            return;
        case 'f':
            kind_ = Kind::literal;
            literal_left_ = 4;
            return;
        default: break;
    }
    if (byte == '-' || (byte >= '0' && byte <= '9')) {
        kind_ = Kind::number;
    } else {
        refusal_ = "no JSON value begins like this";
    }
}

JsonSplitter::Step JsonSplitter::look_at(char byte) {
    if (refusal_ != nullptr) return Step::refused;
    switch (kind_) {
        case Kind::none:
        case Kind::number: return Step::go_on;
        case Kind::literal: {
            const std::string_view word = buffer_[start_] == 't' ? "true" : buffer_[start_] == 'f' ? "false" : "null";
            if (word[word.size() - literal_left_] != byte) {
                refusal_ = "no JSON value begins like this";
                return Step::refused;
            }
            return --literal_left_ == 0 ? Step::complete : Step::go_on;
        }
        case Kind::string:
            if (escaped_) {
                escaped_ = false;
            } else if (byte == '\\') {
                escaped_ = true;
            } else if (byte == '"') {
                return Step::complete;
            }
            return Step::go_on;
        case Kind::container: return look_inside_container(byte);
    }
    return Step::go_on;
}

JsonSplitter::Step JsonSplitter::look_inside_container(char byte) {
    if (in_string_) {
        if (escaped_) {
            escaped_ = false;
        } else if (byte == '\\') {
            escaped_ = true;
        } else if (byte == '"') {
            in_string_ = false;
        }
        return Step::go_on;
    }
    switch (byte) {
        case '"': in_string_ = true; return Step::go_on;
        case '{':
        case '[':
            if (depth_ == depth_limit_) {
                refusal_ = "nested too deep";
                return Step::refused;
            }
            objects_ = byte == '{' ? objects_ | uint64_t{1} << depth_ : objects_ & ~(uint64_t{1} << depth_);
            ++depth_;
            return Step::go_on;
        case '}':
        case ']':
            --depth_;
            if (((objects_ >> depth_) & 1) != (byte == '}' ? 1U : 0U)) {
                refusal_ = "brackets do not match";
                return Step::refused;
            }
            return depth_ == 0 ? Step::complete : Step::go_on;
        default: return Step::go_on;
    }
}

std::string JsonSplitter::take() {
    std::string text = buffer_.substr(start_, next_ - start_);
    start_ = next_;
    kind_ = Kind::none;
    if (start_ == buffer_.size()) {
        buffer_.clear();
        start_ = 0;
        next_ = 0;
        if (buffer_.capacity() > compact_bytes_min) buffer_.shrink_to_fit();
    }
    return text;
}

std::unexpected<Error> JsonSplitter::refuse(std::string_view reason) {
    buffer_.clear();
    buffer_.shrink_to_fit();
    start_ = 0;
    next_ = 0;
    return fail(Errc::protocol_error, fmt::format("not JSON: {}", reason));
}

}  // namespace weft::rpc
