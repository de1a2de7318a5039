#include "app/start/standard_options.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <CLI/CLI.hpp>
#include <algorithm>

#include "base/log.h"
#include "env/linux/os_thread.h"
#include "reactor/cpu_set.h"

namespace weft::app {

namespace {

// Options of the field's programs that have no meaning here: taken, with a word why.
struct Accepted {
    const char* names;
    bool has_value;
    const char* why;
};

constexpr Accepted accepted[] = {
    {"-s,--mem-size", true, "memory is ordinary memory, taken as it is needed"},
    {"-i,--shm-id", true, "the memory of a trace is named by the process id"},
    {"-e,--tpoint-group", true, "only weftd traces"},
    {"-g,--single-file-segments", false, "there are no huge page files"},
    {"-n,--mem-channels", true, "memory channels do not matter"},
    {"-p,--main-core", true, "the control thread is not pinned"},
    {"-u,--no-pci", false, "no PCI device is touched"},
    {"-d,--limit-coredump", false, "core dumps are the system's to limit"},
    {"-A,--pci-allowed", true, "no PCI device is touched"},
    {"-B,--pci-blocked,--pci-blacklist", true, "no PCI device is touched"},
    {"-W,--pci-whitelist", true, "no PCI device is touched"},
    {"-R,--huge-unlink", false, "there are no huge page files"},
    {"--no-huge", false, "huge pages are never needed"},
    {"--huge-dir", true, "huge pages are never needed"},
    {"--iova-mode", true, "no device is driven by DMA"},
    {"--base-virtaddr", true, "addresses are the system's choice"},
    {"--num-trace-entries", true, "only weftd traces"},
    {"--msg-mempool-size", true, "messages are the sender's memory and never run out"},
    {"--env-context", true, "there is no DPDK"},
    {"--vfio-vf-token", true, "no PCI device is touched"},
    {"--interrupt-mode", false, "reactors sleep by themselves when there is nothing to do"},
    {"--disable-cpumask-locks", false, "CPUs are not locked"},
    {"--enforce-numa", false, "NUMA placement comes later"},
};

constexpr const char* group = "Options of every program";
constexpr const char* accepted_group = "Accepted and without effect";
constexpr uint32_t log_lines_max = 50;
constexpr uint32_t log_window_ms = 5000;

// What is left of "-r,--rpc-socket" when some names are taken.
std::string free_names(const CLI::App& app, std::string_view names) {
    std::string left;
    while (!names.empty()) {
        const size_t comma = names.find(',');
        const std::string name(names.substr(0, comma));
        if (app.get_option_no_throw(name) == nullptr) left += (left.empty() ? "" : ",") + name;
        names = comma == std::string_view::npos ? std::string_view{} : names.substr(comma + 1);
    }
    return left;
}

std::string log_flag_names() {
    std::string names = "all";
    for (const log::FlagState& flag : log::flags()) names += ", " + std::string(flag.name);
    return names;
}

}  // namespace

StandardOptionsParser::StandardOptionsParser(Options& options, StandardOptions& into)
    : into_(into), spin_us_(into.spin / env::ns_per_us) {
    declare(options);
    CLI::App& app = options.cli();
    for (const Accepted& option : accepted) {
        const std::string names = free_names(app, option.names);
        if (names.empty()) continue;
        const std::string note = names.substr(0, names.find(',')) + ": " + option.why;
        const std::string help = std::string("Accepted: ") + option.why;
        if (option.has_value) {
            app.add_option_function<std::string>(
                   names, [this, note](const std::string&) { ignored_.push_back(note); }, help)
                ->group(accepted_group);
        } else {
            app.add_flag_function(
                   names, [this, note](int64_t) { ignored_.push_back(note); }, help)
                ->group(accepted_group);
        }
    }
}

void StandardOptionsParser::declare(Options& options) {
    CLI::App& app = options.cli();
    // Calls `add(names)` with the names that are free, if any.
    const auto with_names = [&app](const char* names, const auto& add) {
        if (const std::string left = free_names(app, names); !left.empty()) add(left)->group(group);
    };
    with_names("-m,--cpumask", [&](const std::string& names) {
        return app.add_option(names, mask_, "CPUs to run reactors on: a hexadecimal mask (0x3) or a list ([0,2-3])");
    });
    with_names("--lcores", [&](const std::string& names) {
        return app.add_option(names, lcores_, "The same as a list without brackets (0,2-3)");
    });
    with_names("-L,--logflag", [&](const std::string& names) {
        return app.add_option(names, into_.log_flags,
                              "Let a component talk: " + log_flag_names() + "; may be repeated");
    });
    with_names("--log-format", [&](const std::string& names) {
        return app.add_option(names, log_format_, "text, or json: one JSON object a line")
            ->check(CLI::IsMember({"text", "json"}))
            ->capture_default_str();
    });
    with_names("--spin-us", [&](const std::string& names) {
        return app.add_option(names, spin_us_, "Microseconds a reactor stays awake after its last I/O command")
            ->check(CLI::Range(uint64_t{0}, uint64_t{10'000'000}))
            ->capture_default_str();
    });
    with_names("--no-pin", [&](const std::string& names) {
        return app.add_flag_function(
            names, [this](int64_t) { into_.pin = false; }, "Do not pin reactors to their CPUs");
    });
    with_names("-q,--silence-noticelog", [&](const std::string& names) {
        return app.add_flag(names, is_silent_, "Print warnings and errors only");
    });
}

Result<void> StandardOptionsParser::finish() {
    into_.spin = spin_us_ * env::ns_per_us;
    log::set_format(log_format_ == "json" ? log::Format::json : log::Format::text);
    if (is_silent_) log::set_print_level(log::Level::warning);
    WEFT_TRY(set_cpus());
    for (const std::string& note : ignored_) WEFT_NOTICELOG("option {}; it changes nothing here", note);
    for (const std::string& flag : into_.log_flags) {
        if (log::set_flag(flag, true)) continue;
        return fail(Errc::invalid_argument,
                    fmt::format("-L {}: there is no such log flag; -L all sets every one", flag));
    }
    // Whoever lets a component talk wants to hear all of it; otherwise no host shall fill the disk with our lines.
    if (into_.log_flags.empty()) {
        log::set_rate_limit(log_lines_max, log_window_ms);
    } else {
        log::set_print_level(log::Level::debug);
    }
    return {};
}

Result<void> StandardOptionsParser::set_cpus() {
    const auto& usable = env::usable_cpus();
    if (mask_.empty() && lcores_.empty()) {
        // CPU 0 may not be ours in a container; the first one that is will do.
        into_.cpus = {usable.front()};
        return {};
    }
    auto set = CpuSet::parse(lcores_.empty() ? mask_ : "[" + lcores_ + "]");
    if (!set) return std::unexpected(std::move(set).error());
    into_.cpus = set->cpus();
    for (const size_t cpu : into_.cpus) {
        if (std::ranges::find(usable, cpu) != usable.end()) continue;
        return fail(Errc::invalid_argument,
                    fmt::format("core mask: CPU {} is not there or not allowed to this process; it may use [{}]", cpu,
                                fmt::join(usable, ",")));
    }
    return {};
}

}  // namespace weft::app
