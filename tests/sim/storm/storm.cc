#include "sim/storm/storm.h"

#include <fmt/format.h>
#include <malloc.h>

#include <algorithm>

#include "base/log.h"
#include "nvmf/poll_group.h"
#include "nvmf/transport.h"
#include "sim/failure.h"
#include "sim/storm/administrator.h"
#include "sim/storm/intruder.h"
#include "sim/storm/load_host.h"
#include "sim/storm/reservations.h"
#include "sim/storm/stack_administrator.h"
#include "sim/storm/stacks.h"

namespace weft::sim {

using test::fail_simulation;

namespace {

constexpr TimeNs storm_time_max = 300 * env::ns_per_s;
constexpr TimeNs heal_time_max = 120 * env::ns_per_s;  // within it all hosts have finished
constexpr TimeNs idle_time_max = 40 * env::ns_per_s;   // within it nothing of them is left

std::vector<std::string> marks;

test::RigOptions rig_options(const Plan& plan) {
    return {.data_reactors = plan.reactors, .hosts = plan.hosts.size() + plan.intruders, .world = plan.world};
}

// One seed in four: it costs some hundred commands.
bool shares_at_end(const Storm& storm) { return mix(storm.plan.seed ^ 0x5A) % 4 == 0; }

// The rig's hosts, and what disturbs them.
class Play {
public:
    explicit Play(Storm& storm) : storm_(storm), administrator_(storm), stack_administrator_(storm) {
        for (size_t at = 0; at < storm.plan.hosts.size(); ++at) hosts_.push_back(std::make_unique<LoadHost>(storm, at));
        for (size_t at = 0; at < storm.plan.intruders; ++at) {
            intruders_.push_back(std::make_unique<Intruder>(storm, storm.plan.hosts.size() + at, at));
        }
    }

    void run() {
        storm_.rig.run(set_up_target(storm_));
        set_faults();
        administrator_.start();
        stack_administrator_.start();
        for (const auto& host : hosts_) host->start();
        for (const auto& intruder : intruders_) intruder->start();
        wait(storm_time_max, [this] { return are_hosts_finished(); });
        heal();
        if (!wait(heal_time_max, [this] { return is_quiet(); })) return tell_who_hangs();
        end();
    }

private:
    [[nodiscard]] bool are_hosts_finished() const {
        return std::ranges::all_of(hosts_, [](const auto& host) { return host->is_finished(); });
    }
    [[nodiscard]] bool is_quiet() const {
        return are_hosts_finished() && administrator_.is_finished() && stack_administrator_.is_finished() &&
               std::ranges::all_of(intruders_, [](const auto& intruder) { return intruder->is_finished(); });
    }

    // Runs the world, with its incidents, until `is_over`; false when it is not within `time`.
    bool wait(TimeNs time, const std::function<bool()>& is_over) {
        const TimeNs end = storm_.rig.world().now() + time;
        while (!is_over() && storm_.rig.world().now() < end) {
            storm_.rig.run_until(end, [&] { return is_over() || is_incident_due(); });
            if (is_incident_due()) strike(storm_.plan.incidents[next_incident_++]);
        }
        return is_over();
    }

    [[nodiscard]] bool is_incident_due() const {
        return !storm_.is_healing && storm_.is_target_up && next_incident_ < storm_.plan.incidents.size() &&
               storm_.plan.incidents[next_incident_].after_commands <= storm_.commands_done;
    }

    void set_faults() {
        World& world = storm_.rig.world();
        FileFaults faults = storm_.plan.file_faults;
        for_each_file([&](FileFaults& file) { file = faults; });
        for (size_t at = 0; at < storm_.plan.devices.size(); ++at) set_disk_errors(storm_, at, true);
        if (storm_.has(Part::full_disks)) {
            // Whatever lies in the last quarter does not fit.
            for (size_t at = 0; at < storm_.plan.devices.size(); ++at) {
                if (!storm_.plan.devices[at].stack.layers.empty()) continue;
                const uint64_t bytes = storm_.plan.devices[at].sectors * sector_bytes;
                world.file_faults("target", fmt::format("/disk{}", at)).capacity_bytes = bytes / 4096 * 3 / 4 * 4096;
            }
        }
        if (storm_.plan.descriptors_max > 0) world.set_descriptor_limit("target", storm_.plan.descriptors_max);
    }

