#include "rpc/describe.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>

#include "rpc/json.h"

namespace weft::rpc {

namespace {

std::string type_name(const Type& type) {
    return type.kind == Type::Kind::array ? fmt::format("[{}]", type_name(*type.element)) : std::string(type.name);
}

ParamDescription describe_param(const FieldInfo& field, const void* defaults) {
    ParamDescription param = {
        .name = field.name, .type = type_name(*field.type), .is_required = field.is_required, .text = field.text};
    if (field.old_name != nullptr) param.alias = field.old_name;
    const void* value = field.is_required ? nullptr : field.value(defaults);
    if (value != nullptr) param.default_text = dump_json(encode(*field.type, value));

    const Type* inner = field.type;
    while (inner->kind == Type::Kind::array) inner = inner->element;
    for (const Type::Name& name : inner->names) param.enum_names.emplace_back(name.name);
    if (inner->kind == Type::Kind::object) param.fields = describe_params(*inner);
    return param;
}

std::string_view states_text(States states) {
    switch (states) {
        case States::startup: return "before framework_start_init";
        case States::runtime: return "after framework_start_init";
        case States::any: return "at any time";
    }
    return "";
}

// "u32, required" / "enum, default \"a\"; one of a, b".
std::string qualities(const ParamDescription& param) {
    std::string text = param.type;
    if (param.is_required) text += ", required";
    if (!param.default_text.empty()) text += fmt::format(", default {}", param.default_text);
    if (!param.alias.empty()) text += fmt::format(", also {}", param.alias);
    if (!param.enum_names.empty()) text += fmt::format("; one of {}", fmt::join(param.enum_names, ", "));
    return text;
}

// With a full stop, whether the author wrote one or not.
std::string sentence(std::string_view text) {
    return text.empty() || text.ends_with('.') ? std::string(text) : fmt::format("{}.", text);
}

void append_help(std::string& help, const std::vector<ParamDescription>& params, size_t indent) {
    size_t width = 0;
    for (const ParamDescription& param : params) width = std::max(width, param.name.size());
    for (const ParamDescription& param : params) {
        help += fmt::format("{:{}}{:{}}  {} ({})\n", "", indent, param.name, width, param.text, qualities(param));
        append_help(help, param.fields, indent + 2);
    }
}

// A cell of a table: nothing in it may end it.
std::string cell(std::string_view text) {
    std::string safe;
    for (const char byte : text) {
        if (byte == '|') safe += '\\';
        safe += byte == '\n' ? ' ' : byte;
    }
    return safe;
}

void append_rows(std::string& page, const std::vector<ParamDescription>& params, const std::string& prefix) {
    for (const ParamDescription& param : params) {
        const std::string path = prefix + param.name;
        std::string text = param.text;
        if (!param.enum_names.empty()) text += fmt::format(" (one of {})", fmt::join(param.enum_names, ", "));
        if (!param.alias.empty()) text += fmt::format(" (also `{}`)", param.alias);
        page +=
            fmt::format("| `{}` | {} | {} | {} | {} |\n", path, cell(param.type), param.is_required ? "yes" : "",
                        param.default_text.empty() ? "" : fmt::format("`{}`", cell(param.default_text)), cell(text));
        append_rows(page, param.fields, path + (param.type.starts_with('[') ? "[]." : "."));
    }
}

Json json_of(const std::vector<ParamDescription>& params) {
    Json list = Json::array();
    for (const ParamDescription& param : params) {
        Json facts = {
            {"name", param.name}, {"type", param.type}, {"required", param.is_required}, {"text", param.text}};
        // It is JSON of our own making, or empty.
        if (auto value = parse_json(param.default_text, large_json_limits)) facts["default"] = std::move(*value);
        if (!param.alias.empty()) facts["alias"] = param.alias;
        if (!param.enum_names.empty()) facts["enum"] = param.enum_names;
        if (!param.fields.empty()) facts["fields"] = json_of(param.fields);
        list.push_back(std::move(facts));
    }
    return list;
}

}  // namespace

Json json_of(const MethodDescription& method) {
    Json states = Json::array();
    if (includes(method.states, startup)) states.push_back("startup");
    if (includes(method.states, runtime)) states.push_back("runtime");
    Json facts = {{"name", method.name},         {"role", to_string(method.role)}, {"text", method.text},
                  {"states", std::move(states)}, {"aliases", method.aliases},      {"params", json_of(method.params)},
                  {"result", method.result}};
    if (!method.words.empty()) facts["words"] = method.words;
    return facts;
}

std::vector<ParamDescription> describe_params(const Type& type) {
    std::vector<ParamDescription> params;
    const void* defaults = type.defaults();
    for (const FieldInfo& field : type.fields) params.push_back(describe_param(field, defaults));
    return params;
}

std::string to_help(const MethodDescription& method) {
    std::string help =
        fmt::format("{}\n  {} Callable {}.\n", method.name, sentence(method.text), states_text(method.states));
    if (!method.aliases.empty()) help += fmt::format("  Earlier names: {}\n", fmt::join(method.aliases, ", "));
    help += method.params.empty() ? "Parameters: none\n" : "Parameters:\n";
    append_help(help, method.params, 2);
    help += fmt::format("Result: {}\n", method.result);
    return help;
}

std::string to_markdown(std::span<const MethodDescription> methods) {
    std::string page;
    for (const MethodDescription& method : methods) {
        page += fmt::format("## `{}`\n\n{} Callable {}; role {}.\n", method.name, sentence(method.text),
                            states_text(method.states), to_string(method.role));
        if (!method.aliases.empty()) page += fmt::format("Earlier names: `{}`.\n", fmt::join(method.aliases, "`, `"));
        if (method.params.empty()) {
            page += "\nNo parameters.\n";
        } else {
            page += "\n| parameter | type | required | default | meaning |\n|---|---|---|---|---|\n";
            append_rows(page, method.params, "");
        }
        page += fmt::format("\nResult: {}\n\n", method.result);
        if (!method.example.empty()) page += fmt::format("    weft rpc {}\n\n", method.example);
    }
    return page;
}

}  // namespace weft::rpc
