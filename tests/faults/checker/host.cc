#include "host.h"

#include <fmt/format.h>

#include <algorithm>

#include "reactor/reactor.h"
#include "reactor/task.h"

namespace weft::checker {

namespace {

constexpr nvme::Status compare_failure{nvme::status_type::media, 0x85};
constexpr env::TimeNs reconnect_delay = 50 * env::ns_per_ms;

const char* name_of_command(uint8_t opcode) {
    switch (nvme::IoOpcode(opcode)) {
        case nvme::IoOpcode::flush: return "Flush";
        case nvme::IoOpcode::write: return "Write";
        case nvme::IoOpcode::read: return "Read";
        case nvme::IoOpcode::compare: return "Compare";
        case nvme::IoOpcode::write_zeroes: return "Write Zeroes";
        case nvme::IoOpcode::dataset_management: return "Deallocate";
        default: return "a command";
    }
}

}  // namespace

Host::Host(Ledger& ledger, uint32_t index, nvme_host::ControllerOptions options)
    : ledger_(ledger),
      model_(ledger.model),
      index_(index),
      options_(std::move(options)),
      random_((ledger.plan.seed * 1000003 + index) * 0x9E3779B97F4A7C15 + model_.last_sequence()) {}

Host::~Host() { WEFT_ASSERT(controller_ == nullptr); }

// splitmix64
uint64_t Host::chance(uint64_t below) {
    uint64_t value = random_ += 0x9E3779B97F4A7C15;
    value = (value ^ value >> 30) * 0xBF58476D1CE4E5B9;
    value = (value ^ value >> 27) * 0x94D049BB133111EB;
    return (value ^ value >> 31) % below;
}

env::TimeNs Host::now() const { return Thread::current().reactor().now(); }

MutableBytes Host::block(Slot& slot, uint32_t index) const {
    return MutableBytes(slot.memory).subspan(size_t{index} * model_.block_bytes(), model_.block_bytes());
}

bool Host::is_idle() const {
    return std::ranges::all_of(queues_, [](const auto& queue) { return queue->in_flight == 0; });
}

Task<Result<void>> Host::connect() {
    const Plan& plan = ledger_.plan;
    nvme_host::ControllerOptions options = options_;
    options.io_queue_max = plan.queues;
    options.io_depth = plan.depth;
    options.on_lost = [this](const Error& error) {
        is_lost_ = true;
        last_error_ = error.message;
    };
    auto controller = co_await nvme_host::Controller::connect(*group_, std::move(options));
    if (!controller) co_return std::unexpected(std::move(controller).error());
    controller_ = std::move(*controller);
    ++ledger_.report.connects;
    // What this host had under way when its last association ended has had its effect by now, or never will.
    model_.end_host(index_);
    if (ledger_.journal != nullptr) ledger_.journal->end_host(index_);
    for (const auto& queue : queues_) {
        auto qpair = co_await controller_->create_io_qpair(*group_);
        if (!qpair) co_return std::unexpected(std::move(qpair).error());
        queue->qpair = *qpair;
    }
    co_return Result<void>{};
}

Task<void> Host::disconnect() {
    if (controller_ == nullptr) co_return;
    is_lost_ = true;  // what it ends is not followed by another
    co_await controller_->disconnect();
    WEFT_ASSERT(is_idle());
    controller_.reset();
}

Task<void> Host::work() {
    const Plan& plan = ledger_.plan;
    auto group = nvme_host::tcp::ConnectionGroup::create(Thread::current());
    if (!group) {
        ++ledger_.report.unfinished_hosts;
        ledger_.report.note(group.error().message);
        co_return;
    }
    group_ = std::move(*group);
    for (uint32_t at = 0; at < plan.queues; ++at) {
        auto& queue = queues_.emplace_back(std::make_unique<Queue>());
        queue->host = this;
        queue->index = index_ * plan.queues + at;
        queue->last_answer = now();
        for (uint32_t number = 0; number < plan.depth; ++number) {
            auto& slot = queue->slots.emplace_back(std::make_unique<Slot>());
            slot->queue = queue.get();
            slot->memory.resize(plan.bytes_max);
            slot->io.context = slot.get();
            slot->io.done = [](nvme_host::Io& io) {
                auto& done = *static_cast<Slot*>(io.context);
                done.queue->host->on_done(done);
            };
        }
    }
    bool was_connected = false;
    for (;;) {
        is_lost_ = false;
        auto connected = co_await connect();
        if (connected) {
            was_connected = true;
            for (const auto& queue : queues_) {
                for (const auto& slot : queue->slots) submit_next(*slot);
            }
            while (!is_lost_ && !is_idle()) co_await sleep_for(2 * env::ns_per_ms);
            if (is_lost_) ++ledger_.report.losses;
        } else {
            last_error_ = connected.error().message;
        }
        const bool is_over = connected && !is_lost_;
        co_await disconnect();
        if (is_over || ledger_.should_stop) break;
        if (was_connected && (!plan.reconnect || now() >= plan.end)) break;
        if (now() >= plan.end + (plan.reconnect || !was_connected ? plan.patience : 0) ||
            (!was_connected && !plan.reconnect)) {
            ++ledger_.report.unfinished_hosts;
            ledger_.report.note(fmt::format("host {} cannot connect: {}", index_, last_error_));
            break;
        }
        co_await sleep_for(reconnect_delay);
    }
    queues_.clear();
    group_.reset();
}

void Host::submit_next(Slot& slot) {
    if (is_lost_ || ledger_.should_stop || now() >= ledger_.plan.end) return;
    choose(slot);
    ++slot.queue->in_flight;
    slot.queue->qpair->submit(slot.io);
}

// A range in the queue's own part, or in the one that all share.
void Host::choose_range(Slot& slot) {
    const Plan& plan = ledger_.plan;
    const uint64_t shared = model_.block_count() * plan.shared_percent / 100;
    const uint64_t own = (model_.block_count() - shared) / (uint64_t{plan.hosts} * plan.queues);
    const bool is_shared = shared > 0 && chance(100) < plan.shared_percent;
    const uint64_t first = model_.first() + (is_shared ? model_.block_count() - shared : own * slot.queue->index);
    const uint64_t length = is_shared ? shared : own;
    const uint64_t count_max = std::min<uint64_t>(
        {length, plan.bytes_max / model_.block_bytes(), controller_->transfer_bytes_max() / model_.block_bytes()});
    // Small ones are the most, but every length comes.
    uint64_t count = uint64_t{1} << chance(9);
    if (chance(4) == 0) count = 1 + chance(count_max);
    slot.count = static_cast<uint32_t>(std::min(count, count_max));
    slot.lba = first + chance(length - slot.count + 1);
}

void Host::choose_kind(Slot& slot) {
    const Plan& plan = ledger_.plan;
    const uint64_t dice = chance(100);
    if (dice < plan.reads) {
        slot.what = dice % 6 == 5 && prepare_compare(slot) ? What::compare : What::read;
    } else if (dice >= 98) {
        slot.what = What::flush;
    } else if (dice >= 96) {
        slot.what = What::zeroes;
    } else if (dice >= 95 && plan.deallocates) {
        slot.what = What::deallocate;
    } else {
        slot.what = What::write;
    }
}

void Host::choose(Slot& slot) {
    choose_range(slot);
    choose_kind(slot);
    nvme::Command command;
    command.nsid = ledger_.plan.nsid;
    slot.piece = {.iov_base = slot.memory.data(), .iov_len = size_t{slot.count} * model_.block_bytes()};
    slot.io.data = {&slot.piece, 1};
    slot.io.is_status_local = false;
    command.set_lba_range(slot.lba, slot.count);
    switch (slot.what) {
        case What::write:
        case What::zeroes:
        case What::deallocate: make_change(slot, command); break;
        case What::flush:
            command.opcode = static_cast<uint8_t>(nvme::IoOpcode::flush);
            command.cdw10 = command.cdw11 = command.cdw12 = 0;
            slot.io.data = {};
            slot.issued = model_.issue_flush();
            slot.flush_id = ++ledger_.last_flush;
            if (ledger_.journal != nullptr) ledger_.journal->flush(slot.flush_id);
            break;
        case What::compare:
            command.opcode = static_cast<uint8_t>(nvme::IoOpcode::compare);
            slot.issued = model_.issue_read();
            break;
        case What::read:
            command.opcode = static_cast<uint8_t>(nvme::IoOpcode::read);
            // So that what is not filled in is not taken for what was there.
            std::fill_n(slot.memory.begin(), slot.piece.iov_len, std::byte{0xA5});
            slot.issued = model_.issue_read();
            break;
    }
    slot.io.command = command;
}

void Host::make_change(Slot& slot, nvme::Command& command) {
    const bool fua = slot.what != What::deallocate && chance(8) == 0;
    const auto issue = [&](Kind kind) {
        Write write{.lba = slot.lba, .count = slot.count, .host = index_};
        write.kind = kind;
        write.fua = fua;
        slot.sequence = write.sequence = model_.issue(write);
        if (ledger_.journal != nullptr) ledger_.journal->issue(write);
    };
    if (fua) command.cdw12 = command.cdw12 | nvme::io_bits::force_unit_access;
    if (slot.what == What::write) {
        command.opcode = static_cast<uint8_t>(nvme::IoOpcode::write);
        issue(Kind::data);
        for (uint32_t at = 0; at < slot.count; ++at) {
            write_block(block(slot, at), {.run = model_.run(),
                                          .lba = slot.lba + at,
                                          .sequence = slot.sequence,
                                          .round = model_.round(),
                                          .index = at,
                                          .count = slot.count});
        }
    } else if (slot.what == What::zeroes) {
        command.opcode = static_cast<uint8_t>(nvme::IoOpcode::write_zeroes);
        if (ledger_.plan.deallocates && chance(2) == 0) command.cdw12 = command.cdw12 | nvme::io_bits::deallocate;
        slot.io.data = {};
        issue(Kind::zeroes);
    } else {
        command.opcode = static_cast<uint8_t>(nvme::IoOpcode::dataset_management);
        command.cdw10 = 0;  // one range, 0's based
        command.cdw11 = nvme::dataset_management::deallocate;
        command.cdw12 = 0;
        const nvme::DatasetManagementRange range{.attributes = 0, .block_count = slot.count, .slba = slot.lba};
        store(MutableBytes(slot.memory), range);
        slot.piece.iov_len = sizeof(range);
        issue(Kind::deallocated);
    }
}

// The data that is surely there, or, now and then, what is surely not.
bool Host::prepare_compare(Slot& slot) {
    slot.count = std::min(slot.count, 8u);
    slot.expected.clear();
    for (uint32_t at = 0; at < slot.count; ++at) {
        const Model::Candidate* one = model_.only_data(slot.lba + at);
        if (one == nullptr) return false;
        write_block(block(slot, at), model_.stamp_of(slot.lba + at, *one));
        slot.expected.push_back(one->sequence);
    }
    slot.is_compare_wrong = chance(4) == 0;
    if (slot.is_compare_wrong) slot.memory[chance(size_t{slot.count} * model_.block_bytes())] ^= std::byte{0x10};
    return true;
}

void Host::on_done(Slot& slot) {
    Report& report = ledger_.report;
    Queue& queue = *slot.queue;
    --queue.in_flight;
    const nvme::Status status = slot.io.status();
    const bool is_lost = slot.io.is_status_local && status.type == nvme::status_type::path;
    const bool reads = slot.what == What::read || slot.what == What::compare;
    if (is_lost) {
        ++report.unanswered;
        is_lost_ = true;
        last_error_ = "the connection was lost";
        if (reads) model_.end_read(slot.issued);
        return;
    }
    const env::TimeNs time = now();
    report.longest_pause = std::max(report.longest_pause, time - queue.last_answer);
    queue.last_answer = time;

    const bool differs = slot.what == What::compare && status.is(compare_failure);
    if (!slot.io.is_success() && !differs) {
        const auto code = static_cast<uint16_t>(status.type << 8 | status.code);
        if (slot.io.is_status_local && status.is(nvme::status::transient_transport_error)) {
            ++report.damaged;
        } else if (std::ranges::find(ledger_.plan.tolerated, code) != ledger_.plan.tolerated.end()) {
            ++report.refused;
        } else {
            ++report.unexpected;
            report.note(fmt::format("{} of {} blocks at {} was answered with {}{}",
                                    name_of_command(slot.io.command.opcode), slot.count, slot.lba,
                                    nvme::describe(status), slot.io.is_status_local ? " (made here)" : ""));
        }
    }
    on_answer(slot, slot.io.is_success());
    submit_next(slot);
}

void Host::on_answer(Slot& slot, bool success) {
    Report& report = ledger_.report;
    Journal* journal = ledger_.journal;
    switch (slot.what) {
        case What::write:
        case What::zeroes:
        case What::deallocate:
            if (journal != nullptr) {
                success ? journal->acknowledge(slot.sequence) : journal->refuse(slot.sequence);
            }
            success ? model_.acknowledge(slot.sequence) : model_.refuse(slot.sequence);
            if (!success) return;
            ++(slot.what == What::write    ? report.writes
               : slot.what == What::zeroes ? report.zeroes
                                           : report.deallocates);
            return;
        case What::flush:
            if (!success) return;
            ++report.flushes;
            if (journal != nullptr) journal->acknowledge_flush(slot.flush_id);
            model_.acknowledge_flush(slot.issued);
            return;
        case What::read:
            if (success) judge_read(slot);
            model_.end_read(slot.issued);
            return;
        case What::compare:
            judge_compare(slot, success);
            model_.end_read(slot.issued);
            return;
    }
}

void Host::judge_read(Slot& slot) {
    Report& report = ledger_.report;
    ++report.reads;
    std::string why;
    for (uint32_t at = 0; at < slot.count; ++at) {
        const Finding finding = model_.judge(slot.lba + at, block(slot, at), slot.issued, why);
        ++report.blocks_judged;
        if (finding != Finding::none) report.add(finding, "read: " + why);
    }
}

// A success is as good as a read of what was compared with. A difference must have a reason.
void Host::judge_compare(Slot& slot, bool success) {
    Report& report = ledger_.report;
    if (!success && !slot.io.status().is(compare_failure)) return;
    ++report.compares;
    std::string why;
    if (success && slot.is_compare_wrong) {
        report.add(Finding::invented,
                   fmt::format("Compare of {} blocks at {} finds equal what differs", slot.count, slot.lba));
    } else if (success) {
        for (uint32_t at = 0; at < slot.count; ++at) {
            const Finding finding = model_.judge(slot.lba + at, block(slot, at), slot.issued, why);
            if (finding != Finding::none) report.add(finding, "Compare: " + why);
        }
    } else if (!slot.is_compare_wrong) {
        for (uint32_t at = 0; at < slot.count; ++at) {
            if (model_.may_differ(slot.lba + at, slot.expected[at], slot.issued)) return;
        }
        report.add(Finding::lost, fmt::format("Compare of {} blocks at {} finds a difference to what must be there",
                                              slot.count, slot.lba));
    }
}

}  // namespace weft::checker
