// Which thread lives on which reactor, and moves from one to another while they work.
//
// A move: the thread is told to begin nothing that binds it to its reactor (file operations); when what it has begun is
// done, the old reactor lets go of its event sources between two steps of a turn, and the new one takes them up and
// looks at its inbox. Who posts to it meanwhile waits no longer than that.
#pragma once

#include <string>
#include <vector>

#include "reactor/reactor.h"
#include "reactor/task.h"

namespace weft {

class Runtime;

// On the app thread, all of it.
class Placement {
public:
    // How long a thread that is to be moved may need for what it has begun.
    static constexpr env::TimeNs drain_time_max = env::ns_per_s;

    explicit Placement(Runtime& runtime) : runtime_(runtime) {}
    Placement(const Placement&) = delete;
    Placement& operator=(const Placement&) = delete;

    // While the guard lives nothing moves: who walks the lists of threads meets each of them once.
    Task<AsyncMutex::Guard> hold() { return moving_.lock(); }

    // Lets the thread run on `cpus` only, from now on; it is moved when it is elsewhere, to the reactor with the fewest
    // threads there. Errors: not_found; invalid_argument when no reactor runs on one of them or the thread is one that
    // does not move (a reactor's own); busy when what it had begun was not done in drain_time_max.
    Task<Result<void>> set_cpus(uint64_t thread_id, CpuSet cpus);

    struct Place {
        uint64_t thread_id = 0;
        std::string name;
        size_t reactor = 0;  // index of Runtime::data_reactors()
        size_t home = 0;  // where it was made or put by set_cpus()
        CpuSet cpus;
        ThreadStats stats;
    };
    // All threads that can be moved.
    Task<std::vector<Place>> look();

    // To data reactor `to`. Nothing happens when it is there. Errors: as set_cpus().
    Task<Result<void>> move(uint64_t thread_id, size_t to);

private:
    Task<Thread*> find(uint64_t thread_id);
    Task<Result<void>> move_now(Thread& thread, Reactor& to);

    Runtime& runtime_;
    AsyncMutex moving_;
};

}  // namespace weft
