#include "nvme/status.h"

#include <fmt/format.h>

#include <algorithm>
#include <span>

namespace weft::nvme {

namespace {

struct StatusName {
    Status status;
    std::string_view name;
};

// clang-format off
constexpr StatusName names[] = {
    {status::success,                             "SUCCESS"},
    {status::invalid_opcode,                      "INVALID OPCODE"},
    {status::invalid_field,                       "INVALID FIELD"},
    {status::cid_conflict,                        "COMMAND ID CONFLICT"},
    {status::data_transfer_error,                 "DATA TRANSFER ERROR"},
    {status::aborted_power_loss,                  "ABORTED - POWER LOSS"},
    {status::internal_error,                      "INTERNAL ERROR"},
    {status::aborted_by_request,                  "ABORTED - BY REQUEST"},
    {status::aborted_sq_deletion,                 "ABORTED - SQ DELETION"},
    {status::aborted_failed_fused,                "ABORTED - FAILED FUSED"},
    {status::aborted_missing_fused,               "ABORTED - MISSING FUSED"},
    {status::invalid_namespace_or_format,         "INVALID NAMESPACE OR FORMAT"},
    {status::command_sequence_error,              "COMMAND SEQUENCE ERROR"},
    {status::invalid_sgl_segment_descriptor,      "INVALID SGL SEGMENT DESCRIPTOR"},
    {status::invalid_sgl_descriptor_count,        "INVALID SGL DESCRIPTOR COUNT"},
    {status::data_sgl_length_invalid,             "DATA SGL LENGTH INVALID"},
    {status::metadata_sgl_length_invalid,         "METADATA SGL LENGTH INVALID"},
    {status::sgl_descriptor_type_invalid,         "SGL DESCRIPTOR TYPE INVALID"},
    {status::invalid_use_of_cmb,                  "INVALID USE OF CONTROLLER MEMORY BUFFER"},
    {status::prp_offset_invalid,                  "PRP OFFSET INVALID"},
    {status::atomic_write_unit_exceeded,          "ATOMIC WRITE UNIT EXCEEDED"},
    {status::operation_denied,                    "OPERATION DENIED"},
    {status::sgl_offset_invalid,                  "SGL OFFSET INVALID"},
    {status::host_id_inconsistent_format,         "HOST ID INCONSISTENT FORMAT"},
    {status::keep_alive_timer_expired,            "KEEP ALIVE TIMER EXPIRED"},
    {status::keep_alive_timeout_invalid,          "KEEP ALIVE TIMEOUT INVALID"},
    {status::aborted_preempt_and_abort,           "ABORTED - PREEMPT AND ABORT"},
    {status::sanitize_failed,                     "SANITIZE FAILED"},
    {status::sanitize_in_progress,                "SANITIZE IN PROGRESS"},
    {status::sgl_data_block_granularity_invalid,  "SGL DATA BLOCK GRANULARITY INVALID"},
    {status::command_not_supported_in_cmb,        "COMMAND NOT SUPPORTED IN CMB"},
    {status::namespace_write_protected,           "NAMESPACE WRITE PROTECTED"},
    {status::command_interrupted,                 "COMMAND INTERRUPTED"},
    {status::transient_transport_error,           "TRANSIENT TRANSPORT ERROR"},
    {status::prohibited_by_lockdown,              "PROHIBITED BY LOCKDOWN"},
    {status::admin_command_media_not_ready,       "ADMIN COMMAND MEDIA NOT READY"},
    {status::fdp_disabled,                        "FLEXIBLE DATA PLACEMENT DISABLED"},
    {status::invalid_placement_handle_list,       "INVALID PLACEMENT HANDLE LIST"},
    {status::lba_out_of_range,                    "LBA OUT OF RANGE"},
    {status::capacity_exceeded,                   "CAPACITY EXCEEDED"},
    {status::namespace_not_ready,                 "NAMESPACE NOT READY"},
    {status::reservation_conflict,                "RESERVATION CONFLICT"},
    {status::format_in_progress,                  "FORMAT IN PROGRESS"},
    {status::completion_queue_invalid,            "COMPLETION QUEUE INVALID"},
    {status::invalid_queue_identifier,            "INVALID QUEUE IDENTIFIER"},
    {status::invalid_queue_size,                  "INVALID QUEUE SIZE"},
    {status::abort_limit_exceeded,                "ABORT COMMAND LIMIT EXCEEDED"},
    {status::asynchronous_event_limit_exceeded,   "ASYNCHRONOUS EVENT REQUEST LIMIT EXCEEDED"},
    {status::invalid_firmware_slot,               "INVALID FIRMWARE SLOT"},
    {status::invalid_firmware_image,              "INVALID FIRMWARE IMAGE"},
    {status::invalid_interrupt_vector,            "INVALID INTERRUPT VECTOR"},
    {status::invalid_log_page,                    "INVALID LOG PAGE"},
    {status::invalid_format,                      "INVALID FORMAT"},
    {status::firmware_needs_conventional_reset,   "FIRMWARE NEEDS CONVENTIONAL RESET"},
    {status::invalid_queue_deletion,              "INVALID QUEUE DELETION"},
    {status::feature_not_saveable,                "FEATURE NOT SAVEABLE"},
    {status::feature_not_changeable,              "FEATURE NOT CHANGEABLE"},
    {status::feature_not_namespace_specific,      "FEATURE NOT NAMESPACE SPECIFIC"},
    {status::firmware_needs_subsystem_reset,      "FIRMWARE NEEDS SUBSYSTEM RESET"},
    {status::firmware_needs_controller_reset,     "FIRMWARE NEEDS CONTROLLER RESET"},
    {status::firmware_needs_max_time_violation,   "FIRMWARE NEEDS MAX TIME VIOLATION"},
    {status::firmware_activation_prohibited,      "FIRMWARE ACTIVATION PROHIBITED"},
    {status::overlapping_range,                   "OVERLAPPING RANGE"},
    {status::namespace_insufficient_capacity,     "NAMESPACE INSUFFICIENT CAPACITY"},
    {status::namespace_id_unavailable,            "NAMESPACE ID UNAVAILABLE"},
    {status::namespace_already_attached,          "NAMESPACE ALREADY ATTACHED"},
    {status::namespace_is_private,                "NAMESPACE IS PRIVATE"},
    {status::namespace_not_attached,              "NAMESPACE NOT ATTACHED"},
    {status::thin_provisioning_not_supported,     "THIN PROVISIONING NOT SUPPORTED"},
    {status::controller_list_invalid,             "CONTROLLER LIST INVALID"},
    {status::device_self_test_in_progress,        "DEVICE SELF TEST IN PROGRESS"},
    {status::boot_partition_write_prohibited,     "BOOT PARTITION WRITE PROHIBITED"},
    {status::invalid_controller_identifier,       "INVALID CONTROLLER IDENTIFIER"},
    {status::invalid_secondary_controller_state,  "INVALID SECONDARY CONTROLLER STATE"},
    {status::invalid_controller_resource_count,   "INVALID CONTROLLER RESOURCE COUNT"},
    {status::invalid_resource_identifier,         "INVALID RESOURCE IDENTIFIER"},
    {status::sanitize_prohibited_by_pmr,          "SANITIZE PROHIBITED BY PMR"},
    {status::ana_group_identifier_invalid,        "ANA GROUP IDENTIFIER INVALID"},
    {status::ana_attach_failed,                   "ANA ATTACH FAILED"},
    {status::insufficient_capacity,               "INSUFFICIENT CAPACITY"},
    {status::namespace_attachment_limit_exceeded, "NAMESPACE ATTACHMENT LIMIT EXCEEDED"},
    {status::command_prohibition_not_supported,   "COMMAND PROHIBITION NOT SUPPORTED"},
    {status::io_command_set_not_supported,        "IO COMMAND SET NOT SUPPORTED"},
    {status::io_command_set_not_enabled,          "IO COMMAND SET NOT ENABLED"},
    {status::io_command_set_combination_rejected, "IO COMMAND SET COMBINATION REJECTED"},
    {status::invalid_io_command_set,              "INVALID IO COMMAND SET"},
    {status::identifier_unavailable,              "IDENTIFIER UNAVAILABLE"},
    {status::conflicting_attributes,              "CONFLICTING ATTRIBUTES"},
    {status::invalid_protection_information,      "INVALID PROTECTION INFORMATION"},
    {status::write_to_read_only_range,            "WRITE TO READ ONLY RANGE"},
    {status::command_size_limit_exceeded,         "COMMAND SIZE LIMIT EXCEEDED"},
    {status::overlapping_io_range,                "OVERLAPPING I/O RANGE"},
    {status::zone_boundary_error,                 "ZONE BOUNDARY ERROR"},
    {status::zone_is_full,                        "ZONE IS FULL"},
    {status::zone_is_read_only,                   "ZONE IS READ ONLY"},
    {status::zone_is_offline,                     "ZONE IS OFFLINE"},
    {status::zone_invalid_write,                  "ZONE INVALID WRITE"},
    {status::too_many_active_zones,               "TOO MANY ACTIVE ZONES"},
    {status::too_many_open_zones,                 "TOO MANY OPEN ZONES"},
    {status::invalid_zone_state_transition,       "INVALID ZONE STATE TRANSITION"},
    {status::write_fault,                         "WRITE FAULT"},
    {status::unrecovered_read_error,              "UNRECOVERED READ ERROR"},
    {status::guard_check_error,                   "GUARD CHECK ERROR"},
    {status::application_tag_check_error,         "APPLICATION TAG CHECK ERROR"},
    {status::reference_tag_check_error,           "REFERENCE TAG CHECK ERROR"},
    {status::compare_failure,                     "COMPARE FAILURE"},
    {status::access_denied,                       "ACCESS DENIED"},
    {status::deallocated_or_unwritten_block,      "DEALLOCATED OR UNWRITTEN BLOCK"},
    {status::storage_tag_check_error,             "STORAGE TAG CHECK ERROR"},
    {status::internal_path_error,                 "INTERNAL PATH ERROR"},
    {status::ana_persistent_loss,                 "ASYMMETRIC ACCESS PERSISTENT LOSS"},
    {status::ana_inaccessible,                    "ASYMMETRIC ACCESS INACCESSIBLE"},
    {status::ana_transition,                      "ASYMMETRIC ACCESS TRANSITION"},
    {status::controller_path_error,               "CONTROLLER PATH ERROR"},
    {status::host_path_error,                     "HOST PATH ERROR"},
    {status::aborted_by_host,                     "ABORTED BY HOST"},
};

constexpr StatusName fabrics_names[] = {
    {status::connect_incompatible_format, "INCOMPATIBLE FORMAT"},
    {status::connect_controller_busy,     "CONTROLLER BUSY"},
    {status::connect_invalid_parameters,  "CONNECT INVALID PARAMETERS"},
    {status::connect_restart_discovery,   "CONNECT RESTART DISCOVERY"},
    {status::connect_invalid_host,        "CONNECT INVALID HOST"},
    {status::invalid_queue_type,          "INVALID QUEUE TYPE"},
    {status::discover_restart,            "DISCOVER RESTART"},
    {status::authentication_required,     "AUTHENTICATION REQUIRED"},
};
// clang-format on

constexpr bool is_before(const StatusName& left, const StatusName& right) {
    return left.status.type != right.status.type ? left.status.type < right.status.type
                                                 : left.status.code < right.status.code;
}
static_assert(std::ranges::is_sorted(names, is_before) && std::ranges::is_sorted(fabrics_names, is_before));

const StatusName* find_name(std::span<const StatusName> table, Status status) {
    const auto found = std::ranges::find_if(table, [status](const StatusName& each) { return each.status.is(status); });
    return found != table.end() ? &*found : nullptr;
}

}  // namespace

std::string_view name_of(Status status, bool fabrics) {
    if (fabrics) {
        if (const StatusName* found = find_name(fabrics_names, status)) return found->name;
    }
    if (const StatusName* found = find_name(names, status)) return found->name;
    // Nothing else is defined for these, so they are of a fabrics command without being told.
    if (const StatusName* found = find_name(fabrics_names, status)) return found->name;
    return status.type == status_type::vendor_specific ? "VENDOR SPECIFIC" : "RESERVED";
}

std::string code_text(Status status) { return fmt::format("({:02x}/{:02x})", status.type, status.code); }

std::string describe(Status status, bool fabrics) {
    return fmt::format("{} {}", name_of(status, fabrics), code_text(status));
}

}  // namespace weft::nvme
