// Asynchronous events and Abort (NVMe Base 2.0, 5.2 and 5.1).
#include <algorithm>

#include "base/mutants.h"
#include "bdev/device.h"
#include "nvmf/controller/controller.h"
#include "nvmf/io/fused.h"
#include "nvmf/io/io_commands.h"
#include "nvmf/poll_group.h"

namespace weft::nvmf {

namespace {

namespace status = nvme::status;
using nvme::AsyncEvent;

// The bit of Asynchronous Event Configuration that turns an event on; 0 for one that is always on, and masked by
// other means (feature 82h).
uint32_t enabling_bit(const AsyncEvent& event) {
    if (event == nvme::async_event::namespace_attribute_changed) return nvme::async_event_bits::namespace_attribute;
    if (event == nvme::async_event::ana_change) return nvme::async_event_bits::ana_change;
    if (event == nvme::async_event::discovery_log_changed) return nvme::async_event_bits::discovery_log;
    return 0;
}

}  // namespace

void Controller::async_event_request(Request& request) {
    if (async_requests_.size() == async_event_max) {
        return complete(request, status::asynchronous_event_limit_exceeded.with_dnr());
    }
    async_requests_.push_back(&request);
    deliver_events();
}

bool Controller::drop_event_request(uint16_t cid) {
    const auto dropped =
        std::ranges::find_if(async_requests_, [cid](const Request* request) { return request->command.cid == cid; });
    if (dropped == async_requests_.end()) return false;
    Request& request = **dropped;
    async_requests_.erase(dropped);
    // As if its connection were gone: it is released, and no completion is sent.
    request.move(RequestEvent::connection_lost);
    complete(request, status::success);
    return true;
}

void Controller::raise(const AsyncEvent& event) {
    // One of a kind is enough: the log that it points to tells all.
    if (std::ranges::find(events_, event) == events_.end()) events_.push_back(event);
    deliver_events();
}

// NVMe Base 2.0, 5.2: once reported, an event is not reported again until its log page was read.
void Controller::deliver_events() {
    for (auto at = events_.begin(); at != events_.end() && !async_requests_.empty();) {
        const uint32_t bit = enabling_bit(*at);
        if ((bit != 0 && (async_event_configuration_ & bit) == 0) || masked_until_read_.contains(at->log_page)) {
            ++at;
            continue;
        }
        Request& request = *async_requests_.front();
        async_requests_.pop_front();
        masked_until_read_.insert(at->log_page);
        request.completion.cdw0 = at->to_cdw0();
        at = events_.erase(at);
        complete(request, status::success);
    }
}

void Controller::log_was_read(nvme::LogPage page) {
    if (masked_until_read_.erase(page) > 0) deliver_events();
}

void Controller::namespace_changed(uint32_t nsid) {
    if (is_discovery()) return;
    // More than the log can list are all the same to it.
    constexpr size_t listed_max = std::tuple_size_v<decltype(nvme::ChangedNamespaceList::nsid)>;
    if (changed_namespaces_.size() <= listed_max) changed_namespaces_.insert(nsid);
    raise(nvme::async_event::namespace_attribute_changed);
}

void Controller::ana_changed() {
    if (subsystem_->identity.ana_reporting) raise(nvme::async_event::ana_change);
}

void Controller::discovery_log_changed() {
    // Hosts that named no keep-alive time do not stay: they are told of nothing (NVMe-oF 1.1, 5.2).
    if (is_discovery() && !is_kato_ours_) raise(nvme::async_event::discovery_log_changed);
}

namespace {

// Ends `victim` early if that can be done; true when its completion says so.
bool abort_request(Request& victim) {
    if (!victim.qpair->is_admin() && is_fused(victim)) return abort_fused(victim);
    switch (victim.state()) {
        case RequestState::waiting_for_buffer:
            // A write that waits has its data, or a part of it, still in the connection: it goes on.
            if (victim.direction == nvme::TransferDirection::host_to_controller) return false;
            [[fallthrough]];
        case RequestState::held:
        case RequestState::limited:
        case RequestState::retrying:
            if (!mutant::on(mutant::abort_completes_twice)) stop_waiting(victim);
            victim.set_status(status::aborted_by_request);
            victim.direction = nvme::TransferDirection::none;
            victim.qpair->send(victim);
            return true;
        case RequestState::executing:
            if (victim.ns == nullptr) return false;
            victim.is_aborted = true;
            return victim.ns->channel->abort(victim.io);
        default: return false;  // nearly done, or its data is on the way
    }
}

Request* find_command(Qpair& qpair, uint16_t cid, const Request* except) {
    for (Request* at = qpair.outstanding.front(); at != nullptr; at = decltype(qpair.outstanding)::next(*at)) {
        if (at != except && at->command.cid == cid) return at;
    }
    return nullptr;
}

}  // namespace

// NVMe Base 2.0, 5.1: bit 0 of CDW0 is clear when the command was aborted.
void Controller::abort(Request& request) {
    const uint16_t sqid = static_cast<uint16_t>(request.command.cdw10 & 0xFFFF);
    const uint16_t cid = static_cast<uint16_t>(request.command.cdw10 >> 16);
    request.completion.cdw0 = 1;
    if (sqid == 0) {
        Request* victim = find_command(*request.qpair, cid, &request);
        const auto waiting = std::ranges::find(async_requests_, victim);
        if (victim != nullptr && waiting != async_requests_.end()) {
            async_requests_.erase(waiting);
            request.completion.cdw0 = 0;
            complete(*victim, status::aborted_by_request);
        } else if (victim != nullptr && victim->state() == RequestState::held && abort_request(*victim)) {
            request.completion.cdw0 = 0;
        }
        return complete(request, status::success);
    }
    const auto queue = queues_.find(sqid);
    if (queue == queues_.end()) return complete(request, status::success);
    spawn([](Controller& self, Request& asking, Queue where, uint16_t victim_cid) -> Task<void> {
        if (!self.gate_.try_enter()) co_return self.complete(asking, status::aborted_sq_deletion);
        co_await resume_on(where.group->thread());
        bool is_aborted = false;
        if (Qpair* qpair = where.group->find_qpair(where.qpair_uid)) {
            if (Request* victim = find_command(*qpair, victim_cid, nullptr)) is_aborted = abort_request(*victim);
        }
        co_await resume_on(self.group_.thread());
        asking.completion.cdw0 = is_aborted ? 0 : 1;
        self.complete(asking, status::success);
        self.gate_.leave();
    }(*this, request, queue->second, cid));
}

}  // namespace weft::nvmf
