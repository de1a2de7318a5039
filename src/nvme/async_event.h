// Asynchronous events: why an Asynchronous Event Request completes.
//
// NVMe Base 2.0, 5.2 "Asynchronous Event Request command".
#pragma once

#include <cstdint>

#include "nvme/log_page.h"

namespace weft::nvme {

enum class AsyncEventType : uint8_t {
    error = 0,
    smart = 1,
    notice = 2,
    immediate = 3,
    one_shot = 4,
    io_command_set = 6,
    vendor_specific = 7,
};

// Asynchronous Event Information of each type.
namespace async_event_error {
inline constexpr uint8_t invalid_doorbell_register = 0x00;
inline constexpr uint8_t invalid_doorbell_value = 0x01;
inline constexpr uint8_t diagnostic_failure = 0x02;
inline constexpr uint8_t persistent_internal_error = 0x03;
inline constexpr uint8_t transient_internal_error = 0x04;
inline constexpr uint8_t firmware_load_error = 0x05;
}  // namespace async_event_error

namespace async_event_smart {
inline constexpr uint8_t reliability = 0x00;
inline constexpr uint8_t temperature = 0x01;
inline constexpr uint8_t spare_below_threshold = 0x02;
}  // namespace async_event_smart

namespace async_event_notice {
inline constexpr uint8_t namespace_attribute_changed = 0x00;
inline constexpr uint8_t firmware_activation_starting = 0x01;
inline constexpr uint8_t telemetry_log_changed = 0x02;
inline constexpr uint8_t ana_change = 0x03;
inline constexpr uint8_t predictable_latency_changed = 0x04;
inline constexpr uint8_t lba_status_alert = 0x05;
inline constexpr uint8_t endurance_group_changed = 0x06;
inline constexpr uint8_t discovery_log_changed = 0xF0;
}  // namespace async_event_notice

namespace async_event_io {
inline constexpr uint8_t reservation_log_available = 0x00;
inline constexpr uint8_t sanitize_completed = 0x01;
}  // namespace async_event_io

// An event, and CDW0 of the completion that reports it.
struct AsyncEvent {
    AsyncEventType type = AsyncEventType::notice;
    uint8_t information = 0;
    LogPage log_page = LogPage::supported_log_pages;  // which the host should read

    friend constexpr bool operator==(const AsyncEvent&, const AsyncEvent&) = default;

    [[nodiscard]] constexpr uint32_t to_cdw0() const {
        return static_cast<uint32_t>(type) | uint32_t{information} << 8 | static_cast<uint32_t>(log_page) << 16;
    }
    static constexpr AsyncEvent from_cdw0(uint32_t cdw0) {
        return {.type = AsyncEventType(cdw0 & 0x7),
                .information = static_cast<uint8_t>(cdw0 >> 8 & 0xFF),
                .log_page = LogPage(cdw0 >> 16 & 0xFF)};
    }
};

namespace async_event {
inline constexpr AsyncEvent namespace_attribute_changed{
    AsyncEventType::notice, async_event_notice::namespace_attribute_changed, LogPage::changed_namespace_list};
inline constexpr AsyncEvent ana_change{AsyncEventType::notice, async_event_notice::ana_change, LogPage::ana};
inline constexpr AsyncEvent discovery_log_changed{AsyncEventType::notice, async_event_notice::discovery_log_changed,
                                                  LogPage::discovery};
inline constexpr AsyncEvent reservation_log_available{
    AsyncEventType::io_command_set, async_event_io::reservation_log_available, LogPage::reservation_notification};
}  // namespace async_event

// Bits of the feature Asynchronous Event Configuration (0Bh); those from 8 on are also bits of OAES.
namespace async_event_bits {
inline constexpr uint32_t smart_critical_warnings = 0xFF;
inline constexpr uint32_t namespace_attribute = 1u << 8;
inline constexpr uint32_t firmware_activation = 1u << 9;
inline constexpr uint32_t telemetry_log = 1u << 10;  // not in OAES
inline constexpr uint32_t ana_change = 1u << 11;
inline constexpr uint32_t predictable_latency = 1u << 12;
inline constexpr uint32_t lba_status = 1u << 13;
inline constexpr uint32_t endurance_group = 1u << 14;
inline constexpr uint32_t normal_subsystem_shutdown = 1u << 15;
inline constexpr uint32_t zone_descriptor = 1u << 27;
inline constexpr uint32_t discovery_log = 1u << 31;
}  // namespace async_event_bits

}  // namespace weft::nvme
