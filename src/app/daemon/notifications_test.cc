#include "app/daemon/notifications.h"

#include <gtest/gtest.h>

namespace weft::app {
namespace {

using bdev::Change;

TEST(Notifications, AreNumberedAndReadInPieces) {
    Notifications notifications;
    notifications.note(Change::registered, "a");
    notifications.note(Change::resized, "a");
    notifications.note(Change::unregistered, "a");
    const auto all = notifications.since(0, UINT64_MAX);
    ASSERT_EQ(all.size(), 3U);
    EXPECT_EQ(all[0].type, "bdev_register");
    EXPECT_EQ(all[1].type, "bdev_resize");
    EXPECT_EQ(all[2].type, "bdev_unregister");
    EXPECT_EQ(all[2].context, "a");
    const auto middle = notifications.since(1, 1);
    ASSERT_EQ(middle.size(), 1U);
    EXPECT_EQ(middle[0].id, 1U);
    EXPECT_TRUE(notifications.since(3, 5).empty());
    EXPECT_TRUE(notifications.since(0, 0).empty());
}

TEST(Notifications, ForgetTheOldest) {
    Notifications notifications;
    for (size_t at = 0; at < Notifications::kept_max + 10; ++at) notifications.note(Change::registered, "b");
    const auto all = notifications.since(0, UINT64_MAX);
    ASSERT_EQ(all.size(), Notifications::kept_max);
    EXPECT_EQ(all.front().id, 10U);
    EXPECT_EQ(all.back().id, Notifications::kept_max + 9);
}

}  // namespace
}  // namespace weft::app
