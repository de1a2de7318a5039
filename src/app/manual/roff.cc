// Manual pages in the man macros of roff (man(7)).
#include <fmt/format.h>

#include <algorithm>
#include <cctype>

#include "app/manual/declared.h"
#include "app/manual/manual.h"

namespace weft::app {

namespace {

// Text as roff prints it: no line of it is a request, no backslash an escape, hyphens are those of options, and a list
// without spaces may be broken after its commas.
std::string plain(std::string_view text) {
    std::string out;
    bool is_line_start = true;
    bool is_after_comma = false;
    for (const char c : text) {
        if (is_after_comma && c != ' ' && c != '\n') out += "\\:";
        is_after_comma = c == ',';
        if (is_line_start && (c == '.' || c == '\'')) out += "\\&";
        is_line_start = c == '\n';
        if (c == '\\') {
            out += "\\e";
        } else if (c == '-') {
            out += "\\-";
        } else {
            out += c;
        }
    }
    return out;
}

std::string upper(std::string text) {
    std::ranges::transform(text, text.begin(), [](unsigned char c) { return static_cast<char>(std::toupper(c)); });
    return text;
}

// As --help says it: "UINT:INT in [1 - 1024]" is UINT, and what it may be.
std::string value_name(const CLI::Option& option) {
    const std::string type = option.get_type_name();
    const std::string name = type.substr(0, type.find_first_of(": "));
    return name.empty() ? "VALUE" : name;
}

void add_option(std::string& out, const CLI::Option& option) {
    out += ".TP\n";
    std::string names;
    for (const std::string& name : names_of(option)) {
        names += fmt::format("{}\\fB{}\\fR", names.empty() ? "" : ", ", plain(name));
    }
    if (option.get_positional() && names.empty()) names = fmt::format("\\fI{}\\fR", plain(option.get_name()));
    out += names;
    if (takes_value(option) && !option.get_positional()) out += fmt::format(" \\fI{}\\fR", plain(value_name(option)));
    out += "\n" + plain(option.get_description());
    const std::string type = option.get_type_name();
    if (const size_t colon = type.find(':'); colon != std::string::npos) {
        out += fmt::format(" [{}]", plain(type.substr(colon + 1)));
    }
    if (!option.get_default_str().empty()) out += fmt::format(" (default {})", plain(option.get_default_str()));
    out += "\n";
}

void add_options(std::string& out, const CLI::App& app) {
    std::vector<std::string> groups;
    for (const CLI::Option* option : options_of(app)) {
        if (std::ranges::find(groups, option->get_group()) == groups.end()) groups.push_back(option->get_group());
    }
    for (const std::string& group : groups) {
        out += fmt::format(".SH {}\n", plain(upper(group)));
        for (const CLI::Option* option : options_of(app)) {
            if (option->get_group() == group) add_option(out, *option);
        }
    }
}

}  // namespace

std::string man_page(const CLI::App& app, const Program& program) {
    const bool is_subcommand = app.get_name() != program.name;
    const std::string name = is_subcommand ? program.name + "-" + app.get_name() : program.name;
    const auto subcommands = subcommands_of(app);
    std::string out =
        fmt::format(".TH {} {} \"\" \"Weft {}\" \"Weft\"\n.SH NAME\n{} \\- {}\n.SH SYNOPSIS\n", upper(name),
                    program.section, program.version, plain(name), plain(app.get_description()));
    out += fmt::format("\\fB{}\\fR", plain(program.name));
    if (is_subcommand) out += fmt::format(" \\fB{}\\fR", plain(app.get_name()));
    out += " [\\fIOPTIONS\\fR]";
    if (!subcommands.empty()) out += " \\fISUBCOMMAND\\fR ...";
    for (const CLI::Option* argument : arguments_of(app))
        out += fmt::format(" [\\fI{}\\fR]", plain(argument->get_name()));
    out += "\n";
    if (!subcommands.empty()) out += ".SH SUBCOMMANDS\n";
    for (const CLI::App* subcommand : subcommands) {
        const std::string page =
            fmt::format("{}\\-{}({})", plain(program.name), plain(subcommand->get_name()), program.section);
        out += fmt::format(".TP\n\\fB{}\\fR\n{}{}\n", plain(subcommand->get_name()),
                           plain(subcommand->get_description()), is_subcommand ? "" : "; see " + page);
        if (is_subcommand) {
            out += ".RS\n";
            for (const CLI::Option* option : options_of(*subcommand)) add_option(out, *option);
            out += ".RE\n";
        }
    }
    add_options(out, app);
    // Lines of their own: an example must stay one.
    if (!app.get_footer().empty()) out += fmt::format(".SH NOTES\n.nf\n{}\n.fi\n", plain(app.get_footer()));
    out += ".SH SEE ALSO\n";
    if (is_subcommand) out += fmt::format("\\fB{}\\fR({}), ", plain(program.name), program.section);
    out += program.see_also + "\n";
    return out;
}

}  // namespace weft::app
