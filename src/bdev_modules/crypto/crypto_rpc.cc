#include "bdev_modules/crypto/crypto_rpc.h"

#include <fmt/format.h>

#include <cerrno>
#include <optional>

#include "base/log.h"
#include "base/secret.h"
#include "bdev_modules/crypto/crypto_device.h"
#include "rpc/json.h"

namespace weft::bdev {

namespace {

struct CryptoCreate {
    std::string base_bdev_name;
    std::string name;
    std::optional<std::string> crypto_pmd;
    std::optional<std::string> key;
    std::optional<std::string> cipher;
    std::optional<std::string> key2;
    std::optional<std::string> key_name;

    CryptoCreate() = default;
    CryptoCreate(CryptoCreate&&) = default;
    CryptoCreate& operator=(CryptoCreate&&) = default;
    CryptoCreate(const CryptoCreate&) = delete;
    CryptoCreate& operator=(const CryptoCreate&) = delete;
    ~CryptoCreate() {
        for (auto* text : {&key, &key2}) {
            if (*text) wipe({reinterpret_cast<std::byte*>((*text)->data()), (*text)->size()});
        }
    }

    static constexpr auto fields() {
        using P = CryptoCreate;
        return rpc::fields(
            rpc::required("base_bdev_name", &P::base_bdev_name,
                          "The bdev that is to hold the ciphertext; it is made when that is there"),
            rpc::required("name", &P::name, "Its name"),
            rpc::optional("crypto_pmd", &P::crypto_pmd, "Accepted: an old name of what encrypts"),
            rpc::optional("key", &P::key, "Instead of key_name: see accel_crypto_key_create, which is the better way"),
            rpc::optional("cipher", &P::cipher, "With key: AES_CBC or AES_XTS; default: AES_CBC"),
            rpc::optional("key2", &P::key2, "With key: the second key of AES_XTS"),
            rpc::optional("key_name", &P::key_name, "The key, as accel_crypto_key_create named it"));
    }
};

struct CryptoDelete {
    std::string name;
    static constexpr auto fields() { return rpc::fields(rpc::required("name", &CryptoDelete::name, "The bdev")); }
};

// As the field's old form of the call: the key is made along with the device, under a name made of both.
Result<std::string> make_key(accel::Framework& framework, const CryptoCreate& params) {
    const std::string cipher = params.cipher.value_or("AES_CBC");
    if (cipher != "AES_CBC" && cipher != "AES_XTS") {
        return fail(Errc::invalid_argument,
                    fmt::format("cipher: there is no {}; there are AES_CBC and AES_XTS", log::quoted(cipher, 32)));
    }
    std::string name = fmt::format("{}_{}", params.name, cipher);
    if (framework.keys().find(name)) return name;
    if (!params.key) return fail(Errc::invalid_argument, "key_name: give the name of a key of accel_crypto_key_create");
    auto key = accel::secret_of_hex(*params.key);
    if (!key) return fail(Errc::invalid_argument, "key: " + key.error().message);
    auto key2 = accel::secret_of_hex(params.key2.value_or(""));
    if (!key2) return fail(Errc::invalid_argument, "key2: " + key2.error().message);
    WEFT_TRY(framework.keys().add(framework.module_of(accel::Op::encrypt),
                                  {.name = name,
                                   .cipher = cipher == "AES_XTS" ? accel::Cipher::aes_xts : accel::Cipher::aes_cbc,
                                   .key = std::move(*key),
                                   .key2 = std::move(*key2)}));
    WEFT_NOTICELOG("crypto key {} is not in save_config: make it by accel_crypto_key_create, with keyring_key",
                   log::quoted(name, 64));
    return name;
}

// -32602 for a key that is not there, -32603 for one that cannot be made of what was given, -1 for a base that somebody
// has claimed, and negative errnos.
rpc::Response create(Awaited& awaited, accel::Framework& framework, const CryptoCreate& params) {
    CryptoOptions options{.name = params.name, .base_name = params.base_bdev_name};
    if (params.name.empty()) return rpc::fail_code(rpc::code::invalid_params, "name: empty");
    if (params.key_name) {
        options.key_name = *params.key_name;
        if (const auto key = framework.keys().find(options.key_name); !key) {
            return rpc::fail_code(rpc::code::invalid_params, "key_name: " + key.error().message);
        }
    } else {
        const size_t keys_before = framework.keys().all().size();
        auto made = make_key(framework, params);
        if (!made) return rpc::fail_code(rpc::code::internal_error, std::move(made.error().message));
        options.key_name = std::move(*made);
        options.owns_key = framework.keys().all().size() != keys_before;
    }
    return answer_to(create_crypto_device(awaited, framework, options), options.name);
}

Task<Result<Json>> remove(Awaited& awaited, std::string name) {
    WEFT_CO_TRY(co_await delete_wish(awaited, "crypto", std::move(name)));
    co_return Json(true);
}

}  // namespace

void add_crypto_methods(rpc::Registry& methods, Awaited& awaited, accel::Framework& framework) {
    methods.add<CryptoCreate>(
        {.name = "bdev_crypto_create",
         .role = rpc::Role::operate,
         .text = "Makes a bdev that keeps its data encrypted on another one; when that is not there yet, as soon as it "
                 "comes",
         .result = "string: its name",
         .changes_config = true},
        [&awaited, &framework](CryptoCreate params) -> Task<rpc::Response> {
            co_return create(awaited, framework, params);
        });
    methods.add<CryptoDelete>({.name = "bdev_crypto_delete",
                               .role = rpc::Role::operate,
                               .text = "Removes a crypto bdev, or waits for its base no longer; what it held stays on "
                                       "the base, encrypted",
                               .changes_config = true},
                              [&awaited](CryptoDelete params) { return remove(awaited, std::move(params.name)); });
}

}  // namespace weft::bdev
