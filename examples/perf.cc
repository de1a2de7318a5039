// perf: a load on a namespace over NVMe/TCP, one connection from each reactor.
//
//   perf -q 32 -o 4096 -w randread -t 10 -r 'trtype:TCP adrfam:IPv4 traddr:127.0.0.1 trsvcid:4420 subnqn:nqn…'
//
// Compact on purpose; `weft perf` has percentiles, rates, verification and more.
#include <fmt/format.h>

#include <cstdio>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include "app/start/application.h"
#include "nvme_host/admin.h"
#include "nvme_host/controller.h"
#include "nvme_host/target_options.h"
#include "reactor/reactor.h"

using weft::Result;
using weft::Task;
namespace env = weft::env;
namespace nvme = weft::nvme;
namespace host = weft::nvme_host;

namespace {

struct Settings {
    host::TargetOptions target;
    uint32_t nsid = 1;
    uint32_t queue_depth = 1;
    uint32_t io_bytes = 4096;
    std::string workload = "randread";
    uint32_t read_percent = 50;
    uint32_t seconds = 5;
};

// What the commands are made of.
struct Plan {
    uint32_t nsid = 1;
    uint32_t io_blocks = 1;
    uint64_t unit_count = 0;  // of io_blocks blocks each, in the namespace
    bool is_random = false;
    uint32_t read_percent = 0;
};

// One queue that is kept full. Lives on the thread of its group; nothing is allocated once it runs.
class Load {
public:
    Load(const Settings& settings, const Plan& plan, host::tcp::ConnectionGroup& group, host::Qpair& qpair,
         uint32_t seed)
        : plan_(plan), group_(group), qpair_(qpair), random_(seed), slots_(settings.queue_depth) {
        for (Slot& slot : slots_) {
            slot.load = this;
            slot.bytes.resize(settings.io_bytes, std::byte{0xA5});
            slot.memory = {.iov_base = slot.bytes.data(), .iov_len = slot.bytes.size()};
            slot.io.data = {&slot.memory, 1};
            slot.io.command.nsid = plan.nsid;
            slot.io.context = &slot;
            slot.io.done = [](host::Io& io) {
                Slot& ended = *static_cast<Slot*>(io.context);
                ended.load->on_done(ended);
            };
        }
    }
    // Commands are counted until `end` by the clock, and those under way then are waited for.
    void start(env::TimeNs end) {
        end_ = end;
        for (Slot& slot : slots_) submit(slot, weft::Reactor::current().now());
        in_flight_ = slots_.size();
    }
    void set_end(env::TimeNs end) { end_ = end; }
    [[nodiscard]] bool is_over() const { return in_flight_ == 0; }

    uint64_t done_count = 0;
    uint64_t failed_count = 0;
    env::TimeNs latency_sum = 0;

private:
    struct Slot {
        Load* load = nullptr;
        host::Io io;
        iovec memory{};
        std::vector<std::byte> bytes;
        env::TimeNs began = 0;
    };
    void submit(Slot& slot, env::TimeNs now) {
        const uint64_t unit = (plan_.is_random ? random_() : next_unit_++) % plan_.unit_count;
        const bool is_read = random_() % 100 < plan_.read_percent;
        slot.io.command.opcode = static_cast<uint8_t>(is_read ? nvme::IoOpcode::read : nvme::IoOpcode::write);
        slot.io.command.set_lba_range(unit * plan_.io_blocks, plan_.io_blocks);
        slot.began = now;
        qpair_.submit(slot.io);
    }
    void on_done(Slot& slot) {
        const env::TimeNs now = group_.arrival_time();
        const bool is_in_time = now <= end_;
        if (!slot.io.is_success()) {
            ++failed_count;
        } else if (is_in_time) {
            ++done_count;
            latency_sum += now - slot.began;
        }
        if (is_in_time && qpair_.failure() == nullptr) {
            submit(slot, now);
        } else {
            --in_flight_;
        }
    }

