#include "nvmf/secure/generated_psks.h"

#include <gtest/gtest.h>

#include "base/endian.h"

namespace weft::nvmf {
namespace {

constexpr env::TimeNs s = env::ns_per_s;

nvme::tls::TlsPsk psk(uint8_t seed, std::string_view host = "nqn.2026-01.io.weft:h",
                      std::string_view subsystem = "nqn.2026-01.io.weft:a") {
    std::array<std::byte, 32> bytes{};
    bytes.fill(static_cast<std::byte>(seed));
    return nvme::tls::make_generated_tls_psk(nvme::tls::PskHash::sha256, nvme::tls::Psk(bytes), host, subsystem);
}

TEST(GeneratedPsks, AreFoundByTheirWholeIdentity) {
    GeneratedPsks psks;
    const auto one = psk(1);
    const uint64_t number = psks.add(one, 0);
    const auto found = psks.find(one.identity, 0);
    ASSERT_TRUE(found);
    EXPECT_EQ(found->number, number);
    EXPECT_EQ(found->key, one.key);
    EXPECT_FALSE(psks.find(psk(2).identity, 0));
    auto other = one.identity;
    other.hostnqn += "x";
    EXPECT_FALSE(psks.find(other, 0));
    other = one.identity;
    other.is_generated = false;
    EXPECT_FALSE(psks.find(other, 0));
}

TEST(GeneratedPsks, AnUnusedOneEnds) {
    GeneratedPsks psks;
    const auto one = psk(1);
    const uint64_t number = psks.add(one, 10 * s);
    const env::TimeNs end = 10 * s + GeneratedPsks::idle_ns;
    EXPECT_EQ(psks.expire(10 * s), end);
    EXPECT_TRUE(psks.find(one.identity, end - 1));
    EXPECT_FALSE(psks.find(one.identity, end));  // also before it is wiped
    EXPECT_FALSE(psks.acquire(number, end));
    EXPECT_EQ(psks.size(), 1U);
    EXPECT_EQ(psks.expire(end), env::time_never);
    EXPECT_EQ(psks.size(), 0U);
}

TEST(GeneratedPsks, OneInUseStaysAndItsTimeBeginsWhenTheLastUserGoes) {
    GeneratedPsks psks;
    const auto one = psk(1);
    const uint64_t number = psks.add(one, 0);
    ASSERT_TRUE(psks.acquire(number, s));
    ASSERT_TRUE(psks.acquire(number, s));
    EXPECT_EQ(psks.expire(100'000 * s), env::time_never);
    EXPECT_TRUE(psks.find(one.identity, 100'000 * s));
    psks.release(number, 100'000 * s);
    EXPECT_EQ(psks.expire(200'000 * s), env::time_never);
    psks.release(number, 200'000 * s);
    EXPECT_EQ(psks.expire(200'000 * s), 200'000 * s + GeneratedPsks::idle_ns);
    EXPECT_TRUE(psks.find(one.identity, 200'000 * s));
}

TEST(GeneratedPsks, AnotherOneOfTheHostEndsThoseItUsedAndLeft) {
    GeneratedPsks psks;
    const uint64_t left = psks.add(psk(1), 0);
    ASSERT_TRUE(psks.acquire(left, 0));
    psks.release(left, 0);
    const uint64_t used = psks.add(psk(2), 0);
    EXPECT_FALSE(psks.find(psk(1).identity, 0));
    ASSERT_TRUE(psks.acquire(used, 0));
    psks.add(psk(3), 0);  // of another path of the host, that has not come yet
    psks.add(psk(4), 0);
    for (const uint8_t seed : {uint8_t{2}, uint8_t{3}, uint8_t{4}}) EXPECT_TRUE(psks.find(psk(seed).identity, 0));
    const auto stranger = psk(5, "nqn.2026-01.io.weft:other");
    psks.add(stranger, 0);
    EXPECT_EQ(psks.size(), 4U);
    psks.release(left, 0);  // of one that is gone: nothing
}

TEST(GeneratedPsks, AreTakenBack) {
    GeneratedPsks psks;
    const uint64_t number = psks.add(psk(1), 0);
    psks.add(psk(2), 0);
    psks.add(psk(3, "nqn.2026-01.io.weft:other"), 0);
    psks.add(psk(4, "nqn.2026-01.io.weft:h", "nqn.2026-01.io.weft:b"), 0);
    psks.revoke(number);
    EXPECT_FALSE(psks.find(psk(1).identity, 0));
    EXPECT_FALSE(psks.acquire(number, 0));
    psks.revoke_host("nqn.2026-01.io.weft:a", "nqn.2026-01.io.weft:h");
    EXPECT_EQ(psks.size(), 2U);
    psks.revoke_subsystem("nqn.2026-01.io.weft:b");
    EXPECT_EQ(psks.size(), 1U);
    psks.revoke_all();
    EXPECT_EQ(psks.size(), 0U);
}

TEST(GeneratedPsks, AHostThatOnlyMakesThemPushesOutItsOwn) {
    GeneratedPsks psks;
    const auto stranger = psk(9, "nqn.2026-01.io.weft:other");
    psks.add(stranger, 0);
    const uint64_t used = psks.add(psk(0), 0);
    ASSERT_TRUE(psks.acquire(used, 0));
    std::array<std::byte, 32> bytes{};
    for (size_t count = 0; count < 2 * GeneratedPsks::of_a_host_max; ++count) {
        store(bytes, le32(static_cast<uint32_t>(count + 1)));
        psks.add(nvme::tls::make_generated_tls_psk(nvme::tls::PskHash::sha256, nvme::tls::Psk(bytes),
                                                   "nqn.2026-01.io.weft:h", "nqn.2026-01.io.weft:a"),
                 0);
    }
    EXPECT_EQ(psks.size(), GeneratedPsks::of_a_host_max + 1);
    EXPECT_TRUE(psks.find(psk(0).identity, 0));  // it is in use
    EXPECT_TRUE(psks.find(stranger.identity, 0));
}

}  // namespace
}  // namespace weft::nvmf
