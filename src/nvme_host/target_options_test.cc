#include "nvme_host/target_options.h"

#include <gtest/gtest.h>

#include "env/environment.h"
#include "nvme/fabrics.h"

namespace weft::nvme_host {
namespace {

class TargetOptionsTest : public testing::Test {
protected:
    void SetUp() override {
        auto made = env::make_linux_environment();
        ASSERT_TRUE(made);
        environment_ = std::move(*made);
        options_.hostnqn = "nqn.2014-08.org.nvmexpress:uuid:6ba7b810-9dad-11d1-80b4-00c04fd430c8";
        options_.subnqn = "nqn.2016-06.io.spdk:cnode1";
    }
    std::string error_of(const TargetOptions& options) {
        const auto made = controller_options(options, *environment_, "");
        return made ? "" : made.error().message;
    }

    std::unique_ptr<env::Environment> environment_;
    TargetOptions options_;
};

TEST_F(TargetOptionsTest, TakesTheFieldsForm) {
    const auto taken = apply_transport_id(
        "trtype:TCP adrfam:IPv6  traddr:fe80::1%eth0 trsvcid:4421 subnqn:nqn.2016-06.io.spdk:cnode2", options_);
    ASSERT_TRUE(taken) << taken.error().message;
    EXPECT_EQ(options_.trtype, "TCP");
    EXPECT_EQ(options_.adrfam, "IPv6");
    EXPECT_EQ(options_.traddr, "fe80::1%eth0");
    EXPECT_EQ(options_.trsvcid, "4421");
    EXPECT_EQ(options_.subnqn, "nqn.2016-06.io.spdk:cnode2");
}

TEST_F(TargetOptionsTest, NamesTheFieldItDoesNotKnow) {
    EXPECT_NE(apply_transport_id("trtype:TCP address:1", options_).error().message.find("'address'"),
              std::string::npos);
    EXPECT_NE(apply_transport_id("nonsense", options_).error().message.find("'nonsense'"), std::string::npos);
    EXPECT_TRUE(apply_transport_id("  ", options_));
}

TEST_F(TargetOptionsTest, MakesControllerOptions) {
    options_.transport_id = "trtype=tcp traddr=127.0.0.2 trsvcid=4430";
    options_.data_digest = true;
    const auto made = controller_options(options_, *environment_, "");
    ASSERT_TRUE(made) << made.error().message;
    EXPECT_EQ(env::to_string(made->address), "127.0.0.2:4430");
    EXPECT_EQ(made->subnqn, options_.subnqn);
    EXPECT_TRUE(made->data_digest);
    EXPECT_FALSE(made->header_digest);
    EXPECT_EQ(made->hostid[0], 0x6b);  // of the host NQN
}

TEST_F(TargetOptionsTest, MakesHostNamesThatStay) {
    options_.hostnqn.clear();
    const auto one = controller_options(options_, *environment_, "");
    const auto two = controller_options(options_, *environment_, "");
    ASSERT_TRUE(one && two);
    EXPECT_TRUE(nvme::is_valid_nqn(one->hostnqn)) << one->hostnqn;
    EXPECT_EQ(one->hostnqn, two->hostnqn);
    EXPECT_EQ(one->hostid, two->hostid);
}

TEST_F(TargetOptionsTest, SaysWhatIsWrong) {
    TargetOptions wrong = options_;
    wrong.trsvcid = "70000";
    EXPECT_NE(error_of(wrong).find("70000"), std::string::npos);
    wrong = options_;
    wrong.traddr = "storage.example";
    EXPECT_NE(error_of(wrong).find("names are not looked up"), std::string::npos);
    wrong = options_;
    wrong.trtype = "rdma";
    EXPECT_NE(error_of(wrong).find("tcp only"), std::string::npos);
    wrong = options_;
    wrong.subnqn.clear();
    EXPECT_NE(error_of(wrong).find("subnqn is missing"), std::string::npos);
    wrong = options_;
    wrong.adrfam = "ipv6";
    EXPECT_NE(error_of(wrong).find("does not fit"), std::string::npos);
    wrong = options_;
    wrong.hostid = "yes";
    EXPECT_NE(error_of(wrong).find("not a UUID"), std::string::npos);
}

}  // namespace
}  // namespace weft::nvme_host
