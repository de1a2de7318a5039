// The keeper over a configuration of its own: a handful of bdevs that are only names and sizes.
#include "app/state/keeper.h"

#include <gtest/gtest.h>

#include "app/state/journal.h"
#include "bdev/bdev_rpc.h"
#include "bdev/test_runtime.h"
#include "env/sim/world.h"
#include "rpc/json.h"

namespace weft::state {
namespace {

constexpr const char* folder = "/state";
constexpr const char* journal = "/state/journal";

struct SetParams {
    std::string name;
    uint64_t size = 0;
    bool fails = false;
    static constexpr auto fields() {
        return rpc::fields(rpc::required("name", &SetParams::name, ""), rpc::optional("size", &SetParams::size, ""),
                           rpc::optional("fails", &SetParams::fails, ""));
    }
};

// What a daemon is to the keeper. Dies as one does that is killed, unless stop() is called.
class Toy {
public:
    Toy(bdev::TestRuntime& world, KeeperOptions options) : world_(world) {
        methods.add<SetParams>({.name = "bdev_null_create", .text = "", .changes_config = true},
                               [this](SetParams params) { return set(std::move(params)); });
        methods.add<SetParams>({.name = "bdev_null_delete", .text = "", .changes_config = true},
                               [this](SetParams params) { return unset(std::move(params)); });
        methods.set_state(rpc::runtime);
        options.store.folder = folder;
        opened = world_.run(open(std::move(options)));
    }
    void stop() {
        if (keeper) EXPECT_TRUE(world_.run(close()));
    }
    rpc::Response call(const std::string& method, Json params) {
        return world_.run(methods.call(method, std::move(params)));
    }
    bool create(const std::string& name, uint64_t size = 1) {
        return call("bdev_null_create", {{"name", name}, {"size", size}}).has_value();
    }
    bool remove(const std::string& name) { return call("bdev_null_delete", {{"name", name}}).has_value(); }
    Result<void> restore() { return world_.run(keeper->restore()); }
    Result<void> keep_as_one(Task<Result<void>> work, bool is_anew) {
        return world_.run(keeper->keep_as_one(std::move(work), is_anew));
    }
    Task<Result<void>> create_all(std::vector<std::string> names, bool fails) {
        for (std::string& name : names) {
            const Json params{{"name", std::move(name)}};
            if (!co_await methods.call("bdev_null_create", params, rpc::CallOf::change))
                co_return fail(Errc::busy, "x");
        }
        if (fails) co_return fail(Errc::busy, "told to");
        co_return Result<void>{};
    }

    rpc::Registry methods;
    std::map<std::string, uint64_t> things;
    std::set<std::string> cannot_be_made;
    std::unique_ptr<Keeper> keeper;
    Result<void> opened;

private:
    Task<Result<void>> open(KeeperOptions options) {
        auto made = co_await Keeper::open(world_.environment().files(), methods, std::move(options),
                                          [this](const rpc::ConfigKey& key) { return entry(key); });
        if (!made) co_return std::unexpected(std::move(made).error());
        keeper = std::move(*made);
        methods.set_keeper(keeper.get());
        co_return Result<void>{};
    }
    Task<bool> close() {
        co_await keeper->close();
        co_return true;
    }
    Json entry(const rpc::ConfigKey& key) const {
        const auto at = things.find(key.object);
        if (key.kind != bdev::bdev_kind || at == things.end()) return {};
        return {{"method", "bdev_null_create"}, {"params", {{"name", at->first}, {"size", at->second}}}};
    }
    Task<Result<Json>> set(SetParams params) {
        co_await yield();
        if (cannot_be_made.contains(params.name)) co_return fail(Errc::not_found, "its file is gone");
        things[params.name] = params.size;
        keeper->touched(bdev::bdev_key(params.name));
        if (params.fails) co_return fail(Errc::busy, "failed half-way");
        co_return Json(true);
    }
    Task<Result<Json>> unset(SetParams params) {
        co_await yield();
        things.erase(params.name);
        keeper->touched(bdev::bdev_key(params.name));
        co_return Json(true);
    }
    bdev::TestRuntime& world_;
};

class KeeperTest : public testing::Test {
protected:
    Toy start(KeeperOptions options = {}) { return Toy(world_, std::move(options)); }
    // A life that ends as kill -9 ends it: the lock goes, nothing is written.
    void kill(Toy& toy) {
        world_.settle();
        toy.methods.set_keeper(nullptr);
        toy.keeper.reset();
    }
    std::map<std::string, uint64_t> after_restart(KeeperOptions options = {}) {
        Toy toy(world_, std::move(options));
        EXPECT_TRUE(toy.opened) << toy.opened.error().message;
        if (!toy.opened) return {};
        const auto done = toy.restore();
        EXPECT_TRUE(done) << done.error().message;
        auto things = toy.things;
        kill(toy);
        return things;
    }
    std::string read(const std::string& path) { return files().read_all(path, 1 << 26).value_or(""); }
    env::Files& files() { return world_.environment().files(); }

