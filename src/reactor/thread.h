// A light-weight thread: the owner of objects. It lives on one reactor at a time; its messages, pollers, timers and
// event sources run there one after another, so what it owns needs no lock. Others ask it by message. Between two turns
// it may be moved to another reactor (placement.h): what belongs to a reactor is asked for anew, not kept.
#pragma once

#include <atomic>
#include <cstdint>
#include <map>
#include <memory>
#include <string>

#include "base/intrusive_list.h"
#include "base/mpsc_queue.h"
#include "env/network.h"
#include "reactor/cpu_set.h"
#include "reactor/event_source.h"
#include "reactor/io_channel.h"
#include "reactor/message.h"
#include "reactor/poller.h"
#include "reactor/timer.h"
#include "reactor/work_statistics.h"

namespace weft {

class Reactor;

struct ThreadStats {
    uint64_t busy_ns = 0;
    uint64_t idle_ns = 0;
};

class Thread {
public:
    // Use Reactor::create_thread.
    Thread(Reactor& reactor, std::string name, uint64_t id, const CpuSet& cpus);
    Thread(const Thread&) = delete;
    Thread& operator=(const Thread&) = delete;
    ~Thread();

    // The thread whose code is running; there must be one.
    static Thread& current();
    static Thread* current_or_null();
    [[nodiscard]] bool is_current() const { return current_or_null() == this; }

    // Runs `message` on this thread, after those sent before it by the same sender. Any OS thread.
    void post(Message& message);

    // Where it lives now. For the thread itself, and for whoever keeps it from being moved.
    [[nodiscard]] Reactor& reactor() const { return *reactor_.load(std::memory_order_relaxed); }
    [[nodiscard]] const std::string& name() const { return name_; }
    [[nodiscard]] uint64_t id() const { return id_; }

    // The rest is for the thread itself.
    // The CPUs it may run on.
    [[nodiscard]] const CpuSet& cpus() const { return cpus_; }
    // It is about to be moved: nothing new is begun that only this reactor can finish (see IoChannel).
    [[nodiscard]] bool is_leaving() const { return is_leaving_; }
    TimerHeap& timers() { return timers_; }
    [[nodiscard]] const ThreadStats& stats() const { return stats_; }
    WorkStatistics& work() { return data_work_; }
    using PollerList = IntrusiveList<Poller, &Poller::link>;
    [[nodiscard]] const PollerList& active_pollers() const { return active_pollers_; }
    [[nodiscard]] const PollerList& timed_pollers() const { return timed_pollers_; }
    [[nodiscard]] const PollerList& paused_pollers() const { return paused_pollers_; }
    using Channels = std::map<IoDevice*, std::unique_ptr<IoChannel>, IoDeviceOrder>;
    [[nodiscard]] const Channels& channels() const { return channels_; }

private:
    friend class Reactor;
    friend class Placement;
    friend class EventSource;
    friend class Poller;
    friend class IoDevice;
    friend class IoChannel;

    uint32_t run_messages();
    uint32_t run_pollers();
    Sleep prepare_sleep();
    void woke_up();
    [[nodiscard]] bool has_messages() const { return !inbox_.empty(); }

    std::atomic<Reactor*> reactor_;
    Reactor* home_;  // where static placement has it
    const std::string name_;
    const uint64_t id_;
    CpuSet cpus_;
    bool is_leaving_ = false;
    MpscQueue inbox_;
    PollerList active_pollers_;
    PollerList timed_pollers_;
    PollerList paused_pollers_;
    Poller* next_poller_ = nullptr;  // where run_pollers() goes on: pollers may vanish under it
    TimerHeap timers_;
    IntrusiveList<EventSource, &EventSource::link> sources_;
    Channels channels_;
    ThreadStats stats_;
    WorkStatistics data_work_;
    uint32_t turn_work_ = 0;
};

// Makes `thread` the current one for a scope. For reactors and for tests that run without one.
class CurrentThread {
public:
    explicit CurrentThread(Thread* thread);
    CurrentThread(const CurrentThread&) = delete;
    CurrentThread& operator=(const CurrentThread&) = delete;
    ~CurrentThread();

private:
    Thread* previous_;
};

}  // namespace weft