    const Plan plan_;
    host::tcp::ConnectionGroup& group_;
    host::Qpair& qpair_;
    std::mt19937_64 random_;
    std::vector<Slot> slots_;
    uint64_t next_unit_ = 0;
    size_t in_flight_ = 0;
    env::TimeNs end_ = 0;
};

// What a reactor has. Both are made and destroyed on its first thread.
struct Worker {
    weft::Thread& thread;
    std::unique_ptr<host::tcp::ConnectionGroup> group;
    std::unique_ptr<Load> load;
};

Result<Plan> make_plan(const Settings& settings, const nvme::IdentifyNamespace& described) {
    const host::BlockFormat format = host::block_format(described);
    if (described.nsze == 0 || format.block_bytes == 0 || format.metadata_bytes != 0) {
        return weft::fail(weft::Errc::no_such_device,
                          fmt::format("there is no namespace {} with blocks of data alone", settings.nsid));
    }
    if (settings.io_bytes % format.block_bytes != 0) {
        return weft::fail(weft::Errc::invalid_argument, fmt::format("-o {}: not a multiple of the {} bytes of a block",
                                                                    settings.io_bytes, format.block_bytes));
    }
    Plan plan{.nsid = settings.nsid, .io_blocks = settings.io_bytes / format.block_bytes};
    plan.unit_count = described.nsze / plan.io_blocks;
    if (plan.unit_count == 0) return weft::fail(weft::Errc::invalid_argument, "-o: larger than the namespace");
    plan.is_random = settings.workload.starts_with("rand");
    plan.read_percent = settings.workload.ends_with("read")    ? 100
                        : settings.workload.ends_with("write") ? 0
                                                               : settings.read_percent;
    return plan;
}

// Each worker's part is done on its own thread.
Task<Result<void>> make_loads(std::vector<Worker>& workers, host::Controller& controller, const Settings& settings,
                              const Plan& plan) {
    for (Worker& worker : workers) {
        co_await resume_on(worker.thread);
        auto group = host::tcp::ConnectionGroup::create(worker.thread);
        co_await resume_on(controller.thread());
        if (!group) co_return std::unexpected(std::move(group).error());
        worker.group = std::move(*group);
        auto qpair = co_await controller.create_io_qpair(*worker.group);
        if (!qpair) co_return std::unexpected(std::move(qpair).error());
        worker.load = std::make_unique<Load>(settings, plan, *worker.group, **qpair,
                                             static_cast<uint32_t>(&worker - workers.data() + 1));
    }
    co_return Result<void>{};
}

// Until the time is over, or somebody asks for the end; then until no command is under way.
Task<double> run_loads(weft::app::Application& app, std::vector<Worker>& workers, uint32_t seconds) {
    env::Clock& clock = app.runtime().environment().clock();
    weft::Thread& home = weft::Thread::current();
    const env::TimeNs begin = clock.now();
    env::TimeNs end = begin + seconds * env::ns_per_s;
    for (Worker& worker : workers) {
        co_await resume_on(worker.thread);
        worker.load->start(end);
    }
    co_await resume_on(home);
    while (clock.now() < end && !app.is_stop_requested()) co_await weft::sleep_for(50 * env::ns_per_ms);
    end = std::min(end, clock.now());
    for (Worker& worker : workers) {
        co_await resume_on(worker.thread);
        worker.load->set_end(end);
        while (!worker.load->is_over()) co_await weft::sleep_for(env::ns_per_ms);
    }
    co_await resume_on(home);
    co_return static_cast<double>(end - begin) / static_cast<double>(env::ns_per_s);
}

void report(const std::vector<Worker>& workers, const Settings& settings, double seconds) {
    uint64_t done = 0;
    uint64_t failed = 0;
    env::TimeNs latency = 0;
    for (const Worker& worker : workers) {
        done += worker.load->done_count;
        failed += worker.load->failed_count;
        latency += worker.load->latency_sum;
    }
    const double rate = static_cast<double>(done) / seconds;
    fmt::print("{} commands in {:.2f} s: {:.0f} IOPS, {:.1f} MiB/s, {:.1f} us on average; {} failed\n", done, seconds,
               rate, rate * settings.io_bytes / (1 << 20),
               done == 0 ? 0.0 : static_cast<double>(latency) / static_cast<double>(done) / 1000, failed);
}

Task<Result<void>> measure(weft::app::Application& app, host::Controller& controller, std::vector<Worker>& workers,
                           const Settings& settings) {
    const auto described = co_await host::identify_namespace(controller, settings.nsid);
    if (!described) co_return std::unexpected(described.error());
    const auto plan = make_plan(settings, *described);
    if (!plan) co_return std::unexpected(plan.error());
    if (settings.io_bytes > controller.transfer_bytes_max()) {
        co_return weft::fail(
            weft::Errc::invalid_argument,
            fmt::format("-o {}: a command moves at most {} bytes", settings.io_bytes, controller.transfer_bytes_max()));
    }
    Result<void> done = co_await make_loads(workers, controller, settings, *plan);
    if (done) {
        const double seconds = co_await run_loads(app, workers, settings.seconds);
        report(workers, settings, seconds);
    }
    co_return done;
}

Task<Result<void>> run(weft::app::Application& app, const Settings& settings) {
    auto options = host::controller_options(settings.target, app.runtime().environment());
    if (!options) co_return std::unexpected(std::move(options).error());
    std::vector<Worker> workers;
    for (const auto& reactor : app.runtime().data_reactors()) workers.push_back({reactor->first_thread(), {}, {}});
    options->io_queue_max = static_cast<uint32_t>(workers.size());
    options->io_depth = settings.queue_depth;
    weft::Thread& home = weft::Thread::current();
    auto group = host::tcp::ConnectionGroup::create(home);
    if (!group) co_return std::unexpected(std::move(group).error());
    auto controller = co_await host::Controller::connect(**group, std::move(*options));
    if (!controller) co_return std::unexpected(std::move(controller).error());
    Result<void> done = co_await measure(app, **controller, workers, settings);
    co_await (*controller)->disconnect();  // before the loads go, which its queues name
    for (Worker& worker : workers) {
        co_await resume_on(worker.thread);
        worker.load.reset();
        worker.group.reset();
    }
    co_await resume_on(home);
    co_return done;
}

Task<int> live(weft::app::Application& app, const Settings& settings) {
    const Result<void> done = co_await run(app, settings);
    if (!done) fmt::print(stderr, "perf: {}\n", done.error().message);
    co_return done ? 0 : 1;
}

}  // namespace

