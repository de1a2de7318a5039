// Connections and their ends: what the machines on both sides do. What happens between them is in transit.cc.
#include "env/sim/wire.h"

#include <fmt/format.h>

#include <algorithm>
#include <bit>

namespace weft::sim {

namespace {

using env::Address;
using env::Events;
using env::Family;
using env::Transfer;

bool is_same_port(const Address& first, const Address& second) {
    if (first.family != second.family || first.port != second.port) return false;
    return first.host == second.host || env::is_wildcard(first) || env::is_wildcard(second);
}

bool is_loopback(const Address& address) {
    return (address.family == Family::ipv4 && address.host.starts_with("127.")) ||
           (address.family == Family::ipv6 && address.host == "::1");
}

}  // namespace

Connection* Wire::find(uint64_t id) {
    const auto at = connections_.find(id);
    return at == connections_.end() ? nullptr : &at->second;
}

Connection& Wire::get(uint64_t id) {
    Connection* connection = find(id);
    WEFT_ASSERT(connection != nullptr);
    return *connection;
}

const Connection& Wire::connection(uint64_t id) const { return connections_.at(id); }

Result<uint64_t> Wire::listen(Machine& machine, const Address& address, const env::ListenOptions& options,
                              Source& source) {
    const std::string doing = fmt::format("listening on {}", to_string(address));
    Address bound = address;
    if (address.family != Family::unix_path) {
        if (!env::is_wildcard(address) && !machine.is_own(address)) {
            return fail(Errc::invalid_argument, doing + ": not an address of this machine");
        }
        if (bound.port == 0) bound.port = machine.next_port++;
    }
    for (const auto& [id, other] : listeners_) {
        if (other.machine == &machine && is_same_port(other.address, bound)) {
            return fail(Errc::address_in_use, doing + ": address in use");
        }
    }
    const uint64_t id = ++ids_made_;
    listeners_.emplace(
        id, Listening{.machine = &machine, .address = bound, .options = options, .source = &source, .waiting = {}});
    core_.note("listen", id, machine.index, bound.port);
    return id;
}

void Wire::close_listener(uint64_t listener) {
    auto node = listeners_.extract(listener);
    if (node.empty()) return;  // the machine has crashed since
    core_.note("close_listener", listener);
    for (const EndId end : node.mapped().waiting) {
        travel(end.other(), core_.sample(options_.latency), &Wire::on_reset);
        get(end.connection).ends[end.side].is_open = false;
        erase_if_over(end.connection);
    }
}

bool Wire::has_waiting(uint64_t listener) const {
    const auto at = listeners_.find(listener);
    return at != listeners_.end() && !at->second.waiting.empty();
}

std::optional<EndId> Wire::accept(uint64_t listener) {
    if (!has_waiting(listener)) return std::nullopt;
    std::deque<EndId>& waiting = listeners_.at(listener).waiting;
    const EndId end = waiting.front();
    waiting.pop_front();
    core_.note("accept", listener, end.connection);
    return end;
}

Address Wire::address_of_listener(uint64_t listener) const {
    const auto at = listeners_.find(listener);
    return at == listeners_.end() ? Address{} : at->second.address;
}

Machine* Wire::machine_of(Machine& from, const Address& address) const {
    if (address.family == Family::unix_path || is_loopback(address)) return &from;
    for (const auto& machine : machines_) {
        if (machine->is_own(address)) return machine.get();
    }
    return nullptr;
}

EndId Wire::connect(Machine& machine, const Address& address, const env::SocketOptions& options) {
    const uint64_t id = ++ids_made_;
    Connection& connection = connections_[id];
    connection.id = id;
    connection.target = address;
    for (Pipe& pipe : connection.pipes) pipe.window_bytes = choose_window();
    End& end = connection.ends[0];
    end.machine = &machine;
    end.is_open = true;
    end.local = {.family = address.family, .host = {}, .port = 0};
    if (address.family != Family::unix_path) {
        const Address& own = address.family == Family::ipv4 ? machine.ipv4 : machine.ipv6;
        end.local.host = is_loopback(address) ? address.host : own.host;
        end.local.port = machine.next_port++;
    }
    const EndId first{.connection = id, .side = 0};
    configure(first, options);

    Machine* target = machine_of(machine, address);
    connection.ends[1].machine = target;
    core_.note("connect", id, machine.index, target == nullptr ? ~uint64_t{0} : target->index);
    if (target == nullptr) {
        // Nobody answers: Linux gives up after about two minutes.
        const TimeNs usual = 127 * env::ns_per_s;
        const TimeNs own = options.user_timeout_ms * env::ns_per_ms;
        core_.after(own > 0 ? own : usual, [this, id] {
            if (Connection* found = find(id)) fail_end(*found, 0, Errc::timed_out);
        });
    } else if (address.family == Family::unix_path && listening_for(machine, address) == nullptr) {
        end.error = Errc::not_found;
    } else {
        travel(first.other(), core_.sample(options_.latency), &Wire::on_request);
    }
    return first;
}

uint64_t Wire::choose_window() {
    const auto first = static_cast<uint64_t>(std::bit_width(options_.window_bytes_min));
    const auto last = static_cast<uint64_t>(std::bit_width(options_.window_bytes_max));
    const uint64_t power = uint64_t{1} << (core_.prng().between(first, std::max(first, last)) - 1);
    return std::max<uint64_t>(power, options_.window_bytes_min);
}

void Wire::attach(EndId end, Source& source) { get(end.connection).ends[end.side].source = &source; }

void Wire::configure(EndId end, const env::SocketOptions& options) {
    Connection& connection = get(end.connection);
    connection.ends[end.side].user_timeout_ms = options.user_timeout_ms;
    if (options.send_buffer_bytes > 0) connection.pipes[end.side].window_bytes = options.send_buffer_bytes;
}

Transfer Wire::send(EndId id, std::span<const iovec> from) {
    Connection& connection = get(id.connection);
    End& end = connection.ends[id.side];
    Pipe& pipe = connection.pipes[id.side];
    if (end.error) return {.state = Transfer::State::failed, .error = *end.error};
    if (pipe.end_sent) return {.state = Transfer::State::failed, .error = Errc::connection_lost};
    if (!end.is_connected) return {.state = Transfer::State::would_block};

    const uint64_t room = pipe.window_bytes - std::min(pipe.window_bytes, pipe.used_bytes);
    uint64_t sent = 0;
    uint64_t wanted = 0;
    for (const iovec& piece : from.first(std::min<size_t>(from.size(), 1024))) {
        wanted += piece.iov_len;
        const size_t count = std::min<size_t>(piece.iov_len, room - sent);
        const Bytes taken(static_cast<const std::byte*>(piece.iov_base), count);
        pipe.bytes.send(taken);
        if (tap_ && count > 0) tap_(connection, id.side, taken);
        sent += count;
    }
    WEFT_ASSERT(wanted > 0);
    if (sent < wanted) pipe.wants_room = true;
    if (sent == 0) return {.state = Transfer::State::would_block};
    core_.note("send", id.connection, id.side, sent);
    pipe.used_bytes += sent;
    schedule_delivery(id.other());
    if (end.user_timeout_ms > 0 && !pipe.is_timed) start_user_timer(id);
    return {.state = Transfer::State::done, .bytes = sent};
}

Transfer Wire::receive(EndId id, MutableBytes into) {
    Connection& connection = get(id.connection);
    const End& end = connection.ends[id.side];
    Pipe& pipe = connection.pipes[1 - id.side];
    WEFT_ASSERT(!into.empty());
    // What arrived before a reset is still given out.
    if (pipe.bytes.arrived() > 0) {
        const size_t count = pipe.bytes.receive(into);
        core_.note("receive", id.connection, id.side, count);
        pipe.received_unacked += count;
        if (!pipe.is_ack_due) {
            pipe.is_ack_due = true;
            travel(id.other(), core_.sample(options_.latency), &Wire::on_acknowledged);
        }
        return {.state = Transfer::State::done, .bytes = count};
    }
    if (end.error) return {.state = Transfer::State::failed, .error = *end.error};
    if (pipe.end_arrived) return {.state = Transfer::State::end};
    return {.state = Transfer::State::would_block};
}

void Wire::shutdown_send(EndId end) {
    Pipe& pipe = get(end.connection).pipes[end.side];
    if (pipe.end_sent) return;
    core_.note("shutdown", end.connection, end.side);
    pipe.end_sent = true;
    schedule_delivery(end.other());
}

void Wire::close(EndId id) {
    Connection* connection = find(id.connection);
    if (connection == nullptr) return;  // the machine has crashed since
    End& end = connection->ends[id.side];
    core_.note("close", id.connection, id.side);
    if (!end.error && end.is_connected) {
        if (connection->pipes[1 - id.side].bytes.arrived() == 0) {
            shutdown_send(id);
        } else {
            connection->pipes[id.side].bytes.lose_in_flight();
            travel(id.other(), core_.sample(options_.latency), &Wire::on_reset);
        }
    }
    end.is_open = false;
    end.source = nullptr;
    erase_if_over(id.connection);
}

void Wire::erase_if_over(uint64_t id) {
    const Connection& connection = get(id);
    if (!connection.ends[0].is_open && !connection.ends[1].is_open) connections_.erase(id);
}

uint32_t Wire::poll(EndId id) {
    Connection& connection = get(id.connection);
    const End& end = connection.ends[id.side];
    Pipe& out = connection.pipes[id.side];
    const Pipe& in = connection.pipes[1 - id.side];
    if (end.error) return Events::readable | Events::writable | Events::hung_up;
    if (!end.is_connected) return 0;
    uint32_t events = 0;
    if (in.bytes.arrived() > 0 || in.end_arrived) events |= Events::readable;
    if (out.end_sent || out.has_room()) {
        events |= Events::writable;
    } else {
        out.wants_room = true;  // as Linux does: who has looked is told
    }
    if (out.end_sent && in.end_arrived) events |= Events::hung_up;
    return events;
}

void Wire::crash(const Machine& machine) {
    std::vector<uint64_t> over;
    for (auto& [id, connection] : connections_) {
        for (uint8_t side = 0; side < 2; ++side) {
            End& end = connection.ends[side];
            if (end.machine != &machine || !end.is_open) continue;
            end.is_open = false;
            end.source = nullptr;
            connection.pipes[side].bytes.lose_in_flight();
            over.push_back(id);
        }
    }
    for (const uint64_t id : over) {
        if (find(id) != nullptr) erase_if_over(id);
    }
    std::erase_if(listeners_, [&machine](const auto& entry) { return entry.second.machine == &machine; });
}

void Wire::kill(const Machine& machine) {
    std::vector<EndId> over;
    for (auto& [id, connection] : connections_) {
        for (uint8_t side = 0; side < 2; ++side) {
            End& end = connection.ends[side];
            // What no stream holds yet waits in a listener's queue: closed with that.
            if (end.machine == &machine && end.is_open && end.source != nullptr) {
                over.push_back({.connection = id, .side = side});
            }
        }
    }
    for (const EndId end : over) close(end);
    std::vector<uint64_t> listeners;
    for (const auto& [id, listening] : listeners_) {
        if (listening.machine == &machine) listeners.push_back(id);
    }
    for (const uint64_t listener : listeners) close_listener(listener);
}

}  // namespace weft::sim
