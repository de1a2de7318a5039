// AES-XTS (IEEE 1619) and AES-CBC by OpenSSL, block by block, each with the tweak of its place.
#pragma once

#include <openssl/types.h>

#include <memory>

#include "accel/module.h"
#include "base/bytes.h"

namespace weft::accel {

// Of one thread.
class BlockCipher final : public PreparedKey {
public:
    // The key is of a kind that SoftwareModule::supports_cipher(). Errors: no_memory; io_error when the library refuses
    // it.
    static Result<std::unique_ptr<BlockCipher>> create(CryptoKeyRef key, uint32_t block_bytes);
    ~BlockCipher() override;

    // Whole blocks from `from` to `to`, which may be the same memory, and otherwise do not overlap. `block` is room for
    // one, for those that do not lie together.
    Status run(bool encrypts, uint64_t lba, std::span<const iovec> to, std::span<const iovec> from, MutableBytes block);

private:
    struct Free {
        void operator()(EVP_CIPHER_CTX* context) const;
    };
    using Context = std::unique_ptr<EVP_CIPHER_CTX, Free>;
    BlockCipher(CryptoKeyRef key, uint32_t block_bytes);
    Result<void> open();
    bool run_block(EVP_CIPHER_CTX* context, bool encrypts, uint64_t lba, std::byte* to, const std::byte* from) const;

    const uint32_t unit_bytes_;  // what has a tweak of its own
    const TweakMode tweak_mode_;
    Context encrypting_;
    Context decrypting_;
};

}  // namespace weft::accel
