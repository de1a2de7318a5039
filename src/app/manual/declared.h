// What a command line declares, as the pages need it.
#pragma once

#include <CLI/CLI.hpp>
#include <string>
#include <vector>

namespace weft::app {

// "-o", "--io-size": the short names first.
inline std::vector<std::string> names_of(const CLI::Option& option) {
    std::vector<std::string> names;
    for (const std::string& name : option.get_snames()) names.push_back("-" + name);
    for (const std::string& name : option.get_lnames()) names.push_back("--" + name);
    return names;
}

inline bool takes_value(const CLI::Option& option) { return option.get_items_expected_max() > 0; }

// Options that --help shows: those of no group are hidden.
inline std::vector<const CLI::Option*> options_of(const CLI::App& app) {
    return app.get_options([](const CLI::Option* option) {
        return !option->get_group().empty() && !option->get_positional() &&
               (!option->get_snames().empty() || !option->get_lnames().empty());
    });
}

inline std::vector<const CLI::Option*> arguments_of(const CLI::App& app) {
    return app.get_options([](const CLI::Option* option) { return option->get_positional(); });
}

inline std::vector<const CLI::App*> subcommands_of(const CLI::App& app) {
    return app.get_subcommands([](const CLI::App* one) { return !one->get_group().empty(); });
}

}  // namespace weft::app
