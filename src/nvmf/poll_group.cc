#include "nvmf/poll_group.h"

#include <algorithm>

#include "base/assert.h"
#include "nvmf/controller/controller.h"
#include "nvmf/transport.h"

namespace weft::nvmf {

class PollGroup::GroupPoller final : public Poller {
public:
    explicit GroupPoller(PollGroup& group) : Poller(group.thread(), group.name(), 0), group_(group) {}
    uint32_t poll() override { return group_.poll(); }
    Sleep prepare_sleep() override {
        for (const auto& transport : group_.transports_) {
            if (transport->has_work()) return Sleep::no;
        }
        return group_.retrying_.empty() ? Sleep::until_woken : Sleep::briefly;
    }

private:
    PollGroup& group_;
};

PollGroup::PollGroup(Target& target, Thread& thread)
    : target_(target), thread_(thread), poller_(std::make_unique<GroupPoller>(*this)) {}

PollGroup::~PollGroup() {
    WEFT_ASSERT(poller_ == nullptr);
    WEFT_ASSERT(controllers_.empty());
}

uint32_t PollGroup::poll() {
    uint32_t work = 0;
    // Those parked in this round wait for the next.
    const size_t waiting = retrying_.size();
    for (size_t left = waiting; left > 0 && !retrying_.empty(); --left) {
        Request& request = *retrying_.pop_front();
        --stats.pending_bdev_io;
        request.qpair->resume(request);
    }
    // To be refused once more is no work: a turn of that alone is idle.
    work += static_cast<uint32_t>(waiting - std::min(waiting, retrying_.size()));
    for (const auto& transport : transports_) work += transport->poll();
    return work;
}

void PollGroup::park_for_retry(Request& request) {
    request.move(RequestEvent::retry);
    retrying_.push_back(request);
    ++stats.pending_bdev_io;
}

void PollGroup::unpark(Request& request) {
    WEFT_ASSERT(request.state() == RequestState::retrying);
    retrying_.remove(request);
    --stats.pending_bdev_io;
}

void PollGroup::add_subsystem(SubsystemIdentity identity) {
    WEFT_ASSERT(thread_.is_current());
    const uint32_t id = identity.id;
    if (subsystems_.size() <= id) subsystems_.resize(size_t{id} + 1);
    WEFT_ASSERT(subsystems_[id] == nullptr);
    subsystems_[id] = std::make_unique<SubsystemView>(std::move(identity));
}

void PollGroup::remove_subsystem(uint32_t id) {
    WEFT_ASSERT(thread_.is_current());
    subsystems_.at(id).reset();
}

Controller* PollGroup::find_controller(uint64_t uid) const {
    const auto found = controllers_.find(uid);
    return found == controllers_.end() ? nullptr : found->second.get();
}

Controller& PollGroup::add_controller(std::unique_ptr<Controller> controller) {
    const uint64_t uid = controller->uid();
    return *controllers_.emplace(uid, std::move(controller)).first->second;
}

void PollGroup::remove_controller(uint64_t uid) { controllers_.erase(uid); }

Qpair* PollGroup::find_qpair(uint64_t uid) const {
    for (Qpair* qpair = qpairs.front(); qpair != nullptr; qpair = decltype(qpairs)::next(*qpair)) {
        if (qpair->uid() == uid) return qpair;
    }
    return nullptr;
}

void PollGroup::add_transport(std::unique_ptr<TransportGroup> transport) {
    WEFT_ASSERT(thread_.is_current());
    transports_.push_back(std::move(transport));
}

TransportGroup* PollGroup::transport_group(const Transport& transport) const {
    for (const auto& group : transports_) {
        if (&group->transport() == &transport) return group.get();
    }
    return nullptr;
}

BufferCacheStats PollGroup::buffer_stats() const {
    BufferCacheStats total;
    for (const auto& group : transports_) {
        const BufferCacheStats cache = group->buffer_stats();
        total.from_cache += cache.from_cache;
        total.from_shared += cache.from_shared;
        total.waited += cache.waited;
    }
    return total;
}

void PollGroup::retire_figures(const Qpair& qpair) {
    if (qpair.io == nullptr) return;
    const bool is_known = past_hosts_.contains(qpair.hostnqn) || past_hosts_.size() < past_hosts_max;
    past_hosts_[is_known ? qpair.hostnqn : std::string()].add(qpair.io->figures());
}

bool PollGroup::is_idle() const {
    return qpairs.empty() && controllers_.empty() &&
           std::all_of(transports_.begin(), transports_.end(), [](const auto& group) { return group->is_empty(); });
}

void PollGroup::close_all(std::string_view why) {
    for (const auto& group : transports_) group->close_all(why);
}

void PollGroup::shut_down() {
    WEFT_ASSERT(thread_.is_current() && is_idle());
    poller_.reset();
    transports_.clear();
    subsystems_.clear();
}

}  // namespace weft::nvmf
