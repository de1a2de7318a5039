#include "bdev_modules/crypto/crypto_device.h"

#include <gtest/gtest.h>

#include <cerrno>
#include <cstring>
#include <optional>
#include <set>
#include <string_view>

#include "base/hex.h"
#include "bdev/fake_device.h"
#include "bdev/test_client.h"
#include "bdev_modules/crypto/crypto_rpc.h"
#include "bdev_modules/malloc/malloc_device.h"
#include "bdev_modules/null/null_device.h"
#include "bdev_modules/test_stack.h"
#include "rpc/json.h"

namespace weft::bdev {
namespace {

constexpr std::byte zero{0};

class CryptoTest : public testing::Test {
protected:
    CryptoTest() {
        registry_.set_io_thread(world_.data_thread());
        add_crypto_methods(methods_, awaited_, framework_);
        methods_.set_state(rpc::runtime);
        add_key("k", accel::TweakMode::simple_lba);
    }
    void TearDown() override {
        world_.as(world_.data_thread(), [&] { fake_channel_.reset(); });
        while (!registry_.all().empty()) {
            ASSERT_TRUE(world_.run(registry_.remove(registry_.all().back()->name())).has_value());
        }
        world_.settle();
    }
    void add_key(const std::string& name, accel::TweakMode mode,
                 std::string_view key = "27182818284590452353602874713526",
                 std::string_view key2 = "31415926535897932384626433832795") {
        ASSERT_TRUE(framework_.keys().add(framework_.module_of(accel::Op::encrypt),
                                          {.name = name,
                                           .tweak_mode = mode,
                                           .key = std::move(*accel::secret_of_hex(key)),
                                           .key2 = std::move(*accel::secret_of_hex(key2))}));
    }
    Device& add_malloc(uint32_t block_bytes, uint64_t blocks, const std::string& name = "base") {
        auto made = world_.run(
            create_malloc_device(registry_, {.name = name, .block_bytes = block_bytes, .block_count = blocks}));
        WEFT_ASSERT(made.has_value());
        return **made;
    }
    Result<CryptoDevice*> create(const std::string& name = "C", const std::string& base = "base",
                                 const std::string& key = "k") {
        auto made = world_.as(world_.app(), [&] {
            return create_crypto_device(awaited_, framework_, {.name = name, .base_name = base, .key_name = key});
        });
        if (!made) return std::unexpected(std::move(made).error());
        return static_cast<CryptoDevice*>(registry_.find(name));
    }
    FakeDevice& add_fake(uint64_t blocks) {
        auto added = world_.as(world_.app(), [&] {
            return registry_.add(
                std::make_unique<FakeDevice>("base", Uuid(), Geometry{.block_bytes = 512, .block_count = blocks}));
        });
        return static_cast<FakeDevice&>(**added);
    }
    FakeChannel& channel_of(FakeDevice& fake) {
        return world_.as(world_.data_thread(), [&]() -> FakeChannel& {
            fake_channel_ = std::move(*fake.fake_channel());
            return static_cast<FakeChannel&>(*fake_channel_);
        });
    }
    // What the base holds, without passing through the device that has claimed it.
    std::vector<std::byte> raw(Device& base, uint64_t lba, uint64_t blocks) {
        TestClient below(world_, base);
        const TestClient::Buffer buffer(blocks * base.block_bytes(), zero);
        EXPECT_EQ(below.run(Op::read, lba, blocks, {&buffer.piece, 1}), Status::success);
        return {buffer.bytes().begin(), buffer.bytes().end()};
    }
    rpc::Response call(const std::string& method, const Json& params) {
        return world_.run(methods_.call(method, params));
    }
    int code_of(const std::string& method, const Json& params) {
        const rpc::Response answer = call(method, params);
        return answer ? 0 : answer.error().code;
    }

