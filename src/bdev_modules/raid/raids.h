// All raids of a program: makes them, by name or by what is written on disks, and finds their bases as these come.
// Lives on the app thread, longer than the registry's devices.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "bdev/registry.h"
#include "bdev_modules/raid/raid_array.h"
#include "reactor/task.h"
#include "rpc/config_key.h"
#include "rpc/json_fwd.h"

namespace weft::bdev {

class Raids final : public Examiner, private RaidHouse {
public:
    // `accel` makes parity, and lives longer. `is_concurrent`: there is more than one data reactor.
    Raids(Registry& registry, accel::Framework& accel, bool is_concurrent);
    Raids(const Raids&) = delete;
    Raids& operator=(const Raids&) = delete;
    ~Raids() override;

    // Bases that are not there are waited for. Errors: already_exists, permission_denied (a base is somebody's),
    // invalid_argument, io_error. Then nothing is left of it.
    Task<Result<void>> create(RaidArray::Params params);
    // Errors: no_such_device.
    Task<Result<void>> destroy(std::string name, bool clears_superblocks);
    // Errors: no_such_device, and those of RaidArray.
    Task<Result<void>> add_base(std::string raid, std::string base);
    Task<Result<void>> remove_base(std::string base);

    [[nodiscard]] const std::vector<std::unique_ptr<RaidArray>>& all() const { return arrays_; }
    // nullptr: none. Who waits for anything takes a RaidArray::Hold.
    [[nodiscard]] RaidArray* find(std::string_view name) const;
    RaidOptions& mutable_options() { return options_; }

    // What save_config says besides the devices' own entries: the options, and raids that are not online.
    [[nodiscard]] Json options_entry() const;
    void write_config(Json& entries) const;
    // null when that is not one of these.
    [[nodiscard]] Json config_entry(const rpc::ConfigKey& key) const;

    void examine_config(Device& device) override;
    Task<void> examine_disk(std::string name) override;

private:
    Registry& registry() const override { return registry_; }
    const RaidOptions& options() const override { return options_; }
    bool is_concurrent() const override { return is_concurrent_; }
    accel::Framework& accel() const override { return accel_; }
    void forget(RaidArray& array) override;
    void bury(RaidArray& array) override;
    void look_for_members(RaidArray& array) override;

    Result<void> check(const RaidArray::Params& params) const;
    [[nodiscard]] bool waits_for(const std::string& base, const std::string& raid) const;
    Task<void> attach(RaidArray::Hold array, size_t slot);
    // What the superblock on that device leads to; names of other devices to look at.
    Task<std::vector<std::string>> take(RaidSuperblock superblock, std::string name);
    Task<void> look_at(std::vector<std::string> names);
    [[nodiscard]] std::vector<std::string> devices_named(const std::vector<Uuid>& uuids) const;

    Registry& registry_;
    accel::Framework& accel_;
    const bool is_concurrent_;
    RaidOptions options_;
    std::vector<std::unique_ptr<RaidArray>> arrays_;
    std::vector<std::unique_ptr<RaidArray>> leaving_;  // forgotten, but held
};

inline constexpr const char* raid_options_kind = "bdev_raid_set_options";

}  // namespace weft::bdev
