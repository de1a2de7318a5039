#include "sim/rig.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "base/log.h"

namespace weft::test {

Rig::Rig(uint64_t seed, RigOptions options) : world_(seed, options.world) {
    log::set_print_level(log::Level::warning);
    target_environment_ = world_.make_environment("target");
    RuntimeOptions runtime_options{.cpus = {}, .pin = false, .spin = 0};
    for (size_t cpu = 0; cpu < options.data_reactors; ++cpu) runtime_options.cpus.push_back(cpu);
    target_runtime_ = std::move(*Runtime::create(*target_environment_, runtime_options));
    target_ = std::make_unique<nvmf::Target>(*target_runtime_, bdevs_, "nvmf_tgt");
    for (size_t at = 0; at < options.hosts; ++at) {
        Host host;
        host.environment = world_.make_environment("host" + std::to_string(at));
        host.runtime = std::move(*Runtime::create(*host.environment, {.cpus = {}, .pin = false, .spin = 0}));
        const CurrentThread scope(&host.runtime->app_thread());
        host.group = std::move(*nvme_host::tcp::ConnectionGroup::create(host.runtime->app_thread()));
        hosts_.push_back(std::move(host));
    }
    run([](nvmf::Target& target) -> Task<void> {
        const Result<void> started = co_await target.start();
        EXPECT_TRUE(started) << started.error().message;
    }(*target_));
}

Rig::~Rig() {
    for (Host& host : hosts_) {
        const CurrentThread scope(&host.runtime->app_thread());
        host.group.reset();
    }
    run([](Rig& rig) -> Task<void> {
        co_await rig.target_->stop();
        for (bdev::Device* device : rig.bdevs_.all()) (void)co_await rig.bdevs_.remove(device->name());
    }(*this));
    run_for(10 * env::ns_per_ms);  // channels and the like go by messages
}

bool Rig::turn() {
    std::vector<Reactor*> reactors = target_runtime_->reactors();
    for (Host& host : hosts_) {
        for (Reactor* reactor : host.runtime->reactors()) reactors.push_back(reactor);
    }
    for (size_t at = reactors.size(); at > 1; --at) std::swap(reactors[at - 1], reactors[world_.prng().below(at)]);
    bool worked = false;
    for (Reactor* reactor : reactors) worked |= reactor->turn();
    return worked;
}

void Rig::run_for(env::TimeNs time) {
    const env::TimeNs end = world_.now() + time;
    for (;;) {
        if (turn()) continue;
        env::TimeNs next = world_.next_event_time();
        next = std::min(next, target_runtime_->control().next_deadline());
        for (Reactor* reactor : target_runtime_->reactors()) next = std::min(next, reactor->next_deadline());
        for (Host& host : hosts_) {
            for (Reactor* reactor : host.runtime->reactors()) next = std::min(next, reactor->next_deadline());
        }
        if (next > end) {
            world_.advance_to(end);
            return;
        }
        world_.advance_to(std::max(next, world_.now()));
        world_.deliver_due_events();
    }
}

void Rig::run_on(Thread& thread, Task<void> task, env::TimeNs limit) {
    bool done = false;
    {
        const CurrentThread scope(&thread);
        spawn([](Task<void> inner, bool& flag) -> Task<void> {
            co_await std::move(inner);
            flag = true;
        }(std::move(task), done));
    }
    const env::TimeNs end = world_.now() + limit;
    while (!done && world_.now() < end) run_for(env::ns_per_ms);
    // A task that is still running holds references into the test: there is no going on.
    if (!done) {
        ADD_FAILURE() << "a task did not end within " << limit / env::ns_per_s << " s of virtual time";
        std::abort();
    }
}

env::Address Rig::target_address() { return world_.address_of("target", env::Family::ipv4, port); }

Task<void> Rig::export_device(std::unique_ptr<bdev::Device> device, nvmf::TransportOptions options) {
    std::string name = device->name();
    auto added = bdevs_.add(std::move(device));
    EXPECT_TRUE(added);
    co_await export_device(std::move(name), std::move(options));
}

Task<void> Rig::export_device(std::string name, nvmf::TransportOptions options) {
    if (target_->find_transport("tcp") == nullptr) {
        const Result<void> transport = co_await target_->create_transport(std::move(options));
        EXPECT_TRUE(transport) << transport.error().message;
    }
    nvmf::Subsystem* subsystem = target_->find_subsystem(nqn);
    if (subsystem == nullptr) {
        auto made = co_await target_->create_subsystem({.nqn = nqn, .allow_any_host = true});
        EXPECT_TRUE(made) << made.error().message;
        subsystem = *made;
        auto address = nvmf::normalise("tcp", "", target_address().host, std::to_string(port));
        EXPECT_TRUE(address);
        const Result<void> listening = co_await subsystem->add_listener(*address, *target_->find_transport("tcp"));
        EXPECT_TRUE(listening) << listening.error().message;
    }
    const auto nsid = co_await subsystem->add_namespace({.bdev_name = name});
    EXPECT_TRUE(nsid) << nsid.error().message;
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
    for (nvmf::PollGroup* group : target_->poll_groups()) {
        const CurrentThread scope(&group->thread());
        idle = idle && group->qpairs.empty() && group->controllers().empty();
    }
    return idle;
}

}  // namespace weft::test
