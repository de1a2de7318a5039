#include "sim/storm/runner.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <poll.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <cstring>
#include <list>
#include <set>
#include <sstream>

#include "sim/failure.h"
#include "sim/storm/storm.h"

namespace weft::sim {

namespace {

constexpr uint64_t seeds_of_a_process = 20;
using Clock = std::chrono::steady_clock;

// The child's side: a line for each thing it has to tell.
int tell_fd = -1;
uint64_t running_seed = 0;

void tell(const std::string& line) {
    size_t done = 0;
    while (done < line.size()) {
        const ssize_t written = write(tell_fd, line.data() + done, line.size() - done);
        if (written <= 0) _exit(2);
        done += static_cast<size_t>(written);
    }
}

std::string one_line(std::string text) {
    std::ranges::replace(text, '\n', ' ');
    return text;
}

[[noreturn]] void run_child(const RunOptions& options, uint64_t first, uint64_t count) {
#ifdef WEFT_MUTANTS
    mutant::switched_on = options.mutant;
#endif
    test::set_failure_sink([](const std::string& what) {
        tell(fmt::format("fail {} {}\n", running_seed, one_line(what)));
        _exit(1);
    });
    for (running_seed = first; running_seed < first + count; ++running_seed) {
        tell(fmt::format("seed {}\n", running_seed));
        const StormResult result =
            run_storm(Plan::of(running_seed, options.left_out, options.commands), options.watched);
        tell(fmt::format("ok {} {} {}\n", running_seed, result.trace_hash, result.commands));
    }
    for (const std::string& mark : reached_marks()) tell("mark " + mark + "\n");
    _exit(0);
}

struct Child {
    pid_t process = -1;
    int news = -1;     // its lines
    int errors = -1;   // a file of what it printed
    uint64_t next = 0;  // seed that it has not finished
    uint64_t end = 0;
    std::string partial;
    std::string failure;
    Clock::time_point seed_began;
    bool is_over = false;
};

Child start_child(const RunOptions& options, uint64_t first, uint64_t count) {
    int pipe_ends[2];
    if (pipe2(pipe_ends, O_CLOEXEC) != 0) throw std::runtime_error("weft-sim: no pipe");
    const int errors = memfd_create("weft-sim", MFD_CLOEXEC);
    std::fflush(nullptr);
    const pid_t process = fork();
    if (process < 0) throw std::runtime_error("weft-sim: no process");
    if (process == 0) {
        close(pipe_ends[0]);
        tell_fd = pipe_ends[1];
        if (!options.watched) dup2(errors, STDERR_FILENO);
        run_child(options, first, count);
    }
    close(pipe_ends[1]);
    return {.process = process,
            .news = pipe_ends[0],
            .errors = errors,
            .next = first,
            .end = first + count,
            .partial = {},
            .failure = {},
            .seed_began = Clock::now()};
}

// The first lines of what it printed say what was wrong.
std::string errors_of(const Child& child) {
    std::string text(20000, '\0');
    const ssize_t got = pread(child.errors, text.data(), text.size(), 0);
    text.resize(got > 0 ? static_cast<size_t>(got) : 0);
    std::istringstream lines(text);
    std::string line;
    std::string kept;
    for (const std::string_view sign : {"broken invariant", "ERROR: AddressSanitizer", "runtime error"}) {
        const size_t at = text.find(sign);
        if (at != std::string::npos) return text.substr(at, text.find('\n', at) - at);
    }
    while (std::getline(lines, line) && kept.size() < 600) {
        if (line.find_first_not_of("= ") == std::string::npos) continue;
        kept += (kept.empty() ? "" : " | ") + line;
    }
    return kept;
}

class Pool {
public:
    Pool(const RunOptions& options, const std::function<void(const Outcome&)>& on_outcome)
        : options_(options), on_outcome_(on_outcome), next_seed_(options.first_seed) {}

    RunResult run() {
        rusage before{};
        getrusage(RUSAGE_CHILDREN, &before);
        for (;;) {
            while (children_.size() < options_.jobs && start_next()) {
            }
            if (children_.empty()) break;
            listen();
        }
        rusage after{};
        getrusage(RUSAGE_CHILDREN, &after);
        const auto seconds = [](const timeval& time) {
            return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_usec) / 1e6;
        };
        result_.cpu_seconds =
            seconds(after.ru_utime) - seconds(before.ru_utime) + seconds(after.ru_stime) - seconds(before.ru_stime);
        std::ranges::sort(result_.outcomes, {}, &Outcome::seed);
        result_.marks.assign(marks_.begin(), marks_.end());
        return std::move(result_);
    }

private:
    bool start_next() {
        if (is_stopping_) return false;
        if (!unfinished_.empty()) {
            const auto [first, end] = unfinished_.back();
            unfinished_.pop_back();
            children_.push_back(start_child(options_, first, end - first));
            return true;
        }
        const uint64_t end = options_.first_seed + options_.seeds;
        if (next_seed_ >= end) return false;
        const uint64_t share = std::max<uint64_t>(1, options_.seeds / options_.jobs);
        const uint64_t count = std::min({seeds_of_a_process, share, end - next_seed_});
        children_.push_back(start_child(options_, next_seed_, count));
        next_seed_ += count;
        return true;
    }

