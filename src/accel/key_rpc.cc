// accel_crypto_key_*: what a key is comes in, and never goes out.
#include <fmt/format.h>

#include <optional>

#include "accel/accel_rpc.h"
#include "base/log.h"
#include "rpc/json.h"

template <>
struct weft::rpc::EnumNames<weft::accel::Cipher> {
    using Cipher = weft::accel::Cipher;
    static constexpr weft::rpc::EnumName<Cipher> values[] = {{"AES_CBC", Cipher::aes_cbc},
                                                             {"AES_XTS", Cipher::aes_xts}};
};
template <>
struct weft::rpc::EnumNames<weft::accel::TweakMode> {
    using Mode = weft::accel::TweakMode;
    static constexpr weft::rpc::EnumName<Mode> values[] = {{"SIMPLE_LBA", Mode::simple_lba},
                                                           {"JOIN_NEG_LBA_WITH_LBA", Mode::join_neg_lba_with_lba},
                                                           {"INCR_512_FULL_LBA", Mode::incr_512_full_lba},
                                                           {"INCR_512_UPPER_LBA", Mode::incr_512_upper_lba}};
};

namespace weft::accel {

namespace {

struct Create {
    Cipher cipher = Cipher::aes_xts;
    std::optional<std::string> key;
    std::optional<std::string> key2;
    TweakMode tweak_mode = TweakMode::simple_lba;
    std::string name;
    std::optional<std::string> keyring_key;
    std::optional<std::string> keyring_key2;

    Create() = default;
    Create(Create&&) = default;
    Create& operator=(Create&&) = default;
    Create(const Create&) = delete;
    Create& operator=(const Create&) = delete;
    ~Create() {
        for (auto* text : {&key, &key2}) {
            if (*text) wipe({reinterpret_cast<std::byte*>((*text)->data()), (*text)->size()});
        }
    }

