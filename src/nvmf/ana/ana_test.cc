#include <gtest/gtest.h>

#include "base/bytes.h"
#include "nvmf/ana/table.h"
#include "nvmf/ana/view.h"

namespace weft::nvmf {
namespace {

using enum nvme::AnaState;

TransportId listener(const char* port) { return {.adrfam = "IPv4", .traddr = "127.0.0.1", .trsvcid = port}; }

TEST(AnaTable, CountsWhatChanges) {
    AnaTable table(3, optimized);
    EXPECT_FALSE(table.set(0, optimized));
    EXPECT_FALSE(table.set(2, optimized));
    EXPECT_EQ(table.change_count(), 0U);
    EXPECT_TRUE(table.set(2, inaccessible));
    EXPECT_EQ(table.change_count(), 1U);
    EXPECT_EQ(table.change_count_of(2), 1U);
    EXPECT_EQ(table.change_count_of(1), 0U);
    EXPECT_EQ(table.state_of_all(), optimized);
    EXPECT_TRUE(table.set(0, non_optimized));
    EXPECT_EQ(table.states(), (std::vector{non_optimized, non_optimized, non_optimized}));
    EXPECT_EQ(table.state_of_all(), non_optimized);
    EXPECT_EQ(table.change_count_of(2), 2U);
    table.note_members(3);
    EXPECT_EQ(table.change_count_of(3), 2U);
    EXPECT_EQ(table.change_count(), 5U);
}

TEST(AnaTable, NamesAreReadBack) {
    for (const nvme::AnaState state : {optimized, non_optimized, inaccessible, persistent_loss, change}) {
        EXPECT_EQ(parse_ana_state(name_of(state)), state);
    }
    EXPECT_FALSE(parse_ana_state("Optimized"));
    EXPECT_FALSE(parse_ana_state(""));
}

TEST(AnaLog, NamesGroupsWithNamespaces) {
    AnaTable table(9, optimized);
    table.set(4, inaccessible);
    const std::map<uint32_t, std::vector<uint32_t>> members{{1, {1, 5}}, {4, {2}}};
    const auto page = ana_log(table, members, false);
    ASSERT_EQ(page.size(), 16U + 32 + 8 + 32 + 4);
    EXPECT_EQ(load<nvme::AnaHeader>(page).group_count, 2U);
    EXPECT_EQ(load<nvme::AnaHeader>(page).change_count, 1U);
    const auto first = load<nvme::AnaGroupDescriptor>(Bytes(page).subspan(16));
    EXPECT_EQ(first.anagrpid, 1U);
    EXPECT_EQ(first.nsid_count, 2U);
    EXPECT_EQ(first.state, optimized);
    EXPECT_EQ(load<le32>(Bytes(page).subspan(16 + 32 + 4)), 5U);
    const auto second = load<nvme::AnaGroupDescriptor>(Bytes(page).subspan(16 + 32 + 8));
    EXPECT_EQ(second.anagrpid, 4U);
    EXPECT_EQ(second.state, inaccessible);
    EXPECT_EQ(second.change_count, 1U);
    const auto short_page = ana_log(table, members, true);
    ASSERT_EQ(short_page.size(), 16U + 2 * 32);
    EXPECT_EQ(load<nvme::AnaGroupDescriptor>(Bytes(short_page).subspan(16)).nsid_count, 0U);
}

TEST(AnaViews, OutliveTheirListenerWhileSomebodyPointsAtThem) {
    AnaViews views;
    EXPECT_EQ(views.acquire(listener("1")), nullptr);
    views.set(listener("1"), {optimized, inaccessible});
    AnaView* first = views.acquire(listener("1"));
    AnaView* second = views.acquire(listener("1"));
    ASSERT_EQ(first, second);
    EXPECT_EQ(first->state_of(1), optimized);
    EXPECT_EQ(first->state_of(2), inaccessible);
    EXPECT_EQ(first->state_of(3), inaccessible);  // there is no such group
    EXPECT_EQ(first->state_of(0), inaccessible);
    views.set(listener("1"), {non_optimized, inaccessible});
    EXPECT_EQ(first->state_of(1), non_optimized);
    views.remove(listener("1"));
    EXPECT_EQ(views.acquire(listener("1")), nullptr);
    views.set(listener("1"), {change, change});  // another one, at the same address
    EXPECT_EQ(first->state_of(1), non_optimized);
    views.release(*first);
    EXPECT_EQ(second->state_of(1), non_optimized);
    views.release(*second);
    views.remove(listener("1"));
    views.remove(listener("2"));
}

TEST(AnaStates, EachHasItsStatus) {
    EXPECT_TRUE(path_status(optimized).is_success() && path_status(non_optimized).is_success());
    EXPECT_TRUE(path_status(inaccessible).is(nvme::status::ana_inaccessible));
    EXPECT_TRUE(path_status(persistent_loss).is(nvme::status::ana_persistent_loss));
    EXPECT_TRUE(path_status(change).is(nvme::status::ana_transition));
}

}  // namespace
}  // namespace weft::nvmf
