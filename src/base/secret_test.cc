#include "base/secret.h"

#include <gtest/gtest.h>

namespace weft {
namespace {

TEST(SecretTest, IsMovedAndShortened) {
    Secret secret(bytes_of(std::string_view("password")));
    EXPECT_EQ(secret.text(), "password");
    const std::byte* const place = secret.bytes().data();
    Secret moved = std::move(secret);
    EXPECT_TRUE(secret.empty());  // NOLINT(bugprone-use-after-move): it says so
    EXPECT_EQ(moved.bytes().data(), place);
    moved.shorten(4);
    EXPECT_EQ(moved.text(), "pass");
    EXPECT_TRUE(is_zero({place + 4, 4}));
    const Secret copy = moved.copy();
    moved = Secret();
    EXPECT_TRUE(moved.empty());
    EXPECT_EQ(copy.text(), "pass");
}

TEST(SecretTest, WipingLeavesZeroes) {
    std::string text = "password";
    wipe(std::as_writable_bytes(std::span(text)));
    EXPECT_TRUE(is_zero(bytes_of(std::string_view(text))));
    wipe({});
}

}  // namespace
}  // namespace weft
