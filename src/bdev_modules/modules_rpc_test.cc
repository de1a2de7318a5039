// The methods that make, change and remove bdevs, as a client calls them.
#include <gtest/gtest.h>

#include <cerrno>
#include <filesystem>
#include <fstream>

#include "bdev/bdev_rpc.h"
#include "bdev/test_client.h"
#include "bdev_modules/file/file_rpc.h"
#include "bdev_modules/malloc/malloc_rpc.h"
#include "bdev_modules/null/null_rpc.h"
#include "bdev_modules/raid/raid_rpc.h"
#include "env/linux/test_folder.h"
#include "rpc/json.h"

namespace weft::bdev {
namespace {

class ModulesRpcTest : public testing::Test {
protected:
    void SetUp() override {
        add_malloc_methods(methods_, devices_, true);
        add_null_methods(methods_, devices_);
        add_file_methods(methods_, devices_, true);
        devices_.set_io_thread(world_.data_thread());
        add_raid_methods(methods_, raids_, {});
        methods_.set_state(rpc::runtime);
    }
    void TearDown() override {
        while (!raids_.all().empty()) {
            EXPECT_TRUE(call("bdev_raid_delete", {{"name", raids_.all().front()->name()}}).has_value());
        }
        for (const Device* device : devices_.all()) {
            EXPECT_TRUE(world_.run(devices_.remove(device->name())).has_value());
        }
    }
    rpc::Response call(std::string method, const Json& params = Json::object()) {
        return world_.run(methods_.call(std::move(method), params));
    }
    int code_of(std::string method, const Json& params) {
        const rpc::Response answer = call(std::move(method), params);
        return answer ? 0 : answer.error().code;
    }
    std::string make_file(const std::string& name, uint64_t bytes) {
        std::ofstream(folder_ / name).put('\0');
        std::filesystem::resize_file(folder_ / name, bytes);
        return folder_ / name;
    }
    // What a configuration file would hold, applied to nothing, gives the same again.
    void expect_comes_back_from_its_configuration() {
        Json before = Json::array();
        for (const Device* device : devices_.all()) device->write_config(before);
        TearDown();
        ASSERT_TRUE(devices_.all().empty());
        for (const Json& entry : before) {
            const rpc::Response answer = call(entry["method"], entry["params"]);
            ASSERT_TRUE(answer.has_value()) << answer.error().message;
        }
        Json after = Json::array();
        for (const Device* device : devices_.all()) device->write_config(after);
        EXPECT_EQ(dump_json(after), dump_json(before));
    }

