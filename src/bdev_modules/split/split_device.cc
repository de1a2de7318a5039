#include "bdev_modules/split/split_device.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/log.h"
#include "bdev/stack/overlay_device.h"
#include "rpc/json.h"

namespace weft::bdev {

namespace {

constexpr uint64_t mebibyte = uint64_t{1} << 20;

Json config_of(const SplitOptions& options) {
    return {
        {"method", "bdev_split_create"},
        {"params", {{"base_bdev", options.base}, {"split_count", options.count}, {"split_size_mb", options.size_mib}}}};
}

// Blocks of one part. Errors: invalid_argument.
Result<uint64_t> blocks_of_part(const SplitOptions& options, const Device& base) {
    const uint64_t bytes = options.size_mib * mebibyte;
    if (bytes % base.block_bytes() != 0) {
        return fail(Errc::invalid_argument, fmt::format("split_size_mb: {} MiB are no whole number of blocks of {}",
                                                        options.size_mib, base.block_bytes()));
    }
    const uint64_t blocks = bytes != 0 ? bytes / base.block_bytes() : base.block_count() / options.count;
    if (blocks != 0 && blocks <= base.block_count()) return blocks;
    return fail(Errc::invalid_argument,
                fmt::format("the bdev has {} blocks of {} bytes only", base.block_count(), base.block_bytes()));
}

Result<std::vector<std::string>> make(Registry& registry, const SplitOptions& options) {
    PartBases bases(registry, options.base, "split");
    auto base = bases.open();
    if (!base) return std::unexpected(std::move(base).error());
    const Device& whole = (*base)->device();
    WEFT_TRY(check_divisible(whole));
    const auto blocks = blocks_of_part(options, whole);
    if (!blocks) return std::unexpected(blocks.error());
    const auto count = static_cast<uint32_t>(std::min<uint64_t>(options.count, whole.block_count() / *blocks));
    if (count < options.count) {
        WEFT_WARNLOG("bdev \"{}\" has room for {} of {} parts", log::quoted(options.base), count, options.count);
    }
    for (uint32_t index = 0; index < count; ++index) {
        if (!registry.is_taken(name_of_part(options, index))) continue;
        return fail(Errc::already_exists,
                    fmt::format("bdev {} already exists", log::quoted(name_of_part(options, index))));
    }
    std::vector<std::string> names;
    for (uint32_t index = 0; index < count; ++index) {
        if (index != 0) base = bases.open();
        if (!base) return std::unexpected(std::move(base).error());
        auto made = registry.add(std::make_unique<SplitDevice>(options, index, registry, std::move(*base),
                                                               BlockRange{index * *blocks, *blocks}));
        if (!made && index == 0) return std::unexpected(std::move(made).error());
        if (!made) {
            WEFT_WARNLOG("{}", made.error().message);  // a UUID that somebody else has
            break;
        }
        names.push_back((*made)->name());
    }
    return names;
}

}  // namespace

SplitDevice::SplitDevice(SplitOptions options, uint32_t index, Registry& registry, std::unique_ptr<Base> base,
                         BlockRange range)
    : PartDevice{name_of_part(options, index), uuid_or(Uuid(), *base, "split", std::to_string(index)), registry,
                 std::move(base), range},
      options_(std::move(options)),
      index_(index) {}

void SplitDevice::describe(Json& driver_specific) const {
    driver_specific["split"] = {{"base_bdev", below().name()}, {"offset_blocks", offset()}};
}

void SplitDevice::write_config(Json& entries) const {
    if (index_ == 0) entries.push_back(config_of(options_));
}

Result<void> create_split_devices(Awaited& awaited, const SplitOptions& options) {
    if (options.count == 0 || options.count > split_count_max) {
        return fail(Errc::invalid_argument, fmt::format("split_count: from 1 to {}", split_count_max));
    }
    if (options.size_mib > device_bytes_max / mebibyte) {
        return fail(Errc::invalid_argument, "split_size_mb: more than 2^63 bytes");
    }
    std::vector<std::string> names;
    names.reserve(options.count);
    for (uint32_t index = 0; index < options.count; ++index) names.push_back(name_of_part(options, index));
    return awaited.ask({.module = "split",
                        .base = options.base,
                        .names = std::move(names),
                        .config = [options] { return config_of(options); },
                        .make = [options, &registry = awaited.registry()] { return make(registry, options); }});
}

}  // namespace weft::bdev
