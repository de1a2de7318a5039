// weft: the command line. One file a subcommand; see subcommand.h.
#include <CLI/CLI.hpp>
#include <cstdio>
#include <exception>
#include <memory>
#include <utility>
#include <vector>

#include "app/cli/subcommand.h"

namespace {

int run(int argc, char** argv) {
    using weft::cli::Subcommand;
    CLI::App app("Weft: the NVMe/TCP host, load generator and remote control of the storage target weftd", "weft");
    app.set_version_flag("--version", "weft 0.1.0");
    app.set_help_all_flag("--help-all", "Help of all subcommands");
    app.require_subcommand(1);
    app.footer("`weft SUBCOMMAND --help` says more.");

    std::vector<std::unique_ptr<Subcommand>> subcommands;
    subcommands.push_back(weft::cli::make_discover());
    subcommands.push_back(weft::cli::make_identify());
    subcommands.push_back(weft::cli::make_io());
    subcommands.push_back(weft::cli::make_perf());
    subcommands.push_back(weft::cli::make_rpc());
    subcommands.push_back(weft::cli::make_top());
    std::vector<std::pair<CLI::App*, Subcommand*>> declared;
    declared.reserve(subcommands.size());
    for (const auto& subcommand : subcommands) declared.emplace_back(subcommand->declare(app), subcommand.get());

    CLI11_PARSE(app, argc, argv);
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
