// What a poll group knows of a subsystem: its own immutable copy and its own channels, reached from the data path
// by two array look-ups (subsystem id, nsid - 1). Changed only on the poll group's thread, by Subsystem, while the
// namespace concerned is paused.
#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "base/intrusive_list.h"
#include "base/uuid.h"
#include "bdev/device.h"
#include "nvmf/access/visibility.h"
#include "nvmf/ana/view.h"
#include "nvmf/figures.h"
#include "nvmf/qos/host_lane.h"
#include "nvmf/request.h"
#include "nvmf/reservation/state.h"
#include "reactor/task.h"

namespace weft::nvmf {

// Never changes while the namespace is there, but for its ANA group.
struct NamespaceIdentity {
    uint32_t nsid = 0;
    std::string bdev_name;
    std::array<uint8_t, 16> nguid{};
    std::array<uint8_t, 8> eui64{};
    Uuid uuid;
    uint32_t anagrpid = 0;
    bool hide_metadata = false;  // hosts see plain blocks: protection information is made and checked here
    std::string ptpl_file;  // where its reservation is kept; empty: nowhere
};

struct NamespaceView {
    // From now on commands are held against this one.
    void set_reservation(const ReservationState& state) {
        reservation = state;
        is_reserved = state.is_held();
    }

    NamespaceIdentity identity;
    uint64_t opening = 0;      // tells it from others that had its NSID before: SubsystemView::openings
    bdev::Device* device = nullptr;
    ChannelRef<bdev::Channel> channel;
    uint32_t block_bytes = 0;
    uint8_t block_shift = 0;
    bdev::ProtectionFormat metadata;  // what accompanies each block
    bool is_paused = false;
    bool is_reserved = false;  // `reservation` is held: what each command looks at
    bool can_persist = false;  // reservations outlive the target
    uint32_t watchers = 0;     // who waits for some of the outstanding: woken by each that ends
    bool is_selective = false;  // not every controller may have it: Qpair::find_namespace
    Visibility visibility;
    uint32_t outstanding = 0;  // requests that use the channel or memory lent by it
    IoMeter io;                // commands answered by this poll group
    WaitList drained;          // woken when outstanding falls to 0 while paused, and for watchers
    ReservationState reservation;  // the group's copy
};

// What the controllers of a subsystem are made from; fixed while the subsystem lives.
struct SubsystemIdentity {
    uint32_t id = 0;
    std::string nqn;
    std::string serial_number;  // ≤ 20 printable ASCII
    std::string model_number;   // ≤ 40
    uint32_t max_namespaces = 32;
    uint16_t min_cntlid = 1;
    uint16_t max_cntlid = 0xFFEF;
    bool is_discovery = false;
    bool ana_reporting = false;
    std::string admin_label;  // of extended discovery entries; may be empty
    std::array<uint16_t, 3> command_retry_delays{};  // CRDT1 to CRDT3, in 100 ms
};

struct SubsystemView {
    explicit SubsystemView(SubsystemIdentity subsystem) : identity(std::move(subsystem)) {}
    ~SubsystemView() { WEFT_ASSERT(admin_outstanding == 0); }

    // nullptr when the namespace is not there.
    [[nodiscard]] NamespaceView* find(uint32_t nsid) const {
        return nsid - 1 < namespaces.size() ? namespaces[nsid - 1].get() : nullptr;
    }

    const SubsystemIdentity identity;
    std::string unique_nqn;  // of the discovery subsystem, when it has one beside the well-known (TP8013)
    std::vector<std::unique_ptr<NamespaceView>> namespaces;  // by nsid - 1
    AnaViews ana;                                            // by listener; of no use without ana_reporting
    uint64_t openings = 0;                                   // how many namespaces there were so far
    uint32_t selective_count = 0;                            // of those that are there
    // I/O executed by this poll group, for the SMART log.
    uint64_t read_commands = 0;
    uint64_t write_commands = 0;
    uint64_t read_bytes = 0;
    uint64_t written_bytes = 0;
    bool is_admin_paused = false;
    uint32_t admin_outstanding = 0;
    WaitList admin_drained;
    std::map<std::string, std::unique_ptr<HostLane>, std::less<>> host_lanes;  // of the hosts with limits, by NQN
    // Requests that wait for the end of a pause, in the order in which they came.
    IntrusiveList<Request, &Request::parked_link> held;
};

}  // namespace weft::nvmf
