// Ciphers with known answers, tweaks, and keys that are refused.
#include <openssl/evp.h>

#include "accel/crypto/tweak.h"
#include "accel/test_bench.h"

namespace weft::accel {
namespace {

using CryptoTest = AccelTest;

// 00 01 … FF, twice.
Memory rising() {
    Memory data(512);
    for (size_t at = 0; at < data.size(); ++at) data[at] = static_cast<std::byte>(at);
    return data;
}

struct Vector {
    std::string_view key, key2;
    uint64_t unit;
    std::string_view ciphertext;  // of rising()
};
// IEEE 1619-2018, annex B: vectors 4 (AES-128) and 10 (AES-256). Their data unit's number is the tweak's first word.
constexpr Vector vectors[] = {
    {"27182818284590452353602874713526", "31415926535897932384626433832795", 0,
     "27a7479befa1d476489f308cd4cfa6e2a96e4bbe3208ff25287dd3819616e89cc78cf7f5e543445f8333d8fa7f56000005279fa5d8b5e4ad"
     "40e736ddb4d35412328063fd2aab53e5ea1e0a9f332500a5df9487d07a5c92cc512c8866c7e860ce93fdf166a24912b422976146ae20ce84"
     "6bb7dc9ba94a767aaef20c0d61ad02655ea92dc4c4e41a8952c651d33174be51a10c421110e6d81588ede82103a252d8a750e8768defffed"
     "9122810aaeb99f9172af82b604dc4b8e51bcb08235a6f4341332e4ca60482a4ba1a03b3e65008fc5da76b70bf1690db4eae29c5f1badd03c"
     "5ccf2a55d705ddcd86d449511ceb7ec30bf12b1fa35b913f9f747a8afd1b130e94bff94effd01a91735ca1726acd0b197c4e5b03393697e1"
     "26826fb6bbde8ecc1e08298516e2c9ed03ff3c1b7860f6de76d4cecd94c8119855ef5297ca67e9f3e7ff72b1e99785ca0a7e7720c5b36dc6"
     "d72cac9574c8cbbc2f801e23e56fd344b07f22154beba0f08ce8891e643ed995c94d9a69c9f1b5f499027a78572aeebd74d20cc39881c213"
     "ee770b1010e4bea718846977ae119f7a023ab58cca0ad752afe656bb3c17256a9f6e9bf19fdd5a38fc82bbe872c5539edb609ef4f79c203e"
     "bb140f2e583cb2ad15b4aa5b655016a8449277dbd477ef2c8d6c017db738b18deb4a427d1923ce3ff262735779a418f20a282df920147bea"
     "be421ee5319d0568"},
    {"2718281828459045235360287471352662497757247093699959574966967627",
     "3141592653589793238462643383279502884197169399375105820974944592", 0xFF,
     "1c3b3a102f770386e4836c99e370cf9bea00803f5e482357a4ae12d414a3e63b5d31e276f8fe4a8d66b317f9ac683f44680a86ac35adfc33"
     "45befecb4bb188fd5776926c49a3095eb108fd1098baec70aaa66999a72a82f27d848b21d4a741b0c5cd4d5fff9dac89aeba122961d03a75"
     "7123e9870f8acf1000020887891429ca2a3e7a7d7df7b10355165c8b9a6d0a7de8b062c4500dc4cd120c0f7418dae3d0b5781c34803fa754"
     "21c790dfe1de1834f280d7667b327f6c8cd7557e12ac3a0f93ec05c52e0493ef31a12d3d9260f79a289d6a379bc70c50841473d1a8cc81ec"
     "583e9645e07b8d9670655ba5bbcfecc6dc3966380ad8fecb17b6ba02469a020a84e18e8f84252070c13e9f1f289be54fbc481457778f6160"
     "15e1327a02b140f1505eb309326d68378f8374595c849d84f4c333ec4423885143cb47bd71c5edae9be69a2ffeceb1bec9de244fbe15992b"
     "11b77c040f12bd8f6a975a44a0f90c29a9abc3d4d893927284c58754cce294529f8614dcd2aba991925fedc4ae74ffac6e333b93eb4aff04"
     "79da9a410e4450e0dd7ae4c6e2910900575da401fc07059f645e8b7e9bfdef33943054ff84011493c27b3429eaedb4ed5376441a77ed4385"
     "1ad77f16f541dfd269d50d6a5f14fb0aab1cbb4c1550be97f7ab4066193c4caa773dad38014bd2092fa755c824bb5e54c4f36ffda9fcea70"
     "b9c6e693e148c151"}};

TEST_F(CryptoTest, AesXtsHasTheKnownAnswers) {
    for (const Vector& vector : vectors) {
        PreparedKey& key = prepared(std::string(vector.key), Cipher::aes_xts, TweakMode::incr_512_upper_lba,
                                    of_hex(vector.key), of_hex(vector.key2), 512);
        for (int round = 0; round < 50; ++round) {
            const Scattered from(rising(), random_);
            const Scattered to(512, random_);
            ASSERT_EQ(run(cipher(Op::encrypt, key, vector.unit, to.pieces(), from.pieces())), Status::success);
            ASSERT_EQ(hex_of(to.content()), vector.ciphertext);
            ASSERT_EQ(from.content(), rising()) << "the source is as it was";
            ASSERT_EQ(run(cipher(Op::decrypt, key, vector.unit, to.pieces(), to.pieces())), Status::success)
                << "in place";
            ASSERT_EQ(to.content(), rising());
        }
    }
}

// The library in one go for each unit, with the tweak that is written down.
Memory by_hand(const char* library_name, Bytes keys, uint32_t unit_bytes, Bytes data,
               const std::function<std::array<uint64_t, 2>(uint64_t)>& words) {
    Memory out(data.size());
    EVP_CIPHER* const cipher = EVP_CIPHER_fetch(nullptr, library_name, nullptr);
    for (uint64_t unit = 0; unit < data.size() / unit_bytes; ++unit) {
        EVP_CIPHER_CTX* const context = EVP_CIPHER_CTX_new();
        const auto tweak = words(unit);
        int made = 0;
        EVP_EncryptInit_ex2(context, cipher, reinterpret_cast<const unsigned char*>(keys.data()),
                            reinterpret_cast<const unsigned char*>(tweak.data()), nullptr);
        EVP_CIPHER_CTX_set_padding(context, 0);
        EVP_EncryptUpdate(context, reinterpret_cast<unsigned char*>(out.data() + unit * unit_bytes), &made,
                          reinterpret_cast<const unsigned char*>(data.data() + unit * unit_bytes),
                          static_cast<int>(unit_bytes));
        EVP_CIPHER_CTX_free(context);
    }
    EVP_CIPHER_free(cipher);
    return out;
}

TEST_F(CryptoTest, EachTweakModeAndCipherIsWhatItSays) {
    const uint64_t lba = 0x8123456789ABCDEF;
    for (const uint32_t block_bytes : {512U, 4096U}) {
        const uint64_t units = block_bytes / 512;
        struct Case {
            TweakMode mode;
            uint32_t unit_bytes;
            std::function<std::array<uint64_t, 2>(uint64_t)> words;
        };
        const Case cases[] = {
            {TweakMode::simple_lba, block_bytes, [&](uint64_t at) { return std::array<uint64_t, 2>{0, lba + at}; }},
            {TweakMode::join_neg_lba_with_lba, block_bytes,
             [&](uint64_t at) { return std::array<uint64_t, 2>{~(lba + at) & 0x7FFFFFFFFFFFFFFF, lba + at}; }},
            {TweakMode::incr_512_full_lba, 512,
             [&](uint64_t at) { return std::array<uint64_t, 2>{0, lba * units + at}; }},
            {TweakMode::incr_512_upper_lba, 512,
             [&](uint64_t at) { return std::array<uint64_t, 2>{lba * units + at, 0}; }}};
        for (const Case& one : cases) {
            for (const size_t key_bytes : {size_t{16}, size_t{32}}) {
                for (const Cipher kind : {Cipher::aes_xts, Cipher::aes_cbc}) {
                    const bool is_xts = kind == Cipher::aes_xts;
                    const Memory first = random_memory(key_bytes, random_);
                    const Memory second = is_xts ? random_memory(key_bytes, random_) : Memory();
                    Memory both = first;
                    both.insert(both.end(), second.begin(), second.end());
                    const std::string name = "key" + std::to_string(keys_.size());
                    PreparedKey& key = prepared(name, kind, one.mode, first, second, block_bytes);
                    const Memory data = random_memory(size_t{7} * block_bytes, random_);
                    const std::string library_name =
                        std::string("AES-") + (key_bytes == 16 ? "128-" : "256-") + (is_xts ? "XTS" : "CBC");
                    const Memory expected = by_hand(library_name.c_str(), both, one.unit_bytes, data, one.words);
                    const Scattered from(data, random_);
                    const Scattered to(data.size(), random_);
                    ASSERT_EQ(run(cipher(Op::encrypt, key, lba, to.pieces(), from.pieces())), Status::success);
                    ASSERT_EQ(to.content(), expected) << library_name << ' ' << name_of(one.mode);
                    ASSERT_EQ(from.content(), data);
                    const Scattered back(data.size(), random_);
                    ASSERT_EQ(run(cipher(Op::decrypt, key, lba, back.pieces(), to.pieces())), Status::success);
                    ASSERT_EQ(back.content(), data);
                }
            }
        }
    }
}

TEST_F(CryptoTest, OnlyWholeBlocksAreEncrypted) {
    const Memory first(16, std::byte{1});
    const Memory second(16, std::byte{2});
    PreparedKey& key = prepared("k", Cipher::aes_xts, TweakMode::simple_lba, first, second, 512);
    Memory data(1000);
    const iovec piece = piece_of(data);
    const iovec block{.iov_base = data.data(), .iov_len = 512};
    EXPECT_EQ(run(cipher(Op::encrypt, key, 0, {&piece, 1}, {&piece, 1})), Status::invalid);
    EXPECT_EQ(run(cipher(Op::encrypt, key, 0, {&piece, 1}, {&block, 1})), Status::invalid);
    EXPECT_EQ(run(cipher(Op::encrypt, key, 0, {}, {})), Status::success);
    EXPECT_TRUE(is_zero(data));
    world_.as(thread(), [&] {
        for (const uint32_t bytes : {0U, 8U, 520U, block_bytes_max + 16})
            EXPECT_FALSE(channel().prepare(*framework_.keys().find("k"), bytes));
    });
}

TEST_F(CryptoTest, KeysThatCannotBeAreRefused) {
    const auto add = [this](Cipher kind, size_t bytes, size_t bytes2, bool alike = false) {
        Memory first(bytes, std::byte{1});
        Memory second(bytes2, alike ? std::byte{1} : std::byte{2});
        const auto done = framework_.keys().add(
            framework_.module_of(Op::encrypt),
            {.name = "k", .cipher = kind, .key = Secret(Bytes(first)), .key2 = Secret(Bytes(second))});
        if (done) EXPECT_TRUE(framework_.keys().remove("k"));
        return done ? "" : done.error().message;
    };
    EXPECT_EQ(add(Cipher::aes_xts, 16, 16), "");
    EXPECT_EQ(add(Cipher::aes_xts, 32, 32), "");
    EXPECT_EQ(add(Cipher::aes_cbc, 16, 0), "");
    EXPECT_EQ(add(Cipher::aes_cbc, 32, 0), "");
    EXPECT_EQ(add(Cipher::aes_xts, 0, 16), "key: missing");
    EXPECT_EQ(add(Cipher::aes_xts, 16, 0), "key2: missing; AES_XTS needs two keys");
    EXPECT_EQ(add(Cipher::aes_xts, 16, 32), "key2: has 32 bytes, key has 16: they must be as long as each other");
    EXPECT_EQ(add(Cipher::aes_xts, 16, 16, true), "key2: the same as key, which is not secure");
    EXPECT_EQ(add(Cipher::aes_cbc, 16, 16), "key2: AES_CBC has one key only");
    EXPECT_EQ(add(Cipher::aes_xts, 15, 15), "key: module software has no AES_XTS with keys of 15 bytes");
    EXPECT_EQ(add(Cipher::aes_cbc, 24, 0), "key: module software has no AES_CBC with keys of 24 bytes");

    const auto named = [this](const std::string& name) {
        return framework_.keys().add(
            framework_.module_of(Op::encrypt),
            {.name = name, .cipher = Cipher::aes_cbc, .key = Secret(size_t{16}), .key2 = Secret()});
    };
    EXPECT_EQ(named("").error().code, Errc::invalid_argument);
    EXPECT_EQ(named(std::string(256, 'n')).error().code, Errc::invalid_argument);
    ASSERT_TRUE(named("n"));
    EXPECT_EQ(named("n").error().code, Errc::already_exists);
    EXPECT_EQ(framework_.keys().remove("m").error().code, Errc::not_found);
    {
        const CryptoKeyRef used = *framework_.keys().find("n");
        EXPECT_EQ(framework_.keys().remove("n").error().code, Errc::busy);
    }
    EXPECT_TRUE(framework_.keys().remove("n"));
}

TEST_F(CryptoTest, HexadecimalOnly) {
    EXPECT_EQ(hex_of(secret_of_hex("00fFa1")->bytes()), "00ffa1");
    EXPECT_TRUE(secret_of_hex("")->empty());
    for (const std::string& bad : {std::string("0"), std::string("0x00"), std::string("zz"), std::string(258, '0')}) {
        const auto refused = secret_of_hex(bad);
        ASSERT_FALSE(refused) << bad;
        EXPECT_EQ(refused.error().message.find(bad.substr(0, 2) + bad.substr(0, 2)), std::string::npos);
    }
}

}  // namespace
}  // namespace weft::accel
