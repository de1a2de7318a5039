// The state machine of reservations: each rule of NVMe Base 2.0, 8.19, and all commands in all states that three hosts
// can come to.
#include "nvmf/reservation/state.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <deque>
#include <set>

namespace weft::nvmf {
namespace {

using nvme::IoOpcode;
using nvme::ReservationType;
using NoticeType = nvme::ReservationNotificationType;
using enum nvme::ReservationType;
namespace status = nvme::status;

Uuid host(uint8_t number) {
    std::array<uint8_t, 16> octets{};
    octets[15] = number;
    return Uuid(octets);
}
const Uuid a = host(1);
const Uuid b = host(2);
const Uuid c = host(3);

constexpr ReservationType types[] = {write_exclusive,
                                     exclusive_access,
                                     write_exclusive_registrants_only,
                                     exclusive_access_registrants_only,
                                     write_exclusive_all_registrants,
                                     exclusive_access_all_registrants};

bool is_all(ReservationType type) {
    return type == write_exclusive_all_registrants || type == exclusive_access_all_registrants;
}

enum class Keys : uint8_t { checked, ignored };
ReservationCommand registers(uint32_t action, uint64_t current, uint64_t key, Keys keys = Keys::checked,
                             uint32_t persistence = 0) {
    return {.opcode = IoOpcode::reservation_register,
            .cdw10 = action | (keys == Keys::ignored ? 8U : 0U) | persistence << 30,
            .current_key = current,
            .other_key = key};
}
ReservationCommand acquires(ReservationType type, uint64_t key) {
    return {.opcode = IoOpcode::reservation_acquire, .cdw10 = static_cast<uint32_t>(type) << 8, .current_key = key};
}
ReservationCommand preempts(ReservationType type, uint64_t key, uint64_t other, bool aborts = false) {
    return {.opcode = IoOpcode::reservation_acquire,
            .cdw10 = static_cast<uint32_t>(type) << 8 | (aborts ? 2U : 1U),
            .current_key = key,
            .other_key = other};
}
ReservationCommand releases(ReservationType type, uint64_t key) {
    return {.opcode = IoOpcode::reservation_release, .cdw10 = static_cast<uint32_t>(type) << 8, .current_key = key};
}
ReservationCommand clears(uint64_t key) {
    return {.opcode = IoOpcode::reservation_release, .cdw10 = 1, .current_key = key};
}

using Notices = std::vector<ReservationState::Notice>;

// Expects success; what came of it.
ReservationState::Outcome done(ReservationState& state, const Uuid& by, const ReservationCommand& command) {
    auto outcome = state.execute(by, command, true);
    EXPECT_TRUE(outcome.status.is_success());
    EXPECT_EQ(state.record().find_fault(), nullptr) << state.record().find_fault();
    return outcome;
}
// Expects `why`, and that nothing has changed.
void refused(ReservationState& state, const Uuid& by, const ReservationCommand& command, nvme::Status why,
             bool can_persist = true) {
    const ReservationState before = state;
    const auto outcome = state.execute(by, command, can_persist);
    EXPECT_TRUE(outcome.status.is(why)) << static_cast<int>(outcome.status.code);
    EXPECT_EQ(state.record(), before.record());
    EXPECT_EQ(state.generation(), before.generation());
    EXPECT_TRUE(outcome.notices.empty());
}

// `a` with key 1, `b` with key 2, `c` with key 3; `a` holds.
ReservationState held(ReservationType type) {
    ReservationState state;
    done(state, a, registers(0, 0, 1));
    done(state, b, registers(0, 0, 2));
    done(state, c, registers(0, 0, 3));
    done(state, a, acquires(type, 1));
    return state;
}

TEST(ReservationState, AKeyIsRegisteredReplacedAndUnregistered) {
    ReservationState state;
    done(state, a, registers(0, 0, 7));
    EXPECT_EQ(state.find(a)->key, 7U);
    done(state, a, registers(0, 99, 7));  // the same once more, whatever the current key says
    refused(state, a, registers(0, 7, 8), status::reservation_conflict);
    refused(state, a, registers(2, 9, 8), status::reservation_conflict);
    done(state, a, registers(2, 7, 8));
    EXPECT_EQ(state.find(a)->key, 8U);
    done(state, a, registers(2, 0, 9, Keys::ignored));
    EXPECT_EQ(state.find(a)->key, 9U);
    refused(state, a, registers(1, 8, 0), status::reservation_conflict);
    refused(state, b, registers(1, 9, 0), status::reservation_conflict);
    refused(state, b, registers(1, 0, 0, Keys::ignored), status::reservation_conflict);
    refused(state, b, registers(2, 0, 5), status::reservation_conflict);
    done(state, b, registers(2, 0, 5, Keys::ignored));  // "without regard to its registration status"
    EXPECT_EQ(state.find(b)->key, 5U);
    done(state, a, registers(1, 9, 0));
    done(state, b, registers(1, 0, 0, Keys::ignored));
    EXPECT_TRUE(state.record().registrants.empty());
    EXPECT_EQ(state.generation(), 7U);
}

TEST(ReservationState, WhatCannotBeIsRefused) {
    ReservationState state;
    refused(state, a, registers(0, 0, 0), status::invalid_field);
    refused(state, a, registers(2, 0, 0, Keys::ignored), status::invalid_field);
    for (uint32_t action = 3; action < 8; ++action) refused(state, a, registers(action, 0, 1), status::invalid_field);
    refused(state, a, registers(0, 0, 1, Keys::checked, 1), status::invalid_field);
    refused(state, a, registers(0, 0, 1, Keys::checked, 3), status::invalid_field, false);
    refused(state, Uuid{}, registers(0, 0, 1), status::host_id_inconsistent_format);
    refused(state, a, {.opcode = IoOpcode::read}, status::invalid_opcode);
    state = held(write_exclusive);
    refused(state, b, acquires(none, 2), status::invalid_field);
    refused(state, b, acquires(ReservationType(7), 2), status::invalid_field);
    auto command = acquires(write_exclusive, 2);
    command.cdw10 |= 8;  // IEKEY
    refused(state, b, command, status::invalid_field);
    command = releases(write_exclusive, 1);
    command.cdw10 |= 8;
    refused(state, a, command, status::invalid_field);
    for (uint32_t action = 3; action < 8; ++action) {
        command = acquires(write_exclusive, 1);
        command.cdw10 |= action;
        refused(state, a, command, status::invalid_field);
    }
    for (uint32_t action = 2; action < 8; ++action) {
        command = releases(write_exclusive, 1);
        command.cdw10 |= action;
        refused(state, a, command, status::invalid_field);
    }
}

TEST(ReservationState, ThereIsRoomForSixtyFour) {
    ReservationState state;
    for (uint8_t number = 1; number <= 64; ++number) {
        done(state, host(static_cast<uint8_t>(200 - number)), registers(0, 0, number));
        EXPECT_EQ(state.record().registrants.size(), number);
    }
    refused(state, host(201), registers(0, 0, 65), status::internal_error);
    refused(state, host(201), registers(2, 0, 65, Keys::ignored), status::internal_error);
    done(state, host(199), registers(1, 1, 0));
    done(state, host(201), registers(0, 0, 65));
    for (uint8_t number = 2; number <= 64; ++number) {
        EXPECT_EQ(state.find(host(static_cast<uint8_t>(200 - number)))->key, number);
    }
}

TEST(ReservationState, OnlyARegistrantAcquires) {
    for (const ReservationType type : types) {
        ReservationState state;
        refused(state, a, acquires(type, 0), status::reservation_conflict);
        done(state, a, registers(0, 0, 1));
        refused(state, a, acquires(type, 2), status::reservation_conflict);
        done(state, a, acquires(type, 1));
        EXPECT_TRUE(state.is_holder(a));
        const uint32_t generation = state.generation();
        done(state, a, acquires(type, 1));  // once more
        EXPECT_EQ(state.generation(), generation);
        done(state, b, registers(0, 0, 2));
        EXPECT_EQ(state.is_holder(b), is_all(type));
        for (const ReservationType other : types) {
            const bool is_held_already = is_all(type) && other == type;
            if (is_held_already) {
                done(state, b, acquires(other, 2));
            } else {
                refused(state, b, acquires(other, 2), status::reservation_conflict);
            }
            if (other != type) refused(state, a, acquires(other, 1), status::reservation_conflict);
        }
    }
}

TEST(ReservationState, WhoMayDoWhat) {
    for (const ReservationType type : types) {
        ReservationState state = held(type);
        done(state, c, registers(1, 3, 0));
        const bool is_exclusive_access = type == exclusive_access || type == exclusive_access_registrants_only ||
                                         type == exclusive_access_all_registrants;
        const bool is_for_one = type == write_exclusive || type == exclusive_access;
        for (const DataAccess access : {DataAccess::none, DataAccess::read, DataAccess::write}) {
            const bool free = access == DataAccess::none || (access == DataAccess::read && !is_exclusive_access);
            EXPECT_TRUE(state.permits(a, access));
            EXPECT_EQ(state.permits(b, access), free || !is_for_one);
            EXPECT_EQ(state.permits(c, access), free);
        }
    }
    EXPECT_TRUE(ReservationState().permits(a, DataAccess::write));
}

TEST(ReservationState, EveryOpcodeThatTouchesDataIsHeldBack) {
    using enum IoOpcode;
    for (const IoOpcode opcode : {write, write_zeroes, write_uncorrectable, dataset_management, copy, flush,
                                  zone_append, zone_management_send, io_management_send}) {
        EXPECT_EQ(data_access_of(opcode), DataAccess::write) << static_cast<int>(opcode);
    }
    for (const IoOpcode opcode : {read, compare, verify, zone_management_receive, io_management_receive}) {
        EXPECT_EQ(data_access_of(opcode), DataAccess::read) << static_cast<int>(opcode);
    }
    int free = 0;
    for (unsigned opcode = 0; opcode < 256; ++opcode) free += data_access_of(IoOpcode(opcode)) == DataAccess::none;
    EXPECT_EQ(free, 5);  // four reservation commands, and fabrics commands
}

TEST(ReservationState, AReleaseTellsWhoWasRestricted) {
    for (const ReservationType type : types) {
        ReservationState state = held(type);
        refused(state, a, releases(type, 2), status::reservation_conflict);
        refused(state, host(9), releases(type, 2), status::reservation_conflict);
        for (const ReservationType other : types) {
            if (other != type) refused(state, a, releases(other, 1), status::invalid_field);
        }
        if (!is_all(type)) {
            done(state, b, releases(type, 2));  // not the holder: no error, no effect
            EXPECT_TRUE(state.is_holder(a));
        }
        const auto outcome = done(state, a, releases(type, 1));
        EXPECT_FALSE(state.is_held());
        EXPECT_EQ(state.record().registrants.size(), 3U);
        const bool tells = type != write_exclusive && type != exclusive_access;
        EXPECT_EQ(outcome.notices,
                  tells ? (Notices{{b, NoticeType::reservation_released}, {c, NoticeType::reservation_released}})
                        : Notices{});
        EXPECT_TRUE(done(state, a, releases(type, 1)).notices.empty());  // there is none: no error
    }
}

TEST(ReservationState, AClearTakesAllAway) {
    for (const ReservationType type : types) {
        ReservationState state = held(type);
        const auto outcome = done(state, b, clears(2));
        EXPECT_FALSE(state.is_held());
        EXPECT_TRUE(state.record().registrants.empty());
        EXPECT_EQ(outcome.notices,
                  (Notices{{a, NoticeType::reservation_preempted}, {c, NoticeType::reservation_preempted}}));
        EXPECT_EQ(state.generation(), 4U);
    }
}

TEST(ReservationState, WithItsHolderGoesTheReservation) {
    for (const ReservationType type : types) {
        ReservationState state = held(type);
        const auto outcome = done(state, a, registers(1, 1, 0));
        EXPECT_EQ(state.is_held(), is_all(type));
        const bool tells = type == write_exclusive_registrants_only || type == exclusive_access_registrants_only;
        EXPECT_EQ(outcome.notices.size(), tells ? 2U : 0U);
        done(state, b, registers(1, 2, 0));
        EXPECT_EQ(state.is_held(), is_all(type));
        done(state, c, registers(1, 3, 0));
        EXPECT_FALSE(state.is_held());
    }
}

TEST(ReservationState, AReplacedKeyIsTheHoldersToo) {
    ReservationState state = held(write_exclusive);
    done(state, a, registers(2, 1, 11));
    EXPECT_TRUE(state.is_holder(a));
    refused(state, b, preempts(write_exclusive, 2, 1), status::reservation_conflict);
    done(state, b, preempts(write_exclusive, 2, 11));
    EXPECT_TRUE(state.is_holder(b));
}

TEST(ReservationState, APreemptByTheHoldersKeyTakesItOver) {
    for (const ReservationType type : types) {
        if (is_all(type)) continue;
        for (const ReservationType wanted : types) {
            for (const bool aborts : {false, true}) {
                ReservationState state = held(type);
                const auto outcome = done(state, b, preempts(wanted, 2, 1, aborts));
                EXPECT_EQ(state.record().type, wanted);
                EXPECT_TRUE(state.is_holder(b));
                EXPECT_EQ(state.find(a), nullptr);
                EXPECT_NE(state.find(c), nullptr);
                EXPECT_EQ(outcome.preempted, std::vector<Uuid>{a});
                EXPECT_EQ(outcome.aborts, aborts);
                Notices told{{a, NoticeType::registration_preempted}};
                if (type != wanted) told.push_back({c, NoticeType::reservation_released});
                EXPECT_EQ(outcome.notices, told);
                EXPECT_EQ(state.generation(), 4U);
            }
        }
    }
}

TEST(ReservationState, APreemptByAnotherKeyUnregistersOnly) {
    for (const ReservationType type : types) {
        ReservationState state = held(type);
        const auto outcome = done(state, b, preempts(exclusive_access, 2, 3));
        EXPECT_EQ(state.record().type, type);
        EXPECT_TRUE(state.is_holder(a));
        EXPECT_EQ(state.find(c), nullptr);
        EXPECT_EQ(outcome.notices, (Notices{{c, NoticeType::registration_preempted}}));
        refused(state, b, preempts(exclusive_access, 2, 3), status::reservation_conflict);
        refused(state, c, preempts(exclusive_access, 3, 1), status::reservation_conflict);
        if (!is_all(type)) refused(state, b, preempts(exclusive_access, 2, 0), status::invalid_field);
    }
    ReservationState state;
    done(state, a, registers(0, 0, 1));
    done(state, b, registers(0, 0, 2));
    refused(state, a, preempts(write_exclusive, 1, 0), status::invalid_field);
    done(state, a, preempts(write_exclusive, 1, 2));
    EXPECT_FALSE(state.is_held());
    EXPECT_EQ(state.find(b), nullptr);
}

TEST(ReservationState, ZeroPreemptsAllOthersWhereAllHold) {
    for (const ReservationType type : {write_exclusive_all_registrants, exclusive_access_all_registrants}) {
        ReservationState state = held(type);
        const auto outcome = done(state, b, preempts(write_exclusive, 2, 0));
        EXPECT_EQ(state.record().type, write_exclusive);
        EXPECT_EQ(state.record().holder, b);
        EXPECT_EQ(outcome.preempted, (std::vector<Uuid>{a, c}));
        EXPECT_EQ(state.record().registrants.size(), 1U);
    }
}

TEST(ReservationState, AHolderPreemptsItselfToChangeTheType) {
    ReservationState state = held(write_exclusive);
    const auto outcome = done(state, a, preempts(exclusive_access, 1, 1));
    EXPECT_EQ(state.record().type, exclusive_access);
    EXPECT_TRUE(state.is_holder(a));
    EXPECT_TRUE(outcome.preempted.empty());
    EXPECT_EQ(outcome.notices.size(), 2U);
}

TEST(ReservationState, PersistenceIsSetByRegisterAndByTheFeature) {
    ReservationState state;
    done(state, a, registers(0, 0, 1, Keys::checked, 3));
    EXPECT_TRUE(state.record().is_persistent);
    done(state, b, registers(0, 0, 2));
    EXPECT_TRUE(state.record().is_persistent);
    done(state, a, registers(0, 0, 1, Keys::checked, 2));
    EXPECT_FALSE(state.record().is_persistent);
    state.set_persistent(true);
    EXPECT_TRUE(state.record().is_persistent);
}

TEST(ReservationState, AReportIsCutWhereTheBufferEnds) {
    const ReservationState state = held(write_exclusive_all_registrants);
    std::vector<std::byte> whole(64 + 3 * 64 + 8);
    state.report(whole);
    const auto head = load<nvme::ReservationStatus>(whole);
    EXPECT_EQ(head.regctl, 3U);
    EXPECT_EQ(head.gen, 3U);
    EXPECT_EQ(head.rtype, write_exclusive_all_registrants);
    for (size_t at = 0; at < 3; ++at) {
        const auto entry = load<nvme::ReservationRegistrant>(Bytes(whole).subspan(64 + at * 64));
        EXPECT_EQ(entry.rkey, at + 1);
        EXPECT_EQ(entry.rcsts, 1);
        EXPECT_EQ(entry.cntlid, 0xFFFFU);
        EXPECT_EQ(entry.hostid, host(static_cast<uint8_t>(at + 1)).octets());
    }
    for (size_t size = 0; size < whole.size(); size += 4) {
        std::vector<std::byte> part(size);
        state.report(part);
        EXPECT_TRUE(std::equal(part.begin(), part.end(), whole.begin()));
    }
}

// Every state that three hosts with two keys can come to, and every command in each of them.
TEST(ReservationState, NoCommandLeadsToWhatCannotBe) {
    std::vector<ReservationCommand> commands;
    for (const uint64_t current : {uint64_t{0}, uint64_t{1}, uint64_t{2}}) {
        for (const uint64_t other : {uint64_t{0}, uint64_t{1}, uint64_t{2}}) {
            for (uint32_t action = 0; action < 3; ++action) {
                commands.push_back(registers(action, current, other));
                commands.push_back(registers(action, current, other, Keys::ignored));
            }
            for (const ReservationType type : types) {
                commands.push_back(preempts(type, current, other));
                commands.push_back(preempts(type, current, other, true));
            }
        }
        for (const ReservationType type : types) {
            commands.push_back(acquires(type, current));
            commands.push_back(releases(type, current));
        }
        commands.push_back(clears(current));
    }
    const auto name_of = [](const ReservationRecord& record) {
        std::string name(1, static_cast<char>(record.type));
        name += record.holder.to_string();
        for (const Registrant& one : record.registrants) name += one.host.to_string() + static_cast<char>(one.key);
        return name;
    };
    std::set<std::string> seen{name_of({})};
    std::deque<ReservationRecord> open{{}};
    while (!open.empty()) {
        const ReservationRecord from = open.front();
        open.pop_front();
        for (const Uuid& by : {a, b, c}) {
            for (const ReservationCommand& command : commands) {
                ReservationState state(from);
                const bool was_registered = state.find(by) != nullptr;
                const auto outcome = state.execute(by, command, false);
                const ReservationRecord& to = state.record();
                ASSERT_EQ(to.find_fault(), nullptr) << to.find_fault();
                if (!outcome.status.is_success()) ASSERT_EQ(to, from);
                // Only who is registered changes anything, but for registering.
                if (!was_registered && command.opcode != IoOpcode::reservation_register) ASSERT_EQ(to, from);
                for (const auto& notice : outcome.notices) ASSERT_NE(notice.host, by);
                for (const Uuid& gone : outcome.preempted) {
                    ASSERT_NE(gone, by);
                    ASSERT_EQ(state.find(gone), nullptr);
                }
                // Nobody loses a registration without being told.
                for (const Registrant& one : from.registrants) {
                    if (one.host == by || state.find(one.host) != nullptr) continue;
                    ASSERT_TRUE(
                        std::ranges::any_of(outcome.notices, [&](const auto& n) { return n.host == one.host; }));
                }
                if (seen.insert(name_of(to)).second) open.push_back(to);
            }
        }
    }
    EXPECT_GT(seen.size(), 150U);
}

}  // namespace
}  // namespace weft::nvmf
