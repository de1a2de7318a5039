#include "bdev/execute.h"

#include <fmt/format.h>

#include <coroutine>

#include "reactor/reactor.h"

namespace weft::bdev {

namespace {

// Whoever waits for a request's end, which comes from the loop and never from within submit().
struct Waiting {
    Request& request;
    std::coroutine_handle<> handle;

    static bool await_ready() noexcept { return false; }
    void await_suspend(std::coroutine_handle<> awaiting) noexcept { handle = awaiting; }
    static void await_resume() noexcept {}
};

}  // namespace

Task<Status> execute(Channel& channel, Request& request) {
    Waiting waiting{.request = request, .handle = {}};
    request.context = &waiting;
    request.done = [](Request& done) { static_cast<Waiting*>(done.context)->handle.resume(); };
    for (;;) {
        const Progress progress = channel.submit(request);
        if (progress == Progress::done) break;
        if (progress == Progress::pending) {
            co_await waiting;
            break;
        }
        co_await sleep_for(Reactor::ask_again_after);
    }
    co_return request.status;
}

Result<void> result_of(Status status, std::string_view doing) {
    Errc code = Errc::io_error;
    switch (status) {
        case Status::success: return {};
        case Status::out_of_range: code = Errc::out_of_range; break;
        case Status::not_supported: code = Errc::not_supported; break;
        case Status::no_space: code = Errc::no_space; break;
        case Status::no_memory: code = Errc::no_memory; break;
        case Status::gone: code = Errc::no_such_device; break;
        case Status::aborted: code = Errc::cancelled; break;
        default: break;
    }
    return fail(code, fmt::format("{}: {}", doing, name_of(status)));
}

}  // namespace weft::bdev
