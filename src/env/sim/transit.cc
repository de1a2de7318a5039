// The way between the machines: arrivals, segments, losses.
#include <algorithm>

#include "env/sim/digest.h"
#include "env/sim/wire.h"

namespace weft::sim {

using env::Events;
using env::Family;

namespace {

constexpr TimeNs request_retry = env::ns_per_s;  // of a connection request that found the queue full

std::pair<uint32_t, uint32_t> pair_of(const Machine& first, const Machine& second) {
    return std::minmax(first.index, second.index);
}

}  // namespace

bool Wire::is_paused(const Connection& connection) const {
    const Machine* second = connection.ends[1].machine;
    return second != nullptr && paused_.contains(pair_of(*connection.ends[0].machine, *second));
}

void Wire::pause(const Machine& first, const Machine& second) {
    core_.note("pause", first.index, second.index);
    paused_.insert(pair_of(first, second));
}

void Wire::resume(const Machine& first, const Machine& second) {
    core_.note("resume", first.index, second.index);
    paused_.erase(pair_of(first, second));
    // All that was held comes now, in its order; what is still paused is held again.
    for (const auto& [to, arrival] : std::exchange(held_, {})) travel(to, 1, arrival);
}

void Wire::travel(EndId to, TimeNs delay, Arrival arrival) {
    core_.after(delay, [this, to, arrival] {
        const Connection* connection = find(to.connection);
        if (connection == nullptr) return;
        if (is_paused(*connection)) {
            held_.emplace_back(to, arrival);
        } else {
            (this->*arrival)(to);
        }
    });
}

Wire::Listening* Wire::listening_for(const Machine& machine, const env::Address& address) {
    for (auto& [id, listening] : listeners_) {
        const env::Address& bound = listening.address;
        if (listening.machine != &machine || bound.port != address.port) continue;
        if (bound.family == address.family && (bound.host == address.host || is_wildcard(bound))) return &listening;
        const bool is_dual = bound.family == Family::ipv6 && is_wildcard(bound) && !listening.options.v6_only;
        if (is_dual && address.family == Family::ipv4) return &listening;
    }
    return nullptr;
}

void Wire::on_request(EndId to) {
    Connection& connection = get(to.connection);
    End& end = connection.ends[1];
    Listening* listening = listening_for(*end.machine, connection.target);
    const bool is_path = connection.target.family == Family::unix_path;
    if (connection.ends[0].error) return;
    if (listening == nullptr || (!is_path && core_.prng().chance(options_.refuse_probability))) {
        travel(to.other(), core_.sample(options_.latency), &Wire::on_refused);
        return;
    }
    if (listening->waiting.size() >= static_cast<size_t>(std::max(listening->options.backlog, 1))) {
        core_.note("request_dropped", to.connection);
        travel(to, request_retry, &Wire::on_request);
        return;
    }
    core_.note("request", to.connection);
    end.local = connection.target;
    end.is_open = true;
    end.is_connected = true;
    listening->waiting.push_back(to);
    listening->source->notify(Events::readable);
    travel(to.other(), core_.sample(options_.latency), &Wire::on_established);
}

void Wire::on_established(EndId to) {
    Connection& connection = get(to.connection);
    End& end = connection.ends[to.side];
    core_.note("established", to.connection);
    if (!end.is_open || end.error) {
        // Given up while connecting: the other end hears of it as of any end that has gone.
        fail_end(connection, 1, Errc::connection_lost);
        return;
    }
    end.is_connected = true;
    if (end.source != nullptr) end.source->notify(0);
    schedule_delivery(to);
}

void Wire::on_refused(EndId to) {
    core_.note("refused", to.connection);
    fail_end(get(to.connection), to.side, Errc::connection_refused);
}

void Wire::on_reset(EndId to) {
    core_.note("reset", to.connection, to.side);
    fail_end(get(to.connection), to.side, Errc::connection_lost);
}

void Wire::fail_end(Connection& connection, uint8_t side, Errc error) {
    End& end = connection.ends[side];
    if (end.error || !end.is_open) return;
    end.error = error;
    for (Pipe& pipe : connection.pipes) pipe.bytes.lose_in_flight();
    if (end.source != nullptr) end.source->notify(0);
}

void Wire::schedule_delivery(EndId to) {
    Pipe& pipe = get(to.connection).pipes[1 - to.side];
    const bool has_end = pipe.end_sent && !pipe.end_arrived;
    if (pipe.is_delivery_due || (pipe.bytes.in_flight() == 0 && !has_end)) return;
    pipe.is_delivery_due = true;
    travel(to, core_.sample(options_.latency), &Wire::on_delivery);
}

void Wire::on_delivery(EndId to) {
    Connection& connection = get(to.connection);
    const End& receiver = connection.ends[to.side];
    Pipe& pipe = connection.pipes[1 - to.side];
    pipe.is_delivery_due = false;
    if (!receiver.is_open || receiver.error || connection.is_severed) {
        if (pipe.bytes.in_flight() == 0) return;
        pipe.bytes.lose_in_flight();
        travel(to.other(), core_.sample(options_.latency), &Wire::on_reset);
        return;
    }
    if (!receiver.is_connected) return;  // what overtook the establishing waits for it
    const bool is_network = connection.target.family != Family::unix_path;
    if (pipe.bytes.in_flight() > 0 && is_network && core_.prng().chance(options_.reset_probability)) {
        reset(to.connection);
        return;
    }
    if (pipe.bytes.in_flight() > 0) move_segment(connection, to.side);
    if (connection.is_severed || receiver.error) return;
    // FIN comes with the last bytes or by itself.
    if (pipe.bytes.in_flight() == 0 && pipe.end_sent && !pipe.end_arrived && core_.prng().coin()) {
        core_.note("end", to.connection, to.side);
        pipe.end_arrived = true;
        if (receiver.source != nullptr) receiver.source->notify(0);
    }
    if (pipe.bytes.in_flight() == 0 && (!pipe.end_sent || pipe.end_arrived)) return;
    pipe.is_delivery_due = true;
    const bool is_late = core_.prng().below(4) == 0;
    const TimeNs gap = is_late ? core_.sample(options_.latency) : core_.prng().between(1, options_.latency.min + 1);
    travel(to, gap, &Wire::on_delivery);
}

size_t Wire::choose_segment(size_t size) {
    if (!options_.segmentation) return size;
    constexpr size_t few_bytes = 64;
    constexpr size_t frame_bytes = 8960;
    // A few of them tiny: each byte that comes by itself is a turn of its receiver.
    const uint64_t kind = core_.prng().below(64);
    if (kind == 0) return 1;
    if (kind < 3) return core_.prng().between(1, std::min(size, few_bytes));
    if (kind < 10) return core_.prng().between(1, std::min(size, frame_bytes));
    if (kind < 20) return core_.prng().between(1, size);
    return size;
}

void Wire::move_segment(Connection& connection, uint8_t to) {
    Pipe& pipe = connection.pipes[1 - to];
    size_t count = choose_segment(pipe.bytes.in_flight());
    if (pipe.cut_at != Pipe::no_cut) count = std::min<uint64_t>(count, pipe.cut_at - pipe.delivered);
    const MutableBytes segment = pipe.bytes.next(count);
    const bool is_network = connection.target.family != Family::unix_path;
    if (count > 0 && is_network && core_.prng().chance(options_.flip_probability)) {
        core_.note("flip", connection.id, to);
        segment[core_.prng().below(count)] ^= static_cast<std::byte>(1U << core_.prng().below(8));
    }
    core_.note("segment", connection.id << 1 | to, count, digest_of(segment));
    pipe.bytes.arrive(count);
    pipe.delivered += count;
    if (connection.ends[to].source != nullptr) connection.ends[to].source->notify(Events::readable);
    if (pipe.delivered == pipe.cut_at) cut(connection, static_cast<uint8_t>(1 - to));
}

void Wire::on_acknowledged(EndId to) {
    Connection& connection = get(to.connection);
    Pipe& pipe = connection.pipes[to.side];
    const End& sender = connection.ends[to.side];
    pipe.is_ack_due = false;
    WEFT_ASSERT(pipe.used_bytes >= pipe.received_unacked);
    pipe.used_bytes -= std::exchange(pipe.received_unacked, 0);
    if (!pipe.wants_room || !pipe.has_room()) return;
    pipe.wants_room = false;
    core_.note("room", to.connection, to.side);
    if (sender.source != nullptr) sender.source->notify(Events::writable);
}

bool Wire::reset(uint64_t id) {
    Connection* connection = find(id);
    if (connection == nullptr) return false;
    core_.note("reset_both", id);
    fail_end(*connection, 0, Errc::connection_lost);
    fail_end(*connection, 1, Errc::connection_lost);
    return true;
}

bool Wire::cut_after_bytes(EndId sender, uint64_t bytes, bool with_reset) {
    Connection* connection = find(sender.connection);
    if (connection == nullptr) return false;
    Pipe& pipe = connection->pipes[sender.side];
    pipe.cut_at = pipe.delivered + bytes;
    pipe.cut_with_reset = with_reset;
    if (bytes == 0) cut(*connection, sender.side);
    return true;
}

void Wire::cut(Connection& connection, uint8_t sender) {
    core_.note("cut", connection.id, sender);
    if (connection.pipes[sender].cut_with_reset) {
        reset(connection.id);
        return;
    }
    connection.is_severed = true;
    for (Pipe& pipe : connection.pipes) {
        pipe.bytes.lose_in_flight();
        pipe.end_arrived = true;
    }
    for (const End& end : connection.ends) {
        if (end.source != nullptr) end.source->notify(0);
    }
}

void Wire::start_user_timer(EndId sender) {
    Connection& connection = get(sender.connection);
    Pipe& pipe = connection.pipes[sender.side];
    pipe.is_timed = true;
    core_.after(connection.ends[sender.side].user_timeout_ms * env::ns_per_ms,
                [this, sender, then = pipe.delivered] { on_user_timeout(sender, then); });
}

// TCP_USER_TIMEOUT: nothing of what was sent has arrived for that long.
void Wire::on_user_timeout(EndId sender, uint64_t delivered_then) {
    Connection* connection = find(sender.connection);
    if (connection == nullptr) return;
    Pipe& pipe = connection->pipes[sender.side];
    pipe.is_timed = false;
    if (pipe.bytes.in_flight() == 0) return;
    if (pipe.delivered == delivered_then) {
        core_.note("user_timeout", sender.connection, sender.side);
        fail_end(*connection, sender.side, Errc::timed_out);
    } else {
        start_user_timer(sender);
    }
}

}  // namespace weft::sim
