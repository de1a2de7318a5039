#include "bdev_modules/malloc/copy.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <random>
#include <vector>

namespace weft::bdev {
namespace {

// Memory at `past_line` bytes after the start of a cache line, with guards around it.
class Area {
public:
    Area(size_t bytes, size_t past_line) : memory_(bytes + 3 * streaming_unit_bytes, std::byte{0xA5}), bytes_(bytes) {
        const size_t past = reinterpret_cast<uintptr_t>(memory_.data()) % streaming_unit_bytes;
        start_ = memory_.data() + (2 * streaming_unit_bytes - past) + past_line;
    }
    std::byte* data() { return start_; }
    MutableBytes bytes() { return {start_, bytes_}; }
    bool is_clean_outside() {
        const auto is_guard = [](std::byte byte) { return byte == std::byte{0xA5}; };
        return std::all_of(memory_.data(), start_, is_guard) &&
               std::all_of(start_ + bytes_, memory_.data() + memory_.size(), is_guard);
    }

private:
    std::vector<std::byte> memory_;
    size_t bytes_;
    std::byte* start_;
};

TEST(StreamingStores, AreAtLeastThoseOfSse2AndBestFirst) {
    ASSERT_FALSE(streaming_stores().empty());
    EXPECT_STREQ(streaming_stores().back().name, "sse2");
}

TEST(StreamingStores, AllCopyAndZeroWholeLines) {
    for (const StreamingStores& stores : streaming_stores()) {
        for (const size_t lines : {0U, 1U, 2U, 3U, 5U, 64U}) {
            std::vector<std::byte> source(lines * streaming_unit_bytes + 1);
            std::minstd_rand random(1);
            std::ranges::generate(source, [&] { return static_cast<std::byte>(random()); });
            Area target(lines * streaming_unit_bytes, 0);
            stores.copy(target.data(), source.data() + 1, target.bytes().size());
            EXPECT_TRUE(std::equal(target.bytes().begin(), target.bytes().end(), source.begin() + 1)) << stores.name;
            EXPECT_TRUE(target.is_clean_outside()) << stores.name;
            stores.zero(target.data(), target.bytes().size());
            EXPECT_TRUE(is_zero(target.bytes())) << stores.name;
            EXPECT_TRUE(target.is_clean_outside()) << stores.name;
        }
    }
}

TEST(StreamingCopy, TakesAnyAddressAndSize) {
    std::minstd_rand random(7);
    for (int round = 0; round < 2000; ++round) {
        const size_t bytes = random() % (round % 2 == 0 ? 400 : 9000);
        std::vector<std::byte> source(bytes);
        std::ranges::generate(source, [&] { return static_cast<std::byte>(random()); });
        Area target(bytes, random() % streaming_unit_bytes);
        streaming_copy(target.data(), source.data(), bytes);
        ASSERT_TRUE(std::ranges::equal(target.bytes(), source)) << bytes;
        ASSERT_TRUE(target.is_clean_outside()) << bytes;
        streaming_zero(target.data(), bytes);
        ASSERT_TRUE(is_zero(target.bytes())) << bytes;
        ASSERT_TRUE(target.is_clean_outside()) << bytes;
    }
    streaming_fence();
}

}  // namespace
}  // namespace weft::bdev
