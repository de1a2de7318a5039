#include "env/sim/waiter.h"

#include <algorithm>

namespace weft::sim {

namespace {

Source& source_of(env::Pollable& pollable) {
    auto* source = dynamic_cast<Source*>(&pollable);
    WEFT_ASSERT(source != nullptr);  // a thing of the real world in the simulated one
    return *source;
}

}  // namespace

void Source::notify(uint32_t events) {
    if (watch_ == nullptr) return;
    if (events != 0 && (events & watch_->interest()) == 0) return;
    watch_->has_news = true;
    watch_->waiter->may_be_ready_ = true;
}

SimWaiter::~SimWaiter() {
    for (const auto& watch : watches_) watch->source->watch_ = nullptr;
    core_.remove_waiter(id_);
}

Result<void> SimWaiter::add(env::Pollable& source, env::WatchOptions options, void* context) {
    Source& watched = source_of(source);
    if (watched.watch_ != nullptr) return fail(Errc::already_exists, "watching a simulated source twice");
    watches_.push_back(std::make_unique<Source::Watch>(
        Source::Watch{.waiter = this, .source = &watched, .options = options, .context = context}));
    watched.watch_ = watches_.back().get();
    may_be_ready_ = true;
    return {};
}

Result<void> SimWaiter::modify(env::Pollable& source, env::WatchOptions options, void* context) {
    Source::Watch* watch = source_of(source).watch_;
    if (watch == nullptr) return fail(Errc::not_found, "changing the watch of a simulated source without one");
    watch->options = options;
    watch->context = context;
    watch->has_news = true;
    may_be_ready_ = true;
    return {};
}

void SimWaiter::remove(env::Pollable& source) {
    Source& watched = source_of(source);
    WEFT_ASSERT(watched.watch_ != nullptr);
    const size_t erased = std::erase_if(watches_, [&](const auto& watch) { return watch.get() == watched.watch_; });
    WEFT_ASSERT(erased == 1);
    watched.watch_ = nullptr;
}

size_t SimWaiter::wait(TimeNs /*deadline*/, std::span<env::Ready> ready) {
    found_.clear();
    may_be_ready_ = false;
    for (const auto& watch : watches_) {
        if (watch->options.edge && !watch->has_news) continue;
        const uint32_t events = watch->source->poll() & watch->interest();
        if (events == 0) {
            watch->has_news = false;
        } else {
            found_.emplace_back(watch.get(), events);
            if (!watch->options.edge) may_be_ready_ = true;
        }
    }
    const size_t count = std::min(found_.size(), ready.size());
    if (count < found_.size()) may_be_ready_ = true;
    for (size_t at = 0; at < count; ++at) {
        std::swap(found_[at], found_[at + core_.prng().below(found_.size() - at)]);
        found_[at].first->has_news = false;
        ready[at] = {.context = found_[at].first->context, .events = found_[at].second};
    }
    return count;
}

}  // namespace weft::sim
