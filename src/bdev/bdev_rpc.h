// RPC methods for bdevs of every kind: bdev_get_bdevs, bdev_get_iostat, bdev_reset_iostat, bdev_enable_histogram,
// bdev_get_histogram, bdev_get_histogram_borders, bdev_examine, bdev_wait_for_examine, bdev_set_options.
#pragma once

#include <string>

#include "bdev/registry.h"
#include "reactor/task.h"
#include "rpc/config_key.h"
#include "rpc/json_fwd.h"
#include "rpc/registry.h"

namespace weft::bdev {

// Of bdev_set_options. Kept so that a configuration goes through and comes back as it was: requests and buffers
// belong to queues and poll groups here, nothing is examined, and no pool has these sizes.
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
            rpc::optional("bdev_auto_examine", &BdevOptions::bdev_auto_examine, "Kept for compatibility"),
            rpc::optional("iobuf_small_cache_size", &BdevOptions::iobuf_small_cache_size, "Kept for compatibility"),
            rpc::optional("iobuf_large_cache_size", &BdevOptions::iobuf_large_cache_size, "Kept for compatibility"));
    }
};

// All outlive the methods.
void add_bdev_methods(rpc::Registry& methods, Registry& devices, BdevOptions& options);
void add_iostat_methods(rpc::Registry& methods, Registry& devices);
void add_histogram_methods(rpc::Registry& methods, Registry& devices);

// The calls that make all devices again: "config" of subsystem "bdev" in a configuration file.
Json write_config(const Registry& devices, const BdevOptions& options);

inline constexpr const char* options_kind = "bdev_set_options";
inline constexpr const char* bdev_kind = "bdev";
inline constexpr const char* histogram_kind = "bdev_enable_histogram";
inline rpc::ConfigKey bdev_key(const std::string& name) { return {bdev_kind, name, ""}; }
inline rpc::ConfigKey histogram_key(const std::string& name) { return {histogram_kind, name, ""}; }
// The call that gives the device the exact histogram it has; null when it has none.
Json histogram_entry(const Device& device);
// The call of that name, as write_config() has it; null when there is no such device.
Json config_entry(const Registry& devices, const BdevOptions& options, const rpc::ConfigKey& key);

// What bdev_get_bdevs tells of a device.
Json describe(const Device& device);

// The body of a module's bdev_x_delete: removes the device if it is one of the module's, and waits until it is gone.
Task<Result<Json>> remove_by_rpc(Registry& devices, std::string name, bool (*is_ours)(const Device& device));

}  // namespace weft::bdev
