#include "nvmf/access/network.h"

#include <gtest/gtest.h>

namespace weft::nvmf {
namespace {

Network network(std::string_view text) {
    auto parsed = Network::parse(text);
    EXPECT_TRUE(parsed) << parsed.error().message;
    return parsed.value_or(Network{});
}

bool contains(std::string_view text, std::string_view peer) { return network(text).contains(*env::parse_ip(peer, 1)); }

TEST(Network, IsWrittenInItsShortestForm) {
    EXPECT_EQ(network("172.17.29.0/24").to_string(), "172.17.29.0/24");
    EXPECT_EQ(network("10.0.0.7").to_string(), "10.0.0.7/32");
    EXPECT_EQ(network("0.0.0.0/0").to_string(), "0.0.0.0/0");
    EXPECT_EQ(network("FD00:0017:0:0::/64").to_string(), "fd00:17::/64");
    EXPECT_EQ(network("::1").to_string(), "::1/128");
    EXPECT_EQ(network("fc00::/7").to_string(), "fc00::/7");
}

TEST(Network, ContainsWhatItsPrefixSays) {
    struct Row {
        const char* network;
        const char* inside;
        const char* outside;
    };
    constexpr Row rows[] = {
        {"172.17.29.0/24", "172.17.29.255", "172.17.30.0"},
        {"172.17.28.0/23", "172.17.29.1", "172.17.30.1"},
        {"10.1.2.3/32", "10.1.2.3", "10.1.2.2"},
        {"128.0.0.0/1", "255.255.255.255", "127.255.255.255"},
        {"fd00:17::/64", "fd00:17::ffff:1", "fd00:17:0:1::1"},
        {"fe80::/10", "fe80::1%eth0", "fec0::1"},
        {"2001:db8::/33", "2001:db8:7fff::", "2001:db8:8000::"},
        // One family is not the other's, and a host that reached an IPv6 socket by IPv4 is one of IPv4.
        {"0.0.0.0/0", "::ffff:1.2.3.4", "::1"},
        {"::/0", "::1", "127.0.0.1"},
        {"::/0", "::fffe:1.2.3.4", "::ffff:1.2.3.4"},
    };
    for (const Row& row : rows) {
        EXPECT_TRUE(contains(row.network, row.inside)) << row.network << " " << row.inside;
        EXPECT_FALSE(contains(row.network, row.outside)) << row.network << " " << row.outside;
    }
}

TEST(Network, SaysWhatIsWrong) {
    struct Row {
        std::string_view text;
        const char* message;
    };
    const Row rows[] = {
        {"", "not a network"},
        {"/24", "not a network"},
        {"host.example/24", "not a network"},
        {"10.0.0/24", "not a network"},
        {"fe80::%eth0/64", "not a network"},
        {std::string_view("10.0.0.0\0/24", 12), "not a network"},
        {"10.0.0.0/", "from 0 to 32"},
        {"10.0.0.0/33", "from 0 to 32"},
        {"10.0.0.0/-1", "from 0 to 32"},
        {"10.0.0.0/8 ", "from 0 to 32"},
        {"10.0.0.0/256", "from 0 to 32"},
        {"::/129", "from 0 to 128"},
        {"172.17.29.5/24", "the network is 172.17.29.0/24"},
        {"fd00::1/64", "the network is fd00::/64"},
        {"::ffff:10.0.0.0/104", "write the IPv4 address alone"},
    };
    for (const Row& row : rows) {
        const auto parsed = Network::parse(row.text);
        ASSERT_FALSE(parsed) << row.text;
        EXPECT_EQ(parsed.error().code, Errc::invalid_argument);
        EXPECT_NE(parsed.error().message.find(row.message), std::string::npos) << parsed.error().message;
    }
    // What it quotes is bounded and printable.
    const auto parsed = Network::parse(std::string(5000, '\x1b'));
    ASSERT_FALSE(parsed);
    EXPECT_LT(parsed.error().message.size(), 500U);
    EXPECT_EQ(parsed.error().message.find('\x1b'), std::string::npos);
}

TEST(NetworkList, AdmitsAllWhileItIsEmpty) {
    NetworkList list;
    EXPECT_TRUE(list.admits(*env::parse_ip("192.0.2.1", 0)));
    EXPECT_TRUE(list.add(network("10.0.0.0/8")));
    EXPECT_FALSE(list.admits(*env::parse_ip("192.0.2.1", 0)));
    EXPECT_TRUE(list.admits(*env::parse_ip("10.9.8.7", 0)));
    EXPECT_TRUE(list.add(network("192.0.2.1")));
    EXPECT_TRUE(list.admits(*env::parse_ip("192.0.2.1", 0)));
    EXPECT_EQ(list.add(network("192.0.2.1/32")).error().code, Errc::already_exists);
    EXPECT_TRUE(list.remove(network("10.0.0.0/8")));
    EXPECT_EQ(list.remove(network("10.0.0.0/8")).error().code, Errc::not_found);
    EXPECT_FALSE(list.admits(*env::parse_ip("10.9.8.7", 0)));
}

TEST(NetworkList, IsBounded) {
    NetworkList list;
    for (size_t at = 0; at < NetworkList::networks_max; ++at) {
        EXPECT_TRUE(list.add(network("10.0." + std::to_string(at / 256) + "." + std::to_string(at % 256))));
    }
    EXPECT_EQ(list.add(network("192.0.2.1")).error().code, Errc::too_many);
}

}  // namespace
}  // namespace weft::nvmf
