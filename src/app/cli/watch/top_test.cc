#include <gtest/gtest.h>

#include "app/cli/watch/top_model.h"
#include "app/cli/watch/top_screen.h"
#include "rpc/json.h"

namespace weft::cli {
namespace {

// A reading at `second` of a target in which everything grows by a known amount each second.
Json reading(uint64_t second) {
    const auto io = [second](uint64_t rate) {
        // Half took at most 1024 ns, half at most 4096.
        return Json::array(
            {rate * second, rate * second * 4096, rate * second * 2000, rate * second / 2, 0, rate * second / 2});
    };
    const auto ns = [&io](const char* nqn, int nsid, const char* bdev, uint64_t rate) {
        return Json{{"subsystem", nqn}, {"nsid", nsid},          {"bdev", bdev},  {"errors", 0},
                    {"read", io(rate)}, {"write", io(rate / 2)}, {"other", io(0)}};
    };
    return {{"version", "0.1.0"},
            {"taken_at_ns", second * 1'000'000'000},
            {"queue_count", 0},
            {"reactors",
             {{{"name", "weft_control"}, {"cpu", -1}, {"busy_ns", 0}, {"idle_ns", second}},
              {{"name", "reactor_0"}, {"cpu", 0}, {"busy_ns", second * 3}, {"idle_ns", second}}}},
            {"threads",
             {{{"name", "t"},
               {"id", 3},
               {"reactor", "reactor_0"},
               {"busy_ns", second},
               {"idle_ns", second},
               {"pollers", {{{"name", "p"}, {"period_ns", 0}, {"run_count", second * 10}, {"busy_count", second}}}}}}},
            {"namespaces",
             {ns("nqn.2016-06.io.spdk:slow", 1, "Malloc0", 10), ns("nqn.2016-06.io.spdk:fast", 2, "Null0", 4000)}},
            {"poll_groups",
             {{{"name", "g"},
               {"transports",
                {{{"trtype", "TCP"}, {"connections", 5}, {"in_flight", 7}, {"received_bytes", second * 1024}}}}}}}};
}

std::vector<std::string> column(const Table& table, const std::string& name) {
    std::vector<std::string> texts;
    for (size_t at = 0; at < table.columns.size(); ++at) {
        if (table.columns[at].name != name) continue;
        for (const auto& row : table.rows) texts.push_back(row[at].text);
    }
    return texts;
}
using Texts = std::vector<std::string>;

TEST(TopModel, GivesRatesAndLatenciesBetweenTwoReadings) {
    const Table table = table_of(View::namespaces, reading(12), reading(10));
    EXPECT_EQ(column(table, "r/s"), (Texts{"10", "4.00k"}));
    EXPECT_EQ(column(table, "w/s"), (Texts{"5", "2.00k"}));
    EXPECT_EQ(column(table, "rB/s"), (Texts{"40.0K", "15.6M"}));
    EXPECT_EQ(column(table, "avg"), (Texts{"2us", "2us"}));
    EXPECT_EQ(column(table, "p50"), (Texts{"1.02us", "1.02us"}));
    EXPECT_EQ(column(table, "p99"), (Texts{"4.1us", "4.1us"}));
    EXPECT_EQ(column(table_of(View::reactors, reading(12), reading(10)), "busy %"), (Texts{"0.0", "75.0"}));
    EXPECT_EQ(column(table_of(View::pollers, reading(12), reading(10)), "runs/s"), Texts{"10"});
    EXPECT_EQ(column(table_of(View::connections, reading(12), reading(10)), "recv B/s"), Texts{"1.00K"});
    const Summary summary = summary_of(reading(12), reading(10));
    EXPECT_EQ(summary.iops, 6015);
    EXPECT_EQ(summary.reactors, 1U);
    EXPECT_EQ(summary.busy_reactors, 0.75);
    EXPECT_EQ(summary.in_flight, 7U);
}

TEST(TopModel, TakesWhatWasNotThereBeforeAsNew) {
    Json before = reading(10);
    before["namespaces"].erase(0);
    EXPECT_EQ(column(table_of(View::namespaces, reading(12), before), "r/s"), (Texts{"60", "4.00k"}));
}

TEST(TopModel, BelievesNothing) {
    const Json strange[] = {Json(),
                            Json(5),
                            Json("x"),
                            Json::array({1}),
                            Json{{"namespaces", 5}, {"threads", {1, "x", Json()}}},
                            Json{{"namespaces", {{{"read", "x"}}, {{"read", Json::array({"a", -1, 1e300})}}}},
                                 {"reactors", {{{"cpu", "0"}}}},
                                 {"taken_at_ns", -5}}};
    for (const Json& now : strange) {
        for (const Json& before : strange) {
            for (size_t view = 0; view < view_count; ++view) {
                const Table table = table_of(static_cast<View>(view), now, before);
                for (const auto& row : table.rows) EXPECT_EQ(row.size(), table.columns.size());
            }
            summary_of(now, before);
        }
    }
}

TEST(TopModel, SortsAndFilters) {
    Table table = table_of(View::namespaces, reading(12), reading(10));
    sort_rows(table, 3, false);
    EXPECT_EQ(column(table, "bdev"), (Texts{"Null0", "Malloc0"}));
    sort_rows(table, 3, true);
    EXPECT_EQ(column(table, "bdev"), (Texts{"Malloc0", "Null0"}));
    sort_rows(table, 0, false);
    EXPECT_EQ(column(table, "bdev"), (Texts{"Null0", "Malloc0"})) << "text ascends";
    filter_rows(table, "SLOW");
    EXPECT_EQ(column(table, "bdev"), Texts{"Malloc0"});
}

TEST(TopModel, WritesNumbersShortly) {
    EXPECT_EQ(short_count(0), "0");
    EXPECT_EQ(short_count(0.5), "0.50");
    EXPECT_EQ(short_count(999), "999");
    EXPECT_EQ(short_count(1000), "1.00k");
    EXPECT_EQ(short_count(999'999), "1.00M");
    EXPECT_EQ(short_bytes(1536), "1.50K");
    EXPECT_EQ(short_time(850), "850ns");
    EXPECT_EQ(short_time(12'000), "12us");
    EXPECT_EQ(short_time(1'500'000), "1.5ms");
    EXPECT_EQ(short_time(2.1e9), "2.1s");
}

KeyPress typed(char character) { return {Key::text, character}; }
std::string screen(TopScreen& top, ScreenSize size) {
    std::string all;
    for (const std::string& line : top.lines(reading(12), reading(10), size, false)) all += line + "\n";
    return all;
}

TEST(TopScreen, FitsIntoAnySize) {
    TopScreen top(1);
    for (const int columns : {1, 5, 20, 79, 80, 200}) {
        for (const int rows : {1, 2, 3, 4, 24}) {
            for (size_t view = 0; view < view_count; ++view) {
                top.show(static_cast<View>(view));
                const auto lines = top.lines(reading(12), reading(10), {columns, rows}, false);
                EXPECT_LE(lines.size(), static_cast<size_t>(rows));
                for (const std::string& line : lines) EXPECT_LE(line.size(), static_cast<size_t>(columns));
            }
        }
    }
}

TEST(TopScreen, ShowsAllColumnsIn80) {
    TopScreen top(1);
    const std::string shown = screen(top, {80, 24});
    for (const char* name : {"subsystem", "bdev", "r/s", "w/s", "rB/s", "wB/s", "avg", "p50", "p99", "err/s"}) {
        EXPECT_NE(shown.find(name), std::string::npos) << name << "\n" << shown;
    }
    EXPECT_LT(shown.find("fast"), shown.find("slow")) << "the busiest first";
}

TEST(TopScreen, FollowsKeys) {
    TopScreen top(1);
    EXPECT_EQ(top.press(typed('q')), TopScreen::Wish::quit);
    EXPECT_EQ(top.press({Key::interrupt}), TopScreen::Wish::quit);
    EXPECT_EQ(top.press({Key::suspend}), TopScreen::Wish::suspend);
    top.press(typed('p'));
    EXPECT_TRUE(top.is_paused());
    EXPECT_NE(screen(top, {80, 24}).find("PAUSED"), std::string::npos);
    top.press(typed(' '));
    EXPECT_FALSE(top.is_paused());
    for (const char key : std::string("/sLoq")) top.press(typed(key));
    EXPECT_NE(screen(top, {80, 24}).find("filter: sLoq_"), std::string::npos);
    top.press({Key::backspace});
    top.press({Key::enter});
    const std::string filtered = screen(top, {80, 24});
    EXPECT_NE(filtered.find("slow"), std::string::npos);
    EXPECT_EQ(filtered.find("fast"), std::string::npos);
    top.press({Key::escape});
    EXPECT_NE(screen(top, {80, 24}).find("fast"), std::string::npos);
    top.press(typed('r'));
    const std::string other = screen(top, {80, 24});
    EXPECT_GT(other.find("fast"), other.find("slow"));
    top.press(typed('6'));
    EXPECT_EQ(top.view(), View::threads);
    top.press({Key::tab});
    EXPECT_EQ(top.view(), View::pollers);
    top.press({Key::back_tab});
    EXPECT_EQ(top.view(), View::threads);
    top.press(typed('?'));
    EXPECT_NE(screen(top, {80, 24}).find("Shift-Tab"), std::string::npos);
    top.press(typed('q'));
    EXPECT_NE(screen(top, {80, 24}).find("threads (1)"), std::string::npos) << "any key leaves the help";
    top.press(typed('+'));
    EXPECT_EQ(top.interval_s(), 2);
    for (int at = 0; at < 20; ++at) top.press(typed('-'));
    EXPECT_EQ(top.interval_s(), 0.2);
    EXPECT_TRUE(top.sort_by("id"));
    EXPECT_FALSE(top.sort_by("nothing"));
}

TEST(TopScreen, LetsNothingOutOfAName) {
    Json now = reading(12);
    now["namespaces"][0]["subsystem"] = "nqn\x1b[2J\x07\n\xc2\x9b";
    now["version"] = "\x1b[2J";
    TopScreen top(1);
    for (const std::string& line : top.lines(now, reading(10), {80, 24}, false)) {
        for (const char character : line) EXPECT_TRUE(character >= 0x20 && character < 0x7F) << line;
    }
    top.set_trouble("\x1b[2J");
    EXPECT_EQ(top.lines(now, reading(10), {80, 24}, false)[1].find('\x1b'), std::string::npos);
}

TEST(KeysOf, KnowsSequencesAndDropsTheRest) {
    const auto one = [](std::string_view bytes) {
        const auto keys = keys_of(bytes);
        return keys.size() == 1 ? std::optional(keys[0].key) : std::nullopt;
    };
    EXPECT_EQ(one("\x1b[A"), Key::up);
    EXPECT_EQ(one("\x1bOB"), Key::down);
    EXPECT_EQ(one("\x1b[6~"), Key::page_down);
    EXPECT_EQ(one("\x1b[Z"), Key::back_tab);
    EXPECT_EQ(one("\x1b"), Key::escape);
    EXPECT_EQ(one("\x7f"), Key::backspace);
    EXPECT_TRUE(keys_of("\x1b[15;2~").empty());
    EXPECT_TRUE(keys_of("\xc3\xa4\x01").empty());
    EXPECT_EQ(keys_of("ab\x1b[Bq").size(), 4U);
}

}  // namespace
}  // namespace weft::cli
