// Who changes the configuration while hosts work: namespaces, hosts, listeners and subsystems come and go, poll groups
// move. In the end all is as it was.
#pragma once

#include "sim/storm/storm.h"

namespace weft::sim {

// Creates what the plan says on a target that was just started, as a configuration file does it. App thread. Files that
// are there already are used as they are.
Task<void> set_up_target(Storm& storm);

class Administrator {
public:
    explicit Administrator(Storm& storm) : storm_(storm), prng_(mix(storm.plan.seed ^ 0x61646D69)) {}
    Administrator(const Administrator&) = delete;
    Administrator& operator=(const Administrator&) = delete;

    // Works on the target that there is now, until it dies or all is to be as it was.
    void start();
    // No change is half made.
    [[nodiscard]] bool is_finished() const { return runs_ == 0; }
    // Its target has died, and with it the coroutines that worked on it.
    void forget() { runs_ = 0; }

private:
    Task<void> change();
    Task<void> move_groups();
    Task<void> change_device();
    Task<void> change_namespace(nvmf::Subsystem& subsystem);
    Task<void> change_host(nvmf::Subsystem& subsystem);
    Task<void> change_listener(nvmf::Subsystem& subsystem);
    Task<void> change_subsystem();

    Storm& storm_;
    Prng prng_;
    uint32_t runs_ = 0;
};

}  // namespace weft::sim
