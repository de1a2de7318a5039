#include "rpc/config.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "rpc/example_methods.h"

namespace weft::rpc {

namespace {

using example::run_now;

struct Note {
    std::string method;
    static constexpr auto fields() { return rpc::fields(rpc::required("what", &Note::method, "Noted")); }
};

class ConfigTest : public testing::Test {
protected:
    ConfigTest() {
        example::add_example_methods(registry);
        add("early", startup);
        add("late", runtime);
        add("either", startup | runtime);
    }
    void add(const std::string& name, States states) {
        registry.add<Note>({.name = name, .text = "Notes", .states = states},
                           [this, name](const Note& params) { return note(name, params.method); });
    }
    Task<Result<Json>> note(std::string name, std::string what) {
        done += name + ":" + what + " ";
        if (what == "bad") co_return fail(Errc::no_such_device, "it is gone");
        co_return Json(true);
    }
    Task<Result<void>> start() {
        done += "start ";
        registry.set_state(runtime);
        co_return Result<void>{};
    }
    std::string apply(std::string_view text, ApplyOptions options = {}) {
        auto calls = parse_config(text);
        if (!calls) return calls.error().message;
        const auto outcome = run_now(apply_config(registry, std::move(*calls), options, [this] { return start(); }));
        return outcome ? "" : outcome.error().message;
    }
    Registry registry;
    std::string done;
};

std::string file(std::string_view entries) {
    return std::string(R"({"subsystems":[{"subsystem":"none","config":null},{"subsystem":"a","config":[)") +
           std::string(entries) + "]}]}";
}
std::string entry(std::string_view method, std::string_view what) {
    return fmt::format(R"({{"method":"{}","params":{{"what":"{}"}}}})", method, what);
}

TEST_F(ConfigTest, ReadsTheFieldsFormat) {
    const auto calls = parse_config(
        R"({"subsystems":[{"subsystem":"bdev","config":[{"method":"m1","params":{"x":1}},[{"method":"m2"},{"method":"m3"}]]},
            {"subsystem":"nvmf","config":[[{"method":"m4"}],{"params":null,"method":"m5"}]},{"subsystem":"s"}]})");
    ASSERT_TRUE(calls) << calls.error().message;
    std::string seen;
    for (const ConfigCall& call : *calls) {
        seen += fmt::format("{} {} {} {};", call.number, call.subsystem, call.method, call.batch);
    }
    EXPECT_EQ(seen, "1 bdev m1 0;2 bdev m2 1;3 bdev m3 1;4 nvmf m4 2;5 nvmf m5 0;");
    EXPECT_EQ((*calls)[0].params, Json::object({{"x", 1}}));
    EXPECT_TRUE((*calls)[1].params.is_null());
}

TEST_F(ConfigTest, SaysWhereTheFileIsWrong) {
    EXPECT_EQ(apply("[]"), "configuration: the file: expected an object");
    EXPECT_EQ(apply("{}"), "configuration: the file: \"subsystems\" is missing");
    EXPECT_EQ(apply(R"({"subsystems":[{"config":[]}]})"), "configuration: subsystem 1: \"subsystem\" must be a string");
    EXPECT_EQ(apply(file(R"({"method":"early"},5)")), "configuration: entry 2 (a): expected an object with \"method\"");
    EXPECT_EQ(apply(file(R"({"methud":"early"})")), "configuration: entry 1 (a): \"methud\" is not expected here");
    EXPECT_EQ(apply(file(R"([{"method":"x"},{}])")), "configuration: entry 2 (a): \"method\" is missing");
    EXPECT_EQ(apply("{").substr(0, 24), "configuration: not JSON,");
    EXPECT_EQ(done, "");
}

TEST_F(ConfigTest, RunsStartupMethodsFirst) {
    EXPECT_EQ(apply(file(entry("late", "1") + "," + entry("early", "2") + ",[" + entry("late", "3") + "," +
                         entry("either", "4") + "]," + entry("late", "5"))),
              "");
    EXPECT_EQ(done, "early:2 either:4 start late:1 late:3 late:5 ");
}

TEST_F(ConfigTest, NamesTheEntryThatFailed) {
    EXPECT_EQ(apply(file(entry("late", "1") + "," + entry("late", "bad") + "," + entry("late", "3"))),
              "configuration: entry 2 (late): it is gone");
    EXPECT_EQ(done, "start late:1 late:bad ");
    done.clear();
    EXPECT_EQ(apply(file(entry("either", "1") + "," + R"({"method":"late","params":{"wat":1}})")),
              "configuration: entry 2 (late): wat: no such parameter; did you mean what?");
}

TEST_F(ConfigTest, GoesOnWhenToldTo) {
    EXPECT_EQ(apply(file(entry("late", "bad") + "," + entry("nonsense", "1") + "," + entry("late", "3")),
                    {.ignore_errors = true}),
              "");
    EXPECT_EQ(done, "start late:bad late:3 ");
}

TEST_F(ConfigTest, UnknownMethodsAreErrorsUnlessIgnored) {
    const std::string text = file(entry("nonsense", "1") + "," + entry("late", "2"));
    EXPECT_EQ(apply(text), "configuration: entry 1 (nonsense): Method not found: nonsense");
    EXPECT_EQ(apply(text, {.ignore_unknown_with_warning = true}), "");
    EXPECT_EQ(done, "start late:2 ");
}

TEST_F(ConfigTest, SkipsWhatMayBeSkippedAndNothingElse) {
    const ApplyOptions options = {.reason_to_skip = [](std::string_view method) -> std::string_view {
        return method == "option_of_another" ? "there is no such module" : "";
    }};
    EXPECT_EQ(apply(file(entry("option_of_another", "1") + "," + entry("late", "2")), options), "");
    EXPECT_EQ(done, "start late:2 ");
    registry.set_state(startup);
    EXPECT_EQ(apply(file(entry("nonsense", "1")), options),
              "configuration: entry 1 (nonsense): Method not found: nonsense");
}

TEST_F(ConfigTest, TheAllowListIsForClients) {
    registry.set_allowed({"either"});
    EXPECT_EQ(apply(file(entry("early", "1") + "," + entry("late", "2"))), "");
    EXPECT_EQ(done, "early:1 start late:2 ");
}

TEST_F(ConfigTest, OnARunningTargetStartupMethodsFail) {
    registry.set_state(runtime);
    EXPECT_EQ(
        apply(file(entry("late", "1") + "," + entry("early", "2"))),
        "configuration: entry 2 (early): Method may only be called before framework is initialized. Use --wait-for-rpc "
        "command line parameter and then issue this RPC before the framework_start_init RPC.");
    EXPECT_EQ(done, "late:1 ");
}

}  // namespace

}  // namespace weft::rpc
