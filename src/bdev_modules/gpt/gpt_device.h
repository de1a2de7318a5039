// The partitions of a disk with a GUID partition table, as devices: <disk>p1, <disk>p2, … Only those that say by their
// type that they are for this use: others belong to an operating system.
#pragma once

#include <string>

#include "bdev/registry.h"
#include "bdev/stack/part_device.h"
#include "bdev_modules/gpt/gpt_table.h"

namespace weft::bdev {

// The types of the field's partitions: today's, and one whose partitions lack their last block.
extern const Uuid gpt_type;
extern const Uuid gpt_type_old;

class GptDevice final : public PartDevice {
public:
    GptDevice(std::string name, const Uuid& disk, GptPartition partition, Registry& registry,
              std::unique_ptr<Base> base, BlockRange range);

    [[nodiscard]] std::string_view product_name() const override { return "GPT Disk"; }
    void describe(Json& driver_specific) const override;

private:
    const Uuid disk_;
    const GptPartition partition_;
};

// Looks for a table on each disk that nobody has claimed. Lives on the app thread; outlives the registry's devices.
class GptExaminer final : public Examiner {
public:
    explicit GptExaminer(Registry& registry) : registry_(registry) { registry.add_examiner(*this); }
    Task<void> examine_disk(std::string name) override;

private:
    void add_partitions(const std::string& disk_name, const Uuid& disk, const std::vector<GptPartition>& partitions);
    Registry& registry_;
};

}  // namespace weft::bdev
