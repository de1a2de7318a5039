#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>
#include <string>
#include <thread>
#include <vector>

#include "base/bytes.h"
#include "base/crc32c.h"
#include "base/crc_guard.h"
#include "base/endian.h"
#include "base/intrusive_list.h"
#include "base/log.h"
#include "base/mpsc_queue.h"
#include "base/result.h"
#include "base/uuid.h"

namespace weft {
namespace {

TEST(CrcGuard, HasTheStandardCheckValues) {
    EXPECT_EQ(crc16_t10dif(0, bytes_of("123456789")), 0xD0DBu);
    EXPECT_EQ(crc64_nvme_finish(crc64_nvme_update(crc64_nvme_seed, bytes_of("123456789"))), 0xAE8B14860A799888u);
}

TEST(CrcGuard, IsTheSameInPieces) {
    const std::string text(1000, 'x');
    const uint16_t narrow = crc16_t10dif(0, bytes_of(text));
    const uint64_t wide = crc64_nvme_update(crc64_nvme_seed, bytes_of(text));
    for (size_t cut = 0; cut <= text.size(); cut += 7) {
        EXPECT_EQ(crc16_t10dif(crc16_t10dif(0, bytes_of(text.substr(0, cut))), bytes_of(text.substr(cut))), narrow);
        EXPECT_EQ(crc64_nvme_update(crc64_nvme_update(crc64_nvme_seed, bytes_of(text.substr(0, cut))),
                                    bytes_of(text.substr(cut))),
                  wide);
    }
}

TEST(Crc32c, HasTheStandardCheckValue) { EXPECT_EQ(crc32c(bytes_of("123456789")), 0xE3069283u); }

TEST(Crc32c, OfPiecesIsThatOfTheWhole) {
    const std::string_view text = "the quick brown fox jumps over the lazy dog";
    for (size_t cut = 0; cut <= text.size(); ++cut) {
        uint32_t state = crc32c_update(crc32c_seed, bytes_of(text.substr(0, cut)));
        state = crc32c_update(state, bytes_of(text.substr(cut)));
        EXPECT_EQ(crc32c_finish(state), crc32c(bytes_of(text)));
    }
}

TEST(Endian, KeepsTheWireOrder) {
    const le32 little = 0x01020304;
    const be32 big = 0x01020304;
    EXPECT_EQ(bytes_of(little)[0], std::byte{4});
    EXPECT_EQ(bytes_of(big)[0], std::byte{1});
    EXPECT_EQ(little, big);
}

TEST(Reader, SticksAtTheFirstFailure) {
    const std::string_view text = "abc";
    Reader reader(bytes_of(text));
    EXPECT_EQ(reader.take<le16>(), 0x6261);
    EXPECT_EQ(reader.take<le16>(), 0);
    EXPECT_TRUE(reader.take_bytes(1).empty());
    EXPECT_FALSE(reader.ok());
}

struct Item {
    int value = 0;
    ListLink<Item> link;
};

TEST(IntrusiveList, KeepsOrderAndLetsGoFromAnywhere) {
    Item items[4];
    IntrusiveList<Item, &Item::link> list;
    for (int at = 0; at < 4; ++at) {
        items[at].value = at;
        list.push_back(items[at]);
    }
    list.remove(items[2]);
    list.push_front(items[2]);
    std::vector<int> seen;
    while (Item* item = list.pop_front()) seen.push_back(item->value);
    EXPECT_EQ(seen, (std::vector<int>{2, 0, 1, 3}));
}

TEST(IntrusiveListDeathTest, RefusesAnElementTwice) {
    Item item;
    IntrusiveList<Item, &Item::link> list;
    list.push_back(item);
    EXPECT_DEATH(list.push_back(item), "broken invariant");
    list.remove(item);
}

struct Numbered : MpscNode {
    int producer = 0;
    int number = 0;
};

TEST(MpscQueue, DeliversAllOfEachProducerInOrder) {
    constexpr int count = 20'000;
    MpscQueue queue;
    std::vector<Numbered> nodes[2] = {std::vector<Numbered>(count), std::vector<Numbered>(count)};
    std::thread producers[2];
    for (int producer = 0; producer < 2; ++producer) {
        producers[producer] = std::thread([&queue, &mine = nodes[producer], producer] {
            for (int number = 0; number < count; ++number) {
                mine[static_cast<size_t>(number)].producer = producer;
                mine[static_cast<size_t>(number)].number = number;
                queue.push(mine[static_cast<size_t>(number)]);
            }
        });
    }
    int next[2] = {0, 0};
    for (int taken = 0; taken < 2 * count;) {
        auto* node = static_cast<Numbered*>(queue.pop());
        if (node == nullptr) continue;
        ASSERT_EQ(node->number, next[node->producer]++);
        ++taken;
    }
    EXPECT_TRUE(queue.empty());
    for (std::thread& producer : producers) producer.join();
}

TEST(Uuid, RoundTripsItsText) {
    const std::string text = "6ba7b810-9dad-11d1-80b4-00c04fd430c8";
    EXPECT_EQ(Uuid::parse(text)->to_string(), text);
    EXPECT_EQ(Uuid::parse("6BA7B8109DAD11D180B400C04FD430C8")->to_string(), text);
    EXPECT_FALSE(Uuid::parse("6ba7b810-9dad-11d1-80b4-00c04fd430c"));
    EXPECT_FALSE(Uuid::parse("6ba7b810x9dad-11d1-80b4-00c04fd430c8"));
}

TEST(Uuid, OfNamesIsStableAndTellsNamesApart) {
    EXPECT_EQ(Uuid::from_names({"a", "b"}), Uuid::from_names({"a", "b"}));
    EXPECT_NE(Uuid::from_names({"ab", ""}), Uuid::from_names({"a", "b"}));
}

std::vector<std::string>& lines_seen() {
    static std::vector<std::string> lines;
    return lines;
}
// What is logged while this lives.
struct LogLines {
    LogLines() {
        lines_seen().clear();
        log::set_timestamps(false);
        log::set_sink([](log::Level, std::string_view line) { lines_seen().emplace_back(line); });
    }
    ~LogLines() {
        log::set_sink(nullptr);
        log::set_timestamps(true);
        log::set_format(log::Format::text);
        log::set_rate_limit(0, 0);
    }
};
constexpr log::Place some_place{.file = "/a/b/some.cc", .line = 7, .function = "work"};

TEST(Log, LetsNoControlByteThrough) {
    const LogLines lines;
    std::string text = "a";
    for (int byte = 0; byte < 256; ++byte) text += static_cast<char>(byte);
    text += "\u00e4\u0085\u20ac\xed\xa0\x80";  // ä, a control character, €, half a surrogate pair
    log::write(log::Level::notice, some_place, text);
    ASSERT_EQ(lines_seen().size(), 1U);
    const std::string& line = lines_seen()[0];
    EXPECT_TRUE(line.starts_with("some.cc:   7:work: *NOTICE*: a\\x00\\x01"));
    EXPECT_TRUE(line.ends_with("\\xff\u00e4\\xc2\\x85\u20ac\\xed\\xa0\\x80\n")) << line;
    for (const char character : line.substr(0, line.size() - 1)) {
        const auto byte = static_cast<unsigned char>(character);
        EXPECT_TRUE(byte >= 0x20 && byte != 0x7F);
    }
}

TEST(Log, WritesJsonLines) {
    const LogLines lines;
    log::set_format(log::Format::json);
    log::write(log::Level::warning, some_place, "say \"no\" \\ \n\x1b[2J \u00e4");
    ASSERT_EQ(lines_seen().size(), 1U);
    const std::string& line = lines_seen()[0];
    EXPECT_EQ(
        line.substr(line.find(",\"level\"")),
        R"(,"level":"WARNING","file":"some.cc","line":7,"function":"work","message":"say \"no\" \\ \\x0a\\x1b[2J )"
        "\u00e4\"}\n");
    EXPECT_TRUE(line.starts_with("{\"time\":\"20")) << line;
}

TEST(Log, BoundsWhatOnePlaceWritesAndSaysSo) {
    const LogLines lines;
    log::set_rate_limit(5, 50);
    constexpr log::Place noisy{.file = "noisy.cc", .line = 1, .function = "work"};
    const auto noisy_lines = [] {
        return std::ranges::count_if(lines_seen(), [](const auto& line) { return line.ends_with("again\n"); });
    };
    // The 50 ms may end between two lines, and then five more are written.
    for (int at = 0; at < 1000; ++at) log::write(log::Level::error, noisy, "again");
    EXPECT_GE(noisy_lines(), 5);
    EXPECT_LE(noisy_lines(), 50);
    log::write(log::Level::error, {.file = "noisy.cc", .line = 2, .function = "other"}, "one of another place");
    const auto told = [] {
        return std::ranges::any_of(
            lines_seen(), [](const auto& line) { return line.ends_with("lines of this place were left out\n"); });
    };
    const auto give_up = std::chrono::steady_clock::now() + std::chrono::seconds(10);
    while (!told() && std::chrono::steady_clock::now() < give_up) {
        log::write(log::Level::error, {.file = "noisy.cc", .line = 3, .function = "other"}, "later");
    }
    EXPECT_TRUE(told());
}

TEST(Log, BoundsWhatAllPlacesWriteTogether) {
    const LogLines lines;
    log::set_rate_limit(50, 60'000);
    for (int at = 0; at < 4000; ++at) {
        const log::Place place{.file = "noisy_too.cc", .line = at % 400, .function = "work"};
        log::write(log::Level::error, place, std::string(200, 'x'));
    }
    size_t bytes = 0;
    for (const auto& line : lines_seen()) bytes += line.size();
    EXPECT_LE(bytes, 2 * 72 * 1024U);  // the minute may end between two lines
    EXPECT_GT(bytes, 36 * 1024U);
}

TEST(Log, EscapesWhatCouldForgeALine) { EXPECT_EQ(log::quoted("a\nb\"\x1b"), "a\\x0ab\\x22\\x1b"); }

log::Flag some_flag("base_test");

TEST(Log, AFlagIsReadWhileItIsSet) {
    log::register_flag(some_flag);
    std::thread reader([] {
        while (!some_flag.is_set()) std::this_thread::yield();
    });
    EXPECT_TRUE(log::set_flag("base_test", true));
    reader.join();
    EXPECT_TRUE(log::set_flag("base_test", false));
    EXPECT_FALSE(some_flag.is_set());
    EXPECT_FALSE(log::set_flag("no such flag", true));
}

TEST(Result, NamesTheSystemErrorOnce) {
    const Result<int> result = fail_errno(ENOENT, "open /nowhere");
    ASSERT_FALSE(result);
    EXPECT_EQ(result.error().code, Errc::not_found);
    EXPECT_EQ(result.error().message, "open /nowhere: No such file or directory");
    EXPECT_EQ(to_errno(Errc::no_such_device), ENODEV);
}

}  // namespace
}  // namespace weft
