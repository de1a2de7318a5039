// The life of a request as one table: while it is X, on Y, it becomes Z. A pair that is not in the table is a
// broken invariant. The states are what the field's notes list for a TCP request, less those that only exist
// because another design needs them (docs/architecture.md has the correspondence).
#pragma once

#include <array>
#include <cstdint>
#include <string_view>

#include "base/assert.h"

namespace weft::nvmf {

enum class RequestState : uint8_t {
    free,                // in the slot pool
    waiting_for_buffer,  // in its poll group's buffer FIFO
    receiving,           // the host is sending its data
    held,                // its namespace, or the admin queue, is paused
    limited,             // its host has done as much as it may (nvmf/qos/)
    executing,           // the device, or a coroutine of the control path, has it
    retrying,            // the device was short of something; submitted again in a later turn
    sending,             // data and completion are on their way to the socket
    waiting_for_partner, // half of a fused operation whose other half, or its data, has not come
    draining,            // the connection is gone; whoever executes it has yet to let go
};
inline constexpr size_t request_state_count = 10;

enum class RequestEvent : uint8_t {
    need_buffer,
    receive,
    hold,
    limit,
    execute,
    retry,
    await_partner,
    complete,
    sent,
    withdraw,         // a read that was to be sent from device memory: its namespace is being paused
    connection_lost,
    drained,
};
inline constexpr size_t request_event_count = 12;

std::string_view name_of(RequestState state);
std::string_view name_of(RequestEvent event);

namespace request_table {

struct Transition {
    RequestState state;
    RequestEvent event;
    RequestState next;
};

using enum RequestState;
using Event = RequestEvent;

// clang-format off
inline constexpr Transition transitions[] = {
    // while it is           on this                  it becomes
    {free,                   Event::need_buffer,      waiting_for_buffer},
    {free,                   Event::receive,          receiving},
    {free,                   Event::execute,          executing},
    {free,                   Event::complete,         sending},             // refused before anything was done
    {waiting_for_buffer,     Event::receive,          receiving},
    {waiting_for_buffer,     Event::execute,          executing},
    {waiting_for_buffer,     Event::complete,         sending},             // aborted
    {waiting_for_buffer,     Event::connection_lost,  free},
    {receiving,              Event::execute,          executing},
    {receiving,              Event::complete,         sending},             // digest error, aborted
    {receiving,              Event::connection_lost,  free},
    {executing,              Event::need_buffer,      waiting_for_buffer},  // a read without device memory to lend
    {executing,              Event::hold,             held},
    {executing,              Event::limit,            limited},
    {executing,              Event::retry,            retrying},
    {executing,              Event::await_partner,    waiting_for_partner},
    {executing,              Event::complete,         sending},
    {executing,              Event::connection_lost,  draining},
    {held,                   Event::execute,          executing},
    {held,                   Event::complete,         sending},             // aborted, or its namespace is gone
    {held,                   Event::connection_lost,  free},
    {limited,                Event::execute,          executing},
    {limited,                Event::complete,         sending},             // aborted
    {limited,                Event::connection_lost,  free},
    {retrying,               Event::execute,          executing},
    {retrying,               Event::complete,         sending},
    {retrying,               Event::connection_lost,  free},
    {waiting_for_partner,    Event::execute,          executing},
    {waiting_for_partner,    Event::complete,         sending},             // the other half failed, or it was aborted
    {waiting_for_partner,    Event::connection_lost,  free},
    {sending,                Event::sent,             free},
    {sending,                Event::withdraw,         held},
    {sending,                Event::connection_lost,  free},
    {draining,               Event::drained,          free},
};
// clang-format on

inline constexpr uint8_t illegal = 0xFF;

// The dense form, made at compile time; a pair listed twice does not compile.
consteval auto make_table() {
    std::array<std::array<uint8_t, request_event_count>, request_state_count> table{};
    for (auto& row : table) row.fill(illegal);
    for (const Transition& transition : transitions) {
        uint8_t& entry = table[static_cast<size_t>(transition.state)][static_cast<size_t>(transition.event)];
        if (entry != illegal) throw "a transition is listed twice";
        entry = static_cast<uint8_t>(transition.next);
    }
    return table;
}
inline constexpr auto table = make_table();

}  // namespace request_table

constexpr bool is_legal(RequestState state, RequestEvent event) {
    return request_table::table[static_cast<size_t>(state)][static_cast<size_t>(event)] != request_table::illegal;
}

constexpr RequestState next_state(RequestState state, RequestEvent event) {
    const uint8_t next = request_table::table[static_cast<size_t>(state)][static_cast<size_t>(event)];
    WEFT_ASSERT(next != request_table::illegal);
    return static_cast<RequestState>(next);
}

}  // namespace weft::nvmf
