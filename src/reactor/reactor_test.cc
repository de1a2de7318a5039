// Reactors on the simulated environment: what a turn does, step by step; and on real threads: nobody sleeps through
// a message.
#include "reactor/reactor.h"

#include <gtest/gtest.h>
#include <poll.h>

#include "env/linux/os_thread.h"
#include "env/sim/world.h"
#include "reactor/runtime.h"
#include "reactor/task.h"

namespace weft {
namespace {

class ReactorTest : public testing::Test {
protected:
    ReactorTest() {
        auto created = Reactor::create(*environment_, {.name = "test", .cpu = 0, .spin = 0});
        reactor_ = std::move(*created);
        thread_ = &reactor_->create_thread("first", CpuSet::of(0));
    }
    void turn_until_idle() {
        while (reactor_->turn()) {
        }
    }
    void advance(env::TimeNs time) { world_.advance_to(world_.now() + time); }

    sim::World world_{1};
    std::unique_ptr<env::Environment> environment_ = world_.make_environment("test");
    std::unique_ptr<Reactor> reactor_;
    Thread* thread_ = nullptr;
};

struct Numbered : Message {
    std::vector<int>* log = nullptr;
    int number = 0;
    static void note(Message& message) {
        auto& self = static_cast<Numbered&>(message);
        self.log->push_back(self.number);
    }
};

TEST_F(ReactorTest, MessagesRunInTheOrderInWhichTheyWereSent) {
    std::vector<int> log;
    Numbered messages[200];  // more than one turn takes
    for (int at = 0; at < 200; ++at) {
        messages[at].run = Numbered::note;
        messages[at].log = &log;
        messages[at].number = at;
        thread_->post(messages[at]);
    }
    turn_until_idle();
    ASSERT_EQ(log.size(), 200U);
    for (int at = 0; at < 200; ++at) EXPECT_EQ(log[static_cast<size_t>(at)], at);
}

TEST_F(ReactorTest, TimersFireInOrderOnceAndNotWhenStopped) {
    const CurrentThread scope(thread_);
    std::vector<int> log;
    struct Named {
        std::vector<int>* log;
        int number;
    };
    std::vector<Named> names;
    for (int at = 0; at < 50; ++at) names.push_back({&log, at});
    std::vector<std::unique_ptr<Timer>> timers;
    for (int at = 0; at < 50; ++at) {
        timers.push_back(std::make_unique<Timer>(
            *thread_,
            [](void* context) {
                auto* named = static_cast<Named*>(context);
                named->log->push_back(named->number);
            },
            &names[static_cast<size_t>(at)]));
        timers.back()->start_after(static_cast<env::TimeNs>((at * 37) % 50 + 1));
    }
    for (int at = 0; at < 50; at += 5) timers[static_cast<size_t>(at)]->stop();
    EXPECT_EQ(reactor_->next_deadline(), reactor_->now() + 2);
    for (int step = 0; step < 60; ++step) {
        advance(1);
        turn_until_idle();
    }
    ASSERT_EQ(log.size(), 40U);
    for (size_t at = 1; at < log.size(); ++at) EXPECT_LT((log[at - 1] * 37) % 50, (log[at] * 37) % 50);
    EXPECT_EQ(reactor_->next_deadline(), env::time_never);
}

class Counting final : public Poller {
public:
    Counting(Thread& thread, env::TimeNs period) : Poller(thread, "counting", period) {}
    uint32_t poll() override {
        ++polls;
        return polls <= busy ? 1 : 0;
    }
    int polls = 0;
    int busy = 0;
};

TEST_F(ReactorTest, PollersRunEveryTurnOrOncePerPeriod) {
    const CurrentThread scope(thread_);
    Counting always(*thread_, 0);
    Counting timed(*thread_, 100);
    always.busy = 3;
    for (int turns = 0; turns < 10; ++turns) {
        advance(50);
        reactor_->turn();
    }
    EXPECT_EQ(always.polls, 10);
    EXPECT_EQ(always.busy_count(), 3U);
    EXPECT_EQ(timed.polls, 5);
    always.pause();
    timed.pause();
    for (int turns = 0; turns < 10; ++turns) {
        advance(50);
        reactor_->turn();
    }
    EXPECT_EQ(always.polls, 10);
    EXPECT_EQ(timed.polls, 5);
    EXPECT_EQ(thread_->paused_pollers().size(), 2U);
    timed.resume();
    advance(100);
    reactor_->turn();
    EXPECT_EQ(timed.polls, 6);
}

// A poller may destroy itself, or the one after it, from inside poll().
class Destroyer final : public Poller {
public:
    Destroyer(Thread& thread, std::unique_ptr<Poller>& victim) : Poller(thread, "destroyer", 0), victim_(victim) {}
    uint32_t poll() override {
        victim_.reset();
        return 1;
    }

private:
    std::unique_ptr<Poller>& victim_;
};

TEST_F(ReactorTest, PollersMayVanishWhileTheyRun) {
    const CurrentThread scope(thread_);
    std::unique_ptr<Poller> first;
    std::unique_ptr<Poller> second;
    first = std::make_unique<Destroyer>(*thread_, second);
    second = std::make_unique<Counting>(*thread_, 0);
    reactor_->turn();
    EXPECT_EQ(second, nullptr);
    std::unique_ptr<Poller> self;
    self = std::make_unique<Destroyer>(*thread_, self);
    reactor_->turn();
    EXPECT_EQ(self, nullptr);
    EXPECT_EQ(thread_->active_pollers().size(), 1U);
}

TEST_F(ReactorTest, TimeIsBusyOrIdleAndNothingIsLost) {
    const CurrentThread scope(thread_);
    Counting poller(*thread_, 0);
    poller.busy = 4;
    const env::TimeNs start = reactor_->now();
    for (int turns = 0; turns < 11; ++turns) {
        reactor_->turn();
        advance(100);
    }
    reactor_->turn();
    const ThreadStats& stats = thread_->stats();
    EXPECT_EQ(stats.busy_ns + stats.idle_ns, reactor_->now() - start);
    EXPECT_EQ(stats.busy_ns, 400U);
    EXPECT_EQ(reactor_->busy_ns(), 400U);
}

// ---- channels ----

class CountedChannel final : public IoChannel {
public:
    explicit CountedChannel(int& living) : living_(living) { ++living_; }
    ~CountedChannel() override { --living_; }

private:
    int& living_;
};

class CountedDevice final : public IoDevice {
public:
    CountedDevice() : IoDevice("counted") {}
    ChannelRef<CountedChannel> channel() {
        return ChannelRef<CountedChannel>(static_cast<CountedChannel&>(**get_channel()));
    }
    int living = 0;

private:
    Result<std::unique_ptr<IoChannel>> make_channel() override { return std::make_unique<CountedChannel>(living); }
};

TEST_F(ReactorTest, AChannelIsSharedCountedAndDestroyedFromTheLoop) {
    const CurrentThread scope(thread_);
    CountedDevice device;
    {
        auto first = device.channel();
        auto second = device.channel();
        EXPECT_EQ(first.get(), second.get());
        EXPECT_EQ(first->references(), 2U);
        EXPECT_EQ(device.channel_threads(), std::vector<Thread*>{thread_});
    }
    EXPECT_EQ(device.living, 1) << "not inside the call that dropped it";
    auto again = device.channel();  // taken up again before the loop came by
    turn_until_idle();
    EXPECT_EQ(device.living, 1);
    again.reset();
    turn_until_idle();
    EXPECT_EQ(device.living, 0);
    EXPECT_TRUE(device.channel_threads().empty());
}

// ---- coroutines ----

TEST_F(ReactorTest, CoroutinesChangeThreadsAndComeBack) {
    Thread& other = reactor_->create_thread("other", CpuSet::of(0));
    std::vector<std::string> log;
    {
        const CurrentThread scope(thread_);
        spawn([](Thread& home, Thread& away, std::vector<std::string>& out) -> Task<void> {
            out.push_back(Thread::current().name());
            co_await resume_on(away);
            out.push_back(Thread::current().name());
            co_await sleep_for(10);
            out.push_back(Thread::current().name());
            co_await resume_on(home);
            out.push_back(Thread::current().name());
        }(*thread_, other, log));
    }
    turn_until_idle();
    advance(10);
    turn_until_idle();
    EXPECT_EQ(log, (std::vector<std::string>{"first", "other", "other", "first"}));
}

TEST_F(ReactorTest, AMutexIsHandedOverInOrder) {
    const CurrentThread scope(thread_);
    AsyncMutex mutex;
    std::vector<int> log;
    for (int at = 0; at < 5; ++at) {
        spawn([](AsyncMutex& m, std::vector<int>& out, int number) -> Task<void> {
            const auto guard = co_await m.lock();
            out.push_back(number);
            co_await yield();
            out.push_back(number);
        }(mutex, log, at));
    }
    turn_until_idle();
    EXPECT_EQ(log, (std::vector<int>{0, 0, 1, 1, 2, 2, 3, 3, 4, 4}));
    EXPECT_FALSE(mutex.is_locked());
}

TEST_F(ReactorTest, AGateClosesWhenAllHaveLeftAndLetsNobodyIn) {
    const CurrentThread scope(thread_);
    Gate gate;
    ASSERT_TRUE(gate.try_enter());
    bool closed = false;
    spawn([](Gate& g, bool& out) -> Task<void> {
        co_await g.close();
        out = true;
    }(gate, closed));
    turn_until_idle();
    EXPECT_FALSE(closed);
    EXPECT_FALSE(gate.try_enter());
    gate.leave();
    turn_until_idle();
    EXPECT_TRUE(closed);
}

TEST_F(ReactorTest, OffloadedWorkComesBackWithItsValue) {
    const CurrentThread scope(thread_);
    int value = 0;
    spawn([](int& out) -> Task<void> { out = co_await offload([] { return 42; }); }(value));
    turn_until_idle();
    EXPECT_EQ(value, 42);
}

TEST_F(ReactorTest, RunningOutOfMemoryIsAnErrorAtTheBorder) {
    const CurrentThread scope(thread_);
    Result<int> outcome = 0;
    spawn([](Result<int>& out) -> Task<void> {
        out = co_await []() -> Task<Result<int>> {
            throw std::bad_alloc();
            co_return 1;
        }();
    }(outcome));
    ASSERT_FALSE(outcome);
    EXPECT_EQ(outcome.error().code, Errc::no_memory);
}

TEST_F(ReactorTest, RunningOutOfMemoryOnAnotherThreadIsTheEnd) {
    Thread& other = reactor_->create_thread("other", CpuSet::of(0));
    const CurrentThread scope(thread_);
    const auto go = [&] {
        spawn([](Thread& to) -> Task<void> {
            const Result<int> outcome = co_await [](Thread& there) -> Task<Result<int>> {
                co_await resume_on(there);
                throw std::bad_alloc();
                co_return 1;
            }(to);
            std::fputs(outcome ? "went on with a value" : "went on with an error", stderr);
        }(other));
        turn_until_idle();
    };
    EXPECT_DEATH(go(), "bad_alloc");
}

// ---- real threads ----

// Two sleeping reactors send a message to and fro; a lost wake-up would stop them for good.
struct Ball : Message {
    Thread* sides[2] = {nullptr, nullptr};
    Reactor* reactors[2] = {nullptr, nullptr};
    int left = 20'000;
    static void bounce(Message& message) {
        auto& self = static_cast<Ball&>(message);
        if (--self.left == 0) {
            for (Reactor* reactor : self.reactors) reactor->stop();
            return;
        }
        self.sides[self.left % 2]->post(self);
    }
};

TEST(ReactorThreads, NoWakeUpIsLost) {
    auto environment = env::make_linux_environment();
    ASSERT_TRUE(environment);
    for (const env::TimeNs spin : {env::TimeNs{0}, 20 * env::ns_per_us}) {
        Ball ball;
        ball.run = Ball::bounce;
        std::unique_ptr<Reactor> reactors[2];
        for (int at = 0; at < 2; ++at) {
            reactors[at] = std::move(*Reactor::create(**environment, {.name = "r", .cpu = -1, .spin = spin}));
            ball.sides[at] = &reactors[at]->create_thread("t", CpuSet::all());
            ball.reactors[at] = reactors[at].get();
        }
        std::unique_ptr<env::OsThread> threads[2];
        for (int at = 0; at < 2; ++at) {
            threads[at] =
                std::move(*env::OsThread::start({.name = "r"}, [&reactor = *reactors[at]] { reactor.run(); }));
        }
        ball.sides[0]->post(ball);
        for (auto& thread : threads) thread.reset();
        EXPECT_EQ(ball.left, 0);
    }
}

// What a program does that turns reactors itself: no more often than there is something to do. Returns how often it
// slept.
uint64_t turn_by_hand(Reactor& reactor, env::Clock& clock) {
    uint64_t rests = 0;
    while (!reactor.is_stopping()) {
        if (reactor.turn()) continue;
        const auto rest = reactor.begin_rest();
        if (!rest) continue;
        ++rests;
        const env::TimeNs now = clock.now();
        const env::TimeNs left = rest->deadline > now ? rest->deadline - now : 0;
        const timespec timeout{.tv_sec = static_cast<time_t>(left / env::ns_per_s),
                               .tv_nsec = static_cast<long>(left % env::ns_per_s)};
        pollfd descriptor{.fd = rest->descriptor, .events = POLLIN, .revents = 0};
        ::ppoll(&descriptor, 1, rest->deadline == env::time_never ? nullptr : &timeout, nullptr);
        reactor.end_rest();
    }
    return rests;
}

TEST(ReactorThreads, NoWakeUpIsLostInALoopOfOnesOwn) {
    auto environment = env::make_linux_environment();
    ASSERT_TRUE(environment);
    Ball ball;
    ball.run = Ball::bounce;
    std::unique_ptr<Reactor> reactors[2];
    for (int at = 0; at < 2; ++at) {
        reactors[at] = std::move(*Reactor::create(**environment, {.name = "r", .cpu = -1, .spin = 0}));
        ball.sides[at] = &reactors[at]->create_thread("t", CpuSet::all());
        ball.reactors[at] = reactors[at].get();
    }
    auto run = std::move(*env::OsThread::start({.name = "r"}, [&reactor = *reactors[0]] { reactor.run(); }));
    auto own =
        std::move(*env::OsThread::start({.name = "own"}, [&reactor = *reactors[1], &clock = (*environment)->clock()] {
            turn_by_hand(reactor, clock);
        }));
    ball.sides[0]->post(ball);
    own.reset();
    run.reset();
    EXPECT_EQ(ball.left, 0);
}

TEST(ReactorThreads, ALoopOfOnesOwnIsToldUntilWhenItMaySleep) {
    auto environment = env::make_linux_environment();
    ASSERT_TRUE(environment);
    auto reactor = std::move(*Reactor::create(**environment, {.name = "r", .cpu = -1, .spin = 0}));
    Thread& thread = reactor->create_thread("t", CpuSet::all());
    while (reactor->turn()) {
    }
    auto rest = reactor->begin_rest();
    ASSERT_TRUE(rest.has_value());
    EXPECT_EQ(rest->deadline, env::time_never);
    EXPECT_GE(rest->descriptor, 0);
    reactor->end_rest();

    const CurrentThread scope(&thread);
    Timer timer(thread, [](void* context) { static_cast<Reactor*>(context)->stop(); }, reactor.get());
    const env::TimeNs due = (*environment)->clock().now() + 20 * env::ns_per_ms;
    timer.start_at(due);
    rest = reactor->begin_rest();
    ASSERT_TRUE(rest.has_value());
    EXPECT_EQ(rest->deadline, due);
    reactor->end_rest();
    // Not by the clock, which other programs may take away: by how often it woke up for nothing.
    EXPECT_LE(turn_by_hand(*reactor, (*environment)->clock()), 3U);
    EXPECT_GE((*environment)->clock().now(), due);

    EXPECT_FALSE(reactor->begin_rest().has_value()) << "it is stopping";
}

TEST_F(ReactorTest, DoesNotRestWhileThereIsWork) {
    std::vector<int> log;
    Numbered message;
    message.run = Numbered::note;
    message.log = &log;
    turn_until_idle();
    thread_->post(message);
    EXPECT_FALSE(reactor_->begin_rest().has_value());
    EXPECT_TRUE(reactor_->turn());
    EXPECT_FALSE(reactor_->begin_rest().has_value()) << "the turn had work: there may be more";
    EXPECT_FALSE(reactor_->turn());
    EXPECT_TRUE(reactor_->begin_rest().has_value());
    reactor_->end_rest();
}

TEST_F(ReactorTest, APollerSaysHowLongItMayRest) {
    class Waiting final : public Poller {
    public:
        Waiting(Thread& on, Sleep its_sleep) : Poller(on, "waiting", 0), sleep(its_sleep) {}
        uint32_t poll() override { return 0; }
        Sleep prepare_sleep() override {
            is_prepared = sleep != Sleep::no;
            return sleep;
        }
        void woke_up() override { is_prepared = false; }
        Sleep sleep;
        bool is_prepared = false;
    };
    const CurrentThread scope(thread_);
    turn_until_idle();
    Waiting first(*thread_, Sleep::until_woken);
    Waiting second(*thread_, Sleep::until_woken);
    const auto deadline = [&](Sleep sleep) -> std::optional<env::TimeNs> {
        second.sleep = sleep;
        const auto rest = reactor_->begin_rest();
        EXPECT_EQ(rest.has_value(), first.is_prepared);
        if (!rest) return std::nullopt;
        reactor_->end_rest();
        EXPECT_FALSE(first.is_prepared || second.is_prepared);
        return rest->deadline;
    };
    EXPECT_EQ(deadline(Sleep::until_woken), env::time_never);
    EXPECT_EQ(deadline(Sleep::briefly), world_.now() + Reactor::ask_again_after);
    EXPECT_EQ(deadline(Sleep::no), std::nullopt);
    Timer timer(*thread_, [](void*) {}, nullptr);
    timer.start_at(world_.now() + 1);
    EXPECT_EQ(deadline(Sleep::briefly), world_.now() + 1) << "a timer is sooner";
}

TEST(ReactorThreads, AnIdleReactorSleeps) {
    auto environment = env::make_linux_environment();
    ASSERT_TRUE(environment);
    auto reactor = std::move(*Reactor::create(**environment, {.name = "r", .cpu = -1, .spin = env::ns_per_ms}));
    Thread& thread = reactor->create_thread("t", CpuSet::all());
    uint64_t turns = 0;
    class Counter final : public Poller {
    public:
        Counter(Thread& on, uint64_t& count) : Poller(on, "counter", 0), count_(count) {}
        uint32_t poll() override {
            ++count_;
            return 0;
        }

    private:
        uint64_t& count_;
    };
    {
        const CurrentThread scope(&thread);
        auto counter = std::make_unique<Counter>(thread, turns);
        Timer timer(thread, [](void* context) { static_cast<Reactor*>(context)->stop(); }, reactor.get());
        timer.start_after(300 * env::ns_per_ms);
        reactor->run();
    }
    // Awake for about a millisecond of three hundred.
    EXPECT_LT(reactor->busy_ns(), 50 * env::ns_per_ms);
    EXPECT_LT(turns, 200'000U);
}

TEST(Runtime, PlacesThreadsByTheirCpus) {
    sim::World world(1);
    auto environment = world.make_environment("test");
    auto runtime = std::move(*Runtime::create(*environment, {.cpus = {2, 5}, .pin = false, .spin = 0}));
    std::vector<std::string> where;
    bool refused = false;
    {
        const CurrentThread scope(&runtime->app_thread());
        spawn([](Runtime& r, std::vector<std::string>& out, bool& no) -> Task<void> {
            for (const char* mask : {"0x4", "0x24", "0x24", "0x20"}) {
                const auto thread = co_await r.create_thread("t", *CpuSet::parse(mask));
                out.push_back((*thread)->reactor().name());
            }
            no = !(co_await r.create_thread("t", *CpuSet::parse("0x1")));
        }(*runtime, where, refused));
    }
    for (bool worked = true; worked;) {
        worked = false;
        for (Reactor* reactor : runtime->reactors()) worked |= reactor->turn();
    }
    EXPECT_EQ(where, (std::vector<std::string>{"reactor_2", "reactor_5", "reactor_2", "reactor_5"}));
    EXPECT_TRUE(refused);
}

}  // namespace
}  // namespace weft
