#include "nvme_host/controller.h"

#include <gtest/gtest.h>

#include "nvme_host/admin.h"
#include "nvme_host/test_world.h"

namespace weft::nvme_host {
namespace {

namespace status = nvme::status;
using nvme::AdminOpcode;

Task<void> nothing(Controller&, tcp::ConnectionGroup&) { co_return; }

bool contains(const std::string& text, std::string_view part) { return text.find(part) != std::string::npos; }

TEST(Controller, ConnectsIdentifiesAndShutsDown) {
    for (uint64_t seed = 1; seed <= 20; ++seed) {
        TestWorld world(seed);
        ControllerOptions options = world.options();
        options.header_digest = seed % 2 == 0;
        options.data_digest = seed % 3 == 0;
        const auto error =
            world.with_controller(options, [&](Controller& controller, tcp::ConnectionGroup&) -> Task<void> {
                EXPECT_EQ(controller.cntlid(), 7);
                EXPECT_EQ(controller.identity().mdts, 5);
                EXPECT_EQ(controller.transfer_bytes_max(), 128u * 1024);
                EXPECT_EQ(controller.in_capsule_max(), 4096u);
                EXPECT_EQ(controller.io_queue_limit(), 2u);
                EXPECT_EQ(controller.failure(), nullptr);
                co_return;
            });
        ASSERT_FALSE(error) << error->message;
        EXPECT_EQ(nvme::Configuration::from(world.target->configuration).get(nvme::Configuration::shn), 1u);
        world.run_for(env::ns_per_s);
        EXPECT_EQ(world.target->connection_count(), 0u);
        EXPECT_EQ(world.target->count(AdminOpcode::async_event_request), 1u);
    }
}

TEST(Controller, DisablesAControllerThatWasLeftEnabled) {
    TestWorld world;
    world.target->configuration = 0x460001;
    EXPECT_EQ(world.connect_error(world.options()), "");
    std::vector<uint64_t> values;
    for (const nvme::Command& command : world.target->admin_commands) {
        if (command.is_fabrics() && command.fabrics_type() == nvme::FabricsType::property_set) {
            values.push_back(nvme::as_fabrics<nvme::PropertySetCommand>(command).value);
        }
    }
    ASSERT_EQ(values.size(), 3u);
    EXPECT_EQ(values[0], 0x460000u);
    EXPECT_EQ(values[1], 0x460001u);
    EXPECT_EQ(values[2], 0x464001u);  // CC.SHN
}

// ---- what goes wrong while connecting is told by the step

// The fake target authenticates, and has no TLS.
TEST(Controller, AuthenticatesAndGoesOnThroughTlsWhenItIsToldTo) {
    const auto key = [] {
        Secret secret(32);
        std::ranges::fill(secret.mutable_bytes(), std::byte{1});
        return nvme::auth::Key{0, std::move(secret)};
    };
    for (const bool concatenates : {false, true}) {
        TestWorld world;
        ControllerOptions options = world.options();
        options.dhchap.emplace();
        options.dhchap->host = key();
        options.dhchap->allowed = {.hashes = 0b0010, .groups = 0b000010};
        world.target->connect_cdw0 |= nvme::connect_authreq_atr;
        if (concatenates) world.target->connect_cdw0 |= nvme::connect_authreq_ascr;
        const auto expect_authentication = [&] {
            world.target->authentication.emplace(
                key(), nvme::auth::ControllerSide({.hostnqn = options.hostnqn, .subnqn = options.subnqn}, {},
                                                  {.allows_new = concatenates, .is_demanded = concatenates}));
        };
        expect_authentication();
        if (concatenates) {
            EXPECT_TRUE(contains(world.connect_error(options), "demands a secure channel"));
            expect_authentication();
        }
        options.concatenate = concatenates;
        const std::string error = world.connect_error(options);
        EXPECT_TRUE(concatenates ? contains(error, "TLS") : error.empty()) << error;
        EXPECT_TRUE(world.target->authentication->side.is_completed());
    }
    TestWorld world;
    ControllerOptions options = world.options();
    options.concatenate = true;
    EXPECT_TRUE(contains(world.connect_error(options), "with a key for authentication"));
}

TEST(Controller, TellsThatNobodyListens) {
    TestWorld world;
    ControllerOptions options = world.options();
    options.address.port = 4421;
    const auto error = world.with_controller(options, nothing);
    ASSERT_TRUE(error);
    EXPECT_EQ(error->code, Errc::connection_refused);
    EXPECT_TRUE(contains(error->message, "10.0.0.1:4421")) << error->message;
}

TEST(Controller, TellsThatWhatListensDoesNotAnswer) {
    TestWorld world;
    world.target->is_mute = true;
    const auto error = world.with_controller(world.options(), nothing);
    ASSERT_TRUE(error);
    EXPECT_EQ(error->code, Errc::timed_out);
    EXPECT_TRUE(contains(error->message, "ICReq")) << error->message;
}

TEST(Controller, TellsWhichStepWasRefusedAndHow) {
    const struct {
        std::function<bool(const nvme::Command&)> step;
        nvme::Status status;
        const char* name;
        const char* meaning;
    } cases[] = {
        {[](const auto& c) { return c.fabrics_type() == nvme::FabricsType::connect && c.is_fabrics(); },
         status::connect_invalid_host, "Connect (admin queue)", "does not allow this host"},
        {[](const auto& c) { return c.fabrics_type() == nvme::FabricsType::connect && c.is_fabrics(); },
         status::connect_invalid_parameters, "Connect (admin queue)", "SUBNQN"},
        {[](const auto& c) { return c.fabrics_type() == nvme::FabricsType::property_get && c.is_fabrics(); },
         status::internal_error, "Property Get CAP", "00/06"},
        {[](const auto& c) { return c.fabrics_type() == nvme::FabricsType::property_set && c.is_fabrics(); },
         status::internal_error, "Property Set CC (EN=1)", "00/06"},
        {[](const auto& c) { return c.admin_opcode() == AdminOpcode::identify; }, status::invalid_field,
         "Identify Controller", "INVALID FIELD"},
        {[](const auto& c) { return c.admin_opcode() == AdminOpcode::set_features; }, status::invalid_field,
         "Number of Queues", "INVALID FIELD"},
    };
    for (const auto& one : cases) {
        TestWorld world;
        world.target->refuse = [&one](const nvme::Command& command, bool) -> std::optional<nvme::Status> {
            if (one.step(command)) return one.status;
            return std::nullopt;
        };
        const std::string error = world.connect_error(world.options());
        EXPECT_TRUE(contains(error, one.name)) << error;
        EXPECT_TRUE(contains(error, one.meaning)) << error;
    }
}

TEST(Controller, TellsThatItDoesNotBecomeReady) {
    TestWorld world;
    world.target->is_ready_late = true;
    EXPECT_TRUE(contains(world.connect_error(world.options()), "CSTS.RDY=1"));
    TestWorld fatal;
    fatal.target->has_fatal_status = true;
    EXPECT_TRUE(contains(fatal.connect_error(fatal.options()), "CSTS.CFS"));
}

TEST(Controller, TellsThatAuthenticationIsDemanded) {
    TestWorld world;
    world.target->connect_cdw0 = 7 | nvme::connect_authreq_atr;
    const auto error = world.with_controller(world.options(), nothing);
    ASSERT_TRUE(error);
    EXPECT_EQ(error->code, Errc::permission_denied);
}

TEST(Controller, RefusesNamesThatAreNone) {
    TestWorld world;
    ControllerOptions options = world.options();
    options.subnqn = "subsystem";
    EXPECT_TRUE(contains(world.connect_error(options), "'subsystem'"));
    options = world.options();
    options.hostnqn = "";
    EXPECT_TRUE(contains(world.connect_error(options), "host"));
}

TEST(Controller, GivesUpACommandThatIsNotAnswered) {
    TestWorld world;
    world.target->ignore = [](const nvme::Command& command, bool) {
        return command.admin_opcode() == AdminOpcode::identify;
    };
    ControllerOptions options = world.options();
    options.admin_timeout = 2 * env::ns_per_s;
    const auto error = world.with_controller(options, nothing);
    ASSERT_TRUE(error);
    EXPECT_EQ(error->code, Errc::timed_out);
    EXPECT_TRUE(contains(error->message, "Identify Controller")) << error->message;
}

// Asks a few things, and is content with any outcome.
Task<bool> ask_around(TestWorld& world) {
    auto group = tcp::ConnectionGroup::create(Thread::current());
    auto controller = co_await Controller::connect(**group, world.options());
    if (!controller) co_return false;
    auto qpair = co_await (*controller)->create_io_qpair(**group);
    for (int count = 0; count < 5; ++count) co_await active_namespaces(**controller);
    co_await (*controller)->disconnect();
    co_return qpair.has_value();
}

TEST(Controller, EndsInGoodOrderWhereverTheConnectionsBreak) {
    uint32_t successes = 0;
    for (uint64_t bytes = 1; bytes < 40'000; bytes = bytes * 9 / 8 + 1) {
        for (const bool with_reset : {false, true}) {
            TestWorld world(bytes);
            std::optional<bool> outcome;
            {
                const CurrentThread scope(world.thread);
                spawn([](TestWorld& one, std::optional<bool>& kept) -> Task<void> { kept = co_await ask_around(one); }(
                                                                        world, outcome));
            }
            bool is_broken = false;
            ASSERT_TRUE(world.run_until([&] {
                uint64_t arrived = 0;
                for (const auto& connection : world.world.connections()) arrived += connection.bytes_back;
                if (!is_broken && arrived >= bytes) {
                    is_broken = true;
                    for (const auto& connection : world.world.connections()) {
                        if (with_reset) world.world.reset_connection(connection.id);
                    }
                    if (!with_reset) world.target->close_all();
                }
                return outcome.has_value();
            })) << bytes;
            successes += *outcome ? 1 : 0;
        }
    }
    EXPECT_GT(successes, 0u);
}

// ---- while connected

TEST(Controller, KeepsAlive) {
    TestWorld world;
    ControllerOptions options = world.options();
    options.kato_ms = 1000;
    const auto error = world.with_controller(options, [&](Controller&, tcp::ConnectionGroup&) -> Task<void> {
        co_await sleep_for(5'200 * env::ns_per_ms);
        EXPECT_GE(world.target->count(AdminOpcode::keep_alive), 9u);
        EXPECT_LE(world.target->count(AdminOpcode::keep_alive), 11u);
    });
    EXPECT_FALSE(error);
}

TEST(Controller, IsLostWhenAKeepAliveIsNotAnswered) {
    TestWorld world;
    std::optional<Error> lost;
    ControllerOptions options = world.options();
    options.kato_ms = 1000;
    options.admin_timeout = 2 * env::ns_per_s;
    options.on_lost = [&lost](const Error& error) { lost = error; };
    const auto error = world.with_controller(options, [&](Controller& controller, tcp::ConnectionGroup&) -> Task<void> {
        world.target->ignore = [](const nvme::Command&, bool) { return true; };
        co_await sleep_for(4 * env::ns_per_s);
        EXPECT_TRUE(lost);
        EXPECT_NE(controller.failure(), nullptr);
        EXPECT_FALSE(co_await controller.admin({}));
    });
    EXPECT_FALSE(error);
    ASSERT_TRUE(lost);
    EXPECT_EQ(lost->code, Errc::timed_out);
}

TEST(Controller, IsLostWhenTheConnectionEnds) {
    TestWorld world;
    int lost = 0;
    ControllerOptions options = world.options();
    options.on_lost = [&lost](const Error& error) {
        ++lost;
        EXPECT_EQ(error.code, Errc::connection_lost);
    };
    const auto error = world.with_controller(options, [&](Controller& controller, tcp::ConnectionGroup&) -> Task<void> {
        world.target->close_all();
        const auto completion = co_await controller.admin({.opcode = static_cast<uint8_t>(AdminOpcode::keep_alive)});
        EXPECT_FALSE(completion);
        co_await sleep_for(env::ns_per_s);
    });
    EXPECT_FALSE(error);
    EXPECT_EQ(lost, 1);
}

TEST(Controller, MayBeLeftFromWhereItsLossIsTold) {
    TestWorld world;
    bool is_over = false;
    std::unique_ptr<Controller> kept;
    std::unique_ptr<tcp::ConnectionGroup> group;
    const auto leave = [&]() -> Task<void> {
        co_await kept->disconnect();
        kept.reset();
        co_await yield();
        group.reset();
        is_over = true;
    };
    ControllerOptions options = world.options();
    options.on_lost = [&leave](const Error&) { spawn(leave()); };
    const auto connected = world.run<bool>([&]() -> Task<bool> {
        group = std::move(*tcp::ConnectionGroup::create(Thread::current()));
        auto controller = co_await Controller::connect(*group, options);
        if (!controller) co_return false;
        kept = std::move(*controller);
        const auto qpair = co_await kept->create_io_qpair(*group);
        co_return qpair.has_value();
    });
    ASSERT_TRUE(connected);
    world.target->close_all();
    EXPECT_TRUE(world.run_until([&is_over] { return is_over; }));
}

TEST(Controller, ReportsEventsAndAsksForMore) {
    TestWorld world;
    std::vector<nvme::AsyncEvent> events;
    ControllerOptions options = world.options();
    options.on_event = [&events](const nvme::AsyncEvent& event) { events.push_back(event); };
    const auto error = world.with_controller(options, [&](Controller&, tcp::ConnectionGroup&) -> Task<void> {
        for (size_t count = 1; count <= 3; ++count) {
            while (!world.target->report_event(nvme::async_event::namespace_attribute_changed.to_cdw0())) {
                co_await sleep_for(env::ns_per_ms);
            }
            while (events.size() < count) co_await sleep_for(env::ns_per_ms);
        }
    });
    EXPECT_FALSE(error);
    ASSERT_EQ(events.size(), 3u);
    EXPECT_EQ(events[0], nvme::async_event::namespace_attribute_changed);
}

}  // namespace
}  // namespace weft::nvme_host
