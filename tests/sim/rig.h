// A target machine and host machines in one simulated world, and the loop that runs their reactors.
//
//   Rig rig(seed, {.data_reactors = 2});
//   rig.run(set_up(rig));                 // a coroutine on the target's app thread
//   rig.run_on_host(0, talk(rig));        // a coroutine on the first host's thread
//
// A reactor that rests is not run before it is woken as in the real world: by its waiter, a message or its deadline. So
// a wake-up that is lost is found by what never ends.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "bdev/registry.h"
#include "env/sim/world.h"
#include "nvme_host/controller.h"
#include "nvme_host/tcp/connection_group.h"
#include "nvmf/target.h"
#include "reactor/runtime.h"
#include "sim/device_modules.h"

namespace weft::test {

struct RigOptions {
    size_t data_reactors = 1;
    size_t hosts = 1;
    sim::Options world;
};

class Rig {
public:
    static constexpr const char* nqn = "nqn.2016-06.io.spdk:cnode1";
    static constexpr uint16_t port = 4420;

    explicit Rig(uint64_t seed, RigOptions options = {});
    Rig(const Rig&) = delete;
    Rig& operator=(const Rig&) = delete;
    // Stops the target, unless stop_target() did, and asserts that nothing is left.
    ~Rig();

    // Runs the world until `task`, started on the thread named, has ended. Fails the test after `limit` of virtual
    // time.
    void run_on(Thread& thread, Task<void> task, env::TimeNs limit = 600 * env::ns_per_s);
    void run(Task<void> task) { run_on(target_runtime().app_thread(), std::move(task)); }
    void run_on_host(size_t host, Task<void> task) { run_on(hosts_[host].runtime->app_thread(), std::move(task)); }
    // Runs the world for so long; the second ends earlier, between two events, when `is_over` says so.
    void run_for(env::TimeNs time);
    void run_until(env::TimeNs end, const std::function<bool()>& is_over);

    [[nodiscard]] sim::World& world() { return world_; }
    [[nodiscard]] Runtime& target_runtime() { return *side_->runtime; }
    [[nodiscard]] nvmf::Target& target() { return *side_->target; }
    [[nodiscard]] bdev::Registry& bdevs() { return side_->bdevs; }
    // Made when they are first asked for: they look at each device that comes.
    [[nodiscard]] DeviceModules& modules();
    [[nodiscard]] nvme_host::tcp::ConnectionGroup& host_group(size_t host) { return *hosts_[host].group; }
    [[nodiscard]] env::Environment& host_environment(size_t host) { return *hosts_[host].environment; }
    [[nodiscard]] Thread& host_thread(size_t host) { return hosts_[host].runtime->app_thread(); }
    [[nodiscard]] size_t host_count() const { return hosts_.size(); }
    [[nodiscard]] env::Address target_address();
    // Transport, RAM disk or the device given, subsystem, namespace, listener: on the target.
    Task<void> export_device(std::unique_ptr<bdev::Device> device, nvmf::TransportOptions options = {});
    // The same for one that is in the registry.
    Task<void> export_device(std::string name, nvmf::TransportOptions options = {});
    // Options to connect as host number `host`.
    [[nodiscard]] nvme_host::ControllerOptions host_options(size_t host);
    // What a started task may not leave behind: queue pairs, controllers and buffers in use.
    [[nodiscard]] bool target_is_idle();

    // The target's process or machine dies: its objects are neither run nor destroyed any more (they stay in memory
    // until the program ends), and there is no target until start_target() has made a new one, whose start() is the
    // caller's to run. Between two events only.
    enum class Death : uint8_t { killed, power_lost };
    void crash_target(Death death);
    void start_target();
    [[nodiscard]] bool has_target() const { return side_ != nullptr; }
    // In order, as a daemon ends: nothing of it is left.
    void stop_target();
    // The reactors that are there, and one that does not run until then, as when the system takes its CPU away.
    [[nodiscard]] size_t reactor_count() const { return seats_.size(); }
    void freeze(size_t reactor, env::TimeNs until) { seats_[reactor % seats_.size()].frozen_until = until; }

private:
    struct Host {
        std::unique_ptr<env::Environment> environment;
        std::unique_ptr<Runtime> runtime;
        std::unique_ptr<nvme_host::tcp::ConnectionGroup> group;
    };
    struct TargetSide {
        std::unique_ptr<env::Environment> environment;
        std::unique_ptr<Runtime> runtime;
        bdev::Registry bdevs;
        std::unique_ptr<DeviceModules> modules;
        std::unique_ptr<nvmf::Target> target;
    };
    // Where a reactor is run from.
    struct Seat {
        Reactor* reactor = nullptr;
        bool is_target = false;
        bool is_resting = false;
        int waiter = -1;
        env::TimeNs deadline = 0;  // while it rests
        env::TimeNs frozen_until = 0;
    };
    void add_seats(Runtime& runtime, bool is_target);
    [[nodiscard]] bool is_due(const Seat& seat) const;
    bool turn();  // one turn of each reactor that is to run, in an order of chance; false when none found work
    [[nodiscard]] env::TimeNs next_time() const;

    sim::World world_;
    const size_t data_reactors_;
    std::unique_ptr<TargetSide> side_;
    std::vector<Host> hosts_;
    std::vector<Seat> seats_;
    std::vector<Seat*> due_;  // of turn(), which is the only one to use it
};

}  // namespace weft::test
