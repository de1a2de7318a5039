// Decides which thread shall live on which reactor: static, where it was made; dynamic, on as few reactors as its
// threads' load allows.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "reactor/placement.h"
#include "reactor/timer.h"

namespace weft {

// In percent of a reactor's time, as the field's scheduler has them.
struct LoadLimits {
    uint8_t load_limit = 20;  // a thread below is light, and lives with the other light ones
    uint8_t core_limit = 80;  // a reactor is not loaded beyond this by gathering threads on it
    uint8_t core_busy = 95;   // a thread at or above this has a reactor to itself
};

struct ThreadLoad {
    uint64_t thread_id = 0;
    size_t reactor = 0;
    uint32_t percent = 0;
    std::vector<bool> may;  // by reactor: whether it may live there

    friend bool operator==(const ThreadLoad&, const ThreadLoad&) = default;
};
struct Move {
    uint64_t thread_id = 0;
    size_t to = 0;

    friend bool operator==(const Move&, const Move&) = default;
};

// Which threads shall move: the heavy ones first, each to the first reactor that has room, then the light ones, from
// reactor `first` on. One that finds room nowhere goes where there is most, if that is better than where it is. The
// same loads, once everybody has moved, move nobody.
std::vector<Move> gather(size_t reactors, size_t first, std::vector<ThreadLoad> threads, const LoadLimits& limits);

// On the app thread.
class Scheduler {
public:
    static constexpr env::TimeNs default_period = env::ns_per_s;

    struct Options {
        bool is_dynamic = false;
        env::TimeNs period = default_period;  // between two looks of the dynamic one
        LoadLimits limits;
        size_t first = 0;             // the reactor on which light threads gather; index of Runtime::data_reactors()
        std::vector<bool> isolated;   // by reactor: nothing is moved to it or from it; may be empty
    };

    explicit Scheduler(Runtime& runtime);
    Scheduler(const Scheduler&) = delete;
    Scheduler& operator=(const Scheduler&) = delete;

    [[nodiscard]] const Options& options() const { return options_; }
    // From now on. When the dynamic one ends, threads go back to where they were made or put.
    void set(Options options);
    // Before the threads end.
    Task<void> stop();
    // How often a thread was moved.
    [[nodiscard]] uint64_t moves() const { return moves_; }

private:
    Task<void> look();
    Task<void> go_home();
    [[nodiscard]] bool is_isolated(size_t reactor) const {
        return reactor < options_.isolated.size() && options_.isolated[reactor];
    }
    [[nodiscard]] std::vector<ThreadLoad> loads_of(const std::vector<Placement::Place>& places);

    Runtime& runtime_;
    Options options_;
    Timer timer_;
    Gate looking_;
    std::vector<Placement::Place> before_;  // as of the last look
    uint64_t moves_ = 0;
};

}  // namespace weft
