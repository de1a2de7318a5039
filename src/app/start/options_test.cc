#include "app/start/options.h"

#include <gtest/gtest.h>

#include <CLI/CLI.hpp>
#include <optional>

#include "app/start/application.h"
#include "base/log.h"

namespace weft::app {
namespace {

struct Own {
    bool is_server = false;
    std::string host = "127.0.0.1";
    std::vector<std::string> words;
    uint16_t port = 4420;
    uint32_t depth = 1;
    std::string pattern = "read";
};

class OptionsTest : public testing::Test {
protected:
    OptionsTest()
        : app_({.name = "program", .text = "Does things", .usage = [] { return std::string("Good luck."); }}) {}
    void TearDown() override {
        log::set_rate_limit(0, 0);
        log::set_print_level(log::Level::notice);
    }
    void declare() {
        Options& options = app_.options();
        options.add_flag("-S,--server", own_.is_server, "Be the server");
        options.add_text("-H,--host", own_.host, "Where");
        options.add_texts("-r,--remember", own_.words, "Words");
        options.add_number("-P,--port", own_.port, "Which", {.min = 1});
        options.add_number("-q,--queue-depth", own_.depth, "How many");
        options.add_choice("-w,--pattern", own_.pattern, {"read", "write"}, "What");
    }
    std::optional<int> parse(std::vector<const char*> words) {
        words.insert(words.begin(), "program");
        testing::internal::CaptureStdout();
        testing::internal::CaptureStderr();
        const auto status = app_.parse(static_cast<int>(words.size()), words.data());
        printed_ = testing::internal::GetCapturedStdout();
        said_ = testing::internal::GetCapturedStderr();
        return status;
    }

    Application app_;
    Own own_;
    std::string printed_;
    std::string said_;
};

TEST_F(OptionsTest, FillsTheProgramsOwn) {
    declare();
    EXPECT_FALSE(
        parse({"-S", "-H", "::1", "-r", "one", "-r", "two", "-P", "80", "-q", "32", "-w", "write"}).has_value());
    EXPECT_TRUE(own_.is_server);
    EXPECT_EQ(own_.host, "::1");
    EXPECT_EQ(own_.words, (std::vector<std::string>{"one", "two"}));
    EXPECT_EQ(own_.port, 80);
    EXPECT_EQ(own_.depth, 32);
    EXPECT_EQ(own_.pattern, "write");
}

TEST_F(OptionsTest, LeavesDefaultsAlone) {
    declare();
    EXPECT_FALSE(parse({}).has_value());
    EXPECT_EQ(own_.port, 4420);
    EXPECT_FALSE(own_.is_server);
    EXPECT_EQ(app_.standard().cpus.size(), 1);
    EXPECT_TRUE(app_.standard().pin);
    EXPECT_EQ(app_.standard().spin, 200 * env::ns_per_us);
}

TEST_F(OptionsTest, RefusesWhatDoesNotFit) {
    declare();
    EXPECT_EQ(parse({"-P", "65536"}), 1);
    EXPECT_NE(said_.find("--port"), std::string::npos) << said_;
}

TEST_F(OptionsTest, RefusesWhatIsNoChoice) {
    declare();
    EXPECT_EQ(parse({"-w", "neither"}), 1);
    EXPECT_NE(said_.find("--pattern"), std::string::npos) << said_;
}

TEST_F(OptionsTest, RefusesToDoWithoutWhatIsRequired) {
    std::string target;
    app_.options().add_text("-t,--target", target, "Which", Options::Presence::required);
    EXPECT_EQ(parse({}), 1);
    EXPECT_NE(said_.find("--target"), std::string::npos) << said_;
}

TEST_F(OptionsTest, TakesTheStandardOnes) {
    declare();
    EXPECT_FALSE(parse({"--no-pin", "--spin-us", "7", "-s", "512", "-u", "--no-huge"}).has_value());
    EXPECT_FALSE(app_.standard().pin);
    EXPECT_EQ(app_.standard().spin, 7 * env::ns_per_us);
    EXPECT_NE(said_.find("option -s: memory is ordinary memory"), std::string::npos) << said_;
}

// -q is the program's queue depth, and --silence-noticelog still there.
TEST_F(OptionsTest, LeavesAStandardOptionTheNamesThatAreFree) {
    declare();
    EXPECT_FALSE(parse({"--silence-noticelog", "-s", "512"}).has_value());
    EXPECT_EQ(own_.depth, 1);
    EXPECT_EQ(said_, "");
}

TEST_F(OptionsTest, HelpHasItAll) {
    declare();
    EXPECT_EQ(parse({"--help"}), 0);
    for (const char* part : {"Does things", "-q,--queue-depth", "--silence-noticelog", "--cpumask", "-s,--mem-size",
                             "=4420", "Good luck."}) {
        EXPECT_NE(printed_.find(part), std::string::npos) << part << " in " << printed_;
    }
}

TEST_F(OptionsTest, SaysItsVersion) {
    EXPECT_EQ(parse({"-v"}), 0);
    EXPECT_EQ(printed_.substr(0, 6), "Weft v");
}

TEST_F(OptionsTest, RefusesALogFlagThatIsNone) {
    EXPECT_EQ(parse({"-L", "nonsense"}), 1);
    EXPECT_EQ(said_, "program: -L nonsense: there is no such log flag; -L all sets every one\n");
}

TEST_F(OptionsTest, RefusesACpuThatIsNotThere) {
    EXPECT_EQ(parse({"-m", "[900]"}), 1);
    EXPECT_EQ(said_.find("program: core mask: CPU 900 is not there"), 0) << said_;
}

}  // namespace
}  // namespace weft::app
