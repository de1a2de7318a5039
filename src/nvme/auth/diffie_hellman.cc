#include "nvme/auth/diffie_hellman.h"

#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/evp.h>

#include <array>
#include <memory>
#include <string>

namespace weft::nvme::auth {

namespace {

struct Release {
    void operator()(BIGNUM* number) const { BN_clear_free(number); }
    void operator()(BN_CTX* context) const { BN_CTX_free(context); }
    void operator()(EVP_PKEY* key) const { EVP_PKEY_free(key); }
    void operator()(EVP_PKEY_CTX* context) const { EVP_PKEY_CTX_free(context); }
};
template <class T>
using Owned = std::unique_ptr<T, Release>;

// The library knows the primes, but hands them out as parameters of a key only. Its own key generation takes the
// exponent from its own random numbers, with which no simulation could be repeated: so we raise to powers ourselves.
Owned<BIGNUM> prime_of(Group group) {
    std::string name(name_of(group));
    const Owned<EVP_PKEY_CTX> context(EVP_PKEY_CTX_new_from_name(nullptr, "DH", nullptr));
    WEFT_ASSERT(context != nullptr && EVP_PKEY_paramgen_init(context.get()) == 1);
    const std::array<OSSL_PARAM, 2> params = {
        OSSL_PARAM_construct_utf8_string(OSSL_PKEY_PARAM_GROUP_NAME, name.data(), 0), OSSL_PARAM_construct_end()};
    WEFT_ASSERT(EVP_PKEY_CTX_set_params(context.get(), params.data()) == 1);
    EVP_PKEY* made = nullptr;
    WEFT_ASSERT(EVP_PKEY_paramgen(context.get(), &made) == 1);
    const Owned<EVP_PKEY> key(made);
    BIGNUM* prime = nullptr;
    WEFT_ASSERT(EVP_PKEY_get_bn_param(key.get(), OSSL_PKEY_PARAM_FFC_P, &prime) == 1);
    return Owned<BIGNUM>(prime);
}

Owned<BIGNUM> number_of(Bytes bytes) {
    Owned<BIGNUM> number(
        BN_bin2bn(reinterpret_cast<const unsigned char*>(bytes.data()), static_cast<int>(bytes.size()), nullptr));
    WEFT_ASSERT(number != nullptr);
    return number;
}

// base ^ exponent mod prime into `result`, with zeroes in front. The time it takes does not tell the exponent.
void raise(const BIGNUM& base, Bytes exponent, const BIGNUM& prime, MutableBytes result) {
    const Owned<BIGNUM> secret = number_of(exponent);
    BN_set_flags(secret.get(), BN_FLG_CONSTTIME);
    const Owned<BN_CTX> context(BN_CTX_new());
    const Owned<BIGNUM> power(BN_new());
    WEFT_ASSERT(context != nullptr && power != nullptr);
    WEFT_ASSERT(BN_mod_exp_mont_consttime(power.get(), &base, secret.get(), &prime, context.get(), nullptr) == 1);
    const int size =
        BN_bn2binpad(power.get(), reinterpret_cast<unsigned char*>(result.data()), static_cast<int>(result.size()));
    WEFT_ASSERT(size == static_cast<int>(result.size()));
}

// 2 to p - 2.
bool is_sound(const BIGNUM& value, const BIGNUM& prime) {
    const Owned<BIGNUM> last(BN_dup(&prime));
    WEFT_ASSERT(last != nullptr && BN_sub_word(last.get(), 1) == 1);
    return BN_cmp(&value, BN_value_one()) > 0 && BN_cmp(&value, last.get()) < 0;
}

}  // namespace

size_t exponent_size_of(Group group) {
    switch (group) {
        case Group::null: return 0;
        case Group::ffdhe2048: return 32;
        case Group::ffdhe3072: return 36;
        case Group::ffdhe4096: return 44;
        case Group::ffdhe6144: return 48;
        case Group::ffdhe8192: return 52;
    }
    return 0;
}

KeyPair make_key_pair(Group group, Secret exponent) {
    WEFT_ASSERT(exponent.size() == exponent_size_of(group));
    KeyPair pair{.group = group, .exponent = std::move(exponent)};
    if (group == Group::null) return pair;
    // The largest bit is set, so that an unlucky draw is not a small number.
    pair.exponent.mutable_bytes()[0] |= std::byte{0x80};
    const Owned<BIGNUM> prime = prime_of(group);
    const Owned<BIGNUM> generator(BN_new());
    WEFT_ASSERT(generator != nullptr && BN_set_word(generator.get(), 2) == 1);
    pair.public_value.resize(size_of(group));
    raise(*generator, pair.exponent.bytes(), *prime, pair.public_value);
    return pair;
}

Result<Secret> shared_secret(const KeyPair& own, Bytes other_public_value) {
    if (own.group == Group::null) return Secret();
    const Owned<BIGNUM> prime = prime_of(own.group);
    const Owned<BIGNUM> value = number_of(other_public_value);
    if (!is_sound(*value, *prime)) return fail(Errc::invalid_argument, "a DH public value out of its range");
    Secret secret(size_of(own.group));
    raise(*value, own.exponent.bytes(), *prime, secret.mutable_bytes());
    return secret;
}

}  // namespace weft::nvme::auth
