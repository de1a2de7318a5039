#include "bdev_modules/error/error_channel.h"

#include <cstring>
#include <new>

#include "bdev/data_cursor.h"
#include "reactor/reactor.h"

namespace weft::bdev {

namespace {

constexpr std::align_val_t copy_alignment{4096};

uint64_t bytes_of(std::span<const iovec> data) {
    uint64_t bytes = 0;
    for (const iovec& piece : data) bytes += piece.iov_len;
    return bytes;
}

}  // namespace

ErrorChannel::ErrorChannel(ErrorDevice& device)
    : StackedChannel(device),
      device_(device),
      timer_(Thread::current(), [](void* self) { static_cast<ErrorChannel*>(self)->work_off(); }, this) {}

Progress ErrorChannel::start(Request& request) {
    InjectionSlot* slot = device_.slot(request.op);
    if (slot == nullptr || device_.is_going()) return pass(request);
    const auto injection = slot->take(children_of(0));
    if (!injection) return pass(request);
    switch (injection->kind) {
        case ErrorKind::failure: request.status = injection->status; return Progress::done;
        case ErrorKind::nomem: return Progress::retry;
        case ErrorKind::pending: pending_.push_back(request); return Progress::pending;
        case ErrorKind::corrupt_data:
            if (request.op == Op::write) return write_corrupted(request, *injection);
            extra<Corruption>(request) = {nullptr, injection->corrupt_offset, injection->corrupt_value};
            return forward(request, 0, request.lba);
    }
    return pass(request);
}

Progress ErrorChannel::pass(Request& request) {
    extra<Corruption>(request) = {nullptr, 0, 0};
    return forward(request, 0, request.lba);
}

// The writer's memory stays as it is: what is written is a copy.
Progress ErrorChannel::write_corrupted(Request& request, const Injection& injection) {
    if (!has_children(1)) return Progress::retry;
    const uint64_t bytes = bytes_of(request.data);
    auto* copy = static_cast<std::byte*>(::operator new(bytes, copy_alignment, std::nothrow));
    if (copy == nullptr) {
        request.status = Status::no_memory;
        return Progress::done;
    }
    DataCursor data(request.data);
    for (uint64_t at = 0; at < bytes;) {
        const MutableBytes piece = data.next(bytes - at);
        std::memcpy(copy + at, piece.data(), piece.size());
        at += piece.size();
    }
    if (injection.corrupt_offset < bytes) copy[injection.corrupt_offset] ^= std::byte{injection.corrupt_value};
    begin(request);
    extra<Corruption>(request) = {copy, 0, 0};
    Child& child = take_child(request, 0);
    child.lba = request.lba;
    child.blocks = request.blocks;
    child.pieces[0] = {.iov_base = copy, .iov_len = bytes};
    child.data = std::span<const iovec>(child.pieces).first(1);
    child.metadata = request.metadata;
    child.metadata_in_data = request.metadata_in_data;
    child.protection = request.protection;
    send(child);
    return end(request);
}

void ErrorChannel::child_ended(Child& child) {
    StackedChannel::child_ended(child);
    const Request& request = *child.parent;
    const auto& corruption = extra<Corruption>(*child.parent);
    if (corruption.value == 0 || request.op != Op::read || child.status != Status::success) return;
    if (corruption.offset >= bytes_of(request.data)) return;
    DataCursor data(request.data);
    if (corruption.offset != 0) data.skip(corruption.offset);
    data.next(1).front() ^= std::byte{corruption.value};
}

Status ErrorChannel::family_ended(Request& parent, Status status) {
    if (std::byte* copy = extra<Corruption>(parent).copy; copy != nullptr) ::operator delete(copy, copy_alignment);
    return status;
}

// What waits here is in one of the lists, and is no family.
bool ErrorChannel::abort_started(Request& request) {
    if (!request.link.is_linked) return StackedChannel::abort_started(request);
    for (Requests* list : {&pending_, &resumed_}) {
        for (Request* waiting = list->front(); waiting != nullptr; waiting = Requests::next(*waiting)) {
            if (waiting != &request) continue;
            list->remove(request);
            aborted_.push_back(request);
            timer_.start_at(thread().reactor().now());
            return true;
        }
    }
    return true;  // it was aborted before
}

void ErrorChannel::abort_pending() {
    while (Request* request = pending_.pop_front()) aborted_.push_back(*request);
    timer_.start_at(thread().reactor().now());
}

void ErrorChannel::resume_pending() {
    while (Request* request = pending_.pop_front()) resumed_.push_back(*request);
    timer_.start_at(thread().reactor().now());
}

void ErrorChannel::work_off() {
    for (size_t rest = aborted_.size(); rest > 0; --rest) finish(*aborted_.pop_front(), Status::aborted);
    for (size_t rest = resumed_.size(); rest > 0; --rest) {
        Request* request = resumed_.pop_front();
        if (request == nullptr) break;  // who was told of another one's end aborted it
        const Progress progress = start(*request);
        if (progress == Progress::done) finish(*request, request->status);
        if (progress == Progress::retry) resumed_.push_back(*request);
    }
    if (!resumed_.empty() || !aborted_.empty()) timer_.start_after(env::ns_per_ms);
}

}  // namespace weft::bdev
