#include "accel/operation.h"

#include <algorithm>

#include "accel/module.h"

namespace weft::accel {

namespace {

constexpr std::array<std::string_view, op_count> op_names = {
    "copy",         "fill",       "dualcast",        "compare",      "crc32c",
    "copy_crc32c",  "compress",   "decompress",      "encrypt",      "decrypt",
    "xor",          "dif_verify", "dif_verify_copy", "dif_generate", "dif_generate_copy",
    "dix_generate", "dix_verify"};

Status valid_if(bool is_valid) { return is_valid ? Status::success : Status::invalid; }

Status check_cipher(const Job& job) {
    const uint64_t bytes = bytes_in(job.source);
    return valid_if(job.key != nullptr && bytes % job.key->block_bytes() == 0 && bytes == bytes_in(job.destination));
}

Status check_protected(const Job& job) {
    if (job.format == nullptr || job.protection == nullptr || !job.format->has_tuple()) return Status::invalid;
    if (job.block_bytes == 0 || job.block_bytes > block_bytes_max) return Status::invalid;
    if (job.format->metadata_bytes > metadata_bytes_max || job.format->metadata_bytes < job.format->tuple_bytes()) {
        return Status::invalid;
    }
    const uint64_t plain = job.block_bytes;
    const uint64_t extended = plain + job.format->metadata_bytes;
    const uint64_t source = bytes_in(job.source);
    const uint64_t destination = bytes_in(job.destination);
    // As many blocks on both sides.
    const auto fits = [](uint64_t left, uint64_t left_unit, uint64_t right, uint64_t right_unit) {
        return left % left_unit == 0 && right % right_unit == 0 && left / left_unit == right / right_unit;
    };
    switch (job.op) {
        case Op::dif_verify: return valid_if(source % extended == 0);
        case Op::dif_generate: return valid_if(destination % extended == 0);
        case Op::dif_verify_copy: return valid_if(fits(source, extended, destination, plain));
        case Op::dif_generate_copy: return valid_if(fits(source, plain, destination, extended));
        default: return valid_if(fits(source, plain, bytes_in(job.second), job.format->metadata_bytes));
    }
}

}  // namespace

std::string_view name_of(Op op) { return op_names[static_cast<size_t>(op)]; }

std::optional<Op> op_named(std::string_view name) {
    const auto* const at = std::ranges::find(op_names, name);
    if (at == op_names.end()) return std::nullopt;
    return static_cast<Op>(at - op_names.begin());
}

std::string_view name_of(Status status) {
    switch (status) {
        case Status::success: return "success";
        case Status::failed: return "failed";
        case Status::invalid: return "invalid";
        case Status::not_supported: return "not supported";
        case Status::miscompare: return "miscompare";
        case Status::no_space: return "no space";
        case Status::bad_data: return "bad data";
        case Status::no_memory: return "no memory";
        case Status::guard_error: return "guard error";
        case Status::application_tag_error: return "application tag error";
        case Status::reference_tag_error: return "reference tag error";
        case Status::storage_tag_error: return "storage tag error";
        case Status::aborted: return "aborted";
    }
    return "?";
}

uint64_t bytes_in(std::span<const iovec> pieces) {
    uint64_t bytes = 0;
    for (const iovec& piece : pieces) bytes += piece.iov_len;
    return bytes;
}

uint64_t bytes_of(const Job& job) {
    if (job.op == Op::xor_all) return bytes_in(job.destination) * job.sources.size();
    return job.source.empty() ? bytes_in(job.destination) : bytes_in(job.source);
}

Status check(const Job& job) {
    switch (job.op) {
        case Op::copy: return valid_if(bytes_in(job.source) == bytes_in(job.destination));
        case Op::fill: return Status::success;
        case Op::dualcast: {
            const uint64_t bytes = bytes_in(job.source);
            return valid_if(bytes == bytes_in(job.destination) && bytes == bytes_in(job.second));
        }
        case Op::compare: return valid_if(bytes_in(job.source) == bytes_in(job.second));
        case Op::crc32c: return valid_if(job.crc != nullptr);
        case Op::copy_crc32c: return valid_if(job.crc != nullptr && bytes_in(job.source) == bytes_in(job.destination));
        case Op::compress: return valid_if(job.output_bytes != nullptr && job.level <= compress_level_max);
        case Op::decompress: return valid_if(job.output_bytes != nullptr);
        case Op::encrypt:
        case Op::decrypt: return check_cipher(job);
        case Op::xor_all:
            return valid_if(job.destination.size() == 1 && !job.sources.empty() &&
                            job.sources.size() <= xor_sources_max);
        case Op::dif_verify:
        case Op::dif_verify_copy:
        case Op::dif_generate:
        case Op::dif_generate_copy:
        case Op::dix_generate:
        case Op::dix_verify: return check_protected(job);
    }
    return Status::invalid;
}

}  // namespace weft::accel
