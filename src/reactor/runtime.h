// The reactors of a process: one control reactor (unpinned, never spins, its first thread is the app thread),
// and one data reactor a CPU of the core mask. Built the same way for real threads and for the simulator.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "base/result.h"
#include "env/environment.h"
#include "reactor/placement.h"
#include "reactor/reactor.h"
#include "reactor/task.h"

namespace weft {

struct RuntimeOptions {
    std::vector<size_t> cpus = {0};  // one data reactor each
    bool pin = true;                 // data reactors are pinned to their CPU
    env::TimeNs spin = 200 * env::ns_per_us;
};

class Runtime {
public:
    static Result<std::unique_ptr<Runtime>> create(env::Environment& environment, const RuntimeOptions& options);
    Runtime(const Runtime&) = delete;
    Runtime& operator=(const Runtime&) = delete;

    [[nodiscard]] env::Environment& environment() const { return environment_; }
    [[nodiscard]] Reactor& control() const { return *control_; }
    // The first thread of all: target, RPC handlers and configuration live here.
    [[nodiscard]] Thread& app_thread() const { return *app_thread_; }
    [[nodiscard]] const std::vector<std::unique_ptr<Reactor>>& data_reactors() const { return data_; }
    // Control reactor first, then the data reactors by CPU.
    [[nodiscard]] std::vector<Reactor*> reactors() const;

    // Those of the data reactors.
    [[nodiscard]] CpuSet cpus() const;

    // Makes a thread on the data reactor with the fewest threads among those whose CPU is in `cpus`, and goes on,
    // on the calling thread. Errors: invalid_argument when no reactor has such a CPU.
    Task<Result<Thread*>> create_thread(std::string name, CpuSet cpus);
    [[nodiscard]] Placement& placement() { return placement_; }

private:
    explicit Runtime(env::Environment& environment) : environment_(environment) {}

    env::Environment& environment_;
    std::unique_ptr<Reactor> control_;
    std::vector<std::unique_ptr<Reactor>> data_;
    Thread* app_thread_ = nullptr;
    Placement placement_{*this};
};

}  // namespace weft
