// Encrypts on the way down and decrypts on the way up.
//
// A write never changes the memory it was given: it goes through a buffer of the acceleration framework, part by part
// if it is longer than one; when there is no buffer the request is not taken. A read is decrypted where it was read to,
// or straight out of the base's memory when that lends it. The pieces of a compare and of write_zeroes go through a
// buffer, too.
#pragma once

#include <memory>
#include <optional>
#include <vector>

#include "accel/framework.h"
#include "bdev/stack/stacked_channel.h"

namespace weft::bdev {

class CryptoDevice;

class CryptoChannel final : public StackedChannel {
public:
    explicit CryptoChannel(CryptoDevice& device);
    ~CryptoChannel() override;
    // Errors: those of the base's channel, and no_memory.
    Result<void> open();

protected:
    Progress start(Request& request) override;
    void child_ended(Child& child) override;
    Status family_ended(Request& parent, Status status) override;

private:
    // Of a request that goes through a buffer: what is still to be done.
    struct Parts {
        DataCursor data;
        MutableBytes buffer;
        uint64_t lba;
        uint64_t blocks;
        bool is_sending = false;  // the loop below runs
        bool is_waiting = false;  // a part is with the base
    };
    static bool has_parts(Op op) { return op == Op::write || op == Op::write_zeroes || op == Op::compare; }
    std::optional<Status> read_lent(Request& request);
    Progress start_parts(Request& request);
    void do_parts(Request& request);
    void send_part(Request& request);
    Status fill_buffer(Request& request, Parts& parts, Child& child, uint64_t& blocks);
    Status compare_part(Request& request, const Child& child);
    Status decrypt(uint64_t lba, std::span<const iovec> to, std::span<const iovec> from);
    Status run(const accel::Job& job);

    CryptoDevice& device_;
    const uint32_t block_bytes_;
    ChannelRef<accel::Channel> accel_;
    std::unique_ptr<accel::PreparedKey> key_;
    std::vector<std::byte> block_;  // one that is decrypted alone
};

}  // namespace weft::bdev
