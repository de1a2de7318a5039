#include "sim/storm/reservations.h"

#include <fmt/format.h>

#include "bdev_modules/malloc/malloc_device.h"
#include "nvme/describe.h"
#include "nvmf/subsystem.h"
#include "sim/failure.h"
#include "sim/reservation_play.h"

namespace weft::sim {

using nvme::AnaState;
using nvme_host::Controller;
using test::expect;
using test::fail_simulation;

namespace {

constexpr const char* shared_nqn = "nqn.2016-06.io.spdk:cnode4";
constexpr const char* shared_disk = "Shared0";
constexpr size_t host_count = 3;
constexpr int steps = 40;
constexpr int ana_rounds = 6;

nvmf::TransportId listener(Storm& storm) {
    return *nvmf::normalise("tcp", "", storm.rig.target_address().host, std::to_string(test::Rig::port));
}

Task<void> set_state(Storm& storm, AnaState state) {
    std::vector<nvmf::AnaChange> changes{{.listener = listener(storm), .group = 1, .state = state}};
    nvmf::Subsystem* subsystem = storm.rig.target().find_subsystem(shared_nqn);
    const Result<void> done = co_await subsystem->set_ana_states(std::move(changes));
    expect(done.has_value(), done ? "" : "setting an ANA state: " + done.error().message);
}

// Each state in turn, and what a read is answered with.
Task<void> play_paths(Storm& storm, Prng& prng, nvme_host::Qpair& queue) {
    constexpr AnaState states[] = {AnaState::optimized, AnaState::non_optimized, AnaState::inaccessible,
                                   AnaState::persistent_loss, AnaState::change};
    Thread& home = Thread::current();
    for (int round = 0; round <= ana_rounds; ++round) {
        const AnaState state = round == ana_rounds ? AnaState::optimized : states[prng.below(std::size(states))];
        co_await resume_on(storm.rig.target_runtime().app_thread());
        co_await set_state(storm, state);
        co_await resume_on(home);
        nvme::Command read;
        read.opcode = static_cast<uint8_t>(nvme::IoOpcode::read);
        read.nsid = 1;
        read.set_lba_range(prng.below(8), 1);
        std::vector<std::byte> data(sector_bytes);
        const nvme::Status given = co_await test::execute_io(queue, read, data);
        expect(given.is(nvmf::path_status(state)),
               fmt::format("a read on a path that is {}: {}", nvmf::name_of(state), nvme::describe(given)));
    }
}

}  // namespace

Task<void> set_up_shared(Storm& storm) {
    nvmf::Target& target = storm.rig.target();
    bdev::MallocOptions disk;
    disk.name = shared_disk;
    disk.block_bytes = sector_bytes;
    disk.block_count = 64;
    disk.is_concurrent = storm.plan.reactors > 1;
    disk.pretouch = false;
    const auto device = co_await bdev::create_malloc_device(storm.rig.bdevs(), std::move(disk));
    if (!expect(device.has_value(), "a shared disk")) co_return;
    auto made = co_await target.create_subsystem(
        {.nqn = shared_nqn, .max_namespaces = 4, .allow_any_host = true, .ana_reporting = true});
    if (!expect(made.has_value(), "a shared subsystem")) co_return;
    const auto listening = co_await (*made)->add_listener(listener(storm), *target.find_transport("tcp"));
    const auto nsid = co_await (*made)->add_namespace({.bdev_name = shared_disk});
    expect(listening.has_value() && nsid.has_value(), "a shared namespace");
}

Task<void> take_down_shared(Storm& storm) {
    const auto deleted = co_await storm.rig.target().delete_subsystem(shared_nqn);
    const auto removed = co_await storm.rig.bdevs().remove(shared_disk);
    expect(deleted.has_value() && removed.has_value(), "the end of what was shared");
}

Task<void> play_shared(Storm& storm) {
    Prng prng(mix(storm.plan.seed ^ 0x5EED));
    nvme_host::tcp::ConnectionGroup& group = storm.rig.host_group(0);
    std::vector<std::unique_ptr<Controller>> controllers;
    std::vector<Controller*> hosts;
    for (size_t number = 0; number < host_count; ++number) {
        nvme_host::ControllerOptions options;
        options.address = storm.rig.target_address();
        options.subnqn = shared_nqn;
        options.hostnqn = Storm::hostnqn(number);
        options.hostid[15] = static_cast<uint8_t>(number + 1);
        options.io_queue_max = 2;
        auto connected = co_await Controller::connect(group, std::move(options));
        if (!connected) {
            fail_simulation("connecting to what is shared: " + connected.error().message);
            break;
        }
        hosts.push_back(connected->get());
        controllers.push_back(std::move(*connected));
    }
    if (hosts.size() == host_count) {
        co_await test::play_reservations(prng, hosts, group, {.block_bytes = sector_bytes, .steps = steps});
        auto queue = co_await hosts[0]->create_io_qpair(group);
        if (expect(queue.has_value(), "a queue")) co_await play_paths(storm, prng, **queue);
        storm.reached("hosts shared a namespace by reservations");
    }
    for (const auto& controller : controllers) co_await controller->disconnect();
}

}  // namespace weft::sim
