// A device that is a range of blocks of another one; several share it.
#pragma once

#include <memory>
#include <string>

#include "bdev/stack/stacked_channel.h"
#include "bdev/stack/stacked_device.h"

namespace weft::bdev {

class PartDevice : public StackedDevice {
public:
    // `range` lies within the base, and is not empty.
    PartDevice(std::string name, Uuid uuid, Registry& registry, std::unique_ptr<Base> base, BlockRange range);

    [[nodiscard]] Device& below() const { return base(0)->device(); }
    [[nodiscard]] uint64_t offset() const { return first_; }
    [[nodiscard]] bool supports(Op op) const override { return below().accepts(op); }

protected:
    Result<std::unique_ptr<IoChannel>> make_channel() override;

private:
    const uint64_t first_;
};

// Errors: not_supported, saying why this device cannot be cut into parts.
Result<void> check_divisible(const Device& device);

// Opens the base again and again, once for each of its parts; others than they cannot claim it meanwhile. App thread.
class PartBases {
public:
    PartBases(Registry& registry, std::string base, std::string module);
    // Errors: those of Base::open().
    Result<std::unique_ptr<Base>> open();

private:
    Registry& registry_;
    const std::string base_;
    const std::string module_;
    const uint64_t key_;
};

}  // namespace weft::bdev
