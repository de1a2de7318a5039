#include "accel/software/block_cipher.h"

#include <openssl/evp.h>

#include <algorithm>
#include <cstring>

#include "accel/crypto/tweak.h"
#include "base/assert.h"
#include "base/data_cursor.h"

namespace weft::accel {

namespace {

const char* library_name(const CryptoKey& key) {
    const bool is_long = key.key().size() == 32;
    if (key.cipher() == Cipher::aes_xts) return is_long ? "AES-256-XTS" : "AES-128-XTS";
    return is_long ? "AES-256-CBC" : "AES-128-CBC";
}

unsigned char* raw(std::byte* bytes) { return reinterpret_cast<unsigned char*>(bytes); }
const unsigned char* raw(const std::byte* bytes) { return reinterpret_cast<const unsigned char*>(bytes); }

// The rest of a block whose first bytes are `first`.
void gather(MutableBytes block, Bytes first, DataCursor& source) {
    std::memcpy(block.data(), first.data(), first.size());
    for (size_t at = first.size(); at < block.size();) {
        const MutableBytes piece = source.next(block.size() - at);
        std::memcpy(block.data() + at, piece.data(), piece.size());
        at += piece.size();
    }
}
void scatter(Bytes block, MutableBytes first, DataCursor& target) {
    std::memcpy(first.data(), block.data(), first.size());
    for (size_t at = first.size(); at < block.size();) {
        const MutableBytes piece = target.next(block.size() - at);
        std::memcpy(piece.data(), block.data() + at, piece.size());
        at += piece.size();
    }
}

}  // namespace

void BlockCipher::Free::operator()(EVP_CIPHER_CTX* context) const { EVP_CIPHER_CTX_free(context); }

BlockCipher::BlockCipher(CryptoKeyRef key, uint32_t block_bytes)
    : PreparedKey(std::move(key), block_bytes),
      unit_bytes_(tweak_unit_bytes(this->key().tweak_mode(), block_bytes)),
      tweak_mode_(this->key().tweak_mode()) {
    WEFT_ASSERT(unit_bytes_ % 16 == 0 && block_bytes % unit_bytes_ == 0);
}

BlockCipher::~BlockCipher() = default;

Result<std::unique_ptr<BlockCipher>> BlockCipher::create(CryptoKeyRef key, uint32_t block_bytes) {
    std::unique_ptr<BlockCipher> made(new BlockCipher(std::move(key), block_bytes));
    WEFT_TRY(made->open());
    return made;
}

Result<void> BlockCipher::open() {
    // OpenSSL takes both keys of XTS as one, the data's first.
    const Bytes first = key().key();
    const Bytes second = key().key2();
    Secret both(first.size() + second.size());
    std::memcpy(both.mutable_bytes().data(), first.data(), first.size());
    if (!second.empty()) std::memcpy(both.mutable_bytes().data() + first.size(), second.data(), second.size());

    EVP_CIPHER* const cipher = EVP_CIPHER_fetch(nullptr, library_name(key()), nullptr);
    if (cipher == nullptr) return fail(Errc::io_error, "OpenSSL has no such cipher");
    const auto make = [&](int encrypts) {
        Context context(EVP_CIPHER_CTX_new());
        if (context != nullptr &&
            EVP_CipherInit_ex2(context.get(), cipher, raw(both.bytes().data()), nullptr, encrypts, nullptr) != 1) {
            context.reset();
        }
        // With XTS it means nothing, but would be set again with each tweak.
        if (context != nullptr && key().cipher() == Cipher::aes_cbc) EVP_CIPHER_CTX_set_padding(context.get(), 0);
        return context;
    };
    encrypting_ = make(1);
    decrypting_ = make(0);
    EVP_CIPHER_free(cipher);
    if (encrypting_ == nullptr || decrypting_ == nullptr) {
        return fail(Errc::io_error, "OpenSSL does not take this key");
    }
    return {};
}

bool BlockCipher::run_block(EVP_CIPHER_CTX* context, bool encrypts, uint64_t lba, std::byte* to,
                            const std::byte* from) const {
    const uint32_t units = block_bytes() / unit_bytes_;
    const auto unit_bytes = static_cast<int>(unit_bytes_);
    for (uint32_t at = 0; at < units; ++at) {
        const Tweak tweak = tweak_of(tweak_mode_, lba * units + at);
        int made = 0;
        // The key stays; only the tweak is set.
        if (EVP_CipherInit_ex2(context, nullptr, nullptr, raw(tweak.data()), encrypts ? 1 : 0, nullptr) != 1 ||
            EVP_CipherUpdate(context, raw(to), &made, raw(from), unit_bytes) != 1 || made != unit_bytes) {
            return false;
        }
        to += unit_bytes_;
        from += unit_bytes_;
    }
    return true;
}

Status BlockCipher::run(bool encrypts, uint64_t lba, std::span<const iovec> to, std::span<const iovec> from,
                        MutableBytes block) {
    EVP_CIPHER_CTX* const context = encrypts ? encrypting_.get() : decrypting_.get();
    const size_t bytes = block_bytes();
    const MutableBytes room = block.first(bytes);
    DataCursor source(from);
    DataCursor target(to);
    for (uint64_t left = bytes_in(from) / bytes; left > 0; --left, ++lba) {
        const MutableBytes here = source.next(bytes);
        const std::byte* input = here.data();
        if (here.size() < bytes) {
            gather(room, here, source);
            input = room.data();
        }
        const MutableBytes there = target.next(bytes);
        std::byte* const output = there.size() < bytes ? room.data() : there.data();
        if (!run_block(context, encrypts, lba, output, input)) return Status::failed;
        if (there.size() < bytes) scatter(room, there, target);
    }
    return Status::success;
}

}  // namespace weft::accel
