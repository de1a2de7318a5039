// Reservations, by hosts on several queues and poll groups: who may write, who is told, and what outlives the power.
#include <gtest/gtest.h>

#include <algorithm>
#include <functional>

#include "bdev_modules/file/file_device.h"
#include "bdev_modules/malloc/malloc_device.h"
#include "nvme/describe.h"
#include "nvme/feature.h"
#include "nvme_host/admin.h"
#include "sim/reservation_play.h"

namespace weft::test {
namespace {

using nvme::IoOpcode;
using nvme::ReservationType;
using nvme_host::Controller;
using nvme_host::Qpair;
namespace status = nvme::status;

constexpr uint32_t block_bytes = 512;

std::unique_ptr<bdev::Device> ram_disk(bool is_concurrent) {
    bdev::MallocOptions options;
    options.name = "Malloc0";
    options.block_bytes = block_bytes;
    options.block_count = 64;
    options.is_concurrent = is_concurrent;
    options.pretouch = false;
    return std::move(*bdev::MallocDevice::create(options, Uuid::from_names({"sim", "Malloc0"})));
}

Task<std::unique_ptr<Controller>> connect(Rig& rig, size_t number,
                                          std::function<void(const nvme::AsyncEvent&)> on_event = {}) {
    auto options = rig.host_options(number);
    options.on_event = std::move(on_event);
    auto controller = co_await Controller::connect(rig.host_group(0), std::move(options));
    EXPECT_TRUE(controller) << controller.error().message;
    co_return std::move(*controller);
}

Task<Qpair*> queue_of(Rig& rig, Controller& controller) {
    auto queue = co_await controller.create_io_qpair(rig.host_group(0));
    EXPECT_TRUE(queue) << queue.error().message;
    co_return *queue;
}

nvmf::ReservationCommand registers(uint64_t key, uint32_t persistence = 0) {
    return {.opcode = IoOpcode::reservation_register, .cdw10 = persistence << 30, .other_key = key};
}
nvmf::ReservationCommand acquires(ReservationType type, uint64_t key, uint64_t preempted = 0, uint32_t action = 0) {
    return {.opcode = IoOpcode::reservation_acquire,
            .cdw10 = action | static_cast<uint32_t>(type) << 8,
            .current_key = key,
            .other_key = preempted};
}

Task<void> expect_done(Qpair& queue, nvmf::ReservationCommand command) {
    const nvme::Status given = co_await reserve(queue, 1, command);
    EXPECT_TRUE(given.is_success()) << nvme::describe(given);
}

nvme::Command io(IoOpcode opcode, uint64_t block) {
    nvme::Command command;
    command.opcode = static_cast<uint8_t>(opcode);
    command.nsid = 1;
    command.set_lba_range(block, 1);
    return command;
}

class ReservationPlay : public testing::TestWithParam<uint64_t> {};

TEST_P(ReservationPlay, EachAnswerIsTheModels) {
    const uint64_t seed = GetParam();
    Rig rig(seed, {.data_reactors = 1 + seed % 2, .hosts = 1, .world = {}});
    nvmf::TransportOptions options;
    options.in_capsule_data_size = (seed & 4) != 0 ? 8192 : 4096;
    rig.run(rig.export_device(ram_disk(seed % 2 != 0), options));
    rig.run_on_host(0, [](Rig& r) -> Task<void> {
        std::vector<std::unique_ptr<Controller>> controllers;
        std::vector<Controller*> hosts;
        for (size_t number = 0; number < 3; ++number) {
            controllers.push_back(co_await connect(r, number));
            hosts.push_back(controllers.back().get());
        }
        co_await play_reservations(r.world().prng(), hosts, r.host_group(0), {.block_bytes = block_bytes});
        for (const auto& controller : controllers) co_await controller->disconnect();
    }(rig));
}

INSTANTIATE_TEST_SUITE_P(Seeds, ReservationPlay, testing::Range(uint64_t{1}, uint64_t{9}));

// Writes one block all the time, many at once, until it may not any more.
struct Writer {
    Qpair& queue;
    std::vector<std::byte> data;
    int running = 0;
    int written = 0;
    bool is_over = false;
    std::vector<nvme::Status> ends;
};

Task<void> write_on(Writer& writer) {
    ++writer.running;
    while (!writer.is_over) {
        const nvme::Status given = co_await execute_io(writer.queue, io(IoOpcode::write, 3), writer.data);
        if (!given.is_success()) {
            writer.ends.push_back(given);
            break;
        }
        ++writer.written;
    }
    --writer.running;
}

// The disk takes its time: many writes of the preempted host are in it when it is preempted.
TEST(Reservations, NoWriteOfAPreemptedHostComesAfter) {
    for (uint64_t seed = 1; seed <= 12; ++seed) {
        RigOptions options{.data_reactors = 2, .hosts = 1, .world = {}};
        options.world.disk.latency.min = 50 * env::ns_per_us;
        options.world.disk.latency.max = 2000 * env::ns_per_us;
        Rig rig(seed, options);
        rig.run([](Rig& r) -> Task<void> {
            {
                auto file = r.target().environment().files().open("/disk", {.create = true});
                EXPECT_TRUE((*file)->resize(64 * 4096));
            }
            const auto made = co_await bdev::create_file_device(
                r.bdevs(), {.name = "File0", .filename = "/disk", .block_bytes = block_bytes, .is_concurrent = true});
            EXPECT_TRUE(made) << made.error().message;
            co_await r.export_device(std::string("File0"));
        }(rig));
        rig.run_on_host(0, [](Rig& r) -> Task<void> {
            auto first = co_await connect(r, 0);
            auto second = co_await connect(r, 1);
            Qpair& mine = *co_await queue_of(r, *first);
            std::vector<std::unique_ptr<Writer>> writers;
            for (int at = 0; at < 3; ++at) {
                auto writer = std::make_unique<Writer>(*co_await queue_of(r, *second));
                writer->data.assign(block_bytes, static_cast<std::byte>(0xB0 + at));
                writers.push_back(std::move(writer));
            }
            co_await expect_done(mine, registers(1));
            co_await expect_done(writers[0]->queue, registers(2));
            co_await expect_done(writers[0]->queue, acquires(ReservationType::write_exclusive, 2));
            for (const auto& writer : writers) {
                for (int at = 0; at < 8; ++at) spawn(write_on(*writer));
            }
            co_await sleep_for(r.world().prng().between(5, 20) * env::ns_per_ms);
            co_await expect_done(mine, acquires(ReservationType::exclusive_access, 1, 2, 2));
            // From here on nothing of theirs is in the disk.
            std::vector<std::byte> data(block_bytes, std::byte{0xA1});
            EXPECT_TRUE((co_await execute_io(mine, io(IoOpcode::write, 3), data)).is_success());
            co_await sleep_for(20 * env::ns_per_ms);
            std::vector<std::byte> back(block_bytes);
            EXPECT_TRUE((co_await execute_io(mine, io(IoOpcode::read, 3), back)).is_success());
            EXPECT_EQ(back, data);
            int written = 0;
            for (const auto& writer : writers) {
                written += writer->written;
                EXPECT_EQ(writer->running, 0);
                for (const nvme::Status end : writer->ends) {
                    EXPECT_TRUE(end.is(status::aborted_preempt_and_abort) || end.is(status::reservation_conflict))
                        << nvme::describe(end);
                }
            }
            EXPECT_GT(written, 0);
            co_await first->disconnect();
            co_await second->disconnect();
        }(rig));
    }
}

TEST(Reservations, HostsAreToldUnlessTheyMaskIt) {
    Rig rig(5, {.data_reactors = 2, .hosts = 1, .world = {}});
    rig.run(rig.export_device(ram_disk(true)));
    rig.run_on_host(0, [](Rig& r) -> Task<void> {
        std::vector<nvme::AsyncEvent> events;
        auto first = co_await connect(r, 0);
        auto second = co_await connect(r, 1, [&events](const nvme::AsyncEvent& event) { events.push_back(event); });
        Qpair& mine = *co_await queue_of(r, *first);
        Qpair& other = *co_await queue_of(r, *second);
        const auto page = [&second]() -> Task<nvme::ReservationNotification> {
            nvme::ReservationNotification log;
            EXPECT_TRUE(co_await nvme_host::get_log_page(
                *second, "notices", {.id = nvme::LogPage::reservation_notification, .length_bytes = sizeof log}, 0,
                bytes_of(log)));
            co_return log;
        };
        const auto set_mask = [&second](uint32_t nsid, uint32_t mask) -> Task<nvme::Status> {
            nvme::Command command;
            command.opcode = static_cast<uint8_t>(nvme::AdminOpcode::set_features);
            command.nsid = nsid;
            command.cdw10 = static_cast<uint32_t>(nvme::FeatureId::reservation_notification_mask);
            command.cdw11 = mask;
            co_return nvme::Status::from_wire((co_await second->admin(command))->status);
        };
        EXPECT_EQ((co_await page()).type, nvme::ReservationNotificationType::empty);
        for (int round = 0; round < 3; ++round) {
            co_await expect_done(other, registers(2));
            co_await expect_done(mine, registers(1));
            co_await expect_done(mine, acquires(ReservationType::write_exclusive, 1, 2, 1));
        }
        co_await sleep_for(env::ns_per_ms * 10);
        EXPECT_EQ(events, std::vector{nvme::async_event::reservation_log_available});
        for (uint64_t count = 1; count <= 3; ++count) {
            const auto log = co_await page();
            EXPECT_EQ(log.log_page_count, count);
            EXPECT_EQ(log.type, nvme::ReservationNotificationType::registration_preempted);
            EXPECT_EQ(log.available_count, 3 - count);
            EXPECT_EQ(log.nsid, 1U);
        }
        EXPECT_EQ((co_await page()).log_page_count, 0U);

        EXPECT_TRUE((co_await set_mask(1, 1U << 4)).is(status::invalid_field));
        EXPECT_TRUE((co_await set_mask(9, 2)).is(status::invalid_namespace_or_format));
        EXPECT_TRUE((co_await set_mask(nvme::broadcast_nsid, 2)).is_success());
        co_await expect_done(other, registers(2));
        co_await expect_done(mine, acquires(ReservationType::write_exclusive, 1, 2, 1));
        EXPECT_EQ((co_await page()).log_page_count, 0U);
        // More than the log holds: the count says how many there were.
        EXPECT_TRUE((co_await set_mask(1, 0)).is_success());
        for (int round = 0; round < 258; ++round) {
            co_await expect_done(other, registers(2));
            co_await expect_done(mine, acquires(ReservationType::write_exclusive, 1, 2, 1));
        }
        nvme::ReservationNotification last;
        for (int round = 0; round < 255; ++round) last = co_await page();
        EXPECT_EQ(last.log_page_count, 3U + 255);
        EXPECT_EQ(last.available_count, 0);
        EXPECT_EQ((co_await page()).log_page_count, 0U);
        co_await expect_done(other, registers(2));
        co_await expect_done(mine, acquires(ReservationType::write_exclusive, 1, 2, 1));
        EXPECT_EQ((co_await page()).log_page_count, 3U + 258 + 1);
        co_await first->disconnect();
        co_await second->disconnect();
    }(rig));
}

// Its controllers come and go: the registration is the host's.
TEST(Reservations, AHostKeepsItsReservationWithoutAController) {
    Rig rig(6);
    rig.run(rig.export_device(ram_disk(false)));
    rig.run_on_host(0, [](Rig& r) -> Task<void> {
        auto first = co_await connect(r, 0);
        co_await expect_done(*co_await queue_of(r, *first), registers(1));
        auto again = co_await connect(r, 0);
        Qpair& mine = *co_await queue_of(r, *again);
        co_await first->disconnect();
        co_await expect_done(mine, acquires(ReservationType::write_exclusive, 1));
        co_await again->disconnect();
        auto second = co_await connect(r, 1);
        Qpair& other = *co_await queue_of(r, *second);
        std::vector<std::byte> data(block_bytes);
        EXPECT_TRUE((co_await execute_io(other, io(IoOpcode::write, 0), data)).is(status::reservation_conflict));
        EXPECT_TRUE((co_await execute_io(other, io(IoOpcode::read, 0), data)).is_success());
        co_await second->disconnect();
    }(rig));
}

constexpr const char* ptpl_file = "/srv/ptpl";

Task<void> export_with_file(Rig& rig) {
    EXPECT_TRUE(co_await rig.target().create_transport({}));
    auto made = co_await rig.target().create_subsystem({.nqn = Rig::nqn, .allow_any_host = true});
    auto address = nvmf::normalise("tcp", "", rig.target_address().host, std::to_string(Rig::port));
    EXPECT_TRUE(co_await (*made)->add_listener(*address, *rig.target().find_transport("tcp")));
    EXPECT_TRUE(rig.bdevs().add(ram_disk(false)));
    const auto nsid = co_await (*made)->add_namespace({.bdev_name = "Malloc0", .ptpl_file = ptpl_file});
    EXPECT_TRUE(nsid) << nsid.error().message;
}

// The power goes at any moment: what was acknowledged is there again, what was not is there or is not.
TEST(Reservations, WhatWasAcknowledgedOutlivesThePower) {
    int held = 0;
    for (uint64_t seed = 1; seed <= 20; ++seed) {
        Rig rig(seed);
        rig.run(export_with_file(rig));
        bool is_registered = false;
        bool is_acquired = false;
        {
            const CurrentThread scope(&rig.host_thread(0));
            spawn([](Rig& r, bool& registered, bool& acquired) -> Task<void> {
                co_await yield();
                auto options = r.host_options(0);
                options.connect_timeout = options.admin_timeout = env::ns_per_s;
                auto connected = co_await Controller::connect(r.host_group(0), options);
                if (!connected) co_return;
                auto queue = co_await (*connected)->create_io_qpair(r.host_group(0));
                if (queue) {
                    registered = (co_await reserve(**queue, 1, registers(7, 3))).is_success();
                    acquired =
                        registered &&
                        (co_await reserve(**queue, 1, acquires(ReservationType::exclusive_access, 7))).is_success();
                }
                co_await (*connected)->disconnect();
            }(rig, is_registered, is_acquired));
        }
        rig.run_for(rig.world().prng().between(1, 4000) * env::ns_per_us);
        rig.crash_target(Rig::Death::power_lost);
        const bool was_registered = is_registered;
        const bool was_acquired = is_acquired;
        rig.run_for(5 * env::ns_per_s);
        rig.start_target();
        rig.run([](Rig& r) -> Task<void> {
            EXPECT_TRUE(co_await r.target().start());
            co_await export_with_file(r);
        }(rig));
        rig.run([](Rig& r, bool registered, bool acquired, int& count) -> Task<void> {
            const auto& state = r.target().find_subsystem(Rig::nqn)->namespaces().at(1).reservation->state();
            const Uuid host(r.host_options(0).hostid);
            if (registered) EXPECT_TRUE(state.find(host) != nullptr && state.find(host)->key == 7);
            if (acquired) EXPECT_TRUE(state.is_holder(host));
            if (state.find(host) != nullptr) EXPECT_TRUE(state.record().is_persistent);
            count += acquired ? 1 : 0;
            co_return;
        }(rig, was_registered, was_acquired, held));
    }
    EXPECT_GT(held, 0) << "no seed came so far";
    EXPECT_LT(held, 20) << "every seed came to the end";
}

TEST(Reservations, WhatCannotBeStoredIsNotDone) {
    Rig rig(9);
    rig.run(export_with_file(rig));
    rig.run_on_host(0, [](Rig& r) -> Task<void> {
        auto first = co_await connect(r, 0);
        Qpair& mine = *co_await queue_of(r, *first);
        co_await expect_done(mine, registers(1, 3));
        r.world().file_faults("target", ptpl_file).write_error = 1;
        EXPECT_TRUE(
            (co_await reserve(mine, 1, acquires(ReservationType::write_exclusive, 1))).is(status::internal_error));
        auto second = co_await connect(r, 1);
        Qpair& other = *co_await queue_of(r, *second);
        std::vector<std::byte> data(block_bytes);
        EXPECT_TRUE((co_await execute_io(other, io(IoOpcode::write, 0), data)).is_success());
        r.world().file_faults("target", ptpl_file).write_error = 0;
        co_await expect_done(mine, acquires(ReservationType::write_exclusive, 1));
        EXPECT_TRUE((co_await execute_io(other, io(IoOpcode::write, 0), data)).is(status::reservation_conflict));
        co_await first->disconnect();
        co_await second->disconnect();
    }(rig));
    // A file that no target wrote is not believed.
    rig.run([](Rig& r) -> Task<void> {
        nvmf::Subsystem& subsystem = *r.target().find_subsystem(Rig::nqn);
        EXPECT_TRUE(co_await subsystem.remove_namespace(1));
        (void)r.target().environment().files().write_atomically(ptpl_file, R"({"ptpl":true,"rtype":1})");
        const auto added = co_await subsystem.add_namespace({.bdev_name = "Malloc0", .ptpl_file = ptpl_file});
        EXPECT_FALSE(added);
        if (!added) EXPECT_NE(added.error().message.find("ptpl_file /srv/ptpl"), std::string::npos);
    }(rig));
}

}  // namespace
}  // namespace weft::test
