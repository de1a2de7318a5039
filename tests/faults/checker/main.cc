// weft-checker: does I/O as several hosts, and says whether what a target acknowledged is what it gives back.
//
//   weft-checker run   -a ADDRESS -s PORT -n NQN --journal FILE ...   writes, reads, flushes; judges what it reads
//   weft-checker check -a ADDRESS -s PORT -n NQN --journal FILE ...   after a crash: reads everything back
#include <fmt/format.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <charconv>
#include <cstdio>
#include <exception>
#include <nlohmann/json.hpp>
#include <optional>

#include "app/cli/session.h"
#include "app/cli/target_options.h"
#include "host.h"
#include "nvme_host/admin.h"

namespace {

using weft::Bytes;
using weft::Errc;
using weft::Error;
using weft::fail;
using weft::MutableBytes;
using weft::Result;
using weft::Runtime;
using weft::Task;
using weft::Thread;
using weft::checker::Finding;
using weft::checker::Host;
using weft::checker::Journal;
using weft::checker::JournalHead;
using weft::checker::Kind;
using weft::checker::Ledger;
using weft::checker::Mode;
using weft::checker::Model;
using weft::checker::name_of;
using weft::checker::Plan;
using weft::checker::Report;
namespace cli = weft::cli;
namespace env = weft::env;
namespace nvme = weft::nvme;
namespace nvme_host = weft::nvme_host;

constexpr int exit_right = 0;
constexpr int exit_wrong = 1;
constexpr int exit_unable = 2;

struct Settings {
    cli::TargetOptions target;
    Plan plan;
    std::string journal;
    std::string mode = "kill";
    std::string name = "checker";  // of the hosts
    uint64_t first = 0;
    uint64_t blocks = 8192;
    double seconds = 5;
    double patience = 10;
    uint32_t io_timeout = 15;
    uint32_t pause_max_ms = 0;
    std::vector<std::string> tolerated;
    bool json = false;
};

// "2/80": status code type and status code, hexadecimal.
std::optional<uint16_t> parse_status(std::string_view text) {
    const size_t slash = text.find('/');
    if (slash == std::string_view::npos) return std::nullopt;
    unsigned type = 0;
    unsigned code = 0;
    // NOLINTNEXTLINE(bugprone-suspicious-stringview-data-usage): it has the end, too
    const auto first = std::from_chars(text.data(), text.data() + slash, type, 16);
    const auto second = std::from_chars(text.data() + slash + 1, text.data() + text.size(), code, 16);
    if (first.ec != std::errc{} || second.ec != std::errc{} || type > 7 || code > 255) return std::nullopt;
    return static_cast<uint16_t>(type << 8 | code);
}

Result<nvme_host::ControllerOptions> options_of_host(const Settings& settings, Runtime& runtime, uint32_t index) {
    cli::TargetOptions target = settings.target;
    target.hostnqn = fmt::format("nqn.2026-11.io.weft:{}-{}", settings.name, index);
    target.hostid = fmt::format("c4ec4e55-0000-4000-8000-{:08x}{:04x}",
                                static_cast<uint32_t>(std::hash<std::string>{}(settings.name)), index);
    auto options = cli::controller_options(target, runtime.environment(), "");
    if (options) options->io_timeout = settings.io_timeout * env::ns_per_s;
    return options;
}

// A host for what is not load: looks at the namespace, zeroes it, reads it.
class Reader {
public:
    static Task<Result<std::unique_ptr<Reader>>> open(const Settings& settings, Runtime& runtime, uint32_t index) {
        auto options = options_of_host(settings, runtime, index);
        if (!options) co_return std::unexpected(std::move(options).error());
        options->io_queue_max = 1;
        auto group = nvme_host::tcp::ConnectionGroup::create(Thread::current());
        if (!group) co_return std::unexpected(std::move(group).error());
        auto controller = co_await nvme_host::Controller::connect(**group, std::move(*options));
        if (!controller) co_return std::unexpected(std::move(controller).error());
        std::unique_ptr<Reader> reader(new Reader);
        reader->nsid_ = settings.plan.nsid;
        reader->group_ = std::move(*group);
        reader->controller_ = std::move(*controller);
        auto prepared = co_await reader->prepare();
        if (!prepared) {
            co_await reader->close();
            co_return std::unexpected(std::move(prepared).error());
        }
        co_return reader;
    }
    Task<void> close() {
        co_await controller_->disconnect();
        controller_.reset();
    }
    Task<Result<void>> execute(nvme::IoOpcode opcode, uint64_t lba, uint32_t count, MutableBytes data) {
        const iovec memory{.iov_base = data.data(), .iov_len = data.size()};
        nvme_host::Io io;
        io.command.opcode = static_cast<uint8_t>(opcode);
        io.command.nsid = nsid_;
        if (count > 0) io.command.set_lba_range(lba, count);
        // Zeroes need no room: the namespace may lie on a file system that is small on purpose.
        if (opcode == nvme::IoOpcode::write_zeroes) io.command.cdw12 = io.command.cdw12 | nvme::io_bits::deallocate;
        if (!data.empty()) io.data = {&memory, 1};
        co_await nvme_host::Execute(*qpair_, io);
        if (io.is_success()) co_return Result<void>{};
        co_return fail(Errc::io_error,
                       fmt::format("a command at block {} was answered with {}", lba, nvme::describe(io.status())));
    }
    [[nodiscard]] uint32_t block_bytes() const { return block_bytes_; }
    [[nodiscard]] uint64_t block_count() const { return block_count_; }
    [[nodiscard]] uint32_t transfer_max() const { return std::min(controller_->transfer_bytes_max(), 131'072u); }

private:
    Reader() = default;
    Task<Result<void>> prepare() {
        const auto data = co_await nvme_host::identify_namespace(*controller_, nsid_);
        if (!data) co_return std::unexpected(data.error());
        const auto format = nvme_host::block_format(*data);
        if (data->nsze == 0 || format.block_bytes < weft::checker::block_bytes_min || format.metadata_bytes != 0) {
            co_return fail(Errc::not_supported, fmt::format("there is no fitting namespace {}", nsid_));
        }
        block_bytes_ = format.block_bytes;
        block_count_ = data->nsze;
        auto qpair = co_await controller_->create_io_qpair(*group_);
        if (!qpair) co_return std::unexpected(std::move(qpair).error());
        qpair_ = *qpair;
        co_return Result<void>{};
    }

    uint32_t nsid_ = 1;
    std::unique_ptr<nvme_host::tcp::ConnectionGroup> group_;
    std::unique_ptr<nvme_host::Controller> controller_;
    nvme_host::Qpair* qpair_ = nullptr;
    uint32_t block_bytes_ = 0;
    uint64_t block_count_ = 0;
};

void print(const Settings& settings, const Model& model, const Report& report) {
    const double pause_ms = static_cast<double>(report.longest_pause) / env::ns_per_ms;
    if (settings.json) {
        nlohmann::ordered_json answer{{"round", model.round()},
                                      {"writes", report.writes},
                                      {"reads", report.reads},
                                      {"flushes", report.flushes},
                                      {"compares", report.compares},
                                      {"write_zeroes", report.zeroes},
                                      {"deallocates", report.deallocates},
                                      {"refused", report.refused},
                                      {"unexpected", report.unexpected},
                                      {"damaged", report.damaged},
                                      {"unanswered", report.unanswered},
                                      {"connects", report.connects},
                                      {"losses", report.losses},
                                      {"blocks_judged", report.blocks_judged},
                                      {"unfinished_hosts", report.unfinished_hosts},
                                      {"longest_pause_ms", pause_ms}};
        for (const Finding finding : {Finding::lost, Finding::invented, Finding::misplaced, Finding::torn}) {
            answer[name_of(finding)] = report.findings[static_cast<size_t>(finding)];
        }
        answer["wrong"] = report.wrong();
        answer["texts"] = report.texts;
        fmt::print("{}\n", answer.dump());
    } else {
        for (const std::string& text : report.texts) fmt::print("{}\n", text);
        fmt::print(
            "round {}: {} writes, {} reads, {} flushes, {} compares, {} write zeroes, {} deallocates; {} refused, "
            "{} unanswered, {} connects, longest pause {:.0f} ms\n",
            model.round(), report.writes, report.reads, report.flushes, report.compares, report.zeroes,
            report.deallocates, report.refused, report.unanswered, report.connects, pause_ms);
        fmt::print("{} blocks judged: {} lost, {} invented, {} misplaced, {} torn; {} unexpected answers\n",
                   report.blocks_judged, report.findings[1], report.findings[2], report.findings[3], report.findings[4],
                   report.unexpected);
    }
}

// A new model: all blocks are zeroed, and that is flushed.
Task<Result<void>> begin(const Settings& settings, Runtime& runtime, JournalHead& head, std::unique_ptr<Model>& model) {
    auto opened = co_await Reader::open(settings, runtime, 0);
    if (!opened) co_return std::unexpected(std::move(opened).error());
    Reader& reader = **opened;
    Result<void> done;
    if (settings.first + settings.blocks > reader.block_count()) {
        done = fail(Errc::out_of_range, fmt::format("the namespace has {} blocks", reader.block_count()));
    }
    for (uint64_t at = 0; done && at < settings.blocks; at += 65536) {
        const auto count = static_cast<uint32_t>(std::min<uint64_t>(settings.blocks - at, 65536));
        done = co_await reader.execute(nvme::IoOpcode::write_zeroes, settings.first + at, count, {});
    }
    if (done) done = co_await reader.execute(nvme::IoOpcode::flush, 0, 0, {});
    head = {.first_lba = settings.first,
            .block_count = settings.blocks,
            .block_bytes = reader.block_bytes(),
            .mode = settings.mode == "power" ? Mode::power : Mode::kill,
            .host_count = settings.plan.hosts,
            .seed = settings.plan.seed};
    runtime.environment().random().fill(weft::bytes_of(head.run));
    co_await reader.close();
    model = std::make_unique<Model>(head.mode, head.run, head.first_lba, head.block_count, head.block_bytes);
    for (uint64_t lba = head.first_lba; lba < head.first_lba + head.block_count; ++lba) {
        model->restore(lba, {.kind = Kind::zeroes});
    }
    co_return done;
}

Task<void> work_and_count(Host& host, uint32_t& left) {
    co_await host.work();
    --left;
}

Task<Result<int>> run(Settings& settings, Runtime& runtime) {
    JournalHead head;
    std::unique_ptr<Model> model;
    std::unique_ptr<Journal> journal;
    if (!settings.journal.empty()) {
        if (::access(settings.journal.c_str(), F_OK) == 0) {
            auto opened = Journal::open(settings.journal, head, model);
            if (!opened) co_return std::unexpected(std::move(opened).error());
            journal = std::move(*opened);
        }
    }
    if (model == nullptr) {
        WEFT_CO_TRY(co_await begin(settings, runtime, head, model));
        if (!settings.journal.empty()) {
            auto created = Journal::create(settings.journal, head);
            if (!created) co_return std::unexpected(std::move(created).error());
            journal = std::move(*created);
            WEFT_CO_TRY(journal->snapshot(head, *model));
        }
    }
    settings.plan.hosts = head.host_count;
    settings.plan.end = Thread::current().reactor().now() + static_cast<env::TimeNs>(settings.seconds * env::ns_per_s);
    Report report;
    Ledger ledger{.model = *model, .journal = journal.get(), .report = report, .plan = settings.plan};
    std::vector<std::unique_ptr<Host>> hosts;
    for (uint32_t index = 0; index < settings.plan.hosts; ++index) {
        auto options = options_of_host(settings, runtime, index);
        if (!options) co_return std::unexpected(std::move(options).error());
        hosts.push_back(std::make_unique<Host>(ledger, index, std::move(*options)));
    }
    auto left = static_cast<uint32_t>(hosts.size());
    for (const auto& host : hosts) spawn(work_and_count(*host, left));
    while (left > 0) {  // NOLINT(bugprone-infinite-loop): work_and_count() changes it
        // After a wrong answer the rest tells less and less.
        if (report.wrong() > 100) ledger.should_stop = true;
        co_await weft::sleep_for(5 * env::ns_per_ms);
    }
    if (settings.pause_max_ms != 0 && report.longest_pause > settings.pause_max_ms * env::ns_per_ms) {
        ++report.unexpected;
        report.note(fmt::format("a pause of {} ms, {} are allowed", report.longest_pause / env::ns_per_ms,
                                settings.pause_max_ms));
    }
    print(settings, *model, report);
    co_return report.wrong() == 0 ? exit_right : exit_wrong;
}

Task<Result<int>> check(Settings& settings, Runtime& runtime) {
    JournalHead head;
    std::unique_ptr<Model> model;
    auto journal = Journal::open(settings.journal, head, model);
    if (!journal) co_return std::unexpected(std::move(journal).error());
    // As every host once: what their last associations had under way is over then.
    std::unique_ptr<Reader> reader;
    for (uint32_t index = 0; index < head.host_count; ++index) {
        auto opened = co_await Reader::open(settings, runtime, index);
        if (!opened) co_return std::unexpected(std::move(opened).error());
        if (index + 1 < head.host_count) {
            co_await (*opened)->close();
        } else {
            reader = std::move(*opened);
        }
    }
    model->end_all_hosts();
    Report report;
    Result<void> done;
    if (reader->block_bytes() != head.block_bytes || reader->block_count() < head.first_lba + head.block_count) {
        done = fail(Errc::protocol_error, "the namespace has another size than the one of the journal");
    }
    std::vector<std::byte> memory(reader->transfer_max());
    const auto step = static_cast<uint32_t>(memory.size() / head.block_bytes);
    const uint64_t end = head.first_lba + head.block_count;
    for (uint64_t lba = head.first_lba; done && lba < end; lba += step) {
        const auto count = static_cast<uint32_t>(std::min<uint64_t>(step, end - lba));
        const auto data = MutableBytes(memory).first(size_t{count} * head.block_bytes);
        done = co_await reader->execute(nvme::IoOpcode::read, lba, count, data);
        ++report.reads;
        std::string why;
        for (uint32_t at = 0; done && at < count; ++at) {
            const Bytes block = Bytes(data).subspan(size_t{at} * head.block_bytes, head.block_bytes);
            const Finding finding = model->judge_after_crash(lba + at, block, why);
            ++report.blocks_judged;
            if (finding != Finding::none) report.add(finding, why);
        }
    }
    co_await reader->close();
    if (!done) co_return std::unexpected(std::move(done).error());
    print(settings, *model, report);
    if (report.wrong() > 0) co_return exit_wrong;  // the journal stays as it is: evidence
    model->next_round();
    WEFT_CO_TRY((*journal)->snapshot(head, *model));
    co_return exit_right;
}

void declare(CLI::App& command, Settings& settings, bool runs) {
    cli::add_target_options(command, settings.target, false);
    command.add_option("--nsid", settings.plan.nsid, "Namespace")->capture_default_str();
    auto* journal = command.add_option("-j,--journal", settings.journal,
                                       "What was done and acknowledged; gone on with when it is there");
    if (!runs) journal->required();
    command.add_option("--name", settings.name, "Part of the hosts' NQNs")->capture_default_str();
    command.add_option("--io-timeout", settings.io_timeout, "Seconds until an unanswered command ends its connection")
        ->capture_default_str();
    command.add_flag("--json", settings.json, "One line of JSON");
    if (!runs) return;
    command.add_option("--hosts", settings.plan.hosts, "Hosts, each with an association of its own")
        ->check(CLI::Range(1, 64))
        ->capture_default_str();
    command.add_option("--queues", settings.plan.queues, "I/O queues of each host")
        ->check(CLI::Range(1, 64))
        ->capture_default_str();
    command.add_option("-q,--depth", settings.plan.depth, "Commands on their way on each queue")
        ->check(CLI::Range(1, 1024))
        ->capture_default_str();
    command.add_option("--first", settings.first, "First block used")->capture_default_str();
    command.add_option("--blocks", settings.blocks, "Blocks used")
        ->check(CLI::Range(64, 1 << 24))
        ->capture_default_str();
    command.add_option("--shared", settings.plan.shared_percent, "Percent of the blocks that all queues use")
        ->check(CLI::Range(0, 100))
        ->capture_default_str();
    command.add_option("--bytes-max", settings.plan.bytes_max, "Longest command")
        ->check(CLI::Range(4096, 1 << 20))
        ->capture_default_str();
    command.add_option("--reads", settings.plan.reads, "Percent of reads and compares")
        ->check(CLI::Range(0, 95))
        ->capture_default_str();
    command.add_option("-t,--time", settings.seconds, "Seconds")->capture_default_str();
    command.add_option("--seed", settings.plan.seed, "Of the choice of commands")->capture_default_str();
    command.add_option("--mode", settings.mode, "What the crash will be: kill or power; with a new journal")
        ->check(CLI::IsMember({"kill", "power"}))
        ->capture_default_str();
    command.add_flag("--reconnect", settings.plan.reconnect, "Connect again when a connection is lost");
    command.add_option("--patience", settings.patience, "Seconds to wait, after the end, for a target that is away")
        ->capture_default_str();
    command.add_option("--pause-max", settings.pause_max_ms, "Milliseconds without an answer that are wrong, 0: any")
        ->capture_default_str();
    command.add_option("--tolerate", settings.tolerated, "Statuses that may come, such as 0/81 2/80 (hexadecimal)");
    command.add_flag("!--no-deallocate", settings.plan.deallocates, "Without Deallocate");
}

int start(Settings& settings, Task<Result<int>> (*body)(Settings&, Runtime&)) {
    return cli::run_session({}, [&settings, body](Runtime& runtime) -> Task<int> {
        const auto code = co_await body(settings, runtime);
        if (code) co_return *code;
        fmt::print(stderr, "weft-checker: {}\n", code.error().message);
        co_return exit_unable;
    });
}

int run_program(int argc, char** argv) {
    CLI::App app(
        "The acknowledged-write checker: does I/O as several hosts and says whether a target keeps what it "
        "acknowledged",
        "weft-checker");
    app.require_subcommand(1);
    app.footer(
        "Exit status: 0 all is right, 1 something was lost, torn, misplaced, invented or refused, 2 it could not "
        "be found out.");
    Settings settings;
    auto* runs = app.add_subcommand("run", "Writes, reads, flushes; ends with status 0 also when the target goes away");
    auto* checks = app.add_subcommand("check", "After a crash or a stop: reads everything back and judges it");
    declare(*runs, settings, true);
    declare(*checks, settings, false);
    try {
        app.parse(argc, argv);
    } catch (const CLI::ParseError& error) {
        return app.exit(error) == 0 ? exit_right : exit_unable;
    }
    for (const std::string& text : settings.tolerated) {
        const auto status = parse_status(text);
        if (!status) {
            fmt::print(stderr, "weft-checker: --tolerate {}: write type/code, such as 2/80\n", text);
            return exit_unable;
        }
        settings.plan.tolerated.push_back(*status);
    }
    settings.plan.patience = static_cast<env::TimeNs>(settings.patience * env::ns_per_s);
    return runs->parsed() ? start(settings, run) : start(settings, check);
}

}  // namespace

int main(int argc, char** argv) {
    try {
        return run_program(argc, argv);
    } catch (const std::exception& error) {
        std::fprintf(stderr, "weft-checker: %s\n", error.what());
    }
    return exit_unable;
}
