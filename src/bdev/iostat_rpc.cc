// bdev_get_iostat and bdev_reset_iostat. Figures belong to channels, so that their threads are asked one by one.
#include <cerrno>
#include <optional>
#include <vector>

#include "bdev/bdev_rpc.h"
#include "bdev/gate/device_gate.h"
#include "reactor/reactor.h"
#include "rpc/json.h"

template <>
struct weft::rpc::EnumNames<weft::bdev::ResetMode> {
    static constexpr EnumName<bdev::ResetMode> values[] = {{"none", bdev::ResetMode::none},
                                                           {"all", bdev::ResetMode::all},
                                                           {"maxmin", bdev::ResetMode::maxmin},
                                                           {"error", bdev::ResetMode::error}};
};

namespace weft::bdev {

namespace {

constexpr size_t names_max = 1024;

struct GetIostat {
    std::optional<std::string> name;
    std::optional<std::vector<std::string>> names;
    bool per_channel = false;
    ResetMode reset_mode = ResetMode::none;

    static constexpr auto fields() {
        return rpc::fields(rpc::optional("name", &GetIostat::name, "One bdev; default: all"),
                           rpc::optional("names", &GetIostat::names, "Several bdevs"),
                           rpc::optional("per_channel", &GetIostat::per_channel, "Figures of each channel of one bdev"),
                           rpc::optional("reset_mode", &GetIostat::reset_mode, "What to set back after it was read"));
    }
};

struct ResetIostat {
    std::optional<std::string> name;
    ResetMode mode = ResetMode::all;

    static constexpr auto fields() {
        return rpc::fields(rpc::optional("name", &ResetIostat::name, "One bdev; default: all"),
                           rpc::optional("mode", &ResetIostat::mode, "What to set back"));
    }
};

struct SetSamplingPeriod {
    std::string name;
    uint64_t period = 0;

