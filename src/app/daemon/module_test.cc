#include "app/daemon/module.h"

#include <gtest/gtest.h>

namespace weft::app {
namespace {

struct Recorder {
    Modules modules;
    std::vector<std::string> log;
    std::string failing;

    void add(const std::string& name, std::vector<std::string> depends_on) {
        modules.add({.name = name,
                     .depends_on = std::move(depends_on),
                     .start = [this, name]() -> Task<Result<void>> {
                         if (name == failing) co_return fail(Errc::no_memory, "no room");
                         log.push_back("+" + name);
                         co_return Result<void>{};
                     },
                     .stop = [this, name]() -> Task<void> {
                         log.push_back("-" + name);
                         co_return;
                     },
                     .write_config = {}});
    }
    Result<void> start() {
        Result<void> outcome;
        spawn([](Recorder& self, Result<void>& out) -> Task<void> { out = co_await self.modules.start(); }(*this,
                                                                                                           outcome));
        return outcome;
    }
    void stop() {
        spawn([](Recorder& self) -> Task<void> { co_await self.modules.stop(); }(*this));
    }
};

TEST(Modules, StartAfterWhatTheyDependOnAndStopInReverse) {
    Recorder recorder;
    recorder.add("nvmf", {"bdev", "sock"});
    recorder.add("bdev", {"iobuf"});
    recorder.add("sock", {});
    recorder.add("iobuf", {});
    ASSERT_TRUE(recorder.start());
    recorder.stop();
    EXPECT_EQ(recorder.log,
              (std::vector<std::string>{"+sock", "+iobuf", "+bdev", "+nvmf", "-nvmf", "-bdev", "-iobuf", "-sock"}));
}

TEST(Modules, AFailedStartUndoesItselfAndSaysWhose) {
    Recorder recorder;
    recorder.add("bdev", {});
    recorder.add("nvmf", {"bdev"});
    recorder.failing = "nvmf";
    const Result<void> outcome = recorder.start();
    ASSERT_FALSE(outcome);
    EXPECT_EQ(outcome.error().message, "nvmf: no room");
    EXPECT_EQ(recorder.log, (std::vector<std::string>{"+bdev", "-bdev"}));
}

TEST(Modules, RefuseACircle) {
    Recorder recorder;
    recorder.add("first", {});
    recorder.add("a", {"b"});
    recorder.add("b", {"a"});
    EXPECT_FALSE(recorder.start());
    EXPECT_TRUE(recorder.log.empty());
    ASSERT_EQ(recorder.modules.all().size(), 3U);
    EXPECT_EQ(recorder.modules.all()[0].name, "first");
}

}  // namespace
}  // namespace weft::app
