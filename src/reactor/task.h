// Coroutines of the control path. They read top to bottom, change threads where they say so, and own what they
// need in their frame:
//
//   Task<Result<void>> Subsystem::pause() {
//       for (PollGroup* group : groups_) {
//           co_await resume_on(group->thread());
//           co_await group->drain(*this);
//       }
//       co_await resume_on(home_);
//       co_return Result<void>{};
//   }
//
// A Task does nothing until it is awaited; spawn() runs one that nobody awaits. Never on the data path.
// Running out of memory inside a Task<Result<T>>, on the thread that awaits it, becomes its Error; anything else that
// throws ends the program.
#pragma once

#include <coroutine>
#include <exception>
#include <functional>
#include <new>
#include <optional>
#include <type_traits>
#include <utility>
#include <vector>

#include "base/assert.h"
#include "base/intrusive_list.h"
#include "base/result.h"
#include "env/environment.h"
#include "reactor/message.h"
#include "reactor/thread.h"
#include "reactor/timer.h"

namespace weft {

template <class T = void>
class Task;

namespace task_detail {

struct PromiseBase {
    std::coroutine_handle<> continuation = std::noop_coroutine();

    static std::suspend_always initial_suspend() noexcept { return {}; }
    struct FinalAwaiter {
        static bool await_ready() noexcept { return false; }
        template <class Promise>
        static std::coroutine_handle<> await_suspend(std::coroutine_handle<Promise> handle) noexcept {
            return handle.promise().continuation;
        }
        static void await_resume() noexcept {}
    };
    static FinalAwaiter final_suspend() noexcept { return {}; }
};

template <class T>
struct IsResult : std::false_type {};
template <class T>
struct IsResult<Result<T>> : std::true_type {};

template <class T>
struct Promise : PromiseBase {
    std::optional<T> value;
    Thread* home = nullptr;  // of who awaits
    Task<T> get_return_object();
    template <class U>
    void return_value(U&& returned) {
        value.emplace(std::forward<U>(returned));
    }
    void unhandled_exception() {
        if constexpr (IsResult<T>::value) {
            try {
                throw;
            } catch (const std::bad_alloc&) {
                // Who awaits would go on on a thread that it did not choose.
                if (Thread::current_or_null() != home) std::terminate();
                value.emplace(fail(Errc::no_memory, "out of memory"));
                return;
            }
        }
        std::terminate();
    }
};

template <>
struct Promise<void> : PromiseBase {
    Task<void> get_return_object();
    static void return_void() {}
    [[noreturn]] static void unhandled_exception() { std::terminate(); }
};

}  // namespace task_detail

template <class T>
class [[nodiscard]] Task {
public:
    using promise_type = task_detail::Promise<T>;
    using Handle = std::coroutine_handle<promise_type>;

    explicit Task(Handle handle) : handle_(handle) {}
    Task(Task&& other) noexcept : handle_(std::exchange(other.handle_, nullptr)) {}
    Task(const Task&) = delete;
    Task& operator=(const Task&) = delete;
    Task& operator=(Task&&) = delete;
    ~Task() {
        if (handle_) handle_.destroy();
    }

    bool await_ready() const noexcept { return false; }
    std::coroutine_handle<> await_suspend(std::coroutine_handle<> awaiting) noexcept {
        handle_.promise().continuation = awaiting;
        if constexpr (task_detail::IsResult<T>::value) handle_.promise().home = Thread::current_or_null();
        return handle_;
    }
    T await_resume() {
        if constexpr (!std::is_void_v<T>) return std::move(*handle_.promise().value);
    }

private:
    Handle handle_;
};

namespace task_detail {

template <class T>
Task<T> Promise<T>::get_return_object() {
    return Task<T>(std::coroutine_handle<Promise<T>>::from_promise(*this));
}
inline Task<void> Promise<void>::get_return_object() {
    return Task<void>(std::coroutine_handle<Promise<void>>::from_promise(*this));
}

// A coroutine that starts at once and frees itself at its end.
struct Detached {
    struct promise_type {
        static Detached get_return_object() { return {}; }
        static std::suspend_never initial_suspend() noexcept { return {}; }
        static std::suspend_never final_suspend() noexcept { return {}; }
        static void return_void() {}
        [[noreturn]] static void unhandled_exception() { std::terminate(); }
    };
};

}  // namespace task_detail

// Runs `task` now, on the current thread, until it first waits; it frees itself when it ends.
inline void spawn(Task<void> task) {
    [](Task<void> owned) -> task_detail::Detached { co_await owned; }(std::move(task));
}

// Goes on, on `thread`: at once when it is the current one, else by message.
class ResumeOn : public Message {
public:
    explicit ResumeOn(Thread& thread) : thread_(thread) {
        run = [](Message& message) { static_cast<ResumeOn&>(message).handle_.resume(); };
    }
    bool await_ready() const noexcept { return thread_.is_current(); }
    void await_suspend(std::coroutine_handle<> handle) noexcept {
        handle_ = handle;
        thread_.post(*this);
    }
    static void await_resume() noexcept {}

private:
    Thread& thread_;
    std::coroutine_handle<> handle_;
};
inline ResumeOn resume_on(Thread& thread) { return ResumeOn(thread); }

// Goes on, on the current thread, from its loop: lets others have their turn, and unwinds the stack.
class Yield : public Message {
public:
    Yield() {
        run = [](Message& message) { static_cast<Yield&>(message).handle_.resume(); };
    }
    static bool await_ready() noexcept { return false; }
    void await_suspend(std::coroutine_handle<> handle) noexcept {
        handle_ = handle;
        Thread::current().post(*this);
    }
    static void await_resume() noexcept {}

private:
    std::coroutine_handle<> handle_;
};
inline Yield yield() { return {}; }

// Goes on, on the current thread, `delay` nanoseconds later.
class SleepFor {
public:
    explicit SleepFor(env::TimeNs delay) : delay_(delay) {}
    static bool await_ready() noexcept { return false; }
    void await_suspend(std::coroutine_handle<> handle) {
        handle_ = handle;
        timer_.emplace(Thread::current(), [](void* self) { static_cast<SleepFor*>(self)->handle_.resume(); }, this);
        timer_->start_after(delay_);
    }
    static void await_resume() noexcept {}

private:
    env::TimeNs delay_;
    std::coroutine_handle<> handle_;
    std::optional<Timer> timer_;
};
inline SleepFor sleep_for(env::TimeNs delay) { return SleepFor(delay); }

// A list of coroutines that wait on one thread, woken in order from that thread's loop.
class WaitList {
public:
    WaitList() = default;
    WaitList(const WaitList&) = delete;
    WaitList& operator=(const WaitList&) = delete;

