// Parameters of an RPC method: a struct whose fields() names them. Decoding, messages about what is wrong, the
// answer of rpc_get_methods, help and docs/rpc.md all come from that one declaration.
//
//   struct AddNamespace {
//       std::string nqn;
//       NamespaceParams ns;                    // a struct with fields() of its own: a nested object
//       std::optional<std::string> tgt_name;
//       uint32_t timeout_ms = 1000;
//
//       static constexpr auto fields() {
//           return rpc::fields(rpc::required("nqn", &AddNamespace::nqn, "NQN of the subsystem"),
//                              rpc::required("namespace", &AddNamespace::ns, "What to expose"),
//                              rpc::optional("tgt_name", &AddNamespace::tgt_name, "Kept for compatibility"),
//                              rpc::optional("timeout_ms", &AddNamespace::timeout_ms, "How long to
//                              wait").alias("timeout"));
//       }
//   };
//
// Members may be bool, 8 to 64 bit integers, std::string, Uuid, Json (taken as it is), an enum with EnumNames,
// another struct with fields(), std::vector of those, and std::optional of any. An optional parameter that is
// not std::optional keeps its initialiser, which is then shown as the default.
//
// The templates here only list addresses; the work is done by params.cc on the list. Includes nlohmann: for .cc files.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <tuple>
#include <type_traits>
#include <utility>
#include <vector>

#include "base/result.h"
#include "base/uuid.h"
#include "rpc/json.h"

namespace weft::rpc {

// The wire names of an enum, case-sensitive. Two names may mean one value; it is printed as the first.
//   template <>
//   struct rpc::EnumNames<AnaState> {
//       static constexpr rpc::EnumName<AnaState> values[] = {{"optimized", AnaState::optimized}, …};
//   };
template <class E>
struct EnumName {
    std::string_view name;
    E value;
};
template <class E>
struct EnumNames;

// ---- the declaration ----

template <class P, class T>
struct Field {
    const char* name = "";
    T P::* member = nullptr;
    const char* text = "";
    bool is_required = false;
    const char* old_name = nullptr;

    // Taken too, with a note in the description: a name that was used earlier.
    constexpr Field alias(const char* old) const {
        Field copy = *this;
        copy.old_name = old;
        return copy;
    }
};

template <class P, class T>
constexpr Field<P, T> required(const char* name, T P::* member, const char* text) {
    return {name, member, text, true};
}
template <class P, class T>
constexpr Field<P, T> optional(const char* name, T P::* member, const char* text) {
    return {name, member, text, false};
}
template <class... F>
constexpr std::tuple<F...> fields(F... each) {
    return {each...};
}

struct NoParams {
    static constexpr auto fields() { return rpc::fields(); }
};

// ---- the list that params.cc works on ----

struct Type;

struct FieldInfo {
    const char* name;
    const char* old_name;  // nullptr: none
    const char* text;
    bool is_required;
    const Type* type;
    void* (*target)(void* object);              // where to decode to; makes an std::optional hold a value
    const void* (*value)(const void* object);   // nullptr: an empty std::optional
};

struct Type {
    enum class Kind : uint8_t {
        boolean,
        unsigned_integer,
        signed_integer,
        string,
        uuid,
        json,
        enumeration,
        array,
        object
    };
    struct Name {
        std::string_view name;
        int64_t value;
    };

