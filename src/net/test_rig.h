// For tests: one reactor in the test's own OS thread, over the real system or a simulated one.
#pragma once

#include <functional>
#include <memory>
#include <optional>

#include "base/assert.h"
#include "env/environment.h"
#include "env/linux/test_folder.h"
#include "env/sim/world.h"
#include "reactor/reactor.h"
#include "reactor/task.h"

namespace weft::net {

// The test's thread counts as the reactor's only thread while the rig lives.
class TestRig {
public:
    enum class Kind : uint8_t { real, simulated };

    explicit TestRig(Kind kind, uint64_t seed = 1) : kind_(kind) {
        if (kind == Kind::real) {
            environment_ = std::move(*env::make_linux_environment());
        } else {
            world_ = std::make_unique<sim::World>(seed);
            environment_ = world_->make_environment("machine");
        }
        reactor_ = std::move(*Reactor::create(*environment_, {.name = "test"}));
        thread_ = &reactor_->create_thread("test", CpuSet::all());
        current_.emplace(thread_);
    }

    Thread& thread() { return *thread_; }
    env::Environment& environment() { return *environment_; }
    sim::World& world() { return *world_; }

    // A socket path of this rig's own.
    env::Address path() const { return {.family = env::Family::unix_path, .host = folder_ / "socket", .port = 0}; }

    // Turns until `is_done()`; false when nothing can happen any more, or after half a minute.
    template <class Done>
    bool run_until(Done is_done) {
        const env::TimeNs limit = environment_->clock().now() + 30 * env::ns_per_s;
        while (!is_done()) {
            if (environment_->clock().now() > limit) return false;
            // Twice: a turn after a busy one may leave out its look at the sockets.
            if (!reactor_->turn() && !reactor_->turn() && kind_ == Kind::simulated) {
                const env::TimeNs next = std::min(world_->next_event_time(), reactor_->next_deadline());
                if (next == env::time_never) return is_done();
                world_->advance_to(std::max(next, world_->now()));
                world_->deliver_due_events();
            }
        }
        return true;
    }
    void run_for(env::TimeNs duration) {
        bool fired = false;
        Timer timer(*thread_, [](void* flag) { *static_cast<bool*>(flag) = true; }, &fired);
        timer.start_at(environment_->clock().now() + duration);
        WEFT_ASSERT(run_until([&fired] { return fired; }));
    }

    template <class T>
    T wait_for(Task<T> task) {
        std::optional<T> result;
        spawn([](Task<T> running, std::optional<T>& out) -> Task<void> { out.emplace(co_await std::move(running)); }(
                                                             std::move(task), result));
        WEFT_ASSERT(run_until([&result] { return result.has_value(); }));
        return std::move(*result);
    }
    void wait_for(Task<void> task) {
        bool is_done = false;
        spawn([](Task<void> running, bool& flag) -> Task<void> {
            co_await std::move(running);
            flag = true;
        }(std::move(task), is_done));
        WEFT_ASSERT(run_until([&is_done] { return is_done; }));
    }

private:
    const Kind kind_;
    env::TestFolder folder_;
    std::unique_ptr<sim::World> world_;
    std::unique_ptr<env::Environment> environment_;
    std::unique_ptr<Reactor> reactor_;
    Thread* thread_ = nullptr;
    std::optional<CurrentThread> current_;
};

// A client without manners: sends what it is told to, and reads or does not.
class TestClient {
public:
    explicit TestClient(std::unique_ptr<env::Stream> stream) : stream_(std::move(stream)) {}

    void send(std::string_view text) { unsent_ += text; }
    // As much as goes now.
    void pump() {
        if (stream_ == nullptr) return;
        while (!unsent_.empty()) {
            const iovec piece = {.iov_base = unsent_.data(), .iov_len = unsent_.size()};
            const env::Transfer transfer = stream_->send({&piece, 1});
            if (transfer.state == env::Transfer::State::failed) is_ended = true;
            if (transfer.state != env::Transfer::State::done) break;
            unsent_.erase(0, transfer.bytes);
        }
        std::array<std::byte, 4096> bytes;
        while (is_reading && !is_ended) {
            const env::Transfer transfer = stream_->receive(bytes);
            if (transfer.state == env::Transfer::State::would_block) break;
            if (transfer.state != env::Transfer::State::done) is_ended = true;
            received.append(text_of(Bytes(bytes).first(transfer.bytes)));
        }
    }
    [[nodiscard]] bool has_sent_all() const { return unsent_.empty(); }
    void end_sending() { stream_->shutdown_send(); }
    void close() { stream_.reset(); }

    std::string received;
    bool is_reading = true;
    bool is_ended = false;  // the other side closed, or the connection failed

private:
    std::unique_ptr<env::Stream> stream_;
    std::string unsent_;
};

}  // namespace weft::net
