// A registry with methods of the usual kinds, for the tests and the fuzzer of this room. Not part of the product.
#pragma once

#include <string>

#include "reactor/task.h"
#include "rpc/registry.h"

namespace weft::rpc::example {

enum class AnaState : uint8_t { optimized = 1, non_optimized = 2, inaccessible = 3 };
enum class RaidLevel : int16_t { raid0 = 0, raid1 = 1, concat = -1 };

struct CreateMalloc {
    std::optional<std::string> name;
    std::optional<Uuid> uuid;
    uint64_t num_blocks = 0;
    uint32_t block_size = 0;
    uint32_t physical_block_size = 512;

    static constexpr auto fields() {
        return rpc::fields(
            rpc::optional("name", &CreateMalloc::name, "Name of the device"),
            rpc::optional("uuid", &CreateMalloc::uuid, "Its UUID"),
            rpc::required("num_blocks", &CreateMalloc::num_blocks, "Number of blocks"),
            rpc::required("block_size", &CreateMalloc::block_size, "Bytes in a block"),
            rpc::optional("physical_block_size", &CreateMalloc::physical_block_size, "Bytes written at once"));
    }
};

struct ListenAddress {
    std::string trtype;
    std::string traddr;
    std::optional<std::string> trsvcid;

    static constexpr auto fields() {
        return rpc::fields(rpc::required("trtype", &ListenAddress::trtype, "Transport"),
                           rpc::required("traddr", &ListenAddress::traddr, "Address"),
                           rpc::optional("trsvcid", &ListenAddress::trsvcid, "Port").alias("port"));
    }
};

struct AddListener {
    std::string nqn;
    ListenAddress address;
    AnaState ana_state = AnaState::optimized;
    std::optional<bool> secure_channel;
    int32_t numa_id = -1;

    static constexpr auto fields() {
        return rpc::fields(rpc::required("nqn", &AddListener::nqn, "NQN of the subsystem"),
                           rpc::required("listen_address", &AddListener::address, "Where to listen"),
                           rpc::optional("ana_state", &AddListener::ana_state, "ANA state of all groups"),
                           rpc::optional("secure_channel", &AddListener::secure_channel, "TLS only"),
                           rpc::optional("numa_id", &AddListener::numa_id, "Preferred NUMA node"));
    }
};

struct CreateRaid {
    RaidLevel level = RaidLevel::raid0;
    std::vector<std::string> base_bdevs;
    std::vector<ListenAddress> addresses;
    std::vector<AnaState> states;

    static constexpr auto fields() {
        return rpc::fields(rpc::required("raid_level", &CreateRaid::level, "Level"),
                           rpc::required("base_bdevs", &CreateRaid::base_bdevs, "Names of the devices"),
                           rpc::optional("addresses", &CreateRaid::addresses, "A list of objects"),
                           rpc::optional("states", &CreateRaid::states, "A set"));
    }
};

struct Echo {
    Json value;
    static constexpr auto fields() { return rpc::fields(rpc::required("value", &Echo::value, "Anything")); }
};

struct Fail {
    int32_t code = 0;
    static constexpr auto fields() { return rpc::fields(rpc::required("code", &Fail::code, "Of the error")); }
};

inline Task<Result<Json>> start_framework(Registry& registry) {
    registry.set_state(runtime);
    co_return Json(true);
}

// bdev_malloc_create (runtime), nvmf_subsystem_add_listener (runtime), bdev_raid_create (runtime), echo (any; once
// called old_echo), fail (any), scheduler_set_options (startup), framework_start_init (startup), and those of
// add_rpc_methods() (any).
inline void add_example_methods(Registry& registry) {
    constexpr size_t nqn_bytes_max = 223;
    add_rpc_methods(registry);
    registry.add<CreateMalloc>(
        {.name = "bdev_malloc_create", .text = "Creates a RAM disk", .result = "string: its name"},
        [](CreateMalloc params) -> Task<Result<Json>> {
            if (params.num_blocks > uint64_t{1} << 40) {
                co_return fail(Errc::no_memory, "so much memory there is not");
            }
            co_return Json(params.name.value_or("Malloc0"));
        });
    registry.add<AddListener>({.name = "nvmf_subsystem_add_listener", .text = "Listens."},
                              [](const AddListener& params) -> Task<Result<Json>> {
                                  if (params.nqn.size() > nqn_bytes_max)
                                      co_return fail(Errc::invalid_argument, "nqn: longer than 223 bytes");
                                  co_return Json(true);
                              });
    registry.add<CreateRaid>({.name = "bdev_raid_create", .text = "Joins devices"},
                             [](CreateRaid) -> Task<Result<Json>> { co_return Json(true); });
    registry.add<Echo>({.name = "echo",
                        .text = "Gives back what it gets",
                        .states = startup | runtime,
                        .aliases = {"old_echo"},
                        .result = "the value"},
                       [](Echo params) -> Task<Result<Json>> { co_return std::move(params.value); });
    registry.add<Fail>({.name = "fail", .text = "Fails", .states = startup | runtime},
                       [](Fail params) -> Task<Response> { co_return fail_code(params.code, "as you wish"); });
    registry.add<NoParams>({.name = "scheduler_set_options", .text = "Sets options", .states = startup},
                           [](NoParams) -> Task<Result<Json>> { co_return Json(true); });
    registry.add<NoParams>({.name = "framework_start_init", .text = "Starts", .states = startup},
                           [&registry](NoParams) { return start_framework(registry); });
}

// The result of a task that never waits.
template <class T>
T run_now(Task<T> task) {
    std::optional<T> result;
    spawn([](Task<T> running, std::optional<T>& out) -> Task<void> { out.emplace(co_await std::move(running)); }(
                                                         std::move(task), result));
    WEFT_ASSERT(result.has_value());
    return std::move(*result);
}

}  // namespace weft::rpc::example

template <>
struct weft::rpc::EnumNames<weft::rpc::example::AnaState> {
    using State = example::AnaState;
    static constexpr EnumName<State> values[] = {{"optimized", State::optimized},
                                                 {"non_optimized", State::non_optimized},
                                                 {"inaccessible", State::inaccessible}};
};

template <>
struct weft::rpc::EnumNames<weft::rpc::example::RaidLevel> {
    using Level = example::RaidLevel;
    static constexpr EnumName<Level> values[] = {
        {"raid0", Level::raid0}, {"0", Level::raid0}, {"raid1", Level::raid1}, {"concat", Level::concat}};
};