    static constexpr auto fields() {
        using P = Create;
        return rpc::fields(
            rpc::required("cipher", &P::cipher, "Which cipher"),
            rpc::optional("key", &P::key, "The key, 16 or 32 bytes in hexadecimal. It is not saved: see keyring_key"),
            rpc::optional("key2", &P::key2, "AES_XTS: the key of the tweak, as long as key and another"),
            rpc::optional("tweak_mode", &P::tweak_mode, "How a block's address enters its cipher"),
            rpc::required("name", &P::name, "Its name"),
            rpc::optional("keyring_key", &P::keyring_key,
                          "Weft's own: the key of the keyring whose file holds the key, in hexadecimal. It is used "
                          "instead of key, and is saved by name"),
            rpc::optional("keyring_key2", &P::keyring_key2, "The same for key2"));
    }
};

struct Destroy {
    std::string key_name;
    static constexpr auto fields() { return rpc::fields(rpc::required("key_name", &Destroy::key_name, "The key")); }
};

struct Get {
    std::optional<std::string> key_name;
    static constexpr auto fields() {
        return rpc::fields(rpc::optional("key_name", &Get::key_name, "One key; default: all"));
    }
};

std::unexpected<Error> refuse(const char* name, Error error) {
    return fail(error.code, fmt::format("{}: {}", name, error.message));
}

// What `given` is in hexadecimal, or what the file of the keyring's `from` holds.
Task<Result<Secret>> secret_of(const RpcContext& context, const char* name, const std::optional<std::string>& given,
                               const std::optional<std::string>& from) {
    if (given && from)
        co_return fail(Errc::invalid_argument, fmt::format("{}: give it, or keyring_{}, not both", name, name));
    if (given) {
        auto secret = secret_of_hex(*given);
        if (!secret) co_return refuse(name, std::move(secret).error());
        co_return std::move(*secret);
    }
    if (!from) co_return Secret();
    auto key = context.keyring.find(*from);
    if (!key) co_return refuse(name, std::move(key).error());
    auto text = co_await offload(
        [&files = context.files, kept = std::move(*key)]() -> Result<Secret> { return keyring::read(files, *kept); });
    if (!text) co_return refuse(name, std::move(text).error());
    auto secret = secret_of_hex(text->text());
    if (!secret) {
        co_return fail(Errc::invalid_argument,
                       fmt::format("keyring_{}: the file of key {}: {}", name, *from, secret.error().message));
    }
    co_return std::move(*secret);
}

Task<Result<Json>> create(const RpcContext& context, Create params) {
    auto key = co_await secret_of(context, "key", params.key, params.keyring_key);
    if (!key) co_return std::unexpected(std::move(key).error());
    auto key2 = co_await secret_of(context, "key2", params.key2, params.keyring_key2);
    if (!key2) co_return std::unexpected(std::move(key2).error());
    const bool is_saved = params.keyring_key.has_value() && (!params.key2 || params.keyring_key2.has_value());
    WEFT_CO_TRY(context.framework.keys().add(context.framework.module_of(Op::encrypt),
                                             {.name = params.name,
                                              .cipher = params.cipher,
                                              .tweak_mode = params.tweak_mode,
                                              .key = std::move(*key),
                                              .key2 = std::move(*key2),
                                              .keyring_key = is_saved ? params.keyring_key.value_or("") : "",
                                              .keyring_key2 = is_saved ? params.keyring_key2.value_or("") : ""}));
    if (!is_saved) {
        WEFT_NOTICELOG("crypto key {} is not in save_config: give it by keyring_key to have it after a restart",
                       log::quoted(params.name, 64));
    }
    co_return Json(true);
}

// Without what it is.
Json describe(const CryptoKey& key) {
    Json told{{"name", key.name()},
              {"cipher", name_of(key.cipher())},
              {"tweak_mode", name_of(key.tweak_mode())},
              {"key_size", key.key().size()},
              {"users", key.users()}};
    if (!key.keyring_key().empty()) told["keyring_key"] = key.keyring_key();
    if (!key.keyring_key2().empty()) told["keyring_key2"] = key.keyring_key2();
    return told;
}

Result<Json> list(const Framework& framework, const Get& params) {
    Json told = Json::array();
    if (params.key_name) {
        const auto key = framework.keys().find(*params.key_name);
        if (!key) return fail(Errc::invalid_argument, "key_name: " + key.error().message);
        told.push_back(describe(**key));
        --told.back()["users"].get_ref<Json::number_unsigned_t&>();  // this look at it
        return told;
    }
    for (const auto& [name, key] : framework.keys().all()) told.push_back(describe(*key));
    return told;
}

}  // namespace

Json crypto_key_entry(const CryptoKey& key) {
    if (key.keyring_key().empty()) return {};
    Json params{{"name", key.name()},
                {"cipher", name_of(key.cipher())},
                {"tweak_mode", name_of(key.tweak_mode())},
                {"keyring_key", key.keyring_key()}};
    if (!key.keyring_key2().empty()) params["keyring_key2"] = key.keyring_key2();
    return {{"method", "accel_crypto_key_create"}, {"params", std::move(params)}};
}

void add_key_methods(rpc::Registry& methods, const RpcContext& context) {
    // The field's answers have -32602 for all that can be wrong with a key.
    constexpr rpc::Codes codes = {.others = rpc::code::invalid_params};
    methods.add<Create>(
        {.name = "accel_crypto_key_create",
         .role = rpc::Role::admin,
         .text = "Gives a key for encryption a name; what it is is told nobody, and not saved",
         .codes = codes,
         .changes_config = true},
        [context](Create&& params) -> Task<Result<Json>> { return create(context, std::move(params)); });
    methods.add<Destroy>({.name = "accel_crypto_key_destroy",
                          .role = rpc::Role::admin,
                          .text = "Forgets a key that nobody uses",
                          .codes = codes,
                          .changes_config = true},
                         [&framework = context.framework](Destroy params) -> Task<Result<Json>> {
                             WEFT_CO_TRY(framework.keys().remove(params.key_name));
                             co_return Json(true);
                         });
    methods.add<Get>(
        {.name = "accel_crypto_keys_get",
         .role = rpc::Role::read,
         .text = "Keys for encryption by name; never what they are",
         .result = "[object]: name, cipher, tweak_mode, key_size, users, keyring_key, keyring_key2"},
        [&framework = context.framework](Get params) -> Task<Result<Json>> { co_return list(framework, params); });
}

}  // namespace weft::accel
