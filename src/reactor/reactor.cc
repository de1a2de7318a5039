#include "reactor/reactor.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/assert.h"
#include "base/mutants.h"
#include "base/probe.h"

namespace weft {

namespace {
std::atomic<uint64_t> next_thread_id{1};
}

// Wakes a sleeping reactor when file operations finish; reap() itself is step 3 of the turn.
class Reactor::FileEvents final : public EventSource {
public:
    uint32_t on_events(uint32_t) override { return 0; }
};

Result<std::unique_ptr<Reactor>> Reactor::create(env::Environment& environment, ReactorOptions options) {
    auto waiter = environment.make_waiter();
    if (!waiter) return std::unexpected(std::move(waiter).error());
    return std::unique_ptr<Reactor>(new Reactor(environment, std::move(options), std::move(*waiter)));
}

Reactor::Reactor(env::Environment& environment, ReactorOptions options, std::unique_ptr<env::Waiter> waiter)
    : environment_(environment),
      options_(std::move(options)),
      waiter_(std::move(waiter)),
      now_(environment.clock().now()),
      ready_(ready_max) {}

Reactor::~Reactor() {
    // Who has just posted a message may still be about to look whether this reactor sleeps.
    environment_.wait_for_offloaded();
    if (file_events_ != nullptr) {
        const CurrentThread scope(threads_.front().get());
        file_events_->unwatch();
    }
}

Reactor& Reactor::current() { return Thread::current().reactor(); }

Thread& Reactor::create_thread(std::string name, const CpuSet& cpus) {
    threads_.push_back(
        std::make_unique<Thread>(*this, std::move(name), next_thread_id.fetch_add(1, std::memory_order_relaxed), cpus));
    if (first_thread_ == nullptr) first_thread_ = threads_.back().get();
    return *threads_.back();
}

void Reactor::destroy_thread(Thread& thread) {
    WEFT_ASSERT(!thread.is_current() && &thread != first_thread_);
    std::erase_if(threads_, [&thread](const auto& owned) { return owned.get() == &thread; });
}

std::unique_ptr<Thread> Reactor::detach_thread(Thread& thread) {
    WEFT_ASSERT(!thread.is_current() && &thread != first_thread_);
    tell_turn_ends(now_);  // the thread's would be told by a reactor that it has left
    for (EventSource* source = thread.sources_.front(); source != nullptr; source = SourceList::next(*source)) {
        waiter_->remove(*source->pollable_);
        forget(*source);
    }
    const auto at = std::ranges::find(threads_, &thread, &std::unique_ptr<Thread>::get);
    std::unique_ptr<Thread> detached = std::move(*at);
    threads_.erase(at);
    return detached;
}

void Reactor::adopt_thread(std::unique_ptr<Thread> thread) {
    // What the thread has stamped is not in the future here.
    now_ = std::max(now_, environment_.clock().now());
    thread->reactor_.store(this, std::memory_order_seq_cst);
    thread->turn_work_ = 0;
    if (!mutant::on(mutant::sockets_lost_by_move))
        for (EventSource* source = thread->sources_.front(); source != nullptr; source = SourceList::next(*source)) {
            // What was watched a moment ago can be watched again: the system got the memory back and needs as much.
            WEFT_ASSERT(waiter_->add(*source->pollable_, source->options_, source).has_value());
        }
    threads_.push_back(std::move(thread));
}

Result<env::FileQueue*> Reactor::file_queue() {
    if (files_ == nullptr) {
        auto queue = environment_.make_file_queue();
        if (!queue) return std::unexpected(std::move(queue).error());
        auto events = std::make_unique<FileEvents>();
        WEFT_TRY(events->watch(*threads_.front(), (*queue)->completions(), {.events = env::Events::readable}));
        files_ = std::move(*queue);
        file_events_ = std::move(events);
    }
    return files_.get();
}

bool Reactor::turn() {
    const env::TimeNs last = now_;
    now_ = environment_.clock().now();
    account(now_ - last, last_work_);
    if (!turn_ends_.empty()) tell_turn_ends(last);

    uint32_t work = 0;
    for (size_t at = 0; at < threads_.size(); ++at) {  // by index: a message may create a thread
        Thread& thread = *threads_[at];
        const CurrentThread scope(&thread);
        thread.turn_work_ = thread.run_messages();
        work += thread.turn_work_;
    }

    if (last_work_ == 0 || ++turns_since_look_ >= turns_between_looks) {
        turns_since_look_ = 0;
        if (ready_count_ == 0) ready_count_ = waiter_->wait(0, ready_);
    }
    if (ready_count_ > 0) work += dispatch_ready();

    if (files_ != nullptr && files_->in_flight() > 0) {
        const CurrentThread scope(threads_.front().get());
        const uint32_t reaped = files_->reap();
        threads_.front()->turn_work_ += reaped;
        work += reaped;
    }
    for (size_t at = 0; at < threads_.size(); ++at) {
        Thread& thread = *threads_[at];
        const CurrentThread scope(&thread);
        uint32_t done = thread.run_pollers();
        if (thread.timers_.earliest() <= now_) done += thread.timers_.fire_due(now_);
        thread.turn_work_ += done;
        work += done;
    }
    if (files_ != nullptr) files_->flush();
    last_work_ = work;
    return work > 0;
}

uint32_t Reactor::dispatch_ready() {
    uint32_t work = 0;
    for (ready_next_ = 0; ready_next_ < ready_count_;) {
        const env::Ready ready = ready_[ready_next_++];
        if (ready.context == nullptr) continue;  // unwatched by one before it
        auto* source = static_cast<EventSource*>(ready.context);
        Thread& thread = *source->thread_;
        const CurrentThread scope(&thread);
        const uint32_t done = source->on_events(ready.events);
        thread.turn_work_ += done;
        work += done;
    }
    ready_count_ = 0;
    ready_next_ = 0;
    return work;
}

// The turn's time goes to the threads that worked in it, by share; without work everybody was idle.
void Reactor::account(env::TimeNs duration, uint32_t work) {
    if (work == 0) {
        idle_ns_.store(idle_ns_.load(std::memory_order_relaxed) + duration, std::memory_order_relaxed);
        for (const auto& thread : threads_) thread->stats_.idle_ns += duration;
        return;
    }
    WEFT_PROBE(turn, options_.cpu, work, duration);
    turn_lengths_.count(duration);
    if (trace::is_on(trace::Point::reactor_turn)) [[unlikely]] {
        track_.write(trace::Point::reactor_turn, 0, {.b = duration, .c = work}, now_);
    }
    busy_ns_.store(busy_ns_.load(std::memory_order_relaxed) + duration, std::memory_order_relaxed);
    for (const auto& thread : threads_) {
        const env::TimeNs share = duration * std::min(thread->turn_work_, work) / work;
        thread->stats_.busy_ns += share;
        thread->stats_.idle_ns += duration - share;
    }
}

void Reactor::run() {
    now_ = environment_.clock().now();
    last_io_ = now_;
    while (!is_stopping()) {
        if (turn()) continue;
        if (const auto rest = begin_rest()) {
            ready_count_ = waiter_->wait(rest->deadline, ready_);
            end_rest();
        }
    }
    stopping_.store(false, std::memory_order_relaxed);
}

std::optional<Reactor::Rest> Reactor::begin_rest() {
    if (last_work_ > 0 || ready_count_ > 0 || now_ - last_io_ < options_.spin || !turn_ends_.empty())
        return std::nullopt;
    const Sleep sleep = prepare_sleep();
    if (sleep == Sleep::no) return std::nullopt;
    const bool has_file_news = files_ != nullptr && !files_->arm();
    sleeping_.store(true, std::memory_order_seq_cst);
    if (has_file_news || has_messages() || stopping_.load(std::memory_order_seq_cst)) {
        end_rest();
        return std::nullopt;
    }
    env::TimeNs deadline = next_deadline();
    if (sleep == Sleep::briefly) deadline = std::min(deadline, environment_.clock().now() + ask_again_after);
    return Rest{.descriptor = waiter_->descriptor(), .deadline = deadline};
}

// Asks the pollers, each on its thread; those that agreed are told when one does not.
Sleep Reactor::prepare_sleep() {
    Sleep all = Sleep::until_woken;
    for (size_t at = 0; at < threads_.size(); ++at) {
        const CurrentThread scope(threads_[at].get());
        all = std::min(all, threads_[at]->prepare_sleep());
        if (all != Sleep::no) continue;
        for (size_t asked = 0; asked < at; ++asked) {
            const CurrentThread asked_scope(threads_[asked].get());
            threads_[asked]->woke_up();
        }
        break;
    }
    return all;
}

void Reactor::end_rest() {
    sleeping_.store(false, std::memory_order_seq_cst);
    if (files_ != nullptr) files_->disarm();
    for (const auto& thread : threads_) {
        const CurrentThread scope(thread.get());
        thread->woke_up();
    }
    // Time asleep is idle time, and the turn that follows must not be charged with it.
    const env::TimeNs woke = environment_.clock().now();
    if (trace::is_on(trace::Point::reactor_sleep)) [[unlikely]] {
        track_.write(trace::Point::reactor_sleep, 0, {.b = woke - now_}, woke);
    }
    account(woke - now_, 0);
    now_ = woke;
    last_work_ = 0;
}

void Reactor::wake_if_sleeping() {
    if (sleeping_.load(std::memory_order_seq_cst) && sleeping_.exchange(false, std::memory_order_seq_cst)) {
        waiter_->wake();
    }
}

void Reactor::stop() {
    stopping_.store(true, std::memory_order_seq_cst);
    wake_if_sleeping();
}

env::TimeNs Reactor::next_deadline() const {
    env::TimeNs earliest = env::time_never;
    for (const auto& thread : threads_) earliest = std::min(earliest, thread->timers_.earliest());
    return earliest;
}

bool Reactor::has_messages() const {
    return std::any_of(threads_.begin(), threads_.end(), [](const auto& thread) { return thread->has_messages(); });
}

void Reactor::forget(EventSource& source) {
    for (size_t at = ready_next_; at < ready_count_; ++at) {
        if (ready_[at].context == &source) ready_[at].context = nullptr;
    }
}

void Reactor::tell_turn_ends(env::TimeNs began) {
    while (TurnEnd* asked = turn_ends_.pop_front()) asked->on_turn_end(began, now_);
}

TurnEnd::~TurnEnd() {
    if (link.is_linked) reactor_->turn_ends_.remove(*this);
}

void TurnEnd::ask_first(Reactor& reactor) {
    reactor_ = &reactor;
    reactor.turn_ends_.push_back(*this);
}

}  // namespace weft