int main(int argc, char** argv) {
    weft::app::Application app({.name = "perf",
                                .text = "Keeps a queue of commands to a namespace full on each reactor, and counts",
                                .usage = [] { return "Writes overwrite what is there."; },
                                .spin = 2 * env::ns_per_s});  // a load generator does not sleep between two answers
    Settings settings;
    weft::app::Options& options = app.options();
    options.add_text("-r,--transport-id", settings.target.transport_id,
                     "'trtype:TCP adrfam:IPv4 traddr:127.0.0.1 trsvcid:4420 subnqn:nqn…'",
                     weft::app::Options::Presence::required);
    options.add_number("--nsid", settings.nsid, "The namespace", {.min = 1});
    options.add_number("-q,--io-depth", settings.queue_depth, "Commands under way on each reactor",
                       {.min = 1, .max = 65535});
    options.add_number("-o,--io-size", settings.io_bytes, "Bytes of a command", {.min = 512, .max = 1u << 30});
    options.add_choice("-w,--io-pattern", settings.workload, {"read", "write", "randread", "randwrite", "rw", "randrw"},
                       "What the commands do");
    options.add_number("-M,--rwmixread", settings.read_percent, "Reads in a hundred commands of rw and randrw",
                       {.max = 100});
    options.add_number("-t,--time", settings.seconds, "Seconds", {.min = 1, .max = 86400});
    if (const auto status = app.parse(argc, argv)) return *status;
    return app.run([&] { return live(app, settings); });
}
