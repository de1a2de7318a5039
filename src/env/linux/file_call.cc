#include "env/linux/file_call.h"

#include <fcntl.h>
#include <linux/falloc.h>
#include <sys/uio.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

namespace weft::env {

namespace {

ssize_t call(const FileOperation& operation) {
    const int file = operation.file->descriptor();
    const auto pieces = static_cast<int>(std::min(operation.data.size(), file_pieces_max));
    const auto offset = static_cast<off_t>(operation.offset);
    switch (operation.kind) {
        case FileOperation::Kind::read: return preadv2(file, operation.data.data(), pieces, offset, 0);
        case FileOperation::Kind::write:
            return pwritev2(file, operation.data.data(), pieces, offset, operation.sync ? RWF_DSYNC : 0);
        case FileOperation::Kind::sync_data: return fdatasync(file);
        case FileOperation::Kind::zero_range:
        case FileOperation::Kind::punch_hole:
            return fallocate(file, fallocate_mode(operation.kind), offset, static_cast<off_t>(operation.length));
    }
    return 0;
}

}  // namespace

// KEEP_SIZE, as a bdev's size is its own affair: beyond the end nothing is to be made.
int fallocate_mode(FileOperation::Kind kind) {
    const bool is_zero_range = kind == FileOperation::Kind::zero_range;
    WEFT_ASSERT(is_zero_range || kind == FileOperation::Kind::punch_hole);
    return FALLOC_FL_KEEP_SIZE | (is_zero_range ? FALLOC_FL_ZERO_RANGE : FALLOC_FL_PUNCH_HOLE);
}

void record_outcome(FileOperation& operation, int64_t answer) {
    operation.failed = answer < 0;
    operation.bytes = 0;
    if (answer < 0) {
        operation.error = errc_from_errno(static_cast<int>(-answer));
    } else if (operation.kind == FileOperation::Kind::read || operation.kind == FileOperation::Kind::write) {
        operation.bytes = static_cast<uint64_t>(answer);
    } else {
        operation.bytes = operation.length;
    }
}

void perform_blocking(FileOperation& operation) {
    ssize_t answer = 0;
    do {
        answer = call(operation);
    } while (answer < 0 && errno == EINTR);
    record_outcome(operation, answer < 0 ? -errno : answer);
}

}  // namespace weft::env
