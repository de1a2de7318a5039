// The life of a command on its way, as one table: what may happen while it is where, and what follows.
//
// What the controller may do wrong is a row like any other: nothing that arrives can meet a pair without one.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

namespace weft::nvme_host::tcp {

enum class SlotState : uint8_t {
    free,
    sending,       // the capsule is on its way to the kernel
    waiting,       // the controller has all we owed it: data, an R2T or the answer will come
    sending_data,  // an R2T is being answered with H2CData
    draining,      // answered while H2CData were still on their way: the buffer is not free before they have gone
};
inline constexpr size_t slot_state_count = 5;

enum class SlotEvent : uint8_t {
    submitted,  // by us
    sent,       // the capsule, or the last H2CData of an R2T, has gone
    lost,       // the connection ends
    r2t,        // from the controller, as are those that follow
    data,
    response,
};
inline constexpr size_t slot_event_count = 6;

enum class SlotAction : uint8_t {
    impossible,       // our own mistake: asserted
    none,
    send_data,        // check the R2T and answer it
    take_data,        // check the C2HData and take them
    complete,         // hand the answer to whoever asked
    keep_answer,      // hand it on later
    complete_kept,    // now
    fail,             // there will be no answer
    refuse_sequence,  // TermReq: PDU Sequence Error
    refuse_limit,     // TermReq: R2T Limit Exceeded
};

struct SlotTransition {
    SlotState state;
    SlotEvent event;
    SlotState next;
    SlotAction action;
};

// clang-format off
inline constexpr SlotTransition slot_transitions[] = {
    // while it is             on this               it becomes               and we
    {SlotState::free,         SlotEvent::submitted, SlotState::sending,      SlotAction::none},
    {SlotState::sending,      SlotEvent::sent,      SlotState::waiting,      SlotAction::none},
    {SlotState::sending,      SlotEvent::lost,      SlotState::free,         SlotAction::fail},
    {SlotState::sending,      SlotEvent::r2t,       SlotState::sending,      SlotAction::refuse_sequence},
    {SlotState::sending,      SlotEvent::data,      SlotState::sending,      SlotAction::refuse_sequence},
    {SlotState::sending,      SlotEvent::response,  SlotState::sending,      SlotAction::refuse_sequence},
    {SlotState::waiting,      SlotEvent::lost,      SlotState::free,         SlotAction::fail},
    {SlotState::waiting,      SlotEvent::r2t,       SlotState::sending_data, SlotAction::send_data},
    {SlotState::waiting,      SlotEvent::data,      SlotState::waiting,      SlotAction::take_data},
    {SlotState::waiting,      SlotEvent::response,  SlotState::free,         SlotAction::complete},
    {SlotState::sending_data, SlotEvent::sent,      SlotState::waiting,      SlotAction::none},
    {SlotState::sending_data, SlotEvent::lost,      SlotState::free,         SlotAction::fail},
    {SlotState::sending_data, SlotEvent::r2t,       SlotState::sending_data, SlotAction::refuse_limit},
    {SlotState::sending_data, SlotEvent::data,      SlotState::sending_data, SlotAction::refuse_sequence},
    {SlotState::sending_data, SlotEvent::response,  SlotState::draining,     SlotAction::keep_answer},
    {SlotState::draining,     SlotEvent::sent,      SlotState::free,         SlotAction::complete_kept},
    {SlotState::draining,     SlotEvent::lost,      SlotState::free,         SlotAction::complete_kept},
    {SlotState::draining,     SlotEvent::r2t,       SlotState::draining,     SlotAction::refuse_sequence},
    {SlotState::draining,     SlotEvent::data,      SlotState::draining,     SlotAction::refuse_sequence},
    {SlotState::draining,     SlotEvent::response,  SlotState::draining,     SlotAction::refuse_sequence},
};
// clang-format on

struct SlotStep {
    SlotState next = SlotState::free;
    SlotAction action = SlotAction::impossible;
};

namespace slot_detail {

using Table = std::array<std::array<SlotStep, slot_event_count>, slot_state_count>;

consteval Table make_table() {
    Table table{};
    for (const SlotTransition& row : slot_transitions) {
        SlotStep& step = table[static_cast<size_t>(row.state)][static_cast<size_t>(row.event)];
        if (step.action != SlotAction::impossible) throw "a pair is listed twice";
        step = {row.next, row.action};
    }
    return table;
}

inline constexpr Table table = make_table();

}  // namespace slot_detail

constexpr SlotStep slot_step(SlotState state, SlotEvent event) {
    return slot_detail::table[static_cast<size_t>(state)][static_cast<size_t>(event)];
}

}  // namespace weft::nvme_host::tcp
