#include "bdev_modules/zoned/zoned_device.h"

#include <fmt/format.h>

#include <algorithm>
#include <bit>
#include <cstring>

#include "bdev/data_cursor.h"
#include "reactor/reactor.h"
#include "rpc/json.h"

namespace weft::bdev {

namespace {

// All is done on the spot; who meets another one's copy is told to come again.
class ZonedChannel final : public Channel {
public:
    explicit ZonedChannel(ZonedDevice& device) : device_(device) {}

protected:
    Progress start(Request& request) override {
        switch (request.op) {
            case Op::read:
            case Op::compare:
            case Op::verify: return read(request);
            case Op::write:
            case Op::write_zeroes:
            case Op::zone_append: return write(request);
            case Op::zone_management: return manage(request);
            default: return Progress::done;
        }
    }

private:
    static Progress fail_with(Request& request, Status status) {
        request.status = status;
        return Progress::done;
    }
    // `disk` is nullptr for blocks that were not written since the zone was reset: they read as zeroes.
    static void visit(Request& request, DataCursor& data, const std::byte* disk, uint64_t bytes);

    Progress read(Request& request);
    Progress write(Request& request);
    Progress manage(Request& request);

    ZonedDevice& device_;
};

void ZonedChannel::visit(Request& request, DataCursor& data, const std::byte* disk, uint64_t bytes) {
    if (request.op == Op::verify) return;
    for (uint64_t at = 0; at < bytes;) {
        const MutableBytes piece = data.next(bytes - at);
        const bool is_zero = disk == nullptr;
        if (request.op == Op::read && is_zero) std::memset(piece.data(), 0, piece.size());
        if (request.op == Op::read && !is_zero) std::memcpy(piece.data(), disk + at, piece.size());
        if (request.op == Op::compare) {
            const bool is_same = is_zero
                                     ? std::ranges::all_of(piece, [](std::byte byte) { return byte == std::byte{0}; })
                                     : std::memcmp(piece.data(), disk + at, piece.size()) == 0;
            if (!is_same) request.status = Status::miscompare;
        }
        at += piece.size();
    }
}

// May go on from one zone to the next (OZCS says so).
Progress ZonedChannel::read(Request& request) {
    ZoneTable& table = device_.table();
    const uint32_t block_bytes = device_.block_bytes();
    thread().work().count(Work::copy, request.blocks * block_bytes);
    DataCursor data(request.data);
    const uint64_t end = request.lba + request.blocks;
    for (uint64_t at = request.lba; at < end && request.status == Status::success;) {
        const uint64_t index = table.index_of(at);
        const uint64_t start = index * table.geometry().zone_blocks;
        uint64_t written = 0;
        const ZoneTable::Outcome begun = table.begin_read(index, written);
        if (!begun) return Progress::retry;
        if (*begun != Status::success) return fail_with(request, *begun);
        const uint64_t zone_end = std::min(end, start + table.geometry().zone_blocks);
        const uint64_t data_end = std::clamp(start + written, at, zone_end);
        visit(request, data, device_.memory() + at * block_bytes, (data_end - at) * block_bytes);
        visit(request, data, nullptr, (zone_end - data_end) * block_bytes);
        table.end_read(index);
        at = zone_end;
    }
    return Progress::done;
}

Progress ZonedChannel::write(Request& request) {
    ZoneTable& table = device_.table();
    const uint64_t index = table.index_of(request.lba);
    std::optional<uint64_t> lba;
    if (request.op != Op::zone_append) lba = request.lba;
    const ZoneTable::Outcome begun = table.begin_write(index, lba, request.blocks);
    if (!begun) return Progress::retry;
    if (*begun != Status::success) return fail_with(request, *begun);
    const uint64_t bytes = request.blocks * device_.block_bytes();
    std::byte* const disk = device_.memory() + *lba * device_.block_bytes();
    if (request.op == Op::write_zeroes) {
        thread().work().count(Work::fill, bytes);
        std::memset(disk, 0, bytes);
    } else {
        thread().work().count(Work::copy, bytes);
        DataCursor data(request.data);
        for (uint64_t at = 0; at < bytes;) {
            const MutableBytes piece = data.next(bytes - at);
            std::memcpy(disk + at, piece.data(), piece.size());
            at += piece.size();
        }
    }
    table.end_write(index, request.blocks);
    request.lba = *lba;
    return Progress::done;
}

Progress ZonedChannel::manage(Request& request) {
    ZoneTable& table = device_.table();
    if (!request.all_zones && request.lba >= device_.block_count()) return fail_with(request, Status::out_of_range);
    const ZoneTable::Outcome outcome = request.all_zones
                                           ? table.manage_all(request.zone_action)
                                           : table.manage(request.zone_action, table.index_of(request.lba));
    if (!outcome) return Progress::retry;
    request.status = *outcome;
    return Progress::done;
}

ZoneGeometry geometry_of(const ZonedOptions& options) {
    return {.zone_blocks = options.zone_blocks,
            .capacity_blocks = options.capacity_blocks != 0 ? options.capacity_blocks : options.zone_blocks,
            .zone_count = options.zone_count,
            .active_max = options.active_max,
            .open_max = options.open_max};
}

Result<void> check(const ZonedOptions& options) {
    const auto refuse = [](std::string why) -> Result<void> { return fail(Errc::invalid_argument, std::move(why)); };
    if (options.name.empty()) return refuse("name: a zoned device needs one");
    if (options.zone_count == 0 || options.zone_count > zones_max) {
        return refuse(fmt::format("num_zones {}: from 1 to {}", options.zone_count, zones_max));
    }
    if (!std::has_single_bit(options.zone_blocks) || options.zone_blocks > device_bytes_max / zones_max / 65536) {
        return refuse(fmt::format("zone_size {}: a power of two blocks, at most {}", options.zone_blocks,
                                  device_bytes_max / zones_max / 65536));
    }
    if (options.capacity_blocks > options.zone_blocks) {
        return refuse(
            fmt::format("zone_capacity {}: at most zone_size, {}", options.capacity_blocks, options.zone_blocks));
    }
    if (options.active_max != 0 && options.open_max > options.active_max) {
        return refuse("max_open_zones: at most max_active_zones");
    }
    return check_size(options.block_bytes, options.zone_blocks * options.zone_count);
}

}  // namespace

Result<std::unique_ptr<ZonedDevice>> ZonedDevice::create(ZonedOptions options, Uuid uuid) {
    WEFT_TRY(check(options));
    // Zones are taken from the system as they are written.
    auto memory = env::map_memory(options.zone_blocks * options.zone_count * options.block_bytes,
                                  {.name = "weft_" + options.name.substr(0, 200)});
    if (!memory) return std::unexpected(std::move(memory).error());
    return std::unique_ptr<ZonedDevice>(new ZonedDevice(std::move(options), uuid, std::move(*memory)));
}

ZonedDevice::ZonedDevice(ZonedOptions options, Uuid uuid, env::Mapping memory)
    : Device(options.name, uuid,
             {.block_bytes = options.block_bytes, .block_count = options.zone_blocks * options.zone_count}),
      options_(std::move(options)),
      memory_(std::move(memory)),
      table_(geometry_of(options_)) {}

ZonedDevice::~ZonedDevice() = default;

bool ZonedDevice::supports(Op op) const {
    switch (op) {
        case Op::read:
        case Op::write:
        case Op::flush:
        case Op::write_zeroes:
        case Op::compare:
        case Op::verify:
        case Op::zone_append:
        case Op::zone_management: return true;
        case Op::unmap:
        case Op::compare_and_write:
        case Op::copy:
        case Op::write_uncorrectable: return false;
    }
    return false;
}

Result<std::unique_ptr<IoChannel>> ZonedDevice::make_channel() { return std::make_unique<ZonedChannel>(*this); }

Task<void> ZonedDevice::close() {
    // To unmap gigabytes takes a while.
    co_await offload([memory = std::move(memory_)]() mutable {
        memory = env::Mapping();
        return true;
    });
}

void ZonedDevice::describe(Json& driver_specific) const {
    const ZoneGeometry& geometry = table_.geometry();
    driver_specific["zoned"] = {{"num_zones", geometry.zone_count},
                                {"zone_size", geometry.zone_blocks},
                                {"zone_capacity", geometry.capacity_blocks},
                                {"max_open_zones", geometry.open_max},
                                {"max_active_zones", geometry.active_max}};
}

void ZonedDevice::write_config(Json& entries) const {
    Json params = {{"name", name()},
                   {"block_size", block_bytes()},
                   {"num_zones", options_.zone_count},
                   {"zone_size", options_.zone_blocks},
                   {"uuid", uuid().to_string()}};
    if (options_.capacity_blocks != 0) params["zone_capacity"] = options_.capacity_blocks;
    if (options_.open_max != 0) params["max_open_zones"] = options_.open_max;
    if (options_.active_max != 0) params["max_active_zones"] = options_.active_max;
    entries.push_back({{"method", "weft_zoned_create"}, {"params", std::move(params)}});
}

Result<Device*> create_zoned_device(Registry& registry, ZonedOptions options) {
    WEFT_TRY(check(options));
    Uuid uuid = options.uuid;
    if (uuid.is_nil()) {
        uuid = Uuid::from_names({Reactor::current().environment().machine_id(), "zoned", options.name});
    }
    if (registry.is_taken(options.name)) {
        return fail(Errc::already_exists, fmt::format("bdev {} already exists", options.name));
    }
    auto made = ZonedDevice::create(std::move(options), uuid);
    if (!made) return std::unexpected(std::move(made).error());
    return registry.add(std::move(*made));
}

}  // namespace weft::bdev
