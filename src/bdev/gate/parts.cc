#include "bdev/gate/parts.h"

#include <new>
#include <utility>

#include "base/assert.h"
#include "bdev/device.h"
#include "bdev/gate/channel_gate.h"
#include "bdev/gate/part.h"
#include "reactor/reactor.h"

namespace weft::bdev {

namespace {

constexpr std::align_val_t buffer_alignment{4096};
// Parts of a request that are done on the spot, in a turn: what else there is must not wait for a whole disk.
constexpr uint32_t at_once_max = 16;

}  // namespace

void Parts::Free::operator()(std::byte* memory) const { ::operator delete[](memory, buffer_alignment); }

Parts::Parts(ChannelGate& gate, Channel& channel) : gate_(gate), channel_(channel) {}
Parts::~Parts() { WEFT_ASSERT(used_ == 0); }

void Parts::part_done(Request&) { WEFT_ASSERT(false); }  // only to know them by

Parts::Whole& Parts::state_of(Request& whole) {
    return *std::launder(reinterpret_cast<Whole*>(whole.module_data.data()));
}

bool Parts::breaks_write_unit(const Request& request) const {
    const uint32_t unit = channel_.bdev().geometry().write_unit_blocks;
    const bool is_write =
        request.op == Op::write || (request.op == Op::write_zeroes && !channel_.bdev().supports(request.op));
    return unit > 1 && is_write && (request.lba % unit != 0 || request.blocks % unit != 0);
}

bool Parts::must_take(const Request& request) const {
    const Device& device = channel_.bdev();
    if (!device.supports(request.op)) return true;
    return device.geometry().has_limits() && (breaks_limits(device.geometry(), request) || breaks_write_unit(request));
}

Parts::Recipe Parts::recipe_for(const Request& request) const {
    if (channel_.bdev().supports(request.op)) return Recipe::cut;
    if (request.op == Op::write_zeroes) return Recipe::zeroes;
    return request.op == Op::copy ? Recipe::copy : Recipe::check;
}

Progress Parts::begin(Request& whole) {
    if (breaks_write_unit(whole)) {
        whole.status = Status::failed;
        return Progress::done;
    }
    if (parts_ == nullptr) parts_ = std::make_unique<Part[]>(parts_max);
    static_assert(sizeof(Whole) <= Request::module_bytes);
    Whole& state =
        *new (whole.module_data.data()) Whole{.recipe = recipe_for(whole), .op = whole.op, .data = whole.data};
    if (whole.op == Op::compare_and_write) {
        state.is_locked = true;
        whole.gate_stage = GateStage::parts;
        ++locked_;
        spawn(compare_and_write(whole));
        return Progress::pending;
    }
    const bool may_wait = gate_.may_wait(whole);
    Fed fed = Fed::no_room;
    if (!may_wait || waiting_.empty()) fed = feed_one(whole, may_wait);
    if (state.is_finished(whole)) {
        whole.status = state.status;
        state.~Whole();
        return Progress::done;
    }
    if (state.under_way == 0 && !may_wait) {
        state.~Whole();
        return Progress::retry;
    }
    gate_.note_parts(whole);
    if (state.wants_more(whole)) {
        waiting_.push_back(whole);
        has_new_ = is_feeding_;
    }
    if (fed == Fed::later) gate_.call_again();
    return Progress::pending;
}

Parts::Fed Parts::feed_one(Request& whole, bool may_wait) {
    Whole& state = state_of(whole);
    for (uint32_t at_once = 0; state.wants_more(whole);) {
        if (state.under_way == under_way_max) return Fed::all;
        if (may_wait && gate_.is_module_short()) return Fed::no_room;
        if (may_wait && at_once == at_once_max) return Fed::later;
        Part* const part = make_part(whole, may_wait);
        if (part == nullptr) return state.is_over ? Fed::all : Fed::no_room;
        state.next += part->request.blocks;
        ++state.under_way;
        switch (start(*part)) {
            case Progress::pending: break;
            case Progress::done:
                run_on(*part);
                ++at_once;
                break;
            case Progress::retry:
                if (may_wait) {
                    gate_.wait_for_room(part->request, false);
                } else {
                    state.next -= part->request.blocks;
                    end(*part);
                }
                return Fed::no_room;
        }
    }
    return Fed::all;
}

bool Parts::feed() {
    if (is_feeding_) return false;
    is_feeding_ = true;
    bool wants_another = false;
    for (size_t count = waiting_.size(); count > 0 && !waiting_.empty(); --count) {
        Request& whole = *waiting_.front();
        const Fed fed = feed_one(whole, true);
        if (state_of(whole).is_finished(whole)) {
            end_whole(whole);
            continue;
        }
        if (fed == Fed::no_room) break;
        wants_another = wants_another || fed == Fed::later;
        waiting_.remove(whole);
        if (state_of(whole).wants_more(whole)) waiting_.push_back(whole);
    }
    is_feeding_ = false;
    return std::exchange(has_new_, false) || wants_another;
}

Progress Parts::start(Part& part) {
    part.request.status = Status::success;
    part.request.submitted_at = channel_.thread().reactor().now();
    return channel_.start(part.request);
}

// Goes on with a part whose step is done, as far as that goes at once.
void Parts::run_on(Part& part) {
    while (!take_step(part)) {
        switch (start(part)) {
            case Progress::done: break;
            case Progress::pending: return;
            case Progress::retry: return gate_.wait_for_room(part.request, false);
        }
    }
    end(part);
}

void Parts::on_finished(Request& request, Status status) {
    Part& part = *static_cast<Part*>(request.context);
    Request& whole = *part.whole;
    request.status = status;
    run_on(part);
    go_on(whole);
}

void Parts::start_again(Request& request) {
    Part& part = *static_cast<Part*>(request.context);
    Request& whole = *part.whole;
    switch (start(part)) {
        case Progress::pending: return;
        case Progress::retry: return gate_.wait_for_room(request, true);
        case Progress::done: break;
    }
    run_on(part);
    go_on(whole);
}

// A part of it went on, or ended.
void Parts::go_on(Request& whole) {
    if (state_of(whole).is_finished(whole)) end_whole(whole);
    if (feed()) gate_.call_again();
    gate_.settle();
}

void Parts::end(Part& part) {
    Whole& state = state_of(*part.whole);
    --state.under_way;
    if (part.request.status != Status::success) {
        if (state.status == Status::success) state.status = part.request.status;
        state.is_over = true;
    }
    for (size_t at = 0; at < buffers_max; ++at) {
        if (part.buffer != nullptr && buffers_[at].get() == part.buffer) is_buffer_used_[at] = false;
    }
    part.whole = nullptr;
    part.buffer = nullptr;
    --used_;
}

void Parts::end_whole(Request& whole) {
    Whole& state = state_of(whole);
    if (whole.link.is_linked) waiting_.remove(whole);
    if (state.is_locked) return state.finished.wake_all();
    const Status status = state.is_aborted ? Status::aborted : state.status;
    state.~Whole();
    gate_.finish_parts(whole, status);
}

bool Parts::abort(Request& whole) {
    Whole& state = state_of(whole);
    if (state.is_locked) return false;
    if (state.is_aborted) return true;
    bool is_early = state.wants_more(whole);
    for (size_t at = 0; at < parts_max; ++at) {
        Part& part = parts_[at];
        if (part.whole != &whole) continue;
        if (part.request.gate_stage == GateStage::ready) {
            gate_.stop_waiting(part.request);
            part.request.status = Status::aborted;
            end(part);
            is_early = true;
        } else if (channel_.abort_started(part.request)) {
            is_early = true;
        }
    }
    if (!is_early) return false;
    state.is_aborted = true;
    state.is_over = true;
    if (whole.link.is_linked) waiting_.remove(whole);
    if (state.under_way == 0) {
        state.~Whole();
        gate_.abort_parts(whole);
    }
    gate_.call_again();  // there may be room for others
    return true;
}

Task<void> Parts::compare_and_write(Request& whole) {
    Thread& mine = Thread::current();
    DeviceGate& device = channel_.bdev().gate();
    co_await yield();  // nobody is told from inside submit()
    co_await device.go_home();
    const uint64_t hold = co_await device.quiesce({whole.lba, whole.blocks}, HeldOps::writes);
    co_await resume_on(mine);
    Status status = co_await run_locked(whole, Recipe::check, whole.expected);
    if (status == Status::success) status = co_await run_locked(whole, Recipe::cut, whole.data);
    co_await device.go_home();
    co_await device.release(hold);
    co_await resume_on(mine);
    --locked_;
    state_of(whole).~Whole();
    gate_.finish_parts(whole, status);
    gate_.settle();
}

Task<Status> Parts::run_locked(Request& whole, Recipe recipe, std::span<const iovec> data) {
    Whole& state = state_of(whole);
    state.recipe = recipe;
    state.op = Op::write;
    state.data = data;
    state.next = 0;
    waiting_.push_back(whole);
    if (feed()) gate_.call_again();
    while (!state.is_finished(whole)) co_await state.finished.wait();
    co_return state.status;
}

std::byte* Parts::take_buffer() {
    for (size_t at = 0; at < buffers_max; ++at) {
        if (is_buffer_used_[at]) continue;
        if (buffers_[at] == nullptr) buffers_[at].reset(new (buffer_alignment, std::nothrow) std::byte[buffer_bytes]);
        if (buffers_[at] == nullptr) return nullptr;
        is_buffer_used_[at] = true;
        return buffers_[at].get();
    }
    return nullptr;
}

}  // namespace weft::bdev
