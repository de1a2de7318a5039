#include "nvmf/tcp/newcomers.h"

#include <gtest/gtest.h>

#include <array>

namespace weft::nvmf::tcp {
namespace {

struct One {
    uint32_t of = 0;
    ListLink<One> link;
    [[nodiscard]] uint32_t source() const { return of; }
};

TEST(Newcomers, TheOldestOfTheSourceThatHasMostMakesRoom) {
    std::array<One, 6> all;
    const std::array<uint32_t, 6> sources = {7, 4095, 0, 4095, 0, 4095};
    Newcomers<One, &One::link> newcomers;
    EXPECT_EQ(newcomers.oldest_of_most(), nullptr);
    for (size_t at = 0; at < all.size(); ++at) {
        all[at].of = sources[at];
        newcomers.add(all[at]);
    }
    EXPECT_EQ(newcomers.oldest_of_most(), &all[1]);
    newcomers.forget(all[1]);
    newcomers.forget(all[1]);  // which is not there any more
    EXPECT_EQ(newcomers.size(), 5U);
    EXPECT_EQ(newcomers.oldest_of_most(), &all[2]) << "two of each: the older one";
    newcomers.forget(all[2]);
    EXPECT_EQ(newcomers.oldest_of_most(), &all[3]);
    newcomers.forget(all[3]);
    EXPECT_EQ(newcomers.oldest_of_most(), &all[0]) << "one of each";
    for (One& one : all) newcomers.forget(one);
    EXPECT_EQ(newcomers.oldest_of_most(), nullptr);
}

TEST(Newcomers, TheOldestOfASourceIsFound) {
    std::array<One, 3> all;
    Newcomers<One, &One::link> newcomers;
    for (size_t at = 0; at < all.size(); ++at) {
        all[at].of = at == 0 ? 1 : 2;
        newcomers.add(all[at]);
    }
    EXPECT_EQ(newcomers.oldest_of(2), &all[1]);
    EXPECT_EQ(newcomers.oldest_of(3), nullptr);
    for (One& one : all) newcomers.forget(one);
}

TEST(Newcomers, SourcesTakeTurns) {
    std::array<One, 5> all;
    const std::array<uint32_t, 5> sources = {9, 9, 4095, 0, 9};
    Newcomers<One, &One::link> newcomers;
    EXPECT_EQ(newcomers.oldest_of_next(9), nullptr);
    for (size_t at = 0; at < all.size(); ++at) {
        all[at].of = sources[at];
        newcomers.add(all[at]);
    }
    uint32_t source = 0;
    for (const size_t expected : std::array<size_t, 5>{0, 2, 3, 1, 4}) {
        One* const next = newcomers.oldest_of_next(source);
        ASSERT_EQ(next, &all[expected]);
        source = next->source();
        newcomers.forget(*next);
    }
}

TEST(Newcomers, WhoHasNoMoreThanTheNewcomerIsSpared) {
    ConnectionLimits limits(1, 0, 1);
    const ConnectionLimits::Place first = limits.enter("10.0.0.1");
    const ConnectionLimits::Place newcomer = limits.enter("10.0.0.2");
    ASSERT_NE(first.source(), newcomer.source());
    std::array<One, 3> all;
    Newcomers<One, &One::link> newcomers;
    EXPECT_EQ(newcomers.oldest_of_more_for(newcomer), nullptr);
    for (One& one : all) one.of = first.source();
    newcomers.add(all[0]);
    EXPECT_EQ(newcomers.oldest_of_more_for(newcomer), nullptr);
    newcomers.add(all[1]);
    EXPECT_EQ(newcomers.oldest_of_more_for(newcomer), &all[0]);
    all[2].of = newcomer.source();
    newcomers.add(all[2]);
    EXPECT_EQ(newcomers.oldest_of_more_for(newcomer), nullptr);
    for (One& one : all) newcomers.forget(one);
}

}  // namespace
}  // namespace weft::nvmf::tcp
