// Completions of bash and zsh.
#include <fmt/format.h>

#include <algorithm>

#include "app/manual/declared.h"
#include "app/manual/manual.h"

namespace weft::app {

namespace {

std::string words_of(const CLI::App& app, bool only_with_value) {
    std::string words;
    for (const CLI::Option* option : options_of(app)) {
        if (only_with_value && !takes_value(*option)) continue;
        for (const std::string& name : names_of(*option)) words += (words.empty() ? "" : " ") + name;
    }
    return words;
}

std::string subcommand_words(const CLI::App& app) {
    std::string words;
    for (const CLI::App* one : subcommands_of(app)) words += (words.empty() ? "" : " ") + one->get_name();
    return words;
}

// One case of "path of subcommands" with what may follow, for `app` and all below it.
void add_bash_cases(std::string& out, const CLI::App& app, const std::string& path) {
    out += fmt::format("    {})\n        subcommands='{}'\n        options='{}'\n        with_value='{}'\n        ;;\n",
                       path.empty() ? "''" : "'" + path + "'", subcommand_words(app), words_of(app, false),
                       words_of(app, true));
    for (const CLI::App* one : subcommands_of(app)) {
        add_bash_cases(out, *one, path.empty() ? one->get_name() : path + " " + one->get_name());
    }
}

// In single quotes of the shell, and without what _arguments takes for its own.
std::string zsh_text(std::string_view text) {
    std::string out;
    for (const char c : text) {
        if (c == '\'') {
            out += "'\\''";
        } else if (c == '[' || c == ']' || c == ':') {
            out += fmt::format("\\{}", c);
        } else {
            out += c == '\n' ? ' ' : c;
        }
    }
    return out;
}

std::string zsh_option(const CLI::Option& option) {
    const auto names = names_of(option);
    std::string exclusive;
    for (const std::string& name : names) exclusive += (exclusive.empty() ? "" : " ") + name;
    std::string alternatives;
    for (const std::string& name : names) alternatives += (alternatives.empty() ? "" : ",") + name;
    if (names.size() > 1) alternatives = "{" + alternatives + "}";
    return fmt::format("'({})'{}'[{}]{}'", exclusive, alternatives, zsh_text(option.get_description()),
                       takes_value(option) ? ":value:_files" : "");
}

void add_zsh_function(std::string& out, const CLI::App& app, const std::string& function) {
    const auto subcommands = subcommands_of(app);
    for (const CLI::App* one : subcommands) add_zsh_function(out, *one, function + "_" + one->get_name());
    out += fmt::format("{}() {{\n    local -a subcommands\n", function);
    if (!subcommands.empty()) {
        out += "    subcommands=(\n";
        for (const CLI::App* one : subcommands) {
            out += fmt::format("        '{}:{}'\n", one->get_name(), zsh_text(one->get_description()));
        }
        out += "    )\n";
    }
    out += "    _arguments -C \\\n";
    for (const CLI::Option* option : options_of(app)) out += fmt::format("        {} \\\n", zsh_option(*option));
    if (subcommands.empty()) {
        out += "        '*:argument:_files'\n}\n\n";
        return;
    }
    out +=
        "        '1:subcommand:->subcommand' '*::argument:->rest'\n    case $state in\n"
        "    subcommand) _describe subcommand subcommands ;;\n    rest)\n        case $words[1] in\n";
    for (const CLI::App* one : subcommands) out += fmt::format("        {0}) {1}_{0} ;;\n", one->get_name(), function);
    out += "        esac\n        ;;\n    esac\n}\n\n";
}

}  // namespace

std::string bash_completion(const CLI::App& app, const Program& program) {
    std::string cases;
    add_bash_cases(cases, app, "");
    return fmt::format(R"(# Completion of {0} for bash. Made by `{0} --page bash`.
_{0}_words() {{
    case $1 in
{1}    esac
}}
_{0}() {{
    local word=${{COMP_WORDS[COMP_CWORD]}} path='' subcommands options with_value at previous=''
    _{0}_words ''
    for ((at = 1; at < COMP_CWORD; at++)); do
        if [[ ( -z $previous || " $with_value " != *" $previous "* ) && " $subcommands " == *" ${{COMP_WORDS[at]}} "* ]]; then
            path="${{path:+$path }}${{COMP_WORDS[at]}}"
            _{0}_words "$path"
        fi
        previous=${{COMP_WORDS[at]}}
    done
    COMPREPLY=()
    # A value: what bash completes by default, files.
    [[ -n $previous && " $with_value " == *" $previous "* ]] && return
    if [[ $word == -* ]]; then
        mapfile -t COMPREPLY < <(compgen -W "$options" -- "$word")
    elif [[ -n $subcommands ]]; then
        mapfile -t COMPREPLY < <(compgen -W "$subcommands" -- "$word")
    elif declare -F _{0}_more >/dev/null; then
        _{0}_more "$path" "$word"
    fi
}}
{2}complete -o default -F _{0} {0}
)",
                       program.name, cases, program.bash_more);
}

std::string zsh_completion(const CLI::App& app, const Program& program) {
    std::string out =
        fmt::format("#compdef {0}\n# Completion of {0} for zsh. Made by `{0} --page zsh`.\n\n", program.name);
    add_zsh_function(out, app, "_" + program.name);
    return out + fmt::format("_{} \"$@\"\n", program.name);
}

}  // namespace weft::app
