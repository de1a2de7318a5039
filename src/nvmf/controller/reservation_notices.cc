// What a controller tells its host of reservations, and the two features that belong to them (NVMe Base 2.0, 5.16.1.25,
// 5.27.1.26, 5.27.1.27).
#include <algorithm>

#include "nvmf/controller/controller.h"
#include "nvmf/poll_group.h"
#include "nvmf/reservation/keeper.h"
#include "nvmf/target.h"

namespace weft::nvmf {

namespace {

using nvme::Status;
namespace status = nvme::status;
namespace feature = nvme::feature;

// Those of feature 82h; all other bits are reserved.
constexpr uint32_t mask_bits =
    static_cast<uint32_t>(feature::registration_preempted.mask() | feature::reservation_released.mask() |
                          feature::reservation_preempted.mask());

uint32_t mask_of(nvme::ReservationNotificationType type) {
    switch (type) {
        case nvme::ReservationNotificationType::empty: return 0;
        case nvme::ReservationNotificationType::registration_preempted:
            return static_cast<uint32_t>(feature::registration_preempted.mask());
        case nvme::ReservationNotificationType::reservation_released:
            return static_cast<uint32_t>(feature::reservation_released.mask());
        case nvme::ReservationNotificationType::reservation_preempted:
            return static_cast<uint32_t>(feature::reservation_preempted.mask());
    }
    return 0;
}

}  // namespace

void Controller::reservation_changed(uint32_t nsid, nvme::ReservationNotificationType type) {
    const auto mask = reservation_masks_.find(nsid);
    if (mask != reservation_masks_.end() && (mask->second & mask_of(type)) != 0) return;
    // Counted also when there is no room: a host sees the gap. 0 stands for an empty log.
    if (++reservation_notice_count_ == 0) reservation_notice_count_ = 1;
    if (reservation_notices_.size() < reservation_notice_max) {
        nvme::ReservationNotification notice;
        notice.log_page_count = reservation_notice_count_;
        notice.type = type;
        notice.nsid = nsid;
        reservation_notices_.push_back(notice);
    }
    raise(nvme::async_event::reservation_log_available);
}

nvme::ReservationNotification Controller::take_reservation_notice(bool retain) {
    if (reservation_notices_.empty()) return {};
    nvme::ReservationNotification oldest = reservation_notices_.front();
    oldest.available_count = static_cast<uint8_t>(reservation_notices_.size() - 1);
    if (!retain) reservation_notices_.pop_front();
    return oldest;
}

// Features of one namespace: is it there, and is the way to it open (8.1.3)?
Status Controller::check_feature_namespace(uint32_t nsid) const {
    const NamespaceView* ns = subsystem_->find(nsid);
    if (ns == nullptr) return status::invalid_namespace_or_format.with_dnr();
    return admin_->ana != nullptr ? path_status(admin_->ana->state_of(ns->identity.anagrpid)) : status::success;
}

Status Controller::get_reservation_feature(Request& request, nvme::FeatureId id, bool is_current) {
    const uint32_t nsid = request.command.nsid;
    if (nsid == nvme::broadcast_nsid && id == nvme::FeatureId::reservation_notification_mask) {
        return status::invalid_field.with_dnr();
    }
    if (const Status outcome = check_feature_namespace(nsid); !outcome.is_success()) return outcome;
    uint32_t value = 0;
    if (id == nvme::FeatureId::reservation_persistence) {
        value = subsystem_->find(nsid)->reservation.record().is_persistent ? 1 : 0;
    } else if (const auto mask = reservation_masks_.find(nsid); mask != reservation_masks_.end()) {
        value = mask->second;
    }
    request.completion.cdw0 = is_current ? value : 0;
    return status::success;
}

Status Controller::set_reservation_mask(uint32_t nsid, uint32_t mask) {
    if ((mask & ~mask_bits) != 0) return status::invalid_field.with_dnr();
    if (nsid == nvme::broadcast_nsid) {
        for (const auto& ns : subsystem_->namespaces) {
            if (ns != nullptr) reservation_masks_[ns->identity.nsid] = mask;
        }
        return status::success;
    }
    if (const Status outcome = check_feature_namespace(nsid); !outcome.is_success()) return outcome;
    reservation_masks_[nsid] = mask;
    return status::success;
}

// It is the namespace's, not the controller's: the app thread has it.
Task<void> Controller::set_persistence_task(Request& request) {
    if (!gate_.try_enter()) co_return complete(request, status::aborted_sq_deletion);
    Target& target = group_.target();
    const uint32_t subsystem_id = subsystem_->identity.id;
    const uint32_t nsid = request.command.nsid;
    const uint32_t value = request.command.cdw11;
    Status outcome = status::success;
    std::vector<uint32_t> nsids;
    if (nvme::FeatureRequest::from(request.command).save) {
        outcome = status::feature_not_saveable.with_dnr();
    } else if (nsid == nvme::broadcast_nsid) {
        // 5.27.1.27: all that can.
        for (const auto& ns : subsystem_->namespaces) {
            if (ns != nullptr && ns->can_persist) nsids.push_back(ns->identity.nsid);
        }
    } else {
        outcome = check_feature_namespace(nsid);
        nsids.push_back(nsid);
    }
    if (outcome.is_success()) {
        co_await resume_on(target.thread());
        for (const uint32_t one : nsids) {
            ReservationKeeper* keeper = target.reservation_of(subsystem_id, one);
            const Status changed =
                keeper == nullptr ? status::invalid_namespace_or_format.with_dnr()
                                  : co_await keeper->set_persistent(feature::persist_through_power_loss.of(value) != 0);
            if (!changed.is_success()) outcome = changed;
        }
        co_await resume_on(group_.thread());
    }
    complete(request, outcome);
    gate_.leave();
}

}  // namespace weft::nvmf
