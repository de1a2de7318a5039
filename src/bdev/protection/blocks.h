// Walks the memory of a request block by block, wherever its metadata lies. For devices whose blocks have metadata.
#pragma once

#include "bdev/data_cursor.h"
#include "bdev/protection/protection.h"
#include "bdev/request.h"

namespace weft::bdev {

// For each block: first its data, then, when there is room for it, its metadata.
class BlockPieces {
public:
    explicit BlockPieces(const Request& request)
        : data_(request.data),
          metadata_(request.metadata),
          is_one_(request.metadata_in_data),
          wants_metadata_(request.metadata_in_data || !request.metadata.empty()) {}

    [[nodiscard]] bool wants_metadata() const { return wants_metadata_; }
    [[nodiscard]] DataCursor& data() { return data_; }
    [[nodiscard]] DataCursor& metadata() { return is_one_ ? data_ : metadata_; }

private:
    DataCursor data_;
    DataCursor metadata_;
    bool is_one_;
    bool wants_metadata_;
};

void take_bytes(DataCursor& from, MutableBytes to);
void give_bytes(DataCursor& to, Bytes from);
// Moves on by as much as `other` has, whatever the answer.
bool is_same(DataCursor& mine, Bytes other);

Status status_of(Verdict verdict);

}  // namespace weft::bdev
