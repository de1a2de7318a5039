#include "net/connect.h"

#include <fmt/format.h>

#include "reactor/event_source.h"
#include "reactor/reactor.h"

namespace weft::net {

namespace {

// Wakes one coroutine when a stream becomes writable, or when it is too late.
class Connecting final : public EventSource {
public:
    explicit Connecting(Thread& thread)
        : timer_(thread, [](void* self) { static_cast<Connecting*>(self)->wake(); }, this) {}
    ~Connecting() override { unwatch(); }

    uint32_t on_events(uint32_t) override {
        wake();
        return 1;
    }
    void wake() {
        unwatch();
        timer_.stop();
        waiting_.wake_all();
    }
    WaitList::Waiter wait_until(env::TimeNs deadline) {
        timer_.start_at(deadline);
        return waiting_.wait();
    }

private:
    WaitList waiting_;
    Timer timer_;
};

// A path whose backlog is full refuses at once; the answer of others may take its time.
constexpr env::TimeNs retry_pause = 10 * env::ns_per_ms;

}  // namespace

Task<Result<std::unique_ptr<env::Stream>>> connect(env::Address address, env::SocketOptions options,
                                                   env::TimeNs timeout) {
    Thread& thread = Thread::current();
    const env::TimeNs deadline = thread.reactor().now() + timeout;
    Connecting connecting(thread);
    for (;;) {
        auto stream = thread.reactor().environment().network().connect(address, options);
        if (!stream) co_return std::unexpected(std::move(stream).error());
        for (;;) {
            WEFT_CO_TRY(connecting.watch(thread, **stream, {.events = env::Events::writable}));
            co_await connecting.wait_until(deadline);
            const Result<void> outcome = (*stream)->connected();
            if (outcome) co_return std::move(*stream);
            const Errc code = outcome.error().code;
            if (code != Errc::in_progress && code != Errc::again) co_return std::unexpected(outcome.error());
            if (thread.reactor().now() >= deadline) {
                co_return fail(Errc::timed_out, fmt::format("connecting to {}: no answer", env::to_string(address)));
            }
            if (code == Errc::again) break;
        }
        co_await sleep_for(retry_pause);
    }
}

}  // namespace weft::net
