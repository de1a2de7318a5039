#include "app/observe/exposition.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <regex>
#include <sstream>

#include "app/observe/figures_json.h"
#include "app/observe/metrics.h"
#include "app/observe/pages.h"
#include "app/observe/test_exposition.h"

namespace weft::app {
namespace {

std::string file(const std::string& path) {
    std::ifstream stream(std::string(WEFT_SOURCE_DIR) + "/" + path);
    EXPECT_TRUE(stream.good()) << path;
    std::stringstream text;
    text << stream.rdbuf();
    return text.str();
}

// One of everything, with names that want to break out.
Snapshot full_snapshot() {
    const std::string hostile = "nqn.2014-08.org.nvmexpress:\"}\n# HELP x \\ \x1b[2J\xff<script>\u20ac";
    Snapshot snapshot;
    snapshot.process = {.cpu_ns = 1'500'000'000, .started_at = 1.7e9, .resident_bytes = 1 << 20};
    snapshot.reactors = {{"weft_control", -1, 1, 2, {}}, {"reactor_0", 0, 5'000'000'001, 7, {}}};
    snapshot.threads = {{"app_thread", 1, "weft_control", {}, {{"poller", 0, 1, 1}}}};
    snapshot.groups = {{"nvmf_tgt_poll_group_000", {}, {{"TCP", {.received_bytes = 77}, {}}}}};
    snapshot.pools = {{"TCP", 131072, 511, 500}};
    snapshot.subsystems = {{.nqn = "nqn.2016-06.io.spdk:cnode1", .read_commands = 3}};
    NamespaceFigures ns{.subsystem = "nqn.2016-06.io.spdk:cnode1", .nsid = 1, .bdev = "Malloc0"};
    bdev::OpStatistics& reads = ns.io.kinds[0];
    reads.operations = 4;
    reads.bytes = 16384;
    reads.took(1000, 1);
    reads.took(1024, 1);
    reads.took(1025, 1);
    reads.took(20'000'000'000, 1);
    snapshot.namespaces = {ns};
    snapshot.hosts[hostile] = {.queues = 1, .io = ns.io};
    snapshot.hosts[""] = {};
    snapshot.controllers = {{.subsystem = "nqn.2016-06.io.spdk:cnode1", .cntlid = 1, .hostnqn = hostile}};
    snapshot.queues = {{.uid = 1, .cntlid = 1, .qid = 0, .hostnqn = hostile},
                       {.uid = 2, .cntlid = 1, .qid = 1, .hostnqn = hostile, .has_io = true, .io = ns.io}};
    snapshot.bdevs = {{.name = "Malloc0", .product = "Malloc disk", .block_bytes = 4096, .block_count = 256}};
    return snapshot;
}

TEST(Metrics, AreWhatAStrictReaderTakes) {
    const ExpositionReader read(exposition_of(full_snapshot()));
    EXPECT_EQ(read.families.size(), metric_families().size());
    for (const auto& family : read.families) EXPECT_FALSE(family.samples.empty()) << family.name;
    EXPECT_EQ(read.value("process_cpu_seconds_total"), 1.5);
    EXPECT_EQ(read.value("weft_reactor_busy_seconds_total", {{"reactor", "reactor_0"}, {"cpu", "0"}}), 5.000000001);
    EXPECT_EQ(read.value("weft_bdev_size_bytes", {{"bdev", "Malloc0"}}), 1 << 20);
    const std::map<std::string, std::string> ns = {{"subsystem", "nqn.2016-06.io.spdk:cnode1"}, {"nsid", "1"}};
    auto labels = ns;
    labels["op"] = "read";
    EXPECT_EQ(read.value("weft_namespace_commands_total", labels), 4);
    EXPECT_EQ(read.value("weft_namespace_bytes_total", labels), 16384);
    EXPECT_EQ(read.value("weft_namespace_latency_seconds_count", labels), 4);
    EXPECT_EQ(read.value("weft_namespace_latency_seconds_sum", labels), 20.000003049);
    labels["le"] = "0.000001024";
    EXPECT_EQ(read.value("weft_namespace_latency_seconds_bucket", labels), 2);
    labels["le"] = "0.000002048";
    EXPECT_EQ(read.value("weft_namespace_latency_seconds_bucket", labels), 3);
    labels["le"] = "+Inf";
    EXPECT_EQ(read.value("weft_namespace_latency_seconds_bucket", labels), 4);
}

TEST(Metrics, KeepAHostsNameInItsQuotes) {
    const ExpositionReader read(exposition_of(full_snapshot()));
    const std::string shown = "nqn.2014-08.org.nvmexpress:\"}\n# HELP x \\ \\x1b[2J\uFFFD<script>\u20ac";
    EXPECT_EQ(read.value("weft_host_queues", {{"host", shown}}), 1);
}

TEST(Metrics, AreEmptyBeforeThereIsATarget) {
    const ExpositionReader read(exposition_of(Snapshot{}));
    EXPECT_EQ(read.count("weft_namespace_commands_total"), 0U);
    EXPECT_EQ(read.count("weft_build_info"), 1U);
}

// "weft_x", "weft_x_bucket" … in a text, as families.
std::set<std::string> families_named_in(const std::string& text) {
    std::set<std::string> names;
    static const std::regex name(R"(\b(weft|process)_[a-z_]+\b)");
    for (auto at = std::sregex_iterator(text.begin(), text.end(), name); at != std::sregex_iterator(); ++at) {
        names.insert(at->str());
    }
    return names;
}
bool is_there(const std::string& name) {
    const auto has = [](const std::string& wanted) {
        return std::ranges::any_of(metric_families(), [&](const Family& family) { return family.name == wanted; });
    };
    if (has(name)) return true;
    for (const char* suffix : {"_bucket", "_sum", "_count"}) {
        if (name.ends_with(suffix) && has(name.substr(0, name.size() - std::strlen(suffix)))) return true;
    }
    return false;
}

TEST(Metrics, AreAllInTheDocumentation) {
    const std::string page = file("docs/observability.md");
    for (const Family& family : metric_families()) {
        EXPECT_NE(page.find("`" + std::string(family.name) + "`"), std::string::npos) << family.name;
    }
}

TEST(Metrics, OfTheDashboardExist) {
    const auto dashboard = parse_json(file("docs/grafana-dashboard.json"));
    ASSERT_TRUE(dashboard.has_value());
    size_t expressions = 0;
    for (const Json& panel : (*dashboard)["panels"]) {
        if (!panel.contains("targets")) continue;
        for (const Json& target : panel["targets"]) {
            const std::string expression = target["expr"];
            ++expressions;
            const auto names = families_named_in(expression);
            EXPECT_FALSE(names.empty()) << expression;
            for (const std::string& name : names) EXPECT_TRUE(is_there(name)) << name << " in " << expression;
        }
    }
    EXPECT_GT(expressions, 10U);
}

TEST(FiguresJson, HasThatManyQueuesWithTheBusiestFirst) {
    Snapshot snapshot = full_snapshot();
    const Json all = to_json(snapshot, 10);
    EXPECT_EQ(all["queues"].size(), 2U);
    EXPECT_EQ(all["queue_count"], 2);
    const Json one = to_json(snapshot, 1);
    ASSERT_EQ(one["queues"].size(), 1U);
    EXPECT_EQ(one["queues"][0]["qid"], 1);
    EXPECT_EQ(one["queue_count"], 2);
    const Json reads = all["namespaces"][0]["read"];
    EXPECT_EQ(reads[0], 4);
    EXPECT_EQ(reads[1], 16384);
    EXPECT_EQ(reads[3], 2);
    EXPECT_EQ(reads.size(), 3 + LatencyBuckets::bound_count + 1);
    EXPECT_EQ(all["namespaces"][0]["write"].size(), 3U) << "no bucket is used";
    // What a host calls itself goes through as text, whatever it is.
    EXPECT_TRUE(parse_json(dump_json(all), large_json_limits).has_value());
}

TEST(MetricsAddress, IsOnLoopbackUnlessSaid) {
    EXPECT_EQ(parse_metrics_address("9009")->host, "127.0.0.1");
    EXPECT_EQ(parse_metrics_address("9009")->port, 9009);
    EXPECT_EQ(parse_metrics_address("0.0.0.0:80")->host, "0.0.0.0");
    EXPECT_EQ(parse_metrics_address("[::1]:80")->host, "::1");
    for (const char* wrong : {"", ":", "x", "65536", "-1", "80 ", "localhost:80", ":80", "1.2.3:80", "127.0.0.1:"}) {
        const auto address = parse_metrics_address(wrong);
        ASSERT_FALSE(address.has_value()) << wrong;
        EXPECT_NE(address.error().message.find("ADDRESS:PORT"), std::string::npos) << address.error().message;
    }
}

}  // namespace
}  // namespace weft::app
