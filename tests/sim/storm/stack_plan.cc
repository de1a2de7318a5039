#include "sim/storm/stack_plan.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "sim/storm/plan.h"

namespace weft::sim {

namespace {

constexpr std::array<std::string_view, layer_count> layer_names = {"passthru", "delay", "error", "split",
                                                                   "crypto",   "raid0", "raid1", "raid5f"};
constexpr uint32_t parts_of_split = 3;           // the second is exported
constexpr uint64_t more_mirrors = 4;             // there is more to go wrong in them than in others
constexpr uint64_t superblock_sectors = 2048 + 64;  // what a raid keeps for itself, and some to round

uint64_t round_up(uint64_t value, uint64_t unit) { return (value + unit - 1) / unit * unit; }

}  // namespace

std::string_view name_of(Layer layer) { return layer_names[static_cast<size_t>(layer)]; }

bool StackPlan::has(Layer layer) const { return std::ranges::find(layers, layer) != layers.end(); }

// Everything is drawn whatever comes of it.
StackPlan StackPlan::choose(Prng& prng) {
    StackPlan plan;
    const uint64_t drawn = prng.below(layer_count + more_mirrors);
    const auto first = drawn < layer_count ? static_cast<Layer>(drawn) : Layer::raid1;
    const bool is_error_below = prng.coin();
    const uint64_t over = prng.below(8);
    const bool is_large = prng.below(3) == 0;
    plan.wishes_first = prng.coin();
    if (first == Layer::raid1 && is_error_below) plan.layers.push_back(Layer::error);
    plan.layers.push_back(first);
    constexpr std::array overlays = {Layer::passthru, Layer::delay, Layer::crypto, Layer::error};
    if (over < overlays.size() && !plan.has(overlays[over]) &&
        !(overlays[over] == Layer::crypto && first == Layer::raid5f)) {  // its parts would not be whole stripes
        plan.layers.push_back(overlays[over]);
    }
    if (plan.is_raid())
        plan.bases = (first == Layer::raid5f ? 3U : 2U) + (is_large && first != Layer::raid5f ? 1U : 0U);
    return plan;
}

void fit(DevicePlan& device, bool may_be_files) {
    StackPlan& stack = device.stack;
    if (stack.layers.empty()) return;
    // Of raid5f docs/bdev/raid.md says what a failure amid writes does to a stripe: more than a model of sectors knows.
    if (!may_be_files || stack.has(Layer::raid5f)) device.kind = DeviceKind::ram;
    // Half a block of zeroes and half of ciphertext is neither blank nor readable.
    if (device.is_file() && stack.has(Layer::crypto)) device.block_bytes = 512;
    if (stack.has(Layer::raid0)) stack.strip_kb = device.block_bytes == 512 ? 2 : 8;
    if (stack.has(Layer::raid5f)) {
        stack.strip_kb = device.block_bytes == 512 ? 1 : 4;
        device.sectors = device.sectors / 16 * 16;
    }
}

bool has_superblock(const DevicePlan& device) { return device.stack.has(Layer::raid1) && device.is_file(); }

uint64_t base_sectors(const DevicePlan& device) {
    const StackPlan& stack = device.stack;
    const uint64_t strip = uint64_t{stack.strip_kb} * 2;
    if (stack.has(Layer::split)) return device.sectors * parts_of_split;
    if (stack.has(Layer::raid0)) return round_up((device.sectors + stack.bases - 1) / stack.bases, strip);
    if (stack.has(Layer::raid5f)) return round_up((device.sectors + stack.bases - 2) / (stack.bases - 1), strip);
    return device.sectors + (has_superblock(device) ? superblock_sectors : 0);
}

uint32_t DevicePlan::unit_sectors() const {
    return stack.has(Layer::raid5f) ? stack.strip_kb * 2 * (stack.bases - 1) : block_sectors();
}

std::string base_name(size_t device, uint32_t base) {
    return fmt::format("Base{}{}", device, static_cast<char>('a' + base));
}

std::string file_name(const DevicePlan& plan, size_t device, uint32_t base) {
    return plan.stack.layers.empty() ? fmt::format("/disk{}", device) : "/" + base_name(device, base);
}

std::string side_name(const DevicePlan& plan, size_t device, uint32_t side) {
    return (plan.stack.is_error_below() ? "EE_" : "") + base_name(device, side);
}

std::string layer_name(Layer layer, size_t device) { return fmt::format("{}{}", name_of(layer), device); }

std::string top_name(const DevicePlan& plan, size_t device) {
    if (plan.stack.layers.empty()) return fmt::format("Disk{}", device);
    std::string name = base_name(device, 0);
    for (const Layer layer : plan.stack.layers) {
        switch (layer) {
            case Layer::error: name.insert(0, "EE_"); break;
            case Layer::split: name += "p1"; break;
            default: name = layer_name(layer, device);
        }
    }
    return name;
}

}  // namespace weft::sim
