// Asymmetric Namespace Access: what hosts are told of their paths, and that a closed path is closed.
#include <gtest/gtest.h>

#include <algorithm>
#include <functional>

#include "bdev_modules/malloc/malloc_device.h"
#include "nvme/describe.h"
#include "nvme/feature.h"
#include "nvme_host/admin.h"
#include "sim/reservation_play.h"

namespace weft::test {
namespace {

using nvme::AnaState;
using nvme::IoOpcode;
using nvme_host::Controller;
using nvme_host::Qpair;
namespace status = nvme::status;

constexpr uint32_t block_bytes = 512;
constexpr uint16_t other_port = 4421;

std::unique_ptr<bdev::Device> ram_disk(const std::string& name) {
    bdev::MallocOptions options;
    options.name = name;
    options.block_bytes = block_bytes;
    options.block_count = 512;
    options.is_concurrent = true;
    options.pretouch = false;
    return std::move(*bdev::MallocDevice::create(options, Uuid::from_names({"sim", name})));
}

nvmf::TransportId listener(Rig& rig, uint16_t port) {
    return *nvmf::normalise("tcp", "", rig.target_address().host, std::to_string(port));
}

// Two namespaces in groups 1 and 2, two listeners.
Task<void> export_paths(Rig& rig) {
    EXPECT_TRUE(co_await rig.target().create_transport({}));
    auto made = co_await rig.target().create_subsystem(
        {.nqn = Rig::nqn, .max_namespaces = 8, .allow_any_host = true, .ana_reporting = true});
    for (const uint16_t port : {Rig::port, other_port}) {
        EXPECT_TRUE(co_await (*made)->add_listener(listener(rig, port), *rig.target().find_transport("tcp")));
    }
    for (const char* name : {"Malloc0", "Malloc1"}) {
        EXPECT_TRUE(rig.bdevs().add(ram_disk(name)));
        EXPECT_TRUE(co_await (*made)->add_namespace({.bdev_name = name}));
    }
}

Task<void> on_target(Rig& rig, Task<void> task) {
    Thread& home = Thread::current();
    co_await resume_on(rig.target_runtime().app_thread());
    co_await std::move(task);
    co_await resume_on(home);
}

Task<void> set_state(Rig& rig, uint16_t port, uint32_t group, AnaState state) {
    std::vector<nvmf::AnaChange> changes{{.listener = listener(rig, port), .group = group, .state = state}};
    const auto done = co_await rig.target().find_subsystem(Rig::nqn)->set_ana_states(std::move(changes));
    EXPECT_TRUE(done) << done.error().message;
}

Task<std::unique_ptr<Controller>> connect(Rig& rig, uint16_t port,
                                          std::function<void(const nvme::AsyncEvent&)> on_event = {}) {
    auto options = rig.host_options(0);
    options.address.port = port;
    options.on_event = std::move(on_event);
    auto controller = co_await Controller::connect(rig.host_group(0), std::move(options));
    EXPECT_TRUE(controller) << controller.error().message;
    co_return std::move(*controller);
}

nvme::Command io(IoOpcode opcode, uint32_t nsid, uint64_t block) {
    nvme::Command command;
    command.opcode = static_cast<uint8_t>(opcode);
    command.nsid = nsid;
    command.set_lba_range(block, 1);
    return command;
}

struct Log {
    nvme::AnaHeader header;
    std::map<uint32_t, AnaState> states;
    std::map<uint32_t, std::vector<uint32_t>> members;
};

Task<Log> read_log(Controller& controller, uint8_t lsp = 0) {
    std::vector<std::byte> page(512);
    EXPECT_TRUE(co_await nvme_host::get_log_page(
        controller, "ANA", {.id = nvme::LogPage::ana, .lsp = lsp, .length_bytes = page.size()}, 0, page));
    Log log;
    log.header = load<nvme::AnaHeader>(page);
    Bytes rest = Bytes(page).subspan(sizeof log.header);
    for (uint32_t count = log.header.group_count; count > 0; --count) {
        const auto group = load<nvme::AnaGroupDescriptor>(rest);
        rest = rest.subspan(sizeof group);
        log.states[group.anagrpid] = group.state;
        for (uint32_t at = 0; at < group.nsid_count; ++at) {
            log.members[group.anagrpid].push_back(load<le32>(rest));
            rest = rest.subspan(4);
        }
    }
    co_return log;
}

TEST(Ana, HostsAreToldOfTheirPath) {
    Rig rig(1, {.data_reactors = 2, .hosts = 1, .world = {}});
    rig.run(export_paths(rig));
    rig.run_on_host(0, [](Rig& r) -> Task<void> {
        int events = 0;
        int other_events = 0;
        const auto counter = [](int& count) {
            return [&count](const nvme::AsyncEvent& event) { count += event == nvme::async_event::ana_change ? 1 : 0; };
        };
        auto first = co_await connect(r, Rig::port, counter(events));
        auto second = co_await connect(r, other_port, counter(other_events));
        const nvme::IdentifyController& identity = first->identity();
        EXPECT_EQ(identity.cmic & nvme::cmic::ana_reporting, nvme::cmic::ana_reporting);
        EXPECT_EQ(identity.anagrpmax, 8U);
        EXPECT_EQ(identity.nanagrpid, 8U);
        EXPECT_NE(identity.anatt, 0);
        EXPECT_EQ(identity.anacap, 0x1F);
        EXPECT_NE(identity.oaes & nvme::async_event_bits::ana_change, 0U);
        EXPECT_EQ((co_await nvme_host::identify_namespace(*first, 2))->anagrpid, 2U);
        Log log = co_await read_log(*first);
        EXPECT_EQ(log.states, (std::map<uint32_t, AnaState>{{1, AnaState::optimized}, {2, AnaState::optimized}}));
        EXPECT_EQ(log.members, (std::map<uint32_t, std::vector<uint32_t>>{{1, {1}}, {2, {2}}}));
        const uint64_t count = log.header.change_count;

        co_await on_target(r, set_state(r, Rig::port, 2, AnaState::inaccessible));
        co_await sleep_for(10 * env::ns_per_ms);
        EXPECT_EQ(events, 1);
        EXPECT_EQ(other_events, 0) << "it is another path";
        log = co_await read_log(*first);
        EXPECT_EQ(log.header.change_count, count + 1);
        EXPECT_EQ(log.states[2], AnaState::inaccessible);
        EXPECT_EQ((co_await read_log(*second)).states[2], AnaState::optimized);
        log = co_await read_log(*first, nvme::ana_lsp_groups_only);
        EXPECT_EQ(log.states.size(), 2U);
        EXPECT_TRUE(log.members.empty());
        // Nothing new: nobody is told.
        co_await on_target(r, set_state(r, Rig::port, 2, AnaState::inaccessible));
        co_await sleep_for(10 * env::ns_per_ms);
        EXPECT_EQ(events, 1);
        // A namespace that moves to another group concerns all.
        co_await on_target(r, [](Rig& rr) -> Task<void> {
            EXPECT_TRUE(co_await rr.target().find_subsystem(Rig::nqn)->set_namespace_ana_group(1, 2));
            EXPECT_FALSE(co_await rr.target().find_subsystem(Rig::nqn)->set_namespace_ana_group(1, 9));
            EXPECT_FALSE(co_await rr.target().find_subsystem(Rig::nqn)->set_namespace_ana_group(3, 1));
        }(r));
        co_await sleep_for(10 * env::ns_per_ms);
        EXPECT_EQ(events, 2);
        EXPECT_EQ(other_events, 1);
        log = co_await read_log(*first);
        EXPECT_EQ(log.members, (std::map<uint32_t, std::vector<uint32_t>>{{2, {1, 2}}}));
        EXPECT_EQ((co_await nvme_host::identify_namespace(*first, 1))->anagrpid, 2U);
        co_await first->disconnect();
        co_await second->disconnect();
    }(rig));
}

TEST(Ana, EachStateAnswersWithItsStatus) {
    Rig rig(2);
    rig.run(export_paths(rig));
    rig.run_on_host(0, [](Rig& r) -> Task<void> {
        auto controller = co_await connect(r, Rig::port);
        Qpair& queue = **co_await controller->create_io_qpair(r.host_group(0));
        const std::pair<AnaState, nvme::Status> cases[] = {{AnaState::non_optimized, status::success},
                                                           {AnaState::inaccessible, status::ana_inaccessible},
                                                           {AnaState::persistent_loss, status::ana_persistent_loss},
                                                           {AnaState::change, status::ana_transition},
                                                           {AnaState::optimized, status::success}};
        for (const auto& [state, right] : cases) {
            co_await on_target(r, set_state(r, Rig::port, 1, state));
            std::vector<std::byte> data(block_bytes);
            for (const IoOpcode opcode : {IoOpcode::read, IoOpcode::write, IoOpcode::write_zeroes, IoOpcode::compare}) {
                const bool has_data = opcode != IoOpcode::write_zeroes;
                const auto given = co_await execute_io(queue, io(opcode, 1, 0), has_data ? data : MutableBytes());
                EXPECT_TRUE(given.is(right)) << nvme::describe(given);
                if (!right.is_success()) EXPECT_FALSE(given.do_not_retry) << "another path may take it";
            }
            const auto reserved =
                co_await reserve(queue, 1, {.opcode = IoOpcode::reservation_register, .cdw10 = 2 | 8, .other_key = 1});
            EXPECT_TRUE(reserved.is(right)) << nvme::describe(reserved);
            EXPECT_TRUE((co_await execute_io(queue, io(IoOpcode::read, 2, 0), data)).is_success()) << "another group";
            nvme::Command feature;
            feature.opcode = static_cast<uint8_t>(nvme::AdminOpcode::get_features);
            feature.nsid = 1;
            feature.cdw10 = static_cast<uint32_t>(nvme::FeatureId::reservation_notification_mask);
            EXPECT_TRUE(nvme::Status::from_wire((co_await controller->admin(feature))->status).is(right));
            nvme::Command alive;
            alive.opcode = static_cast<uint8_t>(nvme::AdminOpcode::keep_alive);
            EXPECT_TRUE(nvme::Status::from_wire((co_await controller->admin(alive))->status).is_success());
        }
        co_await controller->disconnect();
    }(rig));
}

// A host with two paths, whose states change under its load: each command succeeds on one of them, and none on a path
// that was closed when its method was answered.
struct Path {
    std::unique_ptr<Controller> controller;
    Qpair* queue = nullptr;
    uint16_t port = 0;
    bool is_closed = false;  // set when the method has been answered, cleared before it is called
    int openings = 0;
};

struct Load {
    std::array<Path, 2> paths;
    std::vector<std::byte> disk = std::vector<std::byte>(64 * block_bytes);
    bool is_over = false;
    int running = 0;
    int done = 0;
    int failed_over = 0;
};

// Each worker has blocks of its own, so that what it reads is what it wrote.
Task<void> work(Rig& rig, Load& load, uint64_t worker) {
    ++load.running;
    sim::Prng& prng = rig.world().prng();
    while (!load.is_over) {
        const uint64_t block = worker * 8 + prng.below(8);
        const MutableBytes here = MutableBytes(load.disk).subspan(block * block_bytes, block_bytes);
        const bool writes = prng.coin();
        std::vector<std::byte> data(block_bytes);
        if (writes) prng.fill(data);
        size_t at = prng.below(2);
        for (;;) {
            Path& path = load.paths[at];
            const bool was_closed = path.is_closed;
            const int openings = path.openings;
            const nvme::Status given =
                co_await execute_io(*path.queue, io(writes ? IoOpcode::write : IoOpcode::read, 1, block), data);
            if (given.is_success()) {
                EXPECT_FALSE(was_closed && path.openings == openings) << "a command went through a closed path";
                break;
            }
            EXPECT_TRUE(given.is(status::ana_inaccessible)) << nvme::describe(given);
            ++load.failed_over;
            at = 1 - at;
            co_await sleep_for(20 * env::ns_per_us);
        }
        if (writes) {
            std::ranges::copy(data, here.begin());
        } else {
            EXPECT_TRUE(std::ranges::equal(data, here));
        }
        ++load.done;
    }
    --load.running;
}

TEST(Ana, PathsCloseAndOpenUnderLoad) {
    for (uint64_t seed = 1; seed <= 6; ++seed) {
        Rig rig(seed, {.data_reactors = 2, .hosts = 1, .world = {}});
        rig.run(export_paths(rig));
        rig.run_on_host(0, [](Rig& r) -> Task<void> {
            Load load;
            for (size_t at = 0; at < 2; ++at) {
                Path& path = load.paths[at];
                path.port = at == 0 ? Rig::port : other_port;
                path.controller = co_await connect(r, path.port);
                path.queue = *co_await path.controller->create_io_qpair(r.host_group(0));
            }
            for (uint64_t worker = 0; worker < 8; ++worker) spawn(work(r, load, worker));
            for (size_t round = 0; round < 20; ++round) {
                Path& path = load.paths[round % 2];
                co_await on_target(r, set_state(r, path.port, 1, AnaState::inaccessible));
                path.is_closed = true;
                co_await sleep_for(r.world().prng().between(10, 3000) * env::ns_per_us);
                path.is_closed = false;
                ++path.openings;
                co_await on_target(r, set_state(r, path.port, 0, AnaState::optimized));
            }
            load.is_over = true;
            while (load.running > 0) co_await sleep_for(100 * env::ns_per_us);
            EXPECT_GT(load.done, 100);
            EXPECT_GT(load.failed_over, 0);
            for (Path& path : load.paths) co_await path.controller->disconnect();
        }(rig));
    }
}

TEST(Ana, WhatCannotBeIsRefusedAsAWhole) {
    Rig rig(4);
    rig.run(export_paths(rig));
    rig.run([](Rig& r) -> Task<void> {
        nvmf::Subsystem& subsystem = *r.target().find_subsystem(Rig::nqn);
        for (const uint32_t group : {9U, 0xFFFFFFFFU}) {
            std::vector<nvmf::AnaChange> changes{
                {.listener = listener(r, Rig::port), .group = 1, .state = AnaState::inaccessible},
                {.listener = listener(r, Rig::port), .group = group, .state = AnaState::inaccessible}};
            EXPECT_FALSE(co_await subsystem.set_ana_states(std::move(changes)));
        }
        std::vector<nvmf::AnaChange> elsewhere{{.listener = listener(r, 9), .state = AnaState::inaccessible}};
        EXPECT_FALSE(co_await subsystem.set_ana_states(std::move(elsewhere)));
        EXPECT_EQ(subsystem.listeners().front().ana.state_of(1), AnaState::optimized);
        auto plain = co_await r.target().create_subsystem({.nqn = "nqn.2016-06.io.spdk:plain"});
        std::vector<nvmf::AnaChange> none;
        EXPECT_FALSE(co_await (*plain)->set_ana_states(std::move(none)));
        EXPECT_FALSE(co_await (*plain)->add_listener(listener(r, 4422), *r.target().find_transport("tcp"),
                                                     {.ana_state = AnaState::inaccessible}));
    }(rig));
}

}  // namespace
}  // namespace weft::test
