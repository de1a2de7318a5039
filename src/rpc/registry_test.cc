#include "rpc/registry.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "base/log.h"
#include "rpc/example_methods.h"

namespace weft::rpc {

namespace {

using example::run_now;

class RegistryTest : public testing::Test {
protected:
    RegistryTest() { example::add_example_methods(registry); }
    Response call(std::string method, std::string_view params = "null") {
        return run_now(registry.call(std::move(method), *parse_json(params)));
    }
    Registry registry;
};

std::vector<std::string> lines;

TEST_F(RegistryTest, CallsTheHandlerWithItsParameters) {
    EXPECT_EQ(call("echo", R"({"value":[1]})"), Response(Json::array({1})));
    registry.set_state(runtime);
    EXPECT_EQ(call("bdev_malloc_create", R"({"num_blocks":1,"block_size":512})"), Response(Json("Malloc0")));
}

TEST_F(RegistryTest, KeepsItsOwnWhenAForeignMethodHasTheName) {
    const auto add = [this](std::string name, std::vector<std::string> aliases) {
        return registry.add_foreign([&]() -> Result<void> {
            registry.add<NoParams>({.name = name, .aliases = aliases, .words = "x"},
                                   [](NoParams) -> Task<Result<Json>> { co_return Json("foreign"); });
            return {};
        });
    };
    EXPECT_EQ(add("echo", {}).error().message, "there is a method echo, or one of its aliases, already");
    EXPECT_FALSE(add("own", {"echo"}));
    EXPECT_FALSE(registry.states_of("own"));
    EXPECT_FALSE(add("", {}));
    EXPECT_EQ(call("echo", R"({"value":1})"), Response(Json(1)));
    EXPECT_TRUE(add("own", {"mine"}));
    registry.set_state(runtime);
    EXPECT_EQ(call("mine"), Response(Json("foreign")));
    EXPECT_EQ(call("weft_describe_methods", R"({"method":"own"})")->front()["words"], "x");
    EXPECT_EQ(registry.add_foreign([]() -> Result<void> { return fail(Errc::busy, "later"); }).error().message,
              "later");
}

TEST_F(RegistryTest, MapsErrorsToCodes) {
    registry.set_state(runtime);
    EXPECT_EQ(call("no_such").error(), RpcError(-32601, "Method not found: no_such"));
    EXPECT_EQ(call("ehco").error(), RpcError(-32601, "Method not found: ehco; did you mean echo?"));
    EXPECT_EQ(call("fail", R"({"code":-19})").error(), RpcError(-19, "as you wish"));
    EXPECT_EQ(call("echo").error(), RpcError(-32602, "value: required parameter is missing"));
    EXPECT_EQ(call("bdev_malloc_create", R"({"num_blocks":4503599627370496,"block_size":512})").error(),
              RpcError(-12, "so much memory there is not"));
    EXPECT_EQ(RpcError(Error{Errc::invalid_argument, "x"}), RpcError(-32602, "x"));
    EXPECT_EQ(RpcError(Error{Errc::no_such_device, ""}), RpcError(-19, "no such device"));
}

TEST_F(RegistryTest, KnowsWhatMayBeCalledWhen) {
    const std::string only_after =
        "Method may only be called after framework is initialized using framework_start_init RPC.";
    const std::string only_before =
        "Method may only be called before framework is initialized. Use --wait-for-rpc command line parameter and then "
        "issue this RPC before the framework_start_init RPC.";
    EXPECT_EQ(call("bdev_malloc_create").error(), RpcError(-1, only_after));
    EXPECT_TRUE(call("scheduler_set_options"));
    EXPECT_TRUE(call("echo", R"({"value":1})"));
    EXPECT_TRUE(call("framework_start_init"));
    EXPECT_EQ(call("scheduler_set_options").error(), RpcError(-1, only_before));
    EXPECT_EQ(call("framework_start_init").error(), RpcError(-1, only_before));
    EXPECT_TRUE(call("echo", R"({"value":1})"));
}

TEST_F(RegistryTest, WarnsOnceOfAnAlias) {
    lines.clear();
    log::set_sink([](log::Level, std::string_view line) { lines.emplace_back(line); });
    EXPECT_TRUE(call("old_echo", R"({"value":1})"));
    EXPECT_TRUE(call("old_echo", R"({"value":1})"));
    log::set_sink(nullptr);
    ASSERT_EQ(lines.size(), 1U);
    EXPECT_NE(lines[0].find("RPC method old_echo is deprecated, use echo"), std::string::npos);
}

TEST_F(RegistryTest, HidesWhatIsNotAllowed) {
    registry.set_allowed({"echo", "rpc_get_methods"});
    EXPECT_TRUE(call("echo", R"({"value":1})"));
    EXPECT_TRUE(call("old_echo", R"({"value":1})"));
    EXPECT_EQ(call("fail", R"({"code":1})").error().code, -32601);
    EXPECT_EQ(call("rpc_get_methods"), Response(Json::array({"echo", "rpc_get_methods"})));
    EXPECT_TRUE(registry.states_of("fail"));
}

TEST_F(RegistryTest, ListsMethods) {
    EXPECT_EQ(call("rpc_get_methods"),
              Response(Json::array({"bdev_malloc_create", "bdev_raid_create", "echo", "fail", "framework_start_init",
                                    "nvmf_subsystem_add_listener", "rpc_get_methods", "scheduler_set_options",
                                    "weft_describe_methods"})));
    EXPECT_EQ(call("rpc_get_methods", R"({"current":true,"include_aliases":true})"),
              Response(Json::array({"echo", "fail", "framework_start_init", "get_rpc_methods", "old_echo",
                                    "rpc_get_methods", "scheduler_set_options", "weft_describe_methods"})));
}

TEST_F(RegistryTest, DescribesMethodsToClients) {
    const Response echo = call("weft_describe_methods", R"({"method":"old_echo"})");
    ASSERT_TRUE(echo);
    EXPECT_EQ(dump_json(*echo),
              R"([{"name":"echo","role":"admin","text":"Gives back what it gets","states":["startup","runtime"],)"
              R"("aliases":["old_echo"],"params":[{"name":"value","type":"json","required":true,"text":"Anything"}],)"
              R"("result":"the value"}])");
    Response listener = call("weft_describe_methods", R"({"method":"nvmf_subsystem_add_listener"})");
    ASSERT_TRUE(listener);
    Json& params = (*listener)[0]["params"];
    EXPECT_FALSE(params[0].contains("default"));
    EXPECT_EQ(params[1]["fields"][2]["alias"], "port");
    EXPECT_EQ(params[2]["default"], "optimized");
    EXPECT_EQ(params[2]["enum"], Json::array({"optimized", "non_optimized", "inaccessible"}));
    EXPECT_EQ(params[4]["default"], -1);
    EXPECT_EQ(call("weft_describe_methods")->size(), 9U);
    EXPECT_EQ(call("weft_describe_methods", R"({"method":"no_such"})"), Response(Json::array()));
    registry.set_allowed({"weft_describe_methods"});
    EXPECT_EQ(call("weft_describe_methods", R"({"method":"echo"})"), Response(Json::array()));
}

TEST_F(RegistryTest, DescribesMethods) {
    const auto all = registry.descriptions();
    const auto at = std::find_if(all.begin(), all.end(),
                                 [](const auto& method) { return method.name == "nvmf_subsystem_add_listener"; });
    ASSERT_NE(at, all.end());
    EXPECT_EQ(to_help(*at),
              R"(nvmf_subsystem_add_listener
  Listens. Callable after framework_start_init.
Parameters:
  nqn             NQN of the subsystem (string, required)
  listen_address  Where to listen (object, required)
    trtype   Transport (string, required)
    traddr   Address (string, required)
    trsvcid  Port (string, also port)
  ana_state       ANA state of all groups (enum, default "optimized"; one of optimized, non_optimized, inaccessible)
  secure_channel  TLS only (bool)
  numa_id         Preferred NUMA node (i32, default -1)
Result: true
)");
    const std::string page = to_markdown(all);
    EXPECT_NE(page.find("## `bdev_raid_create`\n\nJoins devices. Callable after framework_start_init; role admin.\n"),
              std::string::npos);
    EXPECT_NE(page.find("| `addresses[].trtype` | string | yes |  | Transport |\n"), std::string::npos);
    EXPECT_NE(page.find("| `states` | [enum] |  | `[]` | A set (one of optimized, "), std::string::npos);
    EXPECT_NE(page.find("| `physical_block_size` | u32 |  | `512` | Bytes written at once |\n"), std::string::npos);
    EXPECT_NE(page.find("## `scheduler_set_options`\n\nSets options. Callable before framework_start_init; role "
                        "admin.\n\nNo parameters.\n"),
              std::string::npos);
}

TEST_F(RegistryTest, AnswersWithTheCodesOfTheMethod) {
    const Codes codes = {.invalid_argument = -22, .others = code::internal_error};
    for (const Errc errc : {Errc::invalid_argument, Errc::no_such_device}) {
        const std::string name = errc == Errc::invalid_argument ? "invalid" : "absent";
        registry.add<NoParams>({.name = name, .codes = codes},
                               [errc](NoParams) -> Task<Result<Json>> { co_return fail(errc, "no"); });
    }
    registry.set_state(runtime);
    EXPECT_EQ(call("invalid"), Response(fail_code(-22, "no")));
    EXPECT_EQ(call("absent"), Response(fail_code(code::internal_error, "no")));
    EXPECT_EQ(call("absent", R"({"x":1})").error().code, code::invalid_params);
}

TEST_F(RegistryTest, WhatARoleMayNotCallIsNotThere) {
    for (const Role role : {Role::read, Role::operate, Role::admin}) {
        registry.add<NoParams>({.name = fmt::format("{}_it", to_string(role)), .role = role, .aliases = {}},
                               [](NoParams) -> Task<Result<Json>> { co_return Json(true); });
    }
    registry.set_state(runtime);
    const auto as = [this](Role role, std::string method) {
        const Caller who{.role = role, .name = "CN=alice", .address = {}};
        return run_now(registry.call(std::move(method), Json(), CallOf::client, who));
    };
    EXPECT_TRUE(as(Role::read, "read_it"));
    EXPECT_TRUE(as(Role::operate, "read_it"));
    EXPECT_TRUE(as(Role::operate, "operate_it"));
    EXPECT_TRUE(as(Role::admin, "admin_it"));
    // What is forbidden and what is not there are the same to the caller, neighbours included.
    const auto text = [](std::string_view name, std::string_view near, std::string_view role) {
        return fmt::format("Method not found: {}{}; rpc_get_methods lists what your role, {}, may call", name, near,
                           role);
    };
    EXPECT_EQ(as(Role::read, "operate_it").error(), RpcError(-32601, text("operate_it", "", "read")));
    EXPECT_EQ(as(Role::read, "operate_at").error(), RpcError(-32601, text("operate_at", "", "read")));
    EXPECT_EQ(as(Role::operate, "operate_at").error(),
              RpcError(-32601, text("operate_at", "; did you mean operate_it?", "operate")));
    EXPECT_EQ(as(Role::read, "rpc_get_methods"), Response(Json{"read_it", "rpc_get_methods", "weft_describe_methods"}));
    EXPECT_EQ(as(Role::operate, "weft_describe_methods")->size(), 4U);
    for (const char* method : {"read_it", "admin_it", "no_such"}) {
        EXPECT_EQ(as(Role::none, method).error(),
                  RpcError(-1,
                           "CN=alice has no role here: whoever runs the target must list it in the file of "
                           "--rpc-roles"));
    }
    // A configuration file is the administrator's, whoever is said to call.
    const Caller nobody{.role = Role::none, .name = {}, .address = {}};
    EXPECT_TRUE(run_now(registry.call("admin_it", Json(), CallOf::file, nobody)));
}

TEST(RegistryDeathTest, RefusesANameTwice) {
    Registry registry;
    add_rpc_methods(registry);
    EXPECT_DEATH(add_rpc_methods(registry), "find");
}

}  // namespace

}  // namespace weft::rpc
