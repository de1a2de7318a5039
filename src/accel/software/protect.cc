#include "accel/software/protect.h"

#include <cstring>

#include "base/data_cursor.h"

namespace weft::accel {

namespace {

// The next bytes of `from`: where they are when they lie together, else brought together in `room`, which is as long.
Bytes whole(DataCursor& from, MutableBytes room) {
    const MutableBytes first = from.next(room.size());
    if (first.size() == room.size()) return first;
    std::memcpy(room.data(), first.data(), first.size());
    for (size_t at = first.size(); at < room.size();) {
        const MutableBytes piece = from.next(room.size() - at);
        std::memcpy(room.data() + at, piece.data(), piece.size());
        at += piece.size();
    }
    return room;
}
void give(DataCursor& to, Bytes from) {
    while (!from.empty()) {
        const MutableBytes piece = to.next(from.size());
        std::memcpy(piece.data(), from.data(), piece.size());
        from = from.subspan(piece.size());
    }
}

// Walks all blocks.
class Walk {
public:
    Walk(const Job& job, MutableBytes block)
        : job_(job),
          data_(block.first(job.block_bytes)),
          metadata_(block.subspan(job.block_bytes, job.format->metadata_bytes)) {}

    Status run() {
        const bool is_source = job_.op != Op::dif_generate;
        const bool has_metadata = job_.op == Op::dif_verify || job_.op == Op::dif_verify_copy;
        const uint64_t bytes = bytes_in(is_source ? job_.source : job_.destination);
        const uint64_t unit =
            data_.size() + (has_metadata || job_.op == Op::dif_generate ? metadata_.size() : size_t{0});
        const uint64_t blocks = bytes / unit;
        for (uint64_t index = 0; index < blocks; ++index) {
            if (const Status status = step(index); status != Status::success) {
                if (job_.bad_block != nullptr) *job_.bad_block = index;
                return status;
            }
        }
        return Status::success;
    }

private:
    Status step(uint64_t index) {
        switch (job_.op) {
            case Op::dif_verify: {
                const Bytes data = whole(source_, data_);
                return verify(index, data, whole(source_, metadata_));
            }
            case Op::dif_verify_copy: {
                const Bytes data = whole(source_, data_);
                const Status status = verify(index, data, whole(source_, metadata_));
                if (status == Status::success) give(destination_, data);
                return status;
            }
            case Op::dif_generate: {
                const Bytes data = whole(destination_, data_);
                DataCursor metadata = destination_;
                generate(index, data, whole(metadata, metadata_));
                give(destination_, metadata_);
                return Status::success;
            }
            case Op::dif_generate_copy: {
                const Bytes data = whole(source_, data_);
                std::memset(metadata_.data(), 0, metadata_.size());
                generate(index, data, metadata_);
                give(destination_, data);
                give(destination_, metadata_);
                return Status::success;
            }
            case Op::dix_generate: {
                const Bytes data = whole(source_, data_);
                DataCursor metadata = second_;
                generate(index, data, whole(metadata, metadata_));
                give(second_, metadata_);
                return Status::success;
            }
            case Op::dix_verify: {
                const Bytes data = whole(source_, data_);
                return verify(index, data, whole(second_, metadata_));
            }
            default: return Status::not_supported;
        }
    }
    // Leaves what was in the metadata, with the tuple made, in metadata_.
    void generate(uint64_t index, Bytes data, Bytes metadata) {
        if (metadata.data() != metadata_.data()) std::memcpy(metadata_.data(), metadata.data(), metadata.size());
        write_tuple(*job_.format, *job_.protection, index, data, metadata_);
    }
    Status verify(uint64_t index, Bytes data, Bytes metadata) {
        return status_of(check_tuple(*job_.format, *job_.protection, index, data, metadata));
    }

    const Job& job_;
    const MutableBytes data_;
    const MutableBytes metadata_;
    DataCursor source_{job_.source};
    DataCursor destination_{job_.destination};
    DataCursor second_{job_.second};
};

}  // namespace

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

Status protect(const Job& job, MutableBytes block) { return Walk(job, block).run(); }

}  // namespace weft::accel
