#include "model.h"

#include <fmt/format.h>

#include <algorithm>

namespace weft::checker {

const char* name_of(Finding finding) {
    switch (finding) {
        case Finding::none: return "none";
        case Finding::lost: return "lost";
        case Finding::invented: return "invented";
        case Finding::misplaced: return "misplaced";
        case Finding::torn: return "torn";
    }
    return "?";
}

Model::Model(Mode mode, uint64_t run, uint64_t first_lba, uint64_t block_count, uint32_t block_bytes)
    : mode_(mode), run_(run), first_(first_lba), block_bytes_(block_bytes), blocks_(block_count) {}

uint64_t Model::issue(Write write) {
    WEFT_ASSERT(write.lba >= first_ && write.lba + write.count <= first_ + blocks_.size());
    write.sequence = ++last_sequence_;
    write.round = round_;
    ++now_;
    for (uint32_t index = 0; index < write.count; ++index) {
        blocks_[write.lba - first_ + index].push_back({.sequence = write.sequence,
                                                       .issued = now_,
                                                       .round = round_,
                                                       .index = index,
                                                       .count = write.count,
                                                       .kind = write.kind});
    }
    open_.emplace(write.sequence, write);
    return write.sequence;
}

void Model::end(const Write& write, bool acknowledged, bool forced) {
    ++now_;
    for (uint32_t index = 0; index < write.count; ++index) {
        Candidates& all = blocks_[write.lba - first_ + index];
        const auto found = std::ranges::find(all, write.sequence, &Candidate::sequence);
        if (found == all.end()) continue;  // a later write was proved to have come after it
        found->ended = now_;
        found->is_acknowledged = acknowledged;
        found->is_forced = forced;
        prune(all);
    }
}

void Model::acknowledge(uint64_t sequence) {
    const auto found = open_.find(sequence);
    if (found == open_.end()) return;
    end(found->second, true, found->second.fua);
    open_.erase(found);
}

void Model::refuse(uint64_t sequence) {
    const auto found = open_.find(sequence);
    if (found == open_.end()) return;
    end(found->second, false, false);
    open_.erase(found);
}

void Model::acknowledge_flush(uint64_t issued) {
    ++now_;
    durable_before_ = std::max(durable_before_, issued);
}

void Model::end_host(uint32_t host) {
    std::erase_if(open_, [&](const auto& entry) {
        if (entry.second.host != host) return false;
        end(entry.second, false, false);
        return true;
    });
}

void Model::end_all_hosts() {
    for (const auto& [sequence, write] : open_) end(write, false, false);
    open_.clear();
}

uint64_t Model::issue_read() {
    reads_.insert(++now_);
    return now_;
}

void Model::end_read(uint64_t issued) {
    ++now_;
    reads_.erase(reads_.find(issued));
}

bool Model::is_possible(const Candidates& all, const Candidate& one, uint64_t issued) const {
    if (one.overtaken < issued) return false;
    return std::ranges::none_of(all, [&](const Candidate& other) {
        return other.issued > one.ended && other.is_acknowledged && other.ended < issued &&
               other.kind != Kind::deallocated;
    });
}

bool Model::may_survive(const Candidates& all, const Candidate& one) const {
    if (mode_ == Mode::kill) return is_possible(all, one, never);
    return std::ranges::none_of(all, [&](const Candidate& other) {
        return other.issued > one.ended && is_durable(other) && other.kind != Kind::deallocated;
    });
}

// Forgets what neither a read under way nor a check after a crash may find.
void Model::prune(Candidates& all) const {
    if (all.size() < 2) return;
    const uint64_t horizon = reads_.empty() ? now_ + 1 : *reads_.begin();
    std::vector<uint64_t> gone;
    for (const Candidate& one : all) {
        const bool is_over = mode_ == Mode::kill ? !is_possible(all, one, horizon)
                                                 : !may_survive(all, one) && !is_possible(all, one, horizon);
        if (is_over) gone.push_back(one.sequence);
    }
    std::erase_if(all, [&](const Candidate& one) { return std::ranges::find(gone, one.sequence) != gone.end(); });
}

bool Model::matches(const Candidate& candidate, Content content, const Stamp& stamp) {
    if (content == Content::zeroes) return candidate.kind != Kind::data;
    return content == Content::whole && candidate.kind == Kind::data && candidate.sequence == stamp.sequence &&
           candidate.index == stamp.index && candidate.count == stamp.count && candidate.round == stamp.round;
}

Finding Model::explain(uint64_t lba, Content content, const Stamp& stamp, std::string& why) const {
    std::string allowed;
    for (const Candidate& one : blocks_[lba - first_]) {
        allowed +=
            fmt::format("{}{}{}", allowed.empty() ? "" : ", ", one.sequence, one.kind == Kind::data ? "" : " (zeroes)");
    }
    switch (content) {
        case Content::garbage:
            why = fmt::format("block {} is not whole; it should be of write {}", lba, allowed);
            return Finding::torn;
        case Content::zeroes:
            why = fmt::format("block {} is zeroes; it should be of write {}", lba, allowed);
            return Finding::lost;
        case Content::whole: break;
    }
    if (stamp.run != run_) {
        why = fmt::format("block {} is of another run", lba);
        return Finding::invented;
    }
    if (stamp.lba != lba) {
        why = fmt::format("block {} holds block {} of write {}", lba, stamp.lba, stamp.sequence);
        return Finding::misplaced;
    }
    why = fmt::format("block {} is of write {} (round {}, {} of {}); it should be of write {}", lba, stamp.sequence,
                      stamp.round, stamp.index, stamp.count, allowed);
    return stamp.sequence > last_sequence_ ? Finding::invented : Finding::lost;
}

Finding Model::judge(uint64_t lba, Bytes block, uint64_t issued, std::string& why) {
    Stamp stamp;
    const Content content = read_block(block, stamp);
    if (content == Content::whole && (stamp.run != run_ || stamp.lba != lba)) return explain(lba, content, stamp, why);
    Candidates& all = blocks_[lba - first_];
    Candidate* found = nullptr;
    uint32_t count = 0;
    for (Candidate& one : all) {
        if (!matches(one, content, stamp) || !is_possible(all, one, issued)) continue;
        found = &one;
        ++count;
    }
    if (count == 0) return explain(lba, content, stamp, why);
    if (count > 1 || found->kind == Kind::deallocated) return Finding::none;  // which of them it was is not known
    // Whatever was acknowledged before this read was issued, and is not what it found, came before that.
    for (Candidate& other : all) {
        if (other.sequence != found->sequence && other.is_acknowledged && other.ended < issued) {
            other.overtaken = std::min(other.overtaken, now_);
        }
    }
    return Finding::none;
}

Finding Model::judge_after_crash(uint64_t lba, Bytes block, std::string& why) {
    Stamp stamp;
    const Content content = read_block(block, stamp);
    if (content == Content::whole && (stamp.run != run_ || stamp.lba != lba)) return explain(lba, content, stamp, why);
    Candidates& all = blocks_[lba - first_];
    const auto found = std::ranges::find_if(
        all, [&](const Candidate& one) { return matches(one, content, stamp) && may_survive(all, one); });
    if (found == all.end()) return explain(lba, content, stamp, why);
    Candidate settled = *found;
    if (settled.kind == Kind::deallocated) settled.kind = Kind::zeroes;
    settled.issued = settled.ended = now_;
    settled.overtaken = never;
    settled.is_acknowledged = settled.is_forced = true;
    all = {settled};
    return Finding::none;
}

const Model::Candidate* Model::only_data(uint64_t lba) const {
    const Candidates& all = blocks_[lba - first_];
    const Candidate* only = nullptr;
    for (const Candidate& one : all) {
        if (!is_possible(all, one, now_ + 1)) continue;
        if (only != nullptr || one.ended == never || one.kind != Kind::data) return nullptr;
        only = &one;
    }
    return only;
}

bool Model::may_differ(uint64_t lba, uint64_t sequence, uint64_t issued) const {
    const Candidates& all = blocks_[lba - first_];
    return std::ranges::any_of(
        all, [&](const Candidate& one) { return one.sequence != sequence && is_possible(all, one, issued); });
}

Stamp Model::stamp_of(uint64_t lba, const Candidate& candidate) const {
    return {.run = run_,
            .lba = lba,
            .sequence = candidate.sequence,
            .round = candidate.round,
            .index = candidate.index,
            .count = candidate.count};
}

void Model::restore(uint64_t lba, const Candidate& candidate) {
    Candidate settled = candidate;
    settled.issued = settled.ended = now_;
    settled.is_acknowledged = settled.is_forced = true;
    blocks_[lba - first_] = {settled};
}

}  // namespace weft::checker