    sim::World sim_{1};
    bdev::TestRuntime world_{sim_.make_environment("target"), 1};
    using Things = std::map<std::string, uint64_t>;
};

TEST_F(KeeperTest, KeepsWhatWasAnswered) {
    Toy toy(world_, {});
    ASSERT_TRUE(toy.opened) << toy.opened.error().message;
    EXPECT_TRUE(toy.create("a"));
    EXPECT_TRUE(toy.create("b", 7));
    EXPECT_TRUE(toy.remove("a"));
    kill(toy);
    EXPECT_EQ(after_restart(), (Things{{"b", 7}}));
    EXPECT_EQ(after_restart(), (Things{{"b", 7}}));  // restoring changes nothing
}

TEST_F(KeeperTest, KeepsWhatAFailedCallLeft) {
    Toy toy(world_, {});
    EXPECT_FALSE(toy.call("bdev_null_create", {{"name", "a"}, {"fails", true}}));
    kill(toy);
    EXPECT_EQ(after_restart(), (Things{{"a", 0}}));
}

TEST_F(KeeperTest, WritesNothingWhenNothingChanged) {
    Toy toy(world_, {});
    EXPECT_TRUE(toy.create("a"));
    const std::string before = read(journal);
    EXPECT_TRUE(toy.create("a"));
    EXPECT_FALSE(toy.call("bdev_null_create", {{"nmae", "a"}}));
    EXPECT_EQ(read(journal), before);
    kill(toy);
}

TEST_F(KeeperTest, ASecondUserOfTheFolderIsRefused) {
    Toy toy(world_, {});
    Toy other(world_, {});
    ASSERT_FALSE(other.opened);
    EXPECT_EQ(other.opened.error().code, Errc::busy);
    kill(toy);
    EXPECT_TRUE(Toy(world_, {}).opened);
}

TEST_F(KeeperTest, AnOrderlyEndLeavesOneEntry) {
    Toy toy(world_, {});
    for (const char* name : {"c", "a", "b"}) EXPECT_TRUE(toy.create(name));
    toy.stop();
    toy.keeper.reset();
    const std::string text = read(journal);
    const auto contents = read_journal(text);
    ASSERT_TRUE(contents);
    EXPECT_EQ(contents->payloads.size(), 1U);
    EXPECT_EQ(after_restart(), (Things{{"a", 1}, {"b", 1}, {"c", 1}}));
}

TEST_F(KeeperTest, ACutAtAnyByteStartsWithTheEntriesBeforeIt) {
    Toy toy(world_, {});
    std::vector<std::pair<size_t, Things>> history{{read(journal).size(), {}}};
    for (int round = 0; round < 6; ++round) {
        if (round % 3 == 2) {
            EXPECT_TRUE(toy.remove(std::to_string(round - 1)));
        } else {
            EXPECT_TRUE(toy.create(std::to_string(round), 10));
        }
        history.emplace_back(read(journal).size(), toy.things);
    }
    kill(toy);
    const std::string whole = read(journal);
    size_t aside = 0;
    for (size_t size = history.front().first; size <= whole.size(); ++size) {
        ASSERT_TRUE(files().write_atomically(journal, whole.substr(0, size)));
        Things expected;
        bool is_cut = true;
        for (const auto& [end, things] : history) {
            if (end <= size) expected = things;
            if (end == size) is_cut = false;
        }
        ASSERT_EQ(after_restart(), expected) << size;
        if (!is_cut) continue;
        ++aside;
        EXPECT_EQ(read(std::string(journal) + ".damaged-" + std::to_string(aside)), whole.substr(0, size));
        EXPECT_EQ(after_restart(), expected) << size;  // what was cut off was said once
        EXPECT_FALSE(files().open(std::string(journal) + ".damaged-" + std::to_string(aside + 1), {}));
    }
    EXPECT_GT(aside, 100U);
}

TEST_F(KeeperTest, AJournalWithoutAWholeEntryIsRefusedAndKept) {
    for (const char* text : {"", "weft-state 1\n", "weft-state 2\n", "anything"}) {
        ASSERT_TRUE(files().write_atomically(journal, text));
        Toy toy(world_, {});
        ASSERT_FALSE(toy.opened) << text;
        EXPECT_NE(toy.opened.error().message.find("skip-recovery"), std::string::npos);
        EXPECT_EQ(read(journal), text);
    }
}

TEST_F(KeeperTest, AnEntryOfALaterWeftIsRefusedAndKept) {
    const std::string text = std::string(journal_magic) + journal_line(1, R"({"subsystems":[]})") +
                             journal_line(2, R"({"changes":[{"put":{"method":"bdev_rbd_create","params":{}}}]})");
    ASSERT_TRUE(files().write_atomically(journal, text));
    Toy toy(world_, {});
    ASSERT_FALSE(toy.opened);
    EXPECT_NE(toy.opened.error().message.find("bdev_rbd_create"), std::string::npos) << toy.opened.error().message;
    EXPECT_EQ(read(journal), text);
}

TEST_F(KeeperTest, SkipRecoveryStartsEmptyOnceAndKeepsTheOldState) {
    Toy toy(world_, {});
    EXPECT_TRUE(toy.create("a"));
    kill(toy);
    const std::string before = read(journal);
    ASSERT_TRUE(files().write_atomically("/state/skip-recovery", ""));
    EXPECT_EQ(after_restart(), Things());
    EXPECT_EQ(read("/state/journal.skipped-1"), before);
    EXPECT_FALSE(files().open("/state/skip-recovery", {}));
    Toy next(world_, {});
    EXPECT_TRUE(next.create("b"));
    kill(next);
    EXPECT_EQ(after_restart(), (Things{{"b", 1}}));
}

TEST_F(KeeperTest, TheJournalStaysSmall) {
    const KeeperOptions options{.store = {.compact_after_bytes = 4096}};
    Toy toy(world_, options);
    Things expected;
    for (uint64_t round = 0; round < 2000; ++round) {
        ASSERT_TRUE(toy.create("thing" + std::to_string(round % 10), round));
    }
    expected = toy.things;
    EXPECT_LT(read(journal).size(), 12'000U);
    kill(toy);
    EXPECT_EQ(after_restart(), expected);
}

// Calls that come while others are being written share their fsync, and each is kept before it is answered.
TEST_F(KeeperTest, ManyAtOnceAreAllKept) {
    Toy toy(world_, {});
    uint32_t answered = 0;
    constexpr uint32_t count = 200;
    world_.as(world_.app(), [&] {
        for (uint32_t number = 0; number < count; ++number) {
            spawn([](Toy& self, uint32_t mine, uint32_t& done) -> Task<void> {
                const Json params{{"name", std::to_string(mine)}, {"size", mine}};
                EXPECT_TRUE(co_await self.methods.call("bdev_null_create", params));
                ++done;
            }(toy, number, answered));
        }
    });
    ASSERT_TRUE(world_.wait_for([&] { return answered == count; }));
    const Things expected = toy.things;
    kill(toy);
    EXPECT_EQ(after_restart(), expected);
}

class KeeperFaultTest : public KeeperTest, public testing::WithParamInterface<const char*> {};

TEST_P(KeeperFaultTest, AWriteThatFailsIsToldAndEndsChanges) {
    Toy toy(world_, {});
    EXPECT_TRUE(toy.create("before"));
    const std::string fault = GetParam();
    sim::FileFaults& faults = sim_.file_faults("target", journal);
    const sim::FileFaults none = faults;
    if (fault == "write") faults.write_error = 1;
    if (fault == "sync") faults.sync_error = 1;
    if (fault == "full") faults.capacity_bytes = read(journal).size() + 10;

    const auto answer = toy.call("bdev_null_create", {{"name", "lost"}});
    ASSERT_FALSE(answer);
    EXPECT_NE(answer.error().message.find("may be gone after a restart"), std::string::npos) << answer.error().message;
    EXPECT_TRUE(toy.things.contains("lost"));  // it goes on serving

    faults = none;  // the file system is well again: that proves nothing of what was written
    const auto refused = toy.call("bdev_null_create", {{"name", "later"}});
    ASSERT_FALSE(refused);
    EXPECT_NE(refused.error().message.find("cannot be changed"), std::string::npos) << refused.error().message;
    EXPECT_FALSE(toy.things.contains("later"));
    toy.stop();
    toy.keeper.reset();
    Things things = after_restart();
    things.erase("lost");  // in or out
    EXPECT_EQ(things, (Things{{"before", 1}}));
}

INSTANTIATE_TEST_SUITE_P(Faults, KeeperFaultTest, testing::Values("write", "sync", "full"),
                         [](const auto& info) { return std::string(info.param); });

TEST_F(KeeperTest, ACompactionThatFailsLosesNothing) {
    Toy toy(world_, {.store = {.compact_after_bytes = 500}});
    Things expected;
    for (int round = 0; round < 40; ++round) {
        if (round == 4) sim_.file_faults("target", journal).write_error = 0.2;
        if (toy.create(std::to_string(round))) expected[std::to_string(round)] = 1;
    }
    sim_.file_faults("target", journal).write_error = 0;
    EXPECT_LT(expected.size(), 40U);
    toy.stop();
    toy.keeper.reset();
    const Things found = after_restart();
    for (const auto& [name, size] : expected) EXPECT_TRUE(found.contains(name)) << name;
    EXPECT_LE(found.size(), expected.size() + 1);
}

TEST_F(KeeperTest, ManyCallsAsOneAreOneEntryOrNone) {
    Toy toy(world_, {});
    EXPECT_TRUE(toy.create("old"));
    EXPECT_TRUE(toy.keep_as_one(toy.create_all({"a", "b"}, false), false));
    const std::string text = read(journal);
    EXPECT_EQ(read_journal(text)->payloads.size(), 3U);
    EXPECT_FALSE(toy.keep_as_one(toy.create_all({"c"}, true), false));
    EXPECT_EQ(read(journal), text);
    toy.stop();
    toy.keeper.reset();
    EXPECT_EQ(after_restart(), (Things{{"a", 0}, {"b", 0}, {"old", 1}}));
}

// Devices are listed in the order in which they came; one that is made anew is the last.
TEST_F(KeeperTest, TheOrderInWhichThingsCameIsKept) {
    Toy toy(world_, {});
    const auto names_of = [](const Document& document) {
        std::string names;
        for (const rpc::ConfigKey& key : document.keys()) names += key.object;
        return names;
    };
    EXPECT_TRUE(toy.keep_as_one(toy.create_all({"b", "c", "a"}, false), false));
    EXPECT_EQ(names_of(toy.keeper->document()), "bca");
    EXPECT_TRUE(toy.create("b", 5));  // changed, not made anew
    EXPECT_EQ(names_of(toy.keeper->document()), "bca");
    const auto anew = [](Toy& self) -> Task<Result<void>> {
        const Json params{{"name", "b"}};
        EXPECT_TRUE(co_await self.methods.call("bdev_null_delete", params, rpc::CallOf::change));
        EXPECT_TRUE(co_await self.methods.call("bdev_null_create", params, rpc::CallOf::change));
        co_return Result<void>{};
    };
    EXPECT_TRUE(toy.keep_as_one(anew(toy), false));
    EXPECT_EQ(names_of(toy.keeper->document()), "cab");
    kill(toy);
    Toy again(world_, {});
    EXPECT_EQ(names_of(again.keeper->document()), "cab");
    kill(again);
}

TEST_F(KeeperTest, BeginningAnewReplacesTheStateOnlyWhenItSucceeds) {
    {
        Toy toy(world_, {});
        EXPECT_TRUE(toy.create("old"));
        kill(toy);
    }
    for (const bool fails : {true, false}) {
        Toy toy(world_, {});
        EXPECT_EQ(toy.keep_as_one(toy.create_all({"new"}, fails), true).has_value(), !fails);
        toy.stop();
        toy.keeper.reset();
        EXPECT_EQ(after_restart(), fails ? (Things{{"old", 1}}) : (Things{{"new", 0}}));
    }
    EXPECT_NE(read("/state/journal.replaced-1").find("old"), std::string::npos);
}

TEST_F(KeeperTest, WhatCannotBeAppliedStopsTheStartOrStaysInTheState) {
    {
        Toy toy(world_, {});
        for (const char* name : {"a", "gone", "z"}) EXPECT_TRUE(toy.create(name));
        kill(toy);
    }
    {
        Toy toy(world_, {});
        toy.cannot_be_made = {"gone"};
        const auto done = toy.restore();
        ASSERT_FALSE(done);
        EXPECT_NE(done.error().message.find("entry 2 (bdev_null_create): its file is gone"), std::string::npos)
            << done.error().message;
        EXPECT_NE(done.error().message.find("--state-skip-failed"), std::string::npos);
        toy.stop();
        toy.keeper.reset();
    }
    {
        Toy toy(world_, {.skips_failed = true});
        toy.cannot_be_made = {"gone"};
        EXPECT_TRUE(toy.restore());
        EXPECT_EQ(toy.things, (Things{{"a", 1}, {"z", 1}}));
        ASSERT_EQ(toy.keeper->missing().size(), 1U);
        EXPECT_TRUE(toy.create("b"));
        toy.stop();
        toy.keeper.reset();
    }
    EXPECT_EQ(after_restart(), (Things{{"a", 1}, {"b", 1}, {"gone", 1}, {"z", 1}}));
}

}  // namespace
}  // namespace weft::state
