// How a part is made of what is left of a request, and what becomes of its data.
#include <algorithm>
#include <cstring>

#include "base/assert.h"
#include "bdev/data_cursor.h"
#include "bdev/device.h"
#include "bdev/gate/channel_gate.h"
#include "bdev/gate/part.h"
#include "bdev/zeroes.h"

namespace weft::bdev {

namespace {

// Of one block's data, as the request has it.
uint64_t bytes_each(const Device& device, const Request& request) {
    return device.block_bytes() + (request.metadata_in_data ? device.metadata().metadata_bytes : 0U);
}

void copy_in(std::span<const iovec> from, uint64_t skip, MutableBytes to) {
    DataCursor cursor(from);
    cursor.skip(skip);
    while (!to.empty()) {
        const MutableBytes piece = cursor.next(to.size());
        std::memcpy(to.data(), piece.data(), piece.size());
        to = to.subspan(piece.size());
    }
}

void copy_out(Bytes from, std::span<const iovec> to, uint64_t skip) {
    DataCursor cursor(to);
    cursor.skip(skip);
    while (!from.empty()) {
        const MutableBytes piece = cursor.next(from.size());
        std::memcpy(piece.data(), from.data(), piece.size());
        from = from.subspan(piece.size());
    }
}

bool is_equal(Bytes found, std::span<const iovec> expected, uint64_t skip) {
    DataCursor cursor(expected);
    cursor.skip(skip);
    while (!found.empty()) {
        const MutableBytes piece = cursor.next(found.size());
        if (std::memcmp(piece.data(), found.data(), piece.size()) != 0) return false;
        found = found.subspan(piece.size());
    }
    return true;
}

}  // namespace

Parts::Part* Parts::make_part(Request& whole, bool may_wait) {
    // The last is for those who cannot wait: what they ask for is done on the spot.
    if (used_ + (may_wait ? 1 : 0) >= parts_max) return nullptr;
    Part* const found =
        std::find_if(parts_.get(), parts_.get() + parts_max, [](const Part& part) { return part.whole == nullptr; });
    Part& part = *found;
    const Whole& state = state_of(whole);
    part.whole = &whole;
    ++used_;
    part.offset = state.next;
    part.step = Step::only;
    part.is_bounced = false;
    Request& request = part.request;
    request.context = &part;
    request.done = part_done;
    request.lba = whole.lba + state.next;
    request.source_lba = whole.source_lba + state.next;
    request.fua = whole.fua;
    request.data = {};
    request.metadata = {};
    request.metadata_in_data = whole.metadata_in_data;
    request.protection = nullptr;
    request.must_not_wait = whole.must_not_wait;
    if (whole.protection != nullptr) {
        part.protection = *whole.protection;
        if (channel_.bdev().metadata().type != ProtectionType::type3) part.protection.reference += state.next;
        request.protection = &part.protection;
    }
    bool is_made = false;
    switch (state.recipe) {
        case Recipe::cut: is_made = fill_cut(whole, part); break;
        case Recipe::zeroes: is_made = fill_zeroes(whole, part); break;
        case Recipe::check:
        case Recipe::copy: is_made = fill_buffered(whole, part); break;
    }
    if (is_made) return &part;
    part.whole = nullptr;
    --used_;
    return nullptr;
}

// The whole cannot be done: a unit that must be written at once does not go into what there is for it.
bool Parts::give_up(Request& whole) {
    Whole& state = state_of(whole);
    state.status = Status::failed;
    state.is_over = true;
    return false;
}

bool Parts::fill_cut(Request& whole, Part& part) {
    const Device& device = channel_.bdev();
    const Geometry& geometry = device.geometry();
    const Whole& state = state_of(whole);
    Request& request = part.request;
    request.op = state.op;
    uint64_t blocks = part_blocks(geometry, state.op, request.lba, whole.blocks - state.next);
    request.blocks = blocks;
    if (!has_data(state.op)) return true;
    const uint64_t each = bytes_each(device, whole);
    const uint64_t metadata_each = device.metadata().metadata_bytes;
    const std::span<iovec> pieces = std::span(part.pieces).first(pieces_max(geometry, Part::pieces_max));
    Slice data;
    Slice metadata;
    for (;;) {
        data = slice(state.data, state.next * each, blocks * each, geometry.max_segment_bytes, pieces);
        uint64_t fitting = data.bytes / each;
        if (!whole.metadata.empty()) {
            metadata =
                slice(whole.metadata, state.next * metadata_each, blocks * metadata_each, 0, part.metadata_pieces);
            fitting = std::min(fitting, metadata.bytes / metadata_each);
        }
        if (state.op == Op::write) fitting -= fitting % geometry.write_unit_blocks;
        if (fitting == 0) return fill_bounced(whole, part, blocks);
        if (fitting == blocks) break;
        blocks = fitting;
    }
    request.blocks = blocks;
    request.data = pieces.first(data.count);
    request.metadata = std::span(part.metadata_pieces).first(metadata.count);
    return true;
}

// At most so many blocks go through a buffer at a time.
uint64_t Parts::buffered_blocks(const Request& whole, uint64_t blocks) const {
    const Device& device = channel_.bdev();
    const Geometry& geometry = device.geometry();
    const uint64_t each = bytes_each(device, whole);
    const uint64_t metadata_each = whole.metadata.empty() ? 0 : device.metadata().metadata_bytes;
    blocks = std::min(blocks, buffer_bytes / (each + metadata_each));
    if (geometry.max_segment_bytes != 0) {
        const uint64_t bytes = uint64_t{geometry.max_segment_bytes} * pieces_max(geometry, Part::pieces_max);
        blocks = std::min(blocks, bytes / each);
    }
    return blocks;
}

// A block is in more pieces than go into a part.
bool Parts::fill_bounced(Request& whole, Part& part, uint64_t blocks) {
    blocks = buffered_blocks(whole, blocks);
    if (state_of(whole).op == Op::write) blocks -= blocks % channel_.bdev().geometry().write_unit_blocks;
    if (blocks == 0) return give_up(whole);
    part.buffer = take_buffer();
    if (part.buffer == nullptr) return false;
    part.is_bounced = true;
    point_at_buffer(part, blocks);
    if (part.request.op != Op::read) gather(part);
    return true;
}

bool Parts::fill_zeroes(Request& whole, Part& part) {
    const Device& device = channel_.bdev();
    const Geometry& geometry = device.geometry();
    Request& request = part.request;
    uint64_t blocks = part_blocks(geometry, Op::write, request.lba, whole.blocks - state_of(whole).next);
    // iovec has no const; a write only reads.
    const iovec all{.iov_base = const_cast<std::byte*>(zeroes().data()), .iov_len = zeroes_bytes};
    const std::span<iovec> pieces = std::span(part.pieces).first(pieces_max(geometry, Part::pieces_max));
    const uint64_t wanted = std::min(blocks * device.block_bytes(), uint64_t{zeroes_bytes});
    const Slice most = slice({&all, 1}, 0, wanted, geometry.max_segment_bytes, pieces);
    blocks = most.bytes / device.block_bytes();
    blocks -= blocks % geometry.write_unit_blocks;
    if (blocks == 0) return give_up(whole);
    const Slice data = slice({&all, 1}, 0, blocks * device.block_bytes(), geometry.max_segment_bytes, pieces);
    request.op = Op::write;
    request.blocks = blocks;
    request.metadata_in_data = false;
    request.data = pieces.first(data.count);
    return true;
}

bool Parts::fill_buffered(Request& whole, Part& part) {
    const Geometry& geometry = channel_.bdev().geometry();
    const Whole& state = state_of(whole);
    const uint64_t rest = whole.blocks - state.next;
    uint64_t blocks = buffered_blocks(whole, rest);
    const uint64_t from = state.recipe == Recipe::copy ? part.request.source_lba : part.request.lba;
    blocks = std::min(blocks, part_blocks(geometry, Op::read, from, rest));
    if (state.recipe == Recipe::copy) {
        blocks = std::min(blocks, part_blocks(geometry, Op::write, part.request.lba, rest));
        blocks -= blocks % geometry.write_unit_blocks;
        part.step = Step::read;
    }
    if (blocks == 0) return give_up(whole);
    part.buffer = take_buffer();
    if (part.buffer == nullptr) return false;
    part.request.op = Op::read;
    part.request.fua = false;
    part.request.lba = from;
    point_at_buffer(part, blocks);
    return true;
}

// The data, and behind it the metadata when the whole has some apart.
void Parts::point_at_buffer(Part& part, uint64_t blocks) {
    const Device& device = channel_.bdev();
    const Geometry& geometry = device.geometry();
    const uint64_t bytes = blocks * bytes_each(device, *part.whole);
    const iovec all{.iov_base = part.buffer, .iov_len = bytes};
    const std::span<iovec> pieces = std::span(part.pieces).first(pieces_max(geometry, Part::pieces_max));
    const Slice data = slice({&all, 1}, 0, bytes, geometry.max_segment_bytes, pieces);
    WEFT_ASSERT(data.bytes == bytes);
    part.request.blocks = blocks;
    part.request.data = pieces.first(data.count);
    if (part.whole->metadata.empty()) return;
    part.metadata_pieces[0] = {.iov_base = part.buffer + bytes, .iov_len = blocks * device.metadata().metadata_bytes};
    part.request.metadata = std::span(part.metadata_pieces).first(1);
}

bool Parts::take_step(Part& part) {
    Request& request = part.request;
    const Whole& state = state_of(*part.whole);
    if (request.status != Status::success) return true;
    if (state.is_aborted) {
        request.status = Status::aborted;
        return true;
    }
    if (state.recipe == Recipe::check && part.whole->op != Op::verify && !is_same(part)) {
        request.status = Status::miscompare;
    }
    if (part.is_bounced && request.op == Op::read) scatter(part);
    if (part.step != Step::read) return true;
    part.step = Step::write;
    request.op = Op::write;
    request.lba = part.whole->lba + part.offset;
    request.fua = part.whole->fua;
    return false;
}

namespace {

struct Places {
    MutableBytes data;
    uint64_t data_skip;
    MutableBytes metadata;
    uint64_t metadata_skip;
};

// Where a part's data is in its buffer, and where in that of the whole.
Places places_of(const Device& device, const Request& whole, std::byte* buffer, uint64_t offset, uint64_t blocks) {
    const uint64_t each = bytes_each(device, whole);
    const uint64_t metadata_each = whole.metadata.empty() ? 0 : device.metadata().metadata_bytes;
    return {.data = {buffer, blocks * each},
            .data_skip = offset * each,
            .metadata = {buffer + blocks * each, blocks * metadata_each},
            .metadata_skip = offset * metadata_each};
}

}  // namespace

void Parts::gather(const Part& part) const {
    const Places places = places_of(channel_.bdev(), *part.whole, part.buffer, part.offset, part.request.blocks);
    copy_in(state_of(*part.whole).data, places.data_skip, places.data);
    copy_in(part.whole->metadata, places.metadata_skip, places.metadata);
}

void Parts::scatter(const Part& part) const {
    const Places places = places_of(channel_.bdev(), *part.whole, part.buffer, part.offset, part.request.blocks);
    copy_out(places.data, state_of(*part.whole).data, places.data_skip);
    copy_out(places.metadata, part.whole->metadata, places.metadata_skip);
}

bool Parts::is_same(const Part& part) const {
    const Places places = places_of(channel_.bdev(), *part.whole, part.buffer, part.offset, part.request.blocks);
    return is_equal(places.data, state_of(*part.whole).data, places.data_skip) &&
           is_equal(places.metadata, part.whole->metadata, places.metadata_skip);
}

}  // namespace weft::bdev