    static constexpr auto fields() {
        return rpc::fields(
            rpc::required("name", &SetSamplingPeriod::name, "The bdev"),
            rpc::required("period", &SetSamplingPeriod::period, "Microseconds, at most an hour; 0: no more"));
    }
};

struct ChannelFigures {
    uint64_t thread_id = 0;
    uint32_t in_flight = 0;
    Statistics figures;
};

void write_op(Json& into, const Statistics& figures, Op op, const char* bytes_name, const char* ops_name) {
    into[bytes_name] = figures.of(op).bytes;
    into[ops_name] = figures.of(op).operations;
}

// Ticks are nanoseconds.
void write_latency(Json& into, const OpStatistics& figures, const std::string& op) {
    into[op + "_latency_ticks"] = figures.latency_ns;
    into["max_" + op + "_latency_ticks"] = figures.latency_ns_max;
    const bool has_minimum = figures.latency_ns_min != OpStatistics::no_minimum;
    into["min_" + op + "_latency_ticks"] = has_minimum ? figures.latency_ns_min : 0;
}

void write_figures(Json& into, const Statistics& figures) {
    write_op(into, figures, Op::read, "bytes_read", "num_read_ops");
    write_op(into, figures, Op::write, "bytes_written", "num_write_ops");
    write_op(into, figures, Op::unmap, "bytes_unmapped", "num_unmap_ops");
    write_op(into, figures, Op::copy, "bytes_copied", "num_copy_ops");
    write_latency(into, figures.of(Op::read), "read");
    write_latency(into, figures.of(Op::write), "write");
    write_latency(into, figures.of(Op::unmap), "unmap");
    write_latency(into, figures.of(Op::copy), "copy");
    Json errors = Json::object();
    for (size_t at = 0; at < status_count; ++at) {
        if (figures.errors[at] > 0) errors[std::string(name_of(static_cast<Status>(at)))] = figures.errors[at];
    }
    into["io_error"] = std::move(errors);
}

Task<std::vector<ChannelFigures>> visit_channels(Device& device, ResetMode mode) {
    std::vector<ChannelFigures> all;
    co_await for_each_channel<Channel>(device, [&all, mode](Channel& channel) {
        all.push_back({channel.thread().id(), channel.in_flight(), channel.statistics()});
        channel.reset_statistics(mode);
    });
    co_return all;
}

Json header() { return {{"tick_rate", env::ns_per_s}, {"ticks", Reactor::current().now()}}; }

Task<Json> whole_of(Device& device, ResetMode mode) {
    Statistics sum;
    uint32_t in_flight = 0;
    for (const ChannelFigures& channel : co_await visit_channels(device, mode)) {
        sum.add(channel.figures);
        in_flight += channel.in_flight;
    }
    sum.add(device.retired_statistics());
    device.retired_statistics().reset(mode);
    Json figures = {{"name", device.name()}};
    write_figures(figures, sum);
    const DepthSampler::Figures& sampled = device.gate().depth_sampler().figures();
    figures["queue_depth_polling_period"] = sampled.period_us;
    figures["queue_depth"] = sampled.period_us != 0 ? sampled.depth : in_flight;
    figures["io_time"] = sampled.io_time_us;
    figures["weighted_io_time"] = sampled.weighted_io_time_us;
    co_return figures;
}

Task<Json> by_channel(Device& device, ResetMode mode) {
    Json answer = header();
    answer["name"] = device.name();
    answer["channels"] = Json::array();
    for (const ChannelFigures& channel : co_await visit_channels(device, mode)) {
        Json figures = {{"thread_id", channel.thread_id}};
        write_figures(figures, channel.figures);
        answer["channels"].push_back(std::move(figures));
    }
    co_return answer;
}

using Descriptors = std::vector<std::unique_ptr<Descriptor>>;

// Held open, so that they do not go while their threads are asked.
Result<Descriptors> open_named(Registry& devices, const std::vector<std::string>& names) {
    Descriptors opened;
    for (const std::string& name : names) {
        auto descriptor = devices.open(name, {});
        if (!descriptor) return std::unexpected(std::move(descriptor).error());
        opened.push_back(std::move(*descriptor));
    }
    return opened;
}

std::vector<std::string> names_of_all(const Registry& devices) {
    std::vector<std::string> names;
    for (const Device* device : devices.all()) names.push_back(device->name());
    return names;
}

Task<Result<Json>> get_iostat(Registry& devices, GetIostat params) {
    std::vector<std::string> names = params.names.value_or(std::vector<std::string>{});
    if (names.size() > names_max) co_return fail(Errc::invalid_argument, "names: more than 1024");
    if (params.name) names.push_back(*params.name);
    if (params.per_channel && names.size() != 1) {
        co_return fail(Errc::invalid_argument, "per_channel: goes with the name of one bdev");
    }
    if (!params.name && !params.names) names = names_of_all(devices);
    auto opened = open_named(devices, names);
    if (!opened) co_return std::unexpected(std::move(opened).error());
    if (params.per_channel) co_return co_await by_channel(opened->front()->device(), params.reset_mode);
    Json answer = header();
    answer["bdevs"] = Json::array();
    for (const auto& descriptor : *opened) {
        answer["bdevs"].push_back(co_await whole_of(descriptor->device(), params.reset_mode));
    }
    co_return answer;
}

Task<Result<Json>> reset_iostat(Registry& devices, ResetIostat params) {
    auto opened = open_named(devices, params.name ? std::vector{*params.name} : names_of_all(devices));
    if (!opened) co_return std::unexpected(std::move(opened).error());
    for (const auto& descriptor : *opened) {
        co_await visit_channels(descriptor->device(), params.mode);
        descriptor->device().retired_statistics().reset(params.mode);
    }
    co_return Json(true);
}

Task<Result<Json>> set_sampling_period(Registry& devices, SetSamplingPeriod params) {
    const auto descriptor = devices.open(params.name, {});
    if (!descriptor) co_return std::unexpected(descriptor.error());
    if (params.period > DepthSampler::period_us_max)
        co_return fail(Errc::invalid_argument, "period: more than an hour");
    Device& device = (*descriptor)->device();
    device.gate().depth_sampler().set_period(devices, device.name(), params.period);
    co_return Json(true);
}

}  // namespace

void add_iostat_methods(rpc::Registry& methods, Registry& devices) {
    methods.add<GetIostat>({.name = "bdev_get_iostat",
                            .role = rpc::Role::read,
                            .text = "Figures of bdevs since their creation, or since they were set back",
                            .aliases = {"get_bdevs_iostat"},
                            .result = "object: tick_rate, ticks, and bdevs or channels with their figures",
                            .codes = {.invalid_argument = -EINVAL}},
                           [&devices](GetIostat params) { return get_iostat(devices, std::move(params)); });
    methods.add<ResetIostat>(
        {.name = "bdev_reset_iostat", .role = rpc::Role::operate, .text = "Sets figures of bdevs back"},
        [&devices](ResetIostat params) { return reset_iostat(devices, std::move(params)); });
    methods.add<SetSamplingPeriod>(
        {.name = "bdev_set_qd_sampling_period",
         .role = rpc::Role::operate,
         .text = "Looks at the queue depth of a bdev once in a period, for bdev_get_iostat",
         .codes = {.invalid_argument = -EINVAL}},
        [&devices](SetSamplingPeriod params) { return set_sampling_period(devices, std::move(params)); });
}

}  // namespace weft::bdev
