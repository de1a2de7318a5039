#include "bdev_modules/delay/delay_device.h"

#include <fmt/format.h>

#include <algorithm>

#include "bdev_modules/delay/delay_channel.h"
#include "rpc/json.h"

namespace weft::bdev {

namespace {

Json config_of(const DelayOptions& options) {
    const auto latency = [&options](LatencyKind kind) { return options.latency_us[static_cast<size_t>(kind)]; };
    Json params = {{"base_bdev_name", options.base}, {"name", options.name}};
    if (!options.uuid.is_nil()) params["uuid"] = options.uuid.to_string();
    params["avg_read_latency"] = latency(LatencyKind::avg_read);
    params["p99_read_latency"] = latency(LatencyKind::p99_read);
    params["avg_write_latency"] = latency(LatencyKind::avg_write);
    params["p99_write_latency"] = latency(LatencyKind::p99_write);
    return {{"method", "bdev_delay_create"}, {"params", std::move(params)}};
}

Result<std::vector<std::string>> make(Registry& registry, const DelayOptions& options) {
    auto base = Base::open(registry, options.base, "delay");
    if (!base) return std::unexpected(std::move(base).error());
    WEFT_TRY(registry.add(std::make_unique<DelayDevice>(options, registry, std::move(*base))));
    return std::vector{options.name};
}

Wish wish_of(Registry& registry, const DelayOptions& options) {
    return {.module = "delay",
            .base = options.base,
            .names = {options.name},
            .config = [options] { return config_of(options); },
            .make = [options, &registry] { return make(registry, options); }};
}

Result<void> check_latency(uint64_t latency_us) {
    if (latency_us <= latency_us_max) return {};
    return fail(Errc::invalid_argument,
                fmt::format("a latency of {} microseconds: at most {}, a day", latency_us, latency_us_max));
}

Result<void> check(const DelayOptions& options) {
    const auto latency = [&options](LatencyKind kind) { return options.latency_us[static_cast<size_t>(kind)]; };
    for (const uint64_t latency_us : options.latency_us) WEFT_TRY(check_latency(latency_us));
    if (latency(LatencyKind::p99_read) < latency(LatencyKind::avg_read)) {
        return fail(Errc::invalid_argument, "p99_read_latency: below avg_read_latency");
    }
    if (latency(LatencyKind::p99_write) < latency(LatencyKind::avg_write)) {
        return fail(Errc::invalid_argument, "p99_write_latency: below avg_write_latency");
    }
    return {};
}

}  // namespace

DelayDevice::DelayDevice(const DelayOptions& options, Registry& registry, std::unique_ptr<Base> base)
    : OverlayDevice{options.name, uuid_or(options.uuid, *base, "delay", options.name), registry, std::move(base)},
      options_(options) {
    for (size_t kind = 0; kind < latency_kinds; ++kind) latencies_us_[kind] = options.latency_us[kind];
}

DelayOptions DelayDevice::options() const {
    DelayOptions present = options_;
    std::ranges::copy(latencies_us_, present.latency_us.begin());
    return present;
}

Result<std::unique_ptr<IoChannel>> DelayDevice::make_channel() { return make_stacked_channel<DelayChannel>(*this); }

void DelayDevice::describe(Json& driver_specific) const {
    driver_specific["delay"] = {{"name", name()},
                                {"base_bdev_name", below().name()},
                                {"avg_read_latency", latency_us(LatencyKind::avg_read)},
                                {"p99_read_latency", latency_us(LatencyKind::p99_read)},
                                {"avg_write_latency", latency_us(LatencyKind::avg_write)},
                                {"p99_write_latency", latency_us(LatencyKind::p99_write)}};
}

void DelayDevice::write_config(Json& entries) const { entries.push_back(config_of(options())); }

Result<void> create_delay_device(Awaited& awaited, const DelayOptions& options) {
    WEFT_TRY(check(options));
    return awaited.ask(wish_of(awaited.registry(), options));
}

Result<void> update_latency(Awaited& awaited, DelayDevice& device, LatencyKind kind, uint64_t latency_us) {
    WEFT_TRY(check_latency(latency_us));
    device.set_latency(kind, latency_us);
    awaited.amend(wish_of(awaited.registry(), device.options()));
    return {};
}

}  // namespace weft::bdev
