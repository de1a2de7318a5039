#include "env/sim/world.h"

#include <algorithm>

#include "env/sim/environment.h"
#include "env/sim/sockets.h"

namespace weft::sim {

World::World(uint64_t seed, const Options& options)
    : options_(options), core_(seed), wire_(core_, options_.network, machines_) {}

World::~World() = default;

Machine& World::machine(std::string_view name) {
    const auto at = std::ranges::find(machines_, name, [](const auto& machine) { return machine->name; });
    if (at != machines_.end()) return **at;
    const auto index = static_cast<uint32_t>(machines_.size());
    machines_.push_back(std::make_unique<Machine>(core_, options_.disk, std::string(name), index));
    return *machines_.back();
}

std::unique_ptr<env::Environment> World::make_environment(std::string_view host_name) {
    return make_sim_environment(core_, options_, machine(host_name), wire_);
}

bool World::step() {
    if (next_event_time() == env::time_never) return false;
    advance_to(std::max(now(), next_event_time()));
    deliver_due_events();
    return true;
}

std::vector<ConnectionInfo> World::connections() const {
    std::vector<ConnectionInfo> infos;
    for (const auto& [id, connection] : wire_.connections()) {
        const auto is_good = [](const End& end) { return end.is_open && end.is_connected && !end.error; };
        const Machine* to = connection.ends[1].machine;
        infos.push_back({.id = id,
                         .from = connection.ends[0].machine->name,
                         .to = to == nullptr ? std::string() : to->name,
                         .target = connection.target,
                         .is_established = is_good(connection.ends[0]) && is_good(connection.ends[1]),
                         .bytes_forth = connection.pipes[0].delivered,
                         .bytes_back = connection.pipes[1].delivered});
    }
    return infos;
}

bool World::has_news_under_way() const {
    for (const auto& [id, connection] : wire_.connections()) {
        for (const Pipe& pipe : connection.pipes) {
            if (pipe.is_delivery_due || pipe.is_ack_due) return true;
        }
    }
    return false;
}

bool World::reset_connection(const env::Stream& stream) { return wire_.reset(end_of(stream).connection); }

bool World::cut_after_bytes(const env::Stream& sender, uint64_t bytes, bool with_reset) {
    return wire_.cut_after_bytes(end_of(sender), bytes, with_reset);
}

void World::pause_delivery(std::string_view host_a, std::string_view host_b) {
    wire_.pause(machine(host_a), machine(host_b));
}

void World::resume_delivery(std::string_view host_a, std::string_view host_b) {
    wire_.resume(machine(host_a), machine(host_b));
}

void World::set_descriptor_limit(std::string_view host, uint32_t descriptors_max) {
    machine(host).descriptors_max = descriptors_max;
}

FileFaults& World::file_faults(std::string_view host, const std::string& path) {
    return machine(host).disk.faults(path);
}

void World::crash(std::string_view host) {
    Machine& crashed = machine(host);
    core_.note("crash", crashed.index);
    wire_.crash(crashed);
    crashed.crash();
}

void World::kill(std::string_view host) {
    Machine& killed = machine(host);
    core_.note("kill", killed.index);
    wire_.kill(killed);
    killed.kill();
}

env::Address World::address_of(std::string_view host, env::Family family, uint16_t port) {
    const Machine& named = machine(host);
    env::Address address = family == env::Family::ipv6 ? named.ipv6 : named.ipv4;
    address.port = port;
    return address;
}

}  // namespace weft::sim
