// A poll group: all that the target does on one thread. It holds that thread's views of the subsystems, the
// controllers whose admin queues live here, the queue pairs and one group of each transport. Made on its thread's
// reactor at start, kept until the target stops, so that others may hold a reference and send messages.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "base/intrusive_list.h"
#include "nvmf/qpair.h"
#include "nvmf/views.h"
#include "reactor/poller.h"
#include "reactor/reactor.h"

namespace weft::nvmf {

class Controller;
class Target;
class Transport;

// What a transport does on one poll group's thread.
class TransportGroup {
public:
    TransportGroup() = default;
    TransportGroup(const TransportGroup&) = delete;
    TransportGroup& operator=(const TransportGroup&) = delete;
    virtual ~TransportGroup() = default;

    [[nodiscard]] virtual Transport& transport() const = 0;
    // A bounded batch of work; returns how much.
    virtual uint32_t poll() = 0;
    // There is something that poll() can do now: the reactor must not sleep.
    [[nodiscard]] virtual bool has_work() const = 0;
    // Closes every connection; poll() goes on until none is left.
    virtual void close_all(std::string_view why) = 0;
    [[nodiscard]] virtual bool is_empty() const = 0;
    [[nodiscard]] virtual BufferCacheStats buffer_stats() const = 0;
    [[nodiscard]] virtual TransportFigures transport_figures() const = 0;
};

struct PollGroupStats {
    uint64_t admin_qpairs = 0;  // since the start
    uint64_t io_qpairs = 0;
    uint32_t current_admin_qpairs = 0;
    uint32_t current_io_qpairs = 0;
    uint32_t current_unassociated_qpairs = 0;
    uint64_t pending_bdev_io = 0;    // requests that are being retried now
    uint64_t completed_nvme_io = 0;
};

class PollGroup {
public:
    // On `thread`.
    PollGroup(Target& target, Thread& thread);
    PollGroup(const PollGroup&) = delete;
    PollGroup& operator=(const PollGroup&) = delete;
    ~PollGroup();

    [[nodiscard]] Target& target() const { return target_; }
    [[nodiscard]] Thread& thread() const { return thread_; }
    [[nodiscard]] const std::string& name() const { return thread_.name(); }

    // The rest is for the group's thread only.

    // Submits again in a later turn what a device would not take now.
    void park_for_retry(Request& request);
    void unpark(Request& request);

    [[nodiscard]] SubsystemView* subsystem(uint32_t id) const {
        return id < subsystems_.size() ? subsystems_[id].get() : nullptr;
    }
    void add_subsystem(SubsystemIdentity identity);
    void remove_subsystem(uint32_t id);

    [[nodiscard]] Controller* find_controller(uint64_t uid) const;
    Controller& add_controller(std::unique_ptr<Controller> controller);
    void remove_controller(uint64_t uid);
    [[nodiscard]] const std::map<uint64_t, std::unique_ptr<Controller>>& controllers() const { return controllers_; }

    [[nodiscard]] Qpair* find_qpair(uint64_t uid) const;
    IntrusiveList<Qpair, &Qpair::link> qpairs;

    void add_transport(std::unique_ptr<TransportGroup> transport);
    [[nodiscard]] TransportGroup* transport_group(const Transport& transport) const;
    // How its transports' buffer caches did.
    [[nodiscard]] BufferCacheStats buffer_stats() const;
    [[nodiscard]] const std::vector<std::unique_ptr<TransportGroup>>& transports() const { return transports_; }
    // The queue is going: its host keeps what it did.
    void retire_figures(const Qpair& qpair);
    // What queues that are gone did, by host NQN; beyond `past_hosts_max` hosts, under the name "".
    static constexpr size_t past_hosts_max = 1024;
    [[nodiscard]] const std::map<std::string, IoFigures>& past_hosts() const { return past_hosts_; }
    // Every connection is gone: what was asked to close has closed.
    [[nodiscard]] bool is_idle() const;
    void close_all(std::string_view why);
    // Ends the poller and the transports' groups; is_idle().
    void shut_down();

    PollGroupStats stats;

private:
    class GroupPoller;
    uint32_t poll();

    Target& target_;
    Thread& thread_;
    std::vector<std::unique_ptr<SubsystemView>> subsystems_;  // by id
    std::map<uint64_t, std::unique_ptr<Controller>> controllers_;
    std::vector<std::unique_ptr<TransportGroup>> transports_;
    IntrusiveList<Request, &Request::parked_link> retrying_;
    std::map<std::string, IoFigures> past_hosts_;
    std::unique_ptr<GroupPoller> poller_;
};

}  // namespace weft::nvmf
