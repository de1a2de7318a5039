#include "nvmf/io/outstanding.h"

#include <algorithm>

#include "bdev/device.h"
#include "nvmf/poll_group.h"

namespace weft::nvmf {

namespace {

// What was taken back is held, and nobody else would let it go on.
void resume_held(Qpair& qpair, const NamespaceView& ns) {
    SubsystemView& subsystem = *qpair.subsystem;
    for (size_t left = subsystem.held.size(); left > 0; --left) {
        Request* request = subsystem.held.pop_front();
        if (request == nullptr) break;
        if (request->qpair == &qpair && request->command.nsid == ns.identity.nsid && !ns.is_paused) {
            qpair.resume(*request);
        } else {
            subsystem.held.push_back(*request);
        }
    }
}

void mark_aborted(Qpair& qpair, NamespaceView& ns) {
    for (Request* at = qpair.outstanding.front(); at != nullptr;) {
        Request& request = *at;
        at = decltype(qpair.outstanding)::next(request);
        if (request.command.is_fabrics() || request.command.nsid != ns.identity.nsid) continue;
        // Those that still wait for data, a buffer or the device look at it before they begin.
        request.is_aborted = true;
        request.is_preempted = true;
        if (request.state() == RequestState::executing && request.ns == &ns) (void)ns.channel->abort(request.io);
    }
}

bool has_commands(const PollGroup& group, const NamespaceView& ns, const QueueSelection& queues) {
    for (Qpair* at = group.qpairs.front(); at != nullptr; at = decltype(group.qpairs)::next(*at)) {
        if (!queues.has(*at)) continue;
        for (Request* one = at->outstanding.front(); one != nullptr; one = decltype(at->outstanding)::next(*one)) {
            if (one->ns == &ns) return true;
        }
    }
    return false;
}

}  // namespace

bool QueueSelection::has(const Qpair& qpair) const {
    if (qpair.subsystem == nullptr || qpair.is_admin()) return false;
    if (path != nullptr) return qpair.ana == path;
    return hosts != nullptr && std::ranges::find(*hosts, qpair.hostid) != hosts->end();
}

void abort_commands(PollGroup& group, NamespaceView& ns, const QueueSelection& queues) {
    for (Qpair* at = group.qpairs.front(); at != nullptr; at = decltype(group.qpairs)::next(*at)) {
        if (queues.has(*at)) mark_aborted(*at, ns);
    }
    take_back_reads(group, ns, queues);
}

void take_back_reads(PollGroup& group, NamespaceView& ns, const QueueSelection& queues) {
    for (Qpair* at = group.qpairs.front(); at != nullptr; at = decltype(group.qpairs)::next(*at)) {
        if (!queues.has(*at)) continue;
        at->withdraw(ns);
        resume_held(*at, ns);
    }
}

Task<void> wait_for_commands(PollGroup& group, NamespaceView& ns, QueueSelection queues) {
    ++ns.watchers;
    while (has_commands(group, ns, queues)) {
        // The path is open again: there may be no end of them. (It is there: one of its queues was found.)
        if (queues.path != nullptr && is_accessible(queues.path->state_of(ns.identity.anagrpid))) break;
        co_await ns.drained.wait();
    }
    --ns.watchers;
}

}  // namespace weft::nvmf
