// For tests of this room: a framework with a channel on a data thread, memory that lies together or not, and jobs that
// are waited for. Not part of the product.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <random>
#include <string_view>
#include <vector>

#include "accel/framework.h"
#include "base/hex.h"
#include "bdev/test_runtime.h"

namespace weft::accel {

using Memory = std::vector<std::byte>;

inline Memory of_hex(std::string_view digits) {
    Memory memory(digits.size() / 2);
    EXPECT_TRUE(parse_hex(digits, {reinterpret_cast<uint8_t*>(memory.data()), memory.size()}));
    return memory;
}
inline std::string hex_of(Bytes bytes) {
    return to_hex({reinterpret_cast<const uint8_t*>(bytes.data()), bytes.size()});
}
inline iovec piece_of(MutableBytes bytes) { return {.iov_base = bytes.data(), .iov_len = bytes.size()}; }
inline Memory random_memory(size_t bytes, std::minstd_rand& random) {
    Memory memory(bytes);
    for (std::byte& byte : memory) byte = static_cast<std::byte>(random());
    return memory;
}

// Bytes that lie in pieces of random lengths at random addresses, some empty, with guards around all of it.
class Scattered {
public:
    Scattered(Bytes content, std::minstd_rand& random) : room_(3 * content.size() + 256, guard) {
        size_t at = random() % 64;
        for (size_t used = 0; used < content.size();) {
            const size_t longest = std::min<size_t>(content.size() - used, 1 + random() % 900);
            const size_t bytes = std::min(content.size() - used, random() % (longest + 1));
            if (at + bytes + (content.size() - used) + 64 > room_.size()) at = room_.size() - (content.size() - used);
            pieces_.push_back({.iov_base = room_.data() + at, .iov_len = bytes});
            std::copy_n(content.begin() + static_cast<ptrdiff_t>(used), bytes,
                        room_.begin() + static_cast<ptrdiff_t>(at));
            used += bytes;
            at += bytes +
                  (random() % 3 == 0 && at + bytes + 40 < room_.size() - (content.size() - used) ? random() % 33 : 0);
        }
    }
    explicit Scattered(size_t bytes, std::minstd_rand& random) : Scattered(Memory(bytes, std::byte{0x77}), random) {}

    [[nodiscard]] std::span<const iovec> pieces() const { return pieces_; }
    [[nodiscard]] Memory content() const {
        Memory all;
        for (const iovec& piece : pieces_) {
            const auto* const start = static_cast<const std::byte*>(piece.iov_base);
            all.insert(all.end(), start, start + piece.iov_len);
        }
        return all;
    }

private:
    static constexpr std::byte guard{0xA5};
    Memory room_;
    std::vector<iovec> pieces_;
};

class AccelTest : public testing::Test {
protected:
    ~AccelTest() override { close(); }

    // After modules were added and assigned.
    Channel& channel() {
        if (!channel_) {
            channel_ = world_.as(thread(), [this] {
                auto made = framework_.channel();
                WEFT_ASSERT(made.has_value());
                return std::move(*made);
            });
        }
        return *channel_;
    }
    void close() {
        world_.as(thread(), [this] {
            keys_.clear();
            channel_.reset();
        });
        world_.settle();
    }
    Thread& thread() { return world_.data_thread(); }

    Status run(const Job& job) {
        Channel& channel = this->channel();
        return world_.as(thread(), [&] {
            Operation operation;
            operation.job = job;
            EXPECT_EQ(channel.submit(operation), Progress::done);
            return operation.status;
        });
    }
    uint64_t executed(Op op) { return channel().statistics().of[static_cast<size_t>(op)].executed; }

    // A key that the test keeps until its end.
    PreparedKey& prepared(const std::string& name, Cipher cipher, TweakMode mode, Bytes key, Bytes key2,
                          uint32_t block_bytes) {
        if (!framework_.keys().all().contains(name)) {
            const auto added = framework_.keys().add(
                framework_.module_of(Op::encrypt),
                {.name = name, .cipher = cipher, .tweak_mode = mode, .key = Secret(key), .key2 = Secret(key2)});
            EXPECT_TRUE(added) << added.error().message;
        }
        Channel& channel = this->channel();
        world_.as(thread(), [&] {
            auto made = channel.prepare(*framework_.keys().find(name), block_bytes);
            WEFT_ASSERT(made.has_value());
            keys_.push_back(std::move(*made));
        });
        return *keys_.back();
    }

    bdev::TestRuntime world_;
    Framework framework_;
    ChannelRef<Channel> channel_;
    std::vector<std::unique_ptr<PreparedKey>> keys_;
    std::minstd_rand random_{7};
};

}  // namespace weft::accel
