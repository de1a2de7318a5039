#include "sim/storm/lane.h"

#include <fmt/format.h>

#include <algorithm>

#include "nvme/command.h"
#include "nvme/describe.h"
#include "sim/failure.h"
#include "sim/storm/stacks.h"

namespace weft::sim {

namespace status = nvme::status;
using nvme::IoOpcode;
using nvme::Status;

namespace {
constexpr uint64_t never_written = 0xBADDBADDBADDBADD;  // no stamp begins so
}

namespace {

// A wake-up that is lost shows as a delay, since something else wakes a reactor in the end.
constexpr env::TimeNs prompt_time = 500 * env::ns_per_ms;

}  // namespace

Lane::Lane(Storm& storm, Prng& prng, size_t host, nvme_host::Qpair& qpair, Events events)
    : storm_(storm), prng_(prng), host_(host), qpair_(qpair), events_(std::move(events)) {
    io_.context = this;
    io_.done = [](nvme_host::Io& io) { static_cast<Lane*>(io.context)->done(); };
}

void Lane::fail(const std::string& what) const {
    test::fail_simulation(fmt::format("host {}, {}: {}", host_, describe(), what));
}

std::string Lane::describe() const {
    static constexpr const char* names[] = {"Read",       "Write",   "Flush",  "Write Zeroes",
                                            "Deallocate", "Compare", "Compare"};
    return fmt::format("{} of device {}, sectors {} to {}", names[static_cast<size_t>(kind_)], device_, range_.first,
                       range_.end());
}

void Lane::next() {
    is_busy_ = qpair_.failure() == nullptr && events_.take_command();
    if (!is_busy_) return events_.idle();
    choose();
    sent_at_ = storm_.rig.world().now();
    qpair_.submit(io_);
}

// Blocks of its own third, or of all: many short ones, some as long as a command may be.
SectorRange Lane::choose_range(uint64_t sectors_max, uint64_t unit) {
    const DevicePlan& device = storm_.plan.devices[device_];
    const uint64_t blocks = device.sectors / unit;
    const uint64_t hosts = storm_.plan.hosts.size();
    const bool is_shared = prng_.below(100) < storm_.plan.hosts[host_].shared_percent;
    const uint64_t share = blocks / (hosts + 1);
    const uint64_t first = is_shared ? share * hosts : share * host_;
    const uint64_t size = is_shared ? blocks - first : share;
    const uint64_t most = std::max<uint64_t>(1, std::min(size, sectors_max / unit));
    // Moving data is what most of the time would go to: of 100 commands 85 are short, 14 are up to 8 KiB, one is of any
    // length.
    const uint64_t some = std::clamp<uint64_t>(16 / unit, 1, most);
    // Few buffers are of no consequence while commands need few.
    const uint64_t kind = std::min<uint64_t>(prng_.below(100) + (storm_.has(Part::few_buffers) ? 25 : 0), 99);
    const uint64_t count = kind < 70   ? 1
                           : kind < 85 ? prng_.between(1, std::min<uint64_t>(most, 2))
                           : kind < 99 ? prng_.between(1, some)
                                       : prng_.between(1, most);
    const uint64_t start = first + prng_.below(size - count + 1);
    return {start * unit, count * unit};
}

void Lane::choose() {
    const HostPlan& host = storm_.plan.hosts[host_];
    device_ = prng_.below(storm_.plan.devices.size());
    const uint64_t what = prng_.below(100);
    const bool clears = storm_.has(Part::clearing);
    const bool compares = storm_.has(Part::compares);
    Kind kind = prng_.below(100) < host.write_percent ? Kind::write : Kind::read;
    if (what < 4)
        kind = Kind::flush;
    else if (what < 8 && clears)
        kind = Kind::zero;
    else if (what < 12 && clears)
        kind = Kind::deallocate;
    else if (what < 18 && compares)
        kind = prng_.below(3) == 0 ? Kind::wrong_compare : Kind::compare;
    const bool has_data = kind != Kind::flush && kind != Kind::zero && kind != Kind::deallocate;
    const DevicePlan& device = storm_.plan.devices[device_];
    range_ = choose_range(has_data ? storm_.plan.transport.max_io_size / sector_bytes : 1024,
                          kind == Kind::read ? device.block_sectors() : device.unit_sectors());
    is_forced_ = prng_.below(8) == 0;
    const auto& writes = storm_.writes_under_way[device_];
    const bool is_curious = prng_.below(8) == 0;
    const bool asks_for_old = prng_.coin();  // the oldest may be the one that is in trouble
    if (kind == Kind::read && is_curious && !writes.empty()) {
        const SectorRange written = asks_for_old ? writes.begin()->second : writes.rbegin()->second;
        const uint64_t unit = device.block_sectors();
        range_ = {written.first + prng_.below(written.count / unit) * unit, unit};
    }
    prepare(kind);
}

void Lane::prepare(Kind kind) {
    kind_ = kind;
    RegisterModel& model = *storm_.models[device_];
    const DevicePlan& device = storm_.plan.devices[device_];
    nvme::Command& command = io_.command;
    command = {};
    command.nsid = static_cast<uint32_t>(device_ + 1);
    command.set_lba_range(range_.first / device.block_sectors(),
                          static_cast<uint32_t>(range_.count / device.block_sectors()));
    io_.data = {};
    is_comparable_ = false;
    if (kind_ == Kind::compare || kind_ == Kind::wrong_compare) {
        const auto known = model.known(range_);
        if (!known) return prepare(Kind::read);
        data_ = take_buffer(range_.count * sector_bytes);
        for (uint64_t at = 0; at < range_.count; ++at) {
            stamp_sector(data_.subspan(at * sector_bytes, sector_bytes), model.device(), range_.first + at,
                         (*known)[at]);
        }
        if (kind_ == Kind::wrong_compare) data_[prng_.below(data_.size())] ^= std::byte{1};
        is_comparable_ = true;
    }
    switch (kind_) {
        case Kind::read:
            command.opcode = static_cast<uint8_t>(IoOpcode::read);
            data_ = take_buffer(range_.count * sector_bytes);
            // What an earlier command left must not pass for what this one reads.
            for (size_t at = 0; at < data_.size(); at += sector_bytes) store(data_.subspan(at), never_written);
            began_ = model.begin_read();
            break;
        case Kind::compare:
        case Kind::wrong_compare:
            command.opcode = static_cast<uint8_t>(IoOpcode::compare);
            began_ = model.begin_read();
            break;
        case Kind::flush:
            command = {};
            command.nsid = static_cast<uint32_t>(device_ + 1);
            command.opcode = static_cast<uint8_t>(IoOpcode::flush);
            began_ = model.begin_flush();
            return;
        case Kind::write:
            command.opcode = static_cast<uint8_t>(IoOpcode::write);
            value_ = ++storm_.last_value;
            storm_.writes_under_way[device_].emplace(value_, range_);
            data_ = take_buffer(range_.count * sector_bytes);
            for (uint64_t at = 0; at < range_.count; ++at) {
                stamp_sector(data_.subspan(at * sector_bytes, sector_bytes), model.device(), range_.first + at, value_);
            }
            if (is_forced_) command.cdw12 = command.cdw12 | nvme::io_bits::force_unit_access;
            began_ = model.begin_write(range_, value_);
            break;
        case Kind::zero:
            command.opcode = static_cast<uint8_t>(IoOpcode::write_zeroes);
            if (is_forced_)
                command.cdw12 = command.cdw12 | nvme::io_bits::force_unit_access;
            else if (prng_.coin())
                command.cdw12 = command.cdw12 | nvme::io_bits::deallocate;
            began_ = model.begin_write(range_, zeroes);
            return;
        case Kind::deallocate: prepare_deallocate(); break;
    }
    piece_ = {.iov_base = data_.data(), .iov_len = data_.size()};
    io_.data = {&piece_, 1};
}

MutableBytes Lane::take_buffer(size_t bytes) {
    if (buffer_.size() < bytes) buffer_.resize(bytes);
    return MutableBytes(buffer_).first(bytes);
}

// In one range or several.
void Lane::prepare_deallocate() {
    const DevicePlan& device = storm_.plan.devices[device_];
    const uint64_t first = range_.first / device.block_sectors();
    const uint64_t blocks = range_.count / device.block_sectors();
    // A multiple of the unit, as the whole is.
    const uint64_t unit = device.unit_sectors() / device.block_sectors();
    const uint64_t ranges = prng_.between(1, std::min<uint64_t>(blocks / unit, 4));
    nvme::Command& command = io_.command;
    command = {};
    command.nsid = static_cast<uint32_t>(device_ + 1);
    command.opcode = static_cast<uint8_t>(IoOpcode::dataset_management);
    command.cdw10 = static_cast<uint32_t>(ranges - 1);
    command.cdw11 = nvme::dataset_management::deallocate;
    data_ = take_buffer(ranges * sizeof(nvme::DatasetManagementRange));
    for (uint64_t at = 0; at < ranges; ++at) {
        nvme::DatasetManagementRange one;
        const uint64_t start = blocks / unit * at / ranges * unit;
        one.slba = first + start;
        one.block_count = static_cast<uint32_t>(blocks / unit * (at + 1) / ranges * unit - start);
        store(data_.subspan(at * sizeof one), one);
    }
    began_ = storm_.models[device_]->begin_write(range_, zeroes);
}

void Lane::done() {
    ++storm_.commands_done;
    if (kind_ == Kind::write) storm_.writes_under_way[device_].erase(value_);
    const env::TimeNs took = storm_.rig.world().now() - sent_at_;
    if (took > prompt_time && storm_.is_prompt() && !io_.is_status_local) {
        fail(fmt::format("it took {} ms, and nothing was in its way", took / env::ns_per_ms));
    }
    const Status outcome = io_.status();
    if (outcome.is_success()) {
        succeeded();
    } else {
        failed(outcome);
    }
    next();
}

void Lane::succeeded() {
    RegisterModel& model = *storm_.models[device_];
    const DevicePlan& device = storm_.plan.devices[device_];
    switch (kind_) {
        case Kind::read:
            if (std::string problem = model.read_done(range_, began_, data_, device.block_sectors());
                !problem.empty()) {
                fail(problem);
            }
            break;
        case Kind::flush: model.flush_done(began_); break;
        case Kind::compare: model.read_lost(began_); break;
        case Kind::wrong_compare:
            if (is_comparable_ && model.quiet_since(range_) < began_) fail("different data was found the same");
            model.read_lost(began_);
            break;
        default:
            if (std::string problem =
                    model.write_done(range_, began_, !device.is_file() || (is_forced_ && kind_ == Kind::write));
                !problem.empty()) {
                fail(problem);
            }
    }
}

// Its bases, or more of them than its stack bears.
bool Lane::has_gone() const {
    const StackPlan& stack = storm_.plan.devices[device_].stack;
    return storm_.stacks[device_].was_pulled_out || (stack.has_redundancy() && raid_of(storm_, device_) == nullptr);
}

// What may go wrong in this storm.
bool Lane::is_expected(Status outcome) const {
    const bool is_file = storm_.plan.devices[device_].is_file();
    if (outcome.is(status::host_path_error)) return true;  // note_end() looks at why
    if (outcome.is(status::transient_transport_error)) return storm_.has(Part::bit_flips);
    if (outcome.is(status::aborted_by_request)) return storm_.has(Part::aborts) || storm_.may_disconnect();
    if (outcome.is(status::write_fault) || outcome.is(status::unrecovered_read_error)) {
        return is_file && (storm_.has(Part::disk_errors) || storm_.has(Part::failed_syncs));
    }
    if (outcome.is(status::invalid_namespace_or_format) && has_gone()) return true;
    if (outcome.is(status::capacity_exceeded)) return is_file && storm_.has(Part::full_disks);
    if (outcome.is(status::invalid_namespace_or_format) || outcome.is(status::internal_error)) {
        return storm_.has(Part::administrator);
    }
    return false;
}

// Each error makes one command fail, at most.
bool Lane::is_injected(Status outcome) const {
    const Storm::StackState& stack = storm_.stacks[device_];
    return stack.failed < stack.injected &&
           outcome.is(kind_ == Kind::read || kind_ == Kind::compare || kind_ == Kind::wrong_compare
                          ? status::unrecovered_read_error
                          : status::write_fault);
}

void Lane::failed(Status outcome) {
    RegisterModel& model = *storm_.models[device_];
    const bool is_compare = kind_ == Kind::compare || kind_ == Kind::wrong_compare;
    if (is_compare && outcome.is(status::compare_failure)) {
        if (kind_ == Kind::compare && model.quiet_since(range_) < began_) fail("the same data was found different");
    } else if (is_injected(outcome)) {
        ++storm_.stacks[device_].failed;
    } else if (!is_expected(outcome)) {
        fail(nvme::describe(outcome));
    }
    if (is_write()) {
        const bool is_over = !io_.is_status_local;
        model.write_lost(range_, began_, is_over);
        if (!is_over) events_.lost(device_, range_, began_);
    } else if (kind_ != Kind::flush) {
        model.read_lost(began_);
    }
}

Task<void> read_and_check(Storm& storm, nvme_host::Qpair& qpair, size_t device, SectorRange range) {
    RegisterModel& model = *storm.models[device];
    const DevicePlan& plan = storm.plan.devices[device];
    nvme_host::Io io;
    std::vector<std::byte> data(range.count * sector_bytes);
    const iovec piece{.iov_base = data.data(), .iov_len = data.size()};
    io.command.opcode = static_cast<uint8_t>(IoOpcode::read);
    io.command.nsid = static_cast<uint32_t>(device + 1);
    io.command.set_lba_range(range.first / plan.block_sectors(),
                             static_cast<uint32_t>(range.count / plan.block_sectors()));
    io.data = {&piece, 1};
    const RegisterModel::Tick began = model.begin_read();
    co_await nvme_host::Execute(qpair, io);
    if (!io.is_success()) {
        model.read_lost(began);
        co_return test::fail_simulation(fmt::format("the last reading of device {}: {} {}", device,
                                                    nvme::describe(io.status()),
                                                    qpair.failure() != nullptr ? qpair.failure()->message : ""));
    }
    if (std::string problem = model.read_done(range, began, data, plan.block_sectors()); !problem.empty()) {
        test::fail_simulation("the last reading: " + problem);
    }
}

}  // namespace weft::sim
