// A simulated world: machines with sockets and files, one clock, every choice from one seed. Everything runs
// on one OS thread, and the same seed with the same calls gives the same events (compare trace_hash()).
//
//   sim::World world(seed);
//   auto target = world.make_environment("target");   // 10.0.0.1, fd00::1
//   auto host = world.make_environment("host");       // 10.0.0.2, fd00::2
//   for (;;) {
//       … run the reactors of both; when none found work:
//       const TimeNs next = std::min(world.next_event_time(), their deadlines);
//       if (next == time_never) break;
//       world.advance_to(std::max(next, world.now()));
//       world.deliver_due_events();
//   }
//
// Time passes only by advance_to(). Waiter::wait() looks and never blocks; offload jobs run inside offload().
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "env/environment.h"
#include "env/sim/options.h"
#include "env/sim/waiter.h"
#include "env/sim/wire.h"

namespace weft::sim {

// What tests see of a connection.
struct ConnectionInfo {
    uint64_t id;
    std::string from;     // machine that called connect()
    std::string to;       // "" when there is no machine of that address
    env::Address target;  // as connect() was told
    bool is_established;  // both ends are open and without error
    uint64_t bytes_forth; // arrived at the accepting end
    uint64_t bytes_back;
};

class World {
public:
    explicit World(uint64_t seed, const Options& options = {});
    World(const World&) = delete;
    World& operator=(const World&) = delete;
    // After the environments.
    ~World();

    // A machine's environment; the same name again is the same machine (its disk, its addresses), as after a
    // crash. Several at a time are several processes on it.
    std::unique_ptr<env::Environment> make_environment(std::string_view host_name);

    // The earliest event of network or disk; time_never if nothing is under way.
    [[nodiscard]] TimeNs next_event_time() const { return core_.next_event_time(); }
    [[nodiscard]] TimeNs now() const { return core_.now(); }
    // Not backwards. Events are late by as much as it goes beyond them.
    void advance_to(TimeNs time) { core_.advance_to(time); }
    // Runs `action` in `delay`, between two turns of whatever runs in the world.
    void after(TimeNs delay, std::move_only_function<void()> action) { core_.after(delay, std::move(action)); }
    // A reactor that rests with this descriptor (Reactor::Rest) is to be run.
    [[nodiscard]] bool may_be_ready(int descriptor) const { return core_.waiter(descriptor).may_be_ready(); }
    // Runs the events that are due; returns how many.
    size_t deliver_due_events() { return core_.deliver_due_events(); }
    // Advances to the next event and delivers; false if there is none.
    bool step();

    // For what else is left to chance: the order of reactors, the tests' own choices.
    Prng& prng() { return core_.prng(); }
    // Probabilities and latencies may be changed at any time.
    Options& options() { return options_; }

    // See Wire::Tap.
    void set_tap(Wire::Tap tap) { wire_.set_tap(std::move(tap)); }

    // Faults of the network. By connection id or stream; false when it is gone.
    [[nodiscard]] std::vector<ConnectionInfo> connections() const;  // by age
    // Something that was sent, or the news that it was received, has not arrived yet.
    [[nodiscard]] bool has_news_under_way() const;
    bool reset_connection(uint64_t connection) { return wire_.reset(connection); }
    bool reset_connection(const env::Stream& stream);
    // Ends the connection when `bytes` more of what `sender` sends have arrived: with a reset of both ends, or
    // with an end of stream at both, as a proxy that goes away makes it.
    bool cut_after_bytes(const env::Stream& sender, uint64_t bytes, bool with_reset);
    bool cut_after_bytes(EndId sender, uint64_t bytes, bool with_reset) {
        return wire_.cut_after_bytes(sender, bytes, with_reset);
    }
    // Between two machines nothing arrives any more, and neither learns of it; after resume it does, in order.
    void pause_delivery(std::string_view host_a, std::string_view host_b);
    void resume_delivery(std::string_view host_a, std::string_view host_b);
    // Sockets and files the machine may have open: accept(), connect() and open() say too_many beyond.
    void set_descriptor_limit(std::string_view host, uint32_t descriptors_max);

    // Faults of the disk.
    FileFaults& file_faults(std::string_view host, const std::string& path);
    // Power fails: connections and open files of the machine are dead and silent, operations in flight are
    // never done, sectors not synced are each old or new. Then destroy what ran on it and start anew.
    void crash(std::string_view host);
    // The process is killed: its peers are told as a kernel tells them, what was written to files stays, operations in
    // flight happened or did not. Then destroy what ran and start anew.
    void kill(std::string_view host);
    // Sockets and files that the machine has open.
    [[nodiscard]] uint32_t descriptors_open(std::string_view host) { return machine(host).descriptors_open; }

    // What its service directory announces, and whether the daemon behind that is there.
    [[nodiscard]] const std::vector<env::ServiceRecord>& services(std::string_view host) {
        return machine(host).services;
    }
    void forget_services(std::string_view host) { machine(host).services.clear(); }
    void set_service_daemon(std::string_view host, bool is_there) { machine(host).has_service_daemon = is_there; }

    // A running hash of all events; what was noted, as text, when record_trace() is on.
    [[nodiscard]] uint64_t trace_hash() const { return core_.trace_hash(); }
    void note(const NoteName& what, uint64_t first = 0, uint64_t second = 0, uint64_t third = 0) {
        core_.note(what, first, second, third);
    }
    void record_trace(bool on) { core_.record_trace(on); }
    [[nodiscard]] const std::vector<std::string>& trace() const { return core_.trace(); }

    // The machine's address, to connect to.
    env::Address address_of(std::string_view host, env::Family family, uint16_t port);

private:
    Machine& machine(std::string_view name);

    Options options_;
    Core core_;
    std::vector<std::unique_ptr<Machine>> machines_;
    Wire wire_;
};

}  // namespace weft::sim
