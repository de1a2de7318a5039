#include "nvme/tls/psk.h"

#include <gtest/gtest.h>

#include "base/hex.h"

namespace weft::nvme::tls {
namespace {

// The configured PSKs of libnvme's tests (test/psk.c), and what nvme-cli made of them.
constexpr std::string_view text_32 = "NVMeTLSkey-1:01:VRLbtnN9AQb2WXW3c9+wEf/DRLz0QuLdbYvEhwtdWwNf9LrZ:";
constexpr std::string_view text_48 =
    "NVMeTLSkey-1:02:VRLbtnN9AQb2WXW3c9+wEf/DRLz0QuLdbYvEhwtdWwP/w0S89ELi3W2LxIcLXVsDn8kXZQ==:";
constexpr std::string_view host = "nqn.psk-test-host";
constexpr std::string_view subsystem = "nqn.psk-test-subsys";

std::string hex(const Psk& psk) {
    return to_hex({reinterpret_cast<const uint8_t*>(psk.bytes().data()), psk.bytes().size()});
}

TEST(PskInterchange, IsReadAndWritten) {
    const auto psk = parse_interchange(text_32);
    ASSERT_TRUE(psk);
    EXPECT_EQ(psk->hash, PskHash::sha256);
    EXPECT_EQ(hex(psk->key), "5512dbb6737d0106f65975b773dfb011ffc344bcf442e2dd6d8bc4870b5d5b03");
    EXPECT_EQ(to_interchange(*psk), text_32);
    const auto longer = parse_interchange(text_48);
    ASSERT_TRUE(longer);
    EXPECT_EQ(longer->hash, PskHash::sha384);
    EXPECT_EQ(longer->key.size(), 48U);
    EXPECT_EQ(to_interchange(*longer), text_48);
    const auto plain = parse_interchange("NVMeTLSkey-1:00:VRLbtnN9AQb2WXW3c9+wEf/DRLz0QuLdbYvEhwtdWwNf9LrZ:");
    ASSERT_TRUE(plain);
    EXPECT_EQ(plain->hash, PskHash::none);
}

TEST(PskInterchange, ThatIsDamagedIsRefusedAndNotRepeated) {
    const auto refuses = [](const std::string& text, std::string_view why) {
        const auto psk = parse_interchange(text);
        ASSERT_FALSE(psk) << text;
        EXPECT_NE(psk.error().message.find(why), std::string::npos) << psk.error().message;
        EXPECT_EQ(psk.error().message.find("VRLb"), std::string::npos) << "a key in a message";
    };
    refuses("", "begin");
    refuses("DHHC-1:01:VRLbtnN9AQb2WXW3c9+wEf/DRLz0QuLdbYvEhwtdWwNf9LrZ:", "begin");
    refuses("NVMeTLSkey-1:", "colon");
    refuses("NVMeTLSkey-1:01:", "colon");
    refuses("NVMeTLSkey-1:01::", "base64");
    refuses("NVMeTLSkey-1:01:VRLbtnN9AQb2WXW3c9+wEf/DRLz0QuLdbYvEhwtdWwNf9LrZ", "colon");
    refuses("NVMeTLSkey-1:03:VRLbtnN9AQb2WXW3c9+wEf/DRLz0QuLdbYvEhwtdWwNf9LrZ:", "hash");
    refuses("NVMeTLSkey-1:01:VRLbtnN9AQb2WXW3c9+wEf/DRLz0QuLdbYvEhwtdWwNf9LrA:", "check sum");
    refuses("NVMeTLSkey-1:01:VRLbtnN9AQb2WXW3c9+wEf/DRLz0QuLdbYvEhwtdWwNf9Lr:", "base64");
    refuses("NVMeTLSkey-1:01:VRLbtnN9AQb2WXW3c9 wEf/DRLz0QuLdbYvEhwtdWwNf9LrZ:", "base64");
    refuses("NVMeTLSkey-1:01:VRLbtnN9AQb2WXU=:", "32 nor 48");
    refuses("NVMeTLSkey-1:02:VRLbtnN9AQb2WXW3c9+wEf/DRLz0QuLdbYvEhwtdWwP/w0S89ELi3W2LxIcLXVsDn8kXZR==:", "base64");
    refuses(std::string(text_48) + std::string(100, 'A') + ":", "long");
    for (size_t at = 16; at + 1 < text_32.size(); ++at) {
        std::string text(text_32);
        text[at] = text[at] == 'A' ? 'B' : 'A';
        EXPECT_FALSE(parse_interchange(text)) << at;
    }
}

TEST(PskIdentity, HasTheTextOfNvmeCli) {
    const auto identity = [](std::string_view text, Derivation derivation) {
        return make_tls_psk(*parse_interchange(text), host, subsystem, 1, derivation)->identity.text();
    };
    EXPECT_EQ(identity(text_32, Derivation::standard),
              "NVMe1R01 nqn.psk-test-host nqn.psk-test-subsys iSbjiStwJ/1TrTvDlt2fjFmzvsytOJelidNnA+X5lEU=");
    EXPECT_EQ(identity(text_48, Derivation::standard),
              "NVMe1R02 nqn.psk-test-host nqn.psk-test-subsys "
              "QhW2+Rp6RzHlNtCslyRxMnwJ11tKKhz8JCAQpQ+XUD8f9td1VeH5h53yz2wKJG1a");
    EXPECT_EQ(identity(text_32, Derivation::libnvme_before_1_16),
              "NVMe1R01 nqn.psk-test-host nqn.psk-test-subsys 66GuqV08TsAGII39teWUfwQwizjv06Jy8jOcX3NAAzM=");
    EXPECT_EQ(identity(text_48, Derivation::libnvme_before_1_16),
              "NVMe1R02 nqn.psk-test-host nqn.psk-test-subsys "
              "RsKmYJ3nAn1ApjjMloJFbAkLPivONDAX/xW327YBUsn2eGShXSjCZvBaOxscLqmz");
    EXPECT_EQ(make_tls_psk(*parse_interchange(text_48), host, subsystem, 0)->identity.text(),
              "NVMe0R02 nqn.psk-test-host nqn.psk-test-subsys");
}

// The vectors of Linux (drivers/nvme/common/tests/auth_kunit.c).
TEST(GeneratedPsk, IsThatOfLinux) {
    std::array<std::byte, 64> session_key;
    std::array<std::byte, 64> c1;
    std::array<std::byte, 64> c2;
    for (size_t at = 0; at < 64; ++at) {
        session_key[at] = static_cast<std::byte>('A' + at);
        c1[at] = static_cast<std::byte>(at);
        c2[at] = static_cast<std::byte>(0xFF - at);
    }
    const auto check = [&](PskHash hash, std::string_view psk, std::string_view digest, std::string_view key) {
        const size_t size = size_of(hash);
        const Psk generated =
            generated_psk(hash, Bytes(session_key).first(size), Bytes(c1).first(size), Bytes(c2).first(size));
        EXPECT_EQ(hex(generated), psk);
        const TlsPsk made = make_generated_tls_psk(hash, generated, "hostnqn", "subsysnqn");
        EXPECT_EQ(made.identity.digest, digest);
        EXPECT_EQ(hex(made.key), key);
    };
    check(PskHash::sha256, "1733c59fa7f48fcf37f5f26fc4ff0268ad4f78e030f4f3b0bfd1d47e7bb1447a",
          "OldoKuTfKddMuyCznAZojkWD7P4D9/AtzDzLimtOxqI=",
          "3c17da628474a04d2247c4cab47968c915388193f7c071bd9489cc3666cd7cc8");
    check(PskHash::sha384,
          "f14b2dd3234c459694d3bc63f8968bd6b37c2c6de849e22e118749001ce4bbe8640b9e3a748cb11ce4b1d71d359cce39",
          "cffMWk8TSS7HOQebjgYEIkrPrjWPV4JE5cdPB8WhEvY4JBW5YynKyv66XscN4A9n",
          "2774753233537b3fa50eb7d16a8e43457d85f4906c005b2236616c5d80939d0898fff15bb8b77119d2be0aac423e7590");
}

TEST(PskIdentity, IsReadBack) {
    const ConfiguredPsk configured = *parse_interchange(text_32);
    constexpr std::string_view hostnqn = "nqn.2014-08.org.nvmexpress:uuid:f81d4fae-7dec-11d0-a765-00a0c91e6bf6";
    constexpr std::string_view subnqn = "nqn.2026-01.io.weft:a";
    for (const uint8_t version : {uint8_t{0}, uint8_t{1}}) {
        const auto made = make_tls_psk(configured, hostnqn, subnqn, version);
        ASSERT_TRUE(made);
        const auto read = parse_identity(made->identity.text());
        ASSERT_TRUE(read);
        EXPECT_EQ(*read, made->identity);
    }
    const TlsPsk generated = make_generated_tls_psk(PskHash::sha384, Psk(size_t{48}), hostnqn, subnqn);
    EXPECT_TRUE(parse_identity(generated.identity.text())->is_generated);
}

TEST(PskIdentity, ThatIsNoneIsRefused) {
    constexpr std::string_view good = "NVMe0R01 nqn.2026-01.io.weft:h nqn.2026-01.io.weft:a";
    ASSERT_TRUE(parse_identity(good));
    for (size_t size = 0; size + 1 < good.size(); ++size) {
        if (const auto part = parse_identity(good.substr(0, size))) {
            EXPECT_EQ(part->text(), good.substr(0, size));  // a shorter NQN is one, too
        }
    }
    for (const std::string_view text : {
             "NVMe2R01 nqn.2026-01.io.weft:h nqn.2026-01.io.weft:a",
             "NVMe0X01 nqn.2026-01.io.weft:h nqn.2026-01.io.weft:a",
             "NVMe0R00 nqn.2026-01.io.weft:h nqn.2026-01.io.weft:a",
             "NVMe0R03 nqn.2026-01.io.weft:h nqn.2026-01.io.weft:a",
             "NVMe0R01  nqn.2026-01.io.weft:h nqn.2026-01.io.weft:a",
             "NVMe0R01 nqn.2026-01.io.weft:h  nqn.2026-01.io.weft:a",
             "NVMe0R01 nqn.2026-01.io.weft:h nqn.2026-01.io.weft:a ",
             "NVMe0R01 nqn.2026-01.io.weft:h nqn.2026-01.io.weft:a b",
             "NVMe0R01 host nqn.2026-01.io.weft:a",
             "NVMe0R01nqn.2026-01.io.weft:h nqn.2026-01.io.weft:a",
             "NVMe1R01 nqn.2026-01.io.weft:h nqn.2026-01.io.weft:a",
             "NVMe1R01 nqn.2026-01.io.weft:h nqn.2026-01.io.weft:a AAAA",
             "NVMe1R02 nqn.2026-01.io.weft:h nqn.2026-01.io.weft:a iSbjiStwJ/1TrTvDlt2fjFmzvsytOJelidNnA+X5lEU=",
         }) {
        EXPECT_FALSE(parse_identity(text)) << text;
    }
    EXPECT_FALSE(parse_identity(std::string(identity_bytes_max + 1, 'a')));
}

TEST(TlsPsk, IsFoundByWhatTheHostSays) {
    const ConfiguredPsk configured = *parse_interchange(text_48);
    constexpr std::string_view hostnqn = "nqn.2026-01.io.weft:h";
    constexpr std::string_view subnqn = "nqn.2026-01.io.weft:a";
    for (const Derivation derivation : derivations) {
        // Version 1 says by its digest how it was derived, version 0 does not.
        const auto first = make_tls_psk(configured, hostnqn, subnqn, 1, derivation);
        const auto found = tls_psks_for(first->identity, configured);
        ASSERT_EQ(found.size(), 1U);
        EXPECT_EQ(found[0].key, first->key);
        const auto zeroth = make_tls_psk(configured, hostnqn, subnqn, 0, derivation);
        const auto both = tls_psks_for(zeroth->identity, configured);
        ASSERT_EQ(both.size(), 2U);
        EXPECT_EQ(both[static_cast<size_t>(derivation)].key, zeroth->key);
        EXPECT_FALSE(both[0].key == both[1].key);
    }
    auto other = make_tls_psk(configured, hostnqn, subnqn, 1)->identity;
    other.digest[0] = other.digest[0] == 'A' ? 'B' : 'A';
    EXPECT_TRUE(tls_psks_for(other, configured).empty());
    other.is_generated = true;
    EXPECT_TRUE(tls_psks_for(other, configured).empty());
}

TEST(TlsPsk, OfNamesTooLongForVersionZeroNeedsVersionOne) {
    const ConfiguredPsk configured = *parse_interchange(text_32);
    const std::string hostnqn = "nqn.2026-01.io.weft:" + std::string(150, 'h');
    const std::string subnqn = "nqn.2026-01.io.weft:" + std::string(150, 's');
    EXPECT_FALSE(make_tls_psk(configured, hostnqn, subnqn, 0));
    EXPECT_TRUE(make_tls_psk(configured, hostnqn, subnqn, 1));
}

}  // namespace
}  // namespace weft::nvme::tls
