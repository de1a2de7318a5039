// bdev_set_qos_limit.
#include <fmt/format.h>

#include <cerrno>
#include <optional>

#include "base/log.h"
#include "bdev/bdev_rpc.h"
#include "bdev/gate/device_gate.h"
#include "rpc/json.h"

namespace weft::bdev {

namespace {

constexpr uint64_t operations_unit = 1000;
constexpr uint64_t bytes_per_mbyte = uint64_t{1} << 20;
constexpr uint64_t mbytes_max = UINT64_MAX / bytes_per_mbyte;

struct SetQosLimit {
    std::string name;
    std::optional<uint64_t> rw_ios_per_sec;
    std::optional<uint64_t> rw_mbytes_per_sec;
    std::optional<uint64_t> r_mbytes_per_sec;
    std::optional<uint64_t> w_mbytes_per_sec;

    static constexpr auto fields() {
        using P = SetQosLimit;
        return rpc::fields(
            rpc::required("name", &P::name, "The bdev"),
            rpc::optional(
                "rw_ios_per_sec", &P::rw_ios_per_sec,
                "Reads and writes a second, rounded up to a multiple of 1000; 0: no limit; default: as it is"),
            rpc::optional("rw_mbytes_per_sec", &P::rw_mbytes_per_sec, "MiB a second of reads and writes; 0: no limit"),
            rpc::optional("r_mbytes_per_sec", &P::r_mbytes_per_sec, "MiB a second of reads; 0: no limit"),
            rpc::optional("w_mbytes_per_sec", &P::w_mbytes_per_sec, "MiB a second of writes; 0: no limit"));
    }
};

uint64_t rounded_up(uint64_t operations) {
    const uint64_t over = operations % operations_unit;
    if (over == 0) return operations;
    const uint64_t rounded =
        operations > UINT64_MAX - operations_unit ? operations - over : operations + (operations_unit - over);
    WEFT_WARNLOG("rw_ios_per_sec: {} is not a multiple of {}; taken as {}", operations, operations_unit, rounded);
    return rounded;
}

uint64_t bytes_of(uint64_t mbytes) { return std::min(mbytes, mbytes_max) * bytes_per_mbyte; }

Task<rpc::Response> set_qos_limit(Registry& devices, SetQosLimit params) {
    auto descriptor = devices.open(params.name, {});
    if (!descriptor) co_return std::unexpected(std::move(descriptor).error());
    if (!params.rw_ios_per_sec && !params.rw_mbytes_per_sec && !params.r_mbytes_per_sec && !params.w_mbytes_per_sec) {
        co_return rpc::fail_code(-EINVAL, "No rate limits specified");
    }
    Device& device = (*descriptor)->device();
    RateLimits limits = device.gate().rate_limits();
    if (params.rw_ios_per_sec) limits.operations = rounded_up(*params.rw_ios_per_sec);
    if (params.rw_mbytes_per_sec) limits.bytes = bytes_of(*params.rw_mbytes_per_sec);
    if (params.r_mbytes_per_sec) limits.read_bytes = bytes_of(*params.r_mbytes_per_sec);
    if (params.w_mbytes_per_sec) limits.written_bytes = bytes_of(*params.w_mbytes_per_sec);
    co_await device.gate().set_rate_limits(limits);
    devices.note_change(device.name());
    co_return Json(true);
}

}  // namespace

Json rate_limits_of(const Device& device) {
    const RateLimits& limits = device.gate().rate_limits();
    return {{"rw_ios_per_sec", limits.operations},
            {"rw_mbytes_per_sec", limits.bytes / bytes_per_mbyte},
            {"r_mbytes_per_sec", limits.read_bytes / bytes_per_mbyte},
            {"w_mbytes_per_sec", limits.written_bytes / bytes_per_mbyte}};
}

Json qos_entry(const Device& device) {
    if (!device.gate().rate_limits().any()) return {};
    Json params = {{"name", device.name()}};
    for (const auto& [name, limit] : rate_limits_of(device).items()) {
        if (limit != 0) params[name] = limit;
    }
    return {{"method", qos_kind}, {"params", std::move(params)}};
}

void add_qos_methods(rpc::Registry& methods, Registry& devices) {
    methods.add<SetQosLimit>({.name = qos_kind,
                              .role = rpc::Role::operate,
                              .text = "Limits how much a bdev does in a second, by all who use it together",
                              .changes_config = true},
                             [&devices](SetQosLimit params) { return set_qos_limit(devices, std::move(params)); });
}

}  // namespace weft::bdev
