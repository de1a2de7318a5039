// Which controllers have the use of a namespace. Subsystem keeps the truth; each poll group has a copy in its view, and
// each queue pair a bit for every namespace that not all controllers have (Qpair::find_namespace).
#pragma once

#include <cstdint>
#include <set>
#include <string>
#include <string_view>

namespace weft::nvmf {

class PollGroup;
class Qpair;
struct NamespaceView;
struct SubsystemView;

struct Visibility {
    bool is_auto = true;  // every host of the subsystem; otherwise those named
    std::set<std::string, std::less<>> hosts;
    // Controllers whose host detached it (Namespace Attachment), by uid: one that is gone says nothing any more.
    std::set<uint64_t> detached;

    [[nodiscard]] bool is_shown_to(std::string_view hostnqn) const { return is_auto || hosts.contains(hostnqn); }
    [[nodiscard]] bool includes(std::string_view hostnqn, uint64_t controller_uid) const {
        return is_shown_to(hostnqn) && !detached.contains(controller_uid);
    }
    // Whether there may be a controller that does not have it.
    [[nodiscard]] bool is_selective() const { return !is_auto || !detached.empty(); }
};

// The view has this visibility from now on, for all queues there. On the poll group's thread.
void show_namespace(PollGroup& group, SubsystemView& view, NamespaceView& ns, const Visibility& visibility);

// A queue that has just joined its subsystem learns which selective namespaces it has. On its thread.
void find_attached_namespaces(Qpair& qpair);

}  // namespace weft::nvmf
