// nvmf_subsystem_set_host_qos_limit, and limits of hosts in other methods.
#include "nvmf/rpc/qos_rpc.h"

#include <algorithm>

#include "nvmf/target.h"
#include "rpc/json.h"

namespace weft::nvmf {

namespace {

constexpr uint64_t bytes_per_mbyte = uint64_t{1} << 20;

std::optional<uint64_t> bytes_of(std::optional<uint64_t> mbytes) {
    if (!mbytes) return std::nullopt;
    return std::min(*mbytes, UINT64_MAX / bytes_per_mbyte) * bytes_per_mbyte;
}

struct SetHostLimit {
    std::string nqn, host;
    std::optional<std::string> tgt_name;
    std::optional<uint64_t> rw_ios_per_sec, rw_mbytes_per_sec, r_mbytes_per_sec, w_mbytes_per_sec;

    static constexpr auto fields() {
        using P = SetHostLimit;
        return rpc::fields(
            rpc::required("nqn", &P::nqn, "NQN of the subsystem"), rpc::required("host", &P::host, "NQN of the host"),
            rpc::optional("tgt_name", &P::tgt_name, "Target"),
            rpc::optional("rw_ios_per_sec", &P::rw_ios_per_sec,
                          "I/O commands a second; 0: no limit; default: as it is"),
            rpc::optional("rw_mbytes_per_sec", &P::rw_mbytes_per_sec, "MiB a second of reads and writes; 0: no limit"),
            rpc::optional("r_mbytes_per_sec", &P::r_mbytes_per_sec, "MiB a second of reads; 0: no limit"),
            rpc::optional("w_mbytes_per_sec", &P::w_mbytes_per_sec, "MiB a second of writes; 0: no limit"));
    }
};

Task<Result<Json>> set_host_limit(const TargetHolder& holder, SetHostLimit params) {
    auto subsystem = subsystem_of(holder, params.tgt_name, params.nqn);
    if (!subsystem) co_return std::unexpected(std::move(subsystem).error());
    const LimitChange change = LimitParams{.rw_ios_per_sec = params.rw_ios_per_sec,
                                           .rw_mbytes_per_sec = params.rw_mbytes_per_sec,
                                           .r_mbytes_per_sec = params.r_mbytes_per_sec,
                                           .w_mbytes_per_sec = params.w_mbytes_per_sec}
                                   .change();
    if (change.is_empty()) co_return fail(Errc::invalid_argument, "No rate limits specified");
    WEFT_CO_TRY(co_await (*subsystem)->set_host_limits(std::move(params.host), change));
    co_return Json(true);
}

}  // namespace

LimitChange LimitParams::change() const {
    return {.operations = rw_ios_per_sec,
            .bytes = bytes_of(rw_mbytes_per_sec),
            .read_bytes = bytes_of(r_mbytes_per_sec),
            .written_bytes = bytes_of(w_mbytes_per_sec)};
}

Json limits_json(const bdev::RateLimits& limits) {
    Json told = Json::object();
    const auto tell = [&told](const char* name, uint64_t limit) {
        if (limit != 0) told[name] = limit;
    };
    tell("rw_ios_per_sec", limits.operations);
    tell("rw_mbytes_per_sec", limits.bytes / bytes_per_mbyte);
    tell("r_mbytes_per_sec", limits.read_bytes / bytes_per_mbyte);
    tell("w_mbytes_per_sec", limits.written_bytes / bytes_per_mbyte);
    return told;
}

void add_host_qos_methods(rpc::Registry& registry, TargetHolder& holder) {
    registry.add<SetHostLimit>(
        {.name = "nvmf_subsystem_set_host_qos_limit",
         .role = rpc::Role::operate,
         .text = "Limits how much a host does with a subsystem in a second, by all its controllers and queues together",
         .codes = refused_as_invalid,
         .changes_config = true},
        [&holder](SetHostLimit params) { return set_host_limit(holder, std::move(params)); });
}

}  // namespace weft::nvmf
