// weft trace: what a target did, I/O by I/O: records a running one, or reads what a dead one left behind.
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <charconv>
#include <csignal>
#include <cstdio>

#include "app/cli/io_session.h"
#include "app/cli/rpc/rpc_address.h"
#include "app/cli/session.h"
#include "app/cli/subcommand.h"
#include "app/cli/watch/trace_export.h"
#include "base/trace_selection.h"
#include "env/linux/signals.h"
#include "env/linux/terminal.h"
#include "env/shared_memory.h"
#include "rpc/client.h"
#include "rpc/json.h"

namespace weft::cli {

namespace {

constexpr env::TimeNs call_timeout = 10 * env::ns_per_s;
// At a million commands a second and 32768 entries a reactor's ring is full after a few milliseconds.
constexpr env::TimeNs look_interval = 2 * env::ns_per_ms;

class FileSource final : public trace::Source {
public:
    explicit FileSource(std::unique_ptr<env::FileView> file) : file_(std::move(file)) {}
    Result<uint64_t> size_bytes() override { return file_->size_bytes(); }
    Result<size_t> read(uint64_t offset, MutableBytes into) override { return file_->read(offset, into); }

private:
    std::unique_ptr<env::FileView> file_;
};

// A trace file that is open.
struct TraceFile {
    std::unique_ptr<FileSource> source;
    trace::TraceReader reader;

