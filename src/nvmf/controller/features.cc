// Get and Set Features (NVMe Base 2.0, 5.15 and 5.27; NVM Command Set 1.0, 4.1.3).
#include <algorithm>

#include "nvmf/controller/controller.h"
#include "nvmf/poll_group.h"

namespace weft::nvmf {

namespace {

using nvme::FeatureId;
using nvme::FeatureSelect;
using nvme::Status;
namespace status = nvme::status;
namespace feature = nvme::feature;

// Features that are kept and given back, and change nothing.
bool is_stored(FeatureId id) {
    return id == FeatureId::arbitration || id == FeatureId::error_recovery || id == FeatureId::write_atomicity_normal ||
           id == FeatureId::temperature_threshold || id == FeatureId::power_management;
}

bool is_supported(const Controller& controller, FeatureId id) {
    if (controller.is_discovery()) {
        return id == FeatureId::async_event_configuration || id == FeatureId::keep_alive_timer;
    }
    switch (id) {
        case FeatureId::volatile_write_cache:
        case FeatureId::number_of_queues:
        case FeatureId::interrupt_vector_configuration:
        case FeatureId::interrupt_coalescing:
        case FeatureId::async_event_configuration:
        case FeatureId::keep_alive_timer:
        case FeatureId::timestamp:
        case FeatureId::host_behavior_support:
        case FeatureId::reservation_notification_mask:
        case FeatureId::reservation_persistence:
        case FeatureId::host_identifier: return true;
        default: return is_stored(id);
    }
}

bool is_changeable(FeatureId id) {
    return id != FeatureId::interrupt_vector_configuration && id != FeatureId::interrupt_coalescing &&
           id != FeatureId::volatile_write_cache && id != FeatureId::host_identifier;
}

bool is_of_namespace(FeatureId id) {
    return id == FeatureId::reservation_notification_mask || id == FeatureId::reservation_persistence;
}

uint32_t granted_queues(const TransportOptions& options) {
    const uint32_t zero_based = options.max_io_qpairs_per_ctrlr - 1U;
    return zero_based | zero_based << 16;
}

// Temperature Threshold: only the composite temperature's, over or under (5.27.1.3).
Status check_temperature(uint32_t cdw11) {
    const uint32_t sensor = feature::threshold_temperature_select.of(cdw11);
    if (sensor > 8 && sensor != 0xF) return status::invalid_field.with_dnr();
    return feature::threshold_type_select.of(cdw11) > 1 ? status::invalid_field.with_dnr() : status::success;
}

}  // namespace

Status Controller::get_feature(Request& request) {
    const auto wanted = nvme::FeatureRequest::from(request.command);
    nvme::Completion& completion = request.completion;
    if (!is_supported(*this, wanted.id)) return status::invalid_field.with_dnr();
    if (wanted.select == FeatureSelect::supported_capabilities) {
        completion.cdw0 = (is_changeable(wanted.id) ? nvme::feature_capability::changeable : 0) |
                          (is_of_namespace(wanted.id) ? nvme::feature_capability::namespace_specific : 0);
        return status::success;
    }
    if (wanted.select > FeatureSelect::supported_capabilities) return status::invalid_field.with_dnr();
    // Nothing is saveable, so that saved values are the defaults.
    const bool is_current = wanted.select == FeatureSelect::current;
    if (is_of_namespace(wanted.id)) return get_reservation_feature(request, wanted.id, is_current);
    switch (wanted.id) {
        case FeatureId::timestamp: store(request.control_data(), is_current ? timestamp() : nvme::Timestamp{}); break;
        case FeatureId::volatile_write_cache: completion.cdw0 = 1; break;
        case FeatureId::number_of_queues: completion.cdw0 = granted_queues(options_); break;
        case FeatureId::interrupt_vector_configuration: {
            const uint32_t vector = request.command.cdw11 & 0xFFFF;
            completion.cdw0 = static_cast<uint32_t>(feature::coalescing_disabled.set(vector, 1));
            break;
        }
        case FeatureId::async_event_configuration: completion.cdw0 = is_current ? async_event_configuration_ : 0; break;
        case FeatureId::keep_alive_timer: completion.cdw0 = is_current ? kato_ms_ : 0; break;
        case FeatureId::host_behavior_support:
            store(request.control_data(), is_current ? host_behavior_ : nvme::HostBehavior{});
            break;
        case FeatureId::host_identifier:
            std::ranges::copy(std::as_bytes(std::span(identity_.hostid.octets())), request.control_data().begin());
            break;
        default: {
            const auto found = features_.find(static_cast<uint8_t>(wanted.id));
            completion.cdw0 = is_current && found != features_.end() ? found->second : 0;
            break;
        }
    }
    return status::success;
}

// Runs on from what a host set, or from the last reset (NVMe Base 2.0, 5.27.1.11).
nvme::Timestamp Controller::timestamp() const {
    nvme::Timestamp now;
    now.set(timestamp_ms_ + (group_.thread().reactor().now() - timestamp_set_at_) / env::ns_per_ms);
    now.attributes = is_timestamp_hosts_ ? nvme::Timestamp::origin_host : 0;
    return now;
}

Status Controller::set_feature(Request& request) {
    const auto wanted = nvme::FeatureRequest::from(request.command);
    const uint32_t value = request.command.cdw11;
    if (!is_supported(*this, wanted.id)) return status::invalid_field.with_dnr();
    if (wanted.save) return status::feature_not_saveable.with_dnr();
    switch (wanted.id) {
        case FeatureId::number_of_queues:
            if (!queues_.empty()) return status::command_sequence_error.with_dnr();
            if (feature::submission_queues.of(value) == 0xFFFF || feature::completion_queues.of(value) == 0xFFFF) {
                return status::invalid_field.with_dnr();
            }
            request.completion.cdw0 = granted_queues(options_);
            return status::success;
        case FeatureId::async_event_configuration:
            async_event_configuration_ = value;
            deliver_events();
            return status::success;
        case FeatureId::keep_alive_timer: {
            const Status outcome = set_keep_alive(value);
            is_kato_ours_ = is_kato_ours_ && !outcome.is_success();
            return outcome;
        }
        case FeatureId::volatile_write_cache:
            // It is always on: turning it on changes nothing.
            return feature::write_cache.of(value) != 0 ? status::success : status::feature_not_changeable.with_dnr();
        case FeatureId::timestamp:
            timestamp_ms_ = load<nvme::Timestamp>(request.control_data()).value();
            timestamp_set_at_ = group_.thread().reactor().now();
            is_timestamp_hosts_ = true;
            return status::success;
        case FeatureId::host_behavior_support:
            host_behavior_ = load<nvme::HostBehavior>(request.control_data());
            return status::success;
        case FeatureId::host_identifier: return status::command_sequence_error.with_dnr();
        case FeatureId::reservation_notification_mask: return set_reservation_mask(request.command.nsid, value);
        case FeatureId::power_management:
            if (feature::power_state.of(value) != 0) return status::invalid_field.with_dnr();
            break;
        case FeatureId::error_recovery:
            if (feature::deallocated_block_error.of(value) != 0) return status::invalid_field.with_dnr();
            break;
        case FeatureId::temperature_threshold:
            if (const Status outcome = check_temperature(value); !outcome.is_success()) return outcome;
            break;
        default: break;
    }
    if (!is_changeable(wanted.id)) return status::feature_not_changeable.with_dnr();
    features_[static_cast<uint8_t>(wanted.id)] = value;
    return status::success;
}

}  // namespace weft::nvmf
