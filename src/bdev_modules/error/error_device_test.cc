#include "bdev_modules/error/error_device.h"

#include "bdev/gate/device_gate.h"
#include "bdev_modules/error/error_channel.h"
#include "bdev_modules/test_stack.h"

namespace weft::bdev {
namespace {

constexpr std::byte one{1};

class ErrorTest : public TestStack {
protected:
    void make() {
        make_ram_disk("base");
        ASSERT_EQ(*call("bdev_error_create", {{"base_name", "base"}}), Json(true));
        client_.emplace(world_, *devices_.find("EE_base"));
    }
    void TearDown() override {
        client_.reset();
        TestStack::TearDown();
    }
    int inject(const char* io, const char* error, Json more = Json::object()) {
        more["name"] = "EE_base";
        more["io_type"] = io;
        more["error_type"] = error;
        return code_of("bdev_error_inject_error", more);
    }
    std::optional<TestClient> client_;
};

TEST_F(ErrorTest, FollowsItsBase) {
    expect_follows_its_base("EE_base", "bdev_error_create", "bdev_error_delete", {{"base_name", "base"}},
                            "Error Injection Disk");
}

TEST_F(ErrorTest, IsTheDiskBelowWhileNothingIsInjected) {
    make();
    expect_behaves_like_a_disk(*client_, 1, 300);
    expect_behaves_like_a_clever_disk(*client_, 2, 200);
}

TEST_F(ErrorTest, FailsAsOftenAsItIsTold) {
    make();
    EXPECT_EQ(inject("write", "failure", {{"num", 2}}), 0);
    EXPECT_EQ(client_->write(0, 1, one), Status::failed);
    EXPECT_TRUE(client_->reads(0, 1, std::byte{0})) << "reads go on, and nothing was written";
    EXPECT_EQ(client_->write(0, 1, one), Status::failed);
    EXPECT_EQ(client_->write(0, 1, one), Status::success);
    EXPECT_EQ(inject("all", "failure"), 0);
    EXPECT_EQ(client_->run(Op::unmap, 0, 1), Status::failed);
    EXPECT_EQ(client_->run(Op::flush, 0, 0), Status::failed);
    EXPECT_EQ(client_->run(Op::write_zeroes, 0, 1), Status::success) << "the field leaves it alone";
    EXPECT_EQ(inject("clear", "failure"), 0);
    EXPECT_EQ(client_->write(0, 1, one), Status::success);
    EXPECT_TRUE(client_->reads(0, 1, one));
}

TEST_F(ErrorTest, FailsAsAnNvmeDeviceWould) {
    make();
    EXPECT_EQ(inject("read", "nvme_failure", {{"nvme_sct", 2}, {"nvme_sc", 0x81}}), 0);
    EXPECT_FALSE(client_->reads(0, 1, std::byte{0}));
    EXPECT_EQ(inject("read", "nvme_failure", {{"nvme_sct", 2}, {"nvme_sc", 0x82}}), 0);
    const TestClient::Buffer buffer(512, one);
    EXPECT_EQ(client_->run(Op::read, 0, 1, {&buffer.piece, 1}), Status::guard_error);
    EXPECT_EQ(inject("read", "nvme_failure", {{"nvme_sct", 7}, {"nvme_sc", 0x99}}), -22) << "no status of ours";
    EXPECT_EQ(inject("read", "nvme_failure"), -22);
    EXPECT_EQ(inject("read", "failure", {{"nvme_sc", 6}}), -22);
}

TEST_F(ErrorTest, HasNoRoomForAWhile) {
    make();
    EXPECT_EQ(inject("write", "nomem", {{"num", 3}}), 0);
    const TestClient::Buffer buffer(512, one);
    TestClient::Call write(Op::write, 5, 1, {&buffer.piece, 1});
    for (int round = 0; round < 3; ++round) EXPECT_EQ(client_->submit(write), Progress::retry);
    EXPECT_EQ(client_->run(write), Status::success);
}

TEST_F(ErrorTest, OnlyAtAQueueDepth) {
    FakeDevice& fake = make_fake("base");
    ASSERT_TRUE(call("bdev_error_create", {{"base_name", "base"}}).has_value());
    client_.emplace(world_, *devices_.find("EE_base"));
    FakeChannel& below = channel_of(fake, *client_);
    below.next = Progress::pending;
    EXPECT_EQ(inject("read", "failure", {{"num", 100}, {"queue_depth", 2}}), 0);
    const TestClient::Buffer buffer(512, one);
    std::vector<std::unique_ptr<TestClient::Call>> calls;
    for (const Progress expected : {Progress::pending, Progress::pending, Progress::done}) {
        calls.push_back(std::make_unique<TestClient::Call>(Op::read, 0, 1, std::span(&buffer.piece, 1)));
        EXPECT_EQ(client_->submit(*calls.back()), expected);
    }
    world_.as(client_->thread(), [&] {
        while (!below.started.empty()) below.complete(*below.started.front(), Status::success);
    });
    for (const auto& request : calls) client_->finish(*request);
}

TEST_F(ErrorTest, CorruptsWhatIsReadAndWhatIsWrittenButNotTheWritersMemory) {
    make();
    EXPECT_EQ(inject("write", "corrupt_data", {{"corrupt_offset", 513}, {"corrupt_value", 0xF0}}), 0);
    const TestClient::Buffer buffer(4 * 512, one);
    std::minstd_rand random(1);
    const std::vector<iovec> pieces = cut_up(buffer.bytes(), 64, random);
    EXPECT_EQ(client_->run(Op::write, 10, 4, pieces), Status::success);
    EXPECT_TRUE(std::ranges::all_of(buffer.bytes(), [](std::byte byte) { return byte == one; }));
    EXPECT_EQ(client_->run(Op::read, 10, 4, pieces), Status::success);
    for (size_t at = 0; at < buffer.bytes().size(); ++at) {
        ASSERT_EQ(buffer.bytes()[at], at == 513 ? std::byte{0xF1} : one) << at;
    }
    EXPECT_EQ(client_->write(10, 4, one), Status::success) << "once";
    EXPECT_EQ(inject("read", "corrupt_data", {{"corrupt_offset", 7}, {"corrupt_value", 1}}), 0);
    EXPECT_EQ(client_->run(Op::read, 10, 4, pieces), Status::success);
    EXPECT_EQ(buffer.bytes()[7], std::byte{0});
    EXPECT_TRUE(client_->reads(10, 4, one)) << "the base has what was written";
    EXPECT_EQ(inject("all", "corrupt_data", {{"corrupt_offset", UINT64_MAX}, {"corrupt_value", 1}}), 0);
    EXPECT_EQ(client_->write(10, 4, one), Status::success);
    EXPECT_TRUE(client_->reads(10, 4, one)) << "an offset behind the end is nowhere";
    EXPECT_EQ(client_->run(Op::unmap, 0, 1), Status::success);
    EXPECT_EQ(inject("read", "corrupt_data"), -22) << "by nothing";
}

TEST_F(ErrorTest, PendingOnesGoOnWhenTheyAreTold) {
    make();
    EXPECT_EQ(inject("write", "pending", {{"num", 2}}), 0);
    const TestClient::Buffer buffer(512, one);
    TestClient::Call first(Op::write, 0, 1, {&buffer.piece, 1});
    TestClient::Call second(Op::write, 1, 1, {&buffer.piece, 1});
    EXPECT_EQ(client_->submit(first), Progress::pending);
    EXPECT_EQ(client_->submit(second), Progress::pending);
    world_.settle();
    EXPECT_FALSE(first.is_done);
    EXPECT_EQ(*call("bdev_error_resume_pending", {{"name", "EE_base"}}), Json(true));
    EXPECT_EQ(client_->finish(first), Status::success);
    EXPECT_EQ(client_->finish(second), Status::success);
    EXPECT_TRUE(client_->reads(0, 2, one));
    EXPECT_EQ(code_of("bdev_error_resume_pending", {{"name", "base"}}), -19);
    EXPECT_EQ(code_of("bdev_error_resume_pending", {{"name", "nobody"}}), -19);
}

TEST_F(ErrorTest, PendingOnesCanBeAborted) {
    make();
    EXPECT_EQ(inject("read", "pending"), 0);
    const TestClient::Buffer buffer(512, one);
    TestClient::Call read(Op::read, 0, 1, {&buffer.piece, 1});
    ASSERT_EQ(client_->submit(read), Progress::pending);
    EXPECT_TRUE(world_.as(client_->thread(), [&] { return client_->channel().abort(read.request); }));
    EXPECT_TRUE(world_.as(client_->thread(), [&] { return client_->channel().abort(read.request); }));
    EXPECT_FALSE(read.is_done);
    EXPECT_EQ(client_->finish(read), Status::aborted);
}

TEST_F(ErrorTest, PendingOnesEndWhenItOrItsBaseIsRemoved) {
    for (const char* goes : {"EE_base", "base"}) {
        make();
        EXPECT_EQ(inject("write", "pending", {{"num", 10}}), 0);
        const TestClient::Buffer buffer(512, one);
        TestClient::Call write(Op::write, 0, 1, {&buffer.piece, 1});
        ASSERT_EQ(client_->submit(write), Progress::pending);
        bool is_gone = false;
        world_.as(world_.app(), [&] {
            spawn([](Registry& devices, std::string name, bool& done) -> Task<void> {
                static_cast<void>(co_await devices.remove(std::move(name)));
                done = true;
            }(devices_, goes, is_gone));
        });
        EXPECT_EQ(client_->finish(write), Status::aborted);
        EXPECT_EQ(client_->write(0, 1, one), Status::success) << "nothing pends any more";
        client_.reset();
        EXPECT_TRUE(world_.wait_for([&] { return is_gone; }));
        static_cast<void>(call("bdev_error_delete", {{"name", "EE_base"}}));
        if (is_there("base")) remove("base");
    }
}

TEST_F(ErrorTest, PendingOnesEndWhenWhatStandsOnItIsReset) {
    make();
    ASSERT_TRUE(call("bdev_passthru_create", {{"base_bdev_name", "EE_base"}, {"name", "top"}}).has_value());
    EXPECT_EQ(inject("write", "pending"), 0);
    client_.emplace(world_, *devices_.find("top"));
    const TestClient::Buffer buffer(512, one);
    TestClient::Call stuck(Op::write, 0, 1, {&buffer.piece, 1});
    ASSERT_EQ(client_->submit(stuck), Progress::pending);
    EXPECT_TRUE(world_.run(devices_.find("top")->gate().reset(10 * env::ns_per_ms)));
    EXPECT_EQ(client_->finish(stuck), Status::aborted);
    EXPECT_EQ(client_->write(0, 1, one), Status::success);
    EXPECT_TRUE(client_->reads(0, 1, one));
}

TEST_F(ErrorTest, OnlyErrorDevicesAreInjectedInto) {
    make();
    EXPECT_EQ(code_of("bdev_error_inject_error", {{"name", "base"}, {"io_type", "read"}, {"error_type", "failure"}}),
              -19);
    EXPECT_EQ(inject("reset", "failure"), rpc::code::invalid_params) << "not one of the field's";
    EXPECT_EQ(inject("read", "explosion"), rpc::code::invalid_params);
    EXPECT_EQ(inject("read", "corrupt_data", {{"corrupt_value", 256}}), rpc::code::invalid_params);
    EXPECT_EQ(inject("read", "failure", {{"num", 0}}), 0);
    EXPECT_TRUE(client_->reads(0, 1, std::byte{0})) << "none";
}

}  // namespace
}  // namespace weft::bdev
