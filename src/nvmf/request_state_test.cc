#include "nvmf/request_state.h"

#include <gtest/gtest.h>

namespace weft::nvmf {
namespace {

TEST(RequestState, EveryPairIsInTheTableOrIsABrokenInvariant) {
    size_t legal = 0;
    for (size_t state = 0; state < request_state_count; ++state) {
        for (size_t event = 0; event < request_event_count; ++event) {
            const auto from = static_cast<RequestState>(state);
            const auto on = static_cast<RequestEvent>(event);
            if (!is_legal(from, on)) continue;
            ++legal;
            EXPECT_LT(static_cast<size_t>(next_state(from, on)), request_state_count);
        }
    }
    EXPECT_EQ(legal, std::size(request_table::transitions));
}

TEST(RequestStateDeathTest, AnIllegalPairStops) {
    EXPECT_DEATH(next_state(RequestState::free, RequestEvent::sent), "broken invariant");
    EXPECT_DEATH(next_state(RequestState::draining, RequestEvent::execute), "broken invariant");
}

TEST(RequestState, ALostConnectionEndsInFreeFromEveryStateThatIsInUse) {
    for (size_t state = 1; state < request_state_count; ++state) {
        auto at = static_cast<RequestState>(state);
        if (at == RequestState::draining) continue;
        at = next_state(at, RequestEvent::connection_lost);
        if (at == RequestState::draining) at = next_state(at, RequestEvent::drained);
        EXPECT_EQ(at, RequestState::free) << name_of(static_cast<RequestState>(state));
    }
}

TEST(RequestState, NamesAreThere) {
    for (size_t state = 0; state < request_state_count; ++state)
        EXPECT_NE(name_of(static_cast<RequestState>(state)), "?");
    for (size_t event = 0; event < request_event_count; ++event)
        EXPECT_NE(name_of(static_cast<RequestEvent>(event)), "?");
}

}  // namespace
}  // namespace weft::nvmf
