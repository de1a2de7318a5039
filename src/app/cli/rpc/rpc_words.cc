#include "app/cli/rpc/rpc_words.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>

namespace weft::cli {

namespace {

using Kind = GrammarTarget::Kind;
using rpc::MethodDescription;
using rpc::ParamDescription;

std::string with_underscores(std::string_view word) {
    std::string name(word);
    std::ranges::replace(name, '-', '_');
    return name;
}

bool is_number(std::string_view word) {
    double value = 0;
    const auto [rest, error] = std::from_chars(word.data(), word.data() + word.size(), value);
    return error == std::errc{} && rest == word.data() + word.size();
}

// A word that begins with "-" and means an option; "-" alone and negative numbers are values.
bool is_option(std::string_view word) { return word.size() > 1 && word.starts_with('-') && !is_number(word); }

bool is_boolean(std::string_view word) {
    constexpr std::string_view words[] = {"true", "false", "1", "0", "yes", "no", "on", "off"};
    return std::ranges::find(words, word) != std::end(words);
}

class WordReader {
public:
    WordReader(std::span<const std::string> words, const Grammar* grammar, const MethodDescription* description)
        : words_(words), grammar_(grammar), description_(description) {}

    Result<std::vector<Argument>> read() {
        for (; at_ < words_.size(); ++at_) WEFT_TRY(read_word(words_[at_]));
        return std::move(arguments_);
    }

private:
    Result<void> read_word(const std::string& word) {
        if (word == "--") return {};
        if (word.starts_with("--")) return read_long(word);
        if (is_option(word) && grammar_ != nullptr) return read_short(word);
        if (!is_assignment(word)) return read_positional(word);
        const size_t equals = word.find('=');
        arguments_.push_back({.name = with_underscores(word.substr(0, equals)), .value = word.substr(equals + 1)});
        return {};
    }

    [[nodiscard]] const ParamDescription* find_param(std::string_view name) const {
        if (description_ == nullptr) return nullptr;
        const auto found = std::ranges::find_if(description_->params, [name](const ParamDescription& param) {
            return param.name == name || param.alias == name;
        });
        return found == description_->params.end() ? nullptr : &*found;
    }
    [[nodiscard]] bool is_flag(std::string_view name) const {
        const ParamDescription* param = find_param(name);
        return param != nullptr && param->type == "bool";
    }

    // name=value without dashes. A positional argument may have a "=" too, as a path may.
    [[nodiscard]] bool is_assignment(const std::string& word) const {
        const size_t equals = word.find('=');
        if (equals == std::string::npos || word.starts_with('-')) return false;
        if (grammar_ == nullptr || grammar_->positionals.empty()) return true;
        const std::string name = with_underscores(word.substr(0, equals));
        return find_param(name.substr(0, name.find('.'))) != nullptr;
    }

    // The next word, if it is not an option.
    std::optional<std::string> take_value() {
        if (at_ + 1 >= words_.size() || is_option(words_[at_ + 1])) return std::nullopt;
        return words_[++at_];
    }
    std::optional<std::string> take_boolean() {
        if (at_ + 1 >= words_.size() || !is_boolean(words_[at_ + 1])) return std::nullopt;
        return words_[++at_];
    }

    Result<void> read_long(const std::string& word) {
        const size_t equals = word.find('=');
        const std::string_view dashed = std::string_view(word).substr(0, equals);
        std::optional<std::string> value;
        if (equals != std::string::npos) value = word.substr(equals + 1);
        if (const GrammarTarget* target = find_long(dashed); target != nullptr) {
            const bool is_flag_kind = target->kind == Kind::flag || target->kind == Kind::flag_off;
            if (!value) value = is_flag_kind ? take_boolean() : take_value();
            if (!value && !is_flag_kind) return wants_value(dashed);
            // Said outright, a flag is a value like others.
            arguments_.push_back({.name = std::string(target->param), .value = std::move(value), .kind = target->kind});
            if (is_flag_kind && arguments_.back().value) arguments_.back().kind = Kind::value;
            return {};
        }
        return read_param(dashed, std::move(value));
    }

    // A long option that is the parameter's name, or the beginning of one, or --no-NAME.
    Result<void> read_param(std::string_view dashed, std::optional<std::string> value) {
        std::string name = with_underscores(dashed.substr(2));
        if (find_param(name) == nullptr && name.starts_with("no_") && is_flag(name.substr(3)) && !value) {
            arguments_.push_back({.name = name.substr(3), .kind = Kind::flag_off});
            return {};
        }
        if (find_param(name) == nullptr) name = whole_name(std::move(name));
        if (!value) value = is_flag(name) ? take_boolean() : take_value();
        arguments_.push_back({.name = std::move(name), .value = std::move(value)});
        return {};
    }

    [[nodiscard]] const GrammarTarget* find_long(std::string_view dashed) const {
        if (grammar_ == nullptr) return nullptr;
        if (const GrammarTarget* target = grammar_->find(dashed)) return target;
        // rpc.py's users may write "_" for "-". Not where that is a parameter of its own.
        if (find_param(dashed.substr(2)) != nullptr) return nullptr;
        std::string word(dashed);
        std::ranges::replace(word, '_', '-');
        if (const GrammarTarget* target = grammar_->find(word)) return target;
        // Without a description the short form tells that the parameter is a switch.
        const std::string name = with_underscores(dashed.substr(2));
        const auto is_switch = [&name](const GrammarTarget& option) {
            return option.param == name && option.kind == Kind::flag;
        };
        const auto found = std::ranges::find_if(grammar_->options, is_switch);
        return found == grammar_->options.end() ? nullptr : &*found;
    }

