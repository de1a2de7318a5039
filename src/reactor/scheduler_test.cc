#include "reactor/scheduler.h"

#include <gtest/gtest.h>

#include <map>

namespace weft {
namespace {

class GatherTest : public testing::Test {
protected:
    static constexpr size_t reactors = 4;
    // Each load in percent, and where it is.
    void place(const std::vector<std::pair<uint32_t, size_t>>& loads) {
        threads.clear();
        for (const auto& [percent, reactor] : loads) {
            threads.push_back({threads.size() + 1, reactor, percent, std::vector<bool>(reactors, true)});
        }
    }
    // Moves everybody, and answers where they are; again, and nobody moves.
    std::vector<size_t> settle(size_t first = 0, const LoadLimits& limits = {}) {
        for (const Move& move : gather(reactors, first, threads, limits))
            threads.at(move.thread_id - 1).reactor = move.to;
        EXPECT_EQ(gather(reactors, first, threads, limits), std::vector<Move>());
        std::vector<size_t> where;
        for (const ThreadLoad& thread : threads) where.push_back(thread.reactor);
        return where;
    }
    using Where = std::vector<size_t>;
    std::vector<ThreadLoad> threads;
};

TEST_F(GatherTest, LightThreadsGatherOnTheFirst) {
    place({{0, 0}, {5, 1}, {19, 2}, {1, 3}});
    EXPECT_EQ(settle(), Where({0, 0, 0, 0}));
    place({{0, 0}, {5, 1}, {19, 2}, {1, 3}});
    EXPECT_EQ(settle(2), Where({2, 2, 2, 2}));
}

TEST_F(GatherTest, AsManyAsHaveRoom) {
    place({{40, 0}, {40, 1}, {40, 2}, {40, 3}});
    EXPECT_EQ(settle(), Where({0, 0, 1, 1}));
    place({{15, 0}, {15, 0}, {15, 0}, {15, 0}, {15, 0}, {15, 0}});
    EXPECT_EQ(settle(), Where({0, 0, 0, 0, 0, 1}));
}

TEST_F(GatherTest, WhoIsTooMuchForOneReactorSpreads) {
    place({{50, 0}, {50, 0}});
    EXPECT_EQ(settle(), Where({0, 1}));
    place({{25, 0}, {25, 0}, {25, 0}, {25, 0}});
    EXPECT_EQ(settle(), Where({0, 0, 0, 1}));
    place({{34, 0}, {34, 0}, {32, 0}});
    EXPECT_EQ(settle(), Where({0, 0, 1}));
}

TEST_F(GatherTest, WhoIsBusyAllTheTimeIsAlone) {
    place({{100, 0}, {3, 0}, {100, 1}, {3, 1}});
    EXPECT_EQ(settle(), Where({0, 2, 1, 2}));
    place({{96, 3}, {97, 2}});
    EXPECT_EQ(settle(), Where({3, 2})) << "a reactor of its own is as good as another";
}

TEST_F(GatherTest, WithoutRoomTheyShareFairly) {
    place({{90, 0}, {90, 1}, {90, 2}, {90, 3}, {90, 0}, {50, 0}});
    const auto where = settle();
    std::map<size_t, int> count;
    for (const size_t at : where) ++count[at];
    EXPECT_EQ(count.size(), 4U);
    for (const auto& [reactor, threads_there] : count) EXPECT_LE(threads_there, 2);
}

TEST_F(GatherTest, NobodyGoesWhereItMayNot) {
    place({{5, 1}, {5, 2}, {50, 0}, {50, 0}});
    threads[0].may = {false, true, true, false};
    threads[3].may = {true, false, false, false};
    settle();
    EXPECT_TRUE(threads[0].may[threads[0].reactor]);
    EXPECT_EQ(threads[3].reactor, 0U);
}

TEST_F(GatherTest, TheLimitsAreTheCallers) {
    place({{30, 0}, {30, 1}});
    EXPECT_EQ(settle(0, {.load_limit = 20, .core_limit = 50, .core_busy = 95}), Where({0, 1}));
    place({{30, 0}, {30, 1}});
    EXPECT_EQ(settle(0, {.load_limit = 20, .core_limit = 60, .core_busy = 95}), Where({0, 0}));
}

}  // namespace
}  // namespace weft
