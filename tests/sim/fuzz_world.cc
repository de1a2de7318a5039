#include "sim/fuzz_world.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>

#include "base/log.h"
#include "bdev_modules/file/file_device.h"
#include "bdev_modules/malloc/malloc_device.h"
#include "bdev_modules/null/null_device.h"
#include "nvme/status.h"
#include "nvmf/tcp/group.h"

namespace weft::test {

namespace {

constexpr uint64_t disk_blocks = 128;
constexpr env::TimeNs step = 100 * env::ns_per_us;
constexpr env::TimeNs patience = 20 * env::ns_per_s;
constexpr uint32_t tasks_max = 4;

sim::Options world_options(const FuzzWorldOptions& options) {
    sim::Options world;
    world.network.latency = {.min = 2 * env::ns_per_us, .max = 20 * env::ns_per_us, .slow_probability = 0};
    world.network.segmentation = options.segmentation;
    if (!options.small_windows) world.network.window_bytes_min = world.network.window_bytes_max;
    world.disk.latency = {.min = 20 * env::ns_per_us, .max = 2 * env::ns_per_ms, .slow_probability = 0};
    return world;
}

nvmf::TransportOptions transport_options(const FuzzWorldOptions& options) {
    nvmf::TransportOptions transport;
    transport.max_queue_depth = 16;
    transport.max_aq_depth = 32;
    transport.max_io_qpairs_per_ctrlr = 4;
    transport.io_unit_size = 4096;
    transport.max_io_size = 32768;
    transport.num_shared_buffers = 12;  // two large commands, then others wait
    transport.pdu_timeout_ms = 1000;    // for hosts that sit on these
    transport.in_capsule_data_size = options.no_in_capsule_data ? 0 : 4096;
    transport.c2h_success = options.c2h_success;
    transport.zero_copy_reads = options.zero_copy_reads;
    return transport;
}

std::string disk_name(size_t subsystem) { return std::string("disk-") + static_cast<char>('a' + subsystem); }

}  // namespace

void fuzz_failed(const std::string& what) {
    std::fprintf(stderr, "the fuzzer found: %s\n", what.c_str());
    std::abort();
}

FuzzWorld::FuzzWorld(const FuzzWorldOptions& options)
    : rig_(std::make_unique<Rig>(
          options.seed,
          RigOptions{.data_reactors = options.two_reactors ? 2U : 1U, .hosts = 0, .world = world_options(options)})) {
    log::set_print_level(log::Level::error);
    machine_ = rig_->world().make_environment("hosts");
    rig_->run([](FuzzWorld& world, nvmf::TransportOptions transport) -> Task<void> {
        env::Files& files = world.rig().target_runtime().environment().files();
        auto file = files.open("/disk", {.create = true});
        WEFT_ASSERT(file && (*file)->resize(disk_blocks * fuzz_block_bytes));
        file->reset();
        const auto made = co_await world.rig().target().create_transport(std::move(transport));
        WEFT_ASSERT(made);
        for (const char* name : {"disk-a", "disk-b", "disk-c", "file", "null"}) co_await world.make_device(name);
        for (size_t subsystem = 0; subsystem < subsystem_count; ++subsystem) co_await world.export_subsystem(subsystem);
    }(*this, transport_options(options)));
    buffers_at_start_ = free_buffers();
    bystander_ = connect_right_host();
}

FuzzWorld::~FuzzWorld() {
    links.clear();
    bystander_ = {};
    machine_.reset();
}

Task<void> FuzzWorld::make_device(std::string name) {
    Rig& rig = *rig_;
    if (rig.bdevs().is_taken(name)) co_return;
    if (name == "file") {
        // It is busy for a moment when it is being made, or removed, by another step.
        for (uint32_t left = 1000;; --left) {
            const auto made = co_await bdev::create_file_device(
                rig.bdevs(),
                {.name = name, .filename = "/disk", .block_bytes = fuzz_block_bytes, .is_concurrent = true});
            if (made || made.error().code == Errc::already_exists) co_return;
            if (made.error().code != Errc::busy || left == 0) fuzz_failed("no file device: " + made.error().message);
            co_await sleep_for(env::ns_per_ms);
        }
    }
    if (name == "null") {
        (void)bdev::create_null_device(rig.bdevs(), {.name = name, .block_count = disk_blocks});
        co_return;
    }
    bdev::MallocOptions options;
    options.name = name;
    options.block_bytes = fuzz_block_bytes;
    options.block_count = disk_blocks;
    options.is_concurrent = true;
    options.pretouch = false;
    auto made = bdev::MallocDevice::create(options, Uuid::from_names({"fuzz", name}));
    WEFT_ASSERT(made);
    stamp({(*made)->memory(), disk_blocks * fuzz_block_bytes}, static_cast<size_t>(name.back() - 'a'), 0);
    (void)rig.bdevs().add(std::move(*made));
}

Task<void> FuzzWorld::add_namespaces(size_t subsystem) {
    std::vector<std::string> names = {disk_name(subsystem)};
    if (subsystem == 0) names.insert(names.end(), {"file", "null"});
    uint32_t nsid = 1;
    for (const std::string& name : names) {
        nvmf::Subsystem* found = rig_->target().find_subsystem(subsystem_nqn(subsystem));
        if (found == nullptr) co_return;
        (void)co_await found->add_namespace({.bdev_name = name, .nsid = nsid++});
    }
}

Task<void> FuzzWorld::export_subsystem(size_t subsystem) {
    nvmf::Target& target = rig_->target();
    const std::string nqn = subsystem_nqn(subsystem);
    const auto made = co_await target.create_subsystem({.nqn = nqn, .max_namespaces = 4});
    if (!made) co_return;
    const auto address = nvmf::normalise("tcp", "", rig_->target_address().host, std::to_string(Rig::port));
    if (nvmf::Subsystem* found = target.find_subsystem(nqn)) {
        (void)co_await found->add_listener(*address, *target.find_transport("tcp"));
    }
    const std::vector<size_t> hosts = subsystem == 0 ? std::vector<size_t>{0, 1} : std::vector<size_t>{subsystem + 1};
    for (const size_t host : hosts) {
        if (nvmf::Subsystem* found = target.find_subsystem(nqn)) (void)co_await found->add_host(host_nqn(host));
    }
    co_await add_namespaces(subsystem);
}

std::unique_ptr<FuzzLink> FuzzWorld::open() { return std::make_unique<FuzzLink>(*rig_, *machine_, false); }

void FuzzWorld::look(FuzzLink* link) const {
    if (link == nullptr) return;
    link->pump();
    if (!link->checker().ok()) fuzz_failed(link->checker().complaint());
}

void FuzzWorld::run_for(env::TimeNs time) {
    const env::TimeNs end = rig_->world().now() + time;
    do {
        for (const auto& link : links) look(link.get());
        look(bystander_.admin.get());
        look(bystander_.io.get());
        const env::TimeNs left = end - rig_->world().now();
        // What is to send waits for windows to open; long times pass in few steps.
        rig_->run_for(std::min(left, std::max(step, time / 8)));
    } while (rig_->world().now() < end);
    for (const auto& link : links) look(link.get());
}

// Until the host's commands are answered.
void FuzzWorld::settle(FuzzLink& link, const char* what) {
    const env::TimeNs began = rig_->world().now();
    for (;;) {
        look(&link);
        const SentChecker& checker = link.checker();
        if (link.is_established() && link.is_drained() && checker.is_initialized() && checker.unanswered() == 0 &&
            checker.open_r2ts().empty()) {
            break;
        }
        if (!link.is_open()) fuzz_failed(std::string("the well-behaved host lost its connection: ") + what);
        if (link.is_drained() && !checker.open_r2ts().empty()) {
            const OpenR2t r2t = checker.open_r2ts().front();
            link.h2c_data(r2t, r2t.offset, r2t.left, rounds_ * 8 + r2t.offset / fuzz_block_bytes, true, {});
        }
        const env::TimeNs waited = rig_->world().now() - began;
        if (waited >= patience) fuzz_failed(std::string("the well-behaved host waits for ever: ") + what);
        rig_->run_for(waited < 10 * env::ns_per_ms ? step : 10 * env::ns_per_ms);
    }
    if (!nvme::Status::from_wire(link.last_status()).is_success()) {
        fuzz_failed(fmt::format("the well-behaved host was refused: {}, status {:#x}", what, link.last_status()));
    }
}

RightHost FuzzWorld::connect_right_host() {
    const auto connect = [this](uint16_t qid, uint16_t cntlid) {
        auto link = std::make_unique<FuzzLink>(*rig_, *machine_, true);
        link->ic_req(rounds_ % 2 == 1, rounds_ % 3 == 1, 0, 0, {});
        link->connect({.host = 3,
                       .subsystem = 2,
                       .qid = qid,
                       .cntlid = cntlid,
                       .kato = qid == 0 ? 600'000U : 0U,
                       .cattr = static_cast<uint8_t>(qid == 0 ? 0 : 4)},
                      {});
        settle(*link, "Connect");
        return link;
    };
    RightHost host;
    host.admin = connect(0, nvme::cntlid_dynamic);
    host.admin->enable();
    settle(*host.admin, "CC.EN");
    host.io = connect(1, host.admin->checker().cntlid());
    return host;
}

void FuzzWorld::work(RightHost& host) {
    ++rounds_;
    const uint32_t blocks = rounds_ % 3 == 0 ? 24 : 4;
    nvme::Command command;
    command.nsid = 1;
    command.set_lba_range(uint64_t{rounds_} * 7 % (disk_blocks - blocks), blocks);
    host.io->expected.resize(size_t{blocks} * fuzz_block_bytes);
    stamp(host.io->expected, 2, uint64_t{rounds_} * 8);
    command.opcode = static_cast<uint8_t>(nvme::IoOpcode::write);
    command.dptr = nvme::SglDescriptor::transport(static_cast<uint32_t>(host.io->expected.size()));
    host.io->command(command, {}, {});
    settle(*host.io, "Write");
    command.opcode = static_cast<uint8_t>(nvme::IoOpcode::read);
    host.io->command(command, {}, {});
    settle(*host.io, "Read");
    nvme::Command alive;
    alive.opcode = static_cast<uint8_t>(nvme::AdminOpcode::keep_alive);
    host.admin->command(alive, {}, {});
    settle(*host.admin, "Keep Alive");
}

void FuzzWorld::work_bystander() { work(bystander_); }

void FuzzWorld::administrate(uint8_t what, uint8_t which) {
    if (tasks_ >= tasks_max) return;
    ++tasks_;
    const CurrentThread scope(&rig_->target_runtime().app_thread());
    spawn([](FuzzWorld& world, uint8_t action, uint8_t object) -> Task<void> {
        co_await world.administer(action, object);
        --world.tasks_;
    }(*this, what, which));
}

Task<void> FuzzWorld::administer(uint8_t what, uint8_t which) {
    static constexpr std::array names = {"disk-a", "file", "null", "disk-b"};
    const std::string name = names[which % names.size()];
    const std::string nqn = subsystem_nqn(which % 4 == 3 ? 1 : 0);
    nvmf::Target& target = rig_->target();
    nvmf::Subsystem* subsystem = target.find_subsystem(nqn);
    const uint32_t nsid = which % 4 == 3 ? 1 : 1 + which % 4;
    switch (what % 9) {
        case 0:
            if (subsystem != nullptr) (void)co_await subsystem->remove_namespace(nsid);
            break;
        case 1:
            if (subsystem != nullptr) (void)co_await subsystem->add_namespace({.bdev_name = name, .nsid = nsid});
            break;
        case 2: (void)co_await rig_->bdevs().remove(name); break;
        case 3: co_await make_device(name); break;
        case 4:
            if (auto* device = dynamic_cast<bdev::NullDevice*>(rig_->bdevs().find("null"))) {
                (void)device->resize(device->block_count() + 1 + which);
                rig_->bdevs().notify_resized(*device);
            }
            break;
        case 5: co_await change_hosts(which); break;
        case 6: co_await change_listener(which % 2 == 0); break;
        case 7: (void)co_await target.delete_subsystem(nqn); break;
        default: co_await export_subsystem(which % 4 == 3 ? 1 : 0); break;
    }
}

Task<void> FuzzWorld::change_hosts(uint8_t what) {
    nvmf::Subsystem* subsystem = rig_->target().find_subsystem(subsystem_nqn(0));
    if (subsystem == nullptr) co_return;
    const std::string host = host_nqn(what / 4 % 2);
    switch (what % 4) {
        case 0: (void)co_await subsystem->add_host(host); break;
        case 1: (void)co_await subsystem->remove_host(host); break;
        default: (void)co_await subsystem->set_allow_any_host(what % 2 == 0); break;
    }
}

Task<void> FuzzWorld::change_listener(bool add) {
    nvmf::Subsystem* subsystem = rig_->target().find_subsystem(subsystem_nqn(0));
    if (subsystem == nullptr) co_return;
    const auto address = nvmf::normalise("tcp", "", rig_->target_address().host, std::to_string(Rig::port));
    if (add) {
        (void)co_await subsystem->add_listener(*address, *rig_->target().find_transport("tcp"));
    } else {
        (void)co_await subsystem->remove_listener(*address);
    }
}

size_t FuzzWorld::free_buffers() {
    nvmf::Transport& transport = *rig_->target().find_transport("tcp");
    size_t free = transport.pool_figures().shared_free;
    for (nvmf::PollGroup* group : rig_->target().poll_groups()) {
        const CurrentThread scope(&group->thread());
        const auto& tcp = dynamic_cast<nvmf::tcp::TcpGroup&>(*group->transport_group(transport));
        free += tcp.buffers().available() - transport.pool_figures().shared_free;
    }
    return free;
}

void FuzzWorld::finish() {
    for (const auto& link : links) {
        if (link == nullptr || !link->is_established() || !link->is_drained() || !link->is_reading) continue;
        // Nobody is left without an answer who can be given one.
        const SentChecker& checker = link->checker();
        const bool is_owed = !checker.is_host_unreadable() && !checker.is_terminated() && checker.is_initialized() &&
                             !checker.is_host_within_pdu() && checker.open_r2ts().empty() && tasks_ == 0;
        if (!is_owed) continue;
        for (env::TimeNs waited = 0; waited < patience && link->is_open() && checker.unanswered() > 0;) {
            run_for(100 * env::ns_per_ms);
            waited += 100 * env::ns_per_ms;
        }
        if (link->is_open() && !checker.is_terminated() && checker.unanswered() > 0) {
            fuzz_failed("a command was never answered");
        }
    }
    work_bystander();
    links.clear();
    const env::TimeNs end = rig_->world().now() + patience;
    while (tasks_ > 0 && rig_->world().now() < end) run_for(env::ns_per_ms);
    if (tasks_ > 0) fuzz_failed("what the administrator asked for never ends");
    bystander_ = {};
    run_for(env::ns_per_s);
    if (!rig_->target_is_idle()) fuzz_failed("queue pairs or controllers are left");
    if (free_buffers() != buffers_at_start_) fuzz_failed("data buffers are left");
    RightHost fresh = connect_right_host();
    work(fresh);
    fresh = {};
    run_for(env::ns_per_s);
    if (!rig_->target_is_idle()) fuzz_failed("queue pairs or controllers are left of the last host");
}

}  // namespace weft::test
