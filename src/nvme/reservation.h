// Reservation commands' data.
//
// NVMe Base 2.0, 7.2 to 7.5 and 8.19 "Reservations".
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

#include "base/endian.h"
#include "nvme/bits.h"

namespace weft::nvme {

enum class ReservationType : uint8_t {
    none = 0,
    write_exclusive = 1,
    exclusive_access = 2,
    write_exclusive_registrants_only = 3,
    exclusive_access_registrants_only = 4,
    write_exclusive_all_registrants = 5,
    exclusive_access_all_registrants = 6,
};

// RREGA, RACQA and RRELA: CDW10 2:0 of Register, Acquire and Release.
enum class ReservationRegisterAction : uint8_t { register_key = 0, unregister_key = 1, replace_key = 2 };
enum class ReservationAcquireAction : uint8_t { acquire = 0, preempt = 1, preempt_and_abort = 2 };
enum class ReservationReleaseAction : uint8_t { release = 0, clear = 1 };

// CPTPL of Register.
enum class ReservationPersistence : uint8_t { unchanged = 0, reserved = 1, cleared = 2, persistent = 3 };

namespace reservation {
inline constexpr Bits action{0, 3};              // CDW10 of all three
inline constexpr Bits ignore_existing_key{3, 1}; // CDW10 IEKEY
inline constexpr Bits type{8, 8};                // CDW10 RTYPE of Acquire and Release
inline constexpr Bits persistence{30, 2};        // CDW10 CPTPL of Register
inline constexpr Bits extended_data{0, 1};       // CDW11 EDS of Report
}  // namespace reservation

struct ReservationRegisterData {
    le64 crkey;
    le64 nrkey;
};
static_assert(sizeof(ReservationRegisterData) == 16);

struct ReservationAcquireData {
    le64 crkey;
    le64 prkey;
};
static_assert(sizeof(ReservationAcquireData) == 16);

struct ReservationReleaseData {
    le64 crkey;
};
static_assert(sizeof(ReservationReleaseData) == 8);

// Reservation Report with EDS set: this, then a registrant each. Hosts with 128-bit identifiers use no other.
struct ReservationStatus {
    le32 gen;
    ReservationType rtype{};
    le16 regctl;  // registrants in all, also those for which the buffer has no room
    std::array<uint8_t, 2> reserved7{};
    uint8_t ptpls = 0;
    std::array<uint8_t, 14> reserved10{};
    std::array<uint8_t, 40> reserved24{};
};
static_assert(sizeof(ReservationStatus) == 64 && offsetof(ReservationStatus, regctl) == 5);
static_assert(offsetof(ReservationStatus, ptpls) == 9);

struct ReservationRegistrant {
    le16 cntlid;
    uint8_t rcsts = 0;  // bit 0: holds the reservation
    std::array<uint8_t, 5> reserved3{};
    le64 rkey;
    std::array<uint8_t, 16> hostid{};
    std::array<uint8_t, 32> reserved32{};
};
static_assert(sizeof(ReservationRegistrant) == 64 && offsetof(ReservationRegistrant, rkey) == 8);
static_assert(offsetof(ReservationRegistrant, hostid) == 16);

}  // namespace weft::nvme
