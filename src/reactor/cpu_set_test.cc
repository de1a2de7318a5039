#include "reactor/cpu_set.h"

#include <gtest/gtest.h>

namespace weft {
namespace {

TEST(CpuSet, ReadsMasksAndLists) {
    EXPECT_EQ(CpuSet::parse("0x3")->cpus(), (std::vector<size_t>{0, 1}));
    EXPECT_EQ(CpuSet::parse("f")->cpus(), (std::vector<size_t>{0, 1, 2, 3}));
    EXPECT_EQ(CpuSet::parse("15")->cpus(), (std::vector<size_t>{0, 2, 4})) << "hexadecimal without 0x too";
    EXPECT_EQ(CpuSet::parse("0xF000000")->cpus(), (std::vector<size_t>{24, 25, 26, 27}));
    EXPECT_EQ(CpuSet::parse("[0,2-3]")->cpus(), (std::vector<size_t>{0, 2, 3}));
    EXPECT_EQ(CpuSet::parse("[21,22,23,24]")->count(), 4U);
    EXPECT_EQ(CpuSet::parse("0xFFFFFFFF")->count(), 32U);
}

TEST(CpuSet, RefusesWhatIsNeither) {
    for (const char* text : {"", "0x", "xyz", "0", "[", "[]", "[1", "[1,]", "[a]", "[3-1]", "[1-]", "[5000]", "-1"}) {
        const auto parsed = CpuSet::parse(text);
        ASSERT_FALSE(parsed) << text;
        EXPECT_NE(parsed.error().message.find("core mask"), std::string::npos);
    }
}

TEST(CpuSet, PrintsAsAMask) {
    EXPECT_EQ(CpuSet::parse("[0,2-3]")->to_mask(), "d");
    EXPECT_EQ(CpuSet{}.to_mask(), "0");
    EXPECT_EQ((*CpuSet::parse("0x6") & *CpuSet::parse("0xc")).to_mask(), "4");
}

}  // namespace
}  // namespace weft
