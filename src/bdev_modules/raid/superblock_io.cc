#include "bdev_modules/raid/superblock_io.h"

#include <fmt/format.h>

#include <algorithm>
#include <new>

#include "bdev/control_io.h"

namespace weft::bdev {

namespace {

// Aligned for any device, and zero.
class Memory {
public:
    explicit Memory(size_t bytes) : start_(static_cast<std::byte*>(::operator new(bytes, alignment))), bytes_(bytes) {
        std::ranges::fill(all(), std::byte{0});
    }
    Memory(const Memory&) = delete;
    Memory& operator=(const Memory&) = delete;
    ~Memory() { ::operator delete(start_, alignment); }
    [[nodiscard]] MutableBytes all() const { return {start_, bytes_}; }

private:
    static constexpr std::align_val_t alignment{4096};
    std::byte* start_;
    size_t bytes_;
};

uint64_t blocks_for(size_t bytes, uint32_t block_bytes) { return (bytes + block_bytes - 1) / block_bytes; }

}  // namespace

Task<Result<std::optional<RaidSuperblock>>> read_superblock(Registry& registry, Device& device) {
    const uint32_t block_bytes = device.block_bytes();
    const uint64_t blocks = std::min(blocks_for(superblock_bytes_max, block_bytes), device.block_count());
    const Memory memory(blocks * block_bytes);
    const Status status = co_await read_blocks(registry, device, 0, memory.all());
    if (status != Status::success) {
        co_return fail(Errc::io_error, fmt::format("bdev {} cannot be read: {}", device.name(), name_of(status)));
    }
    co_return parse_superblock(memory.all());
}

Task<Status> write_start(Registry& registry, Device& device, Bytes bytes) {
    const uint32_t block_bytes = device.block_bytes();
    const Memory memory(blocks_for(bytes.size(), block_bytes) * block_bytes);
    std::ranges::copy(bytes, memory.all().begin());
    co_return co_await write_blocks(registry, device, 0, memory.all());
}

}  // namespace weft::bdev
