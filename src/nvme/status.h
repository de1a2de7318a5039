// Status of a completed command: what the status field of a completion says.
//
// NVMe Base 2.0, 3.3.3.2.1 "Status Field Definition"; NVM Command Set 1.0, 3.1; NVMe-oF: 6.3 (Connect).
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace weft::nvme {

// A value of the protocol, never an Error. Compare with is(): == compares the flags as well.
struct Status {
    uint8_t type = 0;  // SCT: see status_type
    uint8_t code = 0;  // SC
    bool do_not_retry = false;   // DNR
    bool more = false;           // M: the error information log page has more
    uint8_t retry_delay = 0;     // CRD: 0 at once, 1 to 3 after CRDT1 to CRDT3 (if the host set ACRE)

    friend constexpr bool operator==(const Status&, const Status&) = default;

    [[nodiscard]] constexpr bool is_success() const { return type == 0 && code == 0; }
    // Same type and code, whatever the flags.
    [[nodiscard]] constexpr bool is(const Status& other) const { return type == other.type && code == other.code; }
    // The same with DNR set: a retry of the same command would fail again.
    [[nodiscard]] constexpr Status with_dnr() const {
        Status status = *this;
        status.do_not_retry = true;
        return status;
    }

    // The 16 bits at bytes 15:14 of a completion, of which the lowest is the phase tag: 0 on fabrics.
    [[nodiscard]] constexpr uint16_t to_wire(bool phase = false) const {
        return static_cast<uint16_t>((phase ? 1u : 0u) | unsigned{code} << 1 | (type & 0x7u) << 9 |
                                     (retry_delay & 0x3u) << 12 | (more ? 1u << 14 : 0u) |
                                     (do_not_retry ? 1u << 15 : 0u));
    }
    static constexpr Status from_wire(uint16_t wire) {
        return {.type = static_cast<uint8_t>(wire >> 9 & 0x7u),
                .code = static_cast<uint8_t>(wire >> 1 & 0xFFu),
                .do_not_retry = (wire & 1u << 15) != 0,
                .more = (wire & 1u << 14) != 0,
                .retry_delay = static_cast<uint8_t>(wire >> 12 & 0x3u)};
    }
};

namespace status_type {
inline constexpr uint8_t generic = 0;
inline constexpr uint8_t command_specific = 1;
inline constexpr uint8_t media = 2;  // media and data integrity errors
inline constexpr uint8_t path = 3;
inline constexpr uint8_t vendor_specific = 7;
}  // namespace status_type

namespace status {

// Generic command status, SCT 0.
inline constexpr Status success{0, 0x00};
inline constexpr Status invalid_opcode{0, 0x01};
inline constexpr Status invalid_field{0, 0x02};
inline constexpr Status cid_conflict{0, 0x03};
inline constexpr Status data_transfer_error{0, 0x04};
inline constexpr Status aborted_power_loss{0, 0x05};
inline constexpr Status internal_error{0, 0x06};
inline constexpr Status aborted_by_request{0, 0x07};
inline constexpr Status aborted_sq_deletion{0, 0x08};
inline constexpr Status aborted_failed_fused{0, 0x09};
inline constexpr Status aborted_missing_fused{0, 0x0A};
inline constexpr Status invalid_namespace_or_format{0, 0x0B};
inline constexpr Status command_sequence_error{0, 0x0C};
inline constexpr Status invalid_sgl_segment_descriptor{0, 0x0D};
inline constexpr Status invalid_sgl_descriptor_count{0, 0x0E};
inline constexpr Status data_sgl_length_invalid{0, 0x0F};
inline constexpr Status metadata_sgl_length_invalid{0, 0x10};
inline constexpr Status sgl_descriptor_type_invalid{0, 0x11};
inline constexpr Status invalid_use_of_cmb{0, 0x12};
inline constexpr Status prp_offset_invalid{0, 0x13};
inline constexpr Status atomic_write_unit_exceeded{0, 0x14};
inline constexpr Status operation_denied{0, 0x15};
inline constexpr Status sgl_offset_invalid{0, 0x16};
inline constexpr Status host_id_inconsistent_format{0, 0x18};
inline constexpr Status keep_alive_timer_expired{0, 0x19};
inline constexpr Status keep_alive_timeout_invalid{0, 0x1A};
inline constexpr Status aborted_preempt_and_abort{0, 0x1B};
inline constexpr Status sanitize_failed{0, 0x1C};
inline constexpr Status sanitize_in_progress{0, 0x1D};
inline constexpr Status sgl_data_block_granularity_invalid{0, 0x1E};
inline constexpr Status command_not_supported_in_cmb{0, 0x1F};
inline constexpr Status namespace_write_protected{0, 0x20};
inline constexpr Status command_interrupted{0, 0x21};
inline constexpr Status transient_transport_error{0, 0x22};
inline constexpr Status prohibited_by_lockdown{0, 0x23};
inline constexpr Status admin_command_media_not_ready{0, 0x24};
inline constexpr Status fdp_disabled{0, 0x29};
inline constexpr Status invalid_placement_handle_list{0, 0x2A};
inline constexpr Status lba_out_of_range{0, 0x80};
inline constexpr Status capacity_exceeded{0, 0x81};
inline constexpr Status namespace_not_ready{0, 0x82};
inline constexpr Status reservation_conflict{0, 0x83};
inline constexpr Status format_in_progress{0, 0x84};

// Command specific status, SCT 1.
inline constexpr Status completion_queue_invalid{1, 0x00};
inline constexpr Status invalid_queue_identifier{1, 0x01};
inline constexpr Status invalid_queue_size{1, 0x02};
inline constexpr Status abort_limit_exceeded{1, 0x03};
inline constexpr Status asynchronous_event_limit_exceeded{1, 0x05};
inline constexpr Status invalid_firmware_slot{1, 0x06};
inline constexpr Status invalid_firmware_image{1, 0x07};
inline constexpr Status invalid_interrupt_vector{1, 0x08};
inline constexpr Status invalid_log_page{1, 0x09};
inline constexpr Status invalid_format{1, 0x0A};
inline constexpr Status firmware_needs_conventional_reset{1, 0x0B};
inline constexpr Status invalid_queue_deletion{1, 0x0C};
inline constexpr Status feature_not_saveable{1, 0x0D};
inline constexpr Status feature_not_changeable{1, 0x0E};
inline constexpr Status feature_not_namespace_specific{1, 0x0F};
inline constexpr Status firmware_needs_subsystem_reset{1, 0x10};
inline constexpr Status firmware_needs_controller_reset{1, 0x11};
inline constexpr Status firmware_needs_max_time_violation{1, 0x12};
inline constexpr Status firmware_activation_prohibited{1, 0x13};
inline constexpr Status overlapping_range{1, 0x14};
inline constexpr Status namespace_insufficient_capacity{1, 0x15};
inline constexpr Status namespace_id_unavailable{1, 0x16};
inline constexpr Status namespace_already_attached{1, 0x18};
inline constexpr Status namespace_is_private{1, 0x19};
inline constexpr Status namespace_not_attached{1, 0x1A};
inline constexpr Status thin_provisioning_not_supported{1, 0x1B};
inline constexpr Status controller_list_invalid{1, 0x1C};
inline constexpr Status device_self_test_in_progress{1, 0x1D};
inline constexpr Status boot_partition_write_prohibited{1, 0x1E};
inline constexpr Status invalid_controller_identifier{1, 0x1F};
inline constexpr Status invalid_secondary_controller_state{1, 0x20};
inline constexpr Status invalid_controller_resource_count{1, 0x21};
inline constexpr Status invalid_resource_identifier{1, 0x22};
inline constexpr Status sanitize_prohibited_by_pmr{1, 0x23};
inline constexpr Status ana_group_identifier_invalid{1, 0x24};
inline constexpr Status ana_attach_failed{1, 0x25};
inline constexpr Status insufficient_capacity{1, 0x26};
inline constexpr Status namespace_attachment_limit_exceeded{1, 0x27};
inline constexpr Status command_prohibition_not_supported{1, 0x28};
inline constexpr Status io_command_set_not_supported{1, 0x29};
inline constexpr Status io_command_set_not_enabled{1, 0x2A};
inline constexpr Status io_command_set_combination_rejected{1, 0x2B};
inline constexpr Status invalid_io_command_set{1, 0x2C};
inline constexpr Status identifier_unavailable{1, 0x2D};

// SCT 1 of the I/O command sets: 80h and up mean something else in fabrics commands, see below.
inline constexpr Status conflicting_attributes{1, 0x80};
inline constexpr Status invalid_protection_information{1, 0x81};
inline constexpr Status write_to_read_only_range{1, 0x82};
inline constexpr Status command_size_limit_exceeded{1, 0x83};
inline constexpr Status overlapping_io_range{1, 0x87};  // NVM Command Set 1.1
inline constexpr Status zone_boundary_error{1, 0xB8};
inline constexpr Status zone_is_full{1, 0xB9};
inline constexpr Status zone_is_read_only{1, 0xBA};
inline constexpr Status zone_is_offline{1, 0xBB};
inline constexpr Status zone_invalid_write{1, 0xBC};
inline constexpr Status too_many_active_zones{1, 0xBD};
inline constexpr Status too_many_open_zones{1, 0xBE};
inline constexpr Status invalid_zone_state_transition{1, 0xBF};

// SCT 1 of fabrics commands (NVMe Base 2.0, Figure 98 and 6.3).
inline constexpr Status connect_incompatible_format{1, 0x80};
inline constexpr Status connect_controller_busy{1, 0x81};
inline constexpr Status connect_invalid_parameters{1, 0x82};  // CDW0: see connect_invalid() in fabrics.h
inline constexpr Status connect_restart_discovery{1, 0x83};
inline constexpr Status connect_invalid_host{1, 0x84};
inline constexpr Status invalid_queue_type{1, 0x85};  // Disconnect of an admin queue
inline constexpr Status discover_restart{1, 0x90};
inline constexpr Status authentication_required{1, 0x91};

// Media and data integrity errors, SCT 2.
inline constexpr Status write_fault{2, 0x80};
inline constexpr Status unrecovered_read_error{2, 0x81};
inline constexpr Status guard_check_error{2, 0x82};
inline constexpr Status application_tag_check_error{2, 0x83};
inline constexpr Status reference_tag_check_error{2, 0x84};
inline constexpr Status compare_failure{2, 0x85};
inline constexpr Status access_denied{2, 0x86};
inline constexpr Status deallocated_or_unwritten_block{2, 0x87};
inline constexpr Status storage_tag_check_error{2, 0x88};

// Path related status, SCT 3.
inline constexpr Status internal_path_error{3, 0x00};
inline constexpr Status ana_persistent_loss{3, 0x01};
inline constexpr Status ana_inaccessible{3, 0x02};
inline constexpr Status ana_transition{3, 0x03};
inline constexpr Status controller_path_error{3, 0x60};
inline constexpr Status host_path_error{3, 0x70};
inline constexpr Status aborted_by_host{3, 0x71};

}  // namespace status

// "INVALID FIELD". Codes 1/80h to 1/91h mean one thing in fabrics commands and another in I/O commands;
// `fabrics` says which. What has no name is "RESERVED", "VENDOR SPECIFIC" for SCT 7.
std::string_view name_of(Status status, bool fabrics = false);

// "(00/02)": type and code in hexadecimal.
std::string code_text(Status status);

// "INVALID FIELD (00/02)".
std::string describe(Status status, bool fabrics = false);

}  // namespace weft::nvme
