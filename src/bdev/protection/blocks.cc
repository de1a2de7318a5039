#include "bdev/protection/blocks.h"

#include <cstring>

namespace weft::bdev {

void take_bytes(DataCursor& from, MutableBytes to) {
    while (!to.empty()) {
        const MutableBytes piece = from.next(to.size());
        std::memcpy(to.data(), piece.data(), piece.size());
        to = to.subspan(piece.size());
    }
}

void give_bytes(DataCursor& to, Bytes from) {
    while (!from.empty()) {
        const MutableBytes piece = to.next(from.size());
        std::memcpy(piece.data(), from.data(), piece.size());
        from = from.subspan(piece.size());
    }
}

bool is_same(DataCursor& mine, Bytes other) {
    bool same = true;
    while (!other.empty()) {
        const MutableBytes piece = mine.next(other.size());
        same = same && std::memcmp(piece.data(), other.data(), piece.size()) == 0;
        other = other.subspan(piece.size());
    }
    return same;
}

Status status_of(Verdict verdict) {
    switch (verdict) {
        case Verdict::right: return Status::success;
        case Verdict::wrong_guard: return Status::guard_error;
        case Verdict::wrong_application: return Status::application_tag_error;
        case Verdict::wrong_reference: return Status::reference_tag_error;
        case Verdict::wrong_storage: return Status::storage_tag_error;
    }
    return Status::failed;
}

}  // namespace weft::bdev
