// What a queue of a load does next: at which unit of its range, whether it reads or writes, and, where blocks are to be
// verified, what it wrote there. The same for `weft perf` and `weft bdevperf`.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "app/cli/load/histogram.h"
#include "app/cli/load/perf_plan.h"
#include "base/bytes.h"
#include "env/environment.h"

namespace weft::cli {

// Units [first, first + count) of the range.
struct UnitRange {
    uint64_t first = 0;
    uint64_t count = 0;
};

struct PerfTimes {
    env::TimeNs measure_from = 0;  // what is done before is warm-up
    env::TimeNs end = 0;  // nothing is submitted after it
};

// What came of it.
struct PerfResults {
    Histogram reads;
    Histogram writes;  // and all else that is no read
    uint64_t failed = 0;
    uint64_t aborted = 0;  // by a reset, where there are resets
    uint64_t verify_faults = 0;
    uint64_t verified_blocks = 0;
    std::string first_failure;

    void add(const PerfResults& other);
    void note_failure(std::string_view text) {
        if (first_failure.empty()) first_failure = text;
    }
};

class PerfUnits {
public:
    // `range`: for plan.verify, units that no other queue touches.
    PerfUnits(const PerfPlan& plan, UnitRange range, uint64_t seed);
    PerfUnits(const PerfUnits&) = delete;
    PerfUnits& operator=(const PerfUnits&) = delete;

    // The next unit. With plan.verify it is the caller's until release().
    uint64_t next() {
        uint64_t unit = 0;
        if (plan_.is_random) {
            __extension__ using Wide = unsigned __int128;
            unit = static_cast<uint64_t>(Wide{next_random()} * range_.count >> 64);
        } else {
            unit = sequential_;
            sequential_ = sequential_ + 1 == range_.count ? 0 : sequential_ + 1;
        }
        return plan_.verify ? take(unit) : unit;
    }
    void release(uint64_t unit) {
        if (plan_.verify) is_busy_[unit] = false;
    }
    // Whether the next one is to be a read.
    bool next_is_read() {
        if (plan_.read_percent == 100 || plan_.read_percent == 0) return plan_.read_percent != 0;
        return (next_random() >> 32) * 100 >> 32 < plan_.read_percent;
    }
    [[nodiscard]] uint64_t lba_of(uint64_t unit) const { return (range_.first + unit) * unit_blocks_; }

    // With plan.verify. Fills `data` with blocks that say what they are; returns the generation that they have.
    uint64_t stamp(uint64_t unit, MutableBytes data);
    // The write of that generation is done; a failed one leaves neither the old nor surely the new.
    void note_written(uint64_t unit, uint64_t generation) { generations_[unit] = static_cast<uint32_t>(generation); }
    void note_unknown(uint64_t unit) { generations_[unit] = 0; }
    void check(uint64_t unit, Bytes data, PerfResults& results) const;

private:
    uint64_t take(uint64_t unit);
    // xorshift64*
    uint64_t next_random() {
        random_state_ ^= random_state_ >> 12;
        random_state_ ^= random_state_ << 25;
        random_state_ ^= random_state_ >> 27;
        return random_state_ * 0x2545F4914F6CDD1D;
    }

    const PerfPlan& plan_;
    const UnitRange range_;
    const uint64_t unit_blocks_;  // not divided anew for each
    uint64_t random_state_;
    uint64_t sequential_ = 0;
    // With plan.verify: which write a unit holds, 0 when it is not known, and whether a command is at it.
    std::vector<uint32_t> generations_;
    std::vector<bool> is_busy_;
    uint32_t last_generation_ = 0;
};

// Touched now: page faults are not what is to be measured. Not all zero: some devices know zeroes.
void fill_for_load(MutableBytes memory, uint64_t seed);

}  // namespace weft::cli
