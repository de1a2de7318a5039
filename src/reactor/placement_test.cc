// Threads that move while they work.
#include "reactor/placement.h"

#include <gtest/gtest.h>

#include "env/environment.h"
#include "env/linux/os_thread.h"
#include "env/sim/world.h"
#include "reactor/runtime.h"

namespace weft {
namespace {

// A device whose channel has, when the test says so, begun what only its reactor can finish.
class BoundDevice final : public IoDevice {
public:
    BoundDevice() : IoDevice("bound") {}
    class Channel final : public IoChannel {
    public:
        explicit Channel(const bool& is_bound) : is_bound_(is_bound) {}
        bool is_bound_to_reactor() const override { return is_bound_; }

    private:
        const bool& is_bound_;
    };
    ChannelRef<Channel> channel() { return ChannelRef<Channel>(static_cast<Channel&>(**get_channel())); }
    bool is_bound = false;

private:
    Result<std::unique_ptr<IoChannel>> make_channel() override { return std::make_unique<Channel>(is_bound); }
};

class Counter final : public Poller {
public:
    Counter(Thread& on, env::TimeNs period) : Poller(on, "counter", period) {}
    uint32_t poll() override {
        ++on_reactor[&Reactor::current()];
        return 0;
    }
    std::map<Reactor*, int> on_reactor;
};

// Reactors on CPUs 2 and 5 of a simulated machine, with a thread on the first.
class PlacementTest : public testing::Test {
protected:
    PlacementTest() {
        runtime = std::move(*Runtime::create(*environment, {.cpus = {2, 5}, .pin = false, .spin = 0}));
        const Result<void> made = run([this]() -> Task<Result<void>> {
            thread = *co_await runtime->create_thread("t", *CpuSet::parse("0x24"));
            co_return Result<void>{};
        }());
        EXPECT_TRUE(made.has_value());
    }
    void turn_all() {
        for (bool worked = true; worked;) {
            worked = false;
            for (Reactor* reactor : runtime->reactors()) worked |= reactor->turn();
        }
    }
    // With time passing.
    Result<void> run(Task<Result<void>> task) {
        std::optional<Result<void>> outcome;
        {
            const CurrentThread scope(&runtime->app_thread());
            spawn([](Task<Result<void>> inner, std::optional<Result<void>>& out) -> Task<void> {
                out = co_await std::move(inner);
            }(std::move(task), outcome));
        }
        for (int step = 0; !outcome && step < 100'000; ++step) {
            turn_all();
            world.advance_to(world.now() + 50 * env::ns_per_us);
        }
        EXPECT_TRUE(outcome);
        return outcome.value_or(Result<void>{});
    }
    Result<void> set_cpus(const char* mask) {
        return run(runtime->placement().set_cpus(thread->id(), *CpuSet::parse(mask)));
    }
    Reactor& reactor(size_t at) { return *runtime->data_reactors()[at]; }

