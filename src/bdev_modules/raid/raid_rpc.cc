#include "bdev_modules/raid/raid_rpc.h"

#include <fmt/format.h>

#include <cerrno>
#include <cstring>

#include "rpc/json.h"

namespace weft::bdev {

namespace {

enum class Category : uint8_t { all, online, configuring, offline };

struct GetBdevs {
    Category category = Category::all;
    static constexpr auto fields();
};
struct Create {
    std::string name;
    RaidLevel raid_level = RaidLevel::raid0;
    std::vector<std::string> base_bdevs;
    uint32_t strip_size_kb = 0;
    std::optional<Uuid> uuid;
    bool superblock = false;
    static constexpr auto fields();
};
struct Delete {
    std::string name;
    bool clear_sb = false;
    static constexpr auto fields() {
        return rpc::fields(rpc::required("name", &Delete::name, "The raid"),
                           rpc::optional("clear_sb", &Delete::clear_sb,
                                         "Its superblock goes from all base bdevs: it does not come back by itself"));
    }
};
struct AddBase {
    std::string raid_bdev;
    std::string base_bdev;
    static constexpr auto fields() {
        return rpc::fields(rpc::required("raid_bdev", &AddBase::raid_bdev, "The raid; one of its slots is empty"),
                           rpc::required("base_bdev", &AddBase::base_bdev, "What is filled from the others"));
    }
};
struct RemoveBase {
    std::string name;
    static constexpr auto fields() { return rpc::fields(rpc::required("name", &RemoveBase::name, "The base bdev")); }
};
struct SetOptions {
    std::optional<uint32_t> process_window_size_kb;
    std::optional<uint32_t> process_max_bandwidth_mb_sec;
    static constexpr auto fields() {
        return rpc::fields(rpc::optional("process_window_size_kb", &SetOptions::process_window_size_kb,
                                         "KiB that a rebuild copies at a time, and that nobody writes to meanwhile"),
                           rpc::optional("process_max_bandwidth_mb_sec", &SetOptions::process_max_bandwidth_mb_sec,
                                         "MiB a second at most of a rebuild that begins after this; 0: no limit"));
    }
};

}  // namespace

}  // namespace weft::bdev

template <>
struct weft::rpc::EnumNames<weft::bdev::Category> {
    using enum weft::bdev::Category;
    static constexpr EnumName<weft::bdev::Category> values[] = {
        {"all", all}, {"online", online}, {"configuring", configuring}, {"offline", offline}};
};
template <>
struct weft::rpc::EnumNames<weft::bdev::RaidLevel> {
    using enum weft::bdev::RaidLevel;
    static constexpr EnumName<weft::bdev::RaidLevel> values[] = {
        {"raid0", raid0},   {"0", raid0},   {"raid1", raid1},  {"1", raid1},
        {"raid5f", raid5f}, {"5f", raid5f}, {"concat", concat}};
};

