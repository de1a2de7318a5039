#include "nvmf/discovery/discovery.h"

#include <gtest/gtest.h>

namespace weft::nvmf {
namespace {

TEST(Discovery, FiltersAreReadAndWritten) {
    using Names = std::vector<std::string>;
    for (const Names& names :
         {Names{}, Names{"transport"}, Names{"address", "svcid"}, Names{"transport", "address", "svcid"}}) {
        const auto filter = discovery_filter_of(names);
        ASSERT_TRUE(filter);
        EXPECT_EQ(filter->names(), names);
    }
    EXPECT_EQ(*discovery_filter_of("match_any"), DiscoveryFilter{});
    EXPECT_EQ(discovery_filter_of("svcid,address")->names(), (Names{"address", "svcid"}));
    EXPECT_FALSE(discovery_filter_of("match_none"));
    EXPECT_FALSE(discovery_filter_of(std::string(10000, ',')));
    EXPECT_FALSE(discovery_filter_of(Names{"adress"}));
}

TEST(Discovery, AFilterComparesWhatItNames) {
    const TransportId asked{"TCP", "IPv4", "10.0.0.1", "4420"};
    const TransportId other_port{"TCP", "IPv4", "10.0.0.1", "4421"};
    const TransportId other_address{"TCP", "IPv4", "10.0.0.2", "4420"};
    const TransportId other_transport{"RDMA", "IPv4", "10.0.0.1", "4420"};
    EXPECT_TRUE(DiscoveryFilter{}.matches(other_address, asked));
    EXPECT_TRUE(DiscoveryFilter{.address = true}.matches(other_port, asked));
    EXPECT_FALSE(DiscoveryFilter{.address = true}.matches(other_address, asked));
    EXPECT_FALSE(DiscoveryFilter{.svcid = true}.matches(other_port, asked));
    EXPECT_FALSE(DiscoveryFilter{.transport = true}.matches(other_transport, asked));
    EXPECT_TRUE((DiscoveryFilter{.transport = true, .address = true, .svcid = true}.matches(asked, asked)));
}

TEST(Discovery, AddressesOfReferrals) {
    EXPECT_EQ(referral_address("tcp", "", "10.0.0.1", "")->trsvcid, "8009");
    const auto rdma = referral_address("RDMA", "ipv6", "FD00::1", "4420");
    ASSERT_TRUE(rdma);
    EXPECT_EQ(*rdma, (TransportId{"RDMA", "IPv6", "fd00::1", "4420"}));
    EXPECT_FALSE(referral_address("FC", "", "10.0.0.1", ""));
    EXPECT_FALSE(referral_address("tcp", "", "host.example", ""));
}

}  // namespace
}  // namespace weft::nvmf
