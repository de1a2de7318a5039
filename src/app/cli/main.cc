// weft: the command line. One file a subcommand; see subcommand.h.
#include <CLI/CLI.hpp>
#include <cstdio>
#include <exception>
#include <memory>
#include <string_view>
#include <utility>
#include <vector>

#include "app/cli/subcommand.h"
#include "app/manual/manual.h"
#include "app/manual/version.h"

namespace {

// Completes the methods of the server that runs.
constexpr const char* rpc_methods = R"shell(_weft_more() {
    [[ $1 == rpc ]] && mapfile -t COMPREPLY < <(compgen -W "$(weft rpc 2>/dev/null)" -- "$2")
}
)shell";
// A link to weft with the name of the field's tool is that tool.
bool is_called_as_rpc(std::string_view program) {
    const std::string_view name = program.substr(program.rfind('/') + 1);
    return name == "rpc.py" || name == "tgtmgr";
}

int run(int argc, char** argv) {
    using weft::cli::Subcommand;
    CLI::App app("Weft: the NVMe/TCP host, load generator and remote control of the storage target weftd", "weft");
    app.set_version_flag("--version", std::string("weft ") + weft::app::version_text);
    app.set_help_all_flag("--help-all", "Help of all subcommands");
    app.require_subcommand(1);
    app.footer("`weft SUBCOMMAND --help` says more.");

    std::vector<std::unique_ptr<Subcommand>> subcommands;
    subcommands.push_back(weft::cli::make_apply());
    subcommands.push_back(weft::cli::make_bdevio());
    subcommands.push_back(weft::cli::make_bdevperf());
    subcommands.push_back(weft::cli::make_convert_config());
    subcommands.push_back(weft::cli::make_discover());
    subcommands.push_back(weft::cli::make_identify());
    subcommands.push_back(weft::cli::make_io());
    subcommands.push_back(weft::cli::make_perf());
    const bool is_rpc_py = is_called_as_rpc(argc > 0 ? argv[0] : "");
    subcommands.push_back(weft::cli::make_rpc(is_rpc_py));
    subcommands.push_back(weft::cli::make_top());
    subcommands.push_back(weft::cli::make_trace());
    std::vector<std::pair<CLI::App*, Subcommand*>> declared;
    declared.reserve(subcommands.size());
    for (const auto& subcommand : subcommands) declared.emplace_back(subcommand->declare(app), subcommand.get());

    weft::app::add_page_option(app, {.name = "weft",
                                     .section = 1,
                                     .version = weft::app::version_text,
                                     .see_also = "\\fBweftd\\fR(8)",
                                     .bash_more = rpc_methods});
    std::vector<const char*> words(argv, argv + argc);
    if (is_rpc_py) words.insert(words.begin() + 1, "rpc");
    CLI11_PARSE(app, static_cast<int>(words.size()), words.data());
    for (const auto& [parsed, subcommand] : declared) {
        if (parsed->parsed()) return subcommand->run();
    }
    return weft::cli::exit_failed;
}

}  // namespace

int main(int argc, char** argv) {
    try {
        return run(argc, argv);
    } catch (const std::exception& error) {
        std::fprintf(stderr, "weft: %s\n", error.what());
    }
    return weft::cli::exit_failed;
}
