#include "bdev_modules/gpt/gpt_device.h"

#include <fmt/format.h>

#include <algorithm>
#include <new>

#include "base/log.h"
#include "bdev/control_io.h"
#include "bdev/stack/overlay_device.h"
#include "rpc/json.h"

namespace weft::bdev {

const Uuid gpt_type = *Uuid::parse("6527994e-2c5a-4eec-9613-8f5944074e8b");
const Uuid gpt_type_old = *Uuid::parse("7c5222bd-8f5d-4087-9c00-bf9843c7b58c");

namespace {

struct GptTable {
    Uuid disk;
    std::vector<GptPartition> partitions;
};

// Aligned as any device wants it.
class Blocks {
public:
    Blocks(const Device& device, uint64_t count)
        : bytes_(count * device.block_bytes()),
          alignment_(std::align_val_t{std::max<size_t>(device.geometry().alignment_bytes, 4096)}),
          memory_(static_cast<std::byte*>(::operator new(bytes_, alignment_))) {}
    Blocks(const Blocks&) = delete;
    Blocks& operator=(const Blocks&) = delete;
    ~Blocks() { ::operator delete(memory_, alignment_); }
    [[nodiscard]] MutableBytes bytes() const { return {memory_, bytes_}; }

private:
    size_t bytes_;
    std::align_val_t alignment_;
    std::byte* memory_;
};

// The table whose header is at `lba`.
Task<Result<GptTable>> read_table(Registry& registry, Device& device, GptDisk disk, uint64_t lba) {
    const Blocks block(device, 1);
    if (const Status status = co_await read_blocks(registry, device, lba, block.bytes()); status != Status::success) {
        co_return fail(Errc::io_error, fmt::format("block {}: {}", lba, name_of(status)));
    }
    const auto header = parse_gpt_header(block.bytes(), lba, disk);
    if (!header) co_return std::unexpected(header.error());
    const uint64_t entry_bytes = header->entries_bytes();
    const Blocks entries(device, (entry_bytes + disk.block_bytes - 1) / disk.block_bytes);
    const Status status = co_await read_blocks(registry, device, header->entries_lba, entries.bytes());
    if (status != Status::success) {
        co_return fail(Errc::io_error, fmt::format("block {}: {}", header->entries_lba, name_of(status)));
    }
    auto partitions = parse_gpt_entries(entries.bytes().first(entry_bytes), *header);
    if (!partitions) co_return std::unexpected(partitions.error());
    co_return GptTable{header->disk, std::move(*partitions)};
}

}  // namespace

GptDevice::GptDevice(std::string name, const Uuid& disk, GptPartition partition, Registry& registry,
                     std::unique_ptr<Base> base, BlockRange range)
    : PartDevice(std::move(name), partition.unique, registry, std::move(base), range),
      disk_(disk),
      partition_(std::move(partition)) {}

void GptDevice::describe(Json& driver_specific) const {
    driver_specific["gpt"] = {{"base_bdev", below().name()},
                              {"offset_blocks", offset()},
                              {"partition_table_guid", disk_.to_string()},
                              {"partition_type_guid", partition_.type.to_string()},
                              {"unique_partition_guid", partition_.unique.to_string()},
                              {"partition_name", partition_.name}};
}

Task<void> GptExaminer::examine_disk(std::string name) {
    const auto held = registry_.open(name, {});  // it stays while it is read
    if (!held) co_return;
    Device& device = (*held)->device();
    const GptDisk disk{.block_bytes = device.block_bytes(), .block_count = device.block_count()};
    if (disk.block_count < gpt_blocks_min || !device.supports(Op::read)) co_return;
    {
        const Blocks first(device, 1);
        const Status status = co_await read_blocks(registry_, device, 0, first.bytes());
        if (status != Status::success || !has_protective_mbr(first.bytes(), disk)) co_return;
    }
    auto table = co_await read_table(registry_, device, disk, 1);
    if (!table) {
        const std::string why = std::move(table.error().message);
        table = co_await read_table(registry_, device, disk, disk.block_count - 1);
        WEFT_WARNLOG("bdev \"{}\": the partition table cannot be used: {}; its backup {}", log::quoted(name), why,
                     table ? "is used" : "neither: " + table.error().message);
    }
    if (table) add_partitions(device.name(), table->disk, table->partitions);
}

void GptExaminer::add_partitions(const std::string& disk_name, const Uuid& disk,
                                 const std::vector<GptPartition>& partitions) {
    PartBases bases(registry_, disk_name, "gpt");
    for (const GptPartition& partition : partitions) {
        const bool is_old = partition.type == gpt_type_old;
        if (!is_old && partition.type != gpt_type) continue;
        // Those of the old type were made a block shorter than the table says, and what is on them relies on that.
        const uint64_t blocks = partition.last - partition.first + (is_old ? 0 : 1);
        const std::string name = fmt::format("{}p{}", disk_name, partition.number);
        auto made = [&]() -> Result<void> {
            auto base = bases.open();
            if (!base) return std::unexpected(std::move(base).error());
            WEFT_TRY(check_divisible((*base)->device()));
            if (blocks == 0) return fail(Errc::invalid_argument, "it is empty");
            if (partition.unique.is_nil()) return fail(Errc::invalid_argument, "it has no GUID of its own");
            WEFT_TRY(registry_.add(std::make_unique<GptDevice>(name, disk, partition, registry_, std::move(*base),
                                                               BlockRange{partition.first, blocks})));
            return {};
        }();
        if (!made) WEFT_WARNLOG("partition \"{}\" is left out: {}", log::quoted(name), made.error().message);
    }
}

}  // namespace weft::bdev
