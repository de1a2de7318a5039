#include "nvmf/reservation/keeper.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/log.h"
#include "nvmf/controller/controller.h"
#include "nvmf/io/outstanding.h"
#include "nvmf/poll_group.h"
#include "nvmf/target.h"

namespace weft::nvmf {

namespace {

using nvme::Status;
namespace status = nvme::status;

void tell_controllers(const PollGroup& group, uint32_t subsystem_id, uint32_t nsid,
                      const std::vector<ReservationState::Notice>& notices) {
    if (notices.empty()) return;
    for (const auto& [uid, controller] : group.controllers()) {
        if (controller->subsystem().identity.id != subsystem_id) continue;
        for (const ReservationState::Notice& notice : notices) {
            if (notice.host == controller->identity().hostid) controller->reservation_changed(nsid, notice.type);
        }
    }
}

}  // namespace

Task<Result<void>> ReservationKeeper::load() {
    if (store_ == nullptr) co_return Result<void>{};
    auto record = co_await store_->load();
    if (!record) co_return std::unexpected(std::move(record).error());
    if (const char* fault = record->find_fault()) {
        co_return fail(Errc::invalid_argument, fmt::format("the stored reservation cannot be: {}", fault));
    }
    state_ = ReservationState(std::move(*record));
    co_return Result<void>{};
}

Task<Status> ReservationKeeper::execute(Uuid host, ReservationCommand command) {
    if (!gate_.try_enter()) co_return status::invalid_namespace_or_format.with_dnr();
    Status answer = status::success;
    {
        const auto change = co_await changing_.lock();
        ReservationState next = state_;
        ReservationState::Outcome outcome = next.execute(host, command, can_persist());
        answer = outcome.status;
        if (answer.is_success()) answer = co_await commit(std::move(next), std::move(outcome));
    }
    gate_.leave();
    co_return answer;
}

Task<Status> ReservationKeeper::set_persistent(bool is_persistent) {
    if (is_persistent && !can_persist()) co_return status::invalid_field.with_dnr();
    if (!gate_.try_enter()) co_return status::invalid_namespace_or_format.with_dnr();
    Status answer = status::success;
    {
        const auto change = co_await changing_.lock();
        ReservationState next = state_;
        next.set_persistent(is_persistent);
        answer = co_await commit(std::move(next), {});
    }
    gate_.leave();
    co_return answer;
}

Task<Status> ReservationKeeper::commit(ReservationState next, ReservationState::Outcome outcome) {
    const bool lasts = state_.record().is_persistent || next.record().is_persistent;
    if (lasts && next.record() != state_.record()) {
        WEFT_ASSERT(store_ != nullptr);
        const Result<void> stored = co_await store_->store(next.record());
        if (!stored) {
            WEFT_ERRLOG("a reservation of namespace {} could not be stored, the host's command fails: {}", place_.nsid,
                        stored.error().message);
            co_return status::internal_error;
        }
    }
    state_ = std::move(next);
    co_await spread(outcome);
    co_return status::success;
}

NamespaceView* ReservationKeeper::view_on(const PollGroup& group) const {
    const SubsystemView* const subsystem = group.subsystem(place_.subsystem_id);
    return subsystem != nullptr ? subsystem->find(place_.nsid) : nullptr;
}

Task<void> ReservationKeeper::spread(const ReservationState::Outcome& outcome) {
    const bool aborts = outcome.aborts && !outcome.preempted.empty();
    const QueueSelection preempted{.hosts = &outcome.preempted};
    for (PollGroup* group : target_.poll_groups()) {
        co_await resume_on(group->thread());
        NamespaceView* const ns = view_on(*group);
        if (ns == nullptr) continue;
        ns->set_reservation(state_);
        if (aborts) abort_commands(*group, *ns, preempted);
        tell_controllers(*group, place_.subsystem_id, place_.nsid, outcome.notices);
    }
    if (aborts) {
        for (PollGroup* group : target_.poll_groups()) {
            co_await resume_on(group->thread());
            if (NamespaceView* const ns = view_on(*group)) co_await wait_for_commands(*group, *ns, preempted);
        }
    }
    co_await resume_on(target_.thread());
}

}  // namespace weft::nvmf
