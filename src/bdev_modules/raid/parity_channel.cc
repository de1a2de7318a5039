#include "bdev_modules/raid/parity_channel.h"

#include <algorithm>
#include <cstring>
#include <new>

#include "base/assert.h"
#include "base/mutants.h"
#include "bdev_modules/raid/xor.h"

namespace weft::bdev {

namespace {

constexpr size_t strip_memory_max = size_t{8} << 20;  // of one channel, unless one stripe needs more
constexpr std::align_val_t alignment{4096};

// Whether a block is in more pieces than a child has.
bool is_in_crumbs(const Request& request, size_t block_bytes) {
    if (request.data.size() <= Child::pieces_max) return false;
    DataCursor cursor(request.data);
    for (uint64_t block = 0; block < request.blocks; ++block) {
        size_t pieces = 0;
        for (size_t rest = block_bytes; rest > 0; ++pieces) rest -= cursor.next(rest).size();
        if (pieces > Child::pieces_max) return true;
    }
    return false;
}

}  // namespace

ParityChannel::ParityChannel(RaidDevice& device)
    : RaidChannel(device), strips_max_(std::max(strip_memory_max / strip_bytes(), 2 * device.base_count())) {}

ParityChannel::~ParityChannel() {
    WEFT_ASSERT(strips_free_ == strips_made_);
    while (free_ != nullptr) {
        const std::unique_ptr<Strip> strip(std::exchange(free_, free_->next));
        ::operator delete(strip->memory, alignment);
    }
}

Result<void> ParityChannel::open() {
    WEFT_TRY(RaidChannel::open());
    auto channel = raid().accel().channel();
    if (!channel) return std::unexpected(std::move(channel).error());
    accel_ = std::move(*channel);
    cursors_.reserve(bases());
    pieces_.reserve(bases());
    sources_.reserve(bases());
    return {};
}

Progress ParityChannel::start(Request& request) {
    if (request.op == Op::flush) return flush_all(request);
    return request.op == Op::read ? start_read(request) : start_write(request);
}

void ParityChannel::child_ended(Child& child) {
    if (child.parent->op != Op::read) return write_ended(child);
    if (child.distance == 1) return source_ended(child);
    if (child.status != Status::success) return read_failed(child);
    if (io_of(*child.parent).lock == nullptr && is_in_doubt(child.base)) read_again_later(*child.parent);
}

void ParityChannel::release(Request& parent) {
    give_back(static_cast<Strip*>(std::exchange(io_of(parent).strips, nullptr)));
}

// Memory --------------------------------------------------------------------------------------------------------------

ParityChannel::Room ParityChannel::room_for(size_t children, size_t strips) {
    if (children > children_max || strips > strips_max_) return Room::never;
    if (!has_children(children)) return Room::none;
    while (strips_free_ < strips) {
        if (strips_made_ == strips_max_) return Room::none;
        std::unique_ptr<Strip> more(new (std::nothrow) Strip());
        if (!more) return Room::none;
        more->memory = static_cast<std::byte*>(::operator new(strip_bytes(), alignment, std::nothrow));
        if (more->memory == nullptr) return strips_made_ == strips_free_ ? Room::never : Room::none;
        ++strips_made_;
        give_back(more.release());
    }
    return Room::there;
}

Progress ParityChannel::refuse(Request& request, Room room) {
    if (room == Room::none) return Progress::retry;
    request.status = Status::no_memory;
    return Progress::done;
}

bool ParityChannel::sum_up(MutableBytes to) {
    const bool is_source = sources_.front() == to.data();
    if (accel_->is_inline(accel::Op::xor_all)) {
        const iovec target{.iov_base = to.data(), .iov_len = to.size()};
        accel::Operation operation;
        operation.job = accel::xor_all({&target, 1}, sources_);
        if (accel_->submit(operation) == accel::Progress::done) {
            if (operation.status == accel::Status::success) return true;
            if (is_source) return false;  // which may be half a sum now
        }
    }
    if (!is_source) std::memcpy(to.data(), sources_.front(), to.size());
    for (const std::byte* source : std::span(sources_).subspan(1)) xor_into(to, Bytes(source, to.size()));
    return true;
}

ParityChannel::Strip* ParityChannel::take_strip() {
    WEFT_ASSERT(free_ != nullptr);
    Strip* strip = std::exchange(free_, free_->next);
    strip->next = nullptr;
    --strips_free_;
    return strip;
}

void ParityChannel::give_back(Strip* chain) {
    while (chain != nullptr) {
        Strip* const strip = std::exchange(chain, chain->next);
        strip->next = std::exchange(free_, strip);
        ++strips_free_;
    }
}

// Reads ---------------------------------------------------------------------------------------------------------------

// One in doubt is good enough under a lock; but what failed there may have been a flush, and then it may have lost more
// than the blocks that are locked. So the others are asked while all of them can be believed. Who is in doubt changes
// on other threads: it is looked at once.
ParityChannel::Needs ParityChannel::needs_of(const Request& request, const Bases& failed) const {
    Needs needs{.around = failed};
    Bases in_doubt;
    for (size_t base = 0; base < bases(); ++base) {
        if (mode(base) != BaseMode::in_sync) needs.around.set(base);
        if (is_in_doubt(base)) in_doubt.set(base);
    }
    if ((needs.around | in_doubt).count() == 1) needs.around |= in_doubt;
    size_t runs = 0;
    size_t missing = 0;
    const uint64_t end_lba = request.lba + request.blocks;
    for (uint64_t lba = request.lba; lba < end_lba; ++runs) {
        const RaidLayout::Run run = layout().locate(lba);
        if (needs.around.test(run.base)) ++missing;
        needs.lock |= in_doubt.test(run.base);
        lba += run.blocks;
    }
    needs.lock |= missing > 0;
    needs.strips = missing * (bases() - 1);
    needs.children = children_for(request, runs) + needs.strips;
    return needs;
}

RangeLocks::Range* ParityChannel::lock_for_read(const Request& parent) {
    const uint64_t strip = layout().strip_blocks();
    const uint64_t stripe_blocks = layout().stripe_blocks();
    const uint64_t last_stripe = (parent.lba + parent.blocks - 1) / stripe_blocks;
    return lock(parent.lba / stripe_blocks * strip, (last_stripe + 1) * strip, false);
}

Progress ParityChannel::start_read(Request& request) {
    const Needs needs = needs_of(request, {});
    const Room room = room_for(needs.children, needs.strips);
    if (room != Room::there) return refuse(request, room);
    RangeLocks::Range* range = nullptr;
    if (needs.lock) {
        range = lock_for_read(request);
        if (range == nullptr) return Progress::retry;
    }
    begin(request);
    make_io(request).lock = range;
    send_reads(request, needs);
    return end(request);
}

bool ParityChannel::read_again(Request& parent) {
    const Needs needs = needs_of(parent, io_of(parent).failed);
    const Room room = room_for(needs.children, needs.strips);
    if (room == Room::none) return false;
    if (room == Room::never) {
        status_of(parent) = Status::no_memory;
    } else {
        send_reads(parent, needs);
    }
    return true;
}

void ParityChannel::send_reads(Request& request, const Needs& needs) {
    children_promised_ = needs.children;
    strips_promised_ = needs.strips;
    DataCursor cursor(request.data);
    const uint64_t end_lba = request.lba + request.blocks;
    uint64_t offset = 0;
    for (uint64_t lba = request.lba; lba < end_lba;) {
        const RaidLayout::Run run = layout().locate(lba);
        const uint64_t blocks = std::min(run.blocks, end_lba - lba);
        const uint64_t bytes = blocks * raid().block_bytes();
        if (needs.around.test(run.base)) {
            start_group(request, run.base, run.lba, blocks, offset);
            cursor.skip(bytes);
        } else if (!send_run(request, run.base, run.lba, blocks, cursor, offset, false)) {
            status_of(request) = Status::failed;
            break;
        }
        lba += blocks;
        offset += bytes;
    }
    children_promised_ = 0;
    strips_promised_ = 0;
}

void ParityChannel::start_group(Request& parent, size_t missing, uint64_t base_lba, uint64_t blocks,
                                uint64_t data_offset) {
    Strip* first = nullptr;
    for (size_t base = 0; base + 1 < bases(); ++base) {
        Strip* const strip = take_strip();
        strip->next = first;
        first = strip;
    }
    const size_t bytes = blocks * raid().block_bytes();
    first->group = {.parent = &parent, .data_offset = data_offset, .bytes = bytes, .pending = 1};
    Strip* into = first;
    for (size_t base = 0; base < bases(); ++base) {
        if (base == missing) continue;
        if (mode(base) != BaseMode::in_sync) {
            first->group.has_failed = true;
            continue;
        }
        Child& child = take_child(parent, base);
        child.lba = on_base(base, base_lba);
        child.blocks = blocks;
        child.pieces[0] = {.iov_base = into->memory, .iov_len = bytes};
        child.data = std::span<const iovec>(child.pieces).first(1);
        child.distance = 1;
        child.note = reinterpret_cast<uint64_t>(first);
        into = into->next;
        ++first->group.pending;
        send(child);
    }
    source_gone(*first);
}

void ParityChannel::source_ended(Child& child) {
    auto& first = *reinterpret_cast<Strip*>(child.note);  // NOLINT(performance-no-int-to-ptr)
    if (child.status != Status::success) first.group.has_failed = true;
    source_gone(first);
}

void ParityChannel::source_gone(Strip& first) {
    Group& group = first.group;
    if (--group.pending > 0) return;
    const MutableBytes made(first.memory, group.bytes);
    if (!group.has_failed) {
        sources_.assign(1, first.memory);
        for (const Strip* other = first.next; other != nullptr; other = other->next) {
            if (mutant::on(mutant::strip_of_too_few)) break;
            sources_.push_back(other->memory);
        }
        group.has_failed = !sum_up(made);
    }
    if (group.has_failed) {
        Status& status = status_of(*group.parent);
        if (status == Status::success) status = Status::read_error;
    } else {
        DataCursor cursor(group.parent->data);
        cursor.skip(group.data_offset);
        for (Bytes rest = made; !rest.empty();) {
            const MutableBytes piece = cursor.next(rest.size());
            std::memcpy(piece.data(), rest.data(), piece.size());
            rest = rest.subspan(piece.size());
        }
    }
    give_back(&first);
}

// The others are asked instead; when their blocks are being written, or there is no room, a little later.
void ParityChannel::read_failed(Child& child) {
    Request& parent = *child.parent;
    RaidIo& io = io_of(parent);
    if (child.status == Status::aborted) return StackedChannel::child_ended(child);
    if (io.lock == nullptr) io.lock = lock_for_read(parent);
    const size_t others = bases() - 1;
    if (io.lock == nullptr || room_for(children_promised_ + others, strips_promised_ + others) != Room::there) {
        io.failed.set(child.base);
        return read_again_later(parent);
    }
    start_group(parent, child.base, child.lba - raid().data_offset(child.base), child.blocks, child.note);
}

// Writes --------------------------------------------------------------------------------------------------------------

Progress ParityChannel::start_write(Request& request) {
    const uint64_t stripe_blocks = layout().stripe_blocks();
    const uint64_t strip = layout().strip_blocks();
    const bool has_data = request.op == Op::write;
    if (request.lba % stripe_blocks != 0 || request.blocks % stripe_blocks != 0 ||
        (has_data && is_in_crumbs(request, raid().block_bytes()))) {
        request.status = Status::failed;
        return Progress::done;
    }
    const uint64_t first = request.lba / stripe_blocks;
    const uint64_t stripes = request.blocks / stripe_blocks;
    const Room room = has_data ? room_for(children_for(request, stripes * bases()), stripes) : room_for(bases(), 0);
    if (room != Room::there) return refuse(request, room);
    RangeLocks::Range* const range = lock(first * strip, (first + stripes) * strip, true);
    if (range == nullptr) return Progress::retry;
    begin(request);
    RaidIo& io = make_io(request);
    io.lock = range;
    io.pending = 1;
    if (has_data) {
        DataCursor cursor(request.data);
        for (uint64_t stripe = first; stripe < first + stripes; ++stripe) write_stripe(request, stripe, cursor);
    } else {
        write_same(request, first * strip, stripes * strip, {});  // the parity of zeroes is zero
    }
    all_writes_sent(request);
    return end(request);
}

// As far as the data of all chunks lie together at a time.
void ParityChannel::make_parity(MutableBytes parity, DataCursor data) {
    cursors_.clear();
    pieces_.clear();
    for (size_t chunk = 0; chunk + 1 < bases(); ++chunk) {
        cursors_.push_back(data);
        pieces_.emplace_back();
        data.skip(parity.size());
    }
    while (!parity.empty()) {
        size_t bytes = parity.size();
        for (size_t chunk = 0; chunk < pieces_.size(); ++chunk) {
            if (pieces_[chunk].empty()) pieces_[chunk] = cursors_[chunk].next(parity.size());
            bytes = std::min(bytes, pieces_[chunk].size());
        }
        sources_.clear();
        for (Bytes& piece : pieces_) {
            sources_.push_back(piece.data());
            piece = piece.subspan(bytes);
        }
        const bool is_made = sum_up(parity.first(bytes));
        WEFT_ASSERT(is_made);  // it is none of its sources
        parity = parity.subspan(bytes);
    }
}

void ParityChannel::write_stripe(Request& request, uint64_t stripe, DataCursor& cursor) {
    RaidIo& io = io_of(request);
    const uint64_t strip = layout().strip_blocks();
    const size_t parity = layout().parity_base(stripe);
    const bool has_parity = mode(parity) != BaseMode::absent;
    if (has_parity) {
        Strip* const memory = take_strip();
        memory->next = static_cast<Strip*>(io.strips);
        io.strips = memory;
        make_parity(MutableBytes(memory->memory, strip_bytes()), cursor);
        Child& child = take_write(request, parity);
        child.lba = on_base(parity, stripe * strip);
        child.blocks = strip;
        child.pieces[0] = {.iov_base = memory->memory, .iov_len = strip_bytes()};
        child.data = std::span<const iovec>(child.pieces).first(1);
        send(child);
    }
    for (size_t chunk = 0; chunk + 1 < bases(); ++chunk) {
        const size_t base = chunk < parity ? chunk : chunk + 1;
        if (mode(base) == BaseMode::absent) {
            cursor.skip(strip_bytes());
        } else {
            send_run(request, base, stripe * strip, strip, cursor, 0, true);
        }
    }
}

}  // namespace weft::bdev
