// Devices that stand on others: what a seed makes of a namespace, and what its pieces are called.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "env/sim/prng.h"

namespace weft::sim {

struct DevicePlan;

enum class Layer : uint8_t { passthru, delay, error, split, crypto, raid0, raid1, raid5f };
inline constexpr uint32_t layer_count = 8;
[[nodiscard]] std::string_view name_of(Layer layer);

struct StackPlan {
    std::vector<Layer> layers;  // from the bottom; empty: a plain device
    uint32_t bases = 1;
    uint32_t strip_kb = 0;
    bool wishes_first = false;  // the layers are asked for before the bases are there

    [[nodiscard]] bool has(Layer layer) const;
    [[nodiscard]] bool is_raid() const { return has(Layer::raid0) || has_redundancy(); }
    [[nodiscard]] bool has_redundancy() const { return has(Layer::raid1) || has(Layer::raid5f); }
    // What fails in the error device fails the side of a mirror, and no host.
    [[nodiscard]] bool is_error_below() const { return has(Layer::raid1) && layers.front() == Layer::error; }

    static StackPlan choose(Prng& prng);
};

// Makes `device` one that its stack can be: which blocks, where they are kept, how many.
void fit(DevicePlan& device, bool may_be_files);
// A raid that keeps a superblock on its bases: one on files, which comes back after a restart as it was.
[[nodiscard]] bool has_superblock(const DevicePlan& device);
[[nodiscard]] uint64_t base_sectors(const DevicePlan& device);

// Names: of a base, of its file, of what the raid or the first overlay stands on there, of a layer, and of what is
// exported.
[[nodiscard]] std::string base_name(size_t device, uint32_t base);
[[nodiscard]] std::string file_name(const DevicePlan& plan, size_t device, uint32_t base);
[[nodiscard]] std::string side_name(const DevicePlan& plan, size_t device, uint32_t side);
[[nodiscard]] std::string layer_name(Layer layer, size_t device);
[[nodiscard]] std::string top_name(const DevicePlan& plan, size_t device);

}  // namespace weft::sim
