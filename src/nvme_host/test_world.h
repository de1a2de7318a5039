// For tests: a host's reactor and a FakeTarget in a simulated world.
#pragma once

#include <gtest/gtest.h>

#include <functional>

#include "env/sim/world.h"
#include "nvme_host/controller.h"
#include "nvme_host/fake_target.h"
#include "reactor/reactor.h"

namespace weft::nvme_host {

class TestWorld {
public:
    explicit TestWorld(uint64_t seed = 1, const sim::Options& options = {}) : world(seed, options) {
        target_environment = world.make_environment("target");
        host_environment = world.make_environment("host");
        address = world.address_of("target", env::Family::ipv4, 4420);
        target = std::make_unique<FakeTarget>(std::move(*target_environment->network().listen(address, {})));
        reactor = std::move(*Reactor::create(*host_environment, {.name = "host"}));
        thread = &reactor->create_thread("host", CpuSet::all());
        other_thread = &reactor->create_thread("other", CpuSet::all());
    }

    [[nodiscard]] ControllerOptions options() const {
        return {.address = address,
                .subnqn = "nqn.2026-11.test:subsystem",
                .hostnqn = "nqn.2026-11.test:host",
                .io_queue_max = 2,
                .kato_ms = 0};
    }

    // One step: everybody's turn; when nobody had anything to do, time passes to the next event. False when
    // nothing will ever happen any more.
    bool step() {
        bool worked = reactor->turn();
        worked = target->poll() || worked;
        if (worked) return true;
        const env::TimeNs next = std::min(world.next_event_time(), reactor->next_deadline());
        if (next == env::time_never) return reactor->has_messages();
        world.advance_to(std::max(next, world.now()));
        world.deliver_due_events();
        return true;
    }

    bool run_until(const std::function<bool()>& condition) {
        for (uint64_t steps = 0; !condition(); ++steps) {
            if (!step() || steps > 10'000'000) return false;
        }
        return true;
    }

    void run_for(env::TimeNs time) {
        const env::TimeNs end = world.now() + time;
        while (world.now() < end && step()) {
        }
    }

    // Runs a coroutine on the host's thread to its end. `body` lives until then.
    template <class T>
    T run(const std::function<Task<T>()>& body) {
        std::optional<T> outcome;
        {
            const CurrentThread scope(thread);
            spawn(keep(body, outcome));
        }
        EXPECT_TRUE(run_until([&outcome] { return outcome.has_value(); }));
        return std::move(*outcome);
    }

    // The same for what a test does with a controller, which is disconnected at the end. Returns why there was none.
    std::optional<Error> with_controller(const ControllerOptions& with,
                                         const std::function<Task<void>(Controller&, tcp::ConnectionGroup&)>& body) {
        return run<std::optional<Error>>([&]() -> Task<std::optional<Error>> {
            auto group = tcp::ConnectionGroup::create(Thread::current());
            auto controller = co_await Controller::connect(**group, with);
            if (!controller) co_return controller.error();
            co_await body(**controller, **group);
            co_await (*controller)->disconnect();
            co_return std::nullopt;
        });
    }
    // Why connecting fails; "" when it does not.
    std::string connect_error(const ControllerOptions& with) {
        const auto error = with_controller(with, [](Controller&, tcp::ConnectionGroup&) -> Task<void> { co_return; });
        return error ? error->message : "";
    }

    sim::World world;
    std::unique_ptr<env::Environment> target_environment;
    std::unique_ptr<env::Environment> host_environment;
    std::unique_ptr<FakeTarget> target;
    std::unique_ptr<Reactor> reactor;
    env::Address address;
    Thread* thread = nullptr;
    Thread* other_thread = nullptr;

private:
    template <class T>
    static Task<void> keep(const std::function<Task<T>()>& body, std::optional<T>& outcome) {
        outcome.emplace(co_await body());
    }
};

}  // namespace weft::nvme_host
