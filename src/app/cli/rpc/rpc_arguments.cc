#include "app/cli/rpc/rpc_arguments.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>

#include "app/cli/rpc/rpc_grammar.h"
#include "app/cli/rpc/rpc_words.h"
#include "rpc/json.h"

namespace weft::cli {

namespace {

using rpc::MethodDescription;
using rpc::ParamDescription;

const ParamDescription* find_param(const std::vector<ParamDescription>& params, std::string_view name) {
    const auto found = std::ranges::find_if(
        params, [name](const ParamDescription& param) { return param.name == name || param.alias == name; });
    return found == params.end() ? nullptr : &*found;
}

Json json_or_string(const std::string& text) {
    auto parsed = parse_json(text);
    return parsed ? std::move(*parsed) : Json(text);
}

bool is_integer(std::string_view type) {
    return type == "u8" || type == "u16" || type == "u32" || type == "u64" || type == "i8" || type == "i16" ||
           type == "i32" || type == "i64";
}

Result<Json> typed_value(const std::string& text, const std::string& type, const std::string& name) {
    const auto wrong = [&](std::string_view what) {
        return fail(Errc::invalid_argument, fmt::format("--{} '{}': {}", name, text, what));
    };
    if (type == "bool") {
        if (text == "true" || text == "1" || text == "yes" || text == "on") return Json(true);
        if (text == "false" || text == "0" || text == "no" || text == "off") return Json(false);
        return wrong("true or false is wanted");
    }
    if (is_integer(type)) {
        const bool is_hex = text.starts_with("0x") || text.starts_with("0X");
        if (is_hex) {
            uint64_t value = 0;
            const char* const end = text.data() + text.size();
            const auto [rest, error] = std::from_chars(text.data() + 2, end, value, 16);
            if (error != std::errc{} || rest != end) return wrong("a whole number is wanted");
            return Json(value);
        }
        auto parsed = parse_json(text);
        if (!parsed || !parsed->is_number_integer()) return wrong("a whole number is wanted");
        return std::move(*parsed);
    }
    if (type.starts_with('[')) {  // the whole of it as JSON, or one element of it
        auto parsed = parse_json(text);
        if (parsed && parsed->is_array()) return std::move(*parsed);
        auto element = typed_value(text, type.substr(1, type.size() - 2), name);
        if (!element) return element;
        return Json::array({std::move(*element)});
    }
    if (type == "object" || type == "json" || type == "any") {
        auto parsed = parse_json(text);
        if (!parsed || (type == "object" && !parsed->is_object())) {
            return wrong(fmt::format("a JSON object is wanted, or its fields as --{}.NAME", name));
        }
        return std::move(*parsed);
    }
    return Json(text);  // string, enum, uuid
}

// Puts the value where the dotted name leads, beside one that is there already.
Result<void> put(Json& into, std::string_view path, Json value, std::string_view name) {
    const size_t dot = path.find('.');
    const std::string key(path.substr(0, dot));
    if (key.empty()) return fail(Errc::invalid_argument, fmt::format("--{}: a name is empty", name));
    if (dot != std::string_view::npos) {
        Json& inner = into[key];
        if (inner.is_null()) inner = Json::object();
        if (!inner.is_object()) {
            return fail(Errc::invalid_argument, fmt::format("--{}: {} was given a value already", name, key));
        }
        return put(inner, path.substr(dot + 1), std::move(value), name);
    }
    if (!into.contains(key)) {
        into[key] = std::move(value);
        return {};
    }
    Json& there = into[key];
    if (!there.is_array()) there = Json::array({std::move(there)});
    if (value.is_array()) {
        for (Json& element : value) there.push_back(std::move(element));
    } else {
        there.push_back(std::move(value));
    }
    return {};
}

// The parameter that the dotted name leads to.
Result<const ParamDescription*> describe(const MethodDescription& method, std::string_view path) {
    const std::vector<ParamDescription>* params = &method.params;
    const std::string_view whole = path;
    for (;;) {
        const size_t dot = path.find('.');
        const ParamDescription* param = find_param(*params, path.substr(0, dot));
        if (param == nullptr) {
            std::string known;
            for (const ParamDescription& one : *params)
                known += fmt::format("{}{}", known.empty() ? "" : ", ", one.name);
            return fail(Errc::invalid_argument, fmt::format("--{}: {} has no such parameter; there {}: {}", whole,
                                                            method.name, params->empty() ? "is none" : "are", known));
        }
        if (dot == std::string_view::npos) return param;
        if (param->fields.empty()) return nullptr;  // what is inside is not described
        params = &param->fields;
        path.remove_prefix(dot + 1);
    }
}

}  // namespace

namespace {

Result<Json> hexadecimal_value(std::string_view text, std::string_view name) {
    std::string_view digits = text;
    if (digits.starts_with("0x") || digits.starts_with("0X")) digits.remove_prefix(2);
    uint64_t value = 0;
    const char* const end = digits.data() + digits.size();
    // NOLINTNEXTLINE(bugprone-suspicious-stringview-data-usage): it has the end, too
    const auto [rest, error] = std::from_chars(digits.data(), end, value, 16);
    if (digits.empty() || error != std::errc{} || rest != end) {
        return fail(Errc::invalid_argument, fmt::format("{}: '{}' is no hexadecimal number of 64 bits", name, text));
    }
    return Json(value);
}

// The value of one argument. `param` may be null: nothing is known of it.
Result<Json> value_of(const Argument& argument, const ParamDescription* param) {
    using Kind = GrammarTarget::Kind;
    if (!argument.value) {
        if (argument.kind == Kind::flag_off) return Json(false);
        if (param != nullptr && param->type != "bool") {
            return fail(Errc::invalid_argument, fmt::format("--{} wants a value ({})", argument.name, param->type));
        }
        return Json(true);
    }
    if (argument.kind == Kind::list && !argument.value->starts_with('[')) {
        Json list = Json::array();
        // "[u64]" of u64; of what nothing is known of, words.
        const bool is_list = param != nullptr && param->type.starts_with('[');
        const std::string type = is_list ? param->type.substr(1, param->type.size() - 2) : "string";
        std::string_view rest = *argument.value;
        while (!rest.empty()) {
            // Names of bdevs come with spaces between them, too, as the field's rpc.py takes them.
            const size_t comma = rest.find_first_of(", ");
            auto element = typed_value(std::string(rest.substr(0, comma)), type, argument.name);
            if (!element) return element;
            list.push_back(std::move(*element));
            rest = comma == std::string_view::npos ? std::string_view{} : rest.substr(comma + 1);
        }
        return list;
    }
    if (argument.kind == Kind::hexadecimal) return hexadecimal_value(*argument.value, argument.name);
    if (param != nullptr) return typed_value(*argument.value, param->type, argument.name);
    Json value = json_or_string(*argument.value);
    return is_text_param(argument.name) && !value.is_string() ? Json(*argument.value) : std::move(value);
}

// rpc.py gives sizes of RAM disks and null bdevs in MiB; the method wants blocks.
Result<Json> blocks_of(const std::string& size_text, const Json& params) {
    double mebibytes = 0;
    const char* const end = size_text.data() + size_text.size();
    const auto [rest, error] = std::from_chars(size_text.data(), end, mebibytes);
    constexpr double mebibytes_max = 8796093022208.0;  // 2^63 bytes
    if (error != std::errc{} || rest != end || !(mebibytes > 0) || mebibytes > mebibytes_max) {
        return fail(Errc::invalid_argument,
                    fmt::format("the size '{}': a number of MiB above 0 is wanted, at most 2^43", size_text));
    }
    const auto block = params.find("block_size");
    if (block == params.end() || !block->is_number_unsigned() || *block == Json(0)) {
        return fail(Errc::invalid_argument, "block_size is missing: it comes behind the size");
    }
    return Json(static_cast<uint64_t>(mebibytes * 1048576.0 / static_cast<double>(block->get<uint64_t>())));
}

}  // namespace

Result<Json> rpc_params(std::span<const std::string> words, const std::string& method,
                        const std::optional<MethodDescription>& description) {
    if (words.empty()) return Json();
    if (words.size() == 1 && (words[0].starts_with('{') || words[0].starts_with('['))) {
        auto parsed = parse_json(words[0]);
        if (!parsed) return fail(parsed.error().code, fmt::format("the parameters: {}", parsed.error().message));
        return parsed;
    }
    auto grammar = grammar_of(description ? description->name : canonical_name(method));
    if (!grammar && description) grammar = grammar_from(description->name, description->words);
    const auto arguments = read_words(words, grammar ? &*grammar : nullptr, description ? &*description : nullptr);
    if (!arguments) return std::unexpected(arguments.error());
    Json params = Json::object();
    const std::string* size_text = nullptr;
    for (const Argument& argument : *arguments) {
        if (argument.kind == GrammarTarget::Kind::mebibytes) {
            size_text = &*argument.value;
            continue;
        }
        const ParamDescription* param = nullptr;
        if (description) {
            const auto found = describe(*description, argument.name);
            if (!found) return std::unexpected(found.error());
            param = *found;
        }
        auto value = value_of(argument, param);
        if (!value) return value;
        WEFT_TRY(put(params, argument.name, std::move(*value), argument.name));
    }
    if (size_text != nullptr) {
        auto blocks = blocks_of(*size_text, params);
        if (!blocks) return blocks;
        WEFT_TRY(put(params, "num_blocks", std::move(*blocks), "num_blocks"));
    }
    return params;
}

namespace {

std::string text_member(const Json& object, const char* name) {
    const auto found = object.find(name);
    return found != object.end() && found->is_string() ? found->get<std::string>() : std::string();
}

std::vector<std::string> list_member(const Json& object, const char* name) {
    std::vector<std::string> list;
    const auto found = object.find(name);
    if (found == object.end() || !found->is_array()) return list;
    for (const Json& element : *found) {
        if (element.is_string()) list.push_back(element.get<std::string>());
    }
    return list;
}

std::vector<ParamDescription> params_member(const Json& object, const char* name, uint32_t depth) {
    std::vector<ParamDescription> params;
    const auto found = object.find(name);
    if (depth == 0 || found == object.end() || !found->is_array()) return params;
    for (const Json& element : *found) {
        if (!element.is_object()) continue;
        ParamDescription& param = params.emplace_back();
        param.name = text_member(element, "name");
        param.type = text_member(element, "type");
        param.text = text_member(element, "text");
        param.alias = text_member(element, "alias");
        param.enum_names = list_member(element, "enum");
        param.is_required = element.contains("required") && element["required"] == Json(true);
        if (element.contains("default") && !element["default"].is_null()) {
            param.default_text = dump_json(element["default"]);
        }
        param.fields = params_member(element, "fields", depth - 1);
    }
    return params;
}

}  // namespace

std::optional<MethodDescription> description_of(const Json& answer, const std::string& method) {
    constexpr uint32_t depth_max = 8;
    if (!answer.is_array()) return std::nullopt;
    for (const Json& one : answer) {
        if (!one.is_object()) continue;
        const std::vector<std::string> aliases = list_member(one, "aliases");
        if (text_member(one, "name") != method && std::ranges::find(aliases, method) == aliases.end()) continue;
        MethodDescription description;
        description.name = text_member(one, "name");
        description.text = text_member(one, "text");
        description.result = text_member(one, "result");
        description.words = text_member(one, "words");
        description.aliases = aliases;
        const std::vector<std::string> states = list_member(one, "states");
        const bool at_startup = std::ranges::find(states, "startup") != states.end();
        const bool at_runtime = std::ranges::find(states, "runtime") != states.end();
        if (at_startup != at_runtime) description.states = at_startup ? rpc::startup : rpc::runtime;
        description.params = params_member(one, "params", depth_max);
        return description;
    }
    return std::nullopt;
}

}  // namespace weft::cli
