// Namespaces that not every host sees: lists, commands, events; and what a host gives up by itself.
#include <gtest/gtest.h>

#include "bdev_modules/malloc/malloc_device.h"
#include "bdev_modules/null/null_device.h"
#include "nvme/describe.h"
#include "nvme_host/admin.h"
#include "sim/rig.h"

namespace weft::test {
namespace {

using nvme_host::Controller;
using nvme_host::Execute;
using nvme_host::Io;
using Nsids = std::vector<uint32_t>;
namespace status = nvme::status;

std::unique_ptr<bdev::Device> null_disk(const char* name) {
    return std::make_unique<bdev::NullDevice>(bdev::NullOptions{.name = name, .block_bytes = 512, .block_count = 1000},
                                              Uuid::from_names({"sim", name}));
}

Task<nvme::Status> read_block(nvme_host::Qpair& qpair, uint32_t nsid) {
    std::array<std::byte, 512> block{};
    Io io;
    io.command.opcode = static_cast<uint8_t>(nvme::IoOpcode::read);
    io.command.nsid = nsid;
    io.command.set_lba_range(0, 1);
    const iovec piece{.iov_base = block.data(), .iov_len = block.size()};
    io.data = {&piece, 1};
    co_await Execute(qpair, io);
    co_return io.status();
}

Task<nvme::Status> attach(Controller& controller, uint32_t nsid, std::vector<uint16_t> cntlids, uint32_t select) {
    nvme::ControllerList list;
    list.count = static_cast<uint16_t>(cntlids.size());
    std::ranges::copy(cntlids, list.cntlid.begin());
    nvme::Command command;
    command.opcode = static_cast<uint8_t>(nvme::AdminOpcode::namespace_attachment);
    command.nsid = nsid;
    command.cdw10 = select;
    const auto answer = co_await controller.admin(command, std::as_writable_bytes(std::span(&list, 1)));
    EXPECT_TRUE(answer);
    co_return answer ? nvme::Status::from_wire(answer->status) : status::internal_error;
}

// A target with namespace 1 for all and 2 for those named, two hosts, and a coroutine on each thread that matters.
class Visibility : public testing::Test {
protected:
    void start(size_t reactors = 2) {
        rig.emplace(11, RigOptions{.data_reactors = reactors, .hosts = 2, .world = {}});
        rig->run(rig->export_device(null_disk("Null0")));
        rig->run([](Rig& r) -> Task<void> {
            EXPECT_TRUE(r.bdevs().add(null_disk("Null1")));
            const auto added = co_await r.target().find_subsystem(Rig::nqn)->add_namespace(
                {.bdev_name = "Null1", .nsid = 2, .no_auto_visible = true});
            EXPECT_TRUE(added) << added.error().message;
        }(*rig));
    }
    // From any thread of a host, and back there.
    static Task<Result<void>> show(Rig& r, size_t host, bool is_shown, uint32_t nsid = 2) {
        Thread& home = Thread::current();
        co_await resume_on(r.target_runtime().app_thread());
        auto done = co_await r.target().find_subsystem(Rig::nqn)->set_namespace_host(nsid, r.host_options(host).hostnqn,
                                                                                     is_shown);
        co_await resume_on(home);
        co_return done;
    }
    std::optional<Rig> rig;
};

TEST_F(Visibility, AHostSeesWhatItIsShown) {
    start();
    std::array<std::vector<nvme::AsyncEvent>, 2> events;
    for (const size_t host : {size_t{0}, size_t{1}}) {
        rig->run_on_host(host, [](Rig& r, size_t number, auto& seen) -> Task<void> {
            auto options = r.host_options(number);
            options.io_queue_max = 2;
            options.on_event = [&seen](const nvme::AsyncEvent& event) { seen.push_back(event); };
            auto connected = co_await Controller::connect(r.host_group(number), std::move(options));
            EXPECT_TRUE(connected);
            if (!connected) co_return;
            Controller& controller = **connected;
            auto queue = co_await controller.create_io_qpair(r.host_group(number));
            EXPECT_TRUE(queue);
            EXPECT_EQ(*co_await nvme_host::active_namespaces(controller), Nsids{1});
            EXPECT_EQ((co_await nvme_host::identify_namespace(controller, 2))->nsze, 0U);
            EXPECT_FALSE(co_await nvme_host::identify_namespace_ids(controller, 2));
            EXPECT_TRUE((co_await read_block(**queue, 1)).is_success());
            EXPECT_TRUE((co_await read_block(**queue, 2)).is(status::invalid_namespace_or_format));

            // Shown: the queue that is there may use it, and the host is told.
            EXPECT_TRUE(co_await show(r, number, true));
            EXPECT_TRUE(co_await show(r, number, true)) << "what is so already is a success";
            co_await sleep_for(50 * env::ns_per_ms);
            EXPECT_EQ(seen.size(), 1U);
            EXPECT_EQ(*co_await nvme_host::active_namespaces(controller), (Nsids{1, 2}));
            EXPECT_EQ((co_await nvme_host::identify_namespace(controller, 2))->nsze, 1000U);
            EXPECT_TRUE((co_await read_block(**queue, 2)).is_success());
            // And so may one that comes later.
            auto later = co_await controller.create_io_qpair(r.host_group(number));
            EXPECT_TRUE(later);
            EXPECT_TRUE((co_await read_block(**later, 2)).is_success());
            nvme::ChangedNamespaceList changed;
            EXPECT_TRUE(co_await nvme_host::get_log_page(
                controller, "changed namespaces", {.id = nvme::LogPage::changed_namespace_list, .length_bytes = 4096},
                0, bytes_of(changed)));
            EXPECT_EQ(changed.nsid[0], 2U);
            EXPECT_EQ(changed.nsid[1], 0U);

            EXPECT_TRUE(co_await show(r, number, false));
            co_await sleep_for(50 * env::ns_per_ms);
            EXPECT_EQ(seen.size(), 2U);
            EXPECT_EQ(*co_await nvme_host::active_namespaces(controller), Nsids{1});
            EXPECT_TRUE((co_await read_block(**queue, 2)).is(status::invalid_namespace_or_format));
            EXPECT_TRUE((co_await read_block(**later, 2)).is(status::invalid_namespace_or_format));
            EXPECT_TRUE((co_await read_block(**queue, 1)).is_success());
            co_await controller.disconnect();
        }(*rig, host, events[host]));
    }
}

TEST_F(Visibility, OthersAreNotTold) {
    start();
    rig->run_on_host(0, [](Rig& r) -> Task<void> {
        size_t events = 0;
        auto options = r.host_options(0);
        options.on_event = [&events](const nvme::AsyncEvent&) { ++events; };
        auto connected = co_await Controller::connect(r.host_group(0), std::move(options));
        EXPECT_TRUE(connected);
        if (!connected) co_return;
        EXPECT_TRUE(co_await show(r, 1, true));
        EXPECT_TRUE(co_await show(r, 1, false));
        Thread& home = Thread::current();
        co_await resume_on(r.target_runtime().app_thread());
        EXPECT_TRUE(co_await r.target().find_subsystem(Rig::nqn)->remove_namespace(2));
        co_await resume_on(home);
        co_await sleep_for(100 * env::ns_per_ms);
        EXPECT_EQ(events, 0U);
        co_await (*connected)->disconnect();
    }(*rig));
}

// Commands go on all the while: each is answered, and none with success once the host has lost the namespace.
TEST_F(Visibility, ChangesUnderLoad) {
    start();
    rig->run_on_host(0, [](Rig& r) -> Task<void> {
        auto options = r.host_options(0);
        options.io_queue_max = 1;
        auto connected = co_await Controller::connect(r.host_group(0), std::move(options));
        EXPECT_TRUE(connected);
        if (!connected) co_return;
        auto queue = co_await (*connected)->create_io_qpair(r.host_group(0));
        EXPECT_TRUE(queue);
        bool is_over = false;
        unsigned epoch = 0;  // 0: hidden, 1: being shown, 2: shown, 3: being hidden, and so on
        size_t read = 0;
        size_t refused = 0;
        size_t running = 8;
        for (size_t lane = 0; lane < 8; ++lane) {
            spawn([](nvme_host::Qpair& qpair, bool& over, unsigned& now, size_t& good, size_t& bad,
                     size_t& left) -> Task<void> {
                while (!over) {
                    const unsigned before = now;
                    const nvme::Status outcome = co_await read_block(qpair, 2);
                    const bool is_steady = before == now && before % 2 == 0;
                    if (outcome.is_success()) {
                        ++good;
                        EXPECT_FALSE(is_steady && before % 4 == 0) << "it was hidden all the while";
                    } else {
                        ++bad;
                        EXPECT_TRUE(outcome.is(status::invalid_namespace_or_format)) << nvme::describe(outcome);
                        EXPECT_FALSE(is_steady && before % 4 == 2) << "it was shown all the while";
                    }
                }
                --left;
            }(**queue, is_over, epoch, read, refused, running));
        }
        for (int change = 0; change < 40; ++change) {
            ++epoch;
            EXPECT_TRUE(co_await show(r, 0, change % 2 == 0));
            ++epoch;
            co_await sleep_for(env::ns_per_ms);
        }
        is_over = true;
        // NOLINTNEXTLINE(bugprone-infinite-loop): the readers change it
        while (running > 0) co_await sleep_for(env::ns_per_ms);
        EXPECT_GT(read, 20U);
        EXPECT_GT(refused, 20U);
        co_await (*connected)->disconnect();
    }(*rig));
}

TEST_F(Visibility, WrongWishesAreRefused) {
    start(1);
    rig->run([](Rig& r) -> Task<void> {
        nvmf::Subsystem& subsystem = *r.target().find_subsystem(Rig::nqn);
        const std::string host = r.host_options(0).hostnqn;
        EXPECT_EQ((co_await subsystem.set_namespace_host(1, host, true)).error().code, Errc::permission_denied);
        EXPECT_EQ((co_await subsystem.set_namespace_host(3, host, true)).error().code, Errc::no_such_device);
        EXPECT_EQ((co_await subsystem.set_namespace_host(0, host, true)).error().code, Errc::no_such_device);
        EXPECT_EQ((co_await subsystem.set_namespace_host(2, "hello", true)).error().code, Errc::invalid_argument);
        for (size_t at = 0; at < nvmf::Subsystem::namespace_hosts_max; ++at) {
            EXPECT_TRUE(co_await subsystem.set_namespace_host(2, "nqn.2016-06.io.host:" + std::to_string(at), true));
        }
        EXPECT_EQ((co_await subsystem.set_namespace_host(2, host, true)).error().code, Errc::too_many);
    }(*rig));
}

TEST_F(Visibility, AHostDetachesAndAttaches) {
    start();
    rig->run_on_host(0, [](Rig& r) -> Task<void> {
        auto options = r.host_options(0);
        options.io_queue_max = 1;
        auto first = co_await Controller::connect(r.host_group(0), options);
        auto second = co_await Controller::connect(r.host_group(0), options);
        EXPECT_TRUE(first && second);
        if (!first || !second) co_return;
        auto queue = co_await (*first)->create_io_qpair(r.host_group(0));
        EXPECT_TRUE(queue);
        Controller& mine = **first;
        const uint16_t one = mine.cntlid();
        const uint16_t other = (*second)->cntlid();
        EXPECT_TRUE((co_await attach(mine, 1, {one}, 1)).is_success());
        EXPECT_EQ(*co_await nvme_host::active_namespaces(mine), Nsids{});
        EXPECT_TRUE((co_await read_block(**queue, 1)).is(status::invalid_namespace_or_format));
        EXPECT_EQ(*co_await nvme_host::active_namespaces(**second), Nsids{1}) << "the other controller keeps it";
        EXPECT_TRUE((co_await attach(mine, 1, {one}, 1)).is(status::namespace_not_attached));
        // The other one gives it back.
        EXPECT_TRUE((co_await attach(**second, 1, {one}, 0)).is_success());
        EXPECT_TRUE((co_await attach(**second, 1, {one}, 0)).is(status::namespace_already_attached));
        EXPECT_TRUE((co_await read_block(**queue, 1)).is_success());
        auto both = std::vector<uint16_t>{std::min(one, other), std::max(one, other)};
        EXPECT_TRUE((co_await attach(mine, 1, both, 1)).is_success());
        EXPECT_EQ(*co_await nvme_host::active_namespaces(**second), Nsids{});
        EXPECT_TRUE((co_await attach(mine, 1, both, 0)).is_success());

        // What is not shown to the host is not there for it.
        EXPECT_TRUE((co_await attach(mine, 2, {one}, 0)).is(status::invalid_namespace_or_format));
        EXPECT_TRUE((co_await attach(mine, 0, {one}, 0)).is(status::invalid_namespace_or_format));
        EXPECT_TRUE((co_await attach(mine, 0xFFFFFFFF, {one}, 0)).is(status::invalid_namespace_or_format));
        EXPECT_TRUE((co_await attach(mine, 1, {}, 1)).is(status::controller_list_invalid));
        EXPECT_TRUE((co_await attach(mine, 1, {both[1], both[0]}, 1)).is(status::controller_list_invalid));
        EXPECT_TRUE((co_await attach(mine, 1, {0x7777}, 1)).is(status::controller_list_invalid));
        EXPECT_TRUE((co_await attach(mine, 1, {one}, 2)).is(status::invalid_field));
        EXPECT_EQ(*co_await nvme_host::active_namespaces(mine), Nsids{1});
        co_await (*second)->disconnect();
        co_await mine.disconnect();
    }(*rig));
    // A controller of another host cannot be named.
    rig->run_on_host(0, [](Rig& r) -> Task<void> {
        auto mine = co_await Controller::connect(r.host_group(0), r.host_options(0));
        auto options = r.host_options(1);
        auto others = co_await Controller::connect(r.host_group(0), options);
        EXPECT_TRUE(mine && others);
        if (!mine || !others) co_return;
        EXPECT_TRUE((co_await attach(**mine, 1, {(*others)->cntlid()}, 1)).is(status::controller_list_invalid));
        EXPECT_EQ(*co_await nvme_host::active_namespaces(**others), Nsids{1});
        co_await (*others)->disconnect();
        co_await (*mine)->disconnect();
    }(*rig));
}

// Far more namespace ids than namespaces: lists are read in pages of 1024, the lowest free id is found.
TEST(Namespaces, UpTo65535) {
    Rig rig(12);
    rig.run(rig.export_device(null_disk("Null0")));
    rig.run([](Rig& r) -> Task<void> {
        auto made = co_await r.target().create_subsystem(
            {.nqn = "nqn.2016-06.io.spdk:many", .max_namespaces = 65535, .allow_any_host = true});
        EXPECT_TRUE(made);
        nvmf::Subsystem& subsystem = **made;
        EXPECT_TRUE(co_await subsystem.add_listener(r.target().find_subsystem(Rig::nqn)->listeners().front().address,
                                                    *r.target().find_transport("TCP")));
        for (uint32_t at = 0; at < 1500; ++at) {
            const std::string name = "Many" + std::to_string(at);
            EXPECT_TRUE(r.bdevs().add(null_disk(name.c_str())));
            nvmf::NamespaceOptions options{.bdev_name = name};
            if (at == 0) options.nsid = 65535;
            const auto added = co_await subsystem.add_namespace(options);
            EXPECT_TRUE(added);
            EXPECT_EQ(*added, at == 0 ? 65535 : at);
        }
        EXPECT_TRUE(r.bdevs().add(null_disk("More")));
        EXPECT_EQ((co_await subsystem.add_namespace({.bdev_name = "More", .nsid = 65536})).error().code,
                  Errc::invalid_argument);
        EXPECT_TRUE(co_await subsystem.remove_namespace(700));
        EXPECT_EQ(*co_await subsystem.add_namespace({.bdev_name = "More"}), 700U);
    }(rig));
    rig.run_on_host(0, [](Rig& r) -> Task<void> {
        auto options = r.host_options(0);
        options.subnqn = "nqn.2016-06.io.spdk:many";
        auto controller = co_await Controller::connect(r.host_group(0), std::move(options));
        EXPECT_TRUE(controller);
        if (!controller) co_return;
        const auto active = co_await nvme_host::active_namespaces(**controller);
        EXPECT_EQ(active->size(), 1500U);
        EXPECT_EQ(active->back(), 65535U);
        EXPECT_EQ(*std::prev(active->end(), 2), 1499U);
        EXPECT_EQ((co_await nvme_host::identify_namespace(**controller, 65535))->nsze, 1000U);
        co_await (*controller)->disconnect();
    }(rig));
}

}  // namespace
}  // namespace weft::test
