// What a method is called, takes and answers, in words: for help, weft_describe_methods, and docs/rpc.md.
#pragma once

#include <span>
#include <string>
#include <vector>

#include "rpc/params.h"
#include "rpc/role.h"

namespace weft::rpc {

// When a method may be called: before framework_start_init, after it, or both.
enum class States : uint8_t { startup = 1, runtime = 2, any = 3 };
inline constexpr States startup = States::startup;
inline constexpr States runtime = States::runtime;
constexpr States operator|(States left, States right) {
    return static_cast<States>(static_cast<uint8_t>(left) | static_cast<uint8_t>(right));
}
constexpr bool includes(States states, States one) {
    return (static_cast<uint8_t>(states) & static_cast<uint8_t>(one)) != 0;
}

struct ParamDescription {
    std::string name;
    std::string type;          // "u32", "string", "[object]", "enum"
    bool is_required = false;
    std::string default_text;  // JSON; empty: none
    std::string text;
    std::string alias;                     // empty: none
    std::vector<std::string> enum_names;   // of an enum, or of an array's elements
    std::vector<ParamDescription> fields;  // of an object, or of an array's elements
};

struct MethodDescription {
    std::string name;
    Role role = Role::admin;
    std::string text;
    States states = States::any;
    std::vector<std::string> aliases;
    std::vector<ParamDescription> params;
    std::string result;
    std::string example;  // the words after `weft rpc`, for the page; empty: none
    bool changes_config = false;
    std::string words;  // MethodSpec::words; empty: none
};

std::vector<ParamDescription> describe_params(const Type& type);
// What weft_describe_methods answers.
Json json_of(const MethodDescription& method);
// Some lines for a terminal.
std::string to_help(const MethodDescription& method);
// The page docs/rpc.md, methods in the order given.
std::string to_markdown(std::span<const MethodDescription> methods);

}  // namespace weft::rpc
