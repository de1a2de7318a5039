#include "reactor/io_channel.h"

#include <algorithm>

#include "base/assert.h"
#include "reactor/thread.h"
#include "reactor/trace_here.h"

namespace weft {

IoChannel::IoChannel() {
    removal_.channel = this;
    removal_.run = [](Message& message) {
        IoChannel* channel = static_cast<Removal&>(message).channel;
        channel->removal_posted_ = false;
        if (channel->references_ > 0) return;  // taken up again meanwhile
        IoDevice* device = channel->device_;
        Thread* thread = channel->thread_;
        thread->channels_.erase(device);
        device->channel_gone(*thread);
    };
}

IoChannel::~IoChannel() { WEFT_ASSERT(references_ == 0); }

void IoChannel::drop_reference() {
    WEFT_ASSERT(thread_->is_current());
    WEFT_ASSERT(references_ > 0);
    --references_;
    if (trace::is_on(trace::Point::thread_ioch_put)) [[unlikely]]
        trace_here(trace::Point::thread_ioch_put, thread_->id(), {.c = references_});
    if (references_ > 0 || removal_posted_) return;
    removal_posted_ = true;
    thread_->post(removal_);
}

IoDevice::~IoDevice() { WEFT_ASSERT(threads_.empty()); }

Result<IoChannel*> IoDevice::get_channel() {
    Thread& thread = Thread::current();
    const auto found = thread.channels_.find(this);
    if (trace::is_on(trace::Point::thread_ioch_get)) [[unlikely]] {
        const uint32_t before = found == thread.channels_.end() ? 0 : found->second->references_;
        trace_here(trace::Point::thread_ioch_get, thread.id(), {.c = before + 1});
    }
    if (found != thread.channels_.end()) return found->second.get();
    auto made = make_channel();
    if (!made) return std::unexpected(std::move(made).error());
    IoChannel* channel = made->get();
    const std::lock_guard lock(mutex_);
    threads_.reserve(threads_.size() + 1);
    thread.channels_.emplace(this, std::move(*made));
    channel->device_ = this;
    channel->thread_ = &thread;
    threads_.push_back(&thread);
    return channel;
}

void IoDevice::channel_gone(Thread& thread) {
    const std::lock_guard lock(mutex_);
    std::erase(threads_, &thread);
}

std::vector<Thread*> IoDevice::channel_threads() const {
    const std::lock_guard lock(mutex_);
    return threads_;
}

bool IoDeviceOrder::operator()(const IoDevice* left, const IoDevice* right) const {
    const int order = left->device_name().compare(right->device_name());
    return order != 0 ? order < 0 : left < right;
}

}  // namespace weft
