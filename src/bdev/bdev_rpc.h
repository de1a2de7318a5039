// RPC methods for bdevs of every kind: bdev_get_bdevs, bdev_get_iostat, bdev_reset_iostat, bdev_enable_histogram,
// bdev_get_histogram, bdev_get_histogram_borders, bdev_set_qos_limit, bdev_set_qd_sampling_period, bdev_examine,
// bdev_wait_for_examine, bdev_set_options.
#pragma once

#include <string>

#include "bdev/registry.h"
#include "reactor/task.h"
#include "rpc/config_key.h"
#include "rpc/json_fwd.h"
#include "rpc/registry.h"

namespace weft::bdev {

// What md_size, dif_type, dif_is_head_of_md and dif_pi_format of a method say. Errors: invalid_argument; whether it
// fits the blocks is check_format()'s to say.
Result<ProtectionFormat> format_of(uint32_t md_size, int32_t dif_type, bool is_first, uint32_t pi_format);

// Of bdev_set_options. The sizes are kept so that a configuration goes through and comes back as it was: requests and
// buffers belong to queues and poll groups here, and no pool has them.
struct BdevOptions {
    uint32_t bdev_io_pool_size = 65535;
    uint32_t bdev_io_cache_size = 256;
    bool bdev_auto_examine = true;
    uint32_t iobuf_small_cache_size = 128;
    uint32_t iobuf_large_cache_size = 16;

    static constexpr auto fields() {
        return rpc::fields(
            rpc::optional("bdev_io_pool_size", &BdevOptions::bdev_io_pool_size, "Kept for compatibility"),
            rpc::optional("bdev_io_cache_size", &BdevOptions::bdev_io_cache_size, "Kept for compatibility"),
            rpc::optional("bdev_auto_examine", &BdevOptions::bdev_auto_examine,
                          "Looks for partitions and the like on each bdev that comes"),
            rpc::optional("iobuf_small_cache_size", &BdevOptions::iobuf_small_cache_size, "Kept for compatibility"),
            rpc::optional("iobuf_large_cache_size", &BdevOptions::iobuf_large_cache_size, "Kept for compatibility"));
    }
};

// All outlive the methods.
void add_bdev_methods(rpc::Registry& methods, Registry& devices, BdevOptions& options);
void add_iostat_methods(rpc::Registry& methods, Registry& devices);
void add_histogram_methods(rpc::Registry& methods, Registry& devices);
void add_qos_methods(rpc::Registry& methods, Registry& devices);

// The calls that make all devices again: "config" of subsystem "bdev" in a configuration file.
Json write_config(const Registry& devices, const BdevOptions& options);

inline constexpr const char* options_kind = "bdev_set_options";
inline constexpr const char* bdev_kind = "bdev";
inline constexpr const char* histogram_kind = "bdev_enable_histogram";
inline constexpr const char* qos_kind = "bdev_set_qos_limit";
inline rpc::ConfigKey bdev_key(const std::string& name) { return {bdev_kind, name, ""}; }
inline rpc::ConfigKey histogram_key(const std::string& name) { return {histogram_kind, name, ""}; }
inline rpc::ConfigKey qos_key(const std::string& name) { return {qos_kind, name, ""}; }
// Such entries go with their bdev.
inline bool is_part_of_bdev(const rpc::ConfigKey& key) { return key.kind == histogram_kind || key.kind == qos_kind; }
// The call that gives the device the exact histogram it has; null when it has none.
Json histogram_entry(const Device& device);
// The call that gives it its limits; null when it has none.
Json qos_entry(const Device& device);
// "assigned_rate_limits" of bdev_get_bdevs.
Json rate_limits_of(const Device& device);
// The call of that name, as write_config() has it; null when there is no such device.
Json config_entry(const Registry& devices, const BdevOptions& options, const rpc::ConfigKey& key);

// What bdev_get_bdevs tells of a device.
Json describe(const Device& device);

// The body of a module's bdev_x_delete: removes the device if it is one of the module's, and waits until it is gone.
Task<Result<Json>> remove_by_rpc(Registry& devices, std::string name, bool (*is_ours)(const Device& device));

}  // namespace weft::bdev
