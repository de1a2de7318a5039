// Log pages: their identifiers, the fields of Get Log Page, and what the pages look like.
//
// NVMe Base 2.0, 5.16 "Get Log Page command". The discovery log is in discovery.h.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

#include "base/endian.h"
#include "nvme/command.h"

namespace weft::nvme {

enum class LogPage : uint8_t {
    supported_log_pages = 0x00,
    error_information = 0x01,
    smart = 0x02,
    firmware_slot = 0x03,
    changed_namespace_list = 0x04,
    commands_supported_and_effects = 0x05,
    device_self_test = 0x06,
    telemetry_host = 0x07,
    telemetry_controller = 0x08,
    endurance_group = 0x09,
    predictable_latency_nvm_set = 0x0A,
    predictable_latency_event = 0x0B,
    ana = 0x0C,
    persistent_event = 0x0D,
    lba_status = 0x0E,
    endurance_group_event = 0x0F,
    media_unit_status = 0x10,
    capacity_configuration = 0x11,
    feature_identifiers_effects = 0x12,
    nvme_mi_commands_effects = 0x13,
    lockdown = 0x14,
    boot_partition = 0x15,
    rotational_media = 0x16,
    fdp_configurations = 0x20,
    reclaim_unit_handle_usage = 0x21,
    fdp_statistics = 0x22,
    fdp_events = 0x23,
    discovery = 0x70,
    reservation_notification = 0x80,
    sanitize_status = 0x81,
    changed_zone_list = 0xBF,
};

// The fields of Get Log Page.
struct LogPageRequest {
    LogPage id{};              // LID
    uint8_t lsp = 0;           // log specific parameter
    uint16_t lsi = 0;          // log specific identifier
    bool retain_event = false; // RAE
    bool is_index = false;     // OT: the offset counts entries, not bytes
    uint8_t csi = 0;
    uint8_t uuid_index = 0;
    uint64_t length_bytes = 0;  // (NUMD + 1) * 4, up to 16 GiB: check it against the SGL before use
    uint64_t offset = 0;        // LPO: bytes, a multiple of 4, unless OT

    static constexpr LogPageRequest from(const Command& command) {
        const uint64_t numd = uint64_t{command.cdw10 >> 16 & 0xFFFF} | uint64_t{command.cdw11 & 0xFFFF} << 16;
        return {.id = LogPage(command.cdw10 & 0xFF),
                .lsp = static_cast<uint8_t>(command.cdw10 >> 8 & 0x7F),
                .lsi = static_cast<uint16_t>(command.cdw11 >> 16 & 0xFFFF),
                .retain_event = (command.cdw10 & 1u << 15) != 0,
                .is_index = (command.cdw14 & 1u << 23) != 0,
                .csi = static_cast<uint8_t>(command.cdw14 >> 24 & 0xFF),
                .uuid_index = static_cast<uint8_t>(command.cdw14 & 0x7F),
                .length_bytes = (numd + 1) * 4,
                .offset = uint64_t{command.cdw13} << 32 | command.cdw12};
    }
    // For the initiator: `length_bytes` is a multiple of 4 and not 0.
    constexpr void put_into(Command& command) const {
        const auto numd = static_cast<uint32_t>(length_bytes / 4 - 1);
        command.opcode = static_cast<uint8_t>(AdminOpcode::get_log_page);
        command.cdw10 = static_cast<uint32_t>(id) | uint32_t{lsp} << 8 | (retain_event ? 1u << 15 : 0u) | numd << 16;
        command.cdw11 = numd >> 16 | uint32_t{lsi} << 16;
        command.cdw12 = static_cast<uint32_t>(offset);
        command.cdw13 = static_cast<uint32_t>(offset >> 32);
        command.cdw14 = uint32_t{uuid_index} | (is_index ? 1u << 23 : 0u) | uint32_t{csi} << 24;
    }
};

// A 16-byte counter.
struct le128 {
    le64 low;
    le64 high;
};

// LID 00h.
struct SupportedLogPages {
    std::array<le32, 256> lid{};

    static constexpr uint32_t supported = 1u << 0;       // LSUPP
    static constexpr uint32_t index_offset = 1u << 1;    // IOS
};
static_assert(sizeof(SupportedLogPages) == 1024);

// LID 01h, one entry; the newest comes first.
struct ErrorInformation {
    le64 error_count;  // of this error since the beginning; 0 is an unused entry
    le16 sqid;
    le16 cid;
    le16 status;  // as in a completion
    le16 parameter_error_location;  // byte in 7:0, bit in 10:8; FFFFh is none
    le64 lba;
    le32 nsid;
    uint8_t vendor_log_page = 0;
    uint8_t trtype = 0;
    uint8_t csi = 0;
    uint8_t opcode = 0;
    le64 command_specific;
    le16 trtype_specific;
    std::array<uint8_t, 21> reserved42{};
    uint8_t log_page_version = 0;
};
static_assert(sizeof(ErrorInformation) == 64 && offsetof(ErrorInformation, lba) == 16);
static_assert(offsetof(ErrorInformation, command_specific) == 32 && offsetof(ErrorInformation, log_page_version) == 63);

// LID 02h.
struct SmartInformation {
    uint8_t critical_warning = 0;
    le16 composite_temperature;  // kelvin
    uint8_t available_spare = 0;  // percent
    uint8_t available_spare_threshold = 0;
    uint8_t percentage_used = 0;
    uint8_t endurance_group_critical_warning = 0;
    std::array<uint8_t, 25> reserved7{};
    le128 data_units_read;  // thousands of 512 bytes, rounded up
    le128 data_units_written;
    le128 host_read_commands;
    le128 host_write_commands;
    le128 controller_busy_time;  // minutes
    le128 power_cycles;
    le128 power_on_hours;
    le128 unsafe_shutdowns;
    le128 media_errors;
    le128 error_log_entries;
    le32 warning_temperature_time;  // minutes
    le32 critical_temperature_time;
    std::array<le16, 8> temperature_sensor{};
    std::array<le32, 2> thermal_transition_count{};
    std::array<le32, 2> thermal_time{};
    std::array<uint8_t, 280> reserved232{};

