#include "nvme_host/tcp/slot_table.h"

#include <gtest/gtest.h>

#include <set>
#include <vector>

namespace weft::nvme_host::tcp {
namespace {

void give_back(SlotTable& table, Slot& slot) {
    slot.state = SlotState::free;
    table.give_back(slot);
}

Slot* take(SlotTable& table) {
    Slot* slot = table.take();
    if (slot != nullptr) slot->state = SlotState::waiting;
    return slot;
}

TEST(SlotTable, GivesEachSlotOnce) {
    for (const uint32_t depth : {1u, 2u, 31u, 32u, 127u, 128u, 1024u}) {
        SlotTable table(depth);
        std::set<uint16_t> cids;
        std::vector<Slot*> taken;
        while (Slot* slot = take(table)) {
            cids.insert(slot->cid);
            taken.push_back(slot);
            EXPECT_EQ(table.find(slot->cid), slot);
        }
        EXPECT_EQ(cids.size(), depth);
        EXPECT_EQ(table.in_use(), depth);
        for (Slot* slot : taken) give_back(table, *slot);
        EXPECT_EQ(table.in_use(), 0u);
    }
}

TEST(SlotTable, DoesNotFindACidThatHasBeenGivenBack) {
    SlotTable table(4);
    std::vector<uint16_t> old;
    for (int use = 0; use < 1000; ++use) {
        Slot* slot = take(table);
        for (const uint16_t cid : old) EXPECT_EQ(table.find(cid), nullptr);
        old.push_back(slot->cid);
        give_back(table, *slot);
    }
}

TEST(SlotTable, NeverUsesCidFfff) {
    for (const uint32_t depth : {1u, 16u, 32768u, 65535u}) {
        SlotTable table(depth);
        for (int use = 0; use < 70000; ++use) {
            Slot* slot = take(table);
            ASSERT_NE(slot->cid, 0xFFFF);
            give_back(table, *slot);
        }
    }
}

TEST(SlotStates, KnowWhatToDoWithEverythingThatMayArrive) {
    for (const SlotState state :
         {SlotState::sending, SlotState::waiting, SlotState::sending_data, SlotState::draining}) {
        for (const SlotEvent event : {SlotEvent::r2t, SlotEvent::data, SlotEvent::response, SlotEvent::lost}) {
            EXPECT_NE(slot_step(state, event).action, SlotAction::impossible)
                << static_cast<int>(state) << " " << static_cast<int>(event);
        }
    }
}

TEST(SlotStates, AreFreeAfterTheEndOnly) {
    for (const SlotTransition& row : slot_transitions) {
        const bool ends = row.action == SlotAction::complete || row.action == SlotAction::complete_kept ||
                          row.action == SlotAction::fail;
        EXPECT_EQ(row.next == SlotState::free, ends);
    }
}

}  // namespace
}  // namespace weft::nvme_host::tcp
