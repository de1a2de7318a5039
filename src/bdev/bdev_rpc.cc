#include "bdev/bdev_rpc.h"

#include <fmt/format.h>

#include "reactor/reactor.h"
#include "rpc/json.h"

template <>
struct weft::rpc::EnumNames<weft::bdev::ResetMode> {
    static constexpr weft::rpc::EnumName<weft::bdev::ResetMode> values[] = {{"none", weft::bdev::ResetMode::none},
                                                                            {"all", weft::bdev::ResetMode::all},
                                                                            {"maxmin", weft::bdev::ResetMode::maxmin},
                                                                            {"error", weft::bdev::ResetMode::error}};
};

namespace weft::bdev {

namespace {

// The largest names array that the field's clients send.
constexpr size_t names_max = 1024;

struct GetBdevs {
    std::optional<std::string> name;
    uint64_t timeout = 0;
    static constexpr auto fields() {
        return rpc::fields(rpc::optional("name", &GetBdevs::name, "Only this one: name, alias or UUID"),
                           rpc::optional("timeout", &GetBdevs::timeout, "Milliseconds to wait until it is there"));
    }
};

struct GetIostat {
    std::optional<std::string> name;
    std::vector<std::string> names;
    bool per_channel = false;
    ResetMode reset_mode = ResetMode::none;
    static constexpr auto fields() {
        return rpc::fields(rpc::optional("name", &GetIostat::name, "Only this one"),
                           rpc::optional("names", &GetIostat::names, "Only these"),
                           rpc::optional("per_channel", &GetIostat::per_channel, "By channel; one device must be named"),
                           rpc::optional("reset_mode", &GetIostat::reset_mode, "What to set to zero afterwards"));
    }
};

struct ResetIostat {
    std::optional<std::string> name;
    ResetMode mode = ResetMode::all;
    static constexpr auto fields() {
        return rpc::fields(rpc::optional("name", &ResetIostat::name, "Only this one"),
                           rpc::optional("mode", &ResetIostat::mode, "What to set to zero"));
    }
};

struct DeviceName {
    std::string name;
    static constexpr auto fields() { return rpc::fields(rpc::required("name", &DeviceName::name, "Name of the device")); }
};

struct SetOptions {
    std::optional<uint32_t> bdev_io_pool_size, bdev_io_cache_size, iobuf_small_cache_size, iobuf_large_cache_size;
    std::optional<bool> bdev_auto_examine;
    static constexpr auto fields() {
        using P = SetOptions;
        return rpc::fields(rpc::optional("bdev_io_pool_size", &P::bdev_io_pool_size, "Accepted: requests are their users'"),
                           rpc::optional("bdev_io_cache_size", &P::bdev_io_cache_size, "Accepted"),
                           rpc::optional("bdev_auto_examine", &P::bdev_auto_examine, "Accepted: nothing examines devices"),
                           rpc::optional("iobuf_small_cache_size", &P::iobuf_small_cache_size, "Accepted"),
                           rpc::optional("iobuf_large_cache_size", &P::iobuf_large_cache_size, "Accepted"));
    }
};

std::unexpected<Error> no_such_device(std::string_view name) {
    return fail(Errc::no_such_device, fmt::format("No such device: {}", name.substr(0, 256)));
}

Json describe(const Device& device) {
    const Geometry& geometry = device.geometry();
    Json json{{"name", device.name()},
              {"aliases", device.aliases()},
              {"product_name", device.product_name()},
              {"block_size", device.block_bytes()},
              {"num_blocks", device.block_count()},
              {"uuid", device.uuid().to_string()},
              {"assigned_rate_limits",
               {{"rw_ios_per_sec", 0}, {"rw_mbytes_per_sec", 0}, {"r_mbytes_per_sec", 0}, {"w_mbytes_per_sec", 0}}},
              {"claimed", !device.claimed_by().empty()},
              {"zoned", false}};
    if (!device.claimed_by().empty()) json["claim_type"] = "exclusive_write";
    if (geometry.optimal_blocks > 1) {
        json["preferred_write_granularity"] = geometry.optimal_blocks;
        json["optimal_write_size"] = geometry.optimal_blocks;
    }
    if (geometry.unmap_blocks > 1) json["preferred_unmap_granularity"] = geometry.unmap_blocks;
    json["supported_io_types"] = {{"read", device.supports(Op::read)},
                                  {"write", device.supports(Op::write)},
                                  {"unmap", device.supports(Op::unmap)},
                                  {"flush", device.supports(Op::flush)},
                                  {"reset", false},
                                  {"nvme_admin", false},
                                  {"nvme_io", false},
                                  {"nvme_io_md", false},
                                  {"write_zeroes", device.supports(Op::write_zeroes)},
                                  {"zcopy", false},
                                  {"get_zone_info", false},
                                  {"zone_management", false},
                                  {"zone_append", false},
                                  {"compare", device.supports(Op::compare)},
                                  {"compare_and_write", false},
                                  {"abort", false},
                                  {"seek_hole", false},
                                  {"seek_data", false},
                                  {"copy", false},
                                  {"nvme_iov_md", false}};
    json["memory_domains"] = Json::array();
    Json specific = Json::object();
    device.describe(specific);
    json["driver_specific"] = std::move(specific);
    return json;
}

void add_figures(Json& json, const Statistics& statistics) {
    const auto figures = [&json](const char* short_name, const char* long_name, const OpStatistics& op) {
        json[fmt::format("bytes_{}", short_name)] = op.bytes;
        json[fmt::format("num_{}_ops", long_name)] = op.operations;
    };
    figures("read", "read", statistics.of(Op::read));
    figures("written", "write", statistics.of(Op::write));
    figures("unmapped", "unmap", statistics.of(Op::unmap));
    json["bytes_copied"] = 0;
    json["num_copy_ops"] = 0;
    const auto latency = [&json](const char* name, const OpStatistics& op) {
        json[fmt::format("{}_latency_ticks", name)] = op.latency_ns;
        json[fmt::format("max_{}_latency_ticks", name)] = op.latency_ns_max;
        json[fmt::format("min_{}_latency_ticks", name)] = op.operations == 0 ? 0 : op.latency_ns_min;
    };
    latency("read", statistics.of(Op::read));
    latency("write", statistics.of(Op::write));
    latency("unmap", statistics.of(Op::unmap));
    latency("copy", OpStatistics{.operations = 0});
    Json errors = Json::object();
    for (size_t at = 0; at < statistics.errors.size(); ++at) {
        if (statistics.errors[at] > 0) errors[std::string(name_of(static_cast<Status>(at)))] = statistics.errors[at];
    }
    json["io_error"] = std::move(errors);
}

// Holds a device open while its channels are asked on their threads, so that it cannot go meanwhile.
Result<std::unique_ptr<Descriptor>> hold(Registry& devices, const std::string& name) {
    return devices.open(name, [](Event) {});
}

Task<Result<Json>> iostat_of(Registry& devices, std::string name, ResetMode mode) {
    auto held = hold(devices, name);
    if (!held) co_return no_such_device(name);
    Device& device = (*held)->device();
    Statistics total = device.retired_statistics();
    device.retired_statistics().reset(mode);
    co_await for_each_channel<Channel>(device, [&total, mode](Channel& channel) {
        total.add(channel.statistics());
        channel.statistics().reset(mode);
    });
    Json json{{"name", device.name()}};
    add_figures(json, total);
    co_return json;
}

Task<Result<Json>> iostat_per_channel(Registry& devices, std::string name, env::TimeNs ticks) {
    auto held = hold(devices, name);
    if (!held) co_return no_such_device(name);
    Json channels = Json::array();
    co_await for_each_channel<Channel>((*held)->device(), [&channels](Channel& channel) {
        Json json{{"thread_id", Thread::current().id()}};
        add_figures(json, channel.statistics());
        channels.push_back(std::move(json));
    });
    co_return Json{{"tick_rate", env::ns_per_s}, {"ticks", ticks}, {"name", name}, {"channels", std::move(channels)}};
}

Task<Result<Json>> get_bdevs(Registry& devices, GetBdevs params) {
    if (!params.name) {
        Json list = Json::array();
        for (const Device* device : devices.all()) list.push_back(describe(*device));
        co_return list;
    }
    const env::TimeNs end = Reactor::current().now() + std::min<uint64_t>(params.timeout, 3'600'000) * env::ns_per_ms;
    for (;;) {
        if (const Device* device = devices.find(*params.name)) co_return Json::array({describe(*device)});
        if (Reactor::current().now() >= end) co_return no_such_device(*params.name);
        co_await sleep_for(10 * env::ns_per_ms);
    }
}

Task<Result<Json>> get_iostat(Registry& devices, GetIostat params) {
    const env::TimeNs ticks = Reactor::current().now();
    if (params.names.size() > names_max) co_return fail(Errc::invalid_argument, "names: at most 1024");
    if (params.name) params.names.push_back(*params.name);
    if (params.per_channel) {
        if (params.names.size() != 1) co_return fail(Errc::invalid_argument, "per_channel: name one device");
        co_return co_await iostat_per_channel(devices, params.names.front(), ticks);
    }
    if (params.names.empty()) {
        for (const Device* device : devices.all()) params.names.push_back(device->name());
    }
    Json list = Json::array();
    for (const std::string& name : params.names) {
        auto figures = co_await iostat_of(devices, name, params.reset_mode);
        if (!figures) co_return figures;
        list.push_back(std::move(*figures));
    }
    co_return Json{{"tick_rate", env::ns_per_s}, {"ticks", ticks}, {"bdevs", std::move(list)}};
}

}  // namespace

void add_bdev_methods(rpc::Registry& registry, Registry& devices) {
    registry.add<GetBdevs>({.name = "bdev_get_bdevs", .text = "The block devices", .aliases = {"get_bdevs"}, .result = "array"},
                           [&devices](GetBdevs params) { return get_bdevs(devices, std::move(params)); });
    registry.add<GetIostat>({.name = "bdev_get_iostat",
                             .text = "What block devices have done",
                             .aliases = {"get_bdevs_iostat"},
                             .result = "object"},
                            [&devices](GetIostat params) { return get_iostat(devices, std::move(params)); });
    registry.add<ResetIostat>({.name = "bdev_reset_iostat", .text = "Sets what they have done to zero"},
                              [&devices](ResetIostat params) -> Task<Result<Json>> {
                                  GetIostat all{.name = params.name, .names = {}, .reset_mode = params.mode};
                                  auto done = co_await get_iostat(devices, std::move(all));
                                  if (!done) co_return done;
                                  co_return Json(true);
                              });
    registry.add<DeviceName>({.name = "bdev_examine", .text = "Accepted: nothing is stacked on devices by looking at them"},
                             [&devices](DeviceName params) -> Task<Result<Json>> {
                                 if (devices.find(params.name) == nullptr) co_return no_such_device(params.name);
                                 co_return Json(true);
                             });
    registry.add<rpc::NoParams>({.name = "bdev_wait_for_examine", .text = "Answers when examining is over: at once"},
                                [](rpc::NoParams) -> Task<Result<Json>> { co_return Json(true); });
    registry.add<SetOptions>({.name = "bdev_set_options",
                              .text = "Sizes of pools that Weft does not need; accepted for the field's files",
                              .states = rpc::startup,
                              .aliases = {"set_bdev_options"}},
                             [](SetOptions) -> Task<Result<Json>> { co_return Json(true); });
}

}  // namespace weft::bdev
