#include "app/state/journal.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

namespace weft::state {
namespace {

// What a journal of some entries looks like, and where each of them ends.
struct Sample {
    std::vector<std::string> payloads = {R"({"subsystems":[]})", R"({"changes":[]})", "", std::string(3000, 'x'),
                                         R"({"changes":[{"erase":["bdev","Malloc0",""]}]})"};
    std::string text{journal_magic};
    std::vector<size_t> ends;

    explicit Sample(uint64_t first_number = 7) {
        for (const std::string& payload : payloads) {
            text += journal_line(first_number++, payload);
            ends.push_back(text.size());
        }
    }
    // How many entries are whole in the first `size` bytes.
    [[nodiscard]] size_t whole(size_t size) const {
        size_t count = 0;
        while (count < ends.size() && ends[count] <= size) ++count;
        return count;
    }
    void expect_first(const JournalContents& contents, size_t count) const {
        ASSERT_EQ(contents.payloads.size(), count);
        for (size_t at = 0; at < count; ++at) EXPECT_EQ(contents.payloads[at], payloads[at]);
        EXPECT_EQ(contents.good_bytes, ends[count - 1]);
    }
};

TEST(Journal, ReadsWhatWasWritten) {
    const Sample sample;
    const auto contents = read_journal(sample.text);
    ASSERT_TRUE(contents);
    sample.expect_first(*contents, sample.payloads.size());
    EXPECT_EQ(contents->last_number, 11U);
    EXPECT_EQ(contents->lost_bytes, 0U);
    EXPECT_EQ(contents->entries_after_damage, 0U);
}

TEST(Journal, ALineIsWhatThePageSays) {
    EXPECT_EQ(journal_line(0x1F, "{}").substr(8), " 000000000000001f 00000002 {}\n");
}

TEST(Journal, ACutAtAnyByteLeavesTheEntriesBeforeIt) {
    const Sample sample;
    for (size_t size = 0; size < sample.text.size(); ++size) {
        const auto contents = read_journal(std::string_view(sample.text).substr(0, size));
        const size_t whole = sample.whole(size);
        ASSERT_EQ(contents.has_value(), whole > 0) << size;
        if (!contents) continue;
        sample.expect_first(*contents, whole);
        EXPECT_EQ(contents->lost_bytes, size - sample.ends[whole - 1]);
        EXPECT_EQ(contents->entries_after_damage, 0U) << size;
    }
}

TEST(Journal, AFlippedBitAnywhereIsFoundAndLaterEntriesAreCounted) {
    const Sample sample;
    for (size_t at = 0; at < sample.text.size(); ++at) {
        std::string text = sample.text;
        text[at] = static_cast<char>(text[at] ^ (1 << (at % 8)));
        const auto contents = read_journal(text);
        const size_t whole = sample.whole(at);
        ASSERT_EQ(contents.has_value(), whole > 0) << at;
        if (!contents) continue;
        sample.expect_first(*contents, whole);
        // A flip in a line end can hide the beginning of the next line, no more.
        const size_t after = sample.payloads.size() - whole - 1;
        EXPECT_LE(contents->entries_after_damage, after) << at;
        EXPECT_GE(contents->entries_after_damage + 1, after) << at;
        if (after > 1) EXPECT_GT(contents->entries_after_damage, 0U) << at;
    }
}

TEST(Journal, AnEntryThatIsMissingIsSeen) {
    const Sample sample;
    const std::string text = sample.text.substr(0, sample.ends[1]) + sample.text.substr(sample.ends[2]);
    const auto contents = read_journal(text);
    ASSERT_TRUE(contents);
    sample.expect_first(*contents, 2);
    // The first of them was not found behind a line end of the rest.
    EXPECT_EQ(contents->entries_after_damage, 1U);
}

TEST(Journal, AnEntryThatIsThereTwiceIsSeen) {
    const Sample sample;
    const std::string text = sample.text + sample.text.substr(sample.ends[3]);
    const auto contents = read_journal(text);
    ASSERT_TRUE(contents);
    sample.expect_first(*contents, sample.payloads.size());
    EXPECT_EQ(contents->lost_bytes, text.size() - sample.text.size());
    EXPECT_EQ(contents->entries_after_damage, 0U);  // it is old, not later
}

TEST(Journal, ZeroesAfterTheEndAreNoEntries) {
    const Sample sample;
    const std::string text = sample.text + std::string(4096, '\0');
    const auto contents = read_journal(text);
    ASSERT_TRUE(contents);
    sample.expect_first(*contents, sample.payloads.size());
    EXPECT_EQ(contents->lost_bytes, 4096U);
    EXPECT_EQ(contents->entries_after_damage, 0U);
}

TEST(Journal, RefusesWhatIsNoJournal) {
    for (const std::string_view text : {"", "{}", "weft-state 2\n", "weft-state 1\n", "weft-state 1"}) {
        EXPECT_FALSE(read_journal(text)) << text;
    }
}

// Lines that claim to be as long as the file, one after another: each would be checked to its end.
TEST(Journal, HostileLengthsCostNoMoreThanTheFile) {
    std::string text = Sample().text;
    const size_t size = 4 << 20;
    while (text.size() < size) text += fmt::format("\n00000000 ffffffffffffff00 {:08x} ", size / 4);
    text += std::string(size, '\n');
    EXPECT_TRUE(read_journal(text));
}

}  // namespace
}  // namespace weft::state
