#include "nvmf/discovery/announcer.h"

#include <fmt/format.h>

#include <set>

#include "base/assert.h"
#include "base/log.h"
#include "nvme/fabrics.h"
#include "nvmf/target.h"

namespace weft::nvmf {

Announcer::Announcer(Target& target)
    : target_(target),
      timer_(target.thread(), [](void* self) { spawn(static_cast<Announcer*>(self)->look_again()); }, this) {}

Announcer::~Announcer() { WEFT_ASSERT(directory_ == nullptr); }

// The name is made of the machine and the port: the same after a restart, and nobody else's.
std::vector<env::ServiceRecord> Announcer::services() const {
    std::vector<env::ServiceRecord> found;
    const Subsystem* discovery = target_.find_subsystem(nvme::discovery_nqn);
    if (discovery == nullptr) return found;
    const std::string machine = target_.environment().machine_id();
    std::set<uint16_t> ports;
    for (const Subsystem::Listener& listener : discovery->listeners()) {
        const auto address = address_of(listener.address);
        if (!address || !ports.insert(address->port).second) continue;
        found.push_back({.name = fmt::format("weft {} {}", machine.substr(0, 8), address->port),
                         .type = "_nvme-disc._tcp",
                         .port = address->port,
                         .text = {"p=tcp", fmt::format("nqn={}", target_.discovery_nqn())}});
    }
    return found;
}

Task<Result<void>> Announcer::announce() {
    const AsyncMutex::Guard guard = co_await one_at_a_time_.lock();
    if (!directory_) co_return Result<void>{};
    std::vector<env::ServiceRecord> wanted = services();
    const auto announced = co_await offload([this, &wanted] { return directory_->announce(wanted); });
    if (!announced) co_return announced;
    announced_ = std::move(wanted);
    co_return Result<void>{};
}

Task<Result<void>> Announcer::start() {
    if (is_on()) co_return fail(Errc::already_exists, "mDNS: the discovery service is announced already");
    if (services().empty()) {
        co_return fail(Errc::invalid_argument,
                       "mDNS: the discovery subsystem listens nowhere: add a listener to it first");
    }
    directory_ = target_.environment().make_service_directory();
    auto announced = co_await announce();
    if (!announced) {
        co_await stop();
        co_return announced;
    }
    timer_.start_after(look_again_after);
    co_return Result<void>{};
}

Task<void> Announcer::stop() {
    timer_.stop();
    const AsyncMutex::Guard guard = co_await one_at_a_time_.lock();
    if (!directory_) co_return;
    co_await offload([this] {
        directory_.reset();
        return true;
    });
    announced_.clear();
}

void Announcer::refresh() {
    if (!is_on() || services() == announced_) return;
    spawn([](Announcer& self) -> Task<void> {
        if (const auto done = co_await self.announce(); !done) WEFT_WARNLOG("{}", done.error().message);
    }(*this));
}

Task<void> Announcer::look_again() {
    bool is_there = true;
    {
        const AsyncMutex::Guard guard = co_await one_at_a_time_.lock();
        if (!directory_) co_return;
        is_there = announced_.empty() || co_await offload([this] { return directory_->is_announced(); });
    }
    if (!is_there) {
        if (const auto done = co_await announce(); !done) WEFT_WARNLOG("{}", done.error().message);
    }
    if (is_on()) timer_.start_after(look_again_after);
}

}  // namespace weft::nvmf
