// Asymmetric Namespace Access (NVMe Base 2.0, 8.1): in what state a group of namespaces is on the way through a
// listener. What a poll group knows of it: for each listener one small array by group, which all of its queue pairs
// point at.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <vector>

#include "nvme/log_page.h"
#include "nvme/status.h"
#include "nvmf/transport_id.h"

namespace weft::nvmf {

constexpr bool is_accessible(nvme::AnaState state) {
    return state == nvme::AnaState::optimized || state == nvme::AnaState::non_optimized;
}

// What commands for namespaces of a group in this state fail with (8.1.3). A host tries another path.
constexpr nvme::Status path_status(nvme::AnaState state) {
    switch (state) {
        case nvme::AnaState::optimized:
        case nvme::AnaState::non_optimized: return nvme::status::success;
        case nvme::AnaState::inaccessible: return nvme::status::ana_inaccessible;
        case nvme::AnaState::persistent_loss: return nvme::status::ana_persistent_loss;
        case nvme::AnaState::change: return nvme::status::ana_transition;
    }
    return nvme::status::internal_path_error;
}

// Of one listener, on one poll group's thread. Lives as long as the listener does or a queue pair points at it.
struct AnaView {
    // Groups are numbered from 1; one that is not there is taken for inaccessible.
    [[nodiscard]] nvme::AnaState state_of(uint32_t group) const {
        return group - 1 < states.size() ? states[group - 1] : nvme::AnaState::inaccessible;
    }
    std::vector<nvme::AnaState> states;  // by group - 1
    uint32_t users = 0;                  // queue pairs
    bool is_orphan = false;              // its listener is gone
};

// All of a subsystem's, on one poll group.
class AnaViews {
public:
    // The listener's states from now on.
    void set(const TransportId& listener, std::vector<nvme::AnaState> states);
    // The listener is gone; queue pairs that came through it may be there for a while.
    void remove(const TransportId& listener);
    // nullptr when there is no such listener.
    [[nodiscard]] const AnaView* find(const TransportId& listener) const;
    // For a queue pair, until release(). nullptr: nobody knows the listener, and no state is held against it.
    AnaView* acquire(const TransportId& listener);
    void release(AnaView& view);

private:
    std::map<TransportId, std::unique_ptr<AnaView>> views_;
    std::vector<std::unique_ptr<AnaView>> orphans_;
};

}  // namespace weft::nvmf
