#include "bdev/stack/part_device.h"

#include <fmt/format.h>

#include <atomic>

#include "base/assert.h"

namespace weft::bdev {

namespace {

class PartChannel final : public StackedChannel {
public:
    explicit PartChannel(PartDevice& device) : StackedChannel(device), first_(device.offset()) {}
    using StackedChannel::open_bases;

protected:
    Progress start(Request& request) override { return forward(request, 0, first_ + request.lba); }

private:
    const uint64_t first_;
};

Geometry geometry_of_part(const Device& base, uint64_t block_count) {
    Geometry geometry = geometry_of(base);
    geometry.block_count = block_count;
    return geometry;
}

std::vector<std::unique_ptr<Base>> alone(std::unique_ptr<Base> base) {
    std::vector<std::unique_ptr<Base>> bases;
    bases.push_back(std::move(base));
    return bases;
}

// No two cuts of a device are made with the same key.
uint64_t next_key() {
    static std::atomic<uint64_t> key = 0;
    return ++key;
}

}  // namespace

// In braces, which keep the order: what the base looks like is asked before it is moved.
PartDevice::PartDevice(std::string name, Uuid uuid, Registry& registry, std::unique_ptr<Base> base, BlockRange range)
    : StackedDevice{std::move(name), uuid, geometry_of_part(base->device(), range.blocks), registry,
                    alone(std::move(base))},
      first_(range.first) {
    WEFT_ASSERT(range.blocks > 0 && range.first <= below().block_count());
}

Result<std::unique_ptr<IoChannel>> PartDevice::make_channel() {
    auto channel = std::make_unique<PartChannel>(*this);
    WEFT_TRY(channel->open_bases());
    return channel;
}

Result<void> check_divisible(const Device& device) {
    if (device.supports(Op::zone_management)) {
        return fail(Errc::not_supported, fmt::format("bdev {} is zoned", device.name()));
    }
    // Its reference tags are the LBAs of the whole, and hosts of a part know only those of the part.
    if (device.metadata().has_tuple() && device.metadata().type == ProtectionType::type1) {
        return fail(
            Errc::not_supported,
            fmt::format("bdev {} has protection information of type 1, which is bound to its LBAs", device.name()));
    }
    return {};
}

PartBases::PartBases(Registry& registry, std::string base, std::string module)
    : registry_(registry), base_(std::move(base)), module_(std::move(module)), key_(next_key()) {}

Result<std::unique_ptr<Base>> PartBases::open() {
    return Base::open(registry_, base_, module_, ClaimType::read_many_write_shared, key_);
}

}  // namespace weft::bdev
