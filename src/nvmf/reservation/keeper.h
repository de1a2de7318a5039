// The reservation of one namespace: the state that counts, and how it comes to the poll groups. App thread.
//
// A change goes: one at a time → what the state machine says → on stable storage, if it is to last → the copies of all
// poll groups → (preempt and abort: the commands of the preempted hosts end) → notifications → the answer. So when a
// host is told of a reservation, no poll group still executes by the one before it.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "nvmf/reservation/state.h"
#include "nvmf/reservation/store.h"
#include "reactor/task.h"

namespace weft::nvmf {

class PollGroup;
class Target;
struct NamespaceView;

class ReservationKeeper {
public:
    struct Place {
        uint32_t subsystem_id = 0;
        uint32_t nsid = 0;
    };
    // `store` may be nullptr: then nothing lasts.
    ReservationKeeper(Target& target, Place place, std::unique_ptr<ReservationStore> store)
        : target_(target), place_(place), store_(std::move(store)) {}
    ReservationKeeper(const ReservationKeeper&) = delete;
    ReservationKeeper& operator=(const ReservationKeeper&) = delete;

    // What was stored. Before the namespace has views. Errors: those of the store.
    Task<Result<void>> load();
    [[nodiscard]] const ReservationState& state() const { return state_; }
    [[nodiscard]] bool can_persist() const { return store_ != nullptr; }

    // Register, Acquire or Release. Ends when the command may be answered.
    Task<nvme::Status> execute(Uuid host, ReservationCommand command);
    // Feature 83h.
    Task<nvme::Status> set_persistent(bool is_persistent);

    // Waits for commands that are under way; refuses those that come after it.
    Task<void> close() { return gate_.close(); }

private:
    Task<nvme::Status> commit(ReservationState next, ReservationState::Outcome outcome);
    Task<void> spread(const ReservationState::Outcome& outcome);
    // On the group's thread.
    [[nodiscard]] NamespaceView* view_on(const PollGroup& group) const;

    Target& target_;
    const Place place_;
    const std::unique_ptr<ReservationStore> store_;
    ReservationState state_;
    AsyncMutex changing_;
    Gate gate_;
};

}  // namespace weft::nvmf
