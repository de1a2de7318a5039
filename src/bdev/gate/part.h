// What Parts keeps of a request that is done in parts, and of a part.
#pragma once

#include "bdev/gate/parts.h"
#include "bdev/protection/protection.h"

namespace weft::bdev {

// In the module_data of the request.
struct Parts::Whole {
    Recipe recipe;
    Op op;                        // Recipe::cut: of the parts
    std::span<const iovec> data;  // what is cut, or compared with
    uint64_t next = 0;            // so many blocks have their parts
    uint32_t under_way = 0;
    Status status = Status::success;  // the first error
    bool is_over = false;             // nothing more is begun
    bool is_aborted = false;
    bool is_locked = false;  // a compare and write
    WaitList finished;       // a compare and write: when a half of it is

    [[nodiscard]] bool wants_more(const Request& whole) const { return !is_over && next < whole.blocks; }
    [[nodiscard]] bool is_finished(const Request& whole) const { return under_way == 0 && !wants_more(whole); }
};

struct Parts::Part {  // NOLINT(cppcoreguidelines-pro-type-member-init): pieces are written before they are read
    static constexpr size_t pieces_max = 32;
    Request request;
    Request* whole = nullptr;  // nullptr: it is free
    uint64_t offset = 0;       // blocks before it in the whole
    Step step = Step::only;
    bool is_bounced = false;
    std::byte* buffer = nullptr;
    Protection protection;
    std::array<iovec, pieces_max> pieces;
    std::array<iovec, pieces_max> metadata_pieces;
};

}  // namespace weft::bdev
