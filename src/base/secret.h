// Bytes that nobody else may ever see: keys. They stay at one place in memory, and are wiped before it is given back.
#pragma once

#include <cstring>
#include <memory>
#include <string_view>
#include <utility>

#include "base/bytes.h"

namespace weft {

// Overwrites `bytes` in a way that no compiler leaves out.
inline void wipe(MutableBytes bytes) {
    if (!bytes.empty()) explicit_bzero(bytes.data(), bytes.size());
}

// Moved, never copied by accident: copy() says so. Nothing prints one.
class Secret {
public:
    Secret() = default;
    // Zeroes.
    explicit Secret(size_t size_bytes) : data_(std::make_unique<std::byte[]>(size_bytes)), size_(size_bytes) {}
    explicit Secret(Bytes bytes) : Secret(bytes.size()) {
        if (!bytes.empty()) std::memcpy(data_.get(), bytes.data(), bytes.size());
    }
    Secret(Secret&& other) noexcept : data_(std::move(other.data_)), size_(std::exchange(other.size_, 0)) {}
    Secret& operator=(Secret&& other) noexcept {
        if (this == &other) return *this;
        wipe(mutable_bytes());
        data_ = std::move(other.data_);
        size_ = std::exchange(other.size_, 0);
        return *this;
    }
    Secret(const Secret&) = delete;
    Secret& operator=(const Secret&) = delete;
    ~Secret() { wipe(mutable_bytes()); }

    [[nodiscard]] Secret copy() const { return Secret(bytes()); }
    [[nodiscard]] bool empty() const { return size_ == 0; }
    [[nodiscard]] size_t size() const { return size_; }
    [[nodiscard]] Bytes bytes() const { return {data_.get(), size_}; }
    [[nodiscard]] MutableBytes mutable_bytes() { return {data_.get(), size_}; }
    [[nodiscard]] std::string_view text() const { return text_of(bytes()); }
    // Keeps the first `size_bytes` (no more than there are) and wipes the rest.
    void shorten(size_t size_bytes) {
        wipe(mutable_bytes().subspan(size_bytes));
        size_ = size_bytes;
    }

private:
    std::unique_ptr<std::byte[]> data_;
    size_t size_ = 0;
};

}  // namespace weft
