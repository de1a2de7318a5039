// Commands on a namespace that came over some of the queues of a poll group, and their end: those of hosts that were
// preempted (NVMe Base 2.0, 8.19.8), those that came by a path which is closed. On the poll group's thread.
#pragma once

#include <vector>

#include "base/uuid.h"
#include "reactor/task.h"

namespace weft::nvmf {

class PollGroup;
class Qpair;
struct AnaView;
struct NamespaceView;

// Which queues: those of hosts, or those of a path.
struct QueueSelection {
    const std::vector<Uuid>* hosts = nullptr;
    const AnaView* path = nullptr;
    [[nodiscard]] bool has(const Qpair& qpair) const;
};

// Asks the device for those it has; all others end with Command Aborted due to
// Preempt and Abort when their turn comes, without touching data.
void abort_commands(PollGroup& group, NamespaceView& ns, const QueueSelection& queues);
// Reads that wait for a slow host's socket begin again, and are checked again.
void take_back_reads(PollGroup& group, NamespaceView& ns, const QueueSelection& queues);
// Ends when none of them uses the namespace any more. The namespace is not removed before.
Task<void> wait_for_commands(PollGroup& group, NamespaceView& ns, QueueSelection queues);

}  // namespace weft::nvmf
