// Which role each method wants. A method that is not in this table fails the test: think about who may call it, declare
// it (MethodSpec::role), and write it down here.
//   read: only asks. operate: changes the target's configuration and figures. admin: the process, its log, scheduling,
//   options of sockets, the kept state, and whatever names a file of the machine.
#include <gtest/gtest.h>

#include <map>

#include "app/daemon/daemon.h"
#include "bdev/test_runtime.h"

namespace weft::app {
namespace {

using rpc::Role;

const std::map<std::string, Role> expected = {
    {"accel_assign_opc", Role::admin},
    {"accel_crypto_key_create", Role::admin},
    {"accel_crypto_key_destroy", Role::admin},
    {"accel_crypto_keys_get", Role::read},
    {"accel_error_inject_error", Role::admin},
    {"accel_get_module_info", Role::read},
    {"accel_get_opc_assignments", Role::read},
    {"accel_get_stats", Role::read},
    {"accel_set_driver", Role::admin},
    {"accel_set_options", Role::admin},
    {"bdev_aio_create", Role::admin},
    {"bdev_aio_delete", Role::operate},
    {"bdev_aio_rescan", Role::operate},
    {"bdev_crypto_create", Role::operate},
    {"bdev_crypto_delete", Role::operate},
    {"bdev_delay_create", Role::operate},
    {"bdev_delay_delete", Role::operate},
    {"bdev_delay_update_latency", Role::operate},
    {"bdev_enable_histogram", Role::operate},
    {"bdev_error_create", Role::operate},
    {"bdev_error_delete", Role::operate},
    {"bdev_error_inject_error", Role::operate},
    {"bdev_error_resume_pending", Role::operate},
    {"bdev_examine", Role::operate},
    {"bdev_get_bdevs", Role::read},
    {"bdev_get_histogram", Role::read},
    {"bdev_get_histogram_borders", Role::read},
    {"bdev_get_iostat", Role::read},
    {"bdev_malloc_create", Role::operate},
    {"bdev_malloc_delete", Role::operate},
    {"bdev_null_create", Role::operate},
    {"bdev_null_delete", Role::operate},
    {"bdev_null_resize", Role::operate},
    {"bdev_passthru_create", Role::operate},
    {"bdev_passthru_delete", Role::operate},
    {"bdev_raid_add_base_bdev", Role::operate},
    {"bdev_raid_create", Role::operate},
    {"bdev_raid_delete", Role::operate},
    {"bdev_raid_get_bdevs", Role::read},
    {"bdev_raid_remove_base_bdev", Role::operate},
    {"bdev_raid_set_options", Role::operate},
    {"bdev_reset_iostat", Role::operate},
    {"bdev_set_options", Role::operate},
    {"bdev_set_qd_sampling_period", Role::operate},
    {"bdev_set_qos_limit", Role::operate},
    {"bdev_split_create", Role::operate},
    {"bdev_split_delete", Role::operate},
    {"bdev_uring_create", Role::admin},
    {"bdev_uring_delete", Role::operate},
    {"bdev_uring_rescan", Role::operate},
    {"bdev_wait_for_examine", Role::read},
    {"bdev_zone_block_create", Role::operate},
    {"bdev_zone_block_delete", Role::operate},
    {"delete_bdev", Role::operate},
    {"framework_get_config", Role::read},
    {"framework_get_reactors", Role::read},
    {"framework_get_scheduler", Role::read},
    {"framework_get_subsystems", Role::read},
    {"framework_set_scheduler", Role::admin},
    {"framework_start_init", Role::admin},
    {"framework_wait_init", Role::read},
    {"iobuf_get_stats", Role::read},
    {"iobuf_set_options", Role::operate},
    {"keyring_file_add_key", Role::admin},
    {"keyring_file_remove_key", Role::operate},
    {"keyring_get_keys", Role::read},
    {"log_clear_flag", Role::admin},
    {"log_enable_timestamps", Role::admin},
    {"log_get_flags", Role::read},
    {"log_get_level", Role::read},
    {"log_get_print_level", Role::read},
    {"log_set_flag", Role::admin},
    {"log_set_level", Role::admin},
    {"log_set_print_level", Role::admin},
    {"notify_get_notifications", Role::read},
    {"notify_get_types", Role::read},
    {"nvmf_create_subsystem", Role::operate},
    {"nvmf_create_target", Role::operate},
    {"nvmf_create_transport", Role::operate},
    {"nvmf_delete_subsystem", Role::operate},
    {"nvmf_delete_target", Role::operate},
    {"nvmf_discovery_add_referral", Role::operate},
    {"nvmf_discovery_get_referrals", Role::read},
    {"nvmf_discovery_remove_referral", Role::operate},
    {"nvmf_discovery_set_nqn", Role::operate},
    {"nvmf_publish_mdns_prr", Role::operate},
    {"nvmf_stop_mdns_prr", Role::operate},
    {"nvmf_get_blockservice2transport", Role::read},
    {"nvmf_ns_add_host", Role::operate},
    {"nvmf_ns_remove_host", Role::operate},
    {"nvmf_get_stats", Role::read},
    {"nvmf_get_subsystems", Role::read},
    {"nvmf_get_targets", Role::read},
    {"nvmf_get_transports", Role::read},
    {"nvmf_put_blockservice2transport", Role::operate},
    {"nvmf_remove_blockservice2transport", Role::operate},
    {"nvmf_set_config", Role::operate},
    {"nvmf_set_crdt", Role::operate},
    {"nvmf_set_max_subsystems", Role::operate},
    {"nvmf_subsystem_add_host", Role::operate},
    {"nvmf_subsystem_add_listener", Role::operate},
    {"nvmf_subsystem_add_ns", Role::operate},
    {"nvmf_subsystem_allow_any_host", Role::operate},
    {"nvmf_subsystem_disconnect", Role::operate},
    {"nvmf_subsystem_get_controllers", Role::read},
    {"nvmf_subsystem_get_listeners", Role::read},
    {"nvmf_subsystem_get_qpairs", Role::read},
    {"nvmf_subsystem_listener_set_ana_state", Role::operate},
    {"nvmf_subsystem_listener_set_hosts", Role::operate},
    {"nvmf_subsystem_remove_host", Role::operate},
    {"nvmf_subsystem_remove_listener", Role::operate},
    {"nvmf_subsystem_remove_ns", Role::operate},
    {"nvmf_subsystem_set_host_qos_limit", Role::operate},
    {"nvmf_subsystem_set_keys", Role::operate},
    {"nvmf_subsystem_set_ns_ana_group", Role::operate},
    {"rpc_get_methods", Role::read},
    {"scheduler_set_options", Role::admin},
    {"sock_get_default_impl", Role::read},
    {"sock_impl_get_options", Role::read},
    {"sock_impl_set_options", Role::admin},
    {"sock_set_default_impl", Role::admin},
    {"spdk_get_version", Role::read},
    {"spdk_kill_instance", Role::admin},
    {"thread_get_io_channels", Role::read},
    {"thread_get_pollers", Role::read},
    {"thread_get_stats", Role::read},
    {"thread_set_cpumask", Role::admin},
    {"weft_apply_config", Role::admin},
    {"weft_describe_methods", Role::read},
    {"weft_forget_missing", Role::admin},
    {"trace_clear", Role::operate},
    {"trace_clear_tpoint_mask", Role::operate},
    {"trace_disable_tpoint_group", Role::operate},
    {"trace_enable_tpoint_group", Role::operate},
    {"trace_get_info", Role::read},
    {"trace_get_tpoint_group_mask", Role::read},
    {"trace_set_tpoint_mask", Role::operate},
    {"weft_get_audit", Role::read},
    {"weft_get_figures", Role::read},
    {"weft_zoned_create", Role::operate},
    {"weft_zoned_delete", Role::operate},
    {"weft_get_state", Role::read},
    {"weft_nvmf_set_ana_states", Role::operate},
};

TEST(MethodRoles, EveryMethodHasTheRoleThatWasThoughtOf) {
    bdev::TestRuntime world;
    Daemon daemon(world.runtime(), DaemonOptions{});
    std::map<std::string, Role> found;
    for (const rpc::MethodDescription& method : daemon.methods().descriptions()) {
        found.emplace(method.name, method.role);
        const auto entry = expected.find(method.name);
        if (entry == expected.end()) {
            ADD_FAILURE() << method.name << " is not in the table";
            continue;
        }
        EXPECT_EQ(to_string(method.role), to_string(entry->second)) << method.name;
        // Whoever may only ask changes nothing.
        if (method.role == Role::read) EXPECT_FALSE(method.changes_config) << method.name;
    }
    for (const auto& [name, role] : expected) EXPECT_TRUE(found.contains(name)) << name << " is not there any more";
}

TEST(MethodRoles, WhoMayOnlyAskSeesOnlyWhatAsks) {
    bdev::TestRuntime world;
    Daemon daemon(world.runtime(), DaemonOptions{});
    size_t count = 0;
    for (const auto& [name, role] : expected) count += role == Role::read ? 1 : 0;
    EXPECT_EQ(daemon.methods().descriptions(Role::read).size(), count);
    EXPECT_TRUE(daemon.methods().descriptions(Role::none).empty());
}

}  // namespace
}  // namespace weft::app
