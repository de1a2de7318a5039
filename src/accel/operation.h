// What can be done to data in memory, by a CPU or by something that does it for one: a job in words, and one that is on
// its way.
#pragma once

#include <sys/uio.h>

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string_view>

#include "accel/protection/protection.h"
#include "base/intrusive_list.h"

namespace weft::accel {

class PreparedKey;

// In the order of the field's codes, 0 to 16.
enum class Op : uint8_t {
    copy,
    fill,
    dualcast,
    compare,
    crc32c,
    copy_crc32c,
    compress,  // raw deflate (RFC 1951)
    decompress,
    encrypt,
    decrypt,
    xor_all,  // "xor"
    // Blocks with their metadata behind them …
    dif_verify,
    dif_verify_copy,  // … and plain blocks come out
    dif_generate,  // … whose tuples are made in place
    dif_generate_copy,  // … come out of plain blocks
    // Blocks, and their metadata elsewhere.
    dix_generate,
    dix_verify,
};
inline constexpr size_t op_count = 17;
// As the field spells it: "copy_crc32c", "xor".
std::string_view name_of(Op op);
std::optional<Op> op_named(std::string_view name);

enum class Status : uint8_t {
    success,
    failed,  // for a reason that none of the others names
    invalid,  // lengths that do not fit each other, or something missing
    not_supported,
    miscompare,
    no_space,  // what comes out is longer than the destination
    bad_data,  // what should be decompressed is no such stream, or not all of one
    no_memory,
    guard_error,  // protection information: see Verdict
    application_tag_error,
    reference_tag_error,
    storage_tag_error,
    aborted,
};
std::string_view name_of(Status status);

// What became of a job when it was given away.
enum class Progress : uint8_t {
    done,  // on the spot; `status` is set and `done` is not called
    pending,  // `done` will be called, from the loop
    retry,  // not taken, nothing happened: submit it again in a later turn
};

inline constexpr uint8_t compress_level_max = 3;
inline constexpr uint8_t compress_level_default = 1;
inline constexpr size_t xor_sources_max = 255;
// Of data that are encrypted or protected.
inline constexpr uint32_t block_bytes_max = 65536;

// A job in words. All memory is the caller's, and stays as it is until the job is done; so do the lists of pieces. The
// functions below make one.
struct Job {
    Op op = Op::copy;
    uint8_t value = 0;  // of fill
    uint8_t level = compress_level_default;  // of compress
    std::span<const iovec> source;
    std::span<const iovec> destination;
    // compare: what `source` is compared with. dualcast: the other destination. dix_*: the metadata of all blocks.
    std::span<const iovec> second;
    std::span<const std::byte* const> sources;  // xor: each as long as the destination, which is one piece
    uint32_t* crc = nullptr;  // *crc32c: what base/crc32c.h calls the state, before and after
    uint64_t* output_bytes = nullptr;  // *compress: how many came out; on no_space nothing can be said of them
    PreparedKey* key = nullptr;  // encrypt, decrypt: of this channel (Channel::prepare)
    uint64_t lba = 0;  // … of the first block
    uint32_t block_bytes = 0;  // … and of dif and dix: without metadata
    const ProtectionFormat* format = nullptr;  // dif, dix: has_tuple()
    const Protection* protection = nullptr;
    uint64_t* bad_block = nullptr;  // dif_verify*, dix_verify: may be told which one was wrong, counted from 0
};

struct Operation {  // NOLINT(cppcoreguidelines-pro-type-member-init): module_data is raw memory
    Job job;
    Status status = Status::success;  // set when it is done
    // Called on the channel's thread, from its reactor's loop, when an operation that was Progress::pending is done.
    void (*done)(Operation& operation) = nullptr;
    void* context = nullptr;  // the caller's

    ListLink<Operation> link;  // queues of the module that has it
    // The module's.
    static constexpr size_t module_bytes = 64;
    alignas(16) std::array<std::byte, module_bytes> module_data;
};

uint64_t bytes_in(std::span<const iovec> pieces);
// What a job is counted as having moved: its source, or its destination when there is none.
uint64_t bytes_of(const Job& job);
// Whether the lengths fit each other and all is there that the op needs. What is in the memory is not looked at.
Status check(const Job& job);

inline Job copy(std::span<const iovec> to, std::span<const iovec> from) {
    return {.op = Op::copy, .source = from, .destination = to};
}
inline Job fill(std::span<const iovec> to, uint8_t value) {
    return {.op = Op::fill, .value = value, .destination = to};
}
inline Job dualcast(std::span<const iovec> to, std::span<const iovec> to_too, std::span<const iovec> from) {
    return {.op = Op::dualcast, .source = from, .destination = to, .second = to_too};
}
inline Job compare(std::span<const iovec> one, std::span<const iovec> other) {
    return {.op = Op::compare, .source = one, .second = other};
}
inline Job crc32c(uint32_t& state, std::span<const iovec> of) {
    return {.op = Op::crc32c, .source = of, .crc = &state};
}
inline Job copy_crc32c(uint32_t& state, std::span<const iovec> to, std::span<const iovec> from) {
    return {.op = Op::copy_crc32c, .source = from, .destination = to, .crc = &state};
}
inline Job compress(uint64_t& made, std::span<const iovec> to, std::span<const iovec> from,
                    uint8_t level = compress_level_default) {
    return {.op = Op::compress, .level = level, .source = from, .destination = to, .output_bytes = &made};
}
inline Job decompress(uint64_t& made, std::span<const iovec> to, std::span<const iovec> from) {
    return {.op = Op::decompress, .source = from, .destination = to, .output_bytes = &made};
}
// Whole blocks; `op` is encrypt or decrypt. `to` and `from` may be the same memory.
inline Job cipher(Op op, PreparedKey& key, uint64_t lba, std::span<const iovec> to, std::span<const iovec> from) {
    return {.op = op, .source = from, .destination = to, .key = &key, .lba = lba};
}
inline Job xor_all(std::span<const iovec> to, std::span<const std::byte* const> sources) {
    return {.op = Op::xor_all, .destination = to, .sources = sources};
}

}  // namespace weft::accel