    env::TestFolder folder_;
    TestRuntime world_{2};
    Registry devices_;
    accel::Framework accel_;
    Raids raids_{devices_, accel_, true};
    rpc::Registry methods_;
};

TEST_F(ModulesRpcTest, MallocIsMadeAndRemoved) {
    EXPECT_EQ(*call("bdev_malloc_create", {{"num_blocks", 100}, {"block_size", 512}}), Json("Malloc0"));
    EXPECT_EQ(*call("bdev_malloc_create", {{"num_blocks", 100}, {"block_size", 4096}}), Json("Malloc1"));
    EXPECT_EQ(*call("bdev_malloc_create", {{"name", "disk"}, {"num_blocks", 100}, {"block_size", 4096}}), Json("disk"));
    EXPECT_EQ(devices_.find("disk")->block_count(), 100U);
    EXPECT_EQ(code_of("bdev_malloc_create", {{"name", "disk"}, {"num_blocks", 1}, {"block_size", 512}}), -17);
    EXPECT_EQ(*call("bdev_malloc_delete", {{"name", "disk"}}), Json(true));
    EXPECT_EQ(devices_.find("disk"), nullptr);
    EXPECT_EQ(call("bdev_malloc_delete", {{"name", "disk"}}).error(), rpc::RpcError(-19, "No such device"));
}

TEST_F(ModulesRpcTest, WhatIsNotSupportedIsRefusedByName) {
    const auto refused = [this](const char* method, const char* name, const Json& value) {
        const rpc::Response answer =
            call(method, {{"name", "disk"}, {"num_blocks", 100}, {"block_size", 512}, {name, value}});
        EXPECT_FALSE(answer.has_value()) << name;
        if (answer) return;
        EXPECT_EQ(answer.error().code, -EINVAL);
        EXPECT_TRUE(answer.error().message.starts_with(name)) << answer.error().message;
    };
    refused("bdev_malloc_create", "md_size", 65);
    refused("bdev_malloc_create", "dif_type", 4);
    refused("bdev_malloc_create", "dif_pi_format", 3);
    refused("bdev_malloc_create", "physical_block_size", 700);
    refused("bdev_null_create", "md_size", 65);
    refused("bdev_null_create", "dif_type", -1);
    EXPECT_EQ(
        code_of("bdev_malloc_create", {{"name", "disk"}, {"num_blocks", 100}, {"block_size", 512}, {"dif_type", 1}}),
        -EINVAL)
        << "without metadata to be in";
    refused("bdev_null_create", "preferred_write_alignment", 7);
    refused("bdev_null_create", "preferred_unmap_alignment", 7);
    for (const char* method : {"bdev_malloc_create", "bdev_null_create"}) {
        EXPECT_EQ(code_of(method, {{"name", "disk"}, {"num_blocks", 100}, {"block_size", 520}}), -EINVAL);
        EXPECT_EQ(code_of(method, {{"name", "disk"}, {"num_blocks", 0}, {"block_size", 512}}), -EINVAL);
        EXPECT_EQ(code_of(method, {{"name", "disk"}, {"num_blocks", 100}}), rpc::code::invalid_params);
        EXPECT_EQ(code_of(method, {{"name", "disk"},
                                   {"num_blocks", 100},
                                   {"block_size", 512},
                                   {"md_size", 0},
                                   {"dif_type", 0},
                                   {"dif_pi_format", 0},
                                   {"dif_is_head_of_md", false}}),
                  0);
        EXPECT_EQ(code_of(method, {{"name", "disk2"}, {"num_blocks", uint64_t{1} << 55}, {"block_size", 512}}),
                  -EINVAL);
        TearDown();
    }
    EXPECT_EQ(code_of("bdev_malloc_create", {{"num_blocks", uint64_t{1} << 52}, {"block_size", 512}}), -12);
}

TEST_F(ModulesRpcTest, NullIsMadeResizedAndRemoved) {
    EXPECT_EQ(*call("bdev_null_create", {{"name", "null"}, {"num_blocks", 204800}, {"block_size", 512}}), Json("null"));
    EXPECT_EQ(*call("bdev_null_resize", {{"name", "null"}, {"new_size", 200}}), Json(true));
    EXPECT_EQ(devices_.find("null")->block_count(), 409600U);
    EXPECT_EQ(code_of("bdev_null_resize", {{"name", "null"}, {"new_size", 199}}), rpc::code::invalid_params);
    EXPECT_EQ(code_of("bdev_null_resize", {{"name", "null"}, {"new_size", uint64_t{1} << 50}}),
              rpc::code::invalid_params);
    EXPECT_EQ(code_of("bdev_null_resize", {{"name", "none"}, {"new_size", 200}}), -19);
    EXPECT_EQ(code_of("bdev_malloc_delete", {{"name", "null"}}), -19) << "it is not one of malloc's";
    EXPECT_EQ(*call("bdev_null_delete", {{"name", "null"}}), Json(true));
}

TEST_F(ModulesRpcTest, AResizeIsToldToWhoHoldsTheBdev) {
    EXPECT_TRUE(call("bdev_null_create", {{"name", "null"}, {"num_blocks", 2048}, {"block_size", 512}}).has_value());
    const std::string path = make_file("disk", 1 << 20);
    EXPECT_TRUE(call("bdev_aio_create", {{"name", "disk"}, {"filename", path}}).has_value());
    std::vector<std::string> told;
    std::vector<std::unique_ptr<Descriptor>> held;
    world_.as(world_.app(), [&] {
        for (const char* name : {"null", "disk"}) {
            held.push_back(*devices_.open(name, [&told, name](Event event) {
                if (event == Event::resized) told.emplace_back(name);
            }));
        }
    });
    EXPECT_TRUE(call("bdev_null_resize", {{"name", "null"}, {"new_size", 2}}).has_value());
    EXPECT_TRUE(call("bdev_aio_rescan", {{"name", "disk"}}).has_value());
    world_.settle();
    EXPECT_EQ(told, std::vector<std::string>{"null"}) << "the file is as large as it was";
    std::filesystem::resize_file(path, 2 << 20);
    EXPECT_TRUE(call("bdev_aio_rescan", {{"name", "disk"}}).has_value());
    world_.settle();
    EXPECT_EQ(told, (std::vector<std::string>{"null", "disk"}));
    EXPECT_EQ(devices_.find("disk")->block_count(), 4096U);
    world_.as(world_.app(), [&] { held.clear(); });
}

TEST_F(ModulesRpcTest, FilesAreMadeByEitherName) {
    for (const std::string prefix : {"bdev_aio", "bdev_uring"}) {
        const std::string path = make_file("disk", 1 << 20);
        EXPECT_EQ(*call(prefix + "_create", {{"name", "disk"}, {"filename", path}, {"block_size", 4096}}),
                  Json("disk"));
        EXPECT_EQ(devices_.find("disk")->block_count(), 256U);
        EXPECT_EQ(code_of(prefix + "_create", {{"name", "disk"}, {"filename", path}}), -17);
        EXPECT_EQ(code_of(prefix + "_create", {{"name", "disk2"}, {"filename", path}}), -16);
        EXPECT_EQ(code_of(prefix + "_create", {{"name", "disk2"}, {"filename", path + "x"}}), -2);
        EXPECT_EQ(*call(prefix + "_rescan", {{"name", "disk"}}), Json(true));
        const std::string other = prefix == "bdev_aio" ? "bdev_uring" : "bdev_aio";
        EXPECT_EQ(code_of(other + "_delete", {{"name", "disk"}}), -19);
        EXPECT_EQ(code_of(other + "_rescan", {{"name", "disk"}}), -19);
        EXPECT_EQ(*call(prefix + "_delete", {{"name", "disk"}}), Json(true));
        EXPECT_EQ(code_of(prefix + "_rescan", {{"name", "disk"}}), -19);
        EXPECT_EQ(*call(prefix + "_create", {{"name", "disk"}, {"filename", path}, {"block_size", 0}}), Json("disk"));
        EXPECT_EQ(devices_.find("disk")->block_bytes(), 512U);
        EXPECT_EQ(*call(prefix + "_delete", {{"name", "disk"}}), Json(true));
    }
}

// Scripts of the field go on with what stands on the disk as soon as its call is answered.
TEST_F(ModulesRpcTest, AFilesRaidIsThereWhenItsLastFileIs) {
    for (const std::string prefix : {"bdev_aio", "bdev_uring"}) {
        const std::array paths = {make_file("one", 8 << 20), make_file("two", 8 << 20)};
        const auto create = [&](size_t at) {
            return call(prefix + "_create", {{"name", "disk" + std::to_string(at)}, {"filename", paths.at(at)}});
        };
        EXPECT_TRUE(create(0) && create(1));
        EXPECT_TRUE(call(
            "bdev_raid_create",
            {{"name", "raid"}, {"raid_level", "raid1"}, {"base_bdevs", {"disk0", "disk1"}}, {"superblock", true}}));
        for (const char* name : {"disk0", "disk1"}) EXPECT_TRUE(call(prefix + "_delete", {{"name", name}}));
        world_.settle();
        EXPECT_EQ(devices_.find("raid"), nullptr);
        EXPECT_TRUE(create(0));
        EXPECT_EQ(devices_.find("raid"), nullptr);
        EXPECT_TRUE(create(1));
        EXPECT_NE(devices_.find("raid"), nullptr);
        EXPECT_TRUE(call("bdev_raid_delete", {{"name", "raid"}, {"clear_sb", true}}));
        for (const char* name : {"disk0", "disk1"}) EXPECT_TRUE(call(prefix + "_delete", {{"name", name}}));
    }
}

TEST_F(ModulesRpcTest, RaidsAreMadeChangedAndRemoved) {
    for (const char* name : {"a", "b", "c"}) {
        EXPECT_TRUE(
            call("bdev_malloc_create", {{"name", name}, {"num_blocks", 4096}, {"block_size", 512}}).has_value());
    }
    const auto create = [this](const Json& more = Json::object()) {
        Json params = {{"name", "raid"}, {"raid_level", "raid1"}, {"base_bdevs", {"a", "b"}}};
        params.update(more);
        return code_of("bdev_raid_create", params);
    };
    EXPECT_EQ(create({{"raid_level", "raid7"}}), rpc::code::invalid_params);
    EXPECT_EQ(create({{"strip_size_kb", 4}}), -EINVAL);
    EXPECT_EQ(create({{"raid_level", "0"}, {"strip_size_kb", 3}}), -EINVAL);
    EXPECT_EQ(create({{"base_bdevs", {"a"}}}), -EINVAL);
    EXPECT_EQ(create({{"base_bdevs", {"a", "a"}}}), -EPERM);
    EXPECT_EQ(create({{"name", "c"}}), -EEXIST);
    EXPECT_EQ(create(), 0);
    EXPECT_EQ(create(), -EEXIST);
    EXPECT_EQ(create({{"name", "other"}, {"base_bdevs", {"a", "c"}}}), -EPERM);
    EXPECT_EQ(devices_.find("c")->claimed_by(), "") << "nothing is left of it";

    Json listed = *call("bdev_raid_get_bdevs", {{"category", "online"}});
    ASSERT_EQ(listed.size(), 1U);
    std::vector<std::string> names;
    for (const auto& [key, value] : listed[0].items()) names.push_back(key);
    EXPECT_EQ(names, (std::vector<std::string>{"name", "uuid", "strip_size_kb", "state", "raid_level", "superblock",
                                               "num_base_bdevs", "num_base_bdevs_discovered",
                                               "num_base_bdevs_operational", "base_bdevs_list"}));
    EXPECT_EQ(listed[0]["base_bdevs_list"][1], Json({{"name", "b"},
                                                     {"uuid", devices_.find("b")->uuid().to_string()},
                                                     {"is_configured", true},
                                                     {"data_offset", 0},
                                                     {"data_size", 4096}}));
    Json described = describe(*devices_.find("raid"))["driver_specific"]["raid"];
    listed[0].erase("name");
    EXPECT_EQ(described, listed[0]);
    EXPECT_EQ(call("bdev_raid_get_bdevs", {{"category", "configuring"}})->size(), 0U);
    EXPECT_EQ(code_of("bdev_raid_get_bdevs", {{"category", "some"}}), rpc::code::invalid_params);
    EXPECT_EQ(code_of("bdev_raid_get_bdevs", Json::object()), rpc::code::invalid_params);

    EXPECT_EQ(code_of("bdev_raid_add_base_bdev", {{"raid_bdev", "raid"}, {"base_bdev", "c"}}), -EINVAL) << "it is full";
    EXPECT_EQ(code_of("bdev_raid_add_base_bdev", {{"raid_bdev", "none"}, {"base_bdev", "c"}}), -ENODEV);
    EXPECT_EQ(code_of("bdev_raid_remove_base_bdev", {{"name", "none"}}), -ENODEV);
    EXPECT_EQ(code_of("bdev_raid_remove_base_bdev", {{"name", "c"}}), -ENODEV);
    EXPECT_EQ(*call("bdev_raid_set_options", {{"process_window_size_kb", 4}, {"process_max_bandwidth_mb_sec", 1}}),
              Json(true));
    EXPECT_EQ(code_of("bdev_raid_set_options", {{"process_window_size_kb", 0}}), -EINVAL);
    EXPECT_EQ(*call("bdev_raid_remove_base_bdev", {{"name", "a"}}), Json(true));
    EXPECT_EQ(code_of("bdev_raid_add_base_bdev", {{"raid_bdev", "raid"}, {"base_bdev", "none"}}), -ENODEV);
    EXPECT_EQ(*call("bdev_raid_add_base_bdev", {{"raid_bdev", "raid"}, {"base_bdev", "c"}}), Json(true));
    const Json process = (*call("bdev_raid_get_bdevs", {{"category", "all"}}))[0]["process"];
    EXPECT_EQ(process["type"], "rebuild");
    EXPECT_EQ(process["target"], "c");
    EXPECT_TRUE(process["progress"].contains("blocks"));
    EXPECT_TRUE(process["progress"].contains("percent"));
    EXPECT_EQ(code_of("bdev_raid_add_base_bdev", {{"raid_bdev", "raid"}, {"base_bdev", "a"}}), -EPERM);
    EXPECT_EQ(*call("bdev_raid_delete", {{"name", "raid"}}), Json(true));
    EXPECT_EQ(call("bdev_raid_delete", {{"name", "raid"}}).error(), rpc::RpcError(-19, "raid bdev raid not found"));
}

TEST_F(ModulesRpcTest, EverythingComesBackFromItsConfiguration) {
    const std::string uuid = "6ba7b810-9dad-11d1-80b4-00c04fd430c8";
    ASSERT_TRUE(call("bdev_malloc_create", {{"num_blocks", 100}, {"block_size", 512}, {"uuid", uuid}}).has_value());
    ASSERT_TRUE(call("bdev_malloc_create", {{"name", "ram"},
                                            {"num_blocks", 100},
                                            {"block_size", 512},
                                            {"physical_block_size", 4096},
                                            {"optimal_io_boundary", 8}}));
    ASSERT_TRUE(call("bdev_null_create", {{"name", "null"},
                                          {"num_blocks", 2048},
                                          {"block_size", 512},
                                          {"preferred_write_granularity", 8},
                                          {"preferred_write_alignment", 8},
                                          {"preferred_unmap_granularity", 16}}));
    ASSERT_TRUE(call("bdev_null_resize", {{"name", "null"}, {"new_size", 2}}));
    ASSERT_TRUE(call("bdev_aio_create", {{"name", "aio"},
                                         {"filename", make_file("aio", 1 << 20)},
                                         {"block_size", 4096},
                                         {"readonly", true},
                                         {"direct", false}}));
    ASSERT_TRUE(call("bdev_uring_create", {{"name", "uring"}, {"filename", make_file("uring", 1 << 20)}}));
    ASSERT_TRUE(
        call("bdev_raid_create",
             {{"name", "raid"}, {"raid_level", "concat"}, {"strip_size_kb", 4}, {"base_bdevs", {"uring", "ram"}}}));
    expect_comes_back_from_its_configuration();
}

TEST_F(ModulesRpcTest, EarlierNamesOfMethodsWork) {
    EXPECT_EQ(*call("construct_malloc_bdev", {{"num_blocks", 100}, {"block_size", 512}, {"numa_id", 0}}),
              Json("Malloc0"));
    EXPECT_EQ(*call("delete_malloc_bdev", {{"name", "Malloc0"}}), Json(true));
    EXPECT_EQ(*call("construct_null_bdev", {{"name", "null"}, {"num_blocks", 100}, {"block_size", 512}}), Json("null"));
    EXPECT_EQ(*call("delete_null_bdev", {{"name", "null"}}), Json(true));
    for (const std::string word : {"aio", "uring"}) {
        const Json params = {{"name", "disk"}, {"filename", make_file("disk", 4096)}};
        EXPECT_EQ(*call("construct_" + word + "_bdev", params), Json("disk"));
        EXPECT_EQ(*call("delete_" + word + "_bdev", {{"name", "disk"}}), Json(true));
    }
}

TEST_F(ModulesRpcTest, ParametersHaveTheNamesAndTypesOfTheField) {
    std::map<std::string, std::string> described;
    for (const rpc::MethodDescription& method : methods_.descriptions()) {
        std::string& text = described[method.name];
        for (const rpc::ParamDescription& param : method.params) {
            text += param.name + (param.is_required ? "*" : "") + ":" + param.type + " ";
        }
    }
    EXPECT_EQ(described["bdev_aio_create"],
              "name*:string filename*:string block_size:u32 readonly:bool fallocate:bool uuid:uuid nowait:bool "
              "direct:bool ");
    EXPECT_EQ(described["bdev_uring_create"], "name*:string filename*:string block_size:u32 uuid:uuid direct:bool ");
    EXPECT_EQ(described["bdev_malloc_create"],
              "name:string block_size*:u32 num_blocks*:u64 uuid:uuid optimal_io_boundary:u32 physical_block_size:u32 "
              "md_size:u32 md_interleave:bool dif_type:i32 dif_is_head_of_md:bool dif_pi_format:u32 numa_id:i32 ");
    EXPECT_EQ(described["bdev_null_resize"], "name*:string new_size*:u64 ");
}

}  // namespace
}  // namespace weft::bdev
