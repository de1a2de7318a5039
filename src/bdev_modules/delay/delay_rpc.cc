#include "bdev_modules/delay/delay_rpc.h"

#include <cerrno>
#include <optional>

#include "bdev_modules/delay/delay_device.h"
#include "rpc/json.h"

namespace weft {

template <>
struct rpc::EnumNames<bdev::LatencyKind> {
    static constexpr rpc::EnumName<bdev::LatencyKind> values[] = {{"avg_read", bdev::LatencyKind::avg_read},
                                                                  {"p99_read", bdev::LatencyKind::p99_read},
                                                                  {"avg_write", bdev::LatencyKind::avg_write},
                                                                  {"p99_write", bdev::LatencyKind::p99_write}};
};

namespace bdev {

namespace {

struct DelayCreate {
    std::string base_bdev_name;
    std::string name;
    uint64_t avg_read_latency = 0;
    uint64_t p99_read_latency = 0;
    uint64_t avg_write_latency = 0;
    uint64_t p99_write_latency = 0;
    std::optional<Uuid> uuid;

    static constexpr auto fields() {
        using P = DelayCreate;
        return rpc::fields(
            rpc::required("base_bdev_name", &P::base_bdev_name, "What it stands on; it is made when that is there"),
            rpc::required("name", &P::name, "Its name"),
            rpc::required("avg_read_latency", &P::avg_read_latency, "Microseconds that reads take longer"),
            rpc::required("p99_read_latency", &P::p99_read_latency, "The same, of one read in a hundred"),
            rpc::required("avg_write_latency", &P::avg_write_latency, "Microseconds that writes take longer"),
            rpc::required("p99_write_latency", &P::p99_write_latency, "The same, of one write in a hundred"),
            rpc::optional("uuid", &P::uuid, "Default: made from the base's UUID and the name"));
    }
};

struct DelayDelete {
    std::string name;
    static constexpr auto fields() { return rpc::fields(rpc::required("name", &DelayDelete::name, "The bdev")); }
};

struct DelayUpdate {
    std::string delay_bdev_name;
    LatencyKind latency_type{};
    uint64_t latency_us = 0;

    static constexpr auto fields() {
        using P = DelayUpdate;
        return rpc::fields(rpc::required("delay_bdev_name", &P::delay_bdev_name, "The bdev"),
                           rpc::required("latency_type", &P::latency_type, "Which latency"),
                           rpc::required("latency_us", &P::latency_us, "Microseconds"));
    }
};

Task<rpc::Response> create(Awaited& awaited, DelayCreate params) {
    co_return answer_to(
        create_delay_device(awaited, {.name = params.name,
                                      .base = params.base_bdev_name,
                                      .uuid = params.uuid.value_or(Uuid()),
                                      .latency_us = {params.avg_read_latency, params.p99_read_latency,
                                                     params.avg_write_latency, params.p99_write_latency}}),
        params.name, -EINVAL);
}

Task<Result<Json>> remove(Awaited& awaited, std::string name) {
    WEFT_CO_TRY(co_await delete_wish(awaited, "delay", std::move(name)));
    co_return Json(true);
}

// The codes are the field's.
Task<rpc::Response> update(Awaited& awaited, DelayUpdate params) {
    Device* device = awaited.registry().find(params.delay_bdev_name);
    if (device == nullptr) {
        co_return rpc::fail_code(rpc::code::invalid_params, "The requested bdev does not exist.");
    }
    auto* delay = dynamic_cast<DelayDevice*>(device);
    if (delay == nullptr) {
        co_return rpc::fail_code(rpc::code::invalid_request, "The requested bdev is not a delay bdev.");
    }
    WEFT_CO_TRY(update_latency(awaited, *delay, params.latency_type, params.latency_us));
    co_return Json(true);
}

}  // namespace

void add_delay_methods(rpc::Registry& methods, Awaited& awaited) {
    methods.add<DelayCreate>(
        {.name = "bdev_delay_create",
         .role = rpc::Role::operate,
         .text = "Makes a bdev whose reads and writes take longer than those of the bdev it stands on; when that is "
                 "not there yet, as soon as it comes",
         .result = "string: its name",
         .changes_config = true},
        [&awaited](DelayCreate params) { return create(awaited, std::move(params)); });
    methods.add<DelayDelete>({.name = "bdev_delay_delete",
                              .role = rpc::Role::operate,
                              .text = "Removes a delay bdev, or waits for its base no longer",
                              .changes_config = true},
                             [&awaited](DelayDelete params) { return remove(awaited, std::move(params.name)); });
    methods.add<DelayUpdate>({.name = "bdev_delay_update_latency",
                              .role = rpc::Role::operate,
                              .text = "Changes one latency of a delay bdev, for I/O that ends from now on",
                              .changes_config = true},
                             [&awaited](DelayUpdate params) { return update(awaited, std::move(params)); });
}

}  // namespace bdev
}  // namespace weft
