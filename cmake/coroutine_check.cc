// Passes when the compiler destroys each temporary of a co_await expression exactly once.
// g++ 12 and 13 fail: an aggregate or a lambda with captures is destroyed twice.

#include <coroutine>
#include <expected>
#include <string>

namespace {

int alive = 0;

struct Counted {
    Counted() { ++alive; }
    Counted(const Counted&) { ++alive; }
    Counted(Counted&&) noexcept { ++alive; }
    ~Counted() { --alive; }
};

struct Options {
    std::string path;
    Counted counted;
};

struct Task {
    struct promise_type {
        Task get_return_object() { return Task{std::coroutine_handle<promise_type>::from_promise(*this)}; }
        std::suspend_never initial_suspend() noexcept { return {}; }
        std::suspend_always final_suspend() noexcept { return {}; }
        void return_void() {}
        void unhandled_exception() {}
    };
    std::coroutine_handle<promise_type> handle;
};

struct Awaitable {
    bool await_ready() const { return false; }
    bool await_suspend(std::coroutine_handle<>) const { return false; }
    std::expected<int, int> await_resume() const { return 1; }
};

Awaitable open_file(Options options) { return options.path.empty() ? Awaitable{} : Awaitable{}; }

template <class Function>
Awaitable call(Function function) {
    function();
    return {};
}

Task run() {
    Counted counted;
    (void)co_await open_file({.path = std::string(64, 'x'), .counted = {}});
    (void)co_await call([counted, text = std::string(64, 'y')] { (void)text; });
}

}  // namespace

int main() {
    Task task = run();
    task.handle.destroy();
    return alive == 0 ? 0 : 1;
}
