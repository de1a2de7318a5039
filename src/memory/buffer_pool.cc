#include "memory/buffer_pool.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/assert.h"
#include "base/mutants.h"

namespace weft {

Result<std::unique_ptr<BufferPool>> BufferPool::create(const BufferPoolOptions& options) {
    if (options.buffer_bytes == 0 || options.buffer_bytes % 4096 != 0 || options.buffer_count == 0) {
        return fail(Errc::invalid_argument, fmt::format("a pool of {} buffers of {} bytes: give a size that is a "
                                                        "multiple of 4096 and at least one buffer",
                                                        options.buffer_count, options.buffer_bytes));
    }
    auto memory = env::map_memory(size_t{options.buffer_bytes} * options.buffer_count,
                                  {.name = "weft_buffers", .huge_pages = false});
    if (!memory) return std::unexpected(std::move(memory).error());
    return std::unique_ptr<BufferPool>(new BufferPool(options, std::move(*memory)));
}

BufferPool::BufferPool(const BufferPoolOptions& options, env::Mapping memory)
    : options_(options), memory_(std::move(memory)) {
    // Lowest address last, so that it is taken first: memory that is never needed is never touched.
    free_.reserve(options_.buffer_count);
    for (size_t at = options_.buffer_count; at > 0; --at) {
        free_.push_back(memory_.data() + (at - 1) * options_.buffer_bytes);
    }
}

BufferPool::~BufferPool() { WEFT_ASSERT(free_.size() == options_.buffer_count); }

Result<std::vector<std::byte*>> BufferPool::reserve(uint32_t count) {
    const std::lock_guard lock(mutex_);
    if (free_.size() < count) {
        return fail(Errc::no_memory,
                    fmt::format("a reserve of {} buffers does not fit: {} of {} are left; raise num_shared_buffers or "
                                "lower buf_cache_size",
                                count, free_.size(), options_.buffer_count));
    }
    std::vector<std::byte*> taken(free_.end() - count, free_.end());
    free_.resize(free_.size() - count);
    return taken;
}

size_t BufferPool::take(std::span<std::byte*> buffers) {
    const std::lock_guard lock(mutex_);
    const size_t count = std::min(buffers.size(), free_.size());
    std::copy_n(free_.end() - static_cast<ptrdiff_t>(count), count, buffers.begin());
    free_.resize(free_.size() - count);
    return count;
}

void BufferPool::give(std::span<std::byte* const> buffers) {
    const std::lock_guard lock(mutex_);
    free_.insert(free_.end(), buffers.begin(), buffers.end());
    WEFT_ASSERT(free_.size() <= options_.buffer_count);
}

uint32_t BufferPool::shared_free() const {
    const std::lock_guard lock(mutex_);
    return static_cast<uint32_t>(free_.size());
}

Result<std::unique_ptr<BufferCache>> BufferCache::create(BufferPool& pool, uint32_t reserve, uint32_t kept) {
    WEFT_ASSERT(kept <= reserve);
    auto reserved = pool.reserve(reserve);
    if (!reserved) return std::unexpected(std::move(reserved).error());
    return std::unique_ptr<BufferCache>(new BufferCache(pool, std::move(*reserved), kept));
}

BufferCache::BufferCache(BufferPool& pool, std::vector<std::byte*> reserve, uint32_t kept)
    : pool_(pool), reserve_(reserve.size()), kept_(kept), free_(std::move(reserve)) {
    free_.reserve(pool.buffer_count());  // give() never allocates
}

BufferCache::~BufferCache() {
    WEFT_ASSERT(!has_waiters());
    WEFT_ASSERT(outstanding_ == 0);
    pool_.give(free_);
}

bool BufferCache::take(std::span<std::byte*> buffers, BufferClaim claim) {
    return waiters_of(claim).empty() && take_for(claim, buffers);
}

bool BufferCache::take_for(BufferClaim claim, std::span<std::byte*> buffers) {
    if (claim == BufferClaim::ordinary) return take_from(free_.size() - std::min(free_.size(), kept_), true, buffers);
    // What others wait for is theirs, but for what is kept.
    if (waiters_.empty()) return take_from(free_.size(), true, buffers);
    return take_from(std::min(free_.size(), kept_), false, buffers);
}

// Up to `cached_max` of the cache's own, and the rest of the shared ones.
bool BufferCache::take_from(size_t cached_max, bool may_share, std::span<std::byte*> buffers) {
    const size_t cached = std::min(buffers.size(), cached_max);
    const size_t missing = buffers.size() - cached;
    if (missing > 0) {
        if (!may_share || (pool_.has_starved() && !is_starved_)) return false;
        const size_t got = pool_.take(buffers.subspan(cached));
        if (got < missing) {
            pool_.give(buffers.subspan(cached, got));
            return false;
        }
        stats_.from_shared += got;
    }
    std::copy_n(free_.end() - static_cast<ptrdiff_t>(cached), cached, buffers.begin());
    free_.resize(free_.size() - cached);
    stats_.from_cache += cached;
    outstanding_ += buffers.size();
    return true;
}

void BufferCache::give(std::span<std::byte* const> buffers) {
    WEFT_ASSERT(outstanding_ >= buffers.size());
    outstanding_ -= buffers.size();
    // The cache fills up to its reserve, the rest goes to the others. A group whose requests wait keeps all, unless
    // another has nothing that could come back to it.
    const bool hoards = has_waiters() && !pool_.has_starved();
    const size_t room = hoards ? buffers.size() : reserve_ - std::min(reserve_, free_.size());
    const size_t kept = std::min(room, buffers.size());
    free_.insert(free_.end(), buffers.begin(), buffers.begin() + static_cast<ptrdiff_t>(kept));
    if (kept < buffers.size()) pool_.give(buffers.subspan(kept));
}

void BufferCache::wait(BufferWaiter& waiter) {
    WEFT_ASSERT(!waiter.into.empty() && waiter.into.size() <= pool_.buffer_count());
    ++stats_.waited;
    waiter.ticket = ++tickets_;
    if (mutant::on(mutant::waiters_in_wrong_order)) return waiters_of(waiter.claim).push_front(waiter);
    waiters_of(waiter.claim).push_back(waiter);
    look_for_starvation();
}

uint32_t BufferCache::serve(Waiters& waiters) {
    uint32_t served = 0;
    while (BufferWaiter* waiter = waiters.front()) {
        if (!take_for(waiter->claim, waiter->into)) break;
        waiters.remove(*waiter);
        uint64_t& last = last_granted_[static_cast<size_t>(waiter->claim)];
        WEFT_ASSERT(waiter->ticket > last);
        last = waiter->ticket;
        waiter->granted(*waiter);
        ++served;
    }
    return served;
}

uint32_t BufferCache::serve() {
    const uint32_t served = serve(urgent_) + serve(waiters_);
    return_surplus();
    look_for_starvation();
    return served;
}

void BufferCache::stop_waiting(BufferWaiter& waiter) {
    waiters_of(waiter.claim).remove(waiter);
    return_surplus();
    look_for_starvation();
}

void BufferCache::return_surplus() {
    if (has_waiters() || free_.size() <= reserve_ || mutant::on(mutant::surplus_kept)) return;
    pool_.give(std::span<std::byte* const>(free_).subspan(reserve_));
    free_.resize(reserve_);
}

// What such a cache holds beyond its reserve is not enough for it, and may be for another: two that keep a part each
// would wait for ever.
void BufferCache::look_for_starvation() {
    const bool is_starved = has_waiters() && outstanding_ == 0;
    if (is_starved != is_starved_) pool_.count_starved(is_starved ? 1 : -1);
    is_starved_ = is_starved;
    if (!is_starved || free_.size() <= reserve_) return;
    pool_.give(std::span<std::byte* const>(free_).subspan(reserve_));
    free_.resize(reserve_);
}

size_t BufferCache::available() const { return free_.size() + pool_.shared_free(); }

}  // namespace weft
