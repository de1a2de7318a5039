// What each block may hold: a register per LBA, by the intervals of issue and answer of what was written to it.
//
// A write may be what a read finds unless a later one surely came after it: one that was issued when the first had
// ended and was acknowledged before the read was issued. A write that was never answered may take effect at any time
// until its host's association has surely ended. After a crash the same holds, but in the mode `power` only what is
// durable (FUA, or acknowledged before a Flush was issued that was acknowledged) replaces what came before it.
//
// Time is a counter of events: the model is fed by one thread, in order.
#pragma once

#include <cstdint>
#include <set>
#include <string>
#include <unordered_map>
#include <vector>

#include "block.h"

namespace weft::checker {

enum class Mode : uint8_t {
    kill,   // what is acknowledged survives the crash
    power,  // what is durable survives the crash
};

enum class Kind : uint8_t {
    data,
    zeroes,
    deallocated,  // zeroes, or what was there before
};

struct Write {
    uint64_t sequence = 0;  // given by the model
    uint64_t lba = 0;
    uint32_t count = 0;
    uint32_t round = 0;
    uint32_t host = 0;
    Kind kind = Kind::data;
    bool fua = false;
};

enum class Finding : uint8_t {
    none,
    lost,       // an older state than the last that must be there
    invented,   // no write that was ever issued to this block
    misplaced,  // a whole block of another LBA
    torn,       // not a whole block: parts of two writes, or damaged
};
const char* name_of(Finding finding);

class Model {
public:
    static constexpr uint64_t never = UINT64_MAX;

    Model(Mode mode, uint64_t run, uint64_t first_lba, uint64_t block_count, uint32_t block_bytes);

    // Events, in the order in which they happen. Writes lie within the range.
    uint64_t issue(Write write);         // returns its sequence
    void acknowledge(uint64_t sequence);
    void refuse(uint64_t sequence);      // ended with an error: its blocks hold it or not, each
    uint64_t issue_flush() { return ++now_; }
    void acknowledge_flush(uint64_t issued);
    void end_host(uint32_t host);        // whatever of it was not answered has now taken effect or never will
    void end_all_hosts();
    // Reads: between these two the model keeps what they may still find.
    uint64_t issue_read();
    void end_read(uint64_t issued);

    // What a read of a block that was issued at `issued` and answered now may tell. It is taken as seen: later reads
    // may find nothing older.
    Finding judge(uint64_t lba, Bytes block, uint64_t issued, std::string& why);
    // What is found after a crash and the end of all hosts. From now on it is what is there, durably.
    Finding judge_after_crash(uint64_t lba, Bytes block, std::string& why);
    void next_round() { ++round_; }

    // The one write whose data is surely in `lba` if nothing is issued meanwhile; nullptr when there are several, or it
    // is zeroes.
    struct Candidate {
        uint64_t sequence = 0;
        uint64_t issued = 0;
        uint64_t ended = never;
        uint64_t overtaken = never;  // a read that ended then proved that another came after it
        uint32_t round = 0;
        uint32_t index = 0;
        uint32_t count = 0;
        Kind kind = Kind::data;
        bool is_acknowledged = false;
        bool is_forced = false;  // FUA, acknowledged
    };
    [[nodiscard]] const Candidate* only_data(uint64_t lba) const;
    // Whether a read of `lba` issued at `issued` could find something else than the data of `sequence`.
    [[nodiscard]] bool may_differ(uint64_t lba, uint64_t sequence, uint64_t issued) const;
    [[nodiscard]] Stamp stamp_of(uint64_t lba, const Candidate& candidate) const;

    // For a journal's snapshot: every block has one candidate after judge_after_crash().
    [[nodiscard]] const std::vector<Candidate>& candidates(uint64_t lba) const { return blocks_[lba - first_]; }
    void restore(uint64_t lba, const Candidate& candidate);
    void set_last(uint64_t sequence, uint32_t round) {
        last_sequence_ = sequence;
        round_ = round;
    }

    [[nodiscard]] Mode mode() const { return mode_; }
    [[nodiscard]] uint64_t run() const { return run_; }
    [[nodiscard]] uint64_t first() const { return first_; }
    [[nodiscard]] uint64_t block_count() const { return blocks_.size(); }
    [[nodiscard]] uint32_t block_bytes() const { return block_bytes_; }
    [[nodiscard]] uint32_t round() const { return round_; }
    [[nodiscard]] uint64_t last_sequence() const { return last_sequence_; }
    [[nodiscard]] size_t open_count() const { return open_.size(); }

private:
    using Candidates = std::vector<Candidate>;

    void end(const Write& write, bool acknowledged, bool forced);
    [[nodiscard]] bool is_durable(const Candidate& candidate) const {
        return candidate.is_forced || (candidate.is_acknowledged && candidate.ended < durable_before_);
    }
    [[nodiscard]] bool is_possible(const Candidates& all, const Candidate& one, uint64_t issued) const;
    [[nodiscard]] bool may_survive(const Candidates& all, const Candidate& one) const;
    void prune(Candidates& all) const;
    Finding explain(uint64_t lba, Content content, const Stamp& stamp, std::string& why) const;
    static bool matches(const Candidate& candidate, Content content, const Stamp& stamp);

    Mode mode_;
    uint64_t run_;
    uint64_t first_;
    uint32_t block_bytes_;
    uint32_t round_ = 0;
    uint64_t now_ = 1;
    uint64_t last_sequence_ = 0;
    uint64_t durable_before_ = 0;
    std::vector<Candidates> blocks_;
    std::unordered_map<uint64_t, Write> open_;  // issued, fate unknown
    std::multiset<uint64_t> reads_;
};

}  // namespace weft::checker