    void listen() {
        std::vector<pollfd> watched;
        for (const Child& child : children_) watched.push_back({.fd = child.news, .events = POLLIN, .revents = 0});
        poll(watched.data(), watched.size(), 1000);
        size_t at = 0;
        for (Child& child : children_) {
            if (watched[at++].revents != 0) hear(child);
            const auto limit = std::chrono::seconds(options_.seed_seconds_max);
            if (!child.is_over && Clock::now() - child.seed_began > limit) {
                child.failure = fmt::format("no end within {} s of real time", options_.seed_seconds_max);
                kill(child.process, SIGKILL);
                child.seed_began = Clock::now() + limit;
            }
        }
        std::erase_if(children_, [](const Child& child) { return child.is_over; });
    }

    void hear(Child& child) {
        char buffer[4096];
        const ssize_t got = read(child.news, buffer, sizeof buffer);
        if (got > 0) {
            child.partial.append(buffer, static_cast<size_t>(got));
            for (size_t end = child.partial.find('\n'); end != std::string::npos; end = child.partial.find('\n')) {
                take_line(child, child.partial.substr(0, end));
                child.partial.erase(0, end + 1);
            }
            return;
        }
        bury(child);
    }

    void take_line(Child& child, const std::string& line) {
        std::istringstream words(line);
        std::string kind;
        Outcome outcome;
        words >> kind;
        if (kind == "seed") {
            child.seed_began = Clock::now();
        } else if (kind == "ok") {
            words >> outcome.seed >> outcome.trace_hash >> outcome.commands;
            child.next = outcome.seed + 1;
            add(std::move(outcome));
        } else if (kind == "fail") {
            words >> outcome.seed;
            std::getline(words >> std::ws, child.failure);
        } else if (kind == "mark") {
            marks_.insert(line.substr(5));
        }
    }

    void bury(Child& child) {
        int status = 0;
        waitpid(child.process, &status, 0);
        const bool is_well = WIFEXITED(status) && WEXITSTATUS(status) == 0;
        if (!is_well && child.next < child.end) {
            std::string why = child.failure;
            if (why.empty() && WIFSIGNALED(status)) why = fmt::format("killed by {}", strsignal(WTERMSIG(status)));
            if (why.empty()) why = fmt::format("exit code {}", WEXITSTATUS(status));
            if (child.failure.empty()) why += ": " + errors_of(child);
            add({.seed = child.next, .trace_hash = 0, .commands = 0, .failure = why});
            if (child.next + 1 < child.end) unfinished_.emplace_back(child.next + 1, child.end);
        } else if (!is_well) {
            // After its last seed: what is wrong was left by one of them.
            add({.seed = child.end - 1, .trace_hash = 0, .commands = 0, .failure = "at the end: " + errors_of(child)});
        }
        close(child.news);
        close(child.errors);
        child.is_over = true;
    }

    void add(Outcome outcome) {
        if (!outcome.failure.empty() && options_.stop_at_failure) is_stopping_ = true;
        if (on_outcome_) on_outcome_(outcome);
        result_.outcomes.push_back(std::move(outcome));
    }

    const RunOptions& options_;
    const std::function<void(const Outcome&)>& on_outcome_;
    uint64_t next_seed_;
    std::list<Child> children_;
    std::vector<std::pair<uint64_t, uint64_t>> unfinished_;  // of processes that failed: first seed, end
    RunResult result_;
    std::set<std::string> marks_;
    bool is_stopping_ = false;
};

std::string failure_of(const RunOptions& options) {
    const RunResult result = run_seeds(options);
    return result.outcomes.empty() ? std::string() : result.outcomes.front().failure;
}

}  // namespace

RunResult run_seeds(const RunOptions& options, const std::function<void(const Outcome&)>& on_outcome) {
    return Pool(options, on_outcome).run();
}

// Part by part, then the number of commands, until nothing more can go. Any failure counts: the same bug may look
// different in a smaller world.
Shrunk shrink(const RunOptions& options, const Outcome& outcome) {
    RunOptions smaller = options;
    smaller.first_seed = outcome.seed;
    smaller.seeds = 1;
    Shrunk shrunk{.left_out = options.left_out, .commands = options.commands, .failure = outcome.failure};
    for (bool has_shrunk = true; has_shrunk;) {
        has_shrunk = false;
        for (size_t part = 0; part < part_count; ++part) {
            smaller.left_out = shrunk.left_out;
            if (smaller.left_out[part] || !Plan::of(outcome.seed, shrunk.left_out).parts[part]) continue;
            smaller.left_out[part] = true;
            smaller.commands = shrunk.commands;
            if (std::string failure = failure_of(smaller); !failure.empty()) {
                shrunk.left_out = smaller.left_out;
                shrunk.failure = std::move(failure);
                has_shrunk = true;
            }
        }
    }
    uint64_t enough = shrunk.commands.value_or(Plan::of(outcome.seed).commands);
    for (uint64_t step = enough / 2; step > 0; step /= 2) {
        smaller.left_out = shrunk.left_out;
        smaller.commands = enough - step;
        if (std::string failure = failure_of(smaller); !failure.empty()) {
            enough -= step;
            shrunk.commands = enough;
            shrunk.failure = std::move(failure);
        }
    }
    return shrunk;
}

}  // namespace weft::sim
