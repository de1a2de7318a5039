#include "bdev_modules/raid/raids.h"

#include <fmt/format.h>

#include <algorithm>
#include <bit>
#include <set>

#include "base/log.h"
#include "bdev/bdev_rpc.h"
#include "bdev_modules/raid/superblock_io.h"
#include "reactor/reactor.h"
#include "rpc/json.h"

namespace weft::bdev {

namespace {

// `found` was on member `own`: it says that this one went on when another had gone, and `current` the opposite.
bool are_apart(const RaidSuperblock& found, const RaidSuperblock& current, const Uuid& own) {
    const auto is_whole = [](const RaidSuperblock& superblock, const Uuid& uuid) {
        const RaidMember* member = superblock.member_named(uuid);
        return member != nullptr && member->state == MemberState::configured;
    };
    if (!is_whole(found, own) || is_whole(current, own)) return false;
    return std::ranges::any_of(current.members, [&](const RaidMember& member) {
        return member.state == MemberState::configured && found.member_named(member.uuid) != nullptr &&
               !is_whole(found, member.uuid);
    });
}

}  // namespace

Raids::Raids(Registry& registry, accel::Framework& accel, bool is_concurrent)
    : registry_(registry), accel_(accel), is_concurrent_(is_concurrent) {
    registry_.add_examiner(*this);
}

Raids::~Raids() = default;

RaidArray* Raids::find(std::string_view name) const {
    const auto found = std::ranges::find_if(arrays_, [name](const auto& array) { return array->name() == name; });
    return found == arrays_.end() ? nullptr : found->get();
}

void Raids::forget(RaidArray& array) {
    const auto found = std::ranges::find_if(arrays_, [&array](const auto& each) { return each.get() == &array; });
    leaving_.push_back(std::move(*found));
    arrays_.erase(found);
    registry_.note_change(array.name());
}

void Raids::bury(RaidArray& array) {
    std::erase_if(leaving_, [&array](const auto& each) { return each.get() == &array; });
}

// By request ----------------------------------------------------------------------------------------------------------

// Whether `base`, or what it waits for, is `raid`.
bool Raids::waits_for(const std::string& base, const std::string& raid) const {
    std::vector<std::string> names{base};
    std::set<std::string> seen;
    while (!names.empty()) {
        const std::string name = std::move(names.back());
        names.pop_back();
        if (name == raid) return true;
        if (!seen.insert(name).second) continue;
        const RaidArray* array = find(name);
        if (array == nullptr) continue;
        for (std::string& missing : array->missing_names()) names.push_back(std::move(missing));
    }
    return false;
}

Result<void> Raids::check(const RaidArray::Params& params) const {
    const auto refuse = [](std::string what) { return fail(Errc::invalid_argument, std::move(what)); };
    if (params.name.empty()) return refuse("name: empty");
    if (params.name.size() > raid_name_bytes_max) {
        return refuse(fmt::format("name: {} bytes, at most {} are allowed", params.name.size(), raid_name_bytes_max));
    }
    if (find(params.name) != nullptr || registry_.is_taken(params.name)) {
        return fail(Errc::already_exists, fmt::format("bdev {} already exists", log::quoted(params.name)));
    }
    if (!params.uuid.is_nil() && registry_.is_taken(params.uuid.to_string())) {
        return fail(Errc::already_exists, fmt::format("bdev {} already exists", params.uuid.to_string()));
    }
    if (params.level == RaidLevel::raid1) {
        if (params.strip_kb != 0) return refuse("strip_size_kb: raid1 has no strips");
    } else if (!std::has_single_bit(params.strip_kb) || params.strip_kb > uint32_t{1} << 21) {
        return refuse("strip_size_kb: a power of two, at most 2097152");
    }
    if (params.bases.size() < bases_min(params.level) || params.bases.size() > raid_bases_max) {
        return refuse(fmt::format("base_bdevs: {} of them; {} takes {} to {}", params.bases.size(),
                                  name_of(params.level), bases_min(params.level), raid_bases_max));
    }
    for (size_t at = 0; at < params.bases.size(); ++at) {
        const std::string& base = params.bases[at];
        if (base.empty() || base.size() > name_bytes_max) return refuse("base_bdevs: a name is empty or too long");
        if (std::find(params.bases.begin(), params.bases.begin() + static_cast<ptrdiff_t>(at), base) !=
            params.bases.begin() + static_cast<ptrdiff_t>(at)) {
            return fail(Errc::permission_denied, fmt::format("base_bdevs: {} is there twice", log::quoted(base)));
        }
        if (waits_for(base, params.name)) {
            return refuse(fmt::format("base_bdevs: {} would stand on this raid itself", log::quoted(base)));
        }
    }
    return {};
}

Task<Result<void>> Raids::create(RaidArray::Params params) {
    if (registry_.refuses_more()) co_return fail(Errc::cancelled, "the target is being stopped");
    WEFT_CO_TRY(check(params));
    env::Environment& environment = Reactor::current().environment();
    if (params.uuid.is_nil() && params.has_superblock) {
        // Not made from names: another raid of this name may have left its superblocks.
        std::array<uint8_t, 16> octets{};
        environment.random().fill(std::as_writable_bytes(std::span(octets)));
        params.uuid = Uuid::from_random(octets);
    } else if (params.uuid.is_nil()) {
        const std::string machine = environment.machine_id();
        params.uuid = Uuid::from_names({machine, "raid", params.name});
    }
    const size_t bases = params.bases.size();
    RaidHouse& house = *this;
    arrays_.push_back(std::make_unique<RaidArray>(house, std::move(params)));
    const RaidArray::Hold array(*arrays_.back());
    for (size_t slot = 0; slot < bases; ++slot) {
        auto attached = co_await array->attach(slot, true);
        if (attached || attached.error().code == Errc::no_such_device) continue;
        co_await array->destroy(true);
        co_return attached;
    }
    if (array->state() == RaidState::configuring) {
        WEFT_NOTICELOG("raid {}: waits for base bdevs", log::quoted(array->name()));
        registry_.note_change(array->name());
    }
    co_return Result<void>{};
}

Task<Result<void>> Raids::destroy(std::string name, bool clears_superblocks) {
    RaidArray* const array = find(name);
    if (array == nullptr) co_return fail(Errc::no_such_device, fmt::format("raid bdev {} not found", name));
    co_await array->destroy(clears_superblocks);
    co_return Result<void>{};
}

Task<Result<void>> Raids::add_base(std::string raid, std::string base) {
    RaidArray* const array = find(raid);
    if (array == nullptr)
        co_return fail(Errc::no_such_device, fmt::format("raid bdev {} is not found in config", raid));
    if (waits_for(base, raid)) co_return fail(Errc::invalid_argument, "a raid cannot stand on itself");
    co_return co_await array->add_base(std::move(base));
}

Task<Result<void>> Raids::remove_base(std::string base) {
    const Device* device = registry_.find(base);
    if (device == nullptr) co_return fail(Errc::no_such_device, "No such device");
    for (const auto& array : arrays_) {
        if (const auto slot = array->slot_of(*device)) {
            co_return co_await array->remove_base(*slot, RaidArray::Loss::asked);
        }
    }
    co_return fail(Errc::no_such_device, fmt::format("{} is no base bdev of a raid", base));
}

// What is saved -------------------------------------------------------------------------------------------------------

Json Raids::options_entry() const {
    return {{"method", raid_options_kind},
            {"params",
             {{"process_window_size_kb", options_.process_window_size_kb},
              {"process_max_bandwidth_mb_sec", options_.process_max_bandwidth_mb_sec}}}};
}

void Raids::write_config(Json& entries) const {
    entries.push_back(options_entry());
    for (const auto& array : arrays_) {
        if (array->state() == RaidState::configuring) array->write_config(entries);
    }
}

Json Raids::config_entry(const rpc::ConfigKey& key) const {
    if (key.kind == raid_options_kind) return options_entry();
    if (key.kind != bdev_kind) return {};
    const RaidArray* array = find(key.object);
    return array != nullptr && array->state() == RaidState::configuring ? array->config_entry() : Json();
}

// As devices come -----------------------------------------------------------------------------------------------------

// Claims it at once: nobody else shall take what is waited for.
void Raids::examine_config(Device& device) {
    for (const auto& array : arrays_) {
        if (array->has_superblock()) continue;
        if (const auto slot = array->slot_waiting_for(device)) return spawn(attach(RaidArray::Hold(*array), *slot));
    }
}

Task<void> Raids::attach(RaidArray::Hold array, size_t slot) {
    registry_.begin_examining();
    if (auto done = co_await array->attach(slot, true); !done) {
        WEFT_ERRLOG("raid {}: {}", log::quoted(array->name()), done.error().message);
    }
    registry_.end_examining();
}

Task<void> Raids::examine_disk(std::string name) {
    std::vector<std::string> names;
    names.push_back(std::move(name));
    co_await look_at(std::move(names));
}

// A raid that has come online, or has filled a base.
void Raids::look_for_members(RaidArray& array) {
    if (!array.has_superblock() || !has_redundancy(array.superblock()->level)) return;
    spawn([](Raids& raids, std::vector<std::string> names) -> Task<void> {
        raids.registry_.begin_examining();
        co_await yield();
        co_await raids.look_at(std::move(names));
        raids.registry_.end_examining();
    }(*this, devices_named(array.missing_members())));
}

std::vector<std::string> Raids::devices_named(const std::vector<Uuid>& uuids) const {
    std::vector<std::string> names;
    for (const Uuid& uuid : uuids) {
        const Device* device = registry_.find(uuid.to_string());
        if (device != nullptr && device->claimed_by().empty()) names.push_back(device->name());
    }
    return names;
}

Task<void> Raids::look_at(std::vector<std::string> names) {
    while (!names.empty()) {
        const std::string name = std::move(names.back());
        names.pop_back();
        std::optional<RaidSuperblock> superblock;
        {
            const auto descriptor = registry_.open(name, {});
            if (!descriptor || !(*descriptor)->device().claimed_by().empty()) continue;
            Device& device = (*descriptor)->device();
            if (device.supports(Op::zone_management) || device.metadata().metadata_bytes != 0) continue;
            auto found = co_await read_superblock(registry_, device);
            if (!found) {
                WEFT_WARNLOG("bdev {}: {}", log::quoted(name), found.error().message);
                continue;
            }
            if (!*found) continue;
            if ((*found)->block_bytes != device.block_bytes()) {
                WEFT_WARNLOG("bdev {}: raid superblock: blocks of {} bytes, the device has {}", log::quoted(name),
                             (*found)->block_bytes, device.block_bytes());
                continue;
            }
            superblock = std::move(**found);
        }
        for (std::string& other : co_await take(std::move(*superblock), name)) names.push_back(std::move(other));
    }
}

Task<std::vector<std::string>> Raids::take(RaidSuperblock superblock, std::string name) {
    std::vector<std::string> others;
    const Device* device = registry_.find(name);
    if (device == nullptr || registry_.refuses_more()) co_return others;
    const Uuid own = device->uuid();
    const auto of_raid = [&superblock](const auto& each) { return each->uuid() == superblock.uuid; };
    auto found = std::ranges::find_if(arrays_, of_raid);
    // One that lost its bases is made anew when they come back.
    if (found != arrays_.end() && (*found)->state() == RaidState::offline) {
        co_await (*found)->destroy(false);
        found = std::ranges::find_if(arrays_, of_raid);
    }
    RaidArray* array = found == arrays_.end() ? nullptr : found->get();
    if (array != nullptr && array->superblock() == nullptr) {
        // Made by request, and not complete: it says what its bases are.
        if (const auto slot = array->slot_waiting_for(*device)) co_await attach(RaidArray::Hold(*array), *slot);
        co_return others;
    }
    if (array != nullptr && superblock.sequence > array->superblock()->sequence) {
        if (array->state() != RaidState::configuring) {
            WEFT_WARNLOG("raid {}: bdev {} has a newer superblock ({}, not {}), but the raid is online",
                         log::quoted(array->name()), log::quoted(name), superblock.sequence,
                         array->superblock()->sequence);
            co_return others;
        }
        WEFT_NOTICELOG("raid {}: bdev {} has a newer superblock, which counts", log::quoted(array->name()),
                       log::quoted(name));
        co_await array->destroy(false);
        array = nullptr;
    }
    if (array == nullptr) {
        if (superblock.member_named(own) == nullptr) co_return others;
        if (find(superblock.name) != nullptr || registry_.is_taken(superblock.name)) {
            WEFT_WARNLOG("bdev {}: it belongs to raid {}, but there is another bdev of that name", log::quoted(name),
                         log::quoted(superblock.name));
            co_return others;
        }
        RaidHouse& house = *this;
        array = arrays_.emplace_back(std::make_unique<RaidArray>(house, superblock)).get();
        others = devices_named(array->missing_members());
        std::erase(others, name);
    }
    const RaidArray::Hold held(*array);
    const RaidMember* member = array->superblock()->member_named(own);
    if (member == nullptr) {
        WEFT_NOTICELOG("raid {}: bdev {} is no member of it any more", log::quoted(array->name()), log::quoted(name));
        co_return others;
    }
    if (are_apart(superblock, *array->superblock(), own)) {
        WEFT_ERRLOG(
            "raid {}: bdev {} and those that are its members now were each in use without the other: it is not "
            "taken, and keeps what it has; bdev_raid_add_base_bdev fills it from them",
            log::quoted(array->name()), log::quoted(name));
        co_return others;
    }
    Result<void> done;
    if (array->state() == RaidState::online) {
        done = co_await array->add_member_again(name, own);
    } else if (member->state == MemberState::configured) {
        done = co_await array->attach(member->slot, false);
    } else {
        WEFT_NOTICELOG("raid {}: bdev {} is not up to date; it is filled when the raid is online",
                       log::quoted(array->name()), log::quoted(name));
    }
    if (!done) {
        WEFT_WARNLOG("raid {}: bdev {} is not taken: {}", log::quoted(array->name()), log::quoted(name),
                     done.error().message);
    }
    co_return others;
}

}  // namespace weft::bdev
