#include "app/cli/watch/trace_export.h"

#include <gtest/gtest.h>

#include <map>
#include <random>

#include "rpc/json.h"

namespace weft::cli {
namespace {

using trace::Entry;
using trace::Point;

constexpr uint64_t request_id = uint64_t{2} << 48 | 7;
constexpr uint64_t io_id = uint64_t{2} << 48 | 8;

class Made {
public:
    Made() {
        trace_.header.began_ns = 1'000'000;
        trace_.header.process_id = 42;
        trace_.rings = {{.name = "weft_control", .cpu = -1}, {.name = "reac\"tor_\\0", .cpu = 0}};
    }
    Made& add(Point point, uint64_t object, Entry entry = {}) {
        entry.time_ns = time_ += 1'500;
        entry.object = object;
        entry.point = static_cast<uint16_t>(point);
        trace_.records.push_back({.ring = 1, .entry = entry});
        return *this;
    }
    // A read of 8 blocks, as a file does it.
    Made& add_read() {
        add(Point::tcp_req_new, request_id, {.a = 5, .b = 16, .c = 99, .d = 0x02});
        add(Point::tcp_req_executing, request_id, {.c = 4096, .d = 1});
        add(Point::bdev_io_start, io_id, {.a = request_id, .b = 16, .c = 8, .d = 0});
        add(Point::bdev_io_done, io_id, {.a = request_id});
        add(Point::tcp_req_rdy_to_complete, request_id);
        return add(Point::tcp_req_completed, request_id, {.c = 1});
    }
    [[nodiscard]] const RecordedTrace& trace() const { return trace_; }

private:
    RecordedTrace trace_;
    uint64_t time_ = 2'000'000;
};

// "b READ 0.000" of each asynchronous event.
std::vector<std::string> slices(const std::string& text) {
    const Json json = Json::parse(text);
    std::vector<std::string> found;
    for (const Json& event : json.at("traceEvents")) {
        const std::string phase = event.at("ph");
        if (phase == "b" || phase == "e") found.push_back(phase + " " + event.at("name").get<std::string>());
    }
    return found;
}

TEST(TraceExport, ShowsTheStagesOfACommandInOneAnother) {
    const std::string text = to_chrome_json(Made().add_read().trace());
    EXPECT_EQ(slices(text),
              (std::vector<std::string>{"b READ", "b NEW", "e NEW", "b EXECUTING", "b bdev read", "e bdev read",
                                        "e EXECUTING", "b RDY_TO_COMPLETE", "e RDY_TO_COMPLETE", "e READ"}));
    const Json json = Json::parse(text);
    EXPECT_EQ(json["traceEvents"][2]["args"]["name"], "reac\"tor_\\0");
    const Json& begin = json["traceEvents"][3];
    EXPECT_EQ(begin["args"], Json({{"queue", 5}, {"lba", 16}, {"cid", 99}, {"opcode", "READ"}}));
    EXPECT_EQ(begin["ts"], 0.0);
    EXPECT_EQ(json["traceEvents"][5]["ts"], 1.5);
    EXPECT_EQ(json["otherData"]["lost_entries"], 0);
    EXPECT_EQ(count_whole_commands(Made().add_read().trace()), 1U);
}

TEST(TraceExport, CutsWhatTheDeviceDoesWhereAStageEnds) {
    Made made;
    made.add(Point::tcp_req_executing, request_id);
    made.add(Point::bdev_io_start, io_id, {.a = request_id, .d = 1});
    made.add(Point::tcp_req_draining, request_id);
    EXPECT_EQ(
        slices(to_chrome_json(made.trace())),
        (std::vector<std::string>{"b began earlier", "b EXECUTING", "b bdev write", "e bdev write", "e EXECUTING",
                                  "b DRAINING", "b bdev write", "e bdev write", "e DRAINING", "e began earlier"}));
    EXPECT_EQ(count_whole_commands(made.trace()), 0U);
}

TEST(TraceExport, ShowsSpansEventsAndWhatDevicesDoForNobody) {
    Made made;
    made.add(Point::tcp_qp_create, 5);
    made.add(Point::sock_recv, 5, {.b = 500, .c = 72});
    made.add(Point::bdev_io_start, io_id, {.b = 3, .c = 1, .d = 2});
    made.add(Point::bdev_io_done, io_id);
    const Json events = Json::parse(to_chrome_json(made.trace())).at("traceEvents");
    EXPECT_EQ(events[3]["ph"], "i");
    EXPECT_EQ(events[3]["args"]["queue"], 5);
    EXPECT_EQ(events[4]["ph"], "X");
    EXPECT_EQ(events[4]["ts"], 1.0);
    EXPECT_EQ(events[4]["dur"], 0.5);
    EXPECT_EQ(events[5]["cat"], "bdev");
    EXPECT_EQ(events[6]["name"], "bdev flush");
}

TEST(TraceExport, WritesALineForEachEntry) {
    const std::string text = to_text(Made().add_read().trace());
    EXPECT_EQ(text.substr(0, text.find('\n')),
              "reac\"tor_\\0       0:         0.000 TCP_REQ_NEW              id: r2.7       queue: 5 lba: 16 cid: 99 "
              "opcode: READ");
    EXPECT_NE(text.find("4.500 BDEV_IO_DONE             id: i2.8       time: 1.500 request: r2.7 status: 0"),
              std::string::npos)
        << text;
}

// Whatever the entries are, a viewer is given slices that lie in one another.
TEST(TraceExport, IsWellFormedForAnyEntries) {
    std::minstd_rand chance(1);
    for (int round = 0; round < 200; ++round) {
        Made made;
        for (int at = 0; at < 100; ++at) {
            const trace::PointInfo& info = trace::points[chance() % std::size(trace::points)];
            made.add(info.point, chance() % 4,
                     {.a = chance() % 4,
                      .b = chance(),
                      .c = static_cast<uint32_t>(chance()),
                      .d = static_cast<uint16_t>(chance())});
        }
        const Json json = Json::parse(to_chrome_json(made.trace()));
        std::map<std::string, std::vector<std::string>> open;
        for (const Json& event : json.at("traceEvents")) {
            const std::string phase = event.at("ph");
            if (phase != "b" && phase != "e") continue;
            auto& stack = open[event.at("cat").get<std::string>() + event.at("id").get<std::string>()];
            if (phase == "b") {
                stack.push_back(event.at("name"));
            } else {
                ASSERT_FALSE(stack.empty());
                ASSERT_EQ(stack.back(), event.at("name").get<std::string>());
                stack.pop_back();
            }
        }
        for (const auto& [id, stack] : open) EXPECT_TRUE(stack.empty()) << id;
        EXPECT_FALSE(to_text(made.trace()).empty());
    }
}

TEST(TraceCollection, GivesUpTheOldestOfTheFullestRing) {
    TraceCollection collection(2, 20);
    for (uint64_t at = 0; at < 50; ++at) collection.take(0, {.time_ns = 2 * at});
    collection.take(1, {.time_ns = 81});
    EXPECT_EQ(collection.size(), 20U);
    EXPECT_EQ(collection.dropped(), 31U);
    const auto records = collection.release();
    ASSERT_EQ(records.size(), 20U);
    EXPECT_EQ(records.front().entry.time_ns, 62U);
    EXPECT_EQ(records[10].ring, 1U);
    EXPECT_EQ(records.back().entry.time_ns, 98U);
    EXPECT_EQ(collection.size(), 0U);
}

}  // namespace
}  // namespace weft::cli
