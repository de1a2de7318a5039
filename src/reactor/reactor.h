// A reactor: one OS thread that runs light-weight threads, and sleeps in the kernel when there is nothing to do.
//
// A turn has a fixed order, each step bounded, one clock reading for all:
//   1. messages          they bring new work and free what others hold
//   2. ready sockets     looked at every turn when idle, every few turns when busy (pollers visit hot ones)
//   3. file completions  they free the buffers that pollers are about to ask for
//   4. pollers           they end in the system calls that carry this turn's output away
//   5. due timers
//   6. file submissions  one system call for all of the turn
// When no I/O command was executed for `spin` (note_io), and a turn found nothing, it sleeps until a socket, a
// file completion, a timer or a message wakes it.
//
// Sleeping and waking: the sleeper stores `sleeping` (seq_cst), looks at every inbox again, then waits. A sender
// pushes its message (seq_cst), then exchanges the flag (seq_cst) and writes the eventfd only if it was set.
// Whichever comes second sees the other, so no wake-up is lost and none is paid for while the reactor is awake.
#pragma once

#include <atomic>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/trace.h"
#include "env/environment.h"
#include "reactor/cpu_set.h"
#include "reactor/event_source.h"
#include "reactor/thread.h"
#include "reactor/turn_end.h"
#include "reactor/turn_lengths.h"

namespace weft {

struct ReactorOptions {
    std::string name;            // of the OS thread
    int cpu = -1;                // pinned to it; -1: not pinned (the control reactor)
    env::TimeNs spin = 0;        // how long to stay awake after the last I/O command
};

class Reactor {
public:
    static Result<std::unique_ptr<Reactor>> create(env::Environment& environment, ReactorOptions options);
    Reactor(const Reactor&) = delete;
    Reactor& operator=(const Reactor&) = delete;
    ~Reactor();

    // The reactor whose turn it is; there must be one.
    static Reactor& current();

    // Before the reactor runs, or on it. The first one stays until the reactor ends.
    Thread& create_thread(std::string name, const CpuSet& cpus);
    // Ends a thread that has no pollers, timers, channels or messages left. On the reactor, from another thread.
    void destroy_thread(Thread& thread);
    // The two halves of a move (Placement::move): on this reactor, from another thread of it. Nothing of the thread's
    // is in this reactor's file queue.
    std::unique_ptr<Thread> detach_thread(Thread& thread);
    // Its messages, sources and timers are served from this turn on.
    void adopt_thread(std::unique_ptr<Thread> thread);
    // On the reactor, or before it runs: the list changes there.
    [[nodiscard]] const std::vector<std::unique_ptr<Thread>>& threads() const { return threads_; }
    // Where others send what the reactor itself shall do. Any OS thread, once it was made.
    [[nodiscard]] Thread& first_thread() const { return *first_thread_; }

    // One turn; false when it found nothing to do. What the simulator calls.
    bool turn();
    // Turns and sleeps until stop(). What an OS thread calls.
    void run();
    // Any OS thread: run() returns after the current turn.
    void stop();

    // For a loop of one's own in the place of run(): turn() as long as there is work, and between two turns sleep where
    // the loop likes to, until the descriptor is readable or the deadline has passed. Always the same OS thread.
    //
    //   while (!reactor.is_stopping()) {
    //       if (reactor.turn()) continue;
    //       if (const auto rest = reactor.begin_rest()) {
    //           poll(rest->descriptor, rest->deadline, what else the loop waits for);
    //           reactor.end_rest();
    //       }
    //   }
    struct Rest {
        int descriptor;  // of an epoll instance: to be polled, not read
        env::TimeNs deadline;  // by the environment's clock; time_never: none
    };
    // After a turn. nullopt: do not sleep, there is work or will be soon (`spin`). Else turn() comes after end_rest().
    std::optional<Rest> begin_rest();
    void end_rest();
    // stop() was called.
    [[nodiscard]] bool is_stopping() const { return stopping_.load(std::memory_order_relaxed); }

    // How long it sleeps when a poller waits for what nobody tells it of (Sleep::briefly). Not less: what is waited for
    // may need this very CPU, as the kernel's work on a file does.
    static constexpr env::TimeNs ask_again_after = 20 * env::ns_per_us;

    // When the earliest timer is due; time_never when there is none.
    [[nodiscard]] env::TimeNs next_deadline() const;
    // A message waits to be run.
    [[nodiscard]] bool has_messages() const;

    // The time stamp of this turn.
    [[nodiscard]] env::TimeNs now() const { return now_; }
    // An I/O command is being executed: stay awake.
    void note_io() { last_io_ = now_; }
    // Queues file operations on this reactor; made at first use. Errors: what the kernel refused.
    Result<env::FileQueue*> file_queue();
    // The same when it was made, else nullptr.
    [[nodiscard]] env::FileQueue* files() const { return files_.get(); }

    [[nodiscard]] env::Environment& environment() const { return environment_; }
    [[nodiscard]] const std::string& name() const { return options_.name; }
    [[nodiscard]] int cpu() const { return options_.cpu; }
    [[nodiscard]] uint64_t busy_ns() const { return busy_ns_; }
    [[nodiscard]] uint64_t idle_ns() const { return idle_ns_; }
    // Of turns that found work. On the reactor.
    [[nodiscard]] const TurnLengths& turn_lengths() const { return turn_lengths_; }
    // Where it leaves a trace of what it does: see reactor/trace_here.h. Written on the reactor.
    [[nodiscard]] trace::Track& track() { return track_; }
    // Kernel's id of the OS thread that runs it, 0 before it does.
    [[nodiscard]] int os_thread_id() const { return os_thread_id_; }
    void set_os_thread_id(int id) { os_thread_id_ = id; }

private:
    friend class Thread;
    friend class EventSource;
    friend class TurnEnd;
    class FileEvents;
    using SourceList = IntrusiveList<EventSource, &EventSource::link>;
    static constexpr size_t ready_max = 128;
    static constexpr uint32_t turns_between_looks = 8;  // at the sockets, while busy

    Reactor(env::Environment& environment, ReactorOptions options, std::unique_ptr<env::Waiter> waiter);
    void wake_if_sleeping();
    uint32_t dispatch_ready();
    void account(env::TimeNs duration, uint32_t work);
    Sleep prepare_sleep();
    void forget(EventSource& source);
    void tell_turn_ends(env::TimeNs began);

    env::Environment& environment_;
    const ReactorOptions options_;
    trace::Track track_{options_.name, options_.cpu};
    std::unique_ptr<env::Waiter> waiter_;
    std::unique_ptr<env::FileQueue> files_;
    std::unique_ptr<FileEvents> file_events_;
    std::vector<std::unique_ptr<Thread>> threads_;
    Thread* first_thread_ = nullptr;
    IntrusiveList<TurnEnd, &TurnEnd::link> turn_ends_;
    TurnLengths turn_lengths_;

    env::TimeNs now_ = 0;
    env::TimeNs last_io_ = 0;
    uint32_t last_work_ = 0;
    uint32_t turns_since_look_ = 0;
    std::vector<env::Ready> ready_;
    size_t ready_count_ = 0;
    size_t ready_next_ = 0;
    std::atomic<uint64_t> busy_ns_{0};
    std::atomic<uint64_t> idle_ns_{0};
    std::atomic<int> os_thread_id_{0};
    std::atomic<bool> stopping_{false};
    alignas(64) std::atomic<bool> sleeping_{false};
};

}  // namespace weft
