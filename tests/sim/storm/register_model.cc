#include "sim/storm/register_model.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstdio>

#include "base/assert.h"

namespace weft::sim {

RegisterModel::RegisterModel(uint32_t device, uint64_t sectors, bool writes_fail)
    : device_(device), writes_fail_(writes_fail), sectors_(sectors) {
    reset();
}

void RegisterModel::tell(SectorRange range, std::string_view what, Tick began, std::string_view more) const {
    if (!watched_ || *watched_ < range.first || *watched_ >= range.end()) return;
    fmt::print("sector {} at {}: {} (began at {}) {}\n", *watched_, tick_, what, began, more);
    std::fflush(stdout);
}

// Reads that began before may still bring what was there.
void RegisterModel::reset() {
    const Tick now = next_tick();
    for (Sector& sector : sectors_) {
        for (Version& version : sector) {
            version.dead = std::min(version.dead, now);
            version.over = std::min(version.over, now);
        }
        tidy(sector);
        sector.push_back({.is_acknowledged = true, .is_forced = true, .began = now, .over = now});
    }
}

// What comes after that was not there before: a write that is acknowledged later may have been done before.
void RegisterModel::emptied() {
    const Tick now = next_tick();
    for (Sector& sector : sectors_) {
        for (Version& version : sector) {
            if (version.over < now) version.dead = std::min(version.dead, now);
        }
        sector.push_back({.is_acknowledged = true, .is_forced = true, .began = now, .over = now});
    }
}

void RegisterModel::reopened(bool syncs_failed) {
    if (!syncs_failed) return;
    for (Sector& sector : sectors_) {
        for (Version& version : sector) {
            if (!is_durable(version)) version.is_given_up = true;
        }
    }
}

RegisterModel::Tick RegisterModel::begin_write(SectorRange range, Value value) {
    const Tick now = next_tick();
    for (uint64_t at = range.first; at < range.end(); ++at) {
        tidy(sectors_[at]);
        sectors_[at].push_back({.value = value, .began = now});
    }
    tell(range, "a write begins", now, fmt::format("{}", value));
    return now;
}

RegisterModel::Version* RegisterModel::find(Sector& sector, Tick began) {
    const auto at = std::ranges::find(sector, began, &Version::began);
    return at == sector.end() ? nullptr : &*at;
}

// `by` has happened before `moment`: what was over when it began is older, and so is not given to reads from now on.
void RegisterModel::supersede(Sector& sector, const Version& by, Tick moment) {
    for (Version& version : sector) {
        if (version.over < by.began) version.dead = std::min(version.dead, moment);
    }
}

std::string RegisterModel::write_done(SectorRange range, Tick began, bool is_durable) {
    std::string problem;
    const Tick now = next_tick();
    tell(range, "a write is acknowledged", began);
    for (uint64_t at = range.first; at < range.end(); ++at) {
        Version* version = find(sectors_[at], began);
        if (version == nullptr) continue;  // long superseded
        // The target has died since, and the answer was under way: only what was forced is there for certain.
        if (version->over != never && !is_durable) continue;
        version->is_acknowledged = true;
        version->is_forced = is_durable;
        if (version->over == never && version->is_seen_in_parts && problem.empty()) {
            problem = fmt::format("device {}, sector {}: write {} has not failed, and a read gave parts of its block",
                                  device_, at, version->value);
        }
        if (version->over == never) version->over = now;
        supersede(sectors_[at], *version, now);
    }
    return problem;
}

void RegisterModel::write_lost(SectorRange range, Tick began, bool is_over) {
    const Tick now = next_tick();
    tell(range, is_over ? "a write has failed" : "a write is lost", began);
    for (uint64_t at = range.first; at < range.end(); ++at) {
        Version* version = find(sectors_[at], began);
        if (version == nullptr) continue;
        version->is_torn = true;
        if (is_over) version->over = now;
    }
}

void RegisterModel::settle(SectorRange range, Tick began) {
    const Tick now = next_tick();
    tell(range, "a lost write is over", began);
    for (uint64_t at = range.first; at < range.end(); ++at) {
        Version* version = find(sectors_[at], began);
        if (version != nullptr && version->over == never) version->over = now;
    }
}

RegisterModel::Tick RegisterModel::begin_read() {
    const Tick now = next_tick();
    reads_.insert(now);
    return now;
}

// Drops what neither a read under way nor a loss of power may bring back.
void RegisterModel::tidy(Sector& sector) {
    if (sector.size() < 2) return;
    const Tick oldest_read = reads_.empty() ? tick_ : *reads_.begin();
    Tick durable_since = 0;
    for (const Version& version : sector) {
        if (is_durable(version)) durable_since = std::max(durable_since, version.began);
    }
    std::erase_if(sector,
                  [&](const Version& version) { return version.dead < oldest_read && version.over < durable_since; });
}

std::optional<std::string> RegisterModel::check_sector(uint64_t number, Tick began, Bytes bytes, Version& given) {
    std::string problem;
    const std::optional<Value> value = read_stamp(bytes, device_, number, problem);
    if (!value) return fmt::format("device {}, sector {}: {}", device_, number, problem);
    Sector& sector = sectors_[number];
    Version* found = nullptr;
    bool is_torn = false;
    bool is_open = false;
    for (Version& version : sector) {
        if (version.value != *value || version.dead <= began) continue;
        is_torn = is_torn || version.is_torn;
        is_open = is_open || version.over == never;
        found = &version;  // the newest of several
    }
    if (found == nullptr) {
        tell({number, 1}, "a read gave wrongly", began, fmt::format("{}", *value));
        return fmt::format("device {}, sector {}: a read gave {}; there may be {}", device_, number,
                           *value == zeroes ? "zeroes" : fmt::format("write {}", *value), describe(number));
    }
    if (watched_ == number) tell({number, 1}, "a read gave", began, fmt::format("{}", *value));
    given = *found;
    given.is_torn = is_torn;
    if (is_open) given.over = never;
    // What was over before the read began is older than what it gave; of writes of one value (zeroes) it may be any.
    const Tick now = tick_;
    if (is_mirrored_) return std::nullopt;
    for (Version& version : sector) {
        if (version.value != *value && version.over < began) version.dead = std::min(version.dead, now);
    }
    return std::nullopt;
}

// What the sectors of one block gave.
class RegisterModel::Block {
public:
    void add(const Version& given) {
        if (count_++ == 0) first_ = given.value;
        if (given.value != first_) other_ = given.value;
        is_mixed_ = is_mixed_ || given.value != first_;
        is_torn_ = is_torn_ || given.is_torn;
        if (given.over != never || given.began == open_) return;
        // Of zeroes it is not known who wrote them.
        is_open_unclear_ = open_ != 0 || given.value == zeroes;
        open_ = given.began;
    }
    [[nodiscard]] uint64_t count() const { return count_; }
    // Of several writes, each of which is known not to have failed, or may yet fail.
    [[nodiscard]] bool is_mixed() const { return is_mixed_ && !is_torn_; }
    [[nodiscard]] bool has_open() const { return open_ != 0; }
    // The one write that must have failed.
    [[nodiscard]] std::optional<Tick> culprit() const { return is_open_unclear_ ? std::nullopt : std::optional(open_); }
    [[nodiscard]] Value first() const { return first_; }
    [[nodiscard]] Value other() const { return other_; }

private:
    uint64_t count_ = 0;
    Value first_ = zeroes;
    Value other_ = zeroes;
    bool is_mixed_ = false;
    bool is_torn_ = false;
    bool is_open_unclear_ = false;
    Tick open_ = 0;  // 0: none
};

void RegisterModel::note_parts(SectorRange block, const Block& seen) {
    const auto culprit = seen.culprit();
    for (uint64_t at = block.first; culprit && at < block.end(); ++at) {
        if (Version* version = find(sectors_[at], *culprit)) version->is_seen_in_parts = true;
    }
}

std::string RegisterModel::read_done(SectorRange range, Tick began, Bytes data, uint32_t block_sectors) {
    WEFT_ASSERT(data.size() == range.count * sector_bytes);
    next_tick();
    Block seen;
    std::string result;
    for (uint64_t at = 0; at < range.count && result.empty(); ++at) {
        Version given;
        if (auto problem =
                check_sector(range.first + at, began, data.subspan(at * sector_bytes, sector_bytes), given)) {
            result = std::move(*problem);
            break;
        }
        seen.add(given);
        if (seen.count() < block_sectors) continue;
        const SectorRange block{range.first + at + 1 - block_sectors, block_sectors};
        if (seen.is_mixed() && writes_fail_ && seen.has_open()) {
            note_parts(block, seen);
        } else if (seen.is_mixed()) {
            result =
                fmt::format("device {}, block of sectors {} to {}: parts of writes {} and {}; there may be {}", device_,
                            block.first, block.end() - 1, seen.first(), seen.other(), describe(block.end() - 1));
        }
        seen = Block();
    }
    reads_.erase(reads_.find(began));
    return result;
}

std::optional<std::vector<Value>> RegisterModel::known(SectorRange range) const {
    std::vector<Value> values;
    for (uint64_t at = range.first; at < range.end(); ++at) {
        const Version* only = nullptr;
        for (const Version& version : sectors_[at]) {
            if (version.dead != never) continue;
            if (only != nullptr || version.over == never) return std::nullopt;
            only = &version;
        }
        if (only == nullptr) return std::nullopt;
        values.push_back(only->value);
    }
    return values;
}

RegisterModel::Tick RegisterModel::quiet_since(SectorRange range) const {
    Tick last = 0;
    for (uint64_t at = range.first; at < range.end(); ++at) {
        for (const Version& version : sectors_[at]) last = std::max({last, version.began, version.over});
    }
    return last;
}

void RegisterModel::process_killed(bool syncs_failed) {
    const Tick now = next_tick();
    for (Sector& sector : sectors_) {
        for (Version& version : sector) {
            if (syncs_failed && !is_durable(version)) version.is_given_up = true;
            if (version.over != never) continue;
            version.over = now;
            version.is_torn = true;
        }
    }
}

void RegisterModel::power_lost() {
    process_killed();
    const Tick now = next_tick();
    for (Sector& sector : sectors_) {
        Tick durable_since = 0;
        for (const Version& version : sector) {
            if (is_durable(version)) durable_since = std::max(durable_since, version.began);
        }
        // Any of the rest may be what the medium has; none of them is newer than another any more.
        for (Version& version : sector) {
            if (version.over < durable_since) {
                version.dead = std::min(version.dead, now);  // answers that are under way may still have it
                continue;
            }
            version.dead = never;
            version.is_forced = version.is_acknowledged = false;
            version.is_torn = true;
            version.over = now;
        }
        tidy(sector);
        if (sector.size() == 1) sector.front().is_forced = sector.front().is_acknowledged = true;
    }
}

std::string RegisterModel::describe(uint64_t sector) const {
    std::string text;
    for (const Version& version : sectors_[sector]) {
        text += fmt::format("{}{}{}", text.empty() ? "" : ", ",
                            version.value == zeroes ? "zeroes" : fmt::format("write {}", version.value),
                            version.dead != never     ? " (superseded)"
                            : version.is_acknowledged ? " (acknowledged)"
                            : version.over == never   ? " (under way)"
                                                      : " (unanswered)");
    }
    return text;
}

}  // namespace weft::sim
