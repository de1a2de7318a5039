#include "app/cli/load/load_watch.h"

#include <gtest/gtest.h>

#include "bdev/test_runtime.h"
#include "env/environment.h"

namespace weft::cli {
namespace {

// Workers that take until `answers_at` to say that they are finished.
class SlowToAnswer final : public LoadWorkers {
public:
    SlowToAnswer(env::Clock& clock, env::TimeNs answers_at) : clock_(clock), answers_at_(answers_at) {}

    Task<void> set_end(env::TimeNs) override { co_return; }
    Task<bool> are_finished() override {
        while (clock_.now() < answers_at_) co_await sleep_for(env::ns_per_ms);
        co_return true;
    }
    [[nodiscard]] uint64_t done_count() const override { return 0; }
    [[nodiscard]] uint64_t busy_ns() const override {
        asked_busy_ += env::ns_per_s;
        return asked_busy_;
    }

private:
    env::Clock& clock_;
    env::TimeNs answers_at_;
    mutable env::TimeNs asked_busy_ = 0;
};

class LoadWatchTest : public testing::Test {
protected:
    // What watching it came to, of workers whose first answer comes when all is over.
    LoadCost watch(env::TimeNs warmup, env::TimeNs measured) {
        env::Clock& clock = world_.environment().clock();
        PerfTimes times;
        times.measure_from = clock.now() + warmup;
        times.end = times.measure_from + measured;
        SlowToAnswer workers(clock, times.end + env::ns_per_ms);
        return world_.run([](LoadWorkers& watched, PerfTimes within) -> Task<LoadCost> {
            co_return co_await watch_load(watched, within, 4096);
        }(workers, times));
    }

    bdev::TestRuntime world_{1};
};

// As on a machine that lets who watches wait for longer than the load lasts.
TEST_F(LoadWatchTest, TheTimeIsKnownThoughNobodyAnsweredInIt) {
    const LoadCost cost = watch(0, 5 * env::ns_per_ms);
    EXPECT_DOUBLE_EQ(cost.seconds, 0.005);
    EXPECT_GT(cost.busy_seconds, 0);
    EXPECT_DOUBLE_EQ(watch(3 * env::ns_per_ms, 5 * env::ns_per_ms).seconds, 0.005);
}

}  // namespace
}  // namespace weft::cli
