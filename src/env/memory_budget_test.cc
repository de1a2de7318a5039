#include "env/memory_budget.h"

#include <gtest/gtest.h>

#include "env/environment.h"

namespace weft::env {
namespace {

class MemoryBudgetTest : public testing::Test {
protected:
    ~MemoryBudgetTest() override { set_memory_budget(0); }
    const uint64_t before_ = memory_taken();
};

TEST_F(MemoryBudgetTest, CountsWhatIsMappedAndGivesItBack) {
    {
        auto mapping = map_memory(10'000, {});
        ASSERT_TRUE(mapping);
        EXPECT_EQ(memory_taken(), before_ + 12288);
        const Mapping moved = std::move(*mapping);
        EXPECT_EQ(memory_taken(), before_ + 12288);
    }
    EXPECT_EQ(memory_taken(), before_);
    EXPECT_FALSE(map_memory(size_t{1} << 60, {}));
    EXPECT_EQ(memory_taken(), before_);
}

TEST_F(MemoryBudgetTest, RefusesWhatDoesNotFitAndSaysWhy) {
    set_memory_budget(before_ + 100'000);
    auto first = MemoryShare::take(60'000, "the first");
    ASSERT_TRUE(first);
    const auto second = map_memory(50'000, {.name = "the second"});
    ASSERT_FALSE(second);
    EXPECT_EQ(second.error().code, Errc::no_memory);
    EXPECT_NE(second.error().message.find("the second needs 53248 bytes"), std::string::npos) << second.error().message;
    EXPECT_NE(second.error().message.find("--memory"), std::string::npos);
    *first = MemoryShare();
    EXPECT_TRUE(map_memory(50'000, {}));
    EXPECT_FALSE(MemoryShare::take(UINT64_MAX, "all"));
    EXPECT_EQ(memory_taken(), before_);
}

}  // namespace
}  // namespace weft::env