    Kind kind;
    size_t size_bytes = 0;                // integers and enums
    const char* name = "";                // "u32"; empty for arrays
    std::span<const Name> names;          // enums
    const Type* element = nullptr;        // arrays, with the next four
    void (*clear)(void* array) = nullptr;
    void* (*append)(void* array) = nullptr;
    size_t (*count)(const void* array) = nullptr;
    const void* (*at)(const void* array, size_t index) = nullptr;
    std::span<const FieldInfo> fields;        // objects, with the next
    const void* (*defaults)() = nullptr;      // a default-constructed one
};

extern const Type type_bool, type_u8, type_u16, type_u32, type_u64, type_i8, type_i16, type_i32, type_i64, type_string,
    type_uuid, type_json;

// Strict: every name must be declared, every required one be there, every value have its type and fit it.
// Errors: invalid_argument, with a message that begins with the parameter's name ("namespace.nsid: …").
Result<void> decode(const Type& type, const Json& json, void* object);
Json encode(const Type& type, const void* object);

namespace params_detail {

template <class T>
struct IsOptional : std::false_type {};
template <class T>
struct IsOptional<std::optional<T>> : std::true_type {};
template <class T>
struct IsVector : std::false_type {};
template <class T>
struct IsVector<std::vector<T>> : std::true_type {};

template <class T>
constexpr const Type* integer_type() {
    constexpr bool is_signed = std::is_signed_v<T>;
    if constexpr (sizeof(T) == 1) return is_signed ? &type_i8 : &type_u8;
    if constexpr (sizeof(T) == 2) return is_signed ? &type_i16 : &type_u16;
    if constexpr (sizeof(T) == 4) return is_signed ? &type_i32 : &type_u32;
    if constexpr (sizeof(T) == 8) return is_signed ? &type_i64 : &type_u64;
}

template <class E>
std::span<const Type::Name> enum_names() {
    static constexpr auto names = [] {
        std::array<Type::Name, std::size(EnumNames<E>::values)> list{};
        for (size_t at = 0; at < list.size(); ++at) {
            list[at] = {EnumNames<E>::values[at].name, static_cast<int64_t>(EnumNames<E>::values[at].value)};
        }
        return list;
    }();
    return names;
}

template <class V>
void clear(void* array) {
    static_cast<V*>(array)->clear();
}
template <class V>
void* append(void* array) {
    return &static_cast<V*>(array)->emplace_back();
}
template <class V>
size_t count(const void* array) {
    return static_cast<const V*>(array)->size();
}
template <class V>
const void* at(const void* array, size_t index) {
    return &(*static_cast<const V*>(array))[index];
}
template <class P>
const void* defaults() {
    static const P value{};
    return &value;
}

template <class P, size_t index>
void* target(void* object) {
    constexpr auto field = std::get<index>(P::fields());
    auto& member = static_cast<P*>(object)->*field.member;
    if constexpr (IsOptional<std::remove_reference_t<decltype(member)>>::value) {
        return &member.emplace();
    } else {
        return &member;
    }
}
template <class P, size_t index>
const void* value(const void* object) {
    constexpr auto field = std::get<index>(P::fields());
    const auto& member = static_cast<const P*>(object)->*field.member;
    if constexpr (IsOptional<std::remove_cvref_t<decltype(member)>>::value) {
        return member ? &*member : nullptr;
    } else {
        return &member;
    }
}

}  // namespace params_detail

template <class T>
const Type& type_of();

namespace params_detail {

template <class T>
const Type& type_of_member(const T*) {
    return type_of<T>();
}
template <class T>
const Type& type_of_member(const std::optional<T>*) {
    return type_of<T>();
}

template <class P, size_t index>
FieldInfo field_info() {
    constexpr auto field = std::get<index>(P::fields());
    using Member = std::remove_reference_t<decltype(std::declval<P&>().*field.member)>;
    return {field.name,
            field.old_name,
            field.text,
            field.is_required,
            &type_of_member(static_cast<const Member*>(nullptr)),
            &target<P, index>,
            &value<P, index>};
}

template <class P>
std::span<const FieldInfo> field_infos() {
    constexpr size_t field_count = std::tuple_size_v<decltype(P::fields())>;
    static const auto infos = []<size_t... index>(std::index_sequence<index...>) {
        return std::array<FieldInfo, sizeof...(index)>{field_info<P, index>()...};
    }(std::make_index_sequence<field_count>());
    return infos;
}

}  // namespace params_detail

template <class T>
const Type& type_of() {
    using Kind = Type::Kind;
    if constexpr (std::is_same_v<T, bool>) {
        return type_bool;
    } else if constexpr (std::is_integral_v<T>) {
        return *params_detail::integer_type<T>();
    } else if constexpr (std::is_same_v<T, std::string>) {
        return type_string;
    } else if constexpr (std::is_same_v<T, Uuid>) {
        return type_uuid;
    } else if constexpr (std::is_same_v<T, Json>) {
        return type_json;
    } else if constexpr (std::is_enum_v<T>) {
        static const Type type = {.kind = Kind::enumeration,
                                  .size_bytes = sizeof(T),
                                  .name = "enum",
                                  .names = params_detail::enum_names<T>()};
        return type;
    } else if constexpr (params_detail::IsVector<T>::value) {
        static const Type type = {.kind = Kind::array,
                                  .element = &type_of<typename T::value_type>(),
                                  .clear = &params_detail::clear<T>,
                                  .append = &params_detail::append<T>,
                                  .count = &params_detail::count<T>,
                                  .at = &params_detail::at<T>};
        return type;
    } else {
        static const Type type = {.kind = Kind::object,
                                  .name = "object",
                                  .fields = params_detail::field_infos<T>(),
                                  .defaults = &params_detail::defaults<T>};
        return type;
    }
}

// null counts as no parameters at all.
template <class P>
Result<P> decode_params(const Json& json) {
    P params{};
    if (auto done = decode(type_of<P>(), json, &params); !done) return std::unexpected(std::move(done).error());
    return params;
}
// What decode_params() would take; a std::optional that is empty is left out.
template <class P>
Json encode_params(const P& params) {
    return encode(type_of<P>(), &params);
}

}  // namespace weft::rpc
