// Data buffers of one size, shared by the poll groups of a transport, so that memory follows the number of
// commands in execution, not queue depth × connections.
//
// Each poll group has a cache with a reserve: that many buffers are its own from the start and come back to it, so
// taking and giving on the fast path touches no shared line and no group starves. What is left is shared, under a
// mutex. A request that finds too few waits in its group's FIFO and is granted in order, all its buffers at once.
//
// Some requests are *urgent*: while they wait, those that hold buffers cannot go on and give them back. A part of the
// reserve is kept for them, so that they never wait for anything but other urgent ones.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>
#include <span>
#include <vector>

#include "base/intrusive_list.h"
#include "base/result.h"
#include "env/environment.h"

namespace weft {

struct BufferPoolOptions {
    uint32_t buffer_bytes = 0;   // a multiple of 4096
    uint32_t buffer_count = 0;
};

// The shared part. Created on the control path; take/give from any thread.
class BufferPool {
public:
    // Errors: no_memory, invalid_argument.
    static Result<std::unique_ptr<BufferPool>> create(const BufferPoolOptions& options);
    BufferPool(const BufferPool&) = delete;
    BufferPool& operator=(const BufferPool&) = delete;
    ~BufferPool();  // all buffers are back, asserted

    // Sets `count` buffers aside for a cache. Errors: no_memory when fewer are left in the shared part.
    Result<std::vector<std::byte*>> reserve(uint32_t count);
    // Moves up to `buffers.size()` shared buffers out; returns how many.
    size_t take(std::span<std::byte*> buffers);
    void give(std::span<std::byte* const> buffers);

    [[nodiscard]] uint32_t buffer_bytes() const { return options_.buffer_bytes; }
    [[nodiscard]] uint32_t buffer_count() const { return options_.buffer_count; }
    [[nodiscard]] uint32_t shared_free() const;

    // Caches whose requests wait while none of their buffers is out: only shared ones can help them, and the others
    // leave them these.
    void count_starved(int change) { starved_.fetch_add(change, std::memory_order_relaxed); }
    [[nodiscard]] bool has_starved() const { return starved_.load(std::memory_order_relaxed) > 0; }

private:
    BufferPool(const BufferPoolOptions& options, env::Mapping memory);
    const BufferPoolOptions options_;
    env::Mapping memory_;
    std::atomic<int> starved_{0};
    mutable std::mutex mutex_;
    std::vector<std::byte*> free_;
};

enum class BufferClaim : uint8_t { ordinary, urgent };

// A request that waits for buffers: embedded in what waits.
struct BufferWaiter {
    std::span<std::byte*> into;  // filled when granted: all of it
    void (*granted)(BufferWaiter& waiter) = nullptr;  // called from BufferCache::serve()
    void* context = nullptr;  // whose waiter this is
    BufferClaim claim = BufferClaim::ordinary;
    uint64_t ticket = 0;  // the cache's: in which order waiters came
    ListLink<BufferWaiter> link;
};

struct BufferCacheStats {
    uint64_t from_cache = 0;
    uint64_t from_shared = 0;
    uint64_t waited = 0;
};

// One poll group's view of the pool; lives on its thread.
class BufferCache {
public:
    // `kept` of the reserve are for urgent requests only. Errors: no_memory when the pool cannot hold the reserve
    // beside those of the other groups.
    static Result<std::unique_ptr<BufferCache>> create(BufferPool& pool, uint32_t reserve, uint32_t kept = 0);
    BufferCache(const BufferCache&) = delete;
    BufferCache& operator=(const BufferCache&) = delete;
    ~BufferCache();  // nobody waits and the reserve is back, asserted

    // Fills all of `buffers`, or none and returns false. Refused while others wait that come first; beside ordinary
    // ones that wait an urgent one has what is kept.
    bool take(std::span<std::byte*> buffers, BufferClaim claim = BufferClaim::ordinary);
    void give(std::span<std::byte* const> buffers);
    // Queues `waiter` (for no more than the pool can ever hold) behind those that wait already.
    void wait(BufferWaiter& waiter);
    // When nobody waits any more, what was kept for those that did goes back to the others.
    void stop_waiting(BufferWaiter& waiter);
    // Grants the first waiters while buffers suffice; called by the poll group once a turn. Returns how many.
    uint32_t serve();

    [[nodiscard]] bool has_waiters() const { return !waiters_.empty() || !urgent_.empty(); }
    [[nodiscard]] size_t waiting() const { return waiters_.size() + urgent_.size(); }
    // Buffers that take() could give now, at most (the shared ones may be gone a moment later).
    [[nodiscard]] size_t available() const;
    [[nodiscard]] const BufferCacheStats& stats() const { return stats_; }
    [[nodiscard]] BufferPool& pool() const { return pool_; }

private:
    using Waiters = IntrusiveList<BufferWaiter, &BufferWaiter::link>;
    BufferCache(BufferPool& pool, std::vector<std::byte*> reserve, uint32_t kept);
    Waiters& waiters_of(BufferClaim claim) { return claim == BufferClaim::urgent ? urgent_ : waiters_; }
    bool take_from(size_t cached_max, bool may_share, std::span<std::byte*> buffers);
    bool take_for(BufferClaim claim, std::span<std::byte*> buffers);
    uint32_t serve(Waiters& waiters);
    void return_surplus();
    void look_for_starvation();

    BufferPool& pool_;
    const size_t reserve_;
    const size_t kept_;
    std::vector<std::byte*> free_;  // last in, first out: the hottest first
    size_t outstanding_ = 0;
    bool is_starved_ = false;
    uint64_t tickets_ = 0;
    uint64_t last_granted_[2] = {};  // by claim
    Waiters urgent_;
    Waiters waiters_;
    BufferCacheStats stats_;
};

}  // namespace weft
