#include "app/cli/load/perf_units.h"

#include <fmt/format.h>

#include <utility>

#include "app/cli/load/stamp.h"

namespace weft::cli {

std::optional<Workload> workload_from_name(std::string_view name) {
    static constexpr std::pair<std::string_view, Workload> names[] = {
        {"read", Workload::read},           {"write", Workload::write}, {"randread", Workload::randread},
        {"randwrite", Workload::randwrite}, {"rw", Workload::rw},       {"randrw", Workload::randrw}};
    for (const auto& [known, workload] : names) {
        if (known == name) return workload;
    }
    return std::nullopt;
}

void PerfResults::add(const PerfResults& other) {
    reads.add(other.reads);
    writes.add(other.writes);
    failed += other.failed;
    aborted += other.aborted;
    verify_faults += other.verify_faults;
    verified_blocks += other.verified_blocks;
    note_failure(other.first_failure);
}

PerfUnits::PerfUnits(const PerfPlan& plan, UnitRange range, uint64_t seed)
    : plan_(plan), range_(range), unit_blocks_(plan.unit_blocks()), random_state_(seed | 1) {
    if (!plan_.verify) return;
    generations_.resize(range_.count);
    is_busy_.resize(range_.count);
}

// Two commands at one unit at a time would leave open which comes first. There are more units than slots.
uint64_t PerfUnits::take(uint64_t unit) {
    while (is_busy_[unit]) unit = unit + 1 == range_.count ? 0 : unit + 1;
    is_busy_[unit] = true;
    return unit;
}

uint64_t PerfUnits::stamp(uint64_t unit, MutableBytes data) {
    const uint64_t generation = ++last_generation_;
    for (uint32_t block = 0; block < plan_.unit_blocks(); ++block) {
        write_stamp(data.subspan(size_t{block} * plan_.block_bytes, plan_.block_bytes),
                    {.lba = lba_of(unit) + block, .generation = generation, .run = plan_.run});
    }
    return generation;
}

void PerfUnits::check(uint64_t unit, Bytes data, PerfResults& results) const {
    const uint32_t generation = generations_[unit];
    for (uint32_t block = 0; block < plan_.unit_blocks(); ++block) {
        const Bytes bytes = data.subspan(size_t{block} * plan_.block_bytes, plan_.block_bytes);
        const uint64_t lba = lba_of(unit) + block;
        Stamp found;
        // What this run has not written may hold anything, but no stamp of another block.
        const StampFault fault = generation != 0
                                     ? check_stamp(bytes, {.lba = lba, .generation = generation, .run = plan_.run})
                                     : read_stamp(bytes, lba, found);
        if (generation == 0 && fault == StampFault::no_stamp) continue;
        ++results.verified_blocks;
        if (fault == StampFault::none) continue;
        ++results.verify_faults;
        results.note_failure(fmt::format("block {}: {}", lba, name_of(fault)));
    }
}

void fill_for_load(MutableBytes memory, uint64_t seed) {
    uint64_t pattern = seed;
    for (size_t at = 0; at < memory.size(); at += 8) {
        pattern = pattern * 6364136223846793005 + 1442695040888963407;
        store(memory.subspan(at), pattern);
    }
}

}  // namespace weft::cli
