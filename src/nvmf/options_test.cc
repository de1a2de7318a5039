#include <gtest/gtest.h>

#include "nvmf/transport_id.h"
#include "nvmf/transport_options.h"

namespace weft::nvmf {
namespace {

TEST(TransportOptions, TheDefaultsAreGood) { EXPECT_TRUE(TransportOptions{}.check()); }

TEST(TransportOptions, TakeUnitsFromFourKibToTwoMib) {
    TransportOptions options;
    options.io_unit_size = 2 << 20;
    options.max_io_size = 2 << 20;
    EXPECT_TRUE(options.check());
    options = {};
    options.io_unit_size = 8192;
    EXPECT_TRUE(options.check());
    options.io_unit_size = 4096;
    EXPECT_FALSE(options.check()) << "128 KiB would need 32 buffers";
    options.max_io_size = 65536;
    EXPECT_TRUE(options.check());
}

TEST(TransportOptions, RefuseWhatCannotWorkAndNameIt) {
    const auto message_of = [](auto change) {
        TransportOptions options;
        change(options);
        const auto outcome = options.check();
        return outcome ? std::string() : outcome.error().message;
    };
    EXPECT_NE(message_of([](auto& o) { o.max_io_size = 100'000; }).find("max_io_size"), std::string::npos);
    EXPECT_NE(message_of([](auto& o) { o.max_io_size = 4096; }).find("max_io_size"), std::string::npos);
    EXPECT_NE(message_of([](auto& o) { o.io_unit_size = 5000; }).find("io_unit_size"), std::string::npos);
    EXPECT_NE(message_of([](auto& o) { o.max_queue_depth = 1; }).find("max_queue_depth"), std::string::npos);
    EXPECT_NE(message_of([](auto& o) { o.num_shared_buffers = 0; }).find("num_shared_buffers"), std::string::npos);
    EXPECT_NE(message_of([](auto& o) { o.in_capsule_data_size = 1 << 20; }).find("in_capsule"), std::string::npos);
}

TEST(TransportId, TakesNamesInAnyCaseAndTellsTheFamily) {
    const auto id = normalise("tcp", "Ipv4", "127.0.0.1", "4420");
    ASSERT_TRUE(id);
    EXPECT_EQ(id->trtype, "TCP");
    EXPECT_EQ(id->adrfam, "IPv4");
    EXPECT_EQ(normalise("TCP", "", "::1", "")->adrfam, "IPv6");
    EXPECT_EQ(normalise("TCP", "", "::1", "")->trsvcid, "4420");
    EXPECT_EQ(normalise("TCP", "", "0:0::0:1", "1")->traddr, "::1")
        << "the shortest form, so that equal ones are equal";
}

TEST(TransportId, RefusesWhatIsNoAddress) {
    EXPECT_FALSE(normalise("rdma", "", "127.0.0.1", "4420"));
    EXPECT_FALSE(normalise("tcp", "ib", "127.0.0.1", "4420"));
    EXPECT_FALSE(normalise("tcp", "ipv6", "127.0.0.1", "4420"));
    EXPECT_FALSE(normalise("tcp", "", "localhost", "4420"));
    EXPECT_FALSE(normalise("tcp", "", "127.0.0.1", "70000"));
    EXPECT_FALSE(normalise("tcp", "", "127.0.0.1", "http"));
}

}  // namespace
}  // namespace weft::nvmf
