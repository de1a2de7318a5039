// A place within scattered memory that moves forward: where a command's next bytes come from or go to.
#pragma once

#include <sys/uio.h>

#include <algorithm>
#include <cstring>
#include <span>

#include "base/assert.h"
#include "base/bytes.h"

namespace weft::nvme_host::tcp {

// A value; the pieces it looks at live elsewhere. Going past their end is a broken invariant: whoever moves it
// by a number that a peer said has compared that number with what is left.
class DataCursor {
public:
    DataCursor() = default;
    explicit DataCursor(std::span<const iovec> pieces) : pieces_(pieces) { skip_used_up(); }

    // The contiguous memory from here on; empty at the end.
    [[nodiscard]] MutableBytes piece() const {
        if (pieces_.empty()) return {};
        const iovec& first = pieces_.front();
        return MutableBytes(static_cast<std::byte*>(first.iov_base), first.iov_len).subspan(used_);
    }

    void advance(size_t count) {
        while (count > 0) {
            WEFT_ASSERT(!pieces_.empty());
            const size_t here = std::min(count, pieces_.front().iov_len - used_);
            used_ += here;
            count -= here;
            skip_used_up();
        }
    }

    // Fills from `bytes` and moves behind them. Bytes that lie there already are not copied; they may lie a little
    // further on in the same memory, when padding came before them.
    void write(Bytes bytes) {
        while (!bytes.empty()) {
            const MutableBytes into = piece();
            const size_t count = std::min(into.size(), bytes.size());
            WEFT_ASSERT(count > 0);
            if (into.data() != bytes.data()) std::memmove(into.data(), bytes.data(), count);
            bytes = bytes.subspan(count);
            advance(count);
        }
    }

private:
    void skip_used_up() {
        while (!pieces_.empty() && used_ == pieces_.front().iov_len) {
            pieces_ = pieces_.subspan(1);
            used_ = 0;
        }
    }

    std::span<const iovec> pieces_;
    size_t used_ = 0;  // of the first piece
};

}  // namespace weft::nvme_host::tcp
