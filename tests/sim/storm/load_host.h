// A host that does nothing wrong: connects, reads, writes and checks what it gets, connects again when the connection
// is lost, until the storm's commands are used up.
#pragma once

#include <deque>
#include <memory>
#include <vector>

#include "nvme_host/controller.h"
#include "sim/storm/lane.h"
#include "sim/storm/storm.h"

namespace weft::sim {

class LoadHost {
public:
    // Host machine `number` of the rig.
    LoadHost(Storm& storm, size_t number);
    LoadHost(const LoadHost&) = delete;
    LoadHost& operator=(const LoadHost&) = delete;
    ~LoadHost();

    void start();
    // It has disconnected for good.
    [[nodiscard]] bool is_finished() const { return is_finished_; }
    // Reads every device through, and checks it. On the host's thread, when nobody writes.
    Task<void> verify_all();
    // What it is waiting for, for messages.
    [[nodiscard]] std::string describe() const;

private:
    // A write whose answer was lost: it may go on until its association has ended.
    struct Unsettled {
        size_t device = 0;
        SectorRange range;
        RegisterModel::Tick began = 0;
    };

    Task<void> run();
    Task<bool> work();
    Task<void> abort_something(uint16_t sqid);
    [[nodiscard]] nvme_host::ControllerOptions options();
    [[nodiscard]] bool has_old_connections();
    void settle();
    void note_end(const Error& why);
    bool take_command();

    Storm& storm_;
    const size_t number_;
    const HostPlan plan_;
    Prng prng_;
    std::unique_ptr<nvme_host::Controller> controller_;
    std::vector<std::unique_ptr<Lane>> lanes_;
    std::vector<Unsettled> unsettled_;
    size_t busy_lanes_ = 0;
    uint64_t round_ends_at_ = 0;  // of commands done by this host: then it leaves and comes back
    uint64_t commands_ = 0;
    WaitList all_idle_;
    bool is_finished_ = false;
};

}  // namespace weft::sim