    // The one parameter that begins with `name`, or `name` itself.
    [[nodiscard]] std::string whole_name(std::string name) const {
        if (description_ == nullptr || name.size() < 2) return name;
        const ParamDescription* only = nullptr;
        for (const ParamDescription& param : description_->params) {
            if (!param.name.starts_with(name)) continue;
            if (only != nullptr) return name;
            only = &param;
        }
        return only == nullptr ? name : only->name;
    }

    // -b VALUE, -bVALUE, -b=VALUE, -ar for two flags.
    Result<void> read_short(const std::string& word) {
        if (const GrammarTarget* target = grammar_->find(word)) return read_short_target(*target, word);
        std::string_view rest = std::string_view(word).substr(1);
        while (!rest.empty()) {
            const std::string letter = fmt::format("-{}", rest.front());
            const GrammarTarget* target = grammar_->find(letter);
            if (target == nullptr) return no_such_option(word);
            rest.remove_prefix(1);
            const bool is_flag = target->kind == Kind::flag || target->kind == Kind::flag_off;
            if (!is_flag && !rest.empty()) {
                if (rest.starts_with('=')) rest.remove_prefix(1);
                arguments_.push_back(
                    {.name = std::string(target->param), .value = std::string(rest), .kind = target->kind});
                return {};
            }
            WEFT_TRY(read_short_target(*target, letter));
        }
        return {};
    }

    Result<void> read_short_target(const GrammarTarget& target, std::string_view word) {
        std::optional<std::string> value;
        if (target.kind != Kind::flag && target.kind != Kind::flag_off) {
            value = take_value();
            if (!value) return wants_value(word);
        }
        arguments_.push_back({.name = std::string(target.param), .value = std::move(value), .kind = target.kind});
        return {};
    }

    Result<void> read_positional(const std::string& word) {
        if (is_option(word)) return no_such_option(word);
        if (grammar_ == nullptr || grammar_->positionals.empty()) {
            return fail(Errc::invalid_argument,
                        fmt::format("'{}' is not a parameter: write --name value, or one JSON object", word));
        }
        if (positionals_seen_ == grammar_->positionals.size()) {
            std::string names;
            for (const GrammarTarget& target : grammar_->positionals) {
                names += fmt::format("{}{}", names.empty() ? "" : ", ", target.param);
            }
            return fail(Errc::invalid_argument,
                        fmt::format("'{}' is one too many: without a name there {} {} only", word,
                                    grammar_->positionals.size() == 1 ? "is" : "are", names));
        }
        const GrammarTarget& target = grammar_->positionals[positionals_seen_++];
        arguments_.push_back({.name = std::string(target.param), .value = word, .kind = target.kind});
        return {};
    }

    [[nodiscard]] std::unexpected<Error> no_such_option(const std::string& word) const {
        std::string known;
        if (grammar_ != nullptr) {
            for (const GrammarTarget& target : grammar_->options) {
                if (!target.word.starts_with("--")) known += fmt::format("{}{}", known.empty() ? "" : " ", target.word);
            }
        }
        return fail(Errc::invalid_argument,
                    known.empty() ? fmt::format("{}: there are no short options; write --name value", word)
                                  : fmt::format("{}: no such option; the short ones are {}", word, known));
    }
    static std::unexpected<Error> wants_value(std::string_view word) {
        return fail(Errc::invalid_argument, fmt::format("{} wants a value", word));
    }

    std::span<const std::string> words_;
    const Grammar* grammar_;
    const MethodDescription* description_;
    size_t at_ = 0;
    size_t positionals_seen_ = 0;
    std::vector<Argument> arguments_;
};

}  // namespace

Result<std::vector<Argument>> read_words(std::span<const std::string> words, const Grammar* grammar,
                                         const MethodDescription* description) {
    return WordReader(words, grammar, description).read();
}

Result<std::vector<std::string>> split_line(std::string_view line) {
    std::vector<std::string> words;
    std::string word;
    bool is_word = false;
    char quote = 0;
    for (size_t at = 0; at < line.size(); ++at) {
        const char byte = line[at];
        const bool escapes = byte == '\\' && quote != '\'' && at + 1 < line.size();
        if (escapes && (quote == 0 || line[at + 1] == '"' || line[at + 1] == '\\')) {
            word += line[++at];
            is_word = true;
        } else if (quote != 0) {
            if (byte == quote) {
                quote = 0;
            } else {
                word += byte;
            }
        } else if (byte == '\'' || byte == '"') {
            quote = byte;
            is_word = true;
        } else if (byte == ' ' || byte == '\t' || byte == '\r' || byte == '\n') {
            if (is_word) words.push_back(std::exchange(word, {}));
            is_word = false;
        } else {
            word += byte;
            is_word = true;
        }
    }
    if (quote != 0) return fail(Errc::invalid_argument, fmt::format("the quotation {} does not end", quote));
    if (is_word) words.push_back(std::move(word));
    return words;
}

}  // namespace weft::cli
