// What a test of `weft bdevio` has at hand: the device, memory, and requests that are waited for.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "base/bytes.h"
#include "bdev/device.h"
#include "reactor/task.h"

namespace weft::cli {

// Memory that is aligned for any device.
class IoBuffer {
public:
    explicit IoBuffer(size_t bytes, std::byte value = std::byte{0});
    IoBuffer(const IoBuffer&) = delete;
    IoBuffer& operator=(const IoBuffer&) = delete;
    ~IoBuffer();
    [[nodiscard]] MutableBytes bytes() const { return {data_, size_}; }
    void fill(std::byte value) const;
    // Bytes that depend on where they lie and on `seed`.
    void fill_pattern(uint64_t seed) const;
    [[nodiscard]] bool holds(std::byte value) const;

private:
    std::byte* data_;
    size_t size_;
};

// What a test came to.
struct Verdict {
    enum class Kind : uint8_t { ok, failed, skipped };
    Kind kind = Kind::ok;
    std::string reason;  // of the other two
};
inline Verdict failed(std::string reason) { return {Verdict::Kind::failed, std::move(reason)}; }
inline Verdict skipped(std::string reason) { return {Verdict::Kind::skipped, std::move(reason)}; }

// Lives on the channel's thread, as long as the tests of one device.
class IoCase {
public:
    IoCase(bdev::Channel& channel, uint32_t seed);
    IoCase(const IoCase&) = delete;
    IoCase& operator=(const IoCase&) = delete;

    [[nodiscard]] bdev::Channel& channel() const { return channel_; }
    [[nodiscard]] bdev::Device& device() const { return channel_.bdev(); }
    [[nodiscard]] uint32_t block_bytes() const { return device().block_bytes(); }
    [[nodiscard]] uint64_t block_count() const { return device().block_count(); }
    [[nodiscard]] bool does(bdev::Op op) const { return device().accepts(op); }
    // It keeps what is written: a null device does not.
    [[nodiscard]] bool keeps_data() const { return keeps_data_; }
    void set_keeps_data(bool keeps) { keeps_data_ = keeps; }
    // From the seed, so that a run can be had again (xorshift64*).
    uint64_t random() {
        random_state_ ^= random_state_ >> 12;
        random_state_ ^= random_state_ << 25;
        random_state_ ^= random_state_ >> 27;
        return (random_state_ * 0x2545F4914F6CDD1D) >> 16;
    }
    // Below `end`, which is not 0.
    uint64_t random_below(uint64_t end) { return random() % end; }

    // One piece. Waits; returns the status.
    Task<bdev::Status> run(bdev::Op op, uint64_t lba, uint64_t blocks, MutableBytes data = {}, bool fua = false);
    Task<bdev::Status> run(bdev::Op op, uint64_t lba, uint64_t blocks, std::span<const iovec> data);
    Task<bdev::Status> run(bdev::Request& request);

    // Writes a pattern, reads it back into memory that held something else, and compares; nullopt: as it should be.
    Task<std::optional<Verdict>> write_and_read(uint64_t lba, uint64_t blocks, bool fua = false);
    // The range reads as `expected`.
    Task<std::optional<Verdict>> reads_as(uint64_t lba, Bytes expected);
    Task<std::optional<Verdict>> reads_as_zero(uint64_t lba, uint64_t blocks);

    // `memory` cut at random places that the device's alignment allows, with empty pieces between.
    std::vector<iovec> cut_up(MutableBytes memory, size_t piece_max);

private:
    bdev::Channel& channel_;
    uint64_t random_state_;
    uint64_t next_pattern_ = 1;
    bool keeps_data_ = true;
};

// "write of 8 blocks at 0"
std::string text_of(bdev::Op op, uint64_t lba, uint64_t blocks);
// A status that is not the expected one.
std::optional<Verdict> expect(bdev::Status found, bdev::Status expected, const std::string& what);

// Returns from a test, a coroutine, with what is wrong, if anything is.
#define WEFT_IO_TRY(expression)                                                     \
    do {                                                                            \
        if (auto weft_io_wrong = (expression)) co_return std::move(*weft_io_wrong); \
    } while (false)

struct IoTest {
    const char* name;
    Task<Verdict> (*run)(IoCase& io);
};
Task<Verdict> reset_with_pending(IoCase& io);
// In the order in which they are made; each leaves the device as it likes.
std::span<const IoTest> block_tests();
std::span<const IoTest> special_tests();  // compare, copy and the like, metadata
std::span<const IoTest> zone_tests();  // of zoned devices, instead of the others

}  // namespace weft::cli
