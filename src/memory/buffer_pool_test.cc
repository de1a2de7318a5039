#include "memory/buffer_pool.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <deque>
#include <thread>
#include <vector>

namespace weft {
namespace {

constexpr uint32_t buffer_bytes = 8192;

std::unique_ptr<BufferPool> make_pool(uint32_t count) {
    auto pool = BufferPool::create({.buffer_bytes = buffer_bytes, .buffer_count = count});
    WEFT_ASSERT(pool.has_value());
    return std::move(*pool);
}

std::unique_ptr<BufferCache> make_cache(BufferPool& pool, uint32_t reserve) {
    auto cache = BufferCache::create(pool, reserve);
    WEFT_ASSERT(cache.has_value());
    return std::move(*cache);
}

// Buffers of a request that waits; notes the order in which they are granted.
struct Request {
    Request(size_t count, std::vector<const Request*>& granted_in_order) : buffers(count), order(granted_in_order) {
        waiter.self = this;
        waiter.into = buffers;
        waiter.granted = [](BufferWaiter& granted) {
            Request* request = static_cast<Waiter&>(granted).self;
            request->order.push_back(request);
        };
    }
    Request(const Request&) = delete;
    Request& operator=(const Request&) = delete;

    struct Waiter : BufferWaiter {
        Request* self = nullptr;
    };
    std::vector<std::byte*> buffers;
    std::vector<const Request*>& order;
    Waiter waiter;
};

TEST(BufferPool, RefusesSizesThatMakeNoSense) {
    for (const uint32_t bytes : {0U, 1U, 4095U, 4097U, 6000U}) {
        const auto pool = BufferPool::create({.buffer_bytes = bytes, .buffer_count = 4});
        ASSERT_FALSE(pool.has_value()) << bytes;
        EXPECT_EQ(pool.error().code, Errc::invalid_argument);
    }
    EXPECT_EQ(BufferPool::create({.buffer_bytes = 4096, .buffer_count = 0}).error().code, Errc::invalid_argument);
    EXPECT_TRUE(BufferPool::create({.buffer_bytes = 2 << 20, .buffer_count = 2}).has_value());
}

TEST(BufferPool, GivesEachBufferOnce) {
    const auto pool = make_pool(16);
    std::array<std::byte*, 20> buffers{};
    EXPECT_EQ(pool->take(buffers), 16U);
    EXPECT_EQ(pool->shared_free(), 0U);
    std::ranges::sort(buffers.begin(), buffers.begin() + 16);
    for (size_t at = 0; at < 16; ++at) {
        EXPECT_EQ(reinterpret_cast<uintptr_t>(buffers[at]) % 4096, 0U);
        if (at > 0) EXPECT_GE(buffers[at] - buffers[at - 1], ptrdiff_t{buffer_bytes});
        std::fill_n(buffers[at], buffer_bytes, std::byte{0x5A});
    }
    pool->give(std::span(buffers).first(16));
    EXPECT_EQ(pool->shared_free(), 16U);
}

TEST(BufferPool, ReservesAllThatIsAskedForOrNothing) {
    const auto pool = make_pool(10);
    auto first = pool->reserve(6);
    ASSERT_TRUE(first.has_value());
    EXPECT_EQ(first->size(), 6U);
    EXPECT_EQ(pool->shared_free(), 4U);
    const auto refused = pool->reserve(5);
    ASSERT_FALSE(refused.has_value());
    EXPECT_EQ(refused.error().code, Errc::no_memory);
    EXPECT_EQ(pool->shared_free(), 4U);
    pool->give(*first);
}

TEST(BufferCache, TakesFromItsReserveFirst) {
    const auto pool = make_pool(10);
    const auto cache = make_cache(*pool, 4);
    EXPECT_EQ(pool->shared_free(), 6U);
    EXPECT_EQ(cache->available(), 10U);
    std::array<std::byte*, 3> buffers{};
    EXPECT_TRUE(cache->take(buffers));
    EXPECT_EQ(pool->shared_free(), 6U);
    std::array<std::byte*, 3> more{};
    EXPECT_TRUE(cache->take(more));
    EXPECT_EQ(pool->shared_free(), 4U) << "one was left in the reserve";
    EXPECT_EQ(cache->stats().from_cache, 4U);
    EXPECT_EQ(cache->stats().from_shared, 2U);
    cache->give(buffers);
    cache->give(more);
}

TEST(BufferCache, ItsReserveComesBackAndTheSurplusGoesToTheOthers) {
    const auto pool = make_pool(10);
    const auto cache = make_cache(*pool, 4);
    std::array<std::byte*, 10> all{};
    ASSERT_TRUE(cache->take(all));
    EXPECT_EQ(cache->available(), 0U);
    cache->give(std::span(all).first(3));
    EXPECT_EQ(pool->shared_free(), 0U);
    cache->give(std::span(all).subspan(3, 3));
    EXPECT_EQ(pool->shared_free(), 2U);
    cache->give(std::span(all).subspan(6));
    EXPECT_EQ(pool->shared_free(), 6U);
    EXPECT_EQ(cache->available(), 10U);
}

TEST(BufferCache, TakesAllOrNothing) {
    const auto pool = make_pool(6);
    const auto cache = make_cache(*pool, 2);
    const auto other = make_cache(*pool, 0);
    std::array<std::byte*, 3> taken{};
    ASSERT_TRUE(other->take(taken));
    std::array<std::byte*, 4> buffers{};
    EXPECT_FALSE(cache->take(buffers)) << "two of its own and one shared are left";
    EXPECT_EQ(cache->available(), 3U);
    EXPECT_EQ(pool->shared_free(), 1U);
    EXPECT_TRUE(cache->take(std::span(buffers).first(3)));
    cache->give(std::span(buffers).first(3));
    other->give(taken);
}

TEST(BufferCache, ACacheCannotReserveWhatIsNotThere) {
    const auto pool = make_pool(6);
    const auto cache = make_cache(*pool, 5);
    EXPECT_EQ(BufferCache::create(*pool, 2).error().code, Errc::no_memory);
    EXPECT_TRUE(BufferCache::create(*pool, 1).has_value());
}

TEST(BufferCache, ServesWaitersInTheOrderTheyCame) {
    const auto pool = make_pool(4);
    const auto cache = make_cache(*pool, 4);
    std::array<std::byte*, 4> all{};
    ASSERT_TRUE(cache->take(all));
    std::vector<const Request*> order;
    Request large(3, order);
    Request small(1, order);
    Request last(2, order);
    for (Request* request : {&large, &small, &last}) cache->wait(request->waiter);
    EXPECT_EQ(cache->waiting(), 3U);
    EXPECT_EQ(cache->serve(), 0U);

    cache->give(std::span(all).first(2));
    EXPECT_EQ(cache->serve(), 0U) << "the small one must not overtake the large one";
    std::array<std::byte*, 1> newcomer{};
    EXPECT_FALSE(cache->take(newcomer)) << "nor must one who has only just come";

    cache->give(std::span(all).subspan(2));
    EXPECT_EQ(cache->serve(), 2U);
    EXPECT_EQ(order, (std::vector<const Request*>{&large, &small}));
    EXPECT_TRUE(std::ranges::none_of(large.buffers, [](const std::byte* buffer) { return buffer == nullptr; }));

    cache->give(large.buffers);
    EXPECT_EQ(cache->serve(), 1U);
    EXPECT_EQ(order.back(), &last);
    EXPECT_FALSE(cache->has_waiters());
    EXPECT_EQ(cache->stats().waited, 3U);
    cache->give(small.buffers);
    cache->give(last.buffers);
}

TEST(BufferCache, AWaiterMayGoAtAnyTime) {
    const auto pool = make_pool(2);
    const auto cache = make_cache(*pool, 2);
    std::array<std::byte*, 2> all{};
    ASSERT_TRUE(cache->take(all));
    std::vector<const Request*> order;
    Request first(2, order);
    Request second(1, order);
    Request third(1, order);
    for (Request* request : {&first, &second, &third}) cache->wait(request->waiter);
    cache->give(std::span(all).first(1));
    EXPECT_EQ(cache->serve(), 0U);
    cache->stop_waiting(first.waiter);
    EXPECT_EQ(cache->serve(), 1U);
    EXPECT_EQ(order, std::vector<const Request*>{&second});
    cache->stop_waiting(third.waiter);
    EXPECT_FALSE(cache->has_waiters());
    cache->give(second.buffers);
    cache->give(std::span(all).subspan(1));
}

TEST(BufferCache, KeepsWhatComesBackWhileItsOwnRequestsWait) {
    const auto pool = make_pool(4);
    const auto cache = make_cache(*pool, 1);
    const auto other = make_cache(*pool, 0);
    std::array<std::byte*, 4> all{};
    ASSERT_TRUE(cache->take(all));
    std::vector<const Request*> order;
    Request request(3, order);
    cache->wait(request.waiter);
    cache->give(std::span(all).first(2));
    std::array<std::byte*, 1> stolen{};
    EXPECT_FALSE(other->take(stolen));
    EXPECT_EQ(cache->available(), 2U);
    cache->give(std::span(all).subspan(2));
    EXPECT_EQ(cache->serve(), 1U);
    EXPECT_EQ(pool->shared_free(), 0U) << "the one that is left is the reserve";
    EXPECT_FALSE(other->take(stolen));
    cache->give(request.buffers);
    EXPECT_EQ(pool->shared_free(), 3U);
}

TEST(BufferCache, ReturnsTheSurplusWhenTheLastWaiterHasGone) {
    const auto pool = make_pool(4);
    const auto cache = make_cache(*pool, 1);
    std::array<std::byte*, 4> all{};
    ASSERT_TRUE(cache->take(all));
    std::vector<const Request*> order;
    Request request(4, order);
    cache->wait(request.waiter);
    cache->give(std::span(all).first(3));
    cache->stop_waiting(request.waiter);
    // At once: without waiters nobody calls serve() any more, and another group may wait for these.
    EXPECT_EQ(pool->shared_free(), 2U);
    EXPECT_EQ(cache->serve(), 0U);
    EXPECT_EQ(pool->shared_free(), 2U);
    cache->give(std::span(all).subspan(3));
    EXPECT_EQ(pool->shared_free(), 3U);
}

// One that is granted may give back at once and wait again: it stands at the end then.
// Requests of one group that always wait must not keep the other's from ever getting any.
TEST(BufferCache, AGroupWithoutAnythingIsServedBesideOneThatKeepsAll) {
    auto pool = make_pool(4);
    auto busy = make_cache(*pool, 0);
    auto poor = make_cache(*pool, 0);
    std::vector<const Request*> order;
    std::vector<std::byte*> all(4);
    ASSERT_TRUE(busy->take(all));
    Request wanting(2, order);
    poor->wait(wanting.waiter);
    EXPECT_EQ(poor->serve(), 0U);
    std::deque<Request> crowd;
    for (int at = 0; at < 4; ++at) busy->wait(crowd.emplace_back(1, order).waiter);
    for (std::byte*& one : all) {
        busy->give({&one, 1});
        busy->serve();
        poor->serve();
    }
    ASSERT_FALSE(order.empty());
    EXPECT_NE(std::ranges::find(order, &wanting), order.end());
    for (Request& request : crowd) {
        if (std::ranges::find(order, &request) == order.end()) busy->stop_waiting(request.waiter);
    }
    poor->give(wanting.buffers);
    for (Request& request : crowd) {
        if (std::ranges::find(order, &request) != order.end()) busy->give(request.buffers);
    }
}

// Each has a part of what it needs.
TEST(BufferCache, TwoGroupsThatWaitForMoreDoNotWaitForEachOther) {
    auto pool = make_pool(4);
    auto first = make_cache(*pool, 0);
    auto second = make_cache(*pool, 0);
    std::vector<const Request*> order;
    std::vector<std::byte*> mine(2);
    std::vector<std::byte*> yours(2);
    ASSERT_TRUE(first->take(mine) && second->take(yours));
    Request left(3, order);
    Request right(3, order);
    first->wait(left.waiter);
    second->wait(right.waiter);
    first->give(mine);
    second->give(yours);
    for (int turn = 0; turn < 4 && order.empty(); ++turn) first->serve(), second->serve();
    ASSERT_EQ(order.size(), 1U);
    (order[0] == &left ? first : second)->give(order[0] == &left ? left.buffers : right.buffers);
    for (int turn = 0; turn < 4 && order.size() < 2; ++turn) first->serve(), second->serve();
    ASSERT_EQ(order.size(), 2U);
    (order[1] == &left ? first : second)->give(order[1] == &left ? left.buffers : right.buffers);
}

// What is urgent has buffers of its own, and passes those that wait for others.
TEST(BufferCache, AnUrgentRequestHasWhatIsKept) {
    auto pool = make_pool(3);
    auto made = BufferCache::create(*pool, 1, 1);
    ASSERT_TRUE(made);
    BufferCache& cache = **made;
    std::vector<std::byte*> ordinary(2);
    std::vector<std::byte*> more(1);
    std::vector<std::byte*> urgent(1);
    EXPECT_TRUE(cache.take(ordinary));
    EXPECT_FALSE(cache.take(more)) << "one is kept";
    EXPECT_TRUE(cache.take(urgent, BufferClaim::urgent));
    std::vector<const Request*> order;
    Request waiting(1, order);
    cache.wait(waiting.waiter);
    Request hurried(1, order);
    hurried.waiter.claim = BufferClaim::urgent;
    cache.wait(hurried.waiter);
    cache.give(urgent);
    EXPECT_EQ(cache.serve(), 1U);
    EXPECT_EQ(order, std::vector<const Request*>{&hurried});
    cache.give(ordinary);
    EXPECT_EQ(cache.serve(), 1U);
    cache.give(waiting.buffers);
    cache.give(hurried.buffers);
}

TEST(BufferCache, WhoIsGrantedMayUseTheCache) {
    const auto pool = make_pool(1);
    const auto cache = make_cache(*pool, 1);
    struct Again : BufferWaiter {
        BufferCache* cache = nullptr;
        std::array<std::byte*, 1> buffer{};
        int rounds = 0;
    };
    std::deque<Again> waiters(3);
    for (Again& each : waiters) {
        each.cache = cache.get();
        each.into = each.buffer;
        each.granted = [](BufferWaiter& waiter) {
            auto& self = static_cast<Again&>(waiter);
            ++self.rounds;
            self.cache->give(self.buffer);
            if (self.rounds < 3) self.cache->wait(self);
        };
        cache->wait(each);
    }
    EXPECT_EQ(cache->serve(), 9U);
    for (const Again& each : waiters) EXPECT_EQ(each.rounds, 3);
}

TEST(BufferCache, ThreadsShareAPool) {
    const auto pool = make_pool(64);
    const auto work = [&pool](uint32_t seed) {
        const auto cache = make_cache(*pool, 8);
        for (uint32_t round = 0; round < 20'000; ++round) {
            std::array<std::byte*, 20> buffers{};
            const std::span<std::byte*> wanted = std::span(buffers).first(1 + (seed + round) % buffers.size());
            if (!cache->take(wanted)) continue;
            for (std::byte* buffer : wanted) *buffer = static_cast<std::byte>(seed);
            for (const std::byte* buffer : wanted) EXPECT_EQ(*buffer, static_cast<std::byte>(seed));
            cache->give(wanted);
        }
    };
    std::thread first(work, 1);
    std::thread second(work, 2);
    first.join();
    second.join();
    EXPECT_EQ(pool->shared_free(), 64U);
}

void lose_a_buffer() {
    const auto pool = make_pool(2);
    const auto cache = make_cache(*pool, 1);
    std::array<std::byte*, 1> buffer{};
    cache->take(buffer);
}

TEST(BufferCacheDeathTest, ABufferMustComeBackBeforeTheCacheGoes) {
    EXPECT_DEATH(lose_a_buffer(), "outstanding_ == 0");
}

}  // namespace
}  // namespace weft
