// Get Log Page (NVMe Base 2.0, 5.16).
#include <algorithm>

#include "nvme/ascii.h"
#include "nvme/discovery.h"
#include "nvme/identify.h"
#include "nvmf/controller/controller.h"
#include "nvmf/controller/identify.h"
#include "nvmf/io/opcodes.h"
#include "nvmf/poll_group.h"
#include "nvmf/target.h"

namespace weft::nvmf {

namespace {

using nvme::LogPage;
using nvme::Status;
namespace status = nvme::status;

constexpr LogPage io_pages[] = {LogPage::supported_log_pages,
                                LogPage::error_information,
                                LogPage::smart,
                                LogPage::firmware_slot,
                                LogPage::changed_namespace_list,
                                LogPage::commands_supported_and_effects,
                                LogPage::feature_identifiers_effects,
                                LogPage::nvme_mi_commands_effects,
                                LogPage::reservation_notification,
                                LogPage::ana};  // the last: only where ANA is reported
constexpr LogPage discovery_pages[] = {LogPage::supported_log_pages, LogPage::error_information, LogPage::discovery};

std::span<const LogPage> pages_of(const Controller& controller) {
    if (controller.is_discovery()) return discovery_pages;
    const std::span<const LogPage> pages = io_pages;
    return controller.subsystem().identity.ana_reporting ? pages : pages.first(pages.size() - 1);
}

// Copies what the request asks of `page` (offset, length) to its data. Past the end there are zeroes; an
// offset beyond the end is an error (5.16).
Status answer(Request& request, Bytes page) {
    const auto wanted = nvme::LogPageRequest::from(request.command);
    if (wanted.is_index || wanted.offset % 4 != 0 || wanted.offset > page.size()) {
        return status::invalid_field.with_dnr();
    }
    const Bytes rest = page.subspan(wanted.offset);
    std::copy_n(rest.begin(), std::min<size_t>(rest.size(), request.data_bytes), request.control_data().begin());
    return status::success;
}

nvme::SupportedLogPages supported_pages(std::span<const LogPage> pages) {
    nvme::SupportedLogPages page;
    for (const LogPage id : pages) page.lid[static_cast<size_t>(id)] = nvme::SupportedLogPages::supported;
    if (std::ranges::find(pages, LogPage::discovery) != pages.end()) {
        le32& discovery = page.lid[static_cast<size_t>(LogPage::discovery)];
        discovery = discovery | nvme::discovery_supports_extended | nvme::discovery_supports_port_local |
                    nvme::discovery_supports_all;
    }
    return page;
}

nvme::CommandsSupportedAndEffects supported_commands(uint8_t csi) {
    using Effects = nvme::CommandsSupportedAndEffects;
    using nvme::AdminOpcode;
    Effects page;
    for (const AdminOpcode opcode :
         {AdminOpcode::get_log_page, AdminOpcode::identify, AdminOpcode::abort, AdminOpcode::set_features,
          AdminOpcode::get_features, AdminOpcode::async_event_request, AdminOpcode::keep_alive}) {
        page.acs[static_cast<size_t>(opcode)] = Effects::csupp;
    }
    page.acs[static_cast<size_t>(AdminOpcode::get_lba_status)] = Effects::csupp;
    page.acs[static_cast<size_t>(AdminOpcode::namespace_attachment)] = Effects::csupp | Effects::nic;
    for (size_t opcode = 0; opcode < io_traits.size(); ++opcode) {
        const uint8_t traits = io_traits[opcode];
        if ((traits & io_trait::known) == 0) continue;
        if ((traits & io_trait::zoned) != 0 && csi != static_cast<uint8_t>(nvme::CommandSet::zoned)) continue;
        page.iocs[opcode] = Effects::csupp;
        if ((traits & io_trait::writes) != 0) page.iocs[opcode] = Effects::csupp | Effects::lbcc;
    }
    return page;
}

nvme::FeatureIdentifiersEffects supported_features() {
    using Effects = nvme::FeatureIdentifiersEffects;
    using nvme::FeatureId;
    Effects page;
    for (const FeatureId id :
         {FeatureId::arbitration, FeatureId::power_management, FeatureId::temperature_threshold,
          FeatureId::error_recovery, FeatureId::volatile_write_cache, FeatureId::number_of_queues,
          FeatureId::interrupt_coalescing, FeatureId::interrupt_vector_configuration, FeatureId::write_atomicity_normal,
          FeatureId::async_event_configuration, FeatureId::timestamp, FeatureId::keep_alive_timer,
          FeatureId::host_behavior_support, FeatureId::host_identifier}) {
        page.fis[static_cast<size_t>(id)] = Effects::fsupp | Effects::scope_controller;
    }
    for (const FeatureId id : {FeatureId::reservation_notification_mask, FeatureId::reservation_persistence}) {
        page.fis[static_cast<size_t>(id)] = Effects::fsupp | Effects::scope_namespace;
    }
    return page;
}

Bytes bytes_of_errors(const std::list<ErrorEntry>& errors, std::vector<ErrorEntry>& page) {
    page.assign(errors.begin(), errors.end());
    page.resize(64);  // ELPE + 1 entries, unused ones zero
    return std::as_bytes(std::span(page));
}

uint64_t thousands_of_512(uint64_t bytes) { return (bytes / 512 + 999) / 1000; }

}  // namespace

void Controller::get_log_page(Request& request) {
    const auto wanted = nvme::LogPageRequest::from(request.command);
    const std::span<const LogPage> pages = pages_of(*this);
    if (std::ranges::find(pages, wanted.id) == pages.end()) {
        return complete(request, status::invalid_log_page.with_dnr());
    }
    Status outcome = status::success;
    switch (wanted.id) {
        case LogPage::supported_log_pages: outcome = answer(request, bytes_of(supported_pages(pages))); break;
        case LogPage::error_information: {
            std::vector<ErrorEntry> page;
            outcome = answer(request, bytes_of_errors(errors_, page));
            break;
        }
        case LogPage::smart: return spawn(smart_log_task(request));
        case LogPage::firmware_slot: {
            nvme::FirmwareSlotInformation page;
            page.afi = 1;
            nvme::fill_ascii(page.frs[0], firmware_revision);
            outcome = answer(request, bytes_of(page));
            break;
        }
        case LogPage::changed_namespace_list:
            outcome = answer(request, bytes_of(take_changed_namespaces(wanted.retain_event)));
            break;
        case LogPage::commands_supported_and_effects:
            outcome = answer(request, bytes_of(supported_commands(wanted.csi)));
            break;
        case LogPage::feature_identifiers_effects: outcome = answer(request, bytes_of(supported_features())); break;
        case LogPage::reservation_notification: outcome = answer_reservation_notice(request); break;
        case LogPage::ana: return spawn(ana_log_task(request));
        // No command of NVMe-MI: all zero.
        case LogPage::nvme_mi_commands_effects: outcome = answer(request, Bytes(std::array<std::byte, 4096>{})); break;
        case LogPage::discovery: return spawn(discovery_log_task(request));
        default: outcome = status::invalid_log_page.with_dnr(); break;
    }
    if (outcome.is_success() && !wanted.retain_event) log_was_read(wanted.id);
    complete(request, outcome);
}

// A read that is refused, or begins behind the page, takes nothing from the log.
Status Controller::answer_reservation_notice(Request& request) {
    const auto wanted = nvme::LogPageRequest::from(request.command);
    const Status outcome = answer(request, bytes_of(take_reservation_notice(true)));
    if (outcome.is_success() && !wanted.retain_event) (void)take_reservation_notice(false);
    return outcome;
}

Task<void> Controller::ana_log_task(Request& request) {
    if (!gate_.try_enter()) co_return complete(request, status::aborted_sq_deletion);
    Target& target = group_.target();
    const uint32_t subsystem_id = subsystem_->identity.id;
    const auto wanted = nvme::LogPageRequest::from(request.command);
    const bool groups_only = (wanted.lsp & nvme::ana_lsp_groups_only) != 0;
    co_await resume_on(target.thread());
    std::vector<std::byte> page;
    if (const Subsystem* subsystem = target.find_subsystem(subsystem_id)) {
        page = subsystem->ana_log_of(identity_.listener, groups_only);
    }
    co_await resume_on(group_.thread());
    const Status outcome = answer(request, page);
    if (outcome.is_success() && !wanted.retain_event) log_was_read(LogPage::ana);
    complete(request, outcome);
    gate_.leave();
}

nvme::ChangedNamespaceList Controller::take_changed_namespaces(bool retain) {
    nvme::ChangedNamespaceList page;
    if (changed_namespaces_.size() > page.nsid.size()) {
        page.nsid[0] = nvme::ChangedNamespaceList::too_many;
    } else {
        std::ranges::copy(changed_namespaces_, page.nsid.begin());
    }
    if (!retain) changed_namespaces_.clear();
    return page;
}

// SMART / Health: what this target did for the subsystem since it started, over all poll groups.
Task<void> Controller::smart_log_task(Request& request) {
    if (!gate_.try_enter()) co_return complete(request, status::aborted_sq_deletion);
    uint64_t totals[4] = {};
    for (PollGroup* group : group_.target().poll_groups()) {
        co_await resume_on(group->thread());
        const SubsystemView* view = group->subsystem(subsystem_->identity.id);
        if (view == nullptr) continue;
        totals[0] += view->read_bytes;
        totals[1] += view->written_bytes;
        totals[2] += view->read_commands;
        totals[3] += view->write_commands;
    }
    co_await resume_on(group_.thread());
    nvme::SmartInformation page;
    page.composite_temperature = 300;  // kelvin; there is no sensor to ask
    page.available_spare = 100;
    page.available_spare_threshold = 10;
    page.data_units_read.low = thousands_of_512(totals[0]);
    page.data_units_written.low = thousands_of_512(totals[1]);
    page.host_read_commands.low = totals[2];
    page.host_write_commands.low = totals[3];
    page.error_log_entries.low = error_count_;
    complete(request, answer(request, bytes_of(page)));
    gate_.leave();
}

Task<void> Controller::discovery_log_task(Request& request) {
    if (!gate_.try_enter()) co_return complete(request, status::aborted_sq_deletion);
    Target& target = group_.target();
    const auto wanted = nvme::LogPageRequest::from(request.command);
    const DiscoveryQuery query{.hostnqn = identity_.hostnqn,
                               .listener = identity_.listener,
                               .local = identity_.local,
                               .is_extended = (wanted.lsp & nvme::discovery_lsp_extended) != 0,
                               .is_port_local = (wanted.lsp & nvme::discovery_lsp_port_local) != 0,
                               .is_unfiltered = (wanted.lsp & nvme::discovery_lsp_all) != 0};
    co_await resume_on(target.thread());
    const std::vector<std::byte> page = target.discovery_log(query);
    co_await resume_on(group_.thread());
    const Status outcome = answer(request, page);
    if (outcome.is_success() && !wanted.retain_event) log_was_read(LogPage::discovery);
    complete(request, outcome);
    gate_.leave();
}

}  // namespace weft::nvmf
