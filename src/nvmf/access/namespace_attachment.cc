// Namespace Attachment (NVMe Base 2.0, 5.20): a host takes namespaces away from its own controllers, and back. What the
// administrator does not show it, and controllers of other hosts, it cannot reach by this.
#include "nvme/identify.h"
#include "nvmf/controller/controller.h"
#include "nvmf/execute.h"
#include "nvmf/poll_group.h"
#include "nvmf/target.h"

namespace weft::nvmf {

namespace {

namespace status = nvme::status;

constexpr uint32_t select_mask = 0xF;  // CDW10, SEL
constexpr uint32_t select_attach = 0;
constexpr uint32_t select_detach = 1;

nvme::Status status_of(Attachment outcome, bool is_attached) {
    switch (outcome) {
        case Attachment::done: return status::success;
        case Attachment::no_namespace: return status::invalid_namespace_or_format.with_dnr();
        case Attachment::bad_controller: return status::controller_list_invalid.with_dnr();
        case Attachment::busy: return status::command_interrupted;  // to be tried again
        case Attachment::is_so_already:
            return (is_attached ? status::namespace_already_attached : status::namespace_not_attached).with_dnr();
    }
    return status::internal_error;
}

// The controllers of a list; empty when it is not in order: 1 to 2047 of them, ascending (4.6.1).
std::vector<uint16_t> controllers_of(const nvme::ControllerList& list) {
    std::vector<uint16_t> cntlids;
    if (list.count > list.cntlid.size()) return {};
    for (size_t at = 0; at < list.count; ++at) {
        if (!cntlids.empty() && list.cntlid[at] <= cntlids.back()) return {};
        cntlids.push_back(list.cntlid[at]);
    }
    return cntlids;
}

}  // namespace

void Controller::namespace_attachment(Request& request) {
    const uint32_t select = request.command.cdw10 & select_mask;
    if (select != select_attach && select != select_detach) return complete(request, status::invalid_field.with_dnr());
    const uint32_t nsid = request.command.nsid;
    if (nsid == 0 || nsid > subsystem_->identity.max_namespaces) {
        return complete(request, status::invalid_namespace_or_format.with_dnr());
    }
    auto cntlids = controllers_of(load<nvme::ControllerList>(request.control_data()));
    if (cntlids.empty()) return complete(request, status::controller_list_invalid.with_dnr());
    // The change pauses this very queue: it waits for all admin commands but this one.
    admin_command_over(request);
    spawn([](Controller& self, Request& asking, uint32_t id, std::vector<uint16_t> wanted,
             bool is_attached) -> Task<void> {
        if (!self.gate_.try_enter()) co_return self.complete(asking, status::aborted_sq_deletion);
        Target& target = self.group_.target();
        const std::string nqn = self.subsystem_->identity.nqn;
        const std::string hostnqn = self.identity_.hostnqn;
        co_await resume_on(target.thread());
        Attachment outcome = Attachment::no_namespace;
        if (Subsystem* subsystem = target.find_subsystem(nqn)) {
            outcome = co_await subsystem->attach_namespace(id, hostnqn, std::move(wanted), is_attached);
        }
        co_await resume_on(self.group_.thread());
        self.complete(asking, status_of(outcome, is_attached));
        self.gate_.leave();
    }(*this, request, nsid, std::move(cntlids), select == select_attach));
}

}  // namespace weft::nvmf
