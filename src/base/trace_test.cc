#include "base/trace.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <cstring>
#include <functional>
#include <memory>
#include <optional>
#include <set>
#include <thread>

#include "base/trace_reader.h"
#include "base/trace_selection.h"

namespace weft::trace {
namespace {

// The memory of a trace, and a source that reads it as a file.
class World : public Source {
public:
    explicit World(uint32_t entries, uint32_t tracks = 2) : words_(file_bytes(entries, tracks) / 8) {
        for (uint32_t at = 0; at < tracks; ++at)
            tracks_.push_back(std::make_unique<Track>("reactor_" + std::to_string(at), static_cast<int>(at)));
        std::vector<Track*> list;
        for (const auto& track : tracks_) list.push_back(track.get());
        memory_.emplace(bytes(), MemoryOptions{.ring_entries = entries, .process_id = 7, .now_ns = 100, .wall_ns = 200},
                        list);
    }
    MutableBytes bytes() { return std::as_writable_bytes(std::span(words_)); }
    Track& track(size_t at) { return *tracks_[at]; }
    Memory& memory() { return *memory_; }
    Result<uint64_t> size_bytes() override { return words_.size() * 8; }
    Result<size_t> read(uint64_t offset, MutableBytes into) override {
        if (before_read) before_read(offset);
        const size_t count = std::min<uint64_t>(into.size(), words_.size() * 8 - offset);
        for (size_t at = 0; at < count; at += 8) {  // as another process would see it: whole words
            const uint64_t word = std::atomic_ref(words_[(offset + at) / 8]).load(std::memory_order_acquire);
            std::memcpy(into.data() + at, &word, std::min<size_t>(8, count - at));
        }
        return count;
    }
    std::move_only_function<void(uint64_t offset)> before_read;

private:
    std::vector<uint64_t> words_;
    std::vector<std::unique_ptr<Track>> tracks_;
    std::optional<Memory> memory_;
};

class Heard : public Sink {
public:
    void take(uint32_t ring, const Entry& entry) override { entries.emplace_back(ring, entry); }
    std::vector<std::pair<uint32_t, Entry>> entries;
};

TEST(TracePoints, AreListedOnceAndInOrderOfTheirNumbers) {
    std::set<std::string_view> names;
    uint16_t last = 0;
    for (const PointInfo& info : points) {
        EXPECT_GT(static_cast<uint16_t>(info.point), last) << info.name;
        last = static_cast<uint16_t>(info.point);
        EXPECT_TRUE(names.insert(info.name).second) << info.name;
        EXPECT_LT(info.name.size(), 24U) << info.name << ": the field's tools show 23 letters";
        EXPECT_EQ(std::ranges::count(groups, group_of(info.point), &GroupInfo::group), 1) << info.name;
        EXPECT_EQ(find(last), &info);
    }
    EXPECT_EQ(find(0), nullptr);
    EXPECT_EQ(find(0xFFFF), nullptr);
}

TEST(TraceMasks, AreOfGroupsAndPoints) {
    switch_all_off();
    EXPECT_FALSE(is_on(Group::nvmf_tcp));
    set_mask(Group::nvmf_tcp, bit_of(Point::tcp_req_new));
    EXPECT_TRUE(is_on(Point::tcp_req_new) && is_on(Group::nvmf_tcp));
    EXPECT_FALSE(is_on(Point::tcp_req_completed) || is_on(Point::bdev_io_start));
    EXPECT_EQ(group_mask(), 0x20U);
    switch_all_off();
    EXPECT_EQ(group_mask(), 0U);
}

TEST(TraceTrack, WritesWhatIsRead) {
    World world(16);
    world.track(1).write(Point::bdev_io_start, 5, {.a = 1, .b = ~uint64_t{0}, .c = 0xFFFFFFFF, .d = 0xFFFF}, 1000);
    world.track(0).write(Point::reactor_turn, 0, {.b = 7, .c = 8}, 1001);
    auto reader = TraceReader::open(world);
    ASSERT_TRUE(reader) << reader.error().message;
    ASSERT_EQ(reader->rings().size(), 2U);
    EXPECT_EQ(reader->rings()[1].name, "reactor_1");
    EXPECT_EQ(reader->rings()[1].cpu, 1);
    EXPECT_EQ(reader->header().process_id, 7U);
    Heard heard;
    ASSERT_TRUE(reader->read(heard));
    ASSERT_EQ(heard.entries.size(), 2U);
    EXPECT_EQ(heard.entries[0].second.point, static_cast<uint16_t>(Point::reactor_turn));
    const auto& [ring, entry] = heard.entries[1];
    EXPECT_EQ(ring, 1U);
    EXPECT_EQ(entry.time_ns, 1000U);
    EXPECT_EQ(entry.object, 5U);
    EXPECT_EQ(entry.a, 1U);
    EXPECT_EQ(entry.b, ~uint64_t{0});
    EXPECT_EQ(entry.c, 0xFFFFFFFF);
    EXPECT_EQ(entry.d, 0xFFFF);
    ASSERT_TRUE(reader->read(heard));
    EXPECT_EQ(heard.entries.size(), 2U) << "an entry is read once";
    EXPECT_NE(world.track(0).new_object(), world.track(1).new_object());
}

TEST(TraceTrack, WithoutARingNothingHappens) {
    Track track("reactor_0", 0);
    track.write(Point::reactor_turn, 0, {}, 1);
    {
        World world(16, 1);
    }
    track.write(Point::reactor_turn, 0, {}, 2);
}

TEST(TraceReader, CountsWhatWasOverwritten) {
    World world(16, 1);
    auto reader = TraceReader::open(world);
    ASSERT_TRUE(reader);
    for (uint64_t at = 0; at < 100; ++at) world.track(0).write(Point::reactor_turn, 0, {.b = at}, at);
    Heard heard;
    ASSERT_TRUE(reader->read(heard));
    ASSERT_EQ(heard.entries.size(), 15U);  // the place of one more may be being written
    EXPECT_EQ(heard.entries.front().second.b, 85U);
    EXPECT_EQ(heard.entries.back().second.b, 99U);
    EXPECT_EQ(reader->lost(), 85U);
}

TEST(TraceReader, DropsWhatIsOverwrittenWhileItReads) {
    World world(16, 1);
    for (uint64_t at = 0; at < 10; ++at) world.track(0).write(Point::reactor_turn, 0, {.b = at}, at);
    auto reader = TraceReader::open(world);
    ASSERT_TRUE(reader);
    // The writer goes on between the look at `next` and the copy: numbers 10 to 21, over the first six and more.
    world.before_read = [&](uint64_t offset) {
        if (offset != ring_offset(16, 0) + sizeof(RingHeader)) return;
        world.before_read = nullptr;
        for (uint64_t at = 10; at < 22; ++at) world.track(0).write(Point::reactor_turn, 0, {.b = at}, at);
    };
    Heard heard;
    ASSERT_TRUE(reader->read(heard));
    ASSERT_EQ(heard.entries.size(), 3U);
    EXPECT_EQ(heard.entries.front().second.b, 7U);
    EXPECT_EQ(reader->lost(), 7U);
}

TEST(TraceReader, NeverGivesATornEntryWhileAWriterRuns) {
    World world(64, 1);
    std::atomic<bool> is_over{false};
    std::atomic<uint64_t> looks{0};
    std::thread writer([&] {
        for (uint64_t at = 1; !is_over.load(std::memory_order_relaxed); ++at) {
            world.track(0).write(Point::sock_recv, at, {.a = at, .b = at, .c = static_cast<uint32_t>(at)}, at);
            if (at % 1000 != 0) continue;
            // A writer that never pauses may lap a reader at each look of it, on a machine that has better to do.
            const uint64_t seen = looks.load();
            while (looks.load() < seen + 2 && !is_over.load()) std::this_thread::yield();
        }
    });
    auto reader = TraceReader::open(world);
    ASSERT_TRUE(reader);
    uint64_t read = 0;
    uint64_t last = 0;
    while (read < 4'000) {
        Heard heard;
        ASSERT_TRUE(reader->read(heard));
        ++looks;
        for (const auto& [ring, entry] : heard.entries) {
            ASSERT_GT(entry.time_ns, last);
            last = entry.time_ns;
            ASSERT_TRUE(entry.object == last && entry.a == last && entry.b == last &&
                        entry.c == static_cast<uint32_t>(last));
            ++read;
        }
    }
    is_over = true;
    writer.join();
    EXPECT_EQ(reader->damaged(), 0U);
}

TEST(TraceReader, SkipsWhatWasThereAndWhatWasCleared) {
    World world(16, 1);
    world.track(0).write(Point::reactor_turn, 0, {}, 10);
    auto reader = TraceReader::open(world);
    ASSERT_TRUE(reader && reader->skip());
    world.track(0).write(Point::reactor_turn, 0, {}, 20);
    world.track(0).write(Point::reactor_turn, 0, {}, 30);
    world.memory().clear(25);
    Heard heard;
    ASSERT_TRUE(reader->read(heard));
    ASSERT_EQ(heard.entries.size(), 1U);
    EXPECT_EQ(heard.entries[0].second.time_ns, 30U);
}

class Damaged : public World {
public:
    Damaged() : World(16) {}
    std::string refusal(FileHeader header) {
        store(bytes(), header);
        const auto reader = TraceReader::open(*this);
        return reader ? "" : reader.error().message;
    }
    FileHeader header() { return load<FileHeader>(bytes()); }
};

TEST(TraceReader, SaysWhatIsWrongWithAFile) {
    Damaged file;
    const FileHeader good = file.header();
    EXPECT_EQ(file.refusal(good), "");
    FileHeader bad = good;
    bad.magic[0] = 'w';
    EXPECT_EQ(file.refusal(bad), "this is no trace of Weft");
    bad = good;
    ++bad.version;
    EXPECT_NE(file.refusal(bad).find("another version"), std::string::npos);
    bad = good;
    ++bad.table_digest;
    EXPECT_NE(file.refusal(bad).find("another version"), std::string::npos);
    for (const uint32_t entries : {0U, 8U, 17U, 32U, ring_entries_max * 2}) {
        bad = good;
        bad.ring_entries = entries;
        EXPECT_TRUE(file.refusal(bad).starts_with("a damaged trace")) << entries;
    }
    for (const uint32_t rings : {0U, 3U, ring_count_max + 1, ~0U}) {
        bad = good;
        bad.ring_count = rings;
        EXPECT_TRUE(file.refusal(bad).starts_with("a damaged trace")) << rings;
    }
}

TEST(TraceReader, TakesNoEntryThatIsNone) {
    World world(16, 1);
    world.track(0).write(static_cast<Point>(0x7777), 0, {}, 1);
    auto reader = TraceReader::open(world);
    ASSERT_TRUE(reader);
    Heard heard;
    ASSERT_TRUE(reader->read(heard));
    EXPECT_TRUE(heard.entries.empty());
    EXPECT_EQ(reader->damaged(), 1U);
    store(world.bytes().subspan(ring_offset(16, 0)), uint64_t{0});
    EXPECT_FALSE(reader->read(heard)) << "the ring went backwards";
}

TEST(TraceSelection, TakesTheFieldsWords) {
    const auto mask = [](std::string_view text, Group group) {
        const auto selection = parse_selection(text);
        EXPECT_TRUE(selection) << text << ": " << selection.error().message;
        return selection ? selection->masks[static_cast<size_t>(group)] : 0;
    };
    const uint64_t every = ~uint64_t{0};
    EXPECT_EQ(mask("all", Group::bdev), every);
    EXPECT_EQ(mask("all", Group::reactor), every);
    EXPECT_EQ(mask("bdev", Group::bdev), every);
    EXPECT_EQ(mask("bdev", Group::sock), 0U);
    EXPECT_EQ(mask("0x28", Group::nvmf_tcp), every);
    EXPECT_EQ(mask("28", Group::bdev), every);
    EXPECT_EQ(mask("thread,bdev:0x1", Group::bdev), 1U);
    EXPECT_EQ(mask("thread,bdev:0x1", Group::thread), every);
    EXPECT_EQ(mask("0x8:2", Group::bdev), 2U);
    EXPECT_EQ(mask("bdev:1,bdev:2", Group::bdev), 3U);
    EXPECT_EQ(mask("nvmf_tcp:TCP_REQ_NEW+tcp_req_completed", Group::nvmf_tcp), 0x2001U);
}

TEST(TraceSelection, SaysWhatIsNotHere) {
    const auto some = parse_selection("blob,bdev,0x400000000");
    ASSERT_TRUE(some);
    EXPECT_EQ(some->absent, (std::vector<std::string>{"blob", "0x400000000"}));
    const std::pair<std::string, std::string> wrong[] = {
        {"", "no tracepoint group"},
        {"bdve", "there is no tracepoint group 'bdve'; there are bdev, nvmf_tcp"},
        {"bdev,,sock", "there is no tracepoint group ''"},
        {"all:1", "one group at a time"},
        {"0x28:1", "one group at a time"},
        {"bdev:NOPE", "it has BDEV_IO_START, BDEV_IO_DONE"},
        {"bdev:", "no tracepoint ''"},
        {"bdev:TCP_REQ_NEW", "no tracepoint 'TCP_REQ_NEW'"},
        {"0x10000000000000000", "no tracepoint group"}};
    for (const auto& [text, words] : wrong) {
        const auto selection = parse_selection(text);
        ASSERT_FALSE(selection) << text;
        EXPECT_NE(selection.error().message.find(words), std::string::npos) << selection.error().message;
    }
    EXPECT_FALSE(groups_named("blob"));
    EXPECT_EQ(groups_named("all")->size(), groups.size());
}

}  // namespace
}  // namespace weft::trace
