// A simulated machine: its names, its descriptors, its files. It outlives its environments: what a crash and
// a new start leave is the disk.
#pragma once

#include <cstdint>
#include <limits>
#include <map>
#include <string>
#include <vector>

#include "env/address.h"
#include "env/service_directory.h"
#include "env/sim/core.h"
#include "env/sim/disk.h"

namespace weft::sim {

class SimFileQueue;

struct Machine {
    Machine(Core& core, const DiskOptions& options, std::string machine_name, uint32_t machine_index);

    const std::string name;
    const uint32_t index;  // from 0, by first appearance
    const env::Address ipv4;  // 10.0.0.1 and on
    const env::Address ipv6;  // fd00::1 and on
    uint64_t boot = 1;  // counts crashes: what belongs to an earlier one is dead
    uint16_t next_port = 49152;
    uint32_t descriptors_open = 0;
    uint32_t descriptors_max = std::numeric_limits<uint32_t>::max();
    Disk disk;
    std::map<uint64_t, SimFileQueue*> file_queues;  // of this boot, by the order they were made
    uint64_t file_queues_made = 0;
    bool has_service_daemon = true;
    std::vector<env::ServiceRecord> services;  // announced now

    [[nodiscard]] bool is_own(const env::Address& address) const;
    [[nodiscard]] bool has_descriptor() const { return descriptors_open < descriptors_max; }
    // Disk and descriptors; the network is told by whoever calls.
    void crash();
    // The process on it is gone: what it wrote stays.
    void kill();
};

// A run of a machine, from its start to a crash: whether what belongs to it is still alive.
class MachineRun {
public:
    explicit MachineRun(Machine& machine) : machine_(machine), boot_(machine.boot) {}
    [[nodiscard]] bool is_alive() const { return machine_.boot == boot_; }
    [[nodiscard]] Machine& machine() const { return machine_; }

private:
    Machine& machine_;
    const uint64_t boot_;
};

// What an open file or socket takes of its machine, until it is closed or the machine crashes.
class MachineDescriptor : public MachineRun {
public:
    explicit MachineDescriptor(Machine& machine) : MachineRun(machine) { ++machine.descriptors_open; }
    MachineDescriptor(const MachineDescriptor&) = delete;
    MachineDescriptor& operator=(const MachineDescriptor&) = delete;
    ~MachineDescriptor() {
        if (is_alive()) --machine().descriptors_open;
    }
};

}  // namespace weft::sim
