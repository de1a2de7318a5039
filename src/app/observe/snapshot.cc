#include "app/observe/snapshot.h"

#include <algorithm>
#include <set>

#include "nvmf/controller/controller.h"
#include "nvmf/target.h"

namespace weft::app {

namespace {

// How much one message may copy: some tens of kilobytes.
constexpr size_t batch = 32;

void add_pollers(std::vector<PollerFigures>& list, const Thread::PollerList& pollers) {
    for (const Poller* at = pollers.front(); at != nullptr; at = Thread::PollerList::next(*at)) {
        list.push_back({at->name(), at->period(), at->run_count(), at->busy_count()});
    }
}

Task<void> look_at_reactors(Runtime& runtime, Snapshot& into) {
    const auto guard = co_await runtime.placement().hold();
    for (Reactor* reactor : runtime.reactors()) {
        co_await resume_on(reactor->first_thread());
        into.reactors.push_back(
            {reactor->name(), reactor->cpu(), reactor->busy_ns(), reactor->idle_ns(), reactor->turn_lengths()});
        for (const auto& thread : reactor->threads()) {
            ThreadFigures& figures = into.threads.emplace_back();
            figures = {thread->name(), thread->id(), reactor->name(), thread->stats(), {}};
            add_pollers(figures.pollers, thread->active_pollers());
            add_pollers(figures.pollers, thread->timed_pollers());
        }
    }
    co_await resume_on(runtime.app_thread());
}

std::string text_of(const nvmf::TransportId& id) { return id.trtype + " " + id.traddr + ":" + id.trsvcid; }

void look_at_subsystems(const nvmf::Target& target, Snapshot& into) {
    for (const auto& [nqn, subsystem] : target.subsystems()) {
        SubsystemFigures& figures = into.subsystems.emplace_back();
        figures.nqn = nqn;
        figures.serial_number = subsystem->identity().serial_number;
        figures.state = name_of(subsystem->state());
        figures.is_discovery = subsystem->identity().is_discovery;
        figures.allows_any_host = subsystem->allows_any_host();
        figures.hosts.assign(subsystem->hosts().begin(), subsystem->hosts().end());
        for (const auto& listener : subsystem->listeners()) figures.listeners.push_back(text_of(listener.address));
        figures.controllers = static_cast<uint32_t>(subsystem->controller_uids.size());
        figures.namespaces = static_cast<uint32_t>(subsystem->namespaces().size());
        for (const auto& [nsid, ns] : subsystem->namespaces()) {
            NamespaceFigures& mine = into.namespaces.emplace_back();
            mine.subsystem = nqn;
            mine.nsid = nsid;
            mine.bdev = ns.identity.bdev_name;
            mine.uuid = ns.identity.uuid.to_string();
        }
    }
    for (const auto& transport : target.transports()) {
        const auto pool = transport->pool_figures();
        into.pools.push_back({std::string(transport->name()), pool.buffer_bytes, pool.buffer_count, pool.shared_free,
                              transport->refused_by_network, transport->handshake_figures()});
    }
}

// What one poll group counted of the namespaces from index `at` on, `batch` of them; false when there are no more.
void add_namespaces(const nvmf::PollGroup& group, const std::map<std::string, uint32_t>& ids, size_t at,
                    std::vector<NamespaceFigures>& namespaces) {
    for (const size_t end = std::min(at + batch, namespaces.size()); at < end; ++at) {
        NamespaceFigures& figures = namespaces[at];
        const nvmf::SubsystemView* view = group.subsystem(ids.at(figures.subsystem));
        if (view == nullptr || view->identity.nqn != figures.subsystem) continue;  // gone meanwhile
        if (const nvmf::NamespaceView* ns = view->find(figures.nsid)) figures.io.add(ns->io.figures());
    }
}

void add_group(const nvmf::PollGroup& group, const std::map<std::string, uint32_t>& ids, Snapshot& into) {
    GroupFigures& figures = into.groups.emplace_back();
    figures.name = group.name();
    figures.stats = group.stats;
    for (const auto& transport : group.transports()) {
        figures.transports.push_back(
            {std::string(transport->transport().name()), transport->transport_figures(), transport->buffer_stats()});
    }
    for (SubsystemFigures& subsystem : into.subsystems) {
        const nvmf::SubsystemView* view = group.subsystem(ids.at(subsystem.nqn));
        if (view == nullptr || view->identity.nqn != subsystem.nqn) continue;
        subsystem.read_commands += view->read_commands;
        subsystem.write_commands += view->write_commands;
        subsystem.read_bytes += view->read_bytes;
        subsystem.written_bytes += view->written_bytes;
    }
}

// The queues that came after `last_uid`, at most `batch`; the uid of the last one, or 0 when there are no more. Queues
// are listed in the order in which they were accepted, which is that of their uids.
uint64_t add_queues(const nvmf::PollGroup& group, uint64_t last_uid, std::vector<QueueFigures>& queues) {
    size_t count = 0;
    for (const nvmf::Qpair* at = group.qpairs.front(); at != nullptr; at = decltype(group.qpairs)::next(*at)) {
        if (at->uid() <= last_uid) continue;
        if (count++ == batch) return last_uid;
        last_uid = at->uid();
        QueueFigures& figures = queues.emplace_back();
        figures.uid = at->uid();
        if (at->subsystem != nullptr) figures.subsystem = at->subsystem->identity.nqn;
        figures.cntlid = at->cntlid;
        figures.qid = at->qid;
        figures.hostnqn = at->hostnqn;
        figures.peer = at->peer_id().traddr + ":" + at->peer_id().trsvcid;
        figures.group = group.name();
        figures.size = at->queue_size;
        figures.outstanding = static_cast<uint32_t>(at->outstanding.size());
        figures.has_io = at->io != nullptr;
        if (figures.has_io) figures.io = at->io->figures();
    }
    return 0;
}

uint64_t add_controllers(const nvmf::PollGroup& group, uint64_t last_uid, std::vector<ControllerFigures>& list) {
    size_t count = 0;
    const auto& all = group.controllers();
    for (auto at = all.upper_bound(last_uid); at != all.end(); ++at) {
        if (count++ == batch) return last_uid;
        last_uid = at->first;
        const nvmf::Controller& controller = *at->second;
        list.push_back({.subsystem = controller.subsystem().identity.nqn,
                        .cntlid = controller.identity().cntlid,
                        .hostnqn = controller.identity().hostnqn,
                        .hostid = controller.identity().hostid.to_string(),
                        .io_queues = controller.io_queue_count(),
                        .is_discovery = controller.is_discovery()});
    }
    return 0;
}

void add_past_hosts(const nvmf::PollGroup& group, std::string& last, bool& is_first,
                    std::map<std::string, HostFigures>& hosts) {
    const auto& past = group.past_hosts();
    auto at = is_first ? past.begin() : past.upper_bound(last);
    is_first = false;
    for (size_t count = 0; at != past.end() && count < batch; ++at, ++count) {
        hosts[at->first].io.add(at->second);
        last = at->first;
    }
    if (at == past.end()) is_first = true;
}

// A group lives as long as the target, and the target as long as calls that use it are waited for.
Task<void> look_at_group(nvmf::PollGroup& group, const std::map<std::string, uint32_t>& ids, Snapshot& into) {
    co_await resume_on(group.thread());
    add_group(group, ids, into);
    for (size_t at = 0; at < into.namespaces.size(); at += batch) {
        add_namespaces(group, ids, at, into.namespaces);
        co_await yield();
    }
    uint64_t last = 0;
    while ((last = add_queues(group, last, into.queues)) != 0) co_await yield();
    while ((last = add_controllers(group, last, into.controllers)) != 0) co_await yield();
    std::string last_host;
    bool is_first = true;
    do {
        add_past_hosts(group, last_host, is_first, into.hosts);
        co_await yield();
    } while (!is_first);
}

Task<void> look_at_target(nvmf::Target& target, Snapshot& into) {
    look_at_subsystems(target, into);
    std::map<std::string, uint32_t> ids;
    for (const auto& [nqn, subsystem] : target.subsystems()) ids[nqn] = subsystem->identity().id;
    for (nvmf::PollGroup* group : target.poll_groups()) co_await look_at_group(*group, ids, into);
    co_await resume_on(target.thread());
    for (const QueueFigures& queue : into.queues) {
        if (!queue.has_io) continue;
        HostFigures& host = into.hosts[queue.hostnqn];
        ++host.queues;
        host.io.add(queue.io);
    }
}

// Devices are held open, so that they do not go while their threads are asked.
Task<void> look_at_bdevs(bdev::Registry& registry, Snapshot& into) {
    Thread& home = Thread::current();
    std::vector<std::unique_ptr<bdev::Descriptor>> opened;
    std::set<Thread*> threads;
    for (const bdev::Device* device : registry.all()) {
        auto descriptor = registry.open(device->name(), {});
        if (!descriptor) continue;
        const auto users = device->channel_threads();
        threads.insert(users.begin(), users.end());
        into.bdevs.push_back({.name = device->name(),
                              .product = std::string(device->product_name()),
                              .block_bytes = device->block_bytes(),
                              .block_count = device->block_count()});
        opened.push_back(std::move(*descriptor));
    }
    for (Thread* thread : threads) {
        co_await resume_on(*thread);
        for (size_t at = 0; at < opened.size(); ++at) {
            if (at % batch == batch - 1) co_await yield();
            const auto found = thread->channels().find(&opened[at]->device());
            if (found == thread->channels().end()) continue;
            const auto& channel = static_cast<const bdev::Channel&>(*found->second);
            into.bdevs[at].figures.add(channel.statistics());
            into.bdevs[at].in_flight += channel.in_flight();
        }
    }
    co_await resume_on(home);
    for (size_t at = 0; at < opened.size(); ++at) {
        into.bdevs[at].figures.add(opened[at]->device().retired_statistics());
    }
}

}  // namespace

Task<Snapshot> take_snapshot(Sources sources) {
    Snapshot snapshot;
    snapshot.process = co_await offload([] { return env::process_usage(); });
    co_await look_at_reactors(sources.runtime, snapshot);
    co_await look_at_bdevs(sources.bdevs, snapshot);
    if (nvmf::Target* target = sources.target.target) co_await look_at_target(*target, snapshot);
    snapshot.taken_at = sources.runtime.environment().clock().now();
    co_return snapshot;
}

}  // namespace weft::app
