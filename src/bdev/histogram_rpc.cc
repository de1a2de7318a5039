// bdev_enable_histogram, bdev_get_histogram, bdev_get_histogram_borders.
#include <fmt/format.h>

#include <algorithm>
#include <cerrno>
#include <optional>
#include <vector>

#include "bdev/bdev_rpc.h"
#include "rpc/json.h"

namespace weft::bdev {

namespace {

constexpr size_t borders_max = 256;
constexpr uint64_t ns_per_border = 1000;

struct EnableHistogram {
    std::string name;
    bool enable = false;
    std::optional<std::string> opc;
    uint8_t granularity = 7;
    uint64_t min_nsec = 1000;
    uint64_t max_nsec = 120'000'000'000;

    static constexpr auto fields() {
        using P = EnableHistogram;
        return rpc::fields(
            rpc::required("name", &P::name, "The bdev"),
            rpc::required("enable", &P::enable, "Whether exact latencies are counted; what was counted is forgotten"),
            rpc::optional("opc", &P::opc, "Only this kind of I/O, by its name in the metrics"),
            rpc::optional("granularity", &P::granularity, "Buckets of each power of two, as a power of two: 1 to 12"),
            rpc::optional("min_nsec", &P::min_nsec, "Shorter latencies are counted as this"),
            rpc::optional("max_nsec", &P::max_nsec, "Longer latencies are counted as this"));
    }
};

struct GetHistogram {
    std::string name;
    static constexpr auto fields() { return rpc::fields(rpc::required("name", &GetHistogram::name, "The bdev")); }
};

struct GetBorders {
    std::string name;
    std::vector<uint64_t> borders;
    static constexpr auto fields() {
        return rpc::fields(rpc::required("name", &GetBorders::name, "The bdev"),
                           rpc::required("borders", &GetBorders::borders, "Microseconds, ascending; at most 256"));
    }
};

Result<std::optional<Op>> op_of(const std::optional<std::string>& name) {
    if (!name) return std::optional<Op>();
    std::string names;
    for (size_t at = 0; at < op_count; ++at) {
        names += fmt::format("{}{}", at == 0 ? "" : at + 1 == op_count ? " and " : ", ", name_of(static_cast<Op>(at)));
        if (name_of(static_cast<Op>(at)) == *name) return std::optional(static_cast<Op>(at));
    }
    return fail(Errc::invalid_argument, fmt::format("opc: must be one of {}", names));
}

Task<Result<Json>> enable_histogram(Registry& devices, EnableHistogram params) {
    auto descriptor = devices.open(params.name, {});
    if (!descriptor) co_return std::unexpected(std::move(descriptor).error());
    auto op = op_of(params.opc);
    if (!op) co_return std::unexpected(std::move(op).error());
    auto shape = HistogramShape::of(params.granularity, params.min_nsec, params.max_nsec, *op);
    if (!shape) co_return std::unexpected(std::move(shape).error());
    shape->is_on = params.enable;
    Device& device = (*descriptor)->device();
    // Off and on again: what was counted is forgotten, also when the shape is the same.
    for (const HistogramShape& next : {HistogramShape{}, *shape}) {
        device.set_histogram(next);
        co_await for_each_channel<Channel>(device, [&next](Channel& channel) { channel.follow(next); });
    }
    devices.note_change(device.name());
    co_return Json(true);
}

Task<rpc::Response> sum_of(Registry& devices, std::string name, std::optional<Histogram>& sum) {
    auto descriptor = devices.open(name, {});
    if (!descriptor) co_return std::unexpected(std::move(descriptor).error());
    Device& device = (*descriptor)->device();
    if (!device.histogram_shape().is_on) {
        // The field's number for it.
        co_return rpc::fail_code(
            -EFAULT, fmt::format("no histogram is kept of {}: bdev_enable_histogram starts one", device.name()));
    }
    std::vector<Histogram> parts;
    co_await for_each_channel<Channel>(device, [&parts](Channel& channel) { parts.push_back(channel.histogram()); });
    sum.emplace(device.retired_histogram());
    for (const Histogram& part : parts) sum->add(part);
    co_return Json();
}

Task<rpc::Response> get_histogram(Registry& devices, GetHistogram params) {
    std::optional<Histogram> sum;
    auto done = co_await sum_of(devices, std::move(params.name), sum);
    if (!done) co_return done;
    const HistogramShape& shape = sum->shape();
    co_return Json{{"histogram", sum->encoded()},
                   {"granularity", shape.granularity},
                   {"min_range", shape.range_min},
                   {"max_range", shape.range_max},
                   {"tsc_rate", env::ns_per_s}};
}

Task<rpc::Response> get_borders(Registry& devices, GetBorders params) {
    if (params.borders.size() > borders_max || !std::ranges::is_sorted(params.borders)) {
        co_return rpc::fail_code(rpc::code::invalid_params,
                                 "borders: must be at most 256 numbers of microseconds in ascending order");
    }
    std::optional<Histogram> sum;
    auto done = co_await sum_of(devices, std::move(params.name), sum);
    if (!done) co_return done;
    for (uint64_t& border : params.borders) border = std::min(border, UINT64_MAX / ns_per_border) * ns_per_border;
    co_return Json{{"borders_count", sum->counts_up_to(params.borders)}};
}

}  // namespace

Json histogram_entry(const Device& device) {
    const HistogramShape shape = device.histogram_shape();
    if (!shape.is_on) return {};
    Json params = {{"name", device.name()},
                   {"enable", true},
                   {"granularity", shape.granularity},
                   {"min_nsec", shape.min_ns()},
                   {"max_nsec", shape.max_ns()}};
    if (shape.op) params["opc"] = name_of(*shape.op);
    return {{"method", histogram_kind}, {"params", std::move(params)}};
}

void add_histogram_methods(rpc::Registry& methods, Registry& devices) {
    methods.add<EnableHistogram>(
        {.name = histogram_kind,
         .role = rpc::Role::operate,
         .text = "Counts the latencies of a bdev exactly, or stops to",
         .changes_config = true},
        [&devices](EnableHistogram params) { return enable_histogram(devices, std::move(params)); });
    methods.add<GetHistogram>(
        {.name = "bdev_get_histogram",
         .role = rpc::Role::read,
         .text = "The latencies that were counted, of all channels",
         .result = "object: histogram (base64 of 64-bit counts, little-endian), granularity, min_range, …"},
        [&devices](GetHistogram params) { return get_histogram(devices, std::move(params)); });
    methods.add<GetBorders>({.name = "bdev_get_histogram_borders",
                             .role = rpc::Role::read,
                             .text = "How many latencies were at most as long as each border, and how many there are",
                             .result = "object: borders_count"},
                            [&devices](GetBorders params) { return get_borders(devices, std::move(params)); });
}

}  // namespace weft::bdev
