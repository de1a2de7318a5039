#include "rpc/roles.h"

#include <gtest/gtest.h>

namespace weft::rpc {
namespace {

net::TlsPeer peer(std::string common_name, std::vector<std::string> dns = {}, std::vector<std::string> uris = {}) {
    return {.common_name = std::move(common_name), .dns_names = std::move(dns), .uris = std::move(uris)};
}

TEST(Roles, WhoIsListedHasItsRoleAndNobodyElseHasOne) {
    const auto roles = Roles::parse(
        "# who   what\n"
        "CN=alice admin\r\n"
        "\n"
        "  CN=Bob Smith,  night shift \t operate  \n"
        "DNS:Gate.Example read\n"
        "URI:spiffe://site/Monitor read");
    ASSERT_TRUE(roles) << roles.error().message;
    EXPECT_EQ(roles->size(), 4U);
    EXPECT_EQ(roles->role_of(peer("alice")), Role::admin);
    EXPECT_EQ(roles->role_of(peer("Alice")), Role::none);
    EXPECT_EQ(roles->role_of(peer("Bob Smith,  night shift")), Role::operate);
    EXPECT_EQ(roles->role_of(peer("x", {"gate.example"})), Role::read);
    EXPECT_EQ(roles->role_of(peer("x", {}, {"spiffe://site/Monitor"})), Role::read);
    EXPECT_EQ(roles->role_of(peer("x", {}, {"spiffe://site/monitor"})), Role::none);
    EXPECT_EQ(roles->role_of(peer("")), Role::none);
    EXPECT_EQ(roles->role_of(peer("gate.example")), Role::none);  // a common name is no DNS name
    EXPECT_EQ(roles->role_of(peer("alice", {"gate.example"})), Role::admin);
    EXPECT_EQ(roles->role_of(peer("x", {"other", "gate.example"})), Role::read);
}

TEST(Roles, WhatIsWrongIsNamedWithItsLine) {
    const auto refusal = [](std::string_view text) {
        const auto roles = Roles::parse(text);
        return roles ? "" : roles.error().message;
    };
    EXPECT_EQ(refusal("CN=a read\nCN=b adm"), "line 2: 'adm' is no role: give read, operate or admin after the name");
    EXPECT_EQ(refusal("CN=a none"), "line 1: 'none' is no role: give read, operate or admin after the name");
    EXPECT_EQ(refusal("CN=alice"), "line 1: 'CN=alice' is no role: give read, operate or admin after the name");
    EXPECT_EQ(refusal("alice read"), "line 1: 'alice' is no name: give CN=…, DNS:… or URI:…");
    EXPECT_EQ(refusal("CN= read"), "line 1: the name is empty");
    EXPECT_EQ(refusal("admin"), "line 1: 'admin' is no role: give read, operate or admin after the name");
    EXPECT_EQ(refusal("DNS:a read\nDNS:A admin"), "line 2: 'DNS:a' stands there twice");
    std::string many;
    for (size_t number = 0; number <= Roles::entries_max; ++number) many += "CN=" + std::to_string(number) + " read\n";
    EXPECT_EQ(refusal(many), "line 10001: more than 10000 names");
    EXPECT_EQ(refusal(""), "");
}

TEST(Roles, ALogCallsAPeerByItsFirstName) {
    EXPECT_EQ(name_of(peer("alice", {"a"})), "CN=alice");
    EXPECT_EQ(name_of(peer("", {"a", "b"}, {"u"})), "DNS:a");
    EXPECT_EQ(name_of(peer("", {}, {"u"})), "URI:u");
    EXPECT_EQ(name_of(peer("")), "");
}

}  // namespace
}  // namespace weft::rpc
