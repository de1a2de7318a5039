// What a device may hold: for every sector the writes that a read may give, and those that a loss of power may bring
// back. Each sector is a register of its own: a read gives a write that was under way, or the last one acknowledged,
// at some moment between the read's begin and its end; once it was given, what must be older is never given again.
//
// Time is a count of the model's own events, so that what happens in one moment has an order. docs/durability.md is the
// contract that this holds the target to.
#pragma once

#include <cstdint>
#include <limits>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "sim/storm/stamp.h"

namespace weft::sim {

struct SectorRange {
    uint64_t first = 0;
    uint64_t count = 0;
    [[nodiscard]] uint64_t end() const { return first + count; }
};

class RegisterModel {
public:
    using Tick = uint64_t;

    // A new device: zeroes. Names it in messages and stamps.
    // With `writes_fail` a write may leave a block in parts before it is known to have failed; if it does not fail
    // then, it may not have been seen so.
    RegisterModel(uint32_t device, uint64_t sectors, bool writes_fail = false);

    [[nodiscard]] uint32_t device() const { return device_; }
    [[nodiscard]] uint64_t sectors() const { return sectors_.size(); }

    // A write (or zeroing: value `zeroes`) is sent. Its answer is one of the three below, or never comes.
    Tick begin_write(SectorRange range, Value value);
    // Success. With `is_durable` it is on the medium (FUA). The problem, "" when there is none.
    std::string write_done(SectorRange range, Tick began, bool is_durable);
    // It failed, or its answer was lost: done or not, sector by sector. Until settle() it may still be going on.
    void write_lost(SectorRange range, Tick began, bool is_over);
    // Writes that were lost and began before this are over.
    void settle(SectorRange range, Tick began);

    Tick begin_flush() { return next_tick(); }
    // Success: what was acknowledged before it began is on the medium.
    void flush_done(Tick began) { flushed_ = std::max(flushed_, began); }

    Tick begin_read();
    // The read is over, without data.
    void read_lost(Tick began) { reads_.erase(began); }
    // What it gave: the problem, "" when there is none. `block_sectors` are atomic.
    std::string read_done(SectorRange range, Tick began, Bytes data, uint32_t block_sectors);

    // The one value that a read of these sectors gives now, for each; nothing when there is more than one.
    [[nodiscard]] std::optional<std::vector<Value>> known(SectorRange range) const;
    // Since when nothing has happened to these sectors.
    [[nodiscard]] Tick quiet_since(SectorRange range) const;

    // The target's process was killed: what was acknowledged is there, what was under way is there or not. With
    // `syncs_failed` the system may have given up what was not on the medium, and nobody is left who remembers.
    void process_killed(bool syncs_failed = false);
    // Power was lost: what is on the medium for certain is there, or something later.
    void power_lost();
    // All is gone: zeroes again.
    void reset();
    // The same while hosts write: what is under way may be done before or after.
    void emptied();
    // The device was closed and opened again. With `syncs_failed` it does not remember what the system gave up.
    void reopened(bool syncs_failed);
    // It is kept in several places, and read from any: what was read does not tell what the next read gives, only what
    // was acknowledged does (docs/bdev/raid.md).
    void set_mirrored() { is_mirrored_ = true; }
    // Tells on standard output what happens to this sector, for who looks for a bug.
    void watch(uint64_t sector) { watched_ = sector; }
    // Values that are kept for the sector, for messages.
    [[nodiscard]] std::string describe(uint64_t sector) const;

private:
    static constexpr Tick never = std::numeric_limits<Tick>::max();
    struct Version {
        Value value = zeroes;
        bool is_acknowledged = false;
        bool is_forced = false;  // FUA
        bool is_torn = false;  // lost: of its block perhaps only some sectors
        bool is_seen_in_parts = false;  // while it was under way
        bool is_given_up = false;  // no flush makes it durable any more
        Tick began = 0;
        Tick over = never;  // from then on it happens no more
        Tick dead = never;  // from then on no read that begins may give it
    };
    using Sector = std::vector<Version>;  // by `began`

    Tick next_tick() { return ++tick_; }
    void tell(SectorRange range, std::string_view what, Tick began, std::string_view more = {}) const;
    [[nodiscard]] bool is_durable(const Version& version) const {
        return version.is_forced || (version.is_acknowledged && version.over < flushed_ && !version.is_given_up);
    }
    Version* find(Sector& sector, Tick began);
    void supersede(Sector& sector, const Version& by, Tick moment);
    void tidy(Sector& sector);
    [[nodiscard]] std::optional<std::string> check_sector(uint64_t number, Tick began, Bytes bytes, Version& given);
    class Block;
    void note_parts(SectorRange block, const Block& seen);

    const uint32_t device_;
    const bool writes_fail_;
    bool is_mirrored_ = false;
    std::vector<Sector> sectors_;
    std::multiset<Tick> reads_;  // under way
    std::optional<uint64_t> watched_;
    Tick tick_ = 0;
    Tick flushed_ = 0;
};

}  // namespace weft::sim
