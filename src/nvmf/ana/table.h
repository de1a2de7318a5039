// The ANA states of one listener: the ones that count. App thread; poll groups have copies (view.h).
#pragma once

#include <cstdint>
#include <map>
#include <vector>

#include "base/result.h"
#include "nvme/log_page.h"
#include "nvmf/transport_id.h"

namespace weft::nvmf {

// "optimized", "non_optimized", "inaccessible", "persistent_loss", "change".
std::string_view name_of(nvme::AnaState state);
// Errors: invalid_argument, naming what there is.
Result<nvme::AnaState> parse_ana_state(std::string_view name);

// A state for a group on the way through a listener.
struct AnaChange {
    TransportId listener;
    uint32_t group = 0;  // 0: all
    nvme::AnaState state = nvme::AnaState::optimized;
};

class AnaTable {
public:
    // No groups: ANA is not reported.
    AnaTable() = default;
    AnaTable(uint32_t group_count, nvme::AnaState state) : all_(state), states_(group_count, state) {}

    [[nodiscard]] const std::vector<nvme::AnaState>& states() const { return states_; }
    [[nodiscard]] nvme::AnaState state_of(uint32_t group) const { return states_.at(group - 1); }
    // What all groups were set to last; some may have been set to others since.
    [[nodiscard]] nvme::AnaState state_of_all() const { return all_; }
    // Whether anything is different then. Group 0: all.
    bool set(uint32_t group, nvme::AnaState state);
    // The group has other namespaces than before, which the log tells too.
    void note_members(uint32_t group);

    // How often the log has changed, and the group in it (NVMe Base 2.0, 5.16.1.13).
    [[nodiscard]] uint64_t change_count() const { return change_count_; }
    [[nodiscard]] uint64_t change_count_of(uint32_t group) const;

private:
    nvme::AnaState all_ = nvme::AnaState::optimized;
    std::vector<nvme::AnaState> states_;  // by group - 1
    uint64_t change_count_ = 0;
    std::map<uint32_t, uint64_t> group_changes_;  // of groups that changed
};

// The log page (LID 0Ch): the groups that have namespaces. `members`: NSIDs by group, each in rising order.
std::vector<std::byte> ana_log(const AnaTable& table, const std::map<uint32_t, std::vector<uint32_t>>& members,
                               bool groups_only);

}  // namespace weft::nvmf
