#include "bdev_modules/malloc/block_locks.h"

#include <immintrin.h>

#include <algorithm>
#include <bit>

#include "base/assert.h"

namespace weft::bdev {

namespace {
constexpr uint32_t granule_bytes_min = 4096;
// A writer has a word for the time of a copy.
constexpr uint32_t looks_at_writer = 256;
}  // namespace

BlockLocks::BlockLocks(uint64_t device_bytes, uint32_t block_bytes, bool is_concurrent)
    : is_concurrent_(is_concurrent) {
    granule_shift_ = static_cast<uint32_t>(std::countr_zero(std::max(block_bytes, granule_bytes_min)));
    const uint64_t granules = ((device_bytes - 1) >> granule_shift_) + 1;
    const uint64_t words = std::bit_ceil(std::min<uint64_t>(granules, words_max));
    mask_ = words - 1;
    words_ = std::make_unique<Word[]>(words);
}

bool BlockLocks::take_shared(Word& word, bool may_be_refused) {
    uint32_t state = word.load(std::memory_order_relaxed);
    for (uint32_t looks = 0; looks < looks_at_writer;) {
        if ((state & writer) != 0) {
            ++looks;
            _mm_pause();
            state = word.load(std::memory_order_relaxed);
            continue;
        }
        const bool is_refused = may_be_refused && (state & refusals) != 0;
        const uint32_t next = is_refused ? state - one_refusal : state + 1;
        WEFT_ASSERT((state & readers) != readers);
        if (word.compare_exchange_weak(state, next, std::memory_order_acquire, std::memory_order_relaxed)) {
            return !is_refused;
        }
    }
    return false;
}

bool BlockLocks::take_exclusive(Word& word) {
    uint32_t state = word.load(std::memory_order_relaxed);
    for (;;) {
        if ((state & writer) != 0) return false;
        const bool is_read = (state & readers) != 0;
        const uint32_t next = is_read ? state | refusals : writer;
        if (word.compare_exchange_weak(state, next, std::memory_order_acquire, std::memory_order_relaxed)) {
            return !is_read;
        }
    }
}

bool BlockLocks::lend(Range range) {
    for (uint64_t granule = range.first; granule < range.end; ++granule) {
        Word& word = word_of(granule);
        if (!is_concurrent_) {
            word.store(word.load(std::memory_order_relaxed) + 1, std::memory_order_relaxed);
        } else if (!take_shared(word, true)) {
            end_lend({range.first, granule});
            return false;
        }
    }
    return true;
}

void BlockLocks::end_lend(Range range) {
    for (uint64_t granule = range.first; granule < range.end; ++granule) {
        Word& word = word_of(granule);
        const uint32_t before =
            is_concurrent_ ? word.fetch_sub(1, std::memory_order_release) : word.load(std::memory_order_relaxed);
        WEFT_ASSERT((before & readers) > 0);
        if (!is_concurrent_) word.store(before - 1, std::memory_order_relaxed);
    }
}

bool BlockLocks::lock_shared(uint64_t granule) {
    WEFT_ASSERT(is_concurrent_);
    return take_shared(word_of(granule), false);
}

void BlockLocks::unlock_shared(uint64_t granule) { end_lend({granule, granule + 1}); }

bool BlockLocks::lock_exclusive(Range range) {
    WEFT_ASSERT(range.end - range.first <= mask_ + 1);
    for (uint64_t granule = range.first; granule < range.end; ++granule) {
        if (!is_concurrent_) {
            if (word_of(granule).load(std::memory_order_relaxed) != 0) return false;
        } else if (!take_exclusive(word_of(granule))) {
            unlock_exclusive({range.first, granule});
            return false;
        }
    }
    return true;
}

// A plain store will do: nobody changes a word that a writer has.
void BlockLocks::unlock_exclusive(Range range) {
    if (!is_concurrent_) return;
    for (uint64_t granule = range.first; granule < range.end; ++granule) {
        Word& word = word_of(granule);
        WEFT_ASSERT(word.load(std::memory_order_relaxed) == writer);
        word.store(0, std::memory_order_release);
    }
}

}  // namespace weft::bdev
