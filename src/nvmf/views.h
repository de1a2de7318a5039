// What a poll group knows of a subsystem: its own immutable copy and its own channels, reached from the data path
// by two array look-ups (subsystem id, nsid - 1). Changed only on the poll group's thread, by Subsystem, while the
// namespace concerned is paused.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "base/intrusive_list.h"
#include "base/uuid.h"
#include "bdev/device.h"
#include "nvmf/figures.h"
#include "nvmf/request.h"
#include "reactor/task.h"

namespace weft::nvmf {

// Never changes while the namespace is there.
struct NamespaceIdentity {
    uint32_t nsid = 0;
    std::string bdev_name;
    std::array<uint8_t, 16> nguid{};
    std::array<uint8_t, 8> eui64{};
    Uuid uuid;
    uint32_t anagrpid = 0;
};

struct NamespaceView {
    NamespaceIdentity identity;
    uint64_t opening = 0;      // tells it from others that had its NSID before: SubsystemView::openings
    bdev::Device* device = nullptr;
    ChannelRef<bdev::Channel> channel;
    uint32_t block_bytes = 0;
    uint8_t block_shift = 0;
    bool is_paused = false;
    uint32_t outstanding = 0;  // requests that use the channel or memory lent by it
    IoMeter io;                // commands answered by this poll group
    WaitList drained;          // woken when outstanding falls to 0 while paused
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
    std::vector<std::unique_ptr<NamespaceView>> namespaces;  // by nsid - 1
    uint64_t openings = 0;                                   // how many namespaces there were so far
    // I/O executed by this poll group, for the SMART log.
    uint64_t read_commands = 0;
    uint64_t write_commands = 0;
    uint64_t read_bytes = 0;
    uint64_t written_bytes = 0;
    bool is_admin_paused = false;
    uint32_t admin_outstanding = 0;
    WaitList admin_drained;
    // Requests that wait for the end of a pause, in the order in which they came.
    IntrusiveList<Request, &Request::parked_link> held;
};

}  // namespace weft::nvmf
