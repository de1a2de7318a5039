// nvmf_example: a target whose reactors are turned by this program's own threads and loop, not by Weft's.
//
//   nvmf_example -m 0x3 -r /var/tmp/spdk.sock
//
// The target's name is nvmf_example; all else is said by RPC. With -g its poll groups move on to the next reactor now
// and then, while hosts use them. The main thread turns the control reactor and the first data reactor, each other
// thread one data reactor. A loop of this kind is what it takes to bring Weft into a program that has threads and a
// loop already: between two turns it may do whatever else there is, and wait for descriptors of its own in the same
// call of poll().
#include <poll.h>
#include <pthread.h>

#include <algorithm>
#include <array>
#include <ctime>
#include <optional>
#include <thread>
#include <vector>

#include "app/daemon/daemon.h"
#include "app/start/application.h"
#include "base/log.h"
#include "env/linux/os_thread.h"
#include "reactor/reactor.h"

using weft::Reactor;
using weft::Result;
using weft::Runtime;
using weft::Task;
namespace app = weft::app;
namespace env = weft::env;

namespace {

constexpr size_t reactors_per_thread_max = 2;
using Mine = std::vector<Reactor*>;  // of one OS thread, the same for as long as it lives

void wait_for(pollfd* descriptors, size_t count, env::TimeNs deadline, env::Clock& clock) {
    const env::TimeNs now = clock.now();
    const env::TimeNs left = deadline > now ? deadline - now : 0;
    const timespec timeout{.tv_sec = static_cast<time_t>(left / env::ns_per_s),
                           .tv_nsec = static_cast<long>(left % env::ns_per_s)};
    ppoll(descriptors, count, deadline == env::time_never ? nullptr : &timeout, nullptr);
}

// Sleeps until one of them has something to do; not at all when one says that it will not rest.
void rest(const Mine& mine, env::Clock& clock) {
    std::array<pollfd, reactors_per_thread_max> descriptors{};
    env::TimeNs deadline = env::time_never;
    size_t resting = 0;
    for (; resting < mine.size(); ++resting) {
        const auto one = mine[resting]->begin_rest();
        if (!one) break;
        descriptors.at(resting) = {.fd = one->descriptor, .events = POLLIN, .revents = 0};
        deadline = std::min(deadline, one->deadline);
    }
    if (resting == mine.size()) wait_for(descriptors.data(), resting, deadline, clock);
    for (size_t at = 0; at < resting; ++at) mine[at]->end_rest();
}

// Until the first of them is asked to stop.
void turn(const Mine& mine, env::Clock& clock) {
    for (Reactor* reactor : mine) reactor->set_os_thread_id(env::current_os_thread_id());
    while (!mine.front()->is_stopping()) {
        bool has_worked = false;
        for (Reactor* reactor : mine) has_worked |= reactor->turn();
        if (!has_worked) rest(mine, clock);
    }
}

// Our loop in place of Weft's: see weft::app::Application::Loop.
Result<void> turn_all(Runtime& runtime) {
    env::Clock& clock = runtime.environment().clock();
    Mine mains{&runtime.control()};
    std::vector<std::thread> others;
    for (const auto& reactor : runtime.data_reactors()) {
        if (mains.size() < reactors_per_thread_max) {
            mains.push_back(reactor.get());
            continue;
        }
        others.emplace_back([&clock, mine = Mine{reactor.get()}] { turn(mine, clock); });
        pthread_setname_np(others.back().native_handle(), reactor->name().substr(0, 15).c_str());
    }
    WEFT_NOTICELOG("{} reactors in {} threads of our own", runtime.data_reactors().size(), others.size() + 1);
    turn(mains, clock);  // until the control reactor is stopped, which is when `live` has ended
    for (const auto& reactor : runtime.data_reactors()) reactor->stop();
    for (std::thread& other : others) other.join();
    return {};
}

// Moves every poll group to the next reactor once in `period`, until the gate is closed.
Task<void> wander(Runtime& runtime, env::TimeNs period, weft::Gate& gate) {
    if (!gate.try_enter()) co_return;
    weft::Placement& placement = runtime.placement();
    while (!gate.is_closing()) {
        for (const auto& place : co_await placement.look()) {
            const size_t next = (place.reactor + 1) % runtime.data_reactors().size();
            const auto moved = co_await placement.move(place.thread_id, next);
            if (!moved) WEFT_NOTICELOG("{} stays: {}", place.name, moved.error().message);
        }
        co_await weft::sleep_for(period);
    }
    gate.leave();
}

// The target, from its start to its end. It is destroyed by main(), when nobody turns reactors any more.
Task<int> live(app::Application& program, const app::DaemonOptions& options, uint32_t wander_us,
               std::optional<app::Daemon>& made) {
    app::Daemon& target = made.emplace(program.runtime(), options);
    target.on_stop_request = [&program](int) { program.request_stop(); };
    if (auto started = co_await target.start(); !started) {
        WEFT_ERRLOG("{}", started.error().message);
        co_return 1;
    }
    weft::Gate wandering;
    if (wander_us > 0) spawn(wander(program.runtime(), wander_us * env::ns_per_us, wandering));
    co_await program.serve();
    co_await wandering.close();
    co_await target.stop();
    co_return 0;
}

}  // namespace

int main(int argc, char** argv) {
    app::Application program({.name = "nvmf_example",
                              .text = "An NVMe/TCP target in a program with threads and a loop of its own",
                              .usage = [] { return "Methods of RPC are given its name: tgt_name nvmf_example."; }});
    app::register_log_flags();
    uint32_t wander_us = 0;
    app::DaemonOptions options{.target_name = "nvmf_example", .max_subsystems = 32};
    program.options().add_texts("-r,--rpc-socket", options.rpc_addresses, "Where to listen for JSON-RPC");
    program.options().add_number("-n,--max-subsystems", options.max_subsystems, "Subsystems at most", {.min = 1});
    program.options().add_number("-g,--move-period", wander_us,
                                 "Microseconds after which poll groups move on to the next reactor; 0: never",
                                 {.min = 0, .max = 60'000'000});
    if (const auto status = program.parse(argc, argv)) return *status;
    if (options.rpc_addresses.empty()) options.rpc_addresses = {app::default_rpc_path};
    std::optional<app::Daemon> target;
    const int status = program.run([&] { return live(program, options, wander_us, target); }, turn_all);
    if (status == 0) WEFT_NOTICELOG("stopped in order");
    return status;
}
