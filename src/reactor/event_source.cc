#include "reactor/event_source.h"

#include "base/assert.h"
#include "env/layered.h"
#include "reactor/reactor.h"

namespace weft {

EventSource::~EventSource() { WEFT_ASSERT(!is_watching()); }

Result<void> EventSource::watch(Thread& thread, env::Pollable& pollable, env::WatchOptions options) {
    WEFT_ASSERT(!is_watching());
    env::Pollable& watched = env::bottom_of(pollable);
    WEFT_TRY(thread.reactor().waiter_->add(watched, options, this));
    thread_ = &thread;
    pollable_ = &watched;
    options_ = options;
    thread.sources_.push_back(*this);
    return {};
}

Result<void> EventSource::change(env::WatchOptions options) {
    WEFT_ASSERT(is_watching());
    WEFT_TRY(thread_->reactor().waiter_->modify(*pollable_, options, this));
    options_ = options;
    return {};
}

void EventSource::unwatch() {
    if (!is_watching()) return;
    thread_->reactor().waiter_->remove(*pollable_);
    thread_->reactor().forget(*this);
    thread_->sources_.remove(*this);
    pollable_ = nullptr;
}

}  // namespace weft