    template <class Do>
    void for_each_file(const Do& change) {
        for (size_t at = 0; at < storm_.plan.devices.size(); ++at) {
            const DevicePlan& device = storm_.plan.devices[at];
            for (uint32_t base = 0; base < device.stack.bases; ++base) {
                change(storm_.rig.world().file_faults("target", file_name(device, at, base)));
            }
        }
    }

    void strike(const Incident& incident);
    void restart(test::Rig::Death death);
    void heal();
    void end();
    [[nodiscard]] std::string leftovers();
    void tell_who_hangs() const;

    Storm& storm_;
    Administrator administrator_;
    StackAdministrator stack_administrator_;
    std::vector<std::unique_ptr<LoadHost>> hosts_;
    std::vector<std::unique_ptr<Intruder>> intruders_;
    size_t next_incident_ = 0;
};

void Play::strike(const Incident& incident) {
    World& world = storm_.rig.world();
    const std::vector<ConnectionInfo> connections = world.connections();
    switch (incident.kind) {
        case Incident::Kind::reset:
            if (!connections.empty()) world.reset_connection(connections[incident.choice % connections.size()].id);
            return;
        case Incident::Kind::cut: {
            if (connections.empty()) return;
            const ConnectionInfo& one = connections[incident.choice % connections.size()];
            const auto side = static_cast<uint8_t>(incident.choice >> 32 & 1);
            world.cut_after_bytes(EndId{.connection = one.id, .side = side}, incident.choice >> 40 & 0x3FFF,
                                  (incident.choice >> 33 & 1) != 0);
            return;
        }
        case Incident::Kind::silence: {
            const std::string host = fmt::format("host{}", incident.choice % storm_.plan.hosts.size());
            world.pause_delivery(host, "target");
            world.after(incident.duration, [&world, host] { world.resume_delivery(host, "target"); });
            storm_.reached("a host was silent");
            return;
        }
        case Incident::Kind::stall:
            // At most a second: longer, and hosts may rightly give up.
            storm_.rig.freeze(incident.choice, world.now() + std::min(incident.duration, env::ns_per_s));
            return;
        case Incident::Kind::kill: return restart(test::Rig::Death::killed);
        case Incident::Kind::power_loss: return restart(test::Rig::Death::power_lost);
    }
}

void Play::restart(test::Rig::Death death) {
    storm_.is_target_up = false;
    administrator_.forget();
    stack_administrator_.forget();
    storm_.is_changing = false;
    storm_.rig.crash_target(death);
    for (size_t at = 0; at < storm_.models.size(); ++at) {
        if (!storm_.plan.devices[at].is_file())
            storm_.models[at]->reset();
        else if (death == test::Rig::Death::killed)
            storm_.models[at]->process_killed(storm_.has(Part::failed_syncs));
        else
            storm_.models[at]->power_lost();
    }
    storm_.reached(death == test::Rig::Death::killed ? "the target was killed" : "the power was lost");
    storm_.rig.start_target();
    const CurrentThread scope(&storm_.rig.target_runtime().app_thread());
    spawn([](Storm& storm, Administrator& administrator, StackAdministrator& stacks) -> Task<void> {
        co_await yield();
        const Result<void> started = co_await storm.rig.target().start();
        if (!started) co_return fail_simulation("starting again: " + started.error().message);
        co_await set_up_target(storm);
        administrator.start();
        stacks.start();
    }(storm_, administrator_, stack_administrator_));
}

void Play::heal() {
    World& world = storm_.rig.world();
    storm_.is_healing = true;
    NetworkOptions& network = world.options().network;
    network.refuse_probability = network.reset_probability = network.flip_probability = 0;
    for_each_file([](FileFaults& faults) {
        faults.read_error = faults.write_error = faults.sync_error = 0;
        faults.capacity_bytes = FileFaults{}.capacity_bytes;
    });
    for (size_t at = 0; at < storm_.rig.host_count(); ++at) world.resume_delivery(fmt::format("host{}", at), "target");
    world.set_descriptor_limit("target", UINT32_MAX);
}

// Reads all that hosts may have written, and looks for what they left.
void Play::end() {
    test::Rig& rig = storm_.rig;
    const auto is_idle = [this] {
        return storm_.is_target_up && storm_.rig.target_is_idle() && storm_.rig.world().connections().empty();
    };
    if (!wait(idle_time_max, is_idle)) return fail_simulation("hosts have left, and there is left " + leftovers());
    rig.run(stack_administrator_.repair());
    rig.run_on_host(0, hosts_[0]->verify_all());
    if (!wait(idle_time_max, is_idle))
        return fail_simulation("the last host has left, and there is left " + leftovers());
    if (std::ranges::any_of(storm_.plan.devices, [](const auto& each) { return each.stack.has_redundancy(); })) {
        // What the first side has was read; now the others.
        rig.run(take_first_sides_out(storm_));
        rig.run_on_host(0, hosts_[0]->verify_all());
        if (!wait(idle_time_max, is_idle))
            return fail_simulation("mirrors were read, and there is left " + leftovers());
    }
    if (shares_at_end(storm_)) {
        rig.run(set_up_shared(storm_));
        rig.run_on_host(0, play_shared(storm_));
        if (!wait(idle_time_max, is_idle)) return fail_simulation("hosts shared, and there is left " + leftovers());
        rig.run(take_down_shared(storm_));
    }
    for (nvmf::PollGroup* group : rig.target().poll_groups()) {
        const CurrentThread scope(&group->thread());
        const nvmf::TransportGroup* transport = group->transport_group(*rig.target().find_transport("tcp"));
        const nvmf::TransportFigures figures = transport->transport_figures();
        if (figures.current_connections + figures.requests_in_flight + figures.waiting_for_buffers > 0) {
            fail_simulation(fmt::format("an idle poll group has {} connections, {} requests, {} that wait for buffers",
                                        figures.current_connections, figures.requests_in_flight,
                                        figures.waiting_for_buffers));
        }
    }
    rig.stop_target();
    const uint32_t open = rig.world().descriptors_open("target");
    if (open > 0) fail_simulation(fmt::format("the target has stopped and left {} descriptors open", open));
}

std::string Play::leftovers() {
    std::string text;
    for (nvmf::PollGroup* group : storm_.rig.target().poll_groups()) {
        text += fmt::format("a group with {} queues and {} controllers, ", group->qpairs.size(),
                            group->controllers().size());
    }
    for (const ConnectionInfo& connection : storm_.rig.world().connections()) {
        text += fmt::format("connection {} of {}, {} bytes there and {} back{}, ", connection.id, connection.from,
                            connection.bytes_forth, connection.bytes_back,
                            connection.is_established ? "" : ", not established");
    }
    return text;
}

void Play::tell_who_hangs() const {
    std::string who;
    for (const auto& host : hosts_) {
        if (!host->is_finished()) who += host->describe() + "; ";
    }
    for (const auto& intruder : intruders_) {
        if (!intruder->is_finished()) who += "an intruder; ";
    }
    if (!administrator_.is_finished()) who += "the administrator; ";
    if (!stack_administrator_.is_finished()) who += "the administrator of stacks; ";
    fail_simulation(fmt::format("{} s after all troubles there is no end: {}", heal_time_max / env::ns_per_s, who));
}

}  // namespace

Storm::Storm(const Plan& its_plan) : plan(its_plan), rig(its_plan.seed, rig_options(its_plan)) {
    log::set_print_level(log::Level::error);
    watch_wire();
    stacks.resize(plan.devices.size());
    writes_under_way.resize(plan.devices.size());
    for (size_t at = 0; at < plan.devices.size(); ++at) {
        models.push_back(std::make_unique<RegisterModel>(static_cast<uint32_t>(at), plan.devices[at].sectors,
                                                         has(Part::disk_errors) || has(Part::full_disks)));
        if (plan.devices[at].stack.has_redundancy()) models.back()->set_mirrored();
    }
}

// Every PDU that the target sends is judged when it is sent. Not where bits flip: the checker would believe the host.
void Storm::watch_wire() {
    if (has(Part::bit_flips)) return;
    rig.world().set_tap([this](const Connection& connection, uint8_t side, Bytes piece) {
        const auto [at, is_new] = checkers_.try_emplace(connection.id);
        if (is_new) {
            // Hosts come before intruders.
            const std::string& name = connection.ends[0].machine->name;
            const size_t number = std::strtoul(name.c_str() + 4, nullptr, 10);
            at->second = test::SentChecker({.host_is_right = number < plan.hosts.size()});
        }
        test::SentChecker& checker = at->second;
        if (side == 0) {
            checker.host_sent(piece);
        } else {
            checker.target_sent(piece);
        }
        if (!checker.ok()) {
            fail_simulation(fmt::format("to {}: {}", connection.ends[0].machine->name, checker.complaint()));
        }
    });
}

TimeNs Pace::rest(TimeNs liked) {
    if (storm_.commands_done >= next_at_) {
        factor_ = 1;
        next_at_ = storm_.commands_done + commands_;
        return liked;
    }
    factor_ = std::min<uint64_t>(factor_ * 2, 4096);
    return std::max(liked, std::min(liked * factor_, rest_max));
}

Task<void> Storm::begin_change() {
    while (is_changing) co_await sleep_for(100 * env::ns_per_us);
    is_changing = true;
}

bool Storm::may_disconnect() const {
    static constexpr Part reasons[] = {Part::resets,        Part::cuts,  Part::silences,     Part::refusals,
                                       Part::bit_flips,     Part::kills, Part::power_losses, Part::few_descriptors,
                                       Part::administrator, Part::stalls};
    return std::ranges::any_of(reasons, [this](Part part) { return has(part); });
}

std::optional<uint16_t> Storm::some_cid(uint16_t cntlid, uint16_t qid, uint16_t choice) const {
    // The newest connection that says so is the one that lives.
    for (auto at = checkers_.rbegin(); at != checkers_.rend(); ++at) {
        const test::SentChecker& checker = at->second;
        if (checker.is_connected() && checker.qid() == qid && checker.cntlid() == cntlid)
            return checker.cid_after(choice);
    }
    return std::nullopt;
}

bool Storm::is_prompt() const {
    static constexpr Part delays[] = {Part::slow_network, Part::narrow_windows, Part::slow_disks, Part::silences,
                                      Part::stalls,       Part::resets,         Part::cuts,       Part::administrator};
    return std::ranges::none_of(delays, [this](Part part) { return has(part); });
}

void Storm::reached(std::string_view mark) {
    if (std::ranges::find(marks, mark) == marks.end()) marks.emplace_back(mark);
}

std::string Storm::hostnqn(size_t host) {
    return fmt::format("nqn.2014-08.org.nvmexpress:uuid:00000000-0000-4000-8000-0000000000{:02}", host);
}

const std::vector<std::string>& reached_marks() { return marks; }

StormResult run_storm(const Plan& plan, const std::optional<Watched>& watched) {
    // Seeds that follow use the memory of those before, instead of having it from the system again.
    mallopt(M_MMAP_THRESHOLD, 64 << 20);
    mallopt(M_TRIM_THRESHOLD, 512 << 20);
    Storm storm(plan);
    if (watched) log::set_print_level(log::Level::notice);
    if (watched && watched->device < storm.models.size()) storm.models[watched->device]->watch(watched->sector);
    {
        Play play(storm);
        play.run();
    }
    return {.commands = storm.commands_done, .trace_hash = storm.rig.world().trace_hash()};
}

}  // namespace weft::sim
