// The kernel and the simulator behind one face, for tests of the contract that both keep.
#pragma once

#include <gtest/gtest.h>

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "env/environment.h"
#include "env/linux/test_folder.h"
#include "env/sim/world.h"

namespace weft::env {

// No seed: the kernel.
struct WorldKind {
    std::optional<uint64_t> seed;
};

class TestWorld {
public:
    explicit TestWorld(WorldKind kind) {
        if (!kind.seed) {
            environment_ = std::move(*make_linux_environment());
        } else {
            world_ = std::make_unique<sim::World>(*kind.seed);
            environment_ = world_->make_environment("machine");
        }
    }

    Environment& environment() { return *environment_; }
    [[nodiscard]] std::string path(const std::string& name) const { return folder_ / name; }

    // Waits until something is reported: two seconds, or until the simulated world has come to rest.
    size_t wait(Waiter& waiter, std::span<Ready> ready) { return wait_at_most(waiter, ready, 2 * ns_per_s); }

    // What is reported when nothing should be: 30 ms, or until the simulated world has come to rest.
    size_t wait_in_vain(Waiter& waiter, std::span<Ready> ready) { return wait_at_most(waiter, ready, 30 * ns_per_ms); }

    // Until `condition` holds, or for two seconds, or until the simulated world has come to rest.
    bool run_until(const std::function<bool()>& condition) {
        const TimeNs deadline = environment_->clock().now() + 2 * ns_per_s;
        while (!condition()) {
            if (world_ != nullptr ? !world_->step() : environment_->clock().now() > deadline) return condition();
        }
        return true;
    }

private:
    size_t wait_at_most(Waiter& waiter, std::span<Ready> ready, TimeNs duration) {
        Clock& clock = environment_->clock();
        const TimeNs deadline = clock.now() + duration;
        for (;;) {
            const size_t count = waiter.wait(deadline, ready);
            if (count > 0) return count;
            if (world_ != nullptr ? !world_->step() : clock.now() >= deadline) return 0;
        }
    }

    TestFolder folder_;
    std::unique_ptr<sim::World> world_;
    std::unique_ptr<Environment> environment_;
};

inline std::string name_of_world(const testing::TestParamInfo<WorldKind>& info) {
    return info.param.seed ? "Seed" + std::to_string(*info.param.seed) : "Kernel";
}

// The kernel, and some seeds of the simulator.
inline std::vector<WorldKind> all_worlds() {
    std::vector<WorldKind> kinds{{}};
    for (uint64_t seed = 1; seed <= 20; ++seed) kinds.push_back({.seed = seed});
    return kinds;
}

}  // namespace weft::env