    TestRuntime world_;
    accel::Framework framework_;
    Registry registry_;
    Awaited awaited_{registry_};
    rpc::Registry methods_;
    ChannelRef<Channel> fake_channel_;
};

TEST_F(CryptoTest, IsADiskWhateverTheBlockAndTheTweak) {
    add_key("upper", accel::TweakMode::incr_512_upper_lba);
    uint32_t seed = 1;
    for (const uint32_t block_bytes : {512U, 4096U, 65536U}) {
        for (const char* key : {"k", "upper"}) {
            add_malloc(block_bytes, (uint64_t{1} << 21) / block_bytes);
            CryptoDevice& device = **create("C", "base", key);
            {
                TestClient client(world_, device);
                expect_behaves_like_a_disk(client, seed++, 400);
                EXPECT_EQ(client.run(Op::verify, 0, 3), Status::success);
                EXPECT_FALSE(device.supports(Op::copy)) << "the layer does it, by reads and writes";
            }
            TearDown();
        }
    }
}

TEST_F(CryptoTest, IsADiskOnAFileThatIsLate) {
    FakeDevice& fake = add_fake(1000);
    CryptoDevice& device = **create();
    FakeChannel& below = channel_of(fake);
    below.next = Progress::pending;
    TestClient client(world_, device);
    const TestClient::Buffer buffer(512, std::byte{3});
    TestClient::Call write(Op::write, 8, 1, {&buffer.piece, 1});
    EXPECT_EQ(client.submit(write), Progress::pending);
    ASSERT_EQ(below.started.size(), 1U);
    const Request& sent = *below.started[0];
    EXPECT_EQ(sent.op, Op::write);
    EXPECT_EQ(sent.lba, 8U);
    // What it was given comes back as the plain text.
    std::vector<std::byte> cipher(512);
    std::memcpy(cipher.data(), sent.data.front().iov_base, 512);
    EXPECT_NE(cipher, std::vector<std::byte>(512, std::byte{3}));
    world_.as(world_.data_thread(), [&] { below.complete(*below.started[0], Status::success); });
    EXPECT_EQ(client.finish(write), Status::success);

    const TestClient::Buffer back(512, zero);
    TestClient::Call read(Op::read, 8, 1, {&back.piece, 1});
    EXPECT_EQ(client.submit(read), Progress::pending);
    std::memcpy(below.started[0]->data.front().iov_base, cipher.data(), 512);
    world_.as(world_.data_thread(), [&] { below.complete(*below.started[0], Status::success); });
    EXPECT_EQ(client.finish(read), Status::success);
    EXPECT_TRUE(std::ranges::all_of(back.bytes(), [](std::byte byte) { return byte == std::byte{3}; }));

    TestClient::Call fails(Op::read, 8, 1, {&back.piece, 1});
    EXPECT_EQ(client.submit(fails), Progress::pending);
    world_.as(world_.data_thread(), [&] { below.complete(*below.started[0], Status::read_error); });
    EXPECT_EQ(client.finish(fails), Status::read_error);
}

// IEEE 1619, vector 4, through the device: the first sector is data unit 0.
TEST_F(CryptoTest, TheBaseHoldsTheKnownCiphertext) {
    add_key("upper", accel::TweakMode::incr_512_upper_lba);
    Device& base = add_malloc(512, 64);
    CryptoDevice& device = **create("C", "base", "upper");
    TestClient client(world_, device);
    const TestClient::Buffer buffer(512, zero);
    for (size_t at = 0; at < 512; ++at) buffer.bytes()[at] = static_cast<std::byte>(at);
    EXPECT_EQ(client.run(Op::write, 0, 1, {&buffer.piece, 1}), Status::success);
    const std::vector<std::byte> held = raw(base, 0, 1);
    EXPECT_EQ(to_hex({reinterpret_cast<const uint8_t*>(held.data()), 32}),
              "27a7479befa1d476489f308cd4cfa6e2a96e4bbe3208ff25287dd3819616e89c");
    EXPECT_EQ(to_hex({reinterpret_cast<const uint8_t*>(held.data()) + 496, 16}), "0a282df920147beabe421ee5319d0568");
    for (size_t at = 0; at < 512; ++at) ASSERT_EQ(buffer.bytes()[at], static_cast<std::byte>(at)) << "the host's own";
}

TEST_F(CryptoTest, NoPlainBlockIsEverWritten) {
    Device& base = add_malloc(4096, 256);
    CryptoDevice& device = **create();
    TestClient client(world_, device);
    // More than a buffer holds, as one request; the host's memory stays as it is.
    std::minstd_rand random(3);
    const TestClient::Buffer buffer(100 * 4096, std::byte{0x42});
    const std::vector<iovec> pieces = cut_up(buffer.bytes(), 1, random);
    EXPECT_EQ(client.run(Op::write, 0, 100, pieces), Status::success);
    EXPECT_TRUE(std::ranges::all_of(buffer.bytes(), [](std::byte byte) { return byte == std::byte{0x42}; }));
    EXPECT_TRUE(client.reads(0, 100, std::byte{0x42}));
    EXPECT_EQ(client.run(Op::write_zeroes, 100, 100), Status::success);
    EXPECT_TRUE(client.reads(100, 100, zero));
    std::set<std::string> seen;
    const std::vector<std::byte> held = raw(base, 0, 200);
    for (size_t at = 0; at < 200; ++at) {
        const Bytes block = Bytes(held).subspan(at * 4096, 4096);
        EXPECT_FALSE(is_zero(block)) << at;
        EXPECT_FALSE(std::ranges::all_of(block, [](std::byte byte) { return byte == std::byte{0x42}; })) << at;
        seen.emplace(text_of(block));
    }
    EXPECT_EQ(seen.size(), 200U) << "the same block is another elsewhere";
}

TEST_F(CryptoTest, WhatWasNeverWrittenOrWasUnmappedReadsAsZero) {
    Device& base = add_malloc(512, 64);
    CryptoDevice& device = **create();
    TestClient client(world_, device);
    EXPECT_TRUE(client.reads(0, 64, zero));
    EXPECT_EQ(client.write(0, 64, std::byte{7}), Status::success);
    EXPECT_EQ(client.run(Op::unmap, 3, 5), Status::success);
    EXPECT_TRUE(is_zero(raw(base, 3, 5)));
    EXPECT_TRUE(client.reads(3, 5, zero));
    EXPECT_TRUE(client.reads(0, 3, std::byte{7}));
    EXPECT_TRUE(client.reads(8, 56, std::byte{7}));
    EXPECT_EQ(client.compare(3, 5, zero), Status::success);
}

TEST_F(CryptoTest, ALongWriteGoesPartByPartAndStopsAtTheFirstFailure) {
    FakeDevice& fake = add_fake(2000);
    CryptoDevice& device = **create();
    FakeChannel& below = channel_of(fake);
    below.next = Progress::pending;
    TestClient client(world_, device);
    const uint64_t part = accel::large_buffer_bytes / 512;
    const TestClient::Buffer buffer(3 * part * 512, std::byte{1});
    TestClient::Call call(Op::write, 10, 3 * part, {&buffer.piece, 1});
    EXPECT_EQ(client.submit(call), Progress::pending);
    ASSERT_EQ(below.started.size(), 1U);
    EXPECT_EQ(below.started[0]->lba, 10U);
    EXPECT_EQ(below.started[0]->blocks, part);
    world_.as(world_.data_thread(), [&] { below.complete(*below.started[0], Status::success); });
    ASSERT_EQ(below.started.size(), 1U);
    EXPECT_EQ(below.started[0]->lba, 10 + part);
    world_.as(world_.data_thread(), [&] { below.complete(*below.started[0], Status::no_space); });
    EXPECT_EQ(client.finish(call), Status::no_space);
    EXPECT_EQ(below.start_count, 2U);
}

TEST_F(CryptoTest, WithoutABufferARequestIsNotTaken) {
    ASSERT_TRUE(framework_.set_options({.small_cache_size = 1, .large_cache_size = 1}));
    FakeDevice& fake = add_fake(2000);
    CryptoDevice& device = **create();
    FakeChannel& below = channel_of(fake);
    below.next = Progress::pending;
    TestClient client(world_, device);
    const TestClient::Buffer buffer(512, std::byte{1});
    TestClient::Call first(Op::write, 0, 1, {&buffer.piece, 1});
    TestClient::Call second(Op::write, 1, 1, {&buffer.piece, 1});
    TestClient::Call third(Op::write_zeroes, 2, 1);
    EXPECT_EQ(client.submit(first), Progress::pending);
    EXPECT_EQ(client.submit(second), Progress::pending);
    EXPECT_EQ(client.submit(third), Progress::retry);
    EXPECT_EQ(below.start_count, 2U);
    const TestClient::Buffer here(512, zero);
    TestClient::Call read(Op::read, 9, 1, {&here.piece, 1});
    EXPECT_EQ(client.submit(read), Progress::pending) << "reads need none";
    world_.as(world_.data_thread(), [&] { below.complete(*below.started[0], Status::success); });
    EXPECT_EQ(client.submit(third), Progress::pending);
    world_.as(world_.data_thread(), [&] {
        while (!below.started.empty()) below.complete(*below.started[0], Status::success);
    });
    for (TestClient::Call* call : {&first, &second, &third, &read}) EXPECT_EQ(client.finish(*call), Status::success);
}

TEST_F(CryptoTest, ABaseThatHasNoRoomIsAskedAgain) {
    FakeDevice& fake = add_fake(2000);
    CryptoDevice& device = **create();
    FakeChannel& below = channel_of(fake);
    below.next = Progress::retry;
    TestClient client(world_, device);
    const TestClient::Buffer buffer(512, std::byte{1});
    TestClient::Call write(Op::write, 0, 1, {&buffer.piece, 1});
    EXPECT_EQ(client.submit(write), Progress::pending);
    world_.turn();
    below.next = Progress::done;
    EXPECT_EQ(client.finish(write), Status::success);
}

TEST_F(CryptoTest, GoesWithItsBaseAndGrowsWithIt) {
    ASSERT_TRUE(world_.as(world_.app(), [&] {
        return create_null_device(registry_, {.name = "base", .block_bytes = 512, .block_count = 100}).has_value();
    }));
    CryptoDevice& device = **create();
    EXPECT_EQ(device.block_count(), 100U);
    world_.as(world_.app(), [&] {
        auto& null = static_cast<NullDevice&>(*registry_.find("base"));
        ASSERT_TRUE(null.resize(200));
        registry_.notify_resized(null);
    });
    world_.settle();
    EXPECT_EQ(device.block_count(), 200U);
    EXPECT_EQ(framework_.keys().remove("k").error().code, Errc::busy);
    EXPECT_TRUE(world_.run(registry_.remove("base")).has_value());
    EXPECT_TRUE(registry_.all().empty());
    world_.settle();
    EXPECT_EQ(framework_.keys().remove("k").error().code, Errc::busy) << "for when its base comes back";
    EXPECT_TRUE(call("bdev_crypto_delete", {{"name", "C"}}).has_value());
    EXPECT_TRUE(framework_.keys().remove("k").has_value()) << "nobody has it any more";
}

TEST_F(CryptoTest, ABaseThatIsPulledOutLetsRequestsEnd) {
    FakeDevice& fake = add_fake(2000);
    CryptoDevice& device = **create();
    FakeChannel& below = channel_of(fake);
    below.next = Progress::pending;
    std::optional<TestClient> client(std::in_place, world_, device);
    const TestClient::Buffer buffer(size_t{2} * accel::large_buffer_bytes, std::byte{1});
    TestClient::Call call(Op::write, 0, buffer.piece.iov_len / 512, {&buffer.piece, 1});
    EXPECT_EQ(client->submit(call), Progress::pending);
    bool is_gone = false;
    world_.as(world_.app(), [&] {
        spawn([](Registry& registry, bool& gone) -> Task<void> {
            gone = (co_await registry.remove("base")).has_value();
        }(registry_, is_gone));
    });
    for (int turn = 0; turn < 20; ++turn) world_.turn();
    EXPECT_FALSE(is_gone);
    while (!call.is_done) {
        ASSERT_FALSE(below.started.empty());
        world_.as(world_.data_thread(), [&] { below.complete(*below.started[0], Status::success); });
    }
    EXPECT_EQ(call.request.status, Status::success);
    client.reset();
    world_.as(world_.data_thread(), [&] { fake_channel_.reset(); });
    EXPECT_TRUE(world_.wait_for([&] { return is_gone; }));
    EXPECT_TRUE(registry_.all().empty());
}

TEST_F(CryptoTest, WhatWaitsForItsBaseCanBeAborted) {
    ASSERT_TRUE(framework_.set_options({.small_cache_size = 1, .large_cache_size = 1}));
    FakeDevice& fake = add_fake(2000);
    CryptoDevice& device = **create();
    FakeChannel& below = channel_of(fake);
    below.next = Progress::retry;
    TestClient client(world_, device);
    const TestClient::Buffer buffer(size_t{2} * accel::large_buffer_bytes, std::byte{1});
    TestClient::Call call(Op::write, 0, buffer.piece.iov_len / 512, {&buffer.piece, 1});
    EXPECT_EQ(client.submit(call), Progress::pending);
    EXPECT_TRUE(world_.as(world_.data_thread(), [&] { return client.channel().abort(call.request); }));
    EXPECT_EQ(client.finish(call), Status::aborted);
    below.next = Progress::done;
    EXPECT_EQ(client.run(Op::write, 0, buffer.piece.iov_len / 512, {&buffer.piece, 1}), Status::success)
        << "its buffer was given back";
}

TEST_F(CryptoTest, ItsUuidIsTheFields) {
    EXPECT_EQ(crypto_uuid(*Uuid::parse("11111111-2222-3333-4444-555555555555")).to_string(),
              "d89df157-5243-57f6-8d2a-5318d3800a0c");
}

TEST_F(CryptoTest, IsMadeListedAndRemovedByItsMethods) {
    add_malloc(512, 64);
    add_malloc(512, 64, "other");
    const Json params{{"base_bdev_name", "base"}, {"name", "C"}, {"key_name", "k"}};
    EXPECT_EQ(*call("bdev_crypto_create", params), Json("C"));
    const auto& device = static_cast<const CryptoDevice&>(*registry_.find("C"));
    EXPECT_EQ(device.product_name(), "crypto");
    Json told = Json::object();
    device.describe(told);
    EXPECT_EQ(told, Json::parse(R"({"crypto":{"base_bdev_name":"base","name":"C","key_name":"k"}})"));
    Json saved = Json::array();
    device.write_config(saved);
    EXPECT_EQ(saved, (Json::array({{{"method", "bdev_crypto_create"}, {"params", params}}})));

    const auto with = [&params](const Json& more) {
        Json all = params;
        all.update(more);
        return all;
    };
    EXPECT_EQ(code_of("bdev_crypto_create", with({{"base_bdev_name", "other"}})), -EEXIST);
    EXPECT_EQ(code_of("bdev_crypto_create", with({{"name", "D"}})), -EPERM) << "claimed";
    EXPECT_EQ(code_of("bdev_crypto_create", with({{"name", "D"}, {"key_name", "l"}})), -32602);
    EXPECT_EQ(code_of("bdev_crypto_create", with({{"name", ""}})), -32602);
    EXPECT_EQ(code_of("bdev_crypto_delete", {{"name", "base"}}), -ENODEV);
    EXPECT_EQ(*call("bdev_crypto_delete", {{"name", "C"}}), Json(true));
    EXPECT_EQ(registry_.find("C"), nullptr);
    EXPECT_EQ(*call("bdev_crypto_create", params), Json("C")) << "nobody claims the base any more";
}

TEST_F(CryptoTest, TheOldCallBringsItsKeyAlong) {
    add_malloc(512, 64);
    Json params{{"base_bdev_name", "base"}, {"name", "C"}, {"crypto_pmd", "crypto_aesni_mb"}};
    EXPECT_EQ(code_of("bdev_crypto_create", params), -32603) << "no key";
    params["key"] = "00112233445566778899aabbccddeeff";
    params["cipher"] = "AES_GCM";
    EXPECT_EQ(code_of("bdev_crypto_create", params), -32603);
    params["cipher"] = "AES_XTS";
    EXPECT_EQ(code_of("bdev_crypto_create", params), -32603) << "no second key";
    params["key2"] = params["key"];
    EXPECT_EQ(code_of("bdev_crypto_create", params), -32603) << "the same";
    params["key2"] = "ffeeddccbbaa99887766554433221100";
    params["base_bdev_name"] = "none";
    EXPECT_EQ(*call("bdev_crypto_create", params), Json("C"));
    EXPECT_TRUE(framework_.keys().all().contains("C_AES_XTS")) << "it waits for its base, and has its key";
    EXPECT_EQ(*call("bdev_crypto_delete", {{"name", "C"}}), Json(true));
    EXPECT_FALSE(framework_.keys().all().contains("C_AES_XTS")) << "nothing half-made";
    params["base_bdev_name"] = "C";
    EXPECT_EQ(code_of("bdev_crypto_create", params), -32602) << "on itself";
    EXPECT_FALSE(framework_.keys().all().contains("C_AES_XTS"));
    params["base_bdev_name"] = "base";
    EXPECT_EQ(*call("bdev_crypto_create", params), Json("C"));
    EXPECT_TRUE(framework_.keys().all().contains("C_AES_XTS"));
    EXPECT_EQ(*call("bdev_crypto_delete", {{"name", "C"}}), Json(true));
    EXPECT_FALSE(framework_.keys().all().contains("C_AES_XTS"));
    params.erase("cipher");
    params.erase("key2");
    EXPECT_EQ(*call("bdev_crypto_create", params), Json("C"));
    EXPECT_EQ(framework_.keys().all().at("C_AES_CBC")->cipher(), accel::Cipher::aes_cbc);
}

// As the other devices on one base, with a key to hold.
class CryptoStackTest : public TestStack {
protected:
    void SetUp() override {
        TestStack::SetUp();
        add_crypto_methods(methods_, awaited_, framework_);
        ASSERT_TRUE(
            framework_.keys().add(framework_.module_of(accel::Op::encrypt),
                                  {.name = "k",
                                   .key = std::move(*accel::secret_of_hex("27182818284590452353602874713526")),
                                   .key2 = std::move(*accel::secret_of_hex("31415926535897932384626433832795"))}));
    }
    accel::Framework framework_;
};

TEST_F(CryptoStackTest, FollowsItsBase) {
    expect_follows_its_base("top", "bdev_crypto_create", "bdev_crypto_delete",
                            {{"base_bdev_name", "base"}, {"name", "top"}, {"key_name", "k"}}, "crypto");
    EXPECT_TRUE(framework_.keys().remove("k")) << "nobody uses it any more";
}

TEST_F(CryptoStackTest, TheKeyIsHeldWhileItsBaseIsAway) {
    ASSERT_TRUE(
        call("bdev_crypto_create", {{"base_bdev_name", "base"}, {"name", "top"}, {"key_name", "k"}}).has_value());
    EXPECT_FALSE(framework_.keys().remove("k")) << "what is saved could not be loaded";
    make_ram_disk("base");
    ASSERT_TRUE(comes("top"));
    EXPECT_EQ(code_of("bdev_crypto_delete", {{"name", "base"}}), -ENODEV) << "it is no crypto bdev";
    remove("base");
    EXPECT_FALSE(framework_.keys().remove("k"));
    EXPECT_TRUE(call("bdev_crypto_delete", {{"name", "top"}}).has_value());
    EXPECT_TRUE(framework_.keys().remove("k"));
}

TEST_F(CryptoStackTest, WhatComesAndCannotBeEncryptedIsLeftAlone) {
    ASSERT_TRUE(
        call("bdev_crypto_create", {{"base_bdev_name", "base"}, {"name", "top"}, {"key_name", "k"}}).has_value());
    ASSERT_TRUE(call("bdev_malloc_create", {{"name", "base"}, {"num_blocks", 64}, {"block_size", 512}, {"md_size", 8}})
                    .has_value());
    world_.settle();
    EXPECT_FALSE(is_there("top"));
    EXPECT_TRUE(devices_.find("base")->claimed_by().empty());
    remove("base");
    make_ram_disk("base");
    EXPECT_TRUE(comes("top"));
}

TEST_F(CryptoTest, WhatCannotBeEncryptedIsRefused) {
    ASSERT_TRUE(world_.as(world_.app(), [&] {
        return create_null_device(
                   registry_,
                   {.name = "base", .block_bytes = 512, .block_count = 100, .metadata = {.metadata_bytes = 8}})
            .has_value();
    }));
    const auto refused = create();
    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.error().code, Errc::not_supported);
    EXPECT_TRUE(registry_.find("base")->claimed_by().empty());
}

}  // namespace
}  // namespace weft::bdev
