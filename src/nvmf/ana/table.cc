#include "nvmf/ana/table.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <utility>

#include "base/bytes.h"
#include "base/log.h"

namespace weft::nvmf {

namespace {

constexpr std::array<std::pair<nvme::AnaState, std::string_view>, 5> names{{
    {nvme::AnaState::optimized, "optimized"},
    {nvme::AnaState::non_optimized, "non_optimized"},
    {nvme::AnaState::inaccessible, "inaccessible"},
    {nvme::AnaState::persistent_loss, "persistent_loss"},
    {nvme::AnaState::change, "change"},
}};

template <class T>
void append(std::vector<std::byte>& page, const T& part) {
    const Bytes bytes = bytes_of(part);
    page.insert(page.end(), bytes.begin(), bytes.end());
}

}  // namespace

std::string_view name_of(nvme::AnaState state) {
    const auto found = std::ranges::find(names, state, &std::pair<nvme::AnaState, std::string_view>::first);
    return found == names.end() ? "?" : found->second;
}

Result<nvme::AnaState> parse_ana_state(std::string_view name) {
    const auto found = std::ranges::find(names, name, &std::pair<nvme::AnaState, std::string_view>::second);
    if (found != names.end()) return found->first;
    return fail(
        Errc::invalid_argument,
        fmt::format("ana_state: \"{}\" is none of optimized, non_optimized, inaccessible, persistent_loss, change",
                    log::quoted(name, 64)));
}

bool AnaTable::set(uint32_t group, nvme::AnaState state) {
    if (group != 0) {
        if (std::exchange(states_.at(group - 1), state) == state) return false;
        note_members(group);
        return true;
    }
    bool is_changed = std::exchange(all_, state) != state;
    for (uint32_t one = 1; one <= states_.size(); ++one) is_changed = set(one, state) || is_changed;
    return is_changed;
}

void AnaTable::note_members(uint32_t group) {
    ++change_count_;
    ++group_changes_[group];
}

uint64_t AnaTable::change_count_of(uint32_t group) const {
    const auto found = group_changes_.find(group);
    return found == group_changes_.end() ? 0 : found->second;
}

std::vector<std::byte> ana_log(const AnaTable& table, const std::map<uint32_t, std::vector<uint32_t>>& members,
                               bool groups_only) {
    std::vector<std::byte> page;
    nvme::AnaHeader header;
    header.change_count = table.change_count();
    header.group_count = static_cast<uint16_t>(members.size());
    append(page, header);
    for (const auto& [group, nsids] : members) {
        nvme::AnaGroupDescriptor descriptor;
        descriptor.anagrpid = group;
        descriptor.nsid_count = groups_only ? 0 : static_cast<uint32_t>(nsids.size());
        descriptor.change_count = table.change_count_of(group);
        descriptor.state = table.state_of(group);
        append(page, descriptor);
        if (groups_only) continue;
        for (const uint32_t nsid : nsids) append(page, le32(nsid));
    }
    return page;
}

}  // namespace weft::nvmf
