// Who has registered a key with a namespace and who holds its reservation: what NVMe Base 2.0, 8.19 says happens on
// each command, as a value. No I/O, no threads; the keeper (keeper.h) has the one that counts, poll groups have copies.
//
// Hosts are told apart by their 128-bit Host Identifiers: one host is one registrant, over however many controllers.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "base/uuid.h"
#include "nvme/command.h"
#include "nvme/log_page.h"
#include "nvme/reservation.h"
#include "nvme/status.h"

namespace weft::nvmf {

struct Registrant {
    Uuid host;
    uint64_t key = 0;
    friend bool operator==(const Registrant&, const Registrant&) = default;
};

// What survives a loss of power, when `is_persistent` says so.
struct ReservationRecord {
    nvme::ReservationType type = nvme::ReservationType::none;
    Uuid holder;  // nil without a reservation, and of the types that all registrants hold
    bool is_persistent = false;  // PTPLS
    std::vector<Registrant> registrants;  // by host, each once
    friend bool operator==(const ReservationRecord&, const ReservationRecord&) = default;

    // Why no target can have come to this; nullptr when all is well.
    [[nodiscard]] const char* find_fault() const;
};

// What a command does to the data of a namespace (NVMe Base 2.0, 8.19, the groups of its table of conflicts).
enum class DataAccess : uint8_t { none, read, write };
// Of an I/O command. What is not known counts as a write, so that a new command is held back until somebody has
// thought about it.
DataAccess data_access_of(nvme::IoOpcode opcode);

// A Reservation Register, Acquire or Release with its data.
struct ReservationCommand {
    nvme::IoOpcode opcode{};
    uint32_t cdw10 = 0;
    uint64_t current_key = 0;  // CRKEY
    uint64_t other_key = 0;  // NRKEY of Register, PRKEY of Acquire
};

class ReservationState {
public:
    // CVE-2025-57275: a peer had an array of registrants and no look at its end.
    static constexpr size_t registrants_max = 64;

    struct Notice {
        Uuid host;
        nvme::ReservationNotificationType type{};
        friend bool operator==(const Notice&, const Notice&) = default;
    };
    struct Outcome {
        nvme::Status status;
        std::vector<Notice> notices;  // to all controllers of these hosts
        std::vector<Uuid> preempted;  // hosts that were unregistered by somebody else's Acquire
        bool aborts = false;  // of these all commands on the namespace must end before the answer
    };

    ReservationState() = default;
    // As it was stored: without fault.
    explicit ReservationState(ReservationRecord record) : record_(std::move(record)) {}

    // `can_persist`: there is a place to store it (RESCAP bit 0). On any status but success nothing has changed.
    Outcome execute(const Uuid& host, const ReservationCommand& command, bool can_persist);
    // Feature 83h.
    void set_persistent(bool is_persistent) { record_.is_persistent = is_persistent; }

    [[nodiscard]] const ReservationRecord& record() const { return record_; }
    [[nodiscard]] uint32_t generation() const { return generation_; }
    [[nodiscard]] bool is_held() const { return record_.type != nvme::ReservationType::none; }
    [[nodiscard]] bool is_holder(const Uuid& host) const;
    [[nodiscard]] const Registrant* find(const Uuid& host) const;
    // Whether the reservation lets `host` do that.
    [[nodiscard]] bool permits(const Uuid& host, DataAccess access) const;

    // The data of Reservation Report in its extended form: as much of it as `out` takes.
    void report(MutableBytes out) const;

private:
    Outcome register_host(const Uuid& host, const ReservationCommand& command, bool can_persist);
    Outcome acquire(const Uuid& host, const ReservationCommand& command);
    Outcome preempt(const Uuid& host, nvme::ReservationType type, uint64_t preempted_key);
    Outcome release(const Uuid& host, const ReservationCommand& command);
    nvme::Status add(const Uuid& host, uint64_t key);
    void unregister(const Uuid& host, Outcome& outcome);
    [[nodiscard]] bool is_held_by_all() const;
    void hold(const Uuid& host, nvme::ReservationType type);
    void end_reservation();
    void tell_others(const Uuid& host, nvme::ReservationNotificationType type, Outcome& outcome) const;

    ReservationRecord record_;
    uint32_t generation_ = 0;
};

}  // namespace weft::nvmf
