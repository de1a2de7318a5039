// The contract of Waiter, held by epoll and by the simulator alike.
#include <gtest/gtest.h>

#include <algorithm>
#include <array>

#include "env/test_worlds.h"

namespace weft::env {
namespace {

class WaiterTest : public testing::TestWithParam<WorldKind> {
protected:
    void SetUp() override {
        waiter_ = std::move(*world_.environment().make_waiter());
        listener_ = std::move(*world_.environment().network().listen(*parse_ip("127.0.0.1", 0), {}));
        client_ = std::move(*world_.environment().network().connect(listener_->local_address(), {}));
        server_ = accept();
        ASSERT_NE(server_, nullptr);
        ASSERT_TRUE(world_.run_until([this] { return client_->connected().has_value(); }));
    }

    void TearDown() override {
        for (Pollable* source : watched_) waiter_->remove(*source);
    }

    std::unique_ptr<Stream> accept() {
        std::unique_ptr<Stream> stream;
        world_.run_until([&] {
            auto accepted = listener_->accept();
            if (accepted) stream = std::move(*accepted);
            return stream != nullptr;
        });
        return stream;
    }

    void watch(Pollable& source, WatchOptions options) {
        ASSERT_TRUE(waiter_->add(source, options, &source));
        watched_.push_back(&source);
    }

    // The events of the one source that is reported, 0 for none.
    uint32_t next_events() { return events_of(world_.wait(*waiter_, ready_)); }
    uint32_t unexpected_events() { return events_of(world_.wait_in_vain(*waiter_, ready_)); }

    uint32_t events_of(size_t count) {
        EXPECT_LE(count, 1u);
        return count == 0 ? 0 : ready_[0].events;
    }

    static Transfer send(Stream& stream, std::string_view text) {
        const iovec piece{.iov_base = const_cast<char*>(text.data()), .iov_len = text.size()};
        return stream.send(std::span(&piece, 1));
    }

    static Transfer receive(Stream& stream, size_t count = 4096) {
        std::vector<std::byte> buffer(count);
        return stream.receive(buffer);
    }

    // Sends until no more is taken; returns how much was.
    size_t fill(Stream& stream) {
        const std::string block(65536, 'x');
        size_t sent = 0;
        for (;;) {
            const Transfer transfer = send(stream, block);
            if (transfer.state != Transfer::State::done) return sent;
            sent += transfer.bytes;
        }
    }

    void drain(Stream& stream, size_t count) {
        size_t received = 0;
        ASSERT_TRUE(world_.run_until([&] {
            const Transfer transfer = receive(stream, 65536);
            received += transfer.bytes;
            return received == count;
        })) << received
            << " of " << count;
    }

