#include "rpc/params.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>

#include "base/assert.h"
#include "base/log.h"
#include "rpc/json.h"
#include "rpc/spelling.h"

namespace weft::rpc {

constinit const Type type_bool = {.kind = Type::Kind::boolean, .name = "bool"};
constinit const Type type_u8 = {.kind = Type::Kind::unsigned_integer, .size_bytes = 1, .name = "u8"};
constinit const Type type_u16 = {.kind = Type::Kind::unsigned_integer, .size_bytes = 2, .name = "u16"};
constinit const Type type_u32 = {.kind = Type::Kind::unsigned_integer, .size_bytes = 4, .name = "u32"};
constinit const Type type_u64 = {.kind = Type::Kind::unsigned_integer, .size_bytes = 8, .name = "u64"};
constinit const Type type_i8 = {.kind = Type::Kind::signed_integer, .size_bytes = 1, .name = "i8"};
constinit const Type type_i16 = {.kind = Type::Kind::signed_integer, .size_bytes = 2, .name = "i16"};
constinit const Type type_i32 = {.kind = Type::Kind::signed_integer, .size_bytes = 4, .name = "i32"};
constinit const Type type_i64 = {.kind = Type::Kind::signed_integer, .size_bytes = 8, .name = "i64"};
constinit const Type type_string = {.kind = Type::Kind::string, .name = "string"};
constinit const Type type_uuid = {.kind = Type::Kind::uuid, .name = "uuid"};
constinit const Type type_json = {.kind = Type::Kind::json, .name = "json"};

namespace {

// Where in the parameters we are: "namespace", "luns[2].id". Empty for the parameters themselves.
Result<void> decode_value(const Type& type, const Json& json, void* out, const std::string& path);

std::unexpected<Error> refuse(const std::string& path, std::string_view reason) {
    return fail(Errc::invalid_argument, path.empty() ? std::string(reason) : fmt::format("{}: {}", path, reason));
}

// What was sent, short and printable.
std::string show(const Json& json) {
    if (json.is_object()) return "an object";
    if (json.is_array()) return "an array";
    if (json.is_string()) return fmt::format("\"{}\"", log::quoted(json.get_ref<const std::string&>(), 48));
    return json.dump();
}

std::unexpected<Error> refuse_type(const std::string& path, std::string_view expected, const Json& json) {
    return refuse(path, fmt::format("expected {}, got {}", expected, show(json)));
}

std::string range_text(const Type& type) {
    const unsigned bits = static_cast<unsigned>(type.size_bytes) * 8;
    if (type.kind == Type::Kind::unsigned_integer) {
        return fmt::format("an integer from 0 to {}", std::numeric_limits<uint64_t>::max() >> (64 - bits));
    }
    const int64_t max = std::numeric_limits<int64_t>::max() >> (64 - bits);
    return fmt::format("an integer from {} to {}", -max - 1, max);
}

template <class T>
void put(void* out, T value) {
    std::memcpy(out, &value, sizeof(T));
}

// The low bytes of `value`, which is known to fit, into an integer of `size_bytes`.
void put_integer(void* out, size_t size_bytes, uint64_t value) {
    switch (size_bytes) {
        case 1: return put(out, static_cast<uint8_t>(value));
        case 2: return put(out, static_cast<uint16_t>(value));
        case 4: return put(out, static_cast<uint32_t>(value));
        case 8: return put(out, value);
        default: WEFT_ASSERT(size_bytes == 8);
    }
}

template <class T>
T get(const void* from) {
    T value;
    std::memcpy(&value, from, sizeof(T));
    return value;
}

// Copied, as above: what is there may be an enum, of another type than the integer.
int64_t get_integer(const void* from, size_t size_bytes) {
    switch (size_bytes) {
        case 1: return get<int8_t>(from);
        case 2: return get<int16_t>(from);
        case 4: return get<int32_t>(from);
        default: return get<int64_t>(from);
    }
}

// An integer as it was sent: 1e3 and 5.0 are integers too, as far as floating point is exact.
struct Integer {
    bool is_negative;
    uint64_t bits;  // two's complement
};
std::optional<Integer> integer_of(const Json& json) {
    if (json.is_number_unsigned()) return Integer{false, json.get<uint64_t>()};
    if (json.is_number_integer()) {
        const auto value = json.get<int64_t>();
        return Integer{value < 0, static_cast<uint64_t>(value)};
    }
    if (json.is_number_float()) {
        const auto value = json.get<double>();
        constexpr double exact_max = 9007199254740992.0;  // 2^53
        if (std::fabs(value) > exact_max || std::trunc(value) != value) return std::nullopt;
        return Integer{value < 0, static_cast<uint64_t>(static_cast<int64_t>(value))};
    }
    return std::nullopt;
}

Result<void> decode_integer(const Type& type, const Json& json, void* out, const std::string& path) {
    const auto integer = integer_of(json);
    if (!integer) return refuse_type(path, range_text(type), json);
    const unsigned bits = static_cast<unsigned>(type.size_bytes) * 8;
    bool fits = false;
    if (type.kind == Type::Kind::unsigned_integer) {
        fits = !integer->is_negative && integer->bits <= std::numeric_limits<uint64_t>::max() >> (64 - bits);
    } else {
        const auto max = static_cast<uint64_t>(std::numeric_limits<int64_t>::max()) >> (64 - bits);
        fits = integer->is_negative ? ~integer->bits <= max : integer->bits <= max;
    }
    if (!fits) return refuse_type(path, range_text(type), json);
    put_integer(out, type.size_bytes, integer->bits);
    return {};
}

Result<void> decode_string(const Json& json, void* out, const std::string& path) {
    if (!json.is_string()) return refuse_type(path, "a string", json);
    const auto& text = json.get_ref<const std::string&>();
    // Names and paths end up in C strings: what is checked must be what is used.
    if (text.find('\0') != std::string::npos) return refuse(path, "contains a NUL character");
    *static_cast<std::string*>(out) = text;
    return {};
}

Result<void> decode_uuid(const Json& json, void* out, const std::string& path) {
    const auto uuid = json.is_string() ? Uuid::parse(json.get_ref<const std::string&>()) : std::nullopt;
    if (!uuid) return refuse_type(path, "a UUID like \"6ba7b810-9dad-11d1-80b4-00c04fd430c8\"", json);
    *static_cast<Uuid*>(out) = *uuid;
    return {};
}

Result<void> decode_enum(const Type& type, const Json& json, void* out, const std::string& path) {
    std::vector<std::string_view> names;
    for (const Type::Name& name : type.names) {
        if (json.is_string() && json.get_ref<const std::string&>() == name.name) {
            put_integer(out, type.size_bytes, static_cast<uint64_t>(name.value));
            return {};
        }
        names.push_back(name.name);
    }
    return refuse_type(path, fmt::format("one of {}", fmt::join(names, ", ")), json);
}

Result<void> decode_array(const Type& type, const Json& json, void* out, const std::string& path) {
    if (!json.is_array()) return refuse_type(path, "an array", json);
    type.clear(out);
    for (size_t at = 0; at < json.size(); ++at) {
        WEFT_TRY(decode_value(*type.element, json[at], type.append(out), fmt::format("{}[{}]", path, at)));
    }
    return {};
}

std::string path_to(const std::string& path, std::string_view name) {
    return path.empty() ? std::string(name) : fmt::format("{}.{}", path, name);
}

std::unexpected<Error> refuse_name(const Type& type, const std::string& path, std::string_view name) {
    std::vector<std::string_view> known;
    for (const FieldInfo& field : type.fields) known.emplace_back(field.name);
    const std::string_view near = nearest_spelling(name, known);
    const std::string where = path_to(path, log::quoted(name, 64));
    if (!near.empty()) return refuse(where, fmt::format("no such parameter; did you mean {}?", near));
    if (known.empty()) return refuse(where, "no such parameter; there are none");
    return refuse(where, fmt::format("no such parameter; there are {}", fmt::join(known, ", ")));
}

const FieldInfo* find_field(const Type& type, std::string_view name) {
    for (const FieldInfo& field : type.fields) {
        if (name == field.name || (field.old_name != nullptr && name == field.old_name)) return &field;
    }
    return nullptr;
}

Result<void> decode_object(const Type& type, const Json& json, void* out, const std::string& path) {
    if (!json.is_object()) return refuse_type(path, path.empty() ? "an object of parameters" : "an object", json);
    std::vector<bool> seen(type.fields.size());
    for (const auto& [name, value] : json.items()) {
        const FieldInfo* field = find_field(type, name);
        if (field == nullptr) return refuse_name(type, path, name);
        const auto index = static_cast<size_t>(field - type.fields.data());
        const std::string where = path_to(path, name);
        if (seen[index]) return refuse(where, fmt::format("given twice: {} is {}", field->old_name, field->name));
        seen[index] = true;
        WEFT_TRY(decode_value(*field->type, value, field->target(out), where));
    }
    std::vector<std::string> missing;
    for (size_t at = 0; at < type.fields.size(); ++at) {
        if (type.fields[at].is_required && !seen[at]) missing.push_back(path_to(path, type.fields[at].name));
    }
    if (missing.empty()) return {};
    return fail(Errc::invalid_argument, fmt::format("{}: required parameter{} missing", fmt::join(missing, ", "),
                                                    missing.size() == 1 ? " is" : "s are"));
}

Result<void> decode_value(const Type& type, const Json& json, void* out, const std::string& path) {
    switch (type.kind) {
        case Type::Kind::boolean:
            if (!json.is_boolean()) return refuse_type(path, "true or false", json);
            *static_cast<bool*>(out) = json.get<bool>();
            return {};
        case Type::Kind::unsigned_integer:
        case Type::Kind::signed_integer: return decode_integer(type, json, out, path);
        case Type::Kind::string: return decode_string(json, out, path);
        case Type::Kind::uuid: return decode_uuid(json, out, path);
        case Type::Kind::json: *static_cast<Json*>(out) = json; return {};
        case Type::Kind::enumeration: return decode_enum(type, json, out, path);
        case Type::Kind::array: return decode_array(type, json, out, path);
        case Type::Kind::object: return decode_object(type, json, out, path);
    }
    return {};
}

Json encode_enum(const Type& type, const void* from) {
    const int64_t value = get_integer(from, type.size_bytes);
    const uint64_t mask = std::numeric_limits<uint64_t>::max() >> (64 - type.size_bytes * 8);
    for (const Type::Name& name : type.names) {
        if ((static_cast<uint64_t>(name.value) & mask) == (static_cast<uint64_t>(value) & mask)) return name.name;
    }
    return value;
}

}  // namespace

Result<void> decode(const Type& type, const Json& json, void* object) {
    static const Json nothing = Json::object();
    return decode_value(type, json.is_null() && type.kind == Type::Kind::object ? nothing : json, object, {});
}

Json encode(const Type& type, const void* object) {
    switch (type.kind) {
        case Type::Kind::boolean: return *static_cast<const bool*>(object);
        case Type::Kind::unsigned_integer: {
            const auto value = static_cast<uint64_t>(get_integer(object, type.size_bytes));
            return value & std::numeric_limits<uint64_t>::max() >> (64 - type.size_bytes * 8);
        }
        case Type::Kind::signed_integer: return get_integer(object, type.size_bytes);
        case Type::Kind::string: return *static_cast<const std::string*>(object);
        case Type::Kind::uuid: return static_cast<const Uuid*>(object)->to_string();
        case Type::Kind::json: return *static_cast<const Json*>(object);
        case Type::Kind::enumeration: return encode_enum(type, object);
        case Type::Kind::array: {
            Json array = Json::array();
            for (size_t at = 0; at < type.count(object); ++at)
                array.push_back(encode(*type.element, type.at(object, at)));
            return array;
        }
        case Type::Kind::object: {
            Json members = Json::object();
            for (const FieldInfo& field : type.fields) {
                if (const void* value = field.value(object)) members[field.name] = encode(*field.type, value);
            }
            return members;
        }
    }
    return nullptr;
}

}  // namespace weft::rpc
