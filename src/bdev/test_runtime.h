// Reactors for tests, turned by the test itself: no OS threads but the environment's own helpers.
#pragma once

#include <algorithm>
#include <chrono>
#include <functional>
#include <memory>
#include <optional>
#include <utility>

#include "base/assert.h"
#include "env/environment.h"
#include "reactor/runtime.h"
#include "reactor/task.h"

namespace weft::bdev {

class TestRuntime {
public:
    // Lets time pass until something happens, at the latest `deadline`: for a simulated environment.
    using PassTime = std::move_only_function<void(env::TimeNs deadline)>;

    explicit TestRuntime(size_t reactors = 1) : TestRuntime(make_environment(), reactors) {}
    TestRuntime(std::unique_ptr<env::Environment> environment, size_t reactors, PassTime pass_time = {})
        : environment_(std::move(environment)), pass_time_(std::move(pass_time)) {
        RuntimeOptions options{.cpus = {}, .pin = false};
        for (size_t cpu = 0; cpu < reactors; ++cpu) options.cpus.push_back(cpu);
        auto made = Runtime::create(*environment_, options);
        WEFT_ASSERT(made.has_value());
        runtime_ = std::move(*made);
    }
    TestRuntime(const TestRuntime&) = delete;
    TestRuntime& operator=(const TestRuntime&) = delete;
    ~TestRuntime() { settle(); }

    [[nodiscard]] env::Environment& environment() const { return *environment_; }
    [[nodiscard]] Runtime& runtime() const { return *runtime_; }
    [[nodiscard]] Thread& app() const { return runtime_->app_thread(); }
    [[nodiscard]] Thread& data_thread(size_t at = 0) const { return *runtime_->data_reactors()[at]->threads().front(); }

    // One turn of every reactor; false when none found anything to do.
    bool turn() {
        bool worked = false;
        env::TimeNs deadline = env::time_never;
        for (Reactor* reactor : runtime_->reactors()) {
            worked |= reactor->turn();
            deadline = std::min(deadline, reactor->next_deadline());
        }
        if (!worked && pass_time_) pass_time_(deadline);
        return worked;
    }
    void settle() {
        for (int idle = 0; idle < 3;) idle = turn() ? 0 : idle + 1;
    }
    // Turns until `is_done()`; false when that does not happen within some seconds.
    template <class Condition>
    [[nodiscard]] bool wait_for(Condition is_done) {
        const auto give_up = std::chrono::steady_clock::now() + std::chrono::seconds(30);
        while (!is_done()) {
            if (std::chrono::steady_clock::now() > give_up) return false;
            turn();
        }
        return true;
    }
    // Runs a task of the app thread to its end.
    template <class T>
    T run(Task<T> task) {
        std::optional<T> value;
        {
            const CurrentThread scope(&app());
            spawn(keep(std::move(task), value));
        }
        WEFT_ASSERT(wait_for([&value] { return value.has_value(); }));
        return std::move(*value);
    }
    // Calls `function` as `thread`.
    template <class Function>
    decltype(auto) as(Thread& thread, Function function) {
        const CurrentThread scope(&thread);
        return function();
    }

private:
    static std::unique_ptr<env::Environment> make_environment() {
        auto made = env::make_linux_environment();
        WEFT_ASSERT(made.has_value());
        return std::move(*made);
    }
    template <class T>
    static Task<void> keep(Task<T> task, std::optional<T>& value) {
        value.emplace(co_await task);
    }
    std::unique_ptr<env::Environment> environment_;
    PassTime pass_time_;
    std::unique_ptr<Runtime> runtime_;
};

}  // namespace weft::bdev