namespace weft::bdev {

namespace {

constexpr auto GetBdevs::fields() { return rpc::fields(rpc::required("category", &GetBdevs::category, "Which raids")); }

constexpr auto Create::fields() {
    return rpc::fields(
        rpc::required("name", &Create::name, "At most 63 bytes"),
        rpc::optional("strip_size_kb", &Create::strip_size_kb, "KiB, a power of two; of all but raid1"),
        rpc::required("raid_level", &Create::raid_level, "How blocks are spread over the base bdevs"),
        rpc::required("base_bdevs", &Create::base_bdevs, "Names; those that are not there are waited for"),
        rpc::optional("uuid", &Create::uuid, "Default: random with a superblock, else made from machine and name"),
        rpc::optional("superblock", &Create::superblock,
                      "What the raid is is written on its base bdevs, and found there when they come"));
}

// The number that the field's clients see, and a sentence that says why.
rpc::Response answer(Result<void> done, std::string_view doing) {
    if (done) return Json(true);
    const Error& error = done.error();
    int number = -to_errno(error.code);
    if (error.code == Errc::permission_denied) number = -EPERM;
    return rpc::fail_code(number, doing.empty() ? error.message : fmt::format("{}: {}", doing, error.message));
}

Task<rpc::Response> create(Raids& raids, Create params) {
    const std::string doing = fmt::format("Failed to create RAID bdev {}", params.name);
    co_return answer(co_await raids.create({.name = std::move(params.name),
                                            .uuid = params.uuid.value_or(Uuid()),
                                            .level = params.raid_level,
                                            .strip_kb = params.strip_size_kb,
                                            .has_superblock = params.superblock,
                                            .bases = std::move(params.base_bdevs)}),
                     doing);
}

Task<rpc::Response> destroy(Raids& raids, Delete params) {
    co_return answer(co_await raids.destroy(std::move(params.name), params.clear_sb), "");
}

Task<rpc::Response> add_base(Raids& raids, AddBase params) {
    const std::string doing =
        fmt::format("Failed to add base bdev {} to RAID bdev {}", params.base_bdev, params.raid_bdev);
    co_return answer(co_await raids.add_base(std::move(params.raid_bdev), std::move(params.base_bdev)), doing);
}

Task<rpc::Response> remove_base(Raids& raids, RemoveBase params) {
    co_return answer(co_await raids.remove_base(std::move(params.name)), "Failed to remove base bdev from raid bdev");
}

Task<rpc::Response> list(Raids& raids, Category category) {
    Json all = Json::array();
    for (const auto& array : raids.all()) {
        if (category != Category::all &&
            name_of(array->state()) != rpc::EnumNames<Category>::values[static_cast<size_t>(category)].name) {
            continue;
        }
        Json facts = {{"name", array->name()}};
        array->describe_members(facts);
        all.push_back(std::move(facts));
    }
    co_return all;
}

Task<rpc::Response> set_options(Raids& raids, SetOptions params, std::move_only_function<void()>& on_change) {
    RaidOptions options = raids.mutable_options();
    options.process_window_size_kb = params.process_window_size_kb.value_or(options.process_window_size_kb);
    options.process_max_bandwidth_mb_sec =
        params.process_max_bandwidth_mb_sec.value_or(options.process_max_bandwidth_mb_sec);
    if (options.process_window_size_kb == 0) {
        co_return rpc::fail_code(-EINVAL, "process_window_size_kb: at least 1");
    }
    raids.mutable_options() = options;
    if (on_change) on_change();
    co_return Json(true);
}

}  // namespace

void add_raid_methods(rpc::Registry& methods, Raids& raids, std::move_only_function<void()> on_options_change) {
    methods.add<Create>({.name = "bdev_raid_create",
                         .role = rpc::Role::operate,
                         .text = "Makes one bdev of several: striped, mirrored, with parity, or one behind the other",
                         .changes_config = true},
                        [&raids](Create params) { return create(raids, std::move(params)); });
    methods.add<Delete>({.name = "bdev_raid_delete",
                         .role = rpc::Role::operate,
                         .text = "Removes a raid; its base bdevs stay as they are",
                         .changes_config = true},
                        [&raids](Delete params) { return destroy(raids, std::move(params)); });
    methods.add<GetBdevs>({.name = "bdev_raid_get_bdevs",
                           .role = rpc::Role::read,
                           .text = "Lists raids, also those that wait for base bdevs or have lost too many",
                           .result = "[object]: name, uuid, state, raid_level, process, base_bdevs_list, …"},
                          [&raids](GetBdevs params) { return list(raids, params.category); });
    methods.add<AddBase>({.name = "bdev_raid_add_base_bdev",
                          .role = rpc::Role::operate,
                          .text = "Takes a bdev into the empty place of a raid, and fills it while the raid is in use",
                          .changes_config = true},
                         [&raids](AddBase params) { return add_base(raids, std::move(params)); });
    methods.add<RemoveBase>({.name = "bdev_raid_remove_base_bdev",
                             .role = rpc::Role::operate,
                             .text = "Takes a base bdev out of its raid; one that cannot do without goes offline",
                             .changes_config = true},
                            [&raids](RemoveBase params) { return remove_base(raids, std::move(params)); });
    methods.add<SetOptions>({.name = raid_options_kind,
                             .role = rpc::Role::operate,
                             .text = "How much a rebuild may do",
                             .states = rpc::startup | rpc::runtime,
                             .changes_config = true},
                            [&raids, on_change = std::move(on_options_change)](SetOptions params) mutable {
                                return set_options(raids, params, on_change);
                            });
}

}  // namespace weft::bdev
