#include "net/tls_connect.h"

#include <array>

#include "reactor/event_source.h"
#include "reactor/reactor.h"
#include "reactor/timer.h"

namespace weft::net {

namespace {

constexpr size_t receive_bytes = 4096;

// Wakes the coroutine when the socket has news, or when it is too late.
class News final : public EventSource {
public:
    explicit News(Thread& thread)
        : timer_(
              thread,
              [](void* self) {
                  auto* news = static_cast<News*>(self);
                  news->is_late = true;
                  news->wake();
              },
              this) {}
    ~News() override { unwatch(); }

    uint32_t on_events(uint32_t) override {
        wake();
        return 1;
    }
    void wake() {
        has_news = true;
        waiting_.wake_all();
    }
    void start(env::TimeNs timeout) { timer_.start_after(timeout); }
    WaitList::Waiter wait() { return waiting_.wait(); }

    bool has_news = true;
    bool is_late = false;

private:
    WaitList waiting_;
    Timer timer_;
};

std::unexpected<Error> lost() {
    return fail(Errc::connection_lost, "TLS: the target closed the connection during the handshake");
}

// One transfer in each direction, as far as the socket goes. Errors: it is gone.
Result<bool> exchange(env::Stream& stream, PskHandshake& handshake, std::string& unsent) {
    bool has_moved = false;
    unsent += handshake.take_output();
    if (!unsent.empty()) {
        const iovec piece{.iov_base = unsent.data(), .iov_len = unsent.size()};
        const env::Transfer sent = stream.send({&piece, 1});
        if (sent.state == env::Transfer::State::done) {
            unsent.erase(0, sent.bytes);
            has_moved = true;
        } else if (sent.state != env::Transfer::State::would_block) {
            return lost();
        }
    }
    if (handshake.state() != PskHandshake::State::running) return has_moved;
    std::array<std::byte, receive_bytes> bytes{};
    const env::Transfer got = stream.receive(bytes);
    if (got.state == env::Transfer::State::would_block) return has_moved;
    if (got.state != env::Transfer::State::done) return lost();
    handshake.feed(Bytes(bytes).first(got.bytes));
    return true;
}

}  // namespace

Task<Result<std::unique_ptr<env::Stream>>> secure(std::unique_ptr<env::Stream> stream, PskKey key,
                                                  env::TimeNs timeout) {
    Thread& thread = Thread::current();
    auto context = PskContext::make(PskContext::Side::client);
    if (!context) co_return std::unexpected(std::move(context).error());
    PskHandshake handshake(**context, key);
    std::string unsent;
    {
        News news(thread);
        WEFT_CO_TRY(
            news.watch(thread, *stream, {.events = env::Events::readable | env::Events::writable, .edge = true}));
        news.start(timeout);
        while (handshake.state() == PskHandshake::State::running || !unsent.empty()) {
            co_await offload([&handshake] {
                handshake.step();
                return true;
            });
            news.has_news = false;
            auto moved = exchange(*stream, handshake, unsent);
            if (handshake.state() == PskHandshake::State::failed) break;  // says more than a lost connection
            if (!moved) co_return std::unexpected(std::move(moved).error());
            if (*moved) continue;
            while (!news.has_news) co_await news.wait();
            if (news.is_late) co_return fail(Errc::timed_out, "TLS: the handshake took too long");
        }
    }
    if (handshake.state() == PskHandshake::State::failed) co_return std::unexpected(handshake.error());
    co_return handshake.into_stream(std::move(stream));
}

}  // namespace weft::net
