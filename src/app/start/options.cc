#include "app/start/options.h"

#include <CLI/CLI.hpp>

namespace weft::app {

Options::Options(const std::string& program, const std::string& text, std::function<std::string()> usage)
    : cli_(std::make_unique<CLI::App>(text, program)) {
    cli_->get_formatter()->column_width(34);
    if (usage) cli_->footer(std::move(usage));
}

Options::~Options() = default;

void Options::add_flag(const std::string& names, bool& value, const std::string& help) {
    cli_->add_flag_function(names, [&value](int64_t) { value = true; }, help);
}

void Options::add_text(const std::string& names, std::string& value, const std::string& help, Presence presence) {
    CLI::Option* const option = cli_->add_option(names, value, help);
    if (presence == Presence::required) {
        option->required();
    } else if (!value.empty()) {
        option->capture_default_str();
    }
}

void Options::add_texts(const std::string& names, std::vector<std::string>& values, const std::string& help) {
    cli_->add_option(names, values, help);
}

void Options::add_choice(const std::string& names, std::string& value, const std::vector<std::string>& choices,
                         const std::string& help) {
    cli_->add_option(names, value, help)->check(CLI::IsMember(choices))->capture_default_str();
}

void Options::add_number(const std::string& names, uint64_t value, const std::string& help, NumberRange range,
                         std::function<void(uint64_t)> take) {
    cli_->add_option_function<uint64_t>(names, std::move(take), help)
        ->check(CLI::Range(range.min, range.max))
        ->default_str(std::to_string(value));
}

}  // namespace weft::app
