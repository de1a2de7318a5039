#include "nvme_host/tcp/data_cursor.h"

#include <gtest/gtest.h>

#include <numeric>
#include <vector>

namespace weft::nvme_host::tcp {
namespace {

// A receive straight to where the data belongs may bring padding first: the data lies behind it, in the same memory.
TEST(DataCursor, MovesDataThatLiesALittleFurtherOn) {
    std::vector<uint8_t> memory(70'003);
    std::iota(memory.begin(), memory.end(), uint8_t{0});
    const std::vector<uint8_t> expected(memory.begin() + 3, memory.end());
    const iovec piece{.iov_base = memory.data(), .iov_len = memory.size() - 3};
    DataCursor cursor({&piece, 1});
    cursor.write(std::as_bytes(std::span(memory)).subspan(3));
    memory.resize(memory.size() - 3);
    EXPECT_EQ(memory, expected);
}

}  // namespace
}  // namespace weft::nvme_host::tcp
