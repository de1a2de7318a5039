#include "bdev_modules/zone_block/zone_block_device.h"

#include <fmt/format.h>

#include <bit>

#include "bdev/stack/overlay_device.h"
#include "bdev_modules/zone_block/zone_block_channel.h"
#include "rpc/json.h"

namespace weft::bdev {

namespace {

Json config_of(const ZoneBlockOptions& options) {
    return {{"method", "bdev_zone_block_create"},
            {"params",
             {{"base_bdev", options.base},
              {"name", options.name},
              {"zone_capacity", options.capacity_blocks},
              {"optimal_open_zones", options.optimal_open_zones}}}};
}

Result<ZoneGeometry> geometry_on(const ZoneBlockOptions& options, const Device& base) {
    if (base.supports(Op::zone_management)) {
        return fail(Errc::already_exists, fmt::format("bdev {} has zones already", base.name()));
    }
    if (base.metadata().metadata_bytes != 0) {
        return fail(Errc::not_supported, fmt::format("bdev {} has metadata, which zones do not carry", base.name()));
    }
    if (!base.accepts(Op::unmap) && !base.accepts(Op::write_zeroes)) {
        return fail(Errc::not_supported, fmt::format("bdev {} cannot be emptied", base.name()));
    }
    const uint64_t zone_blocks = std::bit_ceil(options.capacity_blocks);
    const uint64_t zones = base.block_count() / zone_blocks;
    if (zones == 0 || zones > zone_blocks_zones_max) {
        return fail(Errc::invalid_argument,
                    fmt::format("zone_capacity: the base would have {} zones of {} blocks; from 1 to {} can be", zones,
                                zone_blocks, zone_blocks_zones_max));
    }
    return ZoneGeometry{.zone_blocks = zone_blocks, .capacity_blocks = options.capacity_blocks, .zone_count = zones};
}

Geometry geometry_with(const Device& base, const ZoneGeometry& zones) {
    Geometry geometry = geometry_of(base);
    geometry.block_count = zones.zone_count * zones.zone_blocks;
    return geometry;
}

std::vector<std::unique_ptr<Base>> alone(std::unique_ptr<Base> base) {
    std::vector<std::unique_ptr<Base>> bases;
    bases.push_back(std::move(base));
    return bases;
}

Result<std::vector<std::string>> make(Registry& registry, const ZoneBlockOptions& options) {
    auto base = Base::open(registry, options.base, "zone_block");
    if (!base) return std::unexpected(std::move(base).error());
    const auto zones = geometry_on(options, (*base)->device());
    if (!zones) return std::unexpected(zones.error());
    WEFT_TRY(registry.add(std::make_unique<ZoneBlockDevice>(options, *zones, registry, std::move(*base))));
    return std::vector{options.name};
}

}  // namespace

// In braces, which keep the order: what the base looks like is asked before it is moved.
ZoneBlockDevice::ZoneBlockDevice(ZoneBlockOptions options, const ZoneGeometry& geometry, Registry& registry,
                                 std::unique_ptr<Base> base)
    : StackedDevice{options.name, uuid_or(Uuid(), *base, "zone_block", options.name),
                    geometry_with(base->device(), geometry), registry, alone(std::move(base))},
      options_(std::move(options)),
      table_(geometry, ZoneState::full) {}

bool ZoneBlockDevice::supports(Op op) const {
    switch (op) {
        case Op::read:
        case Op::write:
        case Op::zone_append:
        case Op::zone_management: return true;
        case Op::flush:
        case Op::write_zeroes:
        case Op::compare:
        case Op::verify: return below().accepts(op);
        case Op::unmap:
        case Op::compare_and_write:
        case Op::copy:
        case Op::write_uncorrectable: return false;
    }
    return false;
}

Result<std::unique_ptr<IoChannel>> ZoneBlockDevice::make_channel() {
    return make_stacked_channel<ZoneBlockChannel>(*this);
}

void ZoneBlockDevice::describe(Json& driver_specific) const {
    driver_specific["zoned_block"] = {{"name", name()},
                                      {"base_bdev", below().name()},
                                      {"zone_capacity", options_.capacity_blocks},
                                      {"optimal_open_zones", options_.optimal_open_zones}};
}

void ZoneBlockDevice::write_config(Json& entries) const { entries.push_back(config_of(options_)); }

Result<void> create_zone_block_device(Awaited& awaited, const ZoneBlockOptions& options) {
    if (options.capacity_blocks == 0 || options.capacity_blocks > uint64_t{1} << 62) {
        return fail(Errc::invalid_argument, "zone_capacity: from 1 to 2^62 blocks");
    }
    if (options.optimal_open_zones == 0) return fail(Errc::invalid_argument, "optimal_open_zones: from 1");
    return awaited.ask({.module = "zone_block",
                        .base = options.base,
                        .names = {options.name},
                        .config = [options] { return config_of(options); },
                        .make = [options, &registry = awaited.registry()] { return make(registry, options); }});
}

}  // namespace weft::bdev
