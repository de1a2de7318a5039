#include "app/manual/manual.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <iostream>
#include <utility>

#include "app/manual/declared.h"

namespace weft::app {

std::vector<std::string> page_names(const CLI::App& app) {
    std::vector<std::string> names{"man"};
    for (const CLI::App* subcommand : subcommands_of(app)) names.push_back("man-" + subcommand->get_name());
    names.insert(names.end(), {"bash", "zsh"});
    return names;
}

std::string page(const CLI::App& app, const Program& program, std::string_view name) {
    if (name == "man") return man_page(app, program);
    if (name == "bash") return bash_completion(app, program);
    if (name == "zsh") return zsh_completion(app, program);
    for (const CLI::App* subcommand : subcommands_of(app)) {
        if (name == "man-" + subcommand->get_name()) return man_page(*subcommand, program);
    }
    return "";
}

void add_page_option(CLI::App& app, Program program) {
    const auto print = [&app, program = std::move(program)](const std::string& name) {
        const std::string text =
            name == "list" ? fmt::format("{}\n", fmt::join(page_names(app), "\n")) : page(app, program, name);
        if (text.empty()) {
            throw CLI::ValidationError("--page", fmt::format("there are {}", fmt::join(page_names(app), ", ")));
        }
        std::cout << text;
        throw CLI::Success();
    };
    app.add_option_function<std::string>("--page", print, "Print a manual page or a completion")
        ->trigger_on_parse()
        ->group("");
}

}  // namespace weft::app
