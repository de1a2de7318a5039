// What the two file queues have in common: an operation in the kernel's words, and its answer.
#pragma once

#include "env/files.h"

namespace weft::env {

inline constexpr size_t file_pieces_max = 1024;  // UIO_MAXIOV: the rest of a longer list makes a short transfer

// The mode of fallocate() for zero_range and punch_hole.
int fallocate_mode(FileOperation::Kind kind);
// Fills in the outcome from the bytes moved, or a negative errno value.
void record_outcome(FileOperation& operation, int64_t answer);
// Does `operation` on the calling thread and records the outcome. Blocks.
void perform_blocking(FileOperation& operation);

}  // namespace weft::env
