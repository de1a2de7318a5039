#include "nvme_host/admin.h"

#include <gtest/gtest.h>

#include "nvme_host/test_world.h"

namespace weft::nvme_host {
namespace {

template <class T>
Result<T> ask(TestWorld& world, Task<Result<T>> (*question)(Controller&)) {
    Result<T> answer = fail(Errc::io_error, "not asked");
    const auto error = world.with_controller(
        world.options(),
        [&](Controller& controller, tcp::ConnectionGroup&) -> Task<void> { answer = co_await question(controller); });
    EXPECT_FALSE(error) << error->message;
    return answer;
}

TEST(ActiveNamespaces, AreReadInAsManyCommandsAsItTakes) {
    for (const uint32_t count : {0u, 1u, 1023u, 1024u, 1025u, 3000u}) {
        TestWorld world;
        world.target->nsids.clear();
        for (uint32_t nsid = 1; nsid <= count; ++nsid) world.target->nsids.push_back(nsid * 2);
        const auto found = ask(world, active_namespaces);
        ASSERT_TRUE(found) << found.error().message;
        EXPECT_EQ(*found, world.target->nsids);
    }
}

TEST(ActiveNamespaces, AreRefusedWhenTheListDoesNotRise) {
    TestWorld world;
    world.target->nsids = {5, 4};
    const auto found = ask(world, active_namespaces);
    ASSERT_FALSE(found);
    EXPECT_EQ(found.error().code, Errc::protocol_error);
}

// A target could make its host keep a list of 16 GiB.
TEST(ActiveNamespaces, AreRefusedWhenTheListHasNoEnd) {
    TestWorld world;
    Result<std::vector<uint32_t>> found;
    const auto error =
        world.with_controller(world.options(), [&](Controller& controller, tcp::ConnectionGroup&) -> Task<void> {
            world.target->distort_data = [next = 1U](MutableBytes data) mutable {
                for (; !data.empty(); data = data.subspan(4)) store(data, le32(next++));
            };
            found = co_await active_namespaces(controller);
            world.target->distort_data = {};
        });
    EXPECT_FALSE(error) << error->message;
    ASSERT_FALSE(found);
    EXPECT_EQ(found.error().code, Errc::protocol_error);
}

TEST(DiscoveryLog, IsReadWhole) {
    for (const size_t count : {0u, 1u, 2u, 63u, 64u, 200u}) {
        TestWorld world;
        world.target->discovery.resize(count);
        for (size_t at = 0; at < count; ++at) world.target->discovery[at].portid = static_cast<uint16_t>(at);
        const auto log = ask(world, read_discovery_log);
        ASSERT_TRUE(log) << log.error().message;
        ASSERT_EQ(log->entries.size(), count);
        for (size_t at = 0; at < count; ++at) EXPECT_EQ(log->entries[at].portid, at);
    }
}

TEST(DiscoveryLog, IsGivenUpWhenItChangesAllTheTime) {
    TestWorld world;
    world.target->generation_changes = true;
    const auto log = ask(world, read_discovery_log);
    ASSERT_FALSE(log);
    EXPECT_EQ(log.error().code, Errc::again);
}

TEST(DiscoveryLog, IsRefusedWhenItClaimsTooMuch) {
    TestWorld world;
    world.target->discovery_numrec = uint64_t{1} << 60;
    const auto log = ask(world, read_discovery_log);
    ASSERT_FALSE(log);
    EXPECT_EQ(log.error().code, Errc::protocol_error);
}

}  // namespace
}  // namespace weft::nvme_host