    TestWorld world_{GetParam()};
    std::unique_ptr<Waiter> waiter_;
    std::unique_ptr<Listener> listener_;
    std::unique_ptr<Stream> client_;
    std::unique_ptr<Stream> server_;
    std::vector<Pollable*> watched_;
    std::array<Ready, 8> ready_{};
};

TEST_P(WaiterTest, LevelIsReportedForAsLongAsItLasts) {
    watch(*server_, {.events = Events::readable});
    EXPECT_EQ(unexpected_events(), 0u);
    send(*client_, "a");
    EXPECT_EQ(next_events(), Events::readable);
    EXPECT_EQ(next_events(), Events::readable);
    EXPECT_EQ(receive(*server_).bytes, 1u);
    EXPECT_EQ(unexpected_events(), 0u);
}

TEST_P(WaiterTest, EdgeIsReportedOncePerArrival) {
    watch(*server_, {.events = Events::readable, .edge = true});
    EXPECT_EQ(unexpected_events(), 0u);
    send(*client_, "a");
    EXPECT_EQ(next_events(), Events::readable);
    EXPECT_EQ(unexpected_events(), 0u);  // though it was not read
    send(*client_, "b");
    EXPECT_EQ(next_events(), Events::readable);
    EXPECT_EQ(receive(*server_, 1).bytes, 1u);
    EXPECT_EQ(unexpected_events(), 0u);  // though one byte is left: that is no news
    EXPECT_EQ(receive(*server_, 1).bytes, 1u);
}

TEST_P(WaiterTest, EdgeWhoseReasonIsGoneIsNotReported) {
    watch(*server_, {.events = Events::readable, .edge = true});
    send(*client_, "a");
    ASSERT_TRUE(world_.run_until([this] { return receive(*server_).bytes == 1; }));
    EXPECT_EQ(unexpected_events(), 0u);
}

TEST_P(WaiterTest, EdgeReportsWhatWasThereWhenTheWatchBegan) {
    send(*client_, "a");
    ASSERT_TRUE(world_.run_until([this] { return receive(*server_).bytes == 1; }));
    send(*client_, "b");
    world_.wait_in_vain(*waiter_, ready_);
    watch(*server_, {.events = Events::readable, .edge = true});
    EXPECT_EQ(next_events(), Events::readable);
    EXPECT_EQ(unexpected_events(), 0u);
}

TEST_P(WaiterTest, ModifyArmsAnEdgeAgain) {
    watch(*server_, {.events = Events::readable, .edge = true});
    send(*client_, "a");
    EXPECT_EQ(next_events(), Events::readable);
    EXPECT_EQ(unexpected_events(), 0u);
    ASSERT_TRUE(waiter_->modify(*server_, {.events = Events::readable, .edge = true}, server_.get()));
    EXPECT_EQ(next_events(), Events::readable);
    EXPECT_EQ(unexpected_events(), 0u);
}

TEST_P(WaiterTest, ModifyChangesTheContext) {
    watch(*server_, {.events = Events::readable});
    int other = 0;
    ASSERT_TRUE(waiter_->modify(*server_, {.events = Events::readable | Events::writable}, &other));
    EXPECT_EQ(next_events(), Events::writable);
    EXPECT_EQ(ready_[0].context, &other);
}

TEST_P(WaiterTest, EdgeTellsThatThereIsRoomAgain) {
    watch(*client_, {.events = Events::writable, .edge = true});
    EXPECT_EQ(next_events(), Events::writable);
    EXPECT_EQ(unexpected_events(), 0u);  // though there is still room
    const size_t sent = fill(*client_);
    EXPECT_EQ(send(*client_, "x").state, Transfer::State::would_block);
    EXPECT_EQ(unexpected_events() & Events::readable, 0u);
    drain(*server_, sent);
    EXPECT_EQ(next_events(), Events::writable);
    EXPECT_EQ(send(*client_, "x").bytes, 1u);
}

TEST_P(WaiterTest, LevelIsWritableOnlyWhileThereIsRoom) {
    watch(*client_, {.events = Events::writable});
    EXPECT_EQ(next_events(), Events::writable);
    EXPECT_EQ(next_events(), Events::writable);
    // A kernel goes on for a while, as its buffers grow and the other end's fill.
    size_t sent = 0;
    do {
        sent += fill(*client_);
    } while (unexpected_events() != 0);
    drain(*server_, sent);
    EXPECT_EQ(next_events(), Events::writable);
}

TEST_P(WaiterTest, BothDirectionsAreReportedTogether) {
    watch(*server_, {.events = Events::readable | Events::writable, .edge = true});
    EXPECT_EQ(next_events(), Events::writable);
    send(*client_, "a");
    EXPECT_EQ(next_events(), Events::readable | Events::writable);
    EXPECT_EQ(unexpected_events(), 0u);
}

TEST_P(WaiterTest, AnEndIsReadableAndTwoEndsHangUp) {
    watch(*server_, {.events = Events::readable});
    client_->shutdown_send();
    EXPECT_EQ(next_events(), Events::readable);
    EXPECT_EQ(receive(*server_).state, Transfer::State::end);
    EXPECT_EQ(next_events(), Events::readable);  // an end lasts
    server_->shutdown_send();
    EXPECT_TRUE(world_.run_until([this] { return next_events() == (Events::readable | Events::hung_up); }));
}

TEST_P(WaiterTest, HangingUpIsReportedUnasked) {
    watch(*server_, {.events = 0});
    send(*server_, "never read");
    world_.wait_in_vain(*waiter_, ready_);
    client_.reset();  // with unread data: a reset
    EXPECT_EQ(next_events(), Events::hung_up);
    const Transfer transfer = receive(*server_);
    EXPECT_EQ(transfer.state, Transfer::State::failed);
    EXPECT_EQ(transfer.error, Errc::connection_lost);
}

TEST_P(WaiterTest, ARefusedConnectionIsReported) {
    const Address address = listener_->local_address();
    listener_.reset();
    auto refused = std::move(*world_.environment().network().connect(address, {}));
    watch(*refused, {.events = Events::writable, .edge = true});
    EXPECT_EQ(next_events(), Events::writable | Events::hung_up);
    EXPECT_EQ(refused->connected().error().code, Errc::connection_refused);
    waiter_->remove(*refused);
    watched_.clear();
}

TEST_P(WaiterTest, AConnectionBecomesWritableWhenItIsThere) {
    auto second = std::move(*world_.environment().network().connect(listener_->local_address(), {}));
    watch(*second, {.events = Events::readable | Events::writable, .edge = true});
    EXPECT_EQ(next_events(), Events::writable);
    EXPECT_TRUE(second->connected());
    EXPECT_EQ(unexpected_events(), 0u);
    waiter_->remove(*second);
    watched_.clear();
}

TEST_P(WaiterTest, AListenerIsReadableWhileSomebodyWaits) {
    watch(*listener_, {.events = Events::readable});
    EXPECT_EQ(unexpected_events(), 0u);
    auto second = std::move(*world_.environment().network().connect(listener_->local_address(), {}));
    EXPECT_EQ(next_events(), Events::readable);
    EXPECT_EQ(next_events(), Events::readable);
    ASSERT_TRUE(listener_->accept());
    EXPECT_EQ(unexpected_events(), 0u);
}

TEST_P(WaiterTest, WhatIsRemovedIsNotReported) {
    watch(*server_, {.events = Events::readable});
    waiter_->remove(*server_);
    watched_.clear();
    send(*client_, "a");
    EXPECT_EQ(unexpected_events(), 0u);
}

TEST_P(WaiterTest, MoreThanThereIsRoomForComesWithTheNextCalls) {
    std::array<std::unique_ptr<Stream>, 3> clients;
    std::array<std::unique_ptr<Stream>, 3> servers;
    for (size_t at = 0; at < 3; ++at) {
        clients[at] = std::move(*world_.environment().network().connect(listener_->local_address(), {}));
        servers[at] = accept();
        ASSERT_NE(servers[at], nullptr);
        watch(*servers[at], {.events = Events::readable, .edge = true});
    }
    world_.wait_in_vain(*waiter_, ready_);
    for (const auto& client : clients) ASSERT_EQ(send(*client, "a").bytes, 1u);
    std::vector<void*> reported;
    for (int call = 0; call < 3; ++call) {
        ASSERT_EQ(world_.wait(*waiter_, std::span(ready_).first(1)), 1u);
        reported.push_back(ready_[0].context);
    }
    EXPECT_EQ(unexpected_events(), 0u);
    for (const auto& server : servers) {
        EXPECT_EQ(std::ranges::count(reported, static_cast<void*>(static_cast<Pollable*>(server.get()))), 1);
        waiter_->remove(*server);
    }
    watched_.clear();
}

INSTANTIATE_TEST_SUITE_P(Worlds, WaiterTest, testing::ValuesIn(all_worlds()), name_of_world);

}  // namespace
}  // namespace weft::env