    static constexpr uint8_t warning_spare = 1u << 0;
    static constexpr uint8_t warning_temperature = 1u << 1;
    static constexpr uint8_t warning_reliability = 1u << 2;
    static constexpr uint8_t warning_read_only = 1u << 3;
    static constexpr uint8_t warning_backup_failed = 1u << 4;
};
static_assert(sizeof(SmartInformation) == 512 && offsetof(SmartInformation, composite_temperature) == 1);
static_assert(offsetof(SmartInformation, data_units_read) == 32);
static_assert(offsetof(SmartInformation, host_write_commands) == 80);
static_assert(offsetof(SmartInformation, error_log_entries) == 176);
static_assert(offsetof(SmartInformation, temperature_sensor) == 200);
static_assert(offsetof(SmartInformation, reserved232) == 232);

// LID 03h.
struct FirmwareSlotInformation {
    uint8_t afi = 0;  // active slot in 2:0, after the next reset in 6:4
    std::array<uint8_t, 7> reserved1{};
    std::array<std::array<char, 8>, 7> frs{};  // ASCII, space padded; NULs where there is no slot
    std::array<uint8_t, 448> reserved64{};
};
static_assert(sizeof(FirmwareSlotInformation) == 512 && offsetof(FirmwareSlotInformation, frs) == 8);

// LID 04h: NSIDs in rising order, then zeros; more than 1024 is FFFFFFFFh alone.
struct ChangedNamespaceList {
    std::array<le32, 1024> nsid{};

    static constexpr uint32_t too_many = 0xFFFFFFFF;
};
static_assert(sizeof(ChangedNamespaceList) == 4096);

// LID 05h.
struct CommandsSupportedAndEffects {
    std::array<le32, 256> acs{};   // by opcode
    std::array<le32, 256> iocs{};
    std::array<uint8_t, 2048> reserved2048{};

    static constexpr uint32_t csupp = 1u << 0;  // supported
    static constexpr uint32_t lbcc = 1u << 1;   // may change logical blocks
    static constexpr uint32_t ncc = 1u << 2;    // may change the namespace's capabilities
    static constexpr uint32_t nic = 1u << 3;    // may change the number of namespaces
    static constexpr uint32_t ccc = 1u << 4;    // may change the controller's capabilities
    static constexpr uint32_t scope_namespace = 1u << 20;
    static constexpr uint32_t scope_controller = 1u << 21;
};
static_assert(sizeof(CommandsSupportedAndEffects) == 4096 && offsetof(CommandsSupportedAndEffects, iocs) == 1024);

// LID 12h.
struct FeatureIdentifiersEffects {
    std::array<le32, 256> fis{};  // by feature identifier

    static constexpr uint32_t fsupp = 1u << 0;
    static constexpr uint32_t udcc = 1u << 1;
    static constexpr uint32_t ncc = 1u << 2;
    static constexpr uint32_t nic = 1u << 3;
    static constexpr uint32_t ccc = 1u << 4;
    static constexpr uint32_t scope_namespace = 1u << 20;
    static constexpr uint32_t scope_controller = 1u << 21;
    static constexpr uint32_t scope_subsystem = 1u << 25;
};
static_assert(sizeof(FeatureIdentifiersEffects) == 1024);

// LID 13h is like 05h without I/O commands: a 4096-byte page of le32 by opcode.

// LID 0Ch: the header, then for each group a descriptor and its NSIDs. LSP bit 0 asks for no NSIDs.
enum class AnaState : uint8_t {
    optimized = 0x1,
    non_optimized = 0x2,
    inaccessible = 0x3,
    persistent_loss = 0x4,
    change = 0xF,
};

struct AnaHeader {
    le64 change_count;  // CHGC
    le16 group_count;   // NAGD
    std::array<uint8_t, 6> reserved10{};
};
static_assert(sizeof(AnaHeader) == 16);

struct AnaGroupDescriptor {
    le32 anagrpid;
    le32 nsid_count;  // NNV: le32 NSIDs in rising order follow
    le64 change_count;
    AnaState state{};
    std::array<uint8_t, 15> reserved17{};
};
static_assert(sizeof(AnaGroupDescriptor) == 32 && offsetof(AnaGroupDescriptor, state) == 16);
inline constexpr uint8_t ana_lsp_groups_only = 1u << 0;  // RGO

// LID 80h.
enum class ReservationNotificationType : uint8_t {
    empty = 0,
    registration_preempted = 1,
    reservation_released = 2,
    reservation_preempted = 3,
};

struct ReservationNotification {
    le64 log_page_count;
    ReservationNotificationType type{};
    uint8_t available_count = 0;  // further notifications, 255 at most
    std::array<uint8_t, 2> reserved10{};
    le32 nsid;
    std::array<uint8_t, 48> reserved16{};
};
static_assert(sizeof(ReservationNotification) == 64 && offsetof(ReservationNotification, nsid) == 12);

}  // namespace weft::nvme
