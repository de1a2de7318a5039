#include "rpc/audit_log.h"

#include <gtest/gtest.h>

#include "base/log.h"
#include "net/test_rig.h"
#include "rpc/json.h"

namespace weft::rpc {
namespace {

using net::TestRig;

TEST(Redacted, SecretsAndLongTextsAreLeftOut) {
    const Json params = {{"name", "N0"},
                         {"psk", "NVMeTLSkey-1:01:abc:"},
                         {"dhchap_ctrlr_key", "k"},
                         {"Password", {{"deep", "p"}}},
                         {"list", {{{"hmac_KEY", "x"}, {"path", "/a"}}}},
                         {"pin", 1234},
                         {"pinned", true},
                         {"config", "{}"},
                         {"long", std::string(257, 'x')}};
    const Json expected = {{"name", "N0"},
                           {"psk", "***"},
                           {"dhchap_ctrlr_key", "***"},
                           {"Password", "***"},
                           {"list", {{{"hmac_KEY", "***"}, {"path", "/a"}}}},
                           {"pin", "***"},
                           {"pinned", true},
                           {"config", "<2 bytes>"},
                           {"long", "<257 bytes>"}};
    EXPECT_EQ(redacted(params), expected);
    EXPECT_EQ(redacted(Json()), Json());
    EXPECT_EQ(redacted(Json("text")), Json("text"));
}

class AuditLogTest : public testing::Test {
protected:
    // A world of its own, whose clock began at a round second.
    std::string contents() { return *files().read_all(path, size_t{1} << 24); }
    env::Files& files() { return rig.environment().files(); }
    void open() {
        auto made = rig.wait_for(AuditLog::open(path));
        ASSERT_TRUE(made) << made.error().message;
        log = std::move(*made);
    }
    void settle() { rig.wait_for(log->settle()); }
    void note(int number) { log->note(alice, "method", Json{{"number", number}}, 0); }

    TestRig rig{TestRig::Kind::simulated};
    const std::string path = "/audit";
    const Caller alice{.role = Role::operate, .name = "CN=alice", .address = "192.0.2.7:40112"};
    std::unique_ptr<AuditLog> log;
};

TEST_F(AuditLogTest, ACallIsALineOfJson) {
    open();
    log->note(alice, "bdev_null_create", Json{{"name", "N\n0"}, {"key", "secret"}}, -17);
    settle();
    const std::string text = contents();
    ASSERT_TRUE(text.ends_with("\n"));
    EXPECT_EQ(std::ranges::count(text, '\n'), 1);
    const auto line = parse_json(text, large_json_limits);
    ASSERT_TRUE(line) << line.error().message;
    EXPECT_EQ(line->value("who", ""), "CN=alice");
    EXPECT_EQ(line->value("address", ""), "192.0.2.7:40112");
    EXPECT_EQ(line->value("role", ""), "operate");
    EXPECT_EQ(line->value("method", ""), "bdev_null_create");
    EXPECT_EQ(line->value("code", 0), -17);
    EXPECT_EQ((*line)["params"], (Json{{"name", "N\n0"}, {"key", "***"}}));
    // The simulated clock began at 1'800'000'000 s.
    EXPECT_TRUE(line->value("time", "").starts_with("2027-01-15T08:00:0")) << line->value("time", "");
    EXPECT_EQ(log->figures().lines_written, 1U);
}

TEST_F(AuditLogTest, NoByteOfACallerReachesATerminal) {
    open();
    const Caller who{.role = Role::none, .name = "CN=\xC2\x9B\xFF", .address = {}};
    log->note(who, "m\x1B\xE2\x82", Json{{"n\n", "\x07\xC2\x9B"}}, 0);
    settle();
    std::string text = contents();
    ASSERT_TRUE(text.ends_with("\n"));
    text.pop_back();
    EXPECT_TRUE(std::ranges::all_of(text, [](char byte) { return byte >= 0x20 && byte < 0x7F; })) << text;
    EXPECT_TRUE(parse_json(text));
}

TEST_F(AuditLogTest, WhatComesAfterTheEndIsLostAndNothingElse) {
    open();
    note(1);
    rig.wait_for(log->close());
    note(2);
    EXPECT_EQ(log->figures().lines_written, 1U);
    EXPECT_EQ(log->figures().lines_lost, 1U);
}

TEST_F(AuditLogTest, LinesAreAppendedInOrder) {
    ASSERT_TRUE(files().write_atomically(path, "before\n"));
    open();
    for (int number = 0; number < 100; ++number) note(number);
    settle();
    const std::string text = contents();
    EXPECT_TRUE(text.starts_with("before\n"));
    EXPECT_EQ(std::ranges::count(text, '\n'), 101);
    EXPECT_LT(text.find("\"number\":98"), text.find("\"number\":99"));
    EXPECT_EQ(log->figures().lines_written, 100U);
}

TEST_F(AuditLogTest, ARotatedFileIsLeftForANewOne) {
    open();
    note(1);
    settle();
    ASSERT_TRUE(files().rename(path, "/audit.1"));
    note(2);
    settle();
    EXPECT_FALSE(files().read_all(path, 100));
    ASSERT_TRUE(rig.wait_for(log->reopen()));
    note(3);
    settle();
    EXPECT_NE(contents().find("\"number\":3"), std::string::npos);
    EXPECT_EQ(contents().find("\"number\":2"), std::string::npos);
    EXPECT_NE(files().read_all("/audit.1", 10000)->find("\"number\":2"), std::string::npos);
}

TEST_F(AuditLogTest, AFullDiskLosesLinesAndSaysSoOnce) {
    static int complaints;
    complaints = 0;
    log::set_sink([](log::Level level, std::string_view) { complaints += level == log::Level::error ? 1 : 0; });
    open();
    note(1);
    settle();
    rig.world().file_faults("machine", path).capacity_bytes = contents().size();
    for (int number = 0; number < 5; ++number) {
        note(number);
        settle();
    }
    EXPECT_EQ(log->figures().lines_lost, 5U);
    EXPECT_NE(log->figures().failure, "");
    EXPECT_EQ(complaints, 1);
    rig.world().file_faults("machine", path).capacity_bytes = 1 << 20;
    note(77);
    settle();
    log::set_sink(nullptr);
    EXPECT_EQ(log->figures().lines_written, 2U);
    EXPECT_EQ(log->figures().failure, "");
    // Its line stands alone, whatever half of another is before it.
    const std::string text = contents();
    EXPECT_NE(text.find("\n{", text.size() - 250), std::string::npos);
}

TEST_F(AuditLogTest, WhatWaitsAndWhatIsSaidOfACallIsBounded) {
    open();
    Json many = Json::object();
    for (int number = 0; number < 1000; ++number) many["name" + std::to_string(number)] = number;
    log->note(alice, std::string(100'000, 'm'), many, 0);
    settle();
    EXPECT_LT(contents().size(), 600U);
    EXPECT_NE(contents().find("bytes>"), std::string::npos);
    // In simulation a write ends when the loop turns: until then all of these wait.
    const uint64_t lines = AuditLog::waiting_bytes_max / 100;
    for (uint64_t number = 0; number < lines; ++number) note(1);
    EXPECT_GT(log->figures().lines_lost, 0U);
    settle();
    EXPECT_EQ(log->figures().lines_written + log->figures().lines_lost, lines + 1);
}

}  // namespace
}  // namespace weft::rpc
