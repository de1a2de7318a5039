#include "app/start/application.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <csignal>

namespace weft::app {
namespace {

class ApplicationTest : public testing::Test {
protected:
    ApplicationTest() : app_({.name = "program", .text = "Does things"}) {
        const char* const words[] = {"program", "--silence-noticelog", "--no-pin"};
        EXPECT_FALSE(app_.parse(3, words).has_value());
    }
    Application app_;
};

TEST_F(ApplicationTest, EndsWithTheStatusOfMain) {
    EXPECT_EQ(app_.run([]() -> Task<int> { co_return 42; }), 42);
}

TEST_F(ApplicationTest, MainIsOnTheAppThreadAndReachesTheReactors) {
    EXPECT_EQ(app_.run([&app = app_]() -> Task<int> {
        Thread& home = app.runtime().app_thread();
        EXPECT_TRUE(home.is_current());
        Reactor& data = *app.runtime().data_reactors().front();
        co_await resume_on(data.first_thread());
        EXPECT_EQ(&Reactor::current(), &data);
        EXPECT_NE(data.os_thread_id(), app.runtime().control().os_thread_id());
        co_await resume_on(home);
        co_return 0;
    }),
              0);
}

TEST_F(ApplicationTest, ServesUntilItIsAskedToStop) {
    EXPECT_EQ(app_.run([&app = app_]() -> Task<int> {
        spawn([](Application& asked) -> Task<void> {
            co_await sleep_for(env::ns_per_ms);
            asked.request_stop();
        }(app));
        EXPECT_FALSE(app.is_stop_requested());
        co_await app.serve();
        EXPECT_TRUE(app.is_stop_requested());
        co_await app.serve();  // comes back at once
        co_return 3;
    }),
              3);
}

TEST_F(ApplicationTest, ASignalStopsIt) {
    EXPECT_EQ(app_.run([&app = app_]() -> Task<int> {
        ::kill(::getpid(), SIGTERM);
        co_await app.serve();
        co_return 5;
    }),
              5);
}

TEST_F(ApplicationTest, SighupReloads) {
    int reloads = 0;
    EXPECT_EQ(app_.run([&reloads, &app = app_]() -> Task<int> {
        app.on_reload = [&] {
            ++reloads;
            ::kill(::getpid(), SIGTERM);
        };
        ::kill(::getpid(), SIGHUP);
        co_await app.serve();
        co_return 0;
    }),
              0);
    EXPECT_EQ(reloads, 1);
}

TEST_F(ApplicationTest, ALoopThatCannotBeginBeginsNothing) {
    bool is_begun = false;
    testing::internal::CaptureStderr();
    const int status = app_.run(
        [&is_begun]() -> Task<int> {
            is_begun = true;
            co_return 0;
        },
        [](Runtime&) -> Result<void> { return fail(Errc::again, "no more threads"); });
    EXPECT_EQ(status, 1);
    EXPECT_FALSE(is_begun);
    EXPECT_EQ(testing::internal::GetCapturedStderr(), "program: no more threads\n");
}

}  // namespace
}  // namespace weft::app
