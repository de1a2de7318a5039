// weft-sim: runs seeds of the simulation, and shows what fails.
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <cstdio>
#include <exception>
#include <thread>

#include "sim/storm/runner.h"
#include "sim/storm/storm.h"

namespace weft::sim {
namespace {

constexpr const char* about =
    "Runs the target and hosts, the objects of the product, in one OS thread and a world in which a seed decides "
    "everything: "
    "configuration, work, order, delays, faults. Oracles watch all the time (docs/reliability.md).";

struct Options {
    RunOptions run;
    std::string without;
    std::string mutant;
    std::string watch;
    uint64_t commands = 0;
    bool shrinks = false;
    bool prints_hashes = false;
    bool prints_plans = false;
    bool prints_marks = false;
    bool all_mutants = false;
    bool lists = false;
};

std::string words_of(const std::bitset<part_count>& parts) {
    std::string text;
    for (size_t at = 0; at < part_count; ++at) {
        if (parts[at]) text += fmt::format("{}{}", text.empty() ? "" : ",", name_of(static_cast<Part>(at)));
    }
    return text;
}

std::string replay_line(const RunOptions& run, uint64_t seed, const std::bitset<part_count>& left_out,
                        std::optional<uint64_t> commands) {
    std::string line = fmt::format("weft-sim --seed {}", seed);
    if (left_out.any()) line += " --without " + words_of(left_out);
    if (commands) line += fmt::format(" --commands {}", *commands);
    for (const mutant::Description& one : mutant::all) {
        if (one.mutant == run.mutant && run.mutant != mutant::none) line += fmt::format(" --mutant {}", one.name);
    }
    return line;
}

void read_parts(Options& options) {
    std::string text = options.without;
    while (!text.empty()) {
        const size_t comma = text.find(',');
        const std::string name = text.substr(0, comma);
        text.erase(0, comma == std::string::npos ? comma : comma + 1);
        const auto part = part_of(name);
        if (!part) throw CLI::ValidationError("--without", "no part \"" + name + "\"; --list names them");
        options.run.left_out[static_cast<size_t>(*part)] = true;
    }
}

void read_watch(Options& options) {
    if (options.watch.empty()) return;
    Watched watched;
    if (std::sscanf(options.watch.c_str(), "%zu:%lu", &watched.device, &watched.sector) != 2) {
        throw CLI::ValidationError("--watch", "two numbers, DEVICE:SECTOR");
    }
    options.run.watched = watched;
}

mutant::Mutant mutant_of(const std::string& name) {
    if (!mutant::are_built) {
        throw CLI::ValidationError("--mutant",
                                   "this build has no mutants in it: cmake --preset sim && cmake --build --preset sim");
    }
    for (const mutant::Description& one : mutant::all) {
        if (one.name == name) return one.mutant;
    }
    throw CLI::ValidationError("--mutant", "no mutant \"" + name + "\"; --list names them");
}

void list() {
    fmt::print("parts of a seed (--without):\n");
    for (size_t at = 0; at < part_count; ++at) fmt::print("  {}\n", name_of(static_cast<Part>(at)));
    fmt::print("mutants (--mutant){}:\n", mutant::are_built ? "" : ", not in this build");
    for (const mutant::Description& one : mutant::all) fmt::print("  {:<32} {}\n", one.name, one.what);
}

void report_failure(const Options& options, const Outcome& outcome) {
    fmt::print("not ok seed {}: {}\n", outcome.seed, outcome.failure);
    fmt::print("    {}\n", replay_line(options.run, outcome.seed, options.run.left_out, options.run.commands));
    if (!options.shrinks) return;
    const Shrunk shrunk = shrink(options.run, outcome);
    fmt::print("    shrunk: {}\n", shrunk.failure);
    fmt::print("    {}\n", replay_line(options.run, outcome.seed, shrunk.left_out, shrunk.commands));
    fmt::print("    {}\n", Plan::of(outcome.seed, shrunk.left_out, shrunk.commands).describe());
}

int run_plain(Options& options) {
    const bool is_quiet = options.run.seeds > 20 && !options.prints_hashes;
    uint64_t done = 0;
    const RunResult result = run_seeds(options.run, [&](const Outcome& /*outcome*/) {
        ++done;
        if (is_quiet && done % 500 == 0) fmt::print(stderr, "{} of {} seeds\n", done, options.run.seeds);
    });
    uint64_t failed = 0;
    uint64_t commands = 0;
    for (const Outcome& outcome : result.outcomes) {
        commands += outcome.commands;
        if (options.prints_plans) {
            fmt::print("seed {}: {}\n", outcome.seed,
                       Plan::of(outcome.seed, options.run.left_out, options.run.commands).describe());
        }
        if (options.prints_hashes && outcome.failure.empty())
            fmt::print("seed {} hash {:016x}\n", outcome.seed, outcome.trace_hash);
        if (outcome.failure.empty()) continue;
        if (++failed <= 10) report_failure(options, outcome);
    }
    if (options.prints_marks) {
        for (const std::string& mark : result.marks) fmt::print("reached: {}\n", mark);
    }
    fmt::print("{} seeds, {} failed, {} commands, {:.0f} a second of CPU time\n", result.outcomes.size(), failed,
               commands, result.cpu_seconds > 0 ? static_cast<double>(commands) / result.cpu_seconds : 0);
    return failed == 0 ? 0 : 1;
}

// A mutant is found when a seed fails. Success is that all are.
int hunt_mutants(const Options& options) {
    int survivors = 0;
    for (const mutant::Description& one : mutant::all) {
        if (!options.mutant.empty() && options.mutant != one.name) continue;
        RunOptions run = options.run;
        run.mutant = mutant_of(std::string(one.name));
        run.stop_at_failure = true;
        run.seed_seconds_max = std::min<uint32_t>(run.seed_seconds_max, 30);
        const RunResult result = run_seeds(run);
        const auto found =
            std::ranges::find_if(result.outcomes, [](const Outcome& outcome) { return !outcome.failure.empty(); });
        if (found == result.outcomes.end()) {
            ++survivors;
            fmt::print("not ok {}: not found by {} seeds ({})\n", one.name, result.outcomes.size(), one.what);
        } else {
            fmt::print("ok {} found by seed {}: {:.150}\n", one.name, found->seed, found->failure);
        }
        std::fflush(stdout);
    }
    return survivors == 0 ? 0 : 1;
}

int main_of(int argc, char** argv) {
    CLI::App app(about, "weft-sim");
    Options options;
    options.run.jobs = std::max(1U, std::thread::hardware_concurrency());
    app.add_option("--seeds", options.run.seeds, "how many to run, from --seed on")
        ->check(CLI::PositiveNumber)
        ->capture_default_str();
    app.add_option("--seed", options.run.first_seed, "the first, or only one")->capture_default_str();
    app.add_option("--jobs", options.run.jobs, "seeds at a time")->check(CLI::Range(1, 256))->capture_default_str();
    app.add_option("--without", options.without, "parts to leave out, with commas: see --list");
    app.add_option("--commands", options.commands,
                   "commands of all hosts together, instead of the seed's 2000 to 3000");
    app.add_flag("--shrink", options.shrinks, "reduces each failing seed to what it needs to fail");
    app.add_flag("--hashes", options.prints_hashes,
                 "prints the hash of all events of each seed: the same in every run and build");
    app.add_flag("--plans", options.prints_plans, "prints what each seed decided");
    app.add_flag("--marks", options.prints_marks, "prints which situations were reached");
    app.add_option("--mutant", options.mutant, "runs seeds with this known bug switched on until one fails");
    app.add_flag("--mutants", options.all_mutants, "the same for every known bug; succeeds when each is found");
    app.add_option("--watch", options.watch, "DEVICE:SECTOR whose story is told as it happens, and the target's log");
    app.add_option("--limit", options.run.seed_seconds_max, "seconds of real time that a seed may take")
        ->capture_default_str();
    app.add_flag("--list", options.lists, "names the parts and the mutants");
    try {
        app.parse(argc, argv);
        if (options.commands > 0) options.run.commands = options.commands;
        read_parts(options);
        read_watch(options);
        if (options.lists) return list(), 0;
        if (!options.mutant.empty()) {
            (void)mutant_of(options.mutant);
            return hunt_mutants(options);
        }
        if (options.all_mutants) {
            (void)mutant_of(std::string(mutant::all.front().name));
            return hunt_mutants(options);
        }
        return run_plain(options);
    } catch (const CLI::ParseError& error) {
        return app.exit(error);
    }
}

}  // namespace
}  // namespace weft::sim

int main(int argc, char** argv) {
    try {
        return weft::sim::main_of(argc, argv);
    } catch (const std::exception& error) {
        std::fprintf(stderr, "weft-sim: %s\n", error.what());
        return 2;
    }
}
