// For tests of devices that stand on others: RAM disks to stand on, and the methods as a client calls them.
#pragma once

#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <vector>

#include "bdev/bdev_rpc.h"
#include "bdev/fake_device.h"
#include "bdev/stack/awaited.h"
#include "bdev/test_client.h"
#include "bdev_modules/delay/delay_rpc.h"
#include "bdev_modules/error/error_rpc.h"
#include "bdev_modules/malloc/malloc_rpc.h"
#include "bdev_modules/null/null_rpc.h"
#include "bdev_modules/passthru/passthru_rpc.h"
#include "bdev_modules/split/split_rpc.h"
#include "bdev_modules/zone_block/zone_block_rpc.h"
#include "bdev_modules/zoned/zoned_rpc.h"
#include "rpc/json.h"

namespace weft::bdev {

class TestStack : public testing::Test {
protected:
    void SetUp() override {
        devices_.set_io_thread(world_.data_thread());
        add_malloc_methods(methods_, devices_, true);
        add_null_methods(methods_, devices_);
        add_zoned_methods(methods_, devices_);
        add_passthru_methods(methods_, awaited_);
        add_delay_methods(methods_, awaited_);
        add_error_methods(methods_, awaited_);
        add_split_methods(methods_, awaited_);
        add_zone_block_methods(methods_, awaited_);
        methods_.set_state(rpc::runtime);
    }
    void TearDown() override {
        world_.run([](Registry& devices) -> Task<bool> {
            co_await devices.remove_all();
            co_return true;
        }(devices_));
    }

    rpc::Response call(std::string method, const Json& params = Json::object()) {
        return world_.run(methods_.call(std::move(method), params));
    }
    // 0 when it succeeds.
    int code_of(std::string method, const Json& params) {
        const rpc::Response answer = call(std::move(method), params);
        return answer ? 0 : answer.error().code;
    }
    void make_ram_disk(const std::string& name, uint64_t blocks = 2048, uint32_t block_bytes = 512) {
        const Json params = {{"name", name}, {"num_blocks", blocks}, {"block_size", block_bytes}};
        ASSERT_TRUE(call("bdev_malloc_create", params).has_value());
    }
    FakeDevice& make_fake(const std::string& name) {
        return *static_cast<FakeDevice*>(
            world_.as(world_.app(), [&] { return *devices_.add(std::make_unique<FakeDevice>(name)); }));
    }
    // Of the fake, on the thread of `client`, which has a channel of what stands on it.
    FakeChannel& channel_of(FakeDevice& fake, TestClient& client) {
        return world_.as(client.thread(),
                         [&]() -> FakeChannel& { return static_cast<FakeChannel&>(**fake.fake_channel()); });
    }
    void remove(const std::string& name) { ASSERT_TRUE(world_.run(devices_.remove(name)).has_value()); }
    bool is_there(const std::string& name) { return devices_.find(name) != nullptr; }
    bool comes(const std::string& name) {
        return world_.wait_for([&] { return is_there(name); });
    }
    // What a configuration file would hold, but for options.
    Json saved() {
        Json entries = write_config(devices_, {});
        entries.erase(entries.begin());
        entries.erase(entries.size() - 1);
        return entries;
    }

    // What every device on one base promises, whatever else it does: `method` makes "top" of "base", of `params`.
    void expect_follows_its_base(const std::string& top, const std::string& create, const std::string& remove_method,
                                 const Json& params, const std::string& product);

    TestRuntime world_{2};
    Registry devices_;
    Awaited awaited_{devices_};
    rpc::Registry methods_;
};

inline void TestStack::expect_follows_its_base(const std::string& top, const std::string& create,
                                               const std::string& remove_method, const Json& params,
                                               const std::string& product) {
    // Its base is not there yet: it is promised, and saved.
    EXPECT_TRUE(call(create, params).has_value());
    EXPECT_FALSE(is_there(top));
    EXPECT_EQ(saved().at(0).at("method"), create);
    EXPECT_EQ(code_of(create, params), create == "bdev_zone_block_create" ? rpc::code::internal_error
                                       : create == "bdev_split_create"    ? rpc::code::invalid_params
                                                                          : -17);
    const std::string waiting = dump_json(saved());
    make_ram_disk("base");
    ASSERT_TRUE(comes(top));
    EXPECT_EQ(devices_.find(top)->product_name(), product);
    EXPECT_FALSE(devices_.find("base")->claimed_by().empty());
    EXPECT_EQ(dump_json(Json(saved().at(1))), dump_json(Json(Json::parse(waiting).at(0))));
    const Uuid uuid = devices_.find(top)->uuid();
    // The base goes under I/O, and comes back.
    {
        std::optional<TestClient> client;
        client.emplace(world_, *devices_.find(top));
        bool is_gone = false;
        world_.as(world_.app(), [&] {
            spawn([](Registry& devices, bool& done) -> Task<void> {
                static_cast<void>(co_await devices.remove("base"));
                done = true;
            }(devices_, is_gone));
        });
        EXPECT_TRUE(world_.wait_for([&] { return !is_there(top); }));
        EXPECT_FALSE(is_gone) << "a channel is in use";
        const TestClient::Buffer buffer(512, std::byte{1});
        EXPECT_NE(client->run(Op::verify, 0, 1), Status::out_of_range) << "and works until it is closed";
        client.reset();
        EXPECT_TRUE(world_.wait_for([&] { return is_gone; }));
    }
    EXPECT_FALSE(is_there("base"));
    EXPECT_EQ(saved().size(), 1U) << "it waits";
    make_ram_disk("base");
    ASSERT_TRUE(comes(top));
    static_cast<void>(uuid);
    // Removed by its method, it is not waited for any more.
    const Json by_name = remove_method == "bdev_split_delete" ? Json{{"base_bdev", "base"}} : Json{{"name", top}};
    EXPECT_EQ(*call(remove_method, by_name), Json(true));
    EXPECT_FALSE(is_there(top));
    EXPECT_TRUE(devices_.find("base")->claimed_by().empty());
    EXPECT_NE(code_of(remove_method, by_name), 0);
    remove("base");
    make_ram_disk("base");
    world_.settle();
    EXPECT_FALSE(is_there(top));
    EXPECT_EQ(saved().size(), 1U);
    // Somebody else has the base.
    std::unique_ptr<Descriptor> other;
    world_.as(world_.app(), [&] {
        other = *devices_.open("base", {});
        ASSERT_TRUE(other->claim("somebody").has_value());
    });
    const rpc::Response refused = call(create, params);
    ASSERT_FALSE(refused.has_value());
    EXPECT_NE(refused.error().message.find("claimed by somebody"), std::string::npos) << refused.error().message;
    EXPECT_EQ(saved().size(), 1U) << "nothing is kept of what failed";
    world_.as(world_.app(), [&] { other.reset(); });
    // Its name belongs to another.
    if (create != "bdev_error_create" && create != "bdev_split_create") {
        make_ram_disk(top);
        EXPECT_NE(code_of(create, params), 0);
        EXPECT_EQ(saved().size(), 2U);
    }
}

}  // namespace weft::bdev
