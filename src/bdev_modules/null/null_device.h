// A device that keeps nothing: writes are thrown away, everything reads as zero. For measuring what is above it.
#pragma once

#include <memory>
#include <string>

#include "bdev/device.h"
#include "bdev/registry.h"
#include "bdev/zeroes.h"
#include "reactor/task.h"

namespace weft::bdev {

struct NullOptions {
    std::string name;
    uint32_t block_bytes = 512;
    uint64_t block_count = 0;
    Uuid uuid;                        // nil: derived from the machine and the name
    uint32_t physical_block_bytes = 0;
    uint32_t optimal_write_blocks = 0;  // both told to hosts, 0: nothing to tell
    uint32_t unmap_blocks = 0;
    ProtectionFormat metadata;        // what accompanies each block; told to lie behind it
};

class NullDevice final : public Device {
public:
    NullDevice(NullOptions options, Uuid uuid);

    [[nodiscard]] std::string_view product_name() const override { return "Null disk"; }
    [[nodiscard]] bool supports(Op op) const override;
    void write_config(Json& entries) const override;

    // App thread; call Registry::notify_resized after it. It only grows: what lends must have what was in range when
    // a command came. Errors: invalid_argument.
    Result<void> resize(uint64_t block_count);

protected:
    [[nodiscard]] bool can_consume_data_inline() const override { return metadata().metadata_bytes == 0; }
    [[nodiscard]] bool can_lend(uint64_t blocks) const override {
        return metadata().metadata_bytes == 0 && blocks <= zeroes_bytes / block_bytes();
    }
    Result<std::unique_ptr<IoChannel>> make_channel() override;

private:
    const NullOptions options_;
};

// Makes one and adds it. App thread. Errors: invalid_argument, already_exists.
Result<Device*> create_null_device(Registry& registry, NullOptions options);

}  // namespace weft::bdev
