// Runs seeds in processes of their own, a few at a time: a seed that ends its process (a broken invariant, a
// sanitizer's report, a loop without end) is a failure of that seed, and the others go on.
#pragma once

#include <bitset>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "base/mutants.h"
#include "sim/storm/plan.h"
#include "sim/storm/storm.h"

namespace weft::sim {

struct RunOptions {
    uint64_t first_seed = 1;
    uint64_t seeds = 1;
    uint32_t jobs = 1;
    std::bitset<part_count> left_out;
    std::optional<uint64_t> commands;
    mutant::Mutant mutant = mutant::none;
    std::optional<Watched> watched;
    uint32_t seed_seconds_max = 60;  // of real time
    bool stop_at_failure = false;    // begin no more seeds after one
};

struct Outcome {
    uint64_t seed = 0;
    uint64_t trace_hash = 0;
    uint64_t commands = 0;
    std::string failure;  // "": none
};

struct RunResult {
    std::vector<Outcome> outcomes;   // of seeds that were run, by seed
    std::vector<std::string> marks;  // situations that were reached
    double cpu_seconds = 0;          // of all processes
};

// `on_outcome`, when given, is told each as it comes.
RunResult run_seeds(const RunOptions& options, const std::function<void(const Outcome&)>& on_outcome = nullptr);

// Leaves out of the failing seed `outcome` whatever it fails without; what is left.
struct Shrunk {
    std::bitset<part_count> left_out;
    std::optional<uint64_t> commands;
    std::string failure;
};
Shrunk shrink(const RunOptions& options, const Outcome& outcome);

}  // namespace weft::sim
