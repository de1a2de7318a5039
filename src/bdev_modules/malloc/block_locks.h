// Keeps the blocks of a RAM disk whole: while a reader has a block no writer changes it, also between reactors.
// The only shared state of the data path.
//
// A word stands for a granule of 4 KiB (or one block, if that is larger) and for others that many granules further
// on. It counts readers, or says that a writer has it. A writer takes all words of his range or none, has them for
// the time of a copy, and leaves it to the caller to try again; a reader looks again for some microseconds. So whoever
// is waited for waits for nobody.
//
// So that readers who follow one another without a gap do not keep a writer out for ever, a writer who is refused
// leaves a number of refusals in the word: so many lent reads are refused in turn, and go on as copies, which have
// the word for the time of a copy only.
//
// When all channels are on one reactor nothing can happen in between, so there are no locks: only the readers of
// lent blocks are counted, without atomic operations, for the writes that come in the same turn.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>

namespace weft::bdev {

class BlockLocks {
public:
    // Granules, counted from the start of the device.
    struct Range {
        uint64_t first = 0;
        uint64_t end = 0;
    };
    static constexpr size_t words_max = 16384;

    BlockLocks(uint64_t device_bytes, uint32_t block_bytes, bool is_concurrent);

    [[nodiscard]] bool is_concurrent() const { return is_concurrent_; }
    [[nodiscard]] uint64_t granule_bytes() const { return uint64_t{1} << granule_shift_; }
    // The granules that the bytes (at least one) touch.
    [[nodiscard]] Range touched(uint64_t offset_bytes, uint64_t bytes) const {
        return {offset_bytes >> granule_shift_, ((offset_bytes + bytes - 1) >> granule_shift_) + 1};
    }

    // For a read from the device's own memory, until the turn ends at the latest.
    [[nodiscard]] bool lend(Range range);
    void end_lend(Range range);

    // For a read that copies; only when concurrent.
    [[nodiscard]] bool lock_shared(uint64_t granule);
    void unlock_shared(uint64_t granule);

    // For a change. At most words_max granules. When not concurrent true means that nobody reads, and there is
    // nothing to unlock.
    [[nodiscard]] bool lock_exclusive(Range range);
    void unlock_exclusive(Range range);

private:
    using Word = std::atomic<uint32_t>;
    static constexpr uint32_t writer = 1U << 31;
    static constexpr uint32_t one_refusal = 1U << 24;
    static constexpr uint32_t refusals = 0x7FU << 24;
    static constexpr uint32_t readers = one_refusal - 1;

    [[nodiscard]] Word& word_of(uint64_t granule) const { return words_[granule & mask_]; }
    static bool take_shared(Word& word, bool may_be_refused);
    static bool take_exclusive(Word& word);

    const bool is_concurrent_;
    uint32_t granule_shift_;
    uint64_t mask_;
    std::unique_ptr<Word[]> words_;
};

}  // namespace weft::bdev