    static Result<TraceFile> open(const std::string& path) {
        auto view = env::open_file_view(path);
        if (!view) return std::unexpected(std::move(view).error());
        auto source = std::make_unique<FileSource>(std::move(*view));
        auto reader = trace::TraceReader::open(*source);
        if (!reader) return fail(reader.error().code, fmt::format("{}: {}", path, reader.error().message));
        return TraceFile{std::move(source), std::move(*reader)};
    }
};

class Trace final : public Subcommand {
public:
    CLI::App* declare(CLI::App& app) override {
        sub_ = app.add_subcommand("trace",
                                  "Follow I/Os through a target: record a running weftd, or read a dead one's file");
        sub_->add_option("ACTION", action_, "record: trace a running weftd for a while")
            ->check(CLI::IsMember({"record"}));
        sub_->add_option("--file", file_, "Instead: read this file, which a weftd left in /dev/shm");
        sub_->add_option("-o,--output", output_,
                         "Where the trace goes, for ui.perfetto.dev or chrome://tracing; - for text on standard output")
            ->required();
        sub_->add_flag("--text", is_text_, "Write a line for each entry instead of JSON");
        sub_->add_option("-s,--socket", socket_, "Socket of the server: a path, or ADDRESS:PORT")
            ->capture_default_str();
        sub_->add_option(
                "-e,--tpoint-group", groups_,
                "Tracepoint groups, with commas between; behind a colon a mask of tracepoints, or names joined by +")
            ->capture_default_str();
        sub_->add_option("-t,--time", seconds_, "Seconds to record; 0: until Ctrl-C")
            ->check(CLI::Range(0.0, 86400.0))
            ->capture_default_str();
        sub_->add_option("--entries", entries_max_, "Entries to keep; older ones are given up")
            ->check(CLI::Range(1'000, 2'000'000))
            ->capture_default_str();
        sub_->footer(
            "The tracepoints that were on before are on again afterwards, and no others. The file is for the user of "
            "weftd and for root.\n"
            "Example: weft trace record -t 2 -o trace.json\n"
            "         weft trace --file /dev/shm/weftd_trace.pid1234 -o -");
        return sub_;
    }

    int run() override {
        if (action_.empty() == file_.empty()) {
            return report(
                {Errc::invalid_argument, "trace: either record, or --file FILE; weft trace --help says more"});
        }
        is_text_ |= output_ == "-";
        if (file_.empty()) {
            auto selection = trace::parse_selection(groups_);
            if (!selection) {
                return report({Errc::invalid_argument, fmt::format("-e {}: {}", groups_, selection.error().message)});
            }
            selection_ = std::move(*selection);
            // Before any thread is there, so that all have them blocked.
            auto signals = env::SignalSource::create({SIGINT, SIGTERM, SIGHUP});
            if (!signals) return report(signals.error());
            signals_ = std::move(*signals);
        }
        return run_session({}, [this](Runtime& runtime) { return file_.empty() ? record(runtime) : convert(); });
    }

private:
    static int report(const Error& error) {
        fmt::print(stderr, "weft: {}\n", error.message);
        return exit_failed;
    }

    int write(trace::TraceReader& reader, TraceCollection& collection) {
        RecordedTrace recorded{.header = reader.header(),
                               .rings = reader.rings(),
                               .records = collection.release(),
                               .lost = reader.lost() + collection.dropped()};
        const std::string text = is_text_ ? to_text(recorded) : to_chrome_json(recorded);
        if (const auto done = write_file(output_, bytes_of(text)); !done) return report(done.error());
        std::string more;
        if (collection.dropped() > 0) more += fmt::format(", {} older ones given up", collection.dropped());
        if (reader.damaged() > 0) more += fmt::format(", {} damaged", reader.damaged());
        fmt::print(stderr, "{}: {} entries, {} whole commands, {} entries lost{}\n", output_ == "-" ? "trace" : output_,
                   recorded.records.size(), count_whole_commands(recorded), reader.lost(), more);
        return exit_ok;
    }

    Task<int> convert() {
        auto file = TraceFile::open(file_);
        if (!file) co_return report(file.error());
        TraceCollection collection(file->reader.rings().size(), entries_max_);
        if (const auto done = file->reader.read(collection); !done) {
            co_return report({done.error().code, fmt::format("{}: {}", file_, done.error().message)});
        }
        co_return write(file->reader, collection);
    }

    Task<int> record(Runtime& runtime) {
        auto address = parse_rpc_address(socket_);
        if (!address) co_return report(address.error());
        auto client = co_await rpc::Client::connect(*address, call_timeout);
        if (!client) {
            fmt::print(stderr, "weft: {}\nIs weftd running, and is {} its socket? -s names another.\n",
                       client.error().message, socket_);
            co_return exit_failed;
        }
        auto before = co_await masks_of(**client);
        if (!before) co_return report(before.error());
        // Where entries of an earlier trace may be, which are not for this one.
        auto present = TraceFile::open(path_);
        if (present && !present->reader.skip()) present = fail(Errc::io_error, "");
        auto file = co_await switch_on(**client, present);
        int status = exit_failed;
        if (file) {
            TraceCollection collection(file->reader.rings().size(), entries_max_);
            const auto done = co_await watch(runtime, file->reader, collection);
            co_await switch_back(**client, *before);
            const auto rest = done ? file->reader.read(collection) : done;
            status = rest ? write(file->reader, collection) : report(rest.error());
        } else {
            co_await switch_back(**client, *before);
            report(file.error());
        }
        co_return status;
    }

    using Masks = std::array<uint64_t, trace::group_max>;

    // What is on now; and path_.
    Task<Result<Masks>> masks_of(rpc::Client& client) {
        auto info = co_await client.call("trace_get_info", Json::object(), call_timeout);
        if (!info) co_return std::unexpected(std::move(info).error());
        const auto unknown = [] {
            return fail(Errc::protocol_error, "the server's trace_get_info says nothing that is known here");
        };
        if (!info->is_object()) co_return unknown();
        Masks masks{};
        for (const trace::GroupInfo& group : trace::groups) {
            const auto found = info->find(std::string(group.name));
            if (found == info->end() || !found->is_object()) co_return unknown();
            const auto mask = found->find("tpoint_mask");
            if (mask == found->end() || !mask->is_string()) co_return unknown();
            const auto text = mask->get<std::string>();
            const char* const end = text.data() + text.size();
            if (!text.starts_with("0x")) co_return unknown();
            const auto parsed = std::from_chars(text.data() + 2, end, masks[static_cast<size_t>(group.group)], 16);
            if (parsed.ec != std::errc{} || parsed.ptr != end) co_return unknown();
        }
        const auto path = info->find("tpoint_shm_path");
        if (path == info->end() || !path->is_string()) co_return unknown();
        path_ = path->get<std::string>();
        co_return masks;
    }

    // The file in which the entries are from now on.
    Task<Result<TraceFile>> switch_on(rpc::Client& client, Result<TraceFile>& present) {
        for (const trace::GroupInfo& group : trace::groups) {
            const uint64_t mask = selection_.masks[static_cast<size_t>(group.group)];
            if (mask == 0) continue;
            Json params = {{"name", group.name}, {"tpoint_mask", mask}};
            auto done = co_await client.call("trace_set_tpoint_mask", std::move(params), call_timeout);
            if (!done) co_return std::unexpected(std::move(done).error());
        }
        auto file = TraceFile::open(path_);
        if (!file) {
            co_return fail(
                file.error().code,
                fmt::format("{}; it is on the machine of weftd, for its user and for root", file.error().message));
        }
        // A dead process may have left one with the same name.
        if (present && present->reader.header().began_ns == file->reader.header().began_ns)
            co_return std::move(*present);
        co_return file;
    }

    Task<void> switch_back(rpc::Client& client, const Masks& before) {
        for (const trace::GroupInfo& group : trace::groups) {
            const auto number = static_cast<size_t>(group.group);
            const uint64_t mask = selection_.masks[number] & ~before[number];
            if (mask == 0) continue;
            Json params = {{"name", group.name}, {"tpoint_mask", mask}};
            auto done = co_await client.call("trace_clear_tpoint_mask", std::move(params), call_timeout);
            if (!done) fmt::print(stderr, "weft: tracepoints of {} stay on: {}\n", group.name, done.error().message);
        }
    }

    Task<Result<void>> watch(Runtime& runtime, trace::TraceReader& reader, TraceCollection& collection) {
        const env::Clock& clock = runtime.environment().clock();
        const env::TimeNs began = clock.now();
        const env::TimeNs end = seconds_ > 0 ? began + static_cast<env::TimeNs>(seconds_ * 1e9) : env::time_never;
        const bool shows_progress = env::is_error_terminal();
        env::TimeNs next_news = began;
        while (clock.now() < end && !signals_->next()) {
            co_await sleep_for(look_interval);
            WEFT_CO_TRY(reader.read(collection));
            if (!shows_progress || clock.now() < next_news) continue;
            next_news += env::ns_per_s;
            fmt::print(stderr, "\r{} s, {} entries; Ctrl-C ends it", (clock.now() - began) / env::ns_per_s,
                       collection.size() + collection.dropped());
            std::fflush(stderr);
        }
        if (shows_progress) fmt::print(stderr, "\r\x1b[K");
        co_return Result<void>{};
    }

    CLI::App* sub_ = nullptr;
    std::string action_;
    std::string file_;
    std::string output_;
    bool is_text_ = false;
    std::string socket_ = default_rpc_socket;
    std::string groups_ = "all";
    double seconds_ = 5;
    size_t entries_max_ = 200'000;
    trace::Selection selection_;
    std::string path_;
    std::unique_ptr<env::SignalSource> signals_;
};

}  // namespace

std::unique_ptr<Subcommand> make_trace() { return std::make_unique<Trace>(); }

}  // namespace weft::cli
