// Walks the pieces of a request's data from front to back.
#pragma once

#include <sys/uio.h>

#include <algorithm>
#include <span>

#include "base/assert.h"
#include "base/bytes.h"

namespace weft {

class DataCursor {
public:
    explicit DataCursor(std::span<const iovec> data) : rest_(data) {}

    // The next bytes that lie together, at most `bytes_max` and at least one, and moves behind them. There must be
    // some.
    MutableBytes next(size_t bytes_max) {
        while (used_ == front().iov_len) {
            rest_ = rest_.subspan(1);
            used_ = 0;
        }
        const size_t bytes = std::min(bytes_max, front().iov_len - used_);
        const MutableBytes piece(static_cast<std::byte*>(front().iov_base) + used_, bytes);
        used_ += bytes;
        return piece;
    }

    void skip(size_t bytes) {
        while (bytes > 0) bytes -= next(bytes).size();
    }

private:
    [[nodiscard]] const iovec& front() const {
        WEFT_ASSERT(!rest_.empty());
        return rest_.front();
    }
    std::span<const iovec> rest_;
    size_t used_ = 0;  // of the front piece
};

}  // namespace weft
