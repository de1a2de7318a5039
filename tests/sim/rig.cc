#include "sim/rig.h"

#include <algorithm>

#include "base/log.h"
#include "sim/failure.h"

namespace weft::test {

Rig::Rig(uint64_t seed, RigOptions options) : world_(seed, options.world), data_reactors_(options.data_reactors) {
    log::set_print_level(log::Level::warning);
    start_target();
    for (size_t at = 0; at < options.hosts; ++at) {
        Host host;
        host.environment = world_.make_environment("host" + std::to_string(at));
        host.runtime = std::move(*Runtime::create(*host.environment, {.cpus = {}, .pin = false, .spin = 0}));
        const CurrentThread scope(&host.runtime->app_thread());
        host.group = std::move(*nvme_host::tcp::ConnectionGroup::create(host.runtime->app_thread()));
        add_seats(*host.runtime, false);
        hosts_.push_back(std::move(host));
    }
    run([](nvmf::Target& target) -> Task<void> {
        const Result<void> started = co_await target.start();
        expect(started.has_value(), started ? "" : started.error().message);
    }(*side_->target));
}

Rig::~Rig() {
    for (Host& host : hosts_) {
        const CurrentThread scope(&host.runtime->app_thread());
        host.group.reset();
    }
    stop_target();
}

void Rig::start_target() {
    side_ = std::make_unique<TargetSide>();
    side_->environment = world_.make_environment("target");
    RuntimeOptions options{.cpus = {}, .pin = false, .spin = 0};
    for (size_t cpu = 0; cpu < data_reactors_; ++cpu) options.cpus.push_back(cpu);
    side_->runtime = std::move(*Runtime::create(*side_->environment, options));
    side_->target = std::make_unique<nvmf::Target>(*side_->runtime, side_->bdevs, "nvmf_tgt");
    add_seats(*side_->runtime, true);
}

DeviceModules& Rig::modules() {
    if (side_->modules == nullptr) side_->modules = std::make_unique<DeviceModules>(side_->bdevs, *side_->runtime);
    return *side_->modules;
}

void Rig::stop_target() {
    if (side_ == nullptr) return;
    run([](Rig& rig) -> Task<void> {
        co_await rig.target().stop();
        co_await rig.bdevs().remove_all();
    }(*this));
    run_for(10 * env::ns_per_ms);  // channels and the like go by messages
    std::erase_if(seats_, [](const Seat& seat) { return seat.is_target; });
    side_.reset();
}

void Rig::crash_target(Death death) {
    // Coroutines of it are suspended for ever, in the middle of anything: there is nothing that could be destroyed.
    // Nor at the end of the program: a target that was not stopped is a broken invariant there.
    static auto* const graveyard = new std::vector<std::unique_ptr<TargetSide>>;
    if (death == Death::killed) {
        world_.kill("target");
    } else {
        world_.crash("target");
    }
    std::erase_if(seats_, [](const Seat& seat) { return seat.is_target; });
    graveyard->push_back(std::move(side_));
}

void Rig::add_seats(Runtime& runtime, bool is_target) {
    for (Reactor* reactor : runtime.reactors()) seats_.push_back({.reactor = reactor, .is_target = is_target});
}

bool Rig::is_due(const Seat& seat) const {
    if (seat.frozen_until > world_.now()) return false;
    if (!seat.is_resting || world_.may_be_ready(seat.waiter)) return true;
    // Asked anew: a test may have started a timer from outside.
    return std::min(seat.deadline, seat.reactor->next_deadline()) <= world_.now();
}

bool Rig::turn() {
    due_.clear();
    for (Seat& seat : seats_) {
        if (is_due(seat)) due_.push_back(&seat);
    }
    bool worked = false;
    for (size_t left = due_.size(); left > 0; --left) {
        if (left > 1) std::swap(due_[left - 1], due_[world_.prng().below(left)]);
        Seat& seat = *due_[left - 1];
        if (seat.is_resting) seat.reactor->end_rest();
        seat.is_resting = false;
        if (seat.reactor->turn()) {
            worked = true;
            continue;
        }
        if (const auto rest = seat.reactor->begin_rest()) {
            seat.is_resting = true;
            seat.waiter = rest->descriptor;
            seat.deadline = rest->deadline;
            worked = worked || is_due(seat);  // it would wake at once
        }
    }
    return worked;
}

env::TimeNs Rig::next_time() const {
    env::TimeNs next = world_.next_event_time();
    for (const Seat& seat : seats_) {
        env::TimeNs deadline = seat.reactor->next_deadline();
        if (seat.is_resting) deadline = std::min(deadline, seat.deadline);
        next = std::min(next, std::max(deadline, seat.frozen_until));
        if (seat.frozen_until > world_.now()) next = std::min(next, seat.frozen_until);
    }
    return next;
}

void Rig::run_until(env::TimeNs end, const std::function<bool()>& is_over) {
    for (;;) {
        if (is_over != nullptr && is_over()) return;
        if (turn()) continue;
        const env::TimeNs next = next_time();
        if (next > end) {
            world_.advance_to(end);
            return;
        }
        world_.advance_to(std::max(next, world_.now()));
        world_.deliver_due_events();
    }
}

void Rig::run_for(env::TimeNs time) { run_until(world_.now() + time, nullptr); }

void Rig::run_on(Thread& thread, Task<void> task, env::TimeNs limit) {
    bool done = false;
    {
        const CurrentThread scope(&thread);
        spawn([](Task<void> inner, bool& flag) -> Task<void> {
            co_await yield();  // into a turn of the reactor, whose clock is right
            co_await std::move(inner);
            flag = true;
        }(std::move(task), done));
    }
    run_until(world_.now() + limit, [&done] { return done; });
    // A task that is still running holds references into the test: there is no going on.
    if (!done) {
        fail_simulation("a task did not end within " + std::to_string(limit / env::ns_per_s) + " s of virtual time");
        std::abort();
    }
}

env::Address Rig::target_address() { return world_.address_of("target", env::Family::ipv4, port); }

Task<void> Rig::export_device(std::unique_ptr<bdev::Device> device, nvmf::TransportOptions options) {
    std::string name = device->name();
    auto added = bdevs().add(std::move(device));
    expect(added.has_value(), "adding a device");
    co_await export_device(std::move(name), std::move(options));
}

Task<void> Rig::export_device(std::string name, nvmf::TransportOptions options) {
    if (target().find_transport("tcp") == nullptr) {
        const Result<void> transport = co_await target().create_transport(std::move(options));
        expect(transport.has_value(), transport ? "" : transport.error().message);
    }
    nvmf::Subsystem* subsystem = target().find_subsystem(nqn);
    if (subsystem == nullptr) {
        auto made = co_await target().create_subsystem({.nqn = nqn, .allow_any_host = true});
        expect(made.has_value(), made ? "" : made.error().message);
        subsystem = *made;
        auto address = nvmf::normalise("tcp", "", target_address().host, std::to_string(port));
        expect(address.has_value(), "an address");
        const Result<void> listening = co_await subsystem->add_listener(*address, *target().find_transport("tcp"));
        expect(listening.has_value(), listening ? "" : listening.error().message);
    }
    const auto nsid = co_await subsystem->add_namespace({.bdev_name = name});
    expect(nsid.has_value(), nsid ? "" : nsid.error().message);
}

nvme_host::ControllerOptions Rig::host_options(size_t host) {
    nvme_host::ControllerOptions options;
    options.address = target_address();
    options.subnqn = nqn;
    options.hostnqn = "nqn.2014-08.org.nvmexpress:uuid:00000000-0000-4000-8000-00000000000" + std::to_string(host);
    options.hostid[15] = static_cast<uint8_t>(host + 1);
    options.io_queue_max = 4;
    return options;
}

bool Rig::target_is_idle() {
    bool idle = true;
    for (nvmf::PollGroup* group : target().poll_groups()) {
        const CurrentThread scope(&group->thread());
        idle = idle && group->qpairs.empty() && group->controllers().empty();
    }
    return idle;
}

}  // namespace weft::test
