// The simulated network: every connection, and what is under way between machines.
//
// A byte sent waits in its pipe until a delivery event moves a segment of some size to the other end; what
// is received there opens the window only when the acknowledgement is back. Closing, resetting and timing
// out follow Linux: an end closed with unread data resets, one without sends FIN after its data; data for a
// closed end is answered by a reset.
#pragma once

#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <set>
#include <span>
#include <vector>

#include "env/network.h"
#include "env/sim/options.h"
#include "env/sim/pipe.h"

namespace weft::sim {

struct EndId {
    uint64_t connection = 0;
    uint8_t side = 0;  // 0: connected, 1: accepted
    [[nodiscard]] EndId other() const { return {.connection = connection, .side = static_cast<uint8_t>(1 - side)}; }
};

class Wire {
public:
    Wire(Core& core, const NetworkOptions& options, const std::vector<std::unique_ptr<Machine>>& machines)
        : core_(core), options_(options), machines_(machines) {}

    // Listeners. accept() has no answer when nothing waits.
    Result<uint64_t> listen(Machine& machine, const env::Address& address, const env::ListenOptions& options,
                            Source& source);
    void close_listener(uint64_t listener);
    [[nodiscard]] bool has_waiting(uint64_t listener) const;
    std::optional<EndId> accept(uint64_t listener);
    [[nodiscard]] env::Address address_of_listener(uint64_t listener) const;

    // Ends. An id stays good until close().
    EndId connect(Machine& machine, const env::Address& address, const env::SocketOptions& options);
    void attach(EndId end, Source& source);
    env::Transfer send(EndId id, std::span<const iovec> from);
    env::Transfer receive(EndId id, MutableBytes into);
    void shutdown_send(EndId end);
    void close(EndId id);
    void configure(EndId end, const env::SocketOptions& options);
    [[nodiscard]] uint32_t poll(EndId id);
    [[nodiscard]] const Connection& connection(uint64_t id) const;
    [[nodiscard]] const std::map<uint64_t, Connection>& connections() const { return connections_; }

    // Told all that is sent, when it is: on which connection, by which end, and as much of `from` as the wire takes.
    using Tap = std::move_only_function<void(const Connection& connection, uint8_t side, Bytes piece)>;
    void set_tap(Tap tap) { tap_ = std::move(tap); }

    // Faults. False when there is no such connection.
    bool reset(uint64_t id);
    bool cut_after_bytes(EndId sender, uint64_t bytes, bool with_reset);
    void pause(const Machine& first, const Machine& second);
    void resume(const Machine& first, const Machine& second);
    // Everything of the machine vanishes without a word to its peers.
    void crash(const Machine& machine);
    // All its sockets are closed, as a kernel does it for a process that has gone.
    void kill(const Machine& machine);

private:
    struct Listening {
        Machine* machine;
        env::Address address;
        env::ListenOptions options;
        Source* source;
        std::deque<EndId> waiting;
    };
    using MachinePair = std::pair<uint32_t, uint32_t>;
    using Arrival = void (Wire::*)(EndId to);

    Connection* find(uint64_t id);
    Connection& get(uint64_t id);
    Machine* machine_of(Machine& from, const env::Address& address) const;
    Listening* listening_for(const Machine& machine, const env::Address& address);
    void erase_if_over(uint64_t id);

    // Calls `arrival` when what was sent to end `to` gets there; later if the way is paused then.
    void travel(EndId to, TimeNs delay, Arrival arrival);
    [[nodiscard]] bool is_paused(const Connection& connection) const;
    void on_request(EndId to);
    void on_established(EndId to);
    void on_refused(EndId to);
    void on_delivery(EndId to);
    void on_acknowledged(EndId to);
    void on_reset(EndId to);

    void schedule_delivery(EndId to);
    void move_segment(Connection& connection, uint8_t to);
    size_t choose_segment(size_t size);
    void cut(Connection& connection, uint8_t sender);
    void fail_end(Connection& connection, uint8_t side, Errc error);
    void start_user_timer(EndId sender);
    void on_user_timeout(EndId sender, uint64_t delivered_then);
    uint64_t choose_window();

    Core& core_;
    const NetworkOptions& options_;
    const std::vector<std::unique_ptr<Machine>>& machines_;
    std::map<uint64_t, Connection> connections_;
    std::map<uint64_t, Listening> listeners_;
    uint64_t ids_made_ = 0;
    Tap tap_;
    std::set<MachinePair> paused_;
    std::vector<std::pair<EndId, Arrival>> held_;  // arrived while paused, in order
};

}  // namespace weft::sim
