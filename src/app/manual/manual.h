// Manual pages and shell completions, made from the same declarations as --help, so that they cannot disagree with it.
// Printed by the hidden option --page of each program; the installation keeps what it prints.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace CLI {
class App;
}

namespace weft::app {

struct Program {
    std::string name;      // "weft"
    int section = 1;       // of the manual
    std::string version;   // "0.1.0"
    std::string see_also;  // in roff: "\fBweftd\fR(8)"
    std::string bash_more; // shell code: a function _NAME_more PATH WORD that completes other words
};

// Declares --page NAME, which prints a page of `app` and leaves; NAME may be "list". Call it last.
void add_page_option(CLI::App& app, Program program);

// The names of all pages: "man" for the program, "man-SUBCOMMAND" for each subcommand, "bash", "zsh".
std::vector<std::string> page_names(const CLI::App& app);
// One of them; "" when there is none of that name. `app` is declared, not necessarily parsed.
std::string page(const CLI::App& app, const Program& program, std::string_view name);

// The kinds of page; `app` may be a subcommand, whose page is PROGRAM-SUBCOMMAND.
std::string man_page(const CLI::App& app, const Program& program);
std::string bash_completion(const CLI::App& app, const Program& program);
std::string zsh_completion(const CLI::App& app, const Program& program);

}  // namespace weft::app
