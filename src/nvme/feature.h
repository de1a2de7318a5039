// Features: their identifiers, the fields of Get and Set Features, and of the values.
//
// NVMe Base 2.0, 5.15 "Get Features command", 5.27 "Set Features command"; NVM Command Set 1.0, 4.1.3.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

#include "nvme/bits.h"
#include "nvme/command.h"

namespace weft::nvme {

enum class FeatureId : uint8_t {
    arbitration = 0x01,
    power_management = 0x02,
    lba_range_type = 0x03,
    temperature_threshold = 0x04,
    error_recovery = 0x05,
    volatile_write_cache = 0x06,
    number_of_queues = 0x07,
    interrupt_coalescing = 0x08,
    interrupt_vector_configuration = 0x09,
    write_atomicity_normal = 0x0A,
    async_event_configuration = 0x0B,
    autonomous_power_state_transition = 0x0C,
    host_memory_buffer = 0x0D,
    timestamp = 0x0E,
    keep_alive_timer = 0x0F,
    host_controlled_thermal_management = 0x10,
    non_operational_power_state_configuration = 0x11,
    read_recovery_level = 0x12,
    predictable_latency_mode_configuration = 0x13,
    predictable_latency_mode_window = 0x14,
    lba_status_information = 0x15,
    host_behavior_support = 0x16,
    sanitize_configuration = 0x17,
    endurance_group_event_configuration = 0x18,
    io_command_set_profile = 0x19,
    spinup_control = 0x1A,
    flexible_data_placement = 0x1D,
    flexible_data_placement_events = 0x1E,
    enhanced_controller_metadata = 0x7D,
    controller_metadata = 0x7E,
    namespace_metadata = 0x7F,
    software_progress_marker = 0x80,
    host_identifier = 0x81,
    reservation_notification_mask = 0x82,
    reservation_persistence = 0x83,
    namespace_write_protection = 0x84,
};

// SEL of Get Features.
enum class FeatureSelect : uint8_t {
    current = 0,
    default_value = 1,
    saved = 2,
    supported_capabilities = 3,
};

// The fields of Get Features and Set Features.
struct FeatureRequest {
    FeatureId id{};
    FeatureSelect select = FeatureSelect::current;  // SEL, Get only
    bool save = false;                              // SV, Set only
    uint8_t uuid_index = 0;

    static constexpr FeatureRequest from(const Command& command) {
        return {.id = FeatureId(command.cdw10 & 0xFF),
                .select = FeatureSelect(command.cdw10 >> 8 & 0x7),
                .save = (command.cdw10 & 1u << 31) != 0,
                .uuid_index = static_cast<uint8_t>(command.cdw14 & 0x7F)};
    }
};

// CDW0 that answers SEL 3.
namespace feature_capability {
inline constexpr uint32_t saveable = 1u << 0;
inline constexpr uint32_t namespace_specific = 1u << 1;
inline constexpr uint32_t changeable = 1u << 2;
}  // namespace feature_capability

// CDW11 of Set Features, CDW0 of the answer to Get Features.
namespace feature {

// 01h
inline constexpr Bits arbitration_burst{0, 3};
inline constexpr Bits low_priority_weight{8, 8};
inline constexpr Bits medium_priority_weight{16, 8};
inline constexpr Bits high_priority_weight{24, 8};

// 02h
inline constexpr Bits power_state{0, 5};
inline constexpr Bits workload_hint{5, 3};

// 04h
inline constexpr Bits temperature_threshold{0, 16};
inline constexpr Bits threshold_temperature_select{16, 4};  // TMPSEL
inline constexpr Bits threshold_type_select{20, 2};         // THSEL

// 05h
inline constexpr Bits time_limited_error_recovery{0, 16};
inline constexpr Bits deallocated_block_error{16, 1};  // DULBE

// 06h
inline constexpr Bits write_cache{0, 1};

// 07h: 0's based, asked for in CDW11, granted in CDW0.
inline constexpr Bits submission_queues{0, 16};
inline constexpr Bits completion_queues{16, 16};

// 08h
inline constexpr Bits aggregation_threshold{0, 8};
inline constexpr Bits aggregation_time{8, 8};

// 09h
inline constexpr Bits interrupt_vector{0, 16};
inline constexpr Bits coalescing_disabled{16, 1};

// 0Ah
inline constexpr Bits disable_normal{0, 1};

// 0Bh: async_event_bits in async_event.h. 0Fh: the whole dword, in milliseconds.

// 81h
inline constexpr Bits extended_host_identifier{0, 1};  // EXHID

// 82h: notifications that are masked
inline constexpr Bits registration_preempted{1, 1};
inline constexpr Bits reservation_released{2, 1};
inline constexpr Bits reservation_preempted{3, 1};

// 83h
inline constexpr Bits persist_through_power_loss{0, 1};

}  // namespace feature

// Data of Timestamp, 0Eh.
struct Timestamp {
    std::array<uint8_t, 6> milliseconds{};  // lowest byte first
    uint8_t attributes = 0;
    uint8_t reserved7 = 0;

    static constexpr uint8_t origin_host = 1u << 1;  // Timestamp Origin, 3:1: set by Set Features; 0: by a reset

    [[nodiscard]] constexpr uint64_t value() const {
        uint64_t total = 0;
        for (size_t at = milliseconds.size(); at > 0; --at) total = total << 8 | milliseconds[at - 1];
        return total;
    }
    constexpr void set(uint64_t value) {
        for (uint8_t& byte : milliseconds) {
            byte = static_cast<uint8_t>(value);
            value >>= 8;
        }
    }
};
static_assert(sizeof(Timestamp) == 8);

// Data of Host Behavior Support, 16h.
struct HostBehavior {
    uint8_t acre = 0;    // the host heeds CRD
    uint8_t etdas = 0;   // extended telemetry data area 4
    uint8_t lbafee = 0;  // extended LBA formats
    std::array<uint8_t, 509> reserved3{};
};
static_assert(sizeof(HostBehavior) == 512 && offsetof(HostBehavior, lbafee) == 2);

}  // namespace weft::nvme
