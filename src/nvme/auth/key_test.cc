#include "nvme/auth/key.h"

#include <gtest/gtest.h>

#include <vector>

#include "base/hex.h"
#include "nvme/auth/diffie_hellman.h"

namespace weft::nvme::auth {
namespace {

std::string hex(Bytes bytes) { return to_hex(std::span(reinterpret_cast<const uint8_t*>(bytes.data()), bytes.size())); }
std::vector<std::byte> counting(size_t size, unsigned first, unsigned step = 1) {
    std::vector<std::byte> bytes(size);
    for (size_t at = 0; at < size; ++at) bytes[at] = static_cast<std::byte>(first + step * at);
    return bytes;
}
std::string why(std::string_view text) {
    const auto key = parse_key(text);
    return key ? "" : key.error().message;
}

// A key that nvme gen-dhchap-key made, as it stands in tests of the field.
constexpr std::string_view field_key = "DHHC-1:00:ia6zGodOr4SEG0Zzaw398rpY0wqipUWj4jWjUh4HWUz6aQ2n:";

TEST(AuthKeyTest, ReadsWhatTheFieldWrites) {
    const auto key = parse_key(field_key);
    ASSERT_TRUE(key) << key.error().message;
    EXPECT_EQ(key->transform, 0);
    EXPECT_EQ(hex(key->secret.bytes()), "89aeb31a874eaf84841b46736b0dfdf2ba58d30aa2a545a3e235a3521e07594c");
}

TEST(AuthKeyTest, ReadsWhatItPrints) {
    for (const auto& [transform, size] : {std::pair{0, 32}, {0, 48}, {0, 64}, {1, 32}, {2, 48}, {3, 64}}) {
        const auto secret = counting(static_cast<size_t>(size), 200);
        const Secret text = print_key(static_cast<uint8_t>(transform), secret);
        const auto key = parse_key(text.text());
        ASSERT_TRUE(key) << text.text() << ": " << key.error().message;
        EXPECT_EQ(key->transform, transform);
        EXPECT_EQ(hex(key->secret.bytes()), hex(secret));
    }
}

TEST(AuthKeyTest, RefusesEverythingElseWithoutRepeatingIt) {
    const std::string good(field_key);
    EXPECT_NE(why("").find("begin with"), std::string::npos);
    EXPECT_NE(why("DHHC-2:00:x:").find("begin with"), std::string::npos);
    EXPECT_NE(why("DHHC-1:").find("two digits"), std::string::npos);
    EXPECT_NE(why("DHHC-1:04:x:").find("two digits"), std::string::npos);
    EXPECT_NE(why("DHHC-1:0x:x:").find("two digits"), std::string::npos);
    EXPECT_NE(why(good.substr(0, good.size() - 1)).find("end with a colon"), std::string::npos);
    EXPECT_NE(why("DHHC-1:00::").find("base64"), std::string::npos);
    EXPECT_NE(why("DHHC-1:00:abc:").find("base64"), std::string::npos);
    EXPECT_NE(why("DHHC-1:00:ab c:").find("base64"), std::string::npos);
    EXPECT_NE(why("DHHC-1:00:ab=c:").find("base64"), std::string::npos);
    EXPECT_NE(why("DHHC-1:00:abc=:").find("base64"), std::string::npos);  // bits behind its end
    EXPECT_NE(why("DHHC-1:00:AAAA:").find("too short"), std::string::npos);
    EXPECT_NE(why("DHHC-1:00:AAAAAAAAAAAA:").find("32, 48 or 64"), std::string::npos);
    EXPECT_NE(why("DHHC-1:00:" + std::string(4096, 'A') + ":").find("too long"), std::string::npos);
    EXPECT_NE(why("DHHC-1:02:" + good.substr(10)).find("that of its hash"), std::string::npos);
    for (size_t at = 10; at + 1 < good.size(); ++at) {
        std::string bad = good;
        bad[at] = bad[at] == 'A' ? 'B' : 'A';
        EXPECT_NE(why(bad), "") << bad;
        EXPECT_EQ(why(bad).find(bad.substr(10, 12)), std::string::npos);
    }
}

TEST(AuthKeyTest, ComparesWhole) {
    const auto bytes = counting(32, 0);
    auto other = bytes;
    EXPECT_TRUE(is_same(bytes, other));
    EXPECT_FALSE(is_same(bytes, Bytes(other).first(31)));
    for (std::byte& byte : other) {
        byte ^= std::byte{1};
        EXPECT_FALSE(is_same(bytes, other));
        byte ^= std::byte{1};
    }
}

struct Known {
    Hash hash;
    Group group;
    std::string_view fingerprint;  // SHA-256 of both responses, one behind the other
};
// Computed with another implementation: Python's hmac, hashlib and pow(), and the primes by RFC 7919's formula.
constexpr Known all_known[] = {
    {Hash::sha256, Group::null, "6ea2676ff607319c262eb703c97104ae4355305a6aaa719bbdb974878823c0ae"},
    {Hash::sha256, Group::ffdhe2048, "047d64cd05dcb68c84eaf725b15f80eb4c91acc11046f651d785d3d26cfdbb4c"},
    {Hash::sha256, Group::ffdhe3072, "694b291df256c87f83c2e8efa1c422f9feb4b4608944e16724b4a64a5c35c047"},
    {Hash::sha256, Group::ffdhe4096, "2cd6cf32b693b0be96b6718b3dc3c7979805599462c6bbf3016f28f15231186d"},
    {Hash::sha256, Group::ffdhe6144, "de43d09e5193f7a899c80f12bac464364a5588e0efd06e8d86e3011bf101262d"},
    {Hash::sha256, Group::ffdhe8192, "1d1ea7fa8fd5d882fbfd529b0f4fb60aea25c3cf7f221bf29737938112904084"},
    {Hash::sha384, Group::null, "d3f79f99eac2cb158b52de8f2755a0ff5bd13dad80b5d49104c2757845457e1e"},
    {Hash::sha384, Group::ffdhe2048, "b00061f8074ee37391b0d28cb9d5721288d6f2a4a8bc186b9381ea3fe3ab98fb"},
    {Hash::sha384, Group::ffdhe3072, "91708cbd0cea82dd70fc49dcda9812e27beb7221c0947f2bb8a24f50a26cdf40"},
    {Hash::sha384, Group::ffdhe4096, "b331ac2f783f3b85b1957ecc258aa46f113c9b0a1d6cb3315a826ea75d8e7e01"},
    {Hash::sha384, Group::ffdhe6144, "c1dd56c8bab1a5f7181b3cb59c482426184d4cb28ca9d89c3c27e22dd8741921"},
    {Hash::sha384, Group::ffdhe8192, "7a08d98b7f7e6242a8c29a33c0f8d949d5e4d11be58c725b0904f1a4e9ab7b30"},
    {Hash::sha512, Group::null, "921c2b8d8a80c9d34ff0b3ada751829ff20558994f93484d85be073a92c9eb20"},
    {Hash::sha512, Group::ffdhe2048, "26a45746fc00fd4c1925109cb84fb4903dc17f43c222c1cffbfa9ac166429df1"},
    {Hash::sha512, Group::ffdhe3072, "188898c16d9b4a868cc6dabb7e1db5ed51552bd28320a211cbf6e686604e1c47"},
    {Hash::sha512, Group::ffdhe4096, "2797d9ca47970ed3191d31bd2f326c98de66dbdeac892d3cfa03a03c4153c4e6"},
    {Hash::sha512, Group::ffdhe6144, "49af904608fc7f2c4e90f91bb5cf9aa5e12499d05a8e2a9822a4e67ae7b55c8e"},
    {Hash::sha512, Group::ffdhe8192, "da8f282e9710fe2125a82ad65ad66ab1c6aa09b0e9731e0c132520836acf25ab"},
};

// The host's secret is transformed with the hash in use, but for the NULL group.
TEST(AuthResponseTest, IsWhatOthersCompute) {
    for (const Known& known : all_known) {
        SCOPED_TRACE(std::string(name_of(known.hash)) + " " + std::string(name_of(known.group)));
        const bool has_group = known.group != Group::null;
        const size_t exponent_size = exponent_size_of(known.group);
        const KeyPair controller = make_key_pair(known.group, Secret(counting(exponent_size, 0x10)));
        const KeyPair host = make_key_pair(known.group, Secret(counting(exponent_size, 0x90)));
        const auto shared = shared_secret(controller, host.public_value);
        const auto same = shared_secret(host, controller.public_value);
        ASSERT_TRUE(shared && same);
        EXPECT_EQ(shared->text(), same->text());
        EXPECT_EQ(shared->size(), size_of(known.group));

        const uint8_t transform = has_group ? static_cast<uint8_t>(known.hash) : 0;
        const Key host_key{transform, Secret(counting(has_group ? size_of(known.hash) : 32, 1, 3))};
        const Key controller_key{2, Secret(counting(48, 7, 3))};
        const std::string_view hostnqn = "nqn.2016-06.io.spdk:host1";
        const std::string_view subnqn = "nqn.2016-06.io.spdk:cnode1";
        const auto challenge1 = counting(size_of(known.hash), 0xA0);
        const auto challenge2 = counting(size_of(known.hash), 0x30);
        const Digest response1 = respond(host_key, {.role = Role::host,
                                                    .own_nqn = hostnqn,
                                                    .other_nqn = subnqn,
                                                    .hash = known.hash,
                                                    .challenge = challenge1,
                                                    .sequence = 0x01020304,
                                                    .transaction = 0xBEEF,
                                                    .shared_secret = shared->bytes()});
        const Digest response2 = respond(controller_key, {.role = Role::controller,
                                                          .own_nqn = subnqn,
                                                          .other_nqn = hostnqn,
                                                          .hash = known.hash,
                                                          .challenge = challenge2,
                                                          .sequence = 0x0A0B0C0D,
                                                          .transaction = 0xBEEF,
                                                          .shared_secret = shared->bytes()});
        const std::string both = std::string(text_of(response1.view())) + std::string(text_of(response2.view()));
        EXPECT_EQ(hex(digest(Hash::sha256, bytes_of(std::string_view(both))).view()), known.fingerprint);
    }
}

// Computed from the specification in Python, of bytes that count: a secret of 256 from 3 by sevens, C1 from A0h and C2
// from 30h by threes.
//   ks = H(secret); psk = hmac(ks, c1 + c2)
//   digest = base64(hmac(psk, host + " " + subsystem + " NVMe-over-Fabrics")); identity "NVMe1G<hash> … <digest>"
//   hkdf_expand_label(hmac(zeroes, psk), "tls13 nvme-tls-psk", "<hash> <digest>")
//   response = hmac(00 01 … 1f, hmac(ks, c1) + le32(5) + le16(7) + SC_C + "HostHost" + host + 0 + subsystem)
TEST(GeneratePskTest, IsWhatOthersCompute) {
    const auto secret = counting(256, 3, 7);
    const std::string_view hostnqn = "nqn.2016-06.io.spdk:host1";
    const std::string_view subnqn = "nqn.2016-06.io.spdk:cnode1";
    struct Expected {
        Hash hash;
        std::string_view psk, identity, key, response;
    };
    constexpr Expected all[] = {
        {Hash::sha256, "c0ccfa1bd75c6ccddf138eabd1015d781d32b12cf496bfb9af92a0aa68e2b121",
         "NVMe1G01 nqn.2016-06.io.spdk:host1 nqn.2016-06.io.spdk:cnode1 9DQAgIuTaoz427l885gqPBbm+g0WnfLjUU7u9rGwjSk=",
         "b4580b1dbc483d7323e7f74a28e6574c1352a6248d35bf7539723a0d11c3d2c2",
         "f51c8feb86af6b57265fba186d5b0f6badf2eb105e59aaca0fb40156f612349f"},
        {Hash::sha384,
         "3db742373feeb9dc30170bc66a921b62cfcbddcca3b57ad83a08cffdbe6e5ad9b0973330b4de509fe2e9b9204e8d7edd",
         "NVMe1G02 nqn.2016-06.io.spdk:host1 nqn.2016-06.io.spdk:cnode1 "
         "NcW6iB0+wPjEIc+15aisPHbIZArEDC/KDRkoRdvp0dVRwwxX2jF7dQGoP7joHes0",
         "0be9d9b3187f70820aa1b5230e854906b5462af556003502ec66d1420ae69df8597b985e4687325e38a663a52dede4e7",
         "d13cf50f04a05cdd67bc69d8b4d1e11ac1e0bbdfdf3659647e193babe2ac8c5dc94d3ec1005b52cc327165780c068893"},
    };
    for (const Expected& expected : all) {
        const auto c1 = counting(size_of(expected.hash), 0xA0, 3);
        const auto c2 = counting(size_of(expected.hash), 0x30, 3);
        const tls::Psk psk = generate_psk(expected.hash, secret, c1, c2);
        EXPECT_EQ(hex(psk.bytes()), expected.psk);
        const auto made = tls::make_generated_tls_psk(static_cast<tls::PskHash>(expected.hash), psk, hostnqn, subnqn);
        EXPECT_EQ(made.identity.text(), expected.identity);
        EXPECT_EQ(hex(made.key.bytes()), expected.key);
        const Digest response = respond(Key{0, Secret(counting(32, 0))}, {.role = Role::host,
                                                                          .own_nqn = hostnqn,
                                                                          .other_nqn = subnqn,
                                                                          .hash = expected.hash,
                                                                          .challenge = c1,
                                                                          .sequence = 5,
                                                                          .transaction = 7,
                                                                          .secure_channel = SecureChannel::new_psk,
                                                                          .shared_secret = secret});
        EXPECT_EQ(hex(response.view()), expected.response);
    }
}

TEST(DiffieHellmanTest, RefusesValuesThatTellTheSecret) {
    const KeyPair own = make_key_pair(Group::ffdhe2048, Secret(counting(32, 9)));
    std::vector<std::byte> value(256);
    EXPECT_FALSE(shared_secret(own, value));  // 0
    value.back() = std::byte{1};
    EXPECT_FALSE(shared_secret(own, value));
    value.back() = std::byte{2};
    EXPECT_TRUE(shared_secret(own, value));
    // RFC 7919, A.1: p ends and begins with 64 ones, so 2^2048 - 1 is above it.
    EXPECT_FALSE(shared_secret(own, std::vector<std::byte>(256, std::byte{0xFF})));
    EXPECT_FALSE(shared_secret(own, {}));
}

}  // namespace
}  // namespace weft::nvme::auth
