#include "env/sim/machine.h"

#include <fmt/format.h>

#include "env/sim/files.h"

namespace weft::sim {

Machine::Machine(Core& core, const DiskOptions& options, std::string machine_name, uint32_t machine_index)
    : name(std::move(machine_name)),
      index(machine_index),
      ipv4(*env::parse_ip(fmt::format("10.0.{}.{}", (index + 1) >> 8, (index + 1) & 0xFF), 0)),
      ipv6(*env::parse_ip(fmt::format("fd00::{:x}", index + 1), 0)),
      disk(core, options) {}

bool Machine::is_own(const env::Address& address) const {
    switch (address.family) {
        case env::Family::ipv4: return address.host == ipv4.host || address.host.starts_with("127.");
        case env::Family::ipv6: return address.host == ipv6.host || address.host == "::1";
        case env::Family::unix_path: return true;
    }
    return false;
}

void Machine::kill() {
    for (const auto& [id, queue] : file_queues) queue->kill();
    file_queues.clear();
    disk.kill();
    descriptors_open = 0;
    ++boot;
}

void Machine::crash() {
    for (const auto& [id, queue] : file_queues) queue->crash();
    file_queues.clear();
    disk.crash();
    descriptors_open = 0;
    ++boot;
}

}  // namespace weft::sim
