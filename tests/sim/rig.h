// A target machine and host machines in one simulated world, and the loop that runs their reactors.
//
//   Rig rig(seed, {.data_reactors = 2});
//   rig.run(set_up(rig));                 // a coroutine on the target's app thread
//   rig.run_on_host(0, talk(rig));        // a coroutine on the first host's thread
#pragma once

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
    // Stops the target and asserts that nothing is left.
    ~Rig();

    // Runs the world until `task`, started on the thread named, has ended. Fails the test after `limit` of virtual
    // time.
    void run_on(Thread& thread, Task<void> task, env::TimeNs limit = 600 * env::ns_per_s);
    void run(Task<void> task) { run_on(target_runtime().app_thread(), std::move(task)); }
    void run_on_host(size_t host, Task<void> task) { run_on(hosts_[host].runtime->app_thread(), std::move(task)); }
    // Runs the world for so long.
    void run_for(env::TimeNs time);

    [[nodiscard]] sim::World& world() { return world_; }
    [[nodiscard]] Runtime& target_runtime() { return *target_runtime_; }
    [[nodiscard]] nvmf::Target& target() { return *target_; }
    [[nodiscard]] bdev::Registry& bdevs() { return bdevs_; }
    [[nodiscard]] nvme_host::tcp::ConnectionGroup& host_group(size_t host) { return *hosts_[host].group; }
    [[nodiscard]] env::Environment& host_environment(size_t host) { return *hosts_[host].environment; }
    [[nodiscard]] env::Address target_address();
    // Transport, RAM disk or the device given, subsystem, namespace, listener: on the target.
    Task<void> export_device(std::unique_ptr<bdev::Device> device, nvmf::TransportOptions options = {});
    // The same for one that is in the registry.
    Task<void> export_device(std::string name, nvmf::TransportOptions options = {});
    // Options to connect as host number `host`.
    [[nodiscard]] nvme_host::ControllerOptions host_options(size_t host);
    // What a started task may not leave behind: queue pairs, controllers and buffers in use.
    [[nodiscard]] bool target_is_idle();

private:
    struct Host {
        std::unique_ptr<env::Environment> environment;
        std::unique_ptr<Runtime> runtime;
        std::unique_ptr<nvme_host::tcp::ConnectionGroup> group;
    };
    bool turn();  // one turn of each reactor, in an order of chance; false when none found work

    sim::World world_;
    std::unique_ptr<env::Environment> target_environment_;
    std::unique_ptr<Runtime> target_runtime_;
    bdev::Registry bdevs_;
    std::unique_ptr<nvmf::Target> target_;
    std::vector<Host> hosts_;
};

}  // namespace weft::test
