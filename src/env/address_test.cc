#include "env/address.h"

#include <gtest/gtest.h>

namespace weft::env {
namespace {

TEST(ParseIp, TakesNumericAddressesOfBothFamilies) {
    struct Row {
        const char* host;
        Family family;
        const char* canonical;
    };
    constexpr Row rows[] = {
        {"127.0.0.1", Family::ipv4, "127.0.0.1"},       {"::1", Family::ipv6, "::1"},
        {"0:0:0:0:0:0:0:1", Family::ipv6, "::1"},       {"2001:DB8::A", Family::ipv6, "2001:db8::a"},
        {"fe80::1%eth0", Family::ipv6, "fe80::1%eth0"},
    };
    for (const Row& row : rows) {
        const auto address = parse_ip(row.host, 4420);
        ASSERT_TRUE(address) << row.host;
        EXPECT_EQ(address->family, row.family);
        EXPECT_EQ(address->host, row.canonical);
        EXPECT_EQ(address->port, 4420);
    }
}

TEST(ParseIp, RefusesEverythingElse) {
    for (const std::string_view host :
         {"", "localhost", "1.2.3", "1.2.3.4.5", "256.1.1.1", "::g", "[::1]", "fe80::1%", "fe80::1%eth\n",
          "fe80::1%eth0%eth1", "fe80::1%0123456789abcdef", "127.0.0.1%lo", "1.2.3.4 "}) {
        const auto address = parse_ip(host, 1);
        ASSERT_FALSE(address) << host;
        EXPECT_EQ(address.error().code, Errc::invalid_argument);
    }
    EXPECT_FALSE(parse_ip(std::string_view("1.2.3.4\0x", 9), 1));
}

TEST(AddressText, PutsIpv6InBrackets) {
    EXPECT_EQ(to_string(*parse_ip("127.0.0.1", 4420)), "127.0.0.1:4420");
    EXPECT_EQ(to_string(*parse_ip("::1", 4420)), "[::1]:4420");
    EXPECT_EQ(to_string(Address{.family = Family::unix_path, .host = "/run/weft.sock"}), "/run/weft.sock");
}

TEST(IsWildcard, KnowsBothSpellings) {
    EXPECT_TRUE(is_wildcard(*parse_ip("0.0.0.0", 1)));
    EXPECT_TRUE(is_wildcard(*parse_ip("0::0", 1)));
    EXPECT_FALSE(is_wildcard(*parse_ip("127.0.0.1", 1)));
    EXPECT_FALSE(is_wildcard(Address{.family = Family::unix_path, .host = "0.0.0.0"}));
}

}  // namespace
}  // namespace weft::env