    class Waiter : public Message {
    public:
        explicit Waiter(WaitList& list) : list_(list) {
            run = [](Message& message) { static_cast<Waiter&>(message).handle_.resume(); };
        }
        static bool await_ready() noexcept { return false; }
        void await_suspend(std::coroutine_handle<> handle) noexcept {
            handle_ = handle;
            thread_ = &Thread::current();
            list_.waiting_.push_back(*this);
        }
        static void await_resume() noexcept {}
        ListLink<Waiter> link;

    private:
        friend class WaitList;
        WaitList& list_;
        Thread* thread_ = nullptr;
        std::coroutine_handle<> handle_;
    };

    Waiter wait() { return Waiter(*this); }
    bool wake_one() {
        Waiter* waiter = waiting_.pop_front();
        if (waiter != nullptr) waiter->thread_->post(*waiter);
        return waiter != nullptr;
    }
    void wake_all() {
        while (wake_one()) {
        }
    }
    [[nodiscard]] bool empty() const { return waiting_.empty(); }

private:
    IntrusiveList<Waiter, &Waiter::link> waiting_;
};

// Serialises coroutines of one thread, first come first served. Held through a Guard.
class AsyncMutex {
public:
    class Guard {
    public:
        explicit Guard(AsyncMutex& mutex) : mutex_(&mutex) {}
        Guard(Guard&& other) noexcept : mutex_(std::exchange(other.mutex_, nullptr)) {}
        Guard(const Guard&) = delete;
        Guard& operator=(const Guard&) = delete;
        Guard& operator=(Guard&&) = delete;
        ~Guard() {
            if (mutex_ != nullptr) mutex_->unlock();
        }

    private:
        AsyncMutex* mutex_;
    };
    Task<Guard> lock() {
        if (locked_) {
            co_await waiting_.wait();  // handed over still locked
        } else {
            locked_ = true;
        }
        co_return Guard(*this);
    }
    [[nodiscard]] bool is_locked() const { return locked_; }

private:
    void unlock() {
        WEFT_ASSERT(locked_);
        if (!waiting_.wake_one()) locked_ = false;
    }
    bool locked_ = false;
    WaitList waiting_;
};

// Counts what is inside, on one thread; close() waits until all have left and lets nobody else in.
class Gate {
public:
    Gate() = default;
    Gate(const Gate&) = delete;
    Gate& operator=(const Gate&) = delete;
    ~Gate() { WEFT_ASSERT(inside_ == 0); }

    // False when it is closing: do not start.
    [[nodiscard]] bool try_enter() {
        if (closing_) return false;
        ++inside_;
        return true;
    }
    void leave() {
        WEFT_ASSERT(inside_ > 0);
        if (--inside_ == 0) empty_.wake_all();
    }
    Task<void> close() {
        closing_ = true;
        while (inside_ > 0) co_await empty_.wait();
    }
    [[nodiscard]] bool is_closing() const { return closing_; }
    [[nodiscard]] uint32_t inside() const { return inside_; }

private:
    uint32_t inside_ = 0;
    bool closing_ = false;
    WaitList empty_;
};

// The environment of the thread's reactor.
env::Environment& environment_of(Thread& thread);

// Runs `work`, which may block, away from the reactors, and goes on, on the current thread, with what it returned.
template <class Function>
auto offload(Function work) -> Task<std::invoke_result_t<Function>> {
    using Value = std::invoke_result_t<Function>;
    struct Call : Message {
        std::optional<Value> value;
        std::coroutine_handle<> handle;
    };
    struct Awaiter {
        Function& work;
        Call& call;
        env::Environment& environment;
        Thread& home;
        static bool await_ready() noexcept { return false; }
        void await_suspend(std::coroutine_handle<> handle) {
            call.handle = handle;
            call.run = [](Message& message) { static_cast<Call&>(message).handle.resume(); };
            environment.offload({.work = [this] { call.value.emplace(work()); },
                                 .done = [message = &call, to = &home] { to->post(*message); }});
        }
        static void await_resume() noexcept {}
    };
    Thread& home = Thread::current();
    Call call;
    Awaiter awaiter{work, call, environment_of(home), home};
    co_await awaiter;
    co_return std::move(*call.value);
}

// Calls `visit(channel)` for each channel of `device`, one after another, each on its own thread; ends on the
// thread it was called on. C is the device's channel type.
template <class C, class Visit>
Task<void> for_each_channel(IoDevice& device, Visit visit) {
    Thread& home = Thread::current();
    for (Thread* thread : device.channel_threads()) {
        co_await resume_on(*thread);
        const auto found = thread->channels().find(&device);
        if (found != thread->channels().end()) visit(static_cast<C&>(*found->second));
    }
    co_await resume_on(home);
}

}  // namespace weft