    sim::World world{1};
    std::unique_ptr<env::Environment> environment = world.make_environment("test");
    std::unique_ptr<Runtime> runtime;
    Thread* thread = nullptr;
};

TEST_F(PlacementTest, PollersTimersAndMessagesMoveAlong) {
    std::unique_ptr<Counter> always, sometimes;
    {
        const CurrentThread scope(thread);
        always = std::make_unique<Counter>(*thread, 0);
        sometimes = std::make_unique<Counter>(*thread, env::ns_per_ms);
    }
    EXPECT_TRUE(set_cpus("0x20"));
    EXPECT_EQ(&thread->reactor(), &reactor(1));
    EXPECT_EQ(thread->cpus(), *CpuSet::parse("0x20"));
    always->on_reactor.clear();
    for (int ms = 0; ms < 5; ++ms) {
        world.advance_to(world.now() + env::ns_per_ms);
        turn_all();
    }
    EXPECT_GE(always->on_reactor[&reactor(1)], 5);
    EXPECT_GE(sometimes->on_reactor[&reactor(1)], 4);
    EXPECT_EQ(always->on_reactor.count(&reactor(0)), 0U);

    Reactor* where = nullptr;
    EXPECT_TRUE(run([this, &where]() -> Task<Result<void>> {
        co_await resume_on(*thread);
        where = &Reactor::current();
        co_await resume_on(runtime->app_thread());
        co_return Result<void>{};
    }()));
    EXPECT_EQ(where, &reactor(1));
    const CurrentThread scope(thread);
    always.reset();
    sometimes.reset();
}

TEST_F(PlacementTest, StaysWhereItMayBe) {
    EXPECT_TRUE(set_cpus("0x4"));
    EXPECT_EQ(&thread->reactor(), &reactor(0));
    EXPECT_TRUE(set_cpus("0x24"));
    EXPECT_EQ(&thread->reactor(), &reactor(0));
}

TEST_F(PlacementTest, RefusesWhatCannotBe) {
    EXPECT_EQ(set_cpus("0x1").error().code, Errc::invalid_argument);
    const auto move_of = [this](uint64_t id) {
        return run(runtime->placement().set_cpus(id, *CpuSet::parse("0x20"))).error().code;
    };
    EXPECT_EQ(move_of(12345), Errc::not_found);
    EXPECT_EQ(move_of(runtime->app_thread().id()), Errc::not_found);
    EXPECT_EQ(move_of(reactor(0).first_thread().id()), Errc::not_found);
    EXPECT_EQ(&thread->reactor(), &reactor(0));
}

TEST_F(PlacementTest, WaitsForWhatOnlyTheOldReactorCanFinish) {
    BoundDevice device;
    device.is_bound = true;
    ChannelRef<BoundDevice::Channel> channel;
    std::unique_ptr<Timer> timer;
    bool was_leaving = false;
    {
        const CurrentThread scope(thread);
        channel = device.channel();
    }
    EXPECT_EQ(set_cpus("0x20").error().code, Errc::busy);
    EXPECT_EQ(&thread->reactor(), &reactor(0));
    EXPECT_FALSE(thread->is_leaving());

    struct Finish {
        BoundDevice& device;
        Thread& thread;
        bool& was_leaving;
    } finish{device, *thread, was_leaving};
    {
        const CurrentThread scope(thread);
        timer = std::make_unique<Timer>(
            *thread,
            [](void* context) {
                auto& what = *static_cast<Finish*>(context);
                what.was_leaving = what.thread.is_leaving();
                what.device.is_bound = false;
            },
            &finish);
        timer->start_after(10 * env::ns_per_ms);
    }
    EXPECT_TRUE(set_cpus("0x20"));
    EXPECT_EQ(&thread->reactor(), &reactor(1));
    EXPECT_TRUE(was_leaving);
    EXPECT_FALSE(thread->is_leaving());
    {
        const CurrentThread scope(thread);
        timer.reset();
        channel.reset();
    }
    turn_all();
}

// ---- real threads ----

// A message goes to and fro between a thread that moves and one that stays; both reactors sleep in between. A lost
// wake-up or a thread that two reactors have would stop it, or be found by the thread sanitizer.
TEST(PlacementThreads, NoMessageIsLostWhileAThreadMoves) {
    constexpr int moves = 200;
    auto environment = env::make_linux_environment();
    ASSERT_TRUE(environment);
    auto runtime = std::move(*Runtime::create(**environment, {.cpus = {0, 1}, .pin = false, .spin = 0}));
    std::vector<std::unique_ptr<env::OsThread>> os_threads;
    for (const auto& reactor : runtime->data_reactors()) {
        os_threads.push_back(std::move(*env::OsThread::start({.name = "r"}, [&reactor = *reactor] { reactor.run(); })));
    }
    struct State {
        Runtime& runtime;
        int bounces = 0;
        int moved = 0;
        bool stop = false;
        bool stopped = false;
    } state{*runtime};
    {
        const CurrentThread scope(&runtime->app_thread());
        spawn([](State& s) -> Task<void> {
            Thread* thread = *co_await s.runtime.create_thread("mover", CpuSet::all());
            spawn([](State& t, Thread& wanderer) -> Task<void> {
                while (!t.stop) {
                    co_await resume_on(wanderer);
                    co_await yield();
                    co_await resume_on(t.runtime.app_thread());
                    ++t.bounces;
                }
                t.stopped = true;
            }(s, *thread));
            for (int at = 0; at < moves; ++at) {
                const auto done = co_await s.runtime.placement().move(thread->id(), static_cast<size_t>(at % 2));
                s.moved += done.has_value();
            }
            s.stop = true;
            while (!s.stopped) co_await sleep_for(env::ns_per_ms);
            s.runtime.control().stop();
        }(state));
    }
    runtime->control().run();
    for (const auto& reactor : runtime->data_reactors()) reactor->stop();
    os_threads.clear();
    EXPECT_EQ(state.moved, moves);
    EXPECT_GT(state.bounces, moves);
}

}  // namespace
}  // namespace weft
