// How the field's rpc.py writes the parameters of each method on a command line: positional arguments, short options,
// and long options that are named otherwise than the parameter. All other long options are the parameter's name.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace weft::cli {

// A parameter, and how a word on the command line becomes its value.
struct GrammarTarget {
    enum class Kind : uint8_t {
        value,      // the word, as the parameter's type says
        flag,       // no word: true
        flag_off,   // no word: false
        list,       // words separated by commas
        hexadecimal,  // a number in that notation, with or without 0x
        mebibytes,  // a size in MiB, from which num_blocks is made with block_size
    };
    std::string_view word;   // "-b", "--timeout-ms"; empty for a positional argument
    std::string_view param;  // "name", "listen_address.trtype"
    Kind kind = Kind::value;
};

struct Grammar {
    std::string_view method;
    std::vector<GrammarTarget> positionals;
    std::vector<GrammarTarget> options;

    [[nodiscard]] const GrammarTarget* find(std::string_view word) const;
};

// nullopt: the method has none; then there are no positional arguments.
std::optional<Grammar> grammar_of(std::string_view method);
// The same from the words of a server that describes a method of its own (rpc::MethodSpec::words), which the grammar
// refers to. nullopt for what is no such text.
std::optional<Grammar> grammar_from(std::string_view method, std::string_view words);
// The methods that have one.
std::vector<std::string_view> grammar_methods();
// Today's name of a method, for those names of the field that are older; else `method` itself.
std::string_view canonical_name(std::string_view method);
// Parameters whose value is text even when it looks like a number: for servers that do not describe their methods.
bool is_text_param(std::string_view name);

}  // namespace weft::cli
