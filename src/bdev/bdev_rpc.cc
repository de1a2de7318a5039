#include "bdev/bdev_rpc.h"

#include <optional>

#include "base/log.h"
#include "reactor/reactor.h"
#include "rpc/json.h"

namespace weft::bdev {

namespace {

struct GetBdevs {
    std::optional<std::string> name;
    std::optional<uint64_t> timeout_ms;

    static constexpr auto fields() {
        return rpc::fields(
            rpc::optional("name", &GetBdevs::name, "Name, alias or UUID of one bdev; default: all"),
            rpc::optional("timeout", &GetBdevs::timeout_ms,
                          "Milliseconds to wait for the named bdev to appear; without a name it means nothing"));
    }
};

struct Examine {
    std::string name;
    static constexpr auto fields() {
        return rpc::fields(rpc::required("name", &Examine::name, "The bdev to examine; there need not be one"));
    }
};

Json supported_io_types(const Device& device) {
    return {{"read", device.accepts(Op::read)},
            {"write", device.accepts(Op::write)},
            {"unmap", device.accepts(Op::unmap)},
            {"flush", device.accepts(Op::flush)},
            {"reset", true},
            {"nvme_admin", false},
            {"nvme_io", false},
            {"nvme_io_md", false},
            {"write_zeroes", device.accepts(Op::write_zeroes)},
            {"zcopy", false},
            {"get_zone_info", device.supports(Op::zone_management)},
            {"zone_management", device.supports(Op::zone_management)},
            {"zone_append", device.supports(Op::zone_append)},
            {"compare", device.accepts(Op::compare)},
            {"compare_and_write", device.accepts(Op::compare_and_write)},
            {"abort", true},
            {"seek_hole", false},
            {"seek_data", false},
            {"copy", device.accepts(Op::copy)},
            {"nvme_iov_md", false},
            {"nvme_nssr", false},
            {"write_uncorrectable", device.accepts(Op::write_uncorrectable)}};
}

Task<Result<Json>> get_bdevs(Registry& devices, GetBdevs params) {
    Json list = Json::array();
    if (!params.name) {
        for (const Device* device : devices.all()) list.push_back(describe(*device));
        co_return list;
    }
    Reactor& reactor = Reactor::current();
    const env::TimeNs start = reactor.now();
    const uint64_t timeout_ms = std::min(params.timeout_ms.value_or(0), (env::time_never - start) / env::ns_per_ms);
    const env::TimeNs deadline = start + timeout_ms * env::ns_per_ms;
    const Device* device = devices.find(*params.name);
    while (device == nullptr && !devices.refuses_more() && reactor.now() < deadline) {
        co_await devices.wait_for_news(deadline);
        device = devices.find(*params.name);
    }
    if (device == nullptr) co_return fail(Errc::no_such_device, "No such device");
    list.push_back(describe(*device));
    co_return list;
}

Task<Result<Json>> set_options(Registry& devices, BdevOptions& options, BdevOptions params) {
    options = params;
    devices.set_auto_examine(params.bdev_auto_examine);
    co_return Json(true);
}

Task<Result<Json>> examine(Registry& devices, std::string name) {
    co_await devices.examine(std::move(name));
    co_return Json(true);
}

Task<Result<Json>> wait_for_examine(Registry& devices) {
    co_await devices.wait_for_examine();
    co_return Json(true);
}

// A name of before each module had a method for it.
struct DeleteBdev {
    std::string name;
    static constexpr auto fields() { return rpc::fields(rpc::required("name", &DeleteBdev::name, "The bdev")); }
};

Task<Result<Json>> delete_bdev(Registry& devices, std::string name) {
    static bool has_warned = false;
    if (!has_warned) WEFT_WARNLOG("RPC method delete_bdev is deprecated, use bdev_malloc_delete or its like");
    has_warned = true;
    return remove_by_rpc(devices, std::move(name), [](const Device&) { return true; });
}

}  // namespace

Result<ProtectionFormat> format_of(uint32_t md_size, int32_t dif_type, bool is_first, uint32_t pi_format) {
    if (md_size > metadata_bytes_max) {
        return fail(Errc::invalid_argument, fmt::format("md_size: at most {}", metadata_bytes_max));
    }
    if (dif_type < 0 || dif_type > 3) return fail(Errc::invalid_argument, "dif_type: 0 to 3");
    if (pi_format > 2) return fail(Errc::invalid_argument, "dif_pi_format: 0 to 2");
    return ProtectionFormat{.metadata_bytes = static_cast<uint16_t>(md_size),
                            .type = static_cast<ProtectionType>(dif_type),
                            .guard = static_cast<Guard>(pi_format),
                            .is_first = is_first};
}

Json describe(const Device& device) {
    const std::string uuid = device.uuid().to_string();
    const Geometry& geometry = device.geometry();
    Json aliases = Json::array();
    if (uuid != device.name()) aliases.push_back(uuid);
    for (const std::string& alias : device.aliases()) aliases.push_back(alias);
    Json facts = {
        {"name", device.name()},
        {"aliases", std::move(aliases)},
        {"product_name", device.product_name()},
        {"block_size", device.block_bytes() + (geometry.metadata_in_data ? geometry.metadata.metadata_bytes : 0U)},
        {"num_blocks", device.block_count()}};
    if (const ProtectionFormat& format = geometry.metadata; format.metadata_bytes != 0) {
        facts["md_size"] = format.metadata_bytes;
        facts["md_interleave"] = geometry.metadata_in_data;
        facts["dif_type"] = format.type;
        if (format.has_tuple()) {
            facts["dif_is_head_of_md"] = format.is_first;
            facts["dif_pi_format"] = format.guard;
        }
    }
    const uint32_t unmap_blocks = geometry.unmap_blocks > 1 ? geometry.unmap_blocks : 0;
    facts["preferred_write_alignment"] = geometry.optimal_blocks;
    facts["preferred_write_granularity"] = geometry.optimal_blocks;
    facts["optimal_write_size"] = geometry.optimal_blocks;
    facts["preferred_unmap_alignment"] = unmap_blocks;
    facts["preferred_unmap_granularity"] = unmap_blocks;
    facts["uuid"] = uuid;
    facts["assigned_rate_limits"] = rate_limits_of(device);
    facts["claimed"] = !device.claimed_by().empty();
    if (!device.claimed_by().empty()) facts["claim_type"] = name_of(device.claim_type());
    facts["zoned"] = device.supports(Op::zone_management);
    facts["supported_io_types"] = supported_io_types(device);
    facts["memory_domains"] = Json::array();
    Json driver_specific = Json::object();
    device.describe(driver_specific);
    facts["driver_specific"] = std::move(driver_specific);
    return facts;
}

Json config_entry(const Registry& devices, const BdevOptions& options, const rpc::ConfigKey& key) {
    if (key.kind == options_kind) return {{"method", options_kind}, {"params", rpc::encode_params(options)}};
    if (key.kind != bdev_kind && !is_part_of_bdev(key)) return {};
    const Device* device = devices.find(key.object);
    if (device != nullptr && device->name() != key.object) device = nullptr;  // an alias is no name
    if (key.kind == histogram_kind) return device == nullptr ? Json() : histogram_entry(*device);
    if (key.kind == qos_kind) return device == nullptr ? Json() : qos_entry(*device);
    Json calls = Json::array();
    if (device != nullptr) {
        device->write_config(calls);
    } else {
        for (const Examiner* examiner : devices.examiners()) examiner->write_waiting(key.object, calls);
    }
    return calls.empty() ? Json() : std::move(calls.front());
}

Json write_config(const Registry& devices, const BdevOptions& options) {
    Json calls = Json::array();
    calls.push_back(config_entry(devices, options, {options_kind, "", ""}));
    for (const Device* device : devices.all()) device->write_config(calls);
    for (const Examiner* examiner : devices.examiners()) examiner->write_waiting("", calls);
    for (const Device* device : devices.all()) {
        if (Json entry = histogram_entry(*device); !entry.is_null()) calls.push_back(std::move(entry));
    }
    for (const Device* device : devices.all()) {
        if (Json entry = qos_entry(*device); !entry.is_null()) calls.push_back(std::move(entry));
    }
    calls.push_back({{"method", "bdev_wait_for_examine"}});
    return calls;
}

Task<Result<Json>> remove_by_rpc(Registry& devices, std::string name, bool (*is_ours)(const Device& device)) {
    const Device* device = devices.find(name);
    if (device == nullptr || !is_ours(*device)) co_return fail(Errc::no_such_device, "No such device");
    WEFT_CO_TRY(co_await devices.remove(std::move(name)));
    co_return Json(true);
}

void add_bdev_methods(rpc::Registry& methods, Registry& devices, BdevOptions& options) {
    methods.add<GetBdevs>({.name = "bdev_get_bdevs",
                           .role = rpc::Role::read,
                           .text = "Lists bdevs, in the order of their creation",
                           .aliases = {"get_bdevs"},
                           .result = "[object]: name, aliases, product_name, block_size, num_blocks, uuid, …"},
                          [&devices](GetBdevs params) { return get_bdevs(devices, std::move(params)); });
    methods.add<BdevOptions>(
        {.name = "bdev_set_options",
         .role = rpc::Role::operate,
         .text = "Takes SPDK's options of the block layer",
         .states = rpc::startup,
         .aliases = {"set_bdev_options"},
         .changes_config = true},
        [&options, &devices](BdevOptions params) { return set_options(devices, options, params); });
    methods.add<DeleteBdev>({.name = "delete_bdev",
                             .role = rpc::Role::operate,
                             .text = "Deprecated: removes a bdev of whatever kind",
                             .changes_config = true},
                            [&devices](DeleteBdev params) { return delete_bdev(devices, std::move(params.name)); });
    methods.add<Examine>(
        {.name = "bdev_examine",
         .role = rpc::Role::operate,
         .text = "Looks for partitions and the like on a bdev, now or when it comes, though bdev_auto_examine is off"},
        [&devices](Examine params) { return examine(devices, std::move(params.name)); });
    methods.add<rpc::NoParams>({.name = "bdev_wait_for_examine",
                                .role = rpc::Role::read,
                                .text = "Answers when all bdevs were looked at for what stands on them"},
                               [&devices](rpc::NoParams) { return wait_for_examine(devices); });
}

}  // namespace weft::bdev
