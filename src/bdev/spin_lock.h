// A lock for the time of a look or a small change, between reactors. Whoever has it waits for nothing.
#pragma once

#include <immintrin.h>

#include <atomic>

namespace weft::bdev {

class SpinLock {
public:
    class Hold {
    public:
        explicit Hold(SpinLock& lock) : lock_(lock) {
            while (lock_.busy_.test_and_set(std::memory_order_acquire)) {
                while (lock_.busy_.test(std::memory_order_relaxed)) _mm_pause();
            }
        }
        Hold(const Hold&) = delete;
        Hold& operator=(const Hold&) = delete;
        ~Hold() { lock_.busy_.clear(std::memory_order_release); }

    private:
        SpinLock& lock_;
    };

private:
    std::atomic_flag busy_;
};

}  // namespace weft::bdev
