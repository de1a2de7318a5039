#include "sim/storm/load_host.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>

#include "nvme/describe.h"
#include "sim/failure.h"

namespace weft::sim {

using nvme_host::Controller;
using test::fail_simulation;

LoadHost::LoadHost(Storm& storm, size_t number)
    : storm_(storm), number_(number), plan_(storm.plan.hosts[number]), prng_(mix(storm.plan.seed ^ mix(number + 1))) {}

LoadHost::~LoadHost() = default;

void LoadHost::start() {
    const CurrentThread scope(&storm_.rig.host_thread(number_));
    spawn(run());
}

nvme_host::ControllerOptions LoadHost::options() {
    nvme_host::ControllerOptions options;
    options.address = storm_.rig.target_address();
    options.subnqn = Storm::subsystem_nqn;
    options.hostnqn = Storm::hostnqn(number_);
    options.hostid[15] = static_cast<uint8_t>(number_ + 1);
    options.io_queue_max = plan_.queues;
    options.io_depth = storm_.plan.transport.max_queue_depth - 1U;
    options.kato_ms = 5000;
    options.header_digest = plan_.header_digest;
    options.data_digest = plan_.data_digest;
    options.data_alignment = plan_.data_alignment;
    options.sq_flow_control = plan_.flow_control;
    options.connect_timeout = 5 * env::ns_per_s;
    options.admin_timeout = 10 * env::ns_per_s;
    options.io_timeout = 20 * env::ns_per_s;
    return options;
}

// The target has not seen the end of every connection that this host had.
bool LoadHost::has_old_connections() {
    const std::string name = fmt::format("host{}", number_);
    return std::ranges::any_of(storm_.rig.world().connections(),
                               [&](const ConnectionInfo& connection) { return connection.from == name; });
}

// docs/durability.md: a host that reconnects does not meet its own old writes.
void LoadHost::settle() {
    for (const Unsettled& write : unsettled_) storm_.models[write.device]->settle(write.range, write.began);
    unsettled_.clear();
}

void LoadHost::note_end(const Error& why) {
    if (why.code == Errc::protocol_error && !storm_.has(Part::bit_flips)) {
        return fail_simulation(fmt::format("host {}: {}", number_, why.message));
    }
    if (why.code == Errc::timed_out && storm_.is_healed()) {
        return fail_simulation(fmt::format("host {}: {}", number_, why.message));
    }
    if (!storm_.may_disconnect()) fail_simulation(fmt::format("host {} lost its connection: {}", number_, why.message));
}

Task<void> LoadHost::run() {
    co_await yield();  // into a turn of the reactor, whose clock is right
    while (storm_.commands_given < storm_.plan.commands) {
        if (!co_await work()) co_await sleep_for(prng_.between(1, 100) * env::ns_per_ms);
    }
    is_finished_ = true;
}

// One association, from Connect to its end. False when it did not come about.
Task<bool> LoadHost::work() {
    nvme_host::tcp::ConnectionGroup& group = storm_.rig.host_group(number_);
    const bool is_known_over = !has_old_connections();
    const bool was_target_up = storm_.is_target_up;
    const uint64_t target_run = storm_.target_runs;
    auto connected = co_await Controller::connect(group, options());
    if (!connected) {
        if (was_target_up && storm_.target_runs == target_run) note_end(connected.error());
        co_return false;
    }
    if (is_known_over) settle();
    controller_ = std::move(*connected);
    for (uint32_t at = 0; at < plan_.queues; ++at) {
        auto qpair = co_await controller_->create_io_qpair(group);
        if (!qpair) {
            note_end(qpair.error());
            break;
        }
        for (uint32_t lane = 0; lane < plan_.depth; ++lane) {
            lanes_.push_back(std::make_unique<Lane>(
                storm_, prng_, number_, **qpair,
                Lane::Events{
                    .take_command = [this] { return take_command(); },
                    .lost = [this](size_t device, SectorRange range,
                                   RegisterModel::Tick began) { unsettled_.push_back({device, range, began}); },
                    .idle =
                        [this] {
                            if (--busy_lanes_ == 0) all_idle_.wake_all();
                        }}));
        }
    }
    round_ends_at_ =
        storm_.has(Part::reconnects) && !storm_.is_healed() ? commands_ + prng_.between(20, 800) : UINT64_MAX;
    busy_lanes_ = lanes_.size();
    for (const auto& lane : lanes_) lane->start();
    const bool aborts = storm_.has(Part::aborts);
    Pace pace(storm_, 40);
    while (busy_lanes_ > 0) {
        if (!aborts) {
            co_await all_idle_.wait();
            continue;
        }
        co_await sleep_for(pace.rest(prng_.between(50, 3000) * env::ns_per_us));
        if (busy_lanes_ > 0 && controller_->failure() == nullptr) {
            co_await abort_something(static_cast<uint16_t>(1 + prng_.below(plan_.queues)));
        }
    }
    const bool was_useful = !lanes_.empty();
    lanes_.clear();
    if (const Error* why = controller_->failure()) note_end(*why);
    co_await controller_->disconnect();
    controller_.reset();
    co_return was_useful;
}

Task<void> LoadHost::abort_something(uint16_t sqid) {
    nvme::Command command;
    command.opcode = static_cast<uint8_t>(nvme::AdminOpcode::abort);
    // Of a command that is under way, as far as the host can know, or of any.
    const auto any = static_cast<uint16_t>(prng_.below(65536));
    const auto known = storm_.some_cid(controller_->cntlid(), sqid, any);
    command.cdw10 = sqid | static_cast<uint32_t>(prng_.below(8) == 0 ? any : known.value_or(any)) << 16;
    const auto answer = co_await controller_->admin(command);
    if (!answer) co_return;
    if (!nvme::Status::from_wire(answer->status).is_success()) {
        fail_simulation(fmt::format("host {}: Abort ended with {}", number_,
                                    nvme::describe(nvme::Status::from_wire(answer->status))));
    }
    if (answer->cdw0 == 0) storm_.reached("a command was aborted");
}

bool LoadHost::take_command() {
    if (storm_.commands_given >= storm_.plan.commands || commands_ >= round_ends_at_) return false;
    ++storm_.commands_given;
    ++commands_;
    return true;
}

Task<void> LoadHost::verify_all() {
    nvme_host::tcp::ConnectionGroup& group = storm_.rig.host_group(number_);
    auto connected = co_await Controller::connect(group, options());
    if (!connected) co_return fail_simulation("the last reading: " + connected.error().message);
    auto qpair = co_await (*connected)->create_io_qpair(group);
    if (!qpair) {
        fail_simulation("the last reading: " + qpair.error().message);
    } else {
        // Long enough for the controller to end if Keep Alives did not keep it.
        co_await sleep_for(12 * env::ns_per_s);
        for (size_t device = 0; device < storm_.models.size(); ++device) {
            RegisterModel& model = *storm_.models[device];
            const uint64_t step = storm_.plan.transport.max_io_size / sector_bytes;
            for (uint64_t at = 0; at < model.sectors(); at += step) {
                const SectorRange range{at, std::min(step, model.sectors() - at)};
                co_await read_and_check(storm_, **qpair, device, range);
            }
        }
    }
    co_await (*connected)->disconnect();
}

std::string LoadHost::describe() const {
    std::string text = fmt::format("host {}: {} commands, {} lanes busy", number_, commands_, busy_lanes_);
    for (const auto& lane : lanes_) {
        if (lane->is_busy()) return text + ", one with " + lane->describe();
    }
    return text;
}

}  // namespace weft::sim
