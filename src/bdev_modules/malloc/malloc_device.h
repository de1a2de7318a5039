// A RAM disk. Its memory is a shared memfd, so that it can be handed to another process.
#pragma once

#include <memory>
#include <string>

#include "bdev/device.h"
#include "bdev/registry.h"
#include "bdev_modules/malloc/bad_blocks.h"
#include "bdev_modules/malloc/block_locks.h"
#include "env/environment.h"
#include "reactor/task.h"

namespace weft::bdev {

struct MallocOptions {
    std::string name;  // "": Malloc0, Malloc1, …
    uint32_t block_bytes = 512;
    uint64_t block_count = 0;
    Uuid uuid;                          // nil: derived from the machine and the name
    uint32_t physical_block_bytes = 0;  // told to hosts, 0: nothing to tell
    uint32_t optimal_boundary_blocks = 0;
    ProtectionFormat metadata;          // what accompanies each block
    bool metadata_in_data = false;      // told to those who ask for the bdev
    bool is_concurrent = false;         // there will be channels on more than one reactor
    bool pretouch = true;               // get all memory from the system now, not at first use
    bool streaming = true;              // writes go around the cache
};

class MallocDevice final : public Device {
public:
    // With metadata: clear_metadata() comes before the first use, and takes its time. Errors: no_memory.
    static Result<std::unique_ptr<MallocDevice>> create(MallocOptions options, Uuid uuid);
    ~MallocDevice() override;

    [[nodiscard]] std::string_view product_name() const override { return "Malloc disk"; }
    [[nodiscard]] bool supports(Op op) const override;
    void write_config(Json& entries) const override;
    // Ends the pre-touching and gives the memory back.
    Task<void> close() override;

    // Touches every page in steps, away from the reactors, so that no command waits for the system to clear one.
    Task<void> pretouch();
    // What pretouch() has not reached yet. App thread.
    [[nodiscard]] uint64_t untouched_bytes() const { return untouched_bytes_; }

    [[nodiscard]] std::byte* memory() const { return memory_.data(); }
    [[nodiscard]] uint64_t size_bytes() const { return memory_.size(); }
    // Of one block; the device has metadata.
    [[nodiscard]] MutableBytes metadata_of(uint64_t lba) const {
        const size_t bytes = options_.metadata.metadata_bytes;
        return {metadata_.data() + lba * bytes, bytes};
    }
    [[nodiscard]] std::vector<BlockRange> unreadable(uint64_t first, uint64_t blocks, size_t count_max) const override;
    // As blocks are that hold nothing: all zero, and tuples that turn checks off.
    void clear_metadata(uint64_t lba, uint64_t blocks) const;
    [[nodiscard]] BlockLocks& locks() { return locks_; }
    [[nodiscard]] BadBlocks& bad_blocks() { return bad_blocks_; }
    [[nodiscard]] const MallocOptions& options() const { return options_; }

protected:
    // Blocks with metadata are put together from two places.
    [[nodiscard]] bool can_consume_data_inline() const override { return metadata_.size() == 0; }
    [[nodiscard]] bool can_lend(uint64_t) const override { return metadata_.size() == 0 && !bad_blocks_.any(); }
    Result<std::unique_ptr<IoChannel>> make_channel() override;

private:
    MallocDevice(MallocOptions options, Uuid uuid, env::Mapping memory, env::Mapping metadata);

    const MallocOptions options_;
    env::Mapping memory_;
    env::Mapping metadata_;  // of all blocks, in their order; empty when they have none
    BlockLocks locks_;
    BadBlocks bad_blocks_;
    uint64_t untouched_bytes_ = 0;
    bool is_closing_ = false;
    Gate pretouching_;
};

// Makes one and adds it. App thread. Errors: invalid_argument, already_exists, no_memory.
Task<Result<Device*>> create_malloc_device(Registry& registry, MallocOptions options);

}  // namespace weft::bdev
