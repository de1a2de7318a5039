#include "bdev/registry.h"

#include <gtest/gtest.h>

#include "bdev/fake_device.h"
#include "bdev/test_runtime.h"

namespace weft::bdev {
namespace {

class RegistryTest : public testing::Test {
protected:
    void TearDown() override {
        for (const Device* device : registry_.all()) {
            EXPECT_TRUE(world_.run(registry_.remove(device->name())).has_value());
        }
        world_.settle();
    }
    Result<Device*> add(const std::string& name, Uuid uuid = Uuid(), const std::string& alias = "") {
        return world_.as(world_.app(), [&]() -> Result<Device*> {
            auto device = std::make_unique<FakeDevice>(name, uuid);
            if (!alias.empty()) device->add_alias(alias);
            return registry_.add(std::move(device));
        });
    }
    // Starts a removal and lets it go on in the background.
    void start_removal(const std::string& name) {
        world_.as(world_.app(), [&] { spawn(remove(name)); });
    }
    Task<void> remove(std::string name) { outcome_ = co_await registry_.remove(std::move(name)); }
    Task<void> remove_all(bool& is_done) {
        co_await registry_.remove_all();
        is_done = true;
    }

    TestRuntime world_;
    Registry registry_;
    std::optional<Result<void>> outcome_;
};

TEST_F(RegistryTest, FindsByNameAliasAndUuid) {
    const Uuid uuid = *Uuid::parse("6ba7b810-9dad-11d1-80b4-00c04fd430c8");
    Device* device = *add("disk", uuid, "lvs/disk");
    EXPECT_EQ(registry_.find("disk"), device);
    EXPECT_EQ(registry_.find("lvs/disk"), device);
    EXPECT_EQ(registry_.find("6ba7b810-9dad-11d1-80b4-00c04fd430c8"), device);
    EXPECT_EQ(registry_.find("6BA7B810-9DAD-11D1-80B4-00C04FD430C8"), device);
    EXPECT_EQ(registry_.find("disk2"), nullptr);
    EXPECT_EQ(registry_.find(""), nullptr);
}

TEST_F(RegistryTest, ListsInTheOrderOfCreation) {
    for (const char* name : {"zebra", "ant", "mouse"}) ASSERT_TRUE(add(name).has_value());
    std::vector<std::string> names;
    for (const Device* device : registry_.all()) names.push_back(device->name());
    EXPECT_EQ(names, (std::vector<std::string>{"zebra", "ant", "mouse"}));
}

TEST_F(RegistryTest, RefusesANameAliasOrUuidThatIsTaken) {
    const Uuid uuid = *Uuid::parse("6ba7b810-9dad-11d1-80b4-00c04fd430c8");
    ASSERT_TRUE(add("disk", uuid, "other").has_value());
    EXPECT_EQ(add("disk").error().code, Errc::already_exists);
    EXPECT_EQ(add("other").error().code, Errc::already_exists);
    EXPECT_EQ(add("new", uuid).error().code, Errc::already_exists);
    EXPECT_EQ(add("new", Uuid(), "disk").error().code, Errc::already_exists);
    EXPECT_EQ(add("6ba7b810-9dad-11d1-80b4-00c04fd430c8").error().code, Errc::already_exists);
    EXPECT_EQ(registry_.all().size(), 1U);
}

TEST_F(RegistryTest, RefusesNamesThatAreNone) {
    EXPECT_EQ(add("a\nb").error().message, "name: holds a control character");
    EXPECT_TRUE(add(std::string(name_bytes_max, 'n')).has_value());
    EXPECT_EQ(add(std::string(name_bytes_max + 1, 'm')).error().message, "name: 256 bytes, at most 255 are allowed");
    EXPECT_EQ(add("b", Uuid(), std::string(name_bytes_max + 1, 'm')).error().code, Errc::invalid_argument);
    EXPECT_EQ(registry_.all().size(), 1U);
}

TEST_F(RegistryTest, TellsWhatBecomesOfItsDevices) {
    std::string told;
    registry_.on_change = [&told](Change change, const Device& device) {
        constexpr const char* names[] = {"came ", "went ", "resized "};
        told += names[static_cast<size_t>(change)] + device.name() + ";";
    };
    Device* device = *add("disk");
    EXPECT_FALSE(add("disk").has_value());
    world_.as(world_.app(), [&] { registry_.notify_resized(*device); });
    world_.settle();
    EXPECT_TRUE(world_.run(registry_.remove("disk")).has_value());
    EXPECT_EQ(told, "came disk;resized disk;went disk;");
    registry_.on_change = {};
}

TEST_F(RegistryTest, OpensWhatIsThere) {
    ASSERT_TRUE(add("disk").has_value());
    world_.as(world_.app(), [this] {
        const auto opened = registry_.open("disk", {});
        EXPECT_TRUE(opened.has_value());
        EXPECT_EQ(registry_.open("disc", {}).error().code, Errc::no_such_device);
    });
}

TEST_F(RegistryTest, GivesAClaimToOneDescriptorAtATime) {
    Device* device = *add("disk");
    world_.as(world_.app(), [&] {
        auto first = *registry_.open("disk", {});
        auto second = *registry_.open("disk", {});
        EXPECT_TRUE(first->claim("subsystem one").has_value());
        EXPECT_EQ(device->claimed_by(), "subsystem one");
        const auto refused = second->claim("subsystem two");
        ASSERT_FALSE(refused.has_value());
        EXPECT_EQ(refused.error().code, Errc::busy);
        EXPECT_NE(refused.error().message.find("subsystem one"), std::string::npos);
        EXPECT_FALSE(first->claim("once more").has_value());
        first.reset();
        EXPECT_TRUE(second->claim("subsystem two").has_value());
    });
    EXPECT_EQ(device->claimed_by(), "");
}

TEST_F(RegistryTest, RemovesADeviceNobodyUses) {
    bool closed = false;
    bool destroyed = false;
    auto* device = static_cast<FakeDevice*>(*add("disk"));
    device->closed = &closed;
    device->destroyed = &destroyed;
    EXPECT_TRUE(world_.run(registry_.remove("disk")).has_value());
    EXPECT_TRUE(closed);
    EXPECT_TRUE(destroyed);
    EXPECT_EQ(world_.run(registry_.remove("disk")).error().code, Errc::no_such_device);
}

TEST_F(RegistryTest, RemovesByAliasAndUuid) {
    const Uuid uuid = *Uuid::parse("6ba7b810-9dad-11d1-80b4-00c04fd430c8");
    ASSERT_TRUE(add("disk", uuid, "other").has_value());
    EXPECT_TRUE(world_.run(registry_.remove("other")).has_value());
    ASSERT_TRUE(add("disk", uuid).has_value());
    EXPECT_TRUE(world_.run(registry_.remove(uuid.to_string())).has_value());
}

TEST_F(RegistryTest, TellsHoldersOfARemovalAndWaitsForThem) {
    bool destroyed = false;
    auto* device = static_cast<FakeDevice*>(*add("disk"));
    device->destroyed = &destroyed;
    uint32_t told = 0;
    std::unique_ptr<Descriptor> descriptor;
    ChannelRef<Channel> channel;
    world_.as(world_.app(), [&] {
        descriptor = *registry_.open("disk", [&told](Event event) {
            EXPECT_EQ(event, Event::removed);
            ++told;
        });
    });
    world_.as(world_.data_thread(), [&] { channel = std::move(*device->channel()); });

    start_removal("disk");
    EXPECT_EQ(told, 0U) << "not from inside the call";
    world_.settle();
    EXPECT_EQ(told, 1U);
    EXPECT_EQ(registry_.find("disk"), nullptr);
    EXPECT_TRUE(registry_.all().empty());
    EXPECT_EQ(registry_.open("disk", {}).error().code, Errc::no_such_device);
    EXPECT_EQ(add("disk").error().code, Errc::already_exists) << "its name is free when it is gone";

    world_.as(world_.app(), [&] { descriptor.reset(); });
    for (int turns = 0; turns < 100; ++turns) world_.turn();
    EXPECT_FALSE(destroyed) << "a channel is still there";
    world_.as(world_.data_thread(), [&] { channel.reset(); });
    EXPECT_TRUE(world_.wait_for([this] { return outcome_.has_value(); }));
    EXPECT_TRUE(destroyed);
    EXPECT_TRUE(outcome_->has_value());
}

TEST_F(RegistryTest, RemovesAllAndWaitsForRemovalsUnderWay) {
    ASSERT_TRUE(add("held").has_value());
    ASSERT_TRUE(add("free").has_value());
    std::unique_ptr<Descriptor> descriptor;
    world_.as(world_.app(), [&] { descriptor = *registry_.open("held", {}); });
    start_removal("held");
    bool is_done = false;
    world_.as(world_.app(), [&] { spawn(remove_all(is_done)); });
    EXPECT_TRUE(world_.wait_for([this] { return !registry_.is_taken("free"); }));
    for (int turns = 0; turns < 100; ++turns) world_.turn();
    EXPECT_FALSE(is_done) << "one is still held open";
    world_.as(world_.app(), [&] { descriptor.reset(); });
    EXPECT_TRUE(world_.wait_for([&] { return is_done; }));
    EXPECT_TRUE(outcome_.has_value());
    EXPECT_FALSE(registry_.is_taken("held"));
}

TEST_F(RegistryTest, TakesNoMoreWhenTheProgramEnds) {
    ASSERT_TRUE(add("disk").has_value());
    registry_.refuse_more();
    EXPECT_EQ(add("disk2").error().code, Errc::cancelled);
    EXPECT_NE(registry_.find("disk"), nullptr);
}

TEST_F(RegistryTest, AHolderMayCloseWhenItIsTold) {
    ASSERT_TRUE(add("disk").has_value());
    std::vector<std::unique_ptr<Descriptor>> descriptors(3);
    uint32_t told = 0;
    world_.as(world_.app(), [&] {
        for (auto& descriptor : descriptors) {
            descriptor = *registry_.open("disk", [&](Event) {
                ++told;
                for (auto& every : descriptors) every.reset();
            });
        }
    });
    EXPECT_TRUE(world_.run(registry_.remove("disk")).has_value());
    EXPECT_EQ(told, 1U) << "the others were closed before they could be told";
}

TEST_F(RegistryTest, TellsHoldersOfANewSize) {
    auto* device = static_cast<FakeDevice*>(*add("disk"));
    std::vector<uint64_t> seen;
    std::unique_ptr<Descriptor> descriptor;
    world_.as(world_.app(), [&] {
        descriptor = *registry_.open("disk", [&](Event event) {
            if (event == Event::resized) seen.push_back(device->block_count());
        });
        device->resize(4000);
        registry_.notify_resized(*device);
    });
    EXPECT_TRUE(seen.empty());
    world_.settle();
    EXPECT_EQ(seen, std::vector<uint64_t>{4000});
    world_.as(world_.app(), [&] { descriptor.reset(); });
}

TEST_F(RegistryTest, KeepsTheFiguresOfChannelsThatWentDuringARemoval) {
    auto* device = static_cast<FakeDevice*>(*add("disk"));
    ChannelRef<Channel> channel;
    world_.as(world_.data_thread(), [&] {
        channel = std::move(*device->channel());
        channel->count_lent_read(512);
    });
    start_removal("disk");
    world_.settle();
    world_.as(world_.data_thread(), [&] { channel.reset(); });  // its figures are on their way when the device goes
    EXPECT_TRUE(world_.wait_for([this] { return outcome_.has_value(); }));
}

}  // namespace
}  // namespace weft::bdev
