#include "bdev/stack/stacked_channel.h"

#include <new>

#include "base/assert.h"
#include "bdev/stack/stacked_device.h"

namespace weft::bdev {

namespace {

// What a request asks for, but for its range and its data.
void take_wishes(Child& child, const Request& parent) {
    child.op = parent.op;
    child.fua = parent.fua;
    child.trace_owner = parent.trace_owner;
    child.data = {};
    child.metadata = {};
    child.expected = {};
    child.metadata_in_data = false;
    child.protection = nullptr;
    child.zone_action = parent.zone_action;
    child.all_zones = parent.all_zones;
}

}  // namespace

StackedChannel::StackedChannel(StackedDevice& device) : device_(device), bases_(device.base_count()), again_(*this) {
    again_.pause();
}

StackedChannel::~StackedChannel() {
    WEFT_ASSERT(parked_.empty());
    while (free_.pop_front() != nullptr) {
    }
}

StackedChannel::Again::Again(StackedChannel& channel) : Poller(Thread::current(), "bdev_again", 0), channel_(channel) {}

Result<void> StackedChannel::open_bases() {
    for (size_t index = 0; index < bases_.size(); ++index) {
        if (device_.base(index) != nullptr) WEFT_TRY(adopt_base(index));
    }
    return {};
}

Result<void> StackedChannel::adopt_base(size_t index) {
    WEFT_ASSERT(!bases_[index].channel);
    auto channel = device_.base(index)->device().channel();
    if (!channel) return std::unexpected(std::move(channel).error());
    bases_[index].channel = std::move(*channel);
    return {};
}

void StackedChannel::drop_base(size_t index) {
    WEFT_ASSERT(bases_[index].children == 0);
    bases_[index].channel.reset();
}

// Children ------------------------------------------------------------------------------------------------------------

bool StackedChannel::has_children(size_t count) {
    while (free_.size() < count) {
        if (count > children_max || (memory_.size() + 1) * children_step > children_max) return false;
        std::unique_ptr<Children> more(new (std::nothrow) Children());
        if (!more) return false;
        for (Child& child : *more) free_.push_back(child);
        memory_.push_back(std::move(more));
    }
    return true;
}

void StackedChannel::begin(Request& parent) {
    static_assert(sizeof(Family) + extra_bytes <= Request::module_bytes);
    new (parent.module_data.data()) Family{.open = 1};
}

Child& StackedChannel::take_child(Request& parent, size_t base) {
    Child* child = free_.pop_front();
    WEFT_ASSERT(child != nullptr);
    take_wishes(*child, parent);
    child->owner = this;
    child->parent = &parent;
    child->base = static_cast<uint16_t>(base);
    child->is_parked = false;
    child->is_aborted = false;
    child->distance = 0;
    child->note = 0;
    child->done = [](Request& request) {
        auto& done = static_cast<Child&>(request);
        done.owner->ended(done);
    };
    Family& mine = family(parent);
    mine.children.push_back(*child);
    ++mine.open;
    return *child;
}

uint64_t StackedChannel::take_pieces(Child& child, DataCursor& cursor, uint32_t block_bytes, uint64_t blocks_max) {
    DataCursor ahead = cursor;
    const uint64_t bytes_max = blocks_max * block_bytes;
    uint64_t bytes = 0;
    size_t count = 0;
    for (; count < Child::pieces_max && bytes < bytes_max; ++count) {
        const MutableBytes piece = ahead.next(bytes_max - bytes);
        child.pieces[count] = {.iov_base = piece.data(), .iov_len = piece.size()};
        bytes += piece.size();
    }
    // What is behind the last whole block stays for the next child.
    uint64_t over = bytes % block_bytes;
    bytes -= over;
    while (over > 0) {
        iovec& last = child.pieces[count - 1];
        const uint64_t less = std::min<uint64_t>(over, last.iov_len);
        last.iov_len -= less;
        over -= less;
        if (last.iov_len == 0) --count;
    }
    child.data = std::span<const iovec>(child.pieces).first(count);
    cursor.skip(bytes);
    return bytes / block_bytes;
}

void StackedChannel::send(Child& child) {
    BaseChannel& at = bases_[child.base];
    WEFT_ASSERT(at.channel);
    ++at.children;
    if (at.parked > 0 || !hand(child)) park(child);
}

// False when the base cannot take it now.
bool StackedChannel::hand(Child& child) {
    const Progress progress = bases_[child.base].channel->submit(child);
    if (progress == Progress::done) ended(child);
    return progress != Progress::retry;
}

void StackedChannel::park(Child& child) {
    ++bases_[child.base].parked;
    child.is_parked = true;
    parked_.push_back(child);
    again_.resume();
}

// In order; a base that refuses one gets no other before the next turn.
uint32_t StackedChannel::hand_again() {
    for (BaseChannel& at : bases_) at.is_refusing = false;
    uint32_t handed = 0;
    for (size_t rest = parked_.size(); rest > 0; --rest) {
        auto& child = static_cast<Child&>(*parked_.pop_front());
        BaseChannel& at = bases_[child.base];
        child.is_parked = false;
        if (child.is_aborted) {
            --at.parked;
            child.status = Status::aborted;
            ended(child);
        } else if (at.is_refusing || !hand(child)) {
            at.is_refusing = true;
            child.is_parked = true;
            parked_.push_back(child);
            continue;
        } else {
            --at.parked;
        }
        ++handed;
    }
    if (parked_.empty()) again_.pause();
    return handed;
}

void StackedChannel::ended(Child& child) {
    Request& parent = *child.parent;
    --bases_[child.base].children;
    family(parent).children.remove(child);
    if (child.op == Op::zone_append) parent.lba = child.lba - child.distance;
    child_ended(child);
    free_.push_back(child);
    let_go(parent);
}

void StackedChannel::child_ended(Child& child) {
    Status& status = status_of(*child.parent);
    if (status == Status::success) status = child.status;
}

// Families ------------------------------------------------------------------------------------------------------------

void StackedChannel::let_go(Request& parent) {
    Family& mine = family(parent);
    WEFT_ASSERT(mine.open > 0);
    if (--mine.open > 0 || mine.is_starting) return;
    const Status status = end_family(parent);
    finish(parent, status);
}

Progress StackedChannel::end(Request& parent) {
    Family& mine = family(parent);
    if (--mine.open > 0) {
        mine.is_starting = false;
        return Progress::pending;
    }
    parent.status = end_family(parent);
    return Progress::done;
}

Status StackedChannel::end_family(Request& parent) {
    Family& mine = family(parent);
    const Status status = family_ended(parent, mine.status);
    mine.~Family();
    return status;
}

Status StackedChannel::family_ended(Request&, Status status) { return status; }

Progress StackedChannel::forward(Request& parent, size_t base, uint64_t lba) {
    if (!has_children(1)) return Progress::retry;
    begin(parent);
    Child& child = take_child(parent, base);
    child.lba = lba;
    child.distance = lba - parent.lba;
    child.blocks = parent.blocks;
    child.source_lba = parent.source_lba + child.distance;
    child.data = parent.data;
    child.metadata = parent.metadata;
    child.expected = parent.expected;
    child.metadata_in_data = parent.metadata_in_data;
    child.protection = parent.protection;
    ++bases_[base].children;
    if (!hand(child)) {
        --bases_[base].children;
        family(parent).children.remove(child);
        free_.push_back(child);
        family(parent).~Family();
        return Progress::retry;
    }
    return end(parent);
}

// Who waits here ends in its turn of waiting.
bool StackedChannel::abort_started(Request& request) {
    bool will_be = false;
    const auto& children = family(request).children;
    for (Child* child = children.front(); child != nullptr; child = children.next(*child)) {
        if (child->is_parked) child->is_aborted = true;
        will_be |= child->is_parked || bases_[child->base].channel->abort(*child);
    }
    return will_be;
}

}  // namespace weft::bdev
