#include "reactor/thread.h"

#include <algorithm>

#include "base/assert.h"
#include "base/mutants.h"
#include "reactor/reactor.h"
#include "reactor/trace_here.h"

namespace weft {

namespace {
// The only thread-local of the program: whose code is running.
thread_local Thread* current_thread = nullptr;
constexpr uint32_t messages_per_turn = 64;
}  // namespace

CurrentThread::CurrentThread(Thread* thread) : previous_(current_thread) { current_thread = thread; }
CurrentThread::~CurrentThread() { current_thread = previous_; }

Thread::Thread(Reactor& reactor, std::string name, uint64_t id, const CpuSet& cpus)
    : reactor_(&reactor), home_(&reactor), name_(std::move(name)), id_(id), cpus_(cpus) {}

Thread::~Thread() {
    WEFT_ASSERT(inbox_.empty());
    WEFT_ASSERT(channels_.empty());
    WEFT_ASSERT(timers_.size() == 0);
    WEFT_ASSERT(sources_.empty());
}

Thread& Thread::current() {
    WEFT_ASSERT(current_thread != nullptr);
    return *current_thread;
}

Thread* Thread::current_or_null() { return current_thread; }

void Thread::post(Message& message) {
    WEFT_ASSERT(message.run != nullptr);
    inbox_.push(message);
    // Whoever finds here the reactor that the thread has left pushed before the other one took the thread over, and
    // that one looks at the inbox after it has: all three steps are seq_cst.
    if (mutant::on(mutant::wake_up_lost)) return;
    reactor_.load(std::memory_order_seq_cst)->wake_if_sleeping();
}

uint32_t Thread::run_messages() {
    uint32_t count = 0;
    while (count < messages_per_turn) {
        MpscNode* node = inbox_.pop();
        if (node == nullptr) break;
        ++count;
        Message& message = *static_cast<Message*>(node);
        const env::TimeNs began = trace::is_on(trace::Point::thread_message) ? trace_time() : 0;
        message.run(message);
        if (began != 0) [[unlikely]]
            trace_here(trace::Point::thread_message, id_, {.b = trace_time() - began});
    }
    return count;
}

uint32_t Thread::run_pollers() {
    uint32_t work = 0;
    for (Poller* poller = active_pollers_.front(); poller != nullptr; poller = next_poller_) {
        next_poller_ = PollerList::next(*poller);
        work += poller->run();
    }
    next_poller_ = nullptr;
    return work;
}

Sleep Thread::prepare_sleep() {
    Sleep all = Sleep::until_woken;
    for (Poller* poller = active_pollers_.front(); poller != nullptr; poller = PollerList::next(*poller)) {
        all = std::min(all, poller->prepare_sleep());
        if (all != Sleep::no) continue;
        for (Poller* asked = active_pollers_.front(); asked != poller; asked = PollerList::next(*asked)) {
            asked->woke_up();
        }
        break;
    }
    return all;
}

void Thread::woke_up() {
    for (Poller* poller = active_pollers_.front(); poller != nullptr; poller = PollerList::next(*poller)) {
        poller->woke_up();
    }
}

}  // namespace weft
