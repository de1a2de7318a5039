#include "bdev_modules/raid/raid_array.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/assert.h"
#include "base/log.h"
#include "bdev_modules/raid/superblock_io.h"
#include "rpc/json.h"

namespace weft::bdev {

std::string_view name_of(RaidState state) {
    switch (state) {
        case RaidState::online: return "online";
        case RaidState::configuring: return "configuring";
        case RaidState::offline: return "offline";
    }
    return "";
}

namespace {

// The field's files have it in the place of a name.
std::string name_of_empty(size_t slot) { return fmt::format("removed_base_bdev_{}", slot); }

}  // namespace

RaidArray::RaidArray(RaidHouse& house, Params params)
    : house_(house),
      name_(std::move(params.name)),
      uuid_(params.uuid),
      level_(params.level),
      strip_kb_(params.strip_kb),
      has_superblock_(params.has_superblock),
      slots_(params.bases.size()),
      operational_(params.bases.size()) {
    for (size_t at = 0; at < slots_.size(); ++at) {
        // What config_entry() says of a place whose base was taken out: it comes back as it was saved.
        const bool is_empty = has_redundancy(level_) && params.bases[at] == name_of_empty(at) &&
                              operational_ > operational_min(level_, slots_.size());
        if (is_empty) {
            --operational_;
        } else {
            slots_[at].name = std::move(params.bases[at]);
        }
    }
}

RaidArray::RaidArray(RaidHouse& house, const RaidSuperblock& superblock)
    : house_(house),
      name_(superblock.name),
      uuid_(superblock.uuid),
      level_(superblock.level),
      strip_kb_(static_cast<uint32_t>(uint64_t{superblock.strip_blocks} * superblock.block_bytes / 1024)),
      has_superblock_(true),
      slots_(superblock.slots),
      superblock_(superblock),
      block_bytes_(superblock.block_bytes) {
    for (const RaidMember& member : superblock.members) {
        Slot& slot = slots_[member.slot];
        slot.data_offset = member.data_offset;
        slot.data_size = member.data_size;
        if (member.state != MemberState::configured) continue;
        slot.uuid = member.uuid;
        ++operational_;
    }
}

RaidArray::~RaidArray() { WEFT_ASSERT(device_ == nullptr && holds_ == 0); }

// A device that is still there lets go in on_close().
void RaidArray::let_go() {
    if (--holds_ == 0 && is_forgotten_ && device_ == nullptr) house_.bury(*this);
}

// By somebody who holds it.
void RaidArray::forget() {
    WEFT_ASSERT(holds_ > 0);
    if (!std::exchange(is_forgotten_, true)) house_.forget(*this);
}

// What there is -------------------------------------------------------------------------------------------------------

std::vector<std::string> RaidArray::missing_names() const {
    std::vector<std::string> names;
    for (const Slot& slot : slots_) {
        if (!slot.is_configured && slot.name) names.push_back(*slot.name);
    }
    return names;
}

std::vector<Uuid> RaidArray::missing_members() const {
    std::vector<Uuid> uuids;
    for (size_t at = 0; at < slots_.size(); ++at) {
        if (slots_[at].is_configured) continue;
        if (!slots_[at].uuid.is_nil()) uuids.push_back(slots_[at].uuid);
        const RaidMember* member = superblock_ ? superblock_->member_in(at) : nullptr;
        if (member != nullptr && !member->uuid.is_nil()) uuids.push_back(member->uuid);
    }
    return uuids;
}

size_t RaidArray::discovered() const {
    return static_cast<size_t>(std::ranges::count_if(slots_, [](const Slot& slot) { return slot.is_configured; }));
}

Base* RaidArray::base(size_t slot) const {
    return device_ != nullptr && !slots_[slot].base ? device_->base(slot) : slots_[slot].base.get();
}

std::optional<size_t> RaidArray::slot_of(const Device& device) const {
    for (size_t at = 0; at < slots_.size(); ++at) {
        const Base* held = base(at);
        if (held != nullptr && &held->device() == &device) return at;
    }
    return std::nullopt;
}

std::optional<size_t> RaidArray::slot_waiting_for(const Device& device) const {
    if (state_ != RaidState::configuring) return std::nullopt;
    for (size_t at = 0; at < slots_.size(); ++at) {
        const Slot& slot = slots_[at];
        if (slot.is_configured || slot.base) continue;
        if (slot.uuid == device.uuid() || (slot.name && slot.name == device.name())) return at;
    }
    return std::nullopt;
}

void RaidArray::describe_members(Json& facts) const {
    facts["uuid"] = uuid_.to_string();
    facts["strip_size_kb"] = strip_kb_;
    facts["state"] = name_of(state_);
    facts["raid_level"] = name_of(level_);
    facts["superblock"] = has_superblock_;
    facts["num_base_bdevs"] = slots_.size();
    facts["num_base_bdevs_discovered"] = discovered();
    facts["num_base_bdevs_operational"] = operational_;
    if (process_ != nullptr && device_ != nullptr) {
        const uint64_t parts = level_ == RaidLevel::raid5f ? slots_.size() - 1 : 1;
        const uint64_t blocks = process_->rebuild->done_blocks() * parts;
        const auto percent = static_cast<double>(blocks) * 100.0 / static_cast<double>(device_->block_count());
        facts["process"] = {{"type", "rebuild"},
                            {"target", slots_[process_->target].name.value_or("")},
                            {"progress", {{"blocks", blocks}, {"percent", static_cast<uint32_t>(percent)}}}};
    }
    Json list = Json::array();
    for (const Slot& slot : slots_) {
        list.push_back({{"name", slot.name ? Json(*slot.name) : Json()},
                        {"uuid", slot.uuid.to_string()},
                        {"is_configured", slot.is_configured},
                        {"data_offset", slot.data_offset},
                        {"data_size", slot.data_size}});
    }
    facts["base_bdevs_list"] = std::move(list);
}

void RaidArray::describe(Json& driver_specific) const {
    Json facts = Json::object();
    describe_members(facts);
    driver_specific["raid"] = std::move(facts);
}

// What has a superblock comes back by it.
Json RaidArray::config_entry() const {
    if (has_superblock_) return {};
    Json params = {{"name", name_}, {"uuid", uuid_.to_string()}};
    if (strip_kb_ != 0) params["strip_size_kb"] = strip_kb_;
    params["raid_level"] = name_of(level_);
    Json bases = Json::array();
    for (size_t at = 0; at < slots_.size(); ++at) {
        bases.push_back(slots_[at].name ? *slots_[at].name : name_of_empty(at));
    }
    params["base_bdevs"] = std::move(bases);
    return {{"method", "bdev_raid_create"}, {"params", std::move(params)}};
}

void RaidArray::write_config(Json& entries) const {
    if (Json entry = config_entry(); !entry.is_null()) entries.push_back(std::move(entry));
}

// Bases come ----------------------------------------------------------------------------------------------------------

Result<std::unique_ptr<Base>> RaidArray::open_base(Slot& slot) {
    const Device* device = house_.registry().find(slot.uuid.is_nil() ? *slot.name : slot.uuid.to_string());
    if (device == nullptr) return fail(Errc::no_such_device, "No such device");
    if (slot.name && *slot.name != device->name()) {
        return fail(Errc::invalid_argument, fmt::format("bdev {} has the UUID of {}", device->name(), *slot.name));
    }
    auto base = Base::open(house_.registry(), device->name(), "raid");
    if (!base && base.error().code == Errc::busy) {
        return fail(Errc::permission_denied, std::move(base).error().message);
    }
    if (!base) return base;
    const Slot before{.name = slot.name,
                      .uuid = slot.uuid,
                      .base = nullptr,
                      .is_configured = false,
                      .data_offset = slot.data_offset,
                      .data_size = slot.data_size};
    slot.name = device->name();
    slot.uuid = device->uuid();
    if (auto fits = check_base(slot, *device); !fits) {
        slot.name = before.name;
        slot.uuid = before.uuid;
        slot.data_offset = before.data_offset;
        slot.data_size = before.data_size;
        return std::unexpected(std::move(fits).error());
    }
    return base;
}

Result<void> RaidArray::check_base(Slot& slot, const Device& device) {
    const auto refuse = [&device](std::string what) {
        return fail(Errc::invalid_argument, fmt::format("base bdev {}: {}", device.name(), what));
    };
    const uint32_t block_bytes = device.block_bytes();
    if (block_bytes_ != 0 && block_bytes != block_bytes_) {
        return refuse(fmt::format("blocks of {} bytes, the others have {}", block_bytes, block_bytes_));
    }
    if (device.metadata().metadata_bytes != 0) return refuse("it has metadata, which raids do not keep");
    if (device.supports(Op::zone_management)) return refuse("it is a zoned device");
    if (!device.supports(Op::write)) return refuse("it cannot be written to");
    if (has_superblock_ && slot.data_offset == 0) {
        const uint64_t optimal = std::max<uint64_t>(device.geometry().optimal_blocks, 1);
        slot.data_offset = (data_offset_bytes_min / block_bytes + optimal - 1) / optimal * optimal;
    }
    const uint64_t block_count = device.block_count();
    if (slot.data_offset >= block_count) {
        return refuse(fmt::format("{} blocks: data would begin at {}", block_count, slot.data_offset));
    }
    if (slot.data_size == 0) slot.data_size = block_count - slot.data_offset;
    if (slot.data_size > block_count - slot.data_offset) {
        return refuse(fmt::format("{} blocks, {} are needed", block_count, slot.data_offset + slot.data_size));
    }
    return {};
}

Task<Result<void>> RaidArray::check_is_free(Base& base) {
    const auto found = co_await read_superblock(house_.registry(), base.device());
    if (!found) {
        // One that is broken is nobody's.
        if (found.error().code == Errc::invalid_argument) co_return Result<void>{};
        co_return std::unexpected(found.error());
    }
    if (*found && (*found)->uuid != uuid_) {
        co_return fail(Errc::already_exists, fmt::format("base bdev {} belongs to raid {} ({})", base.device().name(),
                                                         log::quoted((*found)->name), (*found)->uuid.to_string()));
    }
    co_return Result<void>{};
}

// Before the raid is online the base is waited for again. After that the place is free for any.
void RaidArray::release(Slot& slot) {
    slot.base.reset();
    slot.is_configured = false;
    slot.may_lie = false;
    slot.may_be_whole = false;
    if (state_ != RaidState::configuring || superblock_) slot.name.reset();
    slot.data_offset = 0;
    if (state_ == RaidState::configuring && !superblock_) slot.data_size = 0;
    if (state_ != RaidState::configuring) slot.uuid = Uuid();
    if (discovered() == 0 && state_ == RaidState::configuring)
        block_bytes_ = superblock_ ? superblock_->block_bytes : 0;
}

Task<Result<void>> RaidArray::attach(size_t at, bool is_new) {
    const Hold self(*this);
    const AsyncMutex::Guard guard = co_await busy_.lock();
    Slot& slot = slots_[at];
    if (slot.is_configured) co_return Result<void>{};
    if (!slot.name && slot.uuid.is_nil()) co_return fail(Errc::no_such_device, "the place is empty");
    if (state_ != RaidState::configuring || is_deleting_) co_return fail(Errc::busy, "the raid is being changed");
    auto base = open_base(slot);
    if (!base) co_return std::unexpected(std::move(base).error());
    if (is_new) {
        auto is_free = co_await check_is_free(**base);
        if (is_free && (*base)->is_removed()) is_free = fail(Errc::no_such_device, "No such device");
        if (!is_free) {
            slot.uuid = Uuid();
            slot.data_size = 0;
            slot.data_offset = 0;
            co_return std::unexpected(std::move(is_free).error());
        }
    }
    block_bytes_ = (*base)->device().block_bytes();
    slot.base = std::move(*base);
    slot.is_configured = true;
    slot.base->report_to(*this);
    if (discovered() < operational_) co_return Result<void>{};
    co_return co_await assemble();
}

// All are there -------------------------------------------------------------------------------------------------------

Result<RaidLayout> RaidArray::make_layout() const {
    const uint64_t strip_bytes = uint64_t{strip_kb_} * 1024;
    if (level_ != RaidLevel::raid1 && strip_bytes < block_bytes_) {
        return fail(Errc::invalid_argument,
                    fmt::format("strips of {} bytes are smaller than blocks of {}", strip_bytes, block_bytes_));
    }
    std::vector<uint64_t> usable;
    for (const Slot& slot : slots_) {
        if (slot.is_configured) usable.push_back(slot.data_size);
    }
    usable.resize(slots_.size(), usable.front());
    return RaidLayout::make(level_, block_bytes_, static_cast<uint32_t>(strip_bytes / block_bytes_), usable);
}

Result<void> RaidArray::prepare_superblock(const RaidLayout& layout) {
    if (superblock_) {
        if (superblock_->block_bytes == block_bytes_ && superblock_->block_count == layout.block_count()) return {};
        return fail(
            Errc::invalid_argument,
            fmt::format("the superblock has {} blocks of {} bytes, the base bdevs {} of {}", superblock_->block_count,
                        superblock_->block_bytes, layout.block_count(), block_bytes_));
    }
    superblock_ = RaidSuperblock{.uuid = uuid_,
                                 .name = name_,
                                 .block_count = layout.block_count(),
                                 .block_bytes = block_bytes_,
                                 .level = level_,
                                 .strip_blocks = layout.strip_blocks(),
                                 .slots = slots_.size(),
                                 .members = {}};
    for (size_t at = 0; at < slots_.size(); ++at) {
        superblock_->members.push_back({.uuid = slots_[at].uuid,
                                        .data_offset = slots_[at].data_offset,
                                        .data_size = slots_[at].data_size,
                                        .state = MemberState::configured,
                                        .slot = static_cast<uint8_t>(at)});
    }
    return {};
}

Task<Result<void>> RaidArray::assemble() {
    auto layout = make_layout();
    if (!layout) co_return std::unexpected(std::move(layout).error());
    for (size_t at = 0; at < slots_.size(); ++at) slots_[at].data_size = layout->data_blocks(at);
    if (has_superblock_) {
        WEFT_CO_TRY(prepare_superblock(*layout));
        if (const auto failed = co_await write_superblock(); !failed.empty()) {
            co_return fail(Errc::io_error, fmt::format("the superblock cannot be written to base bdev {}",
                                                       slots_[failed.front()].name.value_or("")));
        }
    }
    for (const Slot& slot : slots_) {
        // What is done about that waits until this has ended.
        if (slot.base && slot.base->is_removed()) co_return fail(Errc::no_such_device, "a base bdev is being removed");
    }
    std::vector<std::unique_ptr<Base>> bases;
    std::vector<uint64_t> offsets;
    for (Slot& slot : slots_) {
        bases.push_back(std::move(slot.base));
        offsets.push_back(slot.data_offset);
    }
    auto device = std::make_unique<RaidDevice>(RaidDevice::Options{.name = name_,
                                                                   .uuid = uuid_,
                                                                   .layout = std::move(*layout),
                                                                   .data_offsets = std::move(offsets),
                                                                   .is_concurrent = house_.is_concurrent(),
                                                                   .accel = &house_.accel()},
                                               house_.registry(), std::move(bases), *this);
    RaidDevice* const made = device.get();
    // Before add(): whoever is told of it asks what it is.
    device_ = made;
    state_ = RaidState::online;
    if (auto added = house_.registry().add(std::move(device)); !added) {
        device_ = nullptr;
        state_ = RaidState::configuring;
        for (Slot& slot : slots_) slot.is_configured = false;
        co_return std::unexpected(std::move(added).error());
    }
    WEFT_NOTICELOG("raid {}: online, {} with {} of {} base bdevs", log::quoted(name_), name_of(level_), discovered(),
                   slots_.size());
    if (discovered() < slots_.size()) house_.look_for_members(*this);
    co_return Result<void>{};
}

// The superblock ------------------------------------------------------------------------------------------------------

Task<std::vector<size_t>> RaidArray::write_superblock(std::optional<size_t> without) {
    std::vector<size_t> failed;
    if (!superblock_ || is_deleting_) co_return failed;
    ++superblock_->sequence;
    const std::vector<std::byte> bytes = serialize(*superblock_);
    for (size_t at = 0; at < slots_.size(); ++at) {
        if (!slots_[at].is_configured || base(at) == nullptr || without == at) continue;
        if (!co_await write_superblock_to(at, bytes)) failed.push_back(at);
    }
    co_return failed;
}

Task<bool> RaidArray::write_superblock_to(size_t at, Bytes superblock) {
    Device& to = base(at)->device();
    const Status status = co_await write_start(house_.registry(), to, superblock);
    if (status == Status::success) {
        slots_[at].may_lie = false;
        co_return true;
    }
    WEFT_ERRLOG("raid {}: the superblock could not be written to base bdev {}: {}", log::quoted(name_),
                log::quoted(to.name()), name_of(status));
    co_return false;
}

Task<void> RaidArray::clear_superblocks() {
    if (!superblock_) co_return;
    const std::vector<std::byte> zeroes(serialize(*superblock_).size());
    for (size_t at = 0; at < slots_.size(); ++at) {
        Base* const to = base(at);
        if (!slots_[at].is_configured || to == nullptr) continue;
        const Status status = co_await write_start(house_.registry(), to->device(), zeroes);
        if (status == Status::success) continue;
        WEFT_ERRLOG("raid {}: the superblock on base bdev {} could not be cleared: {}", log::quoted(name_),
                    log::quoted(to->device().name()), name_of(status));
    }
}

// It ends -------------------------------------------------------------------------------------------------------------

Task<void> RaidArray::destroy(bool clears_superblocks) {
    const Hold self(*this);
    {
        const AsyncMutex::Guard guard = co_await busy_.lock();
        if (std::exchange(is_deleting_, true)) co_return;
        co_await stop_process();
        process_ = nullptr;
        if (clears_superblocks) co_await clear_superblocks();
        if (device_ == nullptr) {
            for (Slot& slot : slots_) release(slot);
        }
    }
    if (device_ != nullptr) static_cast<void>(co_await house_.registry().remove(name_));
    forget();
}

Task<void> RaidArray::on_close() {
    const Hold self(*this);
    const AsyncMutex::Guard guard = co_await busy_.lock();
    co_await stop_process();
    process_ = nullptr;
    device_ = nullptr;
    for (Slot& slot : slots_) slot.is_configured = false;
    // Removed as a bdev: nobody asks for it any more. One that lost its bases is there until it is deleted.
    if (state_ == RaidState::online) {
        state_ = RaidState::offline;
        forget();
    }
}

}  // namespace weft::bdev
