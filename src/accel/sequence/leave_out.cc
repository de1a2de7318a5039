// Which copies of a sequence need not be done, because the step before can write, or the step after can read,
// elsewhere.
#include <algorithm>

#include "accel/sequence/sequence.h"

namespace weft::accel {

namespace {

using Pieces = std::span<const iovec>;

bool is_same(Pieces one, Pieces other) {
    return std::ranges::equal(one, other, [](const iovec& left, const iovec& right) {
        return left.iov_base == right.iov_base && left.iov_len == right.iov_len;
    });
}

bool overlap(const iovec& one, const iovec& other) {
    const auto start = reinterpret_cast<uintptr_t>(one.iov_base);
    const auto other_start = reinterpret_cast<uintptr_t>(other.iov_base);
    return start < other_start + other.iov_len && other_start < start + one.iov_len;
}

bool overlap(Pieces one, Pieces other) {
    return std::ranges::any_of(one, [other](const iovec& left) {
        return std::ranges::any_of(other, [&left](const iovec& right) { return overlap(left, right); });
    });
}

bool writes_second(const Job& job) { return job.op == Op::dualcast || job.op == Op::dix_generate; }

bool writes(const Job& job, Pieces memory) {
    return overlap(job.destination, memory) || (writes_second(job) && overlap(job.second, memory));
}

// Besides its source.
bool reads_otherwise(const Job& job, Pieces memory) {
    if (job.op == Op::dif_generate && overlap(job.destination, memory)) return true;
    if (!writes_second(job) && overlap(job.second, memory)) return true;
    const size_t bytes = job.destination.empty() ? 0 : job.destination.front().iov_len;
    return std::ranges::any_of(job.sources, [&](const std::byte* source) {
        const iovec piece{.iov_base = const_cast<std::byte*>(source), .iov_len = bytes};
        return overlap({&piece, 1}, memory);
    });
}

bool reads(const Job& job, Pieces memory) { return overlap(job.source, memory) || reads_otherwise(job, memory); }
bool touches(const Job& job, Pieces memory) { return reads(job, memory) || writes(job, memory); }

// Reads its source and writes it, changed or not, somewhere else.
bool is_transforming(Op op) {
    switch (op) {
        case Op::copy:
        case Op::copy_crc32c:
        case Op::compress:
        case Op::decompress:
        case Op::encrypt:
        case Op::decrypt:
        case Op::dif_generate_copy:
        case Op::dif_verify_copy: return true;
        default: return false;
    }
}

bool only_reads(const Job& job) {
    return job.op == Op::crc32c || job.op == Op::compare || job.op == Op::dif_verify || job.op == Op::dix_verify ||
           job.op == Op::dix_generate;
}

// Looks at `memory` as its source and has nothing else to do with it, nor with `other`.
bool looks_at(const Job& job, Pieces memory, Pieces other) {
    return only_reads(job) && is_same(job.source, memory) && !reads_otherwise(job, memory) && !writes(job, memory) &&
           !reads_otherwise(job, other) && !writes(job, other);
}

bool can_write_to(const Job& job, Pieces place) {
    if (job.op == Op::xor_all) return place.size() == 1;
    return job.op == Op::fill || is_transforming(job.op);
}

SequenceStep* after(const SequenceStep& step) { return SequenceStepList::next(step); }

}  // namespace

// copy A → B, then one that reads B and writes elsewhere: it can read A, if A is still the same then and nobody wants
// B.
bool Sequence::leave_out_before(SequenceStep& copy) {
    const Pieces from = copy.operation.job.source;
    const Pieces to = copy.operation.job.destination;
    if (overlap(from, to)) return false;
    SequenceStep* step = after(copy);
    for (; step != nullptr; step = after(*step)) {
        const Job& job = step->operation.job;
        if (is_transforming(job.op) && is_same(job.source, to)) break;
        if (looks_at(job, to, from)) continue;
        if (touches(job, to) || writes(job, from)) return false;
    }
    if (step == nullptr) return false;
    const Job& reader = step->operation.job;
    const bool is_in_place = is_same(reader.destination, to);
    if (writes(reader, from) || reads_otherwise(reader, to) || (!is_in_place && writes(reader, to))) return false;
    for (SequenceStep* later = after(*step); later != nullptr && !is_in_place; later = after(*later)) {
        if (reads(later->operation.job, to)) return false;
    }
    for (SequenceStep* moved = after(copy);; moved = after(*moved)) {
        if (is_same(moved->operation.job.source, to)) moved->operation.job.source = from;
        if (moved == step) break;
    }
    drop(copy);
    return true;
}

// One that writes A, then copy A → B: it can write B, if nobody wants A, or B as it was, in between or A later.
bool Sequence::leave_out_after(SequenceStep& copy) {
    const Pieces from = copy.operation.job.source;
    const Pieces to = copy.operation.job.destination;
    if (overlap(from, to)) return false;
    SequenceStep* step = copy.link.previous;
    for (; step != nullptr; step = step->link.previous) {
        const Job& job = step->operation.job;
        if (can_write_to(job, to) && is_same(job.destination, from)) break;
        if (looks_at(job, from, to) && !overlap(job.source, to)) continue;
        if (touches(job, from) || touches(job, to)) return false;
    }
    if (step == nullptr || touches(step->operation.job, to) || reads(step->operation.job, from)) return false;
    for (SequenceStep* later = after(copy); later != nullptr; later = after(*later)) {
        if (reads(later->operation.job, from)) return false;
    }
    for (SequenceStep* moved = after(*step); moved != &copy; moved = after(*moved)) {
        if (is_same(moved->operation.job.source, from)) moved->operation.job.source = to;
    }
    step->operation.job.destination = to;
    drop(copy);
    return true;
}

void Sequence::leave_out_copies() {
    for (SequenceStep* step = steps_.front(); step != nullptr;) {
        SequenceStep& present = *step;
        step = after(present);
        // Copies of the wrong length stay, to fail.
        if (present.operation.job.op != Op::copy || check(present.operation.job) != Status::success) continue;
        if (!leave_out_before(present)) leave_out_after(present);
    }
}

}  // namespace weft::accel
