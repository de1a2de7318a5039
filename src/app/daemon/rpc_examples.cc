#include "app/daemon/rpc_examples.h"

namespace weft::app {

namespace {

// clang-format off
constexpr std::string_view examples[] = {
    "accel_get_stats",
    "bdev_aio_create /srv/disk2.img File2 4096",
    "bdev_aio_delete File0",
    "bdev_aio_rescan File0",
    "bdev_enable_histogram Malloc0 -e",
    "bdev_examine -b Malloc0",
    "bdev_get_bdevs -b Malloc0",
    "bdev_get_histogram Malloc0",
    "bdev_get_histogram_borders Malloc0 --borders 10,100,1000",
    "bdev_get_iostat -b Malloc0",
    "bdev_malloc_create -b Malloc1 64 4096",
    "bdev_malloc_delete Malloc0",
    "bdev_null_create Null1 1024 512",
    "bdev_null_delete Null0",
    "bdev_null_resize Null0 2048",
    "bdev_reset_iostat -b Malloc0",
    "bdev_set_options -p 65535 -c 256",
    "bdev_uring_create /srv/disk3.img Ring1 4096",
    "bdev_uring_delete Ring0",
    "bdev_uring_rescan Ring0",
    "bdev_wait_for_examine",
    "delete_bdev Malloc0",
    "framework_get_config bdev",
    "framework_get_reactors",
    "framework_get_scheduler",
    "framework_get_subsystems",
    "framework_set_scheduler dynamic -p 500000",
    "framework_start_init",
    "framework_wait_init",
    "iobuf_get_stats",
    "iobuf_set_options",
    "log_clear_flag nvmf_tcp",
    "log_enable_timestamps -d",
    "log_get_flags",
    "log_get_level",
    "log_get_print_level",
    "log_set_flag nvmf_tcp",
    "log_set_level NOTICE",
    "log_set_print_level INFO",
    "notify_get_notifications -i 0 -n 10",
    "notify_get_types",
    "nvmf_create_subsystem nqn.2016-06.io.spdk:cnode2 -a -s SPDK00000000000002 -d SPDK_Controller2 -m 32",
    "nvmf_create_transport -t TCP -u 131072 -m 64 -c 8192",
    "nvmf_delete_subsystem nqn.2016-06.io.spdk:cnode1",
    "nvmf_get_stats",
    "nvmf_get_subsystems nqn.2016-06.io.spdk:cnode1",
    "nvmf_get_targets",
    "nvmf_get_transports --trtype TCP",
    "nvmf_set_config",
    "nvmf_set_crdt -t1 5 -t2 10 -t3 20",
    "nvmf_set_max_subsystems -x 64",
    "nvmf_subsystem_add_host nqn.2016-06.io.spdk:cnode1 nqn.2014-08.org.nvmexpress:uuid:8d0b1b3e-6f0a-4a3c-9a52-0c2f9ad1c6c5",
    "nvmf_subsystem_add_listener nqn.2016-06.io.spdk:cnode1 -t tcp -a 127.0.0.1 -s 4421",
    "nvmf_subsystem_add_ns nqn.2016-06.io.spdk:cnode1 Malloc0 -n 2",
    "nvmf_subsystem_allow_any_host nqn.2016-06.io.spdk:cnode1 -e",
    "nvmf_subsystem_get_controllers nqn.2016-06.io.spdk:cnode1",
    "nvmf_subsystem_get_listeners nqn.2016-06.io.spdk:cnode1",
    "nvmf_subsystem_get_qpairs nqn.2016-06.io.spdk:cnode1",
    "nvmf_subsystem_remove_host nqn.2016-06.io.spdk:cnode1 nqn.2016-06.io.spdk:host1",
    "nvmf_subsystem_remove_listener nqn.2016-06.io.spdk:cnode1 -t tcp -a 127.0.0.1 -s 4420",
    "nvmf_subsystem_remove_ns nqn.2016-06.io.spdk:cnode1 1",
    "rpc_get_methods",
    "scheduler_set_options -s 0",
    "sock_get_default_impl",
    "sock_impl_get_options -i posix",
    "sock_impl_set_options -i posix --recv-buf-size 1048576",
    "sock_set_default_impl -i posix",
    "spdk_get_version",
    "spdk_kill_instance SIGTERM",
    "thread_get_io_channels",
    "thread_get_pollers",
    "thread_get_stats",
    "thread_set_cpumask -i 3 -m 0x1",
    "trace_clear",
    "trace_clear_tpoint_mask bdev 0x1",
    "trace_disable_tpoint_group bdev",
    "trace_enable_tpoint_group bdev",
    "trace_get_info",
    "trace_get_tpoint_group_mask",
    "trace_set_tpoint_mask bdev 0x3",
    "weft_apply_config --filename /srv/config.json --dry_run true",
    "weft_describe_methods --method bdev_malloc_create",
    "weft_forget_missing",
    "weft_get_audit",
    "weft_get_figures",
    "weft_get_state",
};
// clang-format on

}  // namespace

std::string_view rpc_example(std::string_view method) {
    for (const std::string_view example : examples) {
        if (example.substr(0, example.find(' ')) == method) return example;
    }
    return {};
}

}  // namespace weft::app
