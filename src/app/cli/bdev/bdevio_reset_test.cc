#include <gtest/gtest.h>

#include "app/cli/bdev/bdevio_case.h"
#include "bdev/gate/fake_picky_device.h"
#include "bdev/registry.h"
#include "bdev/test_runtime.h"

namespace weft::cli {
namespace {

using bdev::Op;
using bdev::PickyDevice;

class BdevioResetTest : public testing::Test {
protected:
    BdevioResetTest() {
        world_.as(world_.app(), [this] {
            auto disk = std::make_unique<PickyDevice>("Disk0", bdev::Geometry{.block_bytes = 512, .block_count = 1000},
                                                      std::set<Op>{Op::read, Op::write});
            disk_ = disk.get();
            EXPECT_TRUE(devices_.add(std::move(disk)));
        });
    }
    ~BdevioResetTest() override {
        world_.run([](bdev::Registry& devices) -> Task<bool> {
            co_await devices.remove_all();
            co_return true;
        }(devices_));
    }
    Verdict try_it() {
        return world_.run([](bdev::Device& disk, Thread& data) -> Task<Verdict> {
            Thread& home = Thread::current();
            co_await resume_on(data);
            Verdict verdict;
            {
                auto channel = disk.channel();
                EXPECT_TRUE(channel);
                IoCase io(**channel, 1);
                verdict = co_await reset_with_pending(io);
            }
            co_await resume_on(home);
            co_return verdict;
        }(*disk_, world_.data_thread()));
    }

    bdev::TestRuntime world_;
    bdev::Registry devices_;
    PickyDevice* disk_ = nullptr;
};

TEST_F(BdevioResetTest, ADeviceThatIsInOrderPasses) {
    const Verdict verdict = try_it();
    EXPECT_EQ(verdict.kind, Verdict::Kind::ok) << verdict.reason;
    EXPECT_EQ(disk_->resets, 5);
    EXPECT_GT(disk_->under_way_max, 32);
    disk_->is_later = false;
    EXPECT_EQ(try_it().kind, Verdict::Kind::ok);
    disk_->retry_one_in = 3;
    EXPECT_EQ(try_it().kind, Verdict::Kind::ok);
}

TEST_F(BdevioResetTest, WhatAResetForgetsIsFound) {
    disk_->on_reset = [this] { std::ranges::fill(disk_->memory, std::byte{0}); };
    const Verdict verdict = try_it();
    EXPECT_EQ(verdict.kind, Verdict::Kind::failed);
    EXPECT_NE(verdict.reason.find("byte 0 of block"), std::string::npos) << verdict.reason;
}

TEST_F(BdevioResetTest, WritesThatFailAreFound) {
    disk_->on_reset = [this] { disk_->fails_at = 16; };
    const Verdict verdict = try_it();
    EXPECT_EQ(verdict.kind, Verdict::Kind::failed);
    EXPECT_NE(verdict.reason.find("once and well"), std::string::npos) << verdict.reason;
}

}  // namespace
}  // namespace weft::cli
