#include "app/cli/rpc/rpc_grammar.h"

#include <algorithm>

namespace weft::cli {

namespace {

// WORD=PARAM, or PARAM alone for a positional argument. Behind PARAM: "!" a flag, "~" a flag for false, "," a list,
// "@" MiB, "#" hexadecimal. Forms of 23.05 that are gone today stand behind today's.
struct Row {
    std::string_view method;
    std::string_view words;
};

constexpr Row table[] = {
    {"accel_assign_opc", "-o=opname -m=module"},
    {"accel_crypto_key_create", "-c=cipher -k=key -e=key2 -t=tweak_mode -n=name"},
    {"accel_crypto_key_destroy", "-n=key_name --name=key_name"},
    {"accel_crypto_keys_get", "-k=key_name"},
    {"accel_error_inject_error", "-o=opcode -t=type -c=count -i=interval"},
    {"bdev_aio_create", "filename name block_size -r=readonly! -u=uuid --no-wait=nowait!"},
    {"bdev_aio_delete", "name"},
    {"bdev_aio_rescan", "name"},
    {"bdev_crypto_create", "base_bdev_name name -p=crypto_pmd -k=key -c=cipher -k2=key2 -n=key_name"},
    {"bdev_crypto_delete", "name"},
    {"bdev_delay_create",
     "-b=base_bdev_name -d=name -u=uuid -r=avg_read_latency -t=p99_read_latency "
     "--nine-nine-read-latency=p99_read_latency "
     "-w=avg_write_latency -n=p99_write_latency --nine-nine-write-latency=p99_write_latency"},
    {"bdev_delay_delete", "name"},
    {"bdev_delay_update_latency", "delay_bdev_name latency_type latency_us"},
    {"bdev_error_create", "base_name"},
    {"bdev_error_delete", "name"},
    {"bdev_error_inject_error", "name io_type error_type -n=num -q=queue_depth -o=corrupt_offset -v=corrupt_value"},
    {"bdev_error_resume_pending", "name"},
    {"bdev_examine", "-b=name"},
    {"bdev_enable_histogram",
     "name -e=enable! --enable=enable! --histogram=enable! -d=enable~ --disable=enable~ --no-histogram=enable~ -o=opc"},
    {"bdev_get_bdevs", "-b=name -t=timeout --timeout-ms=timeout"},
    {"bdev_get_histogram", "name"},
    {"bdev_get_histogram_borders", "name --borders=borders,"},
    {"bdev_get_iostat", "-c=per_channel! --names=names, -b=name"},
    {"bdev_malloc_create",
     "num_blocks@ block_size -b=name -u=uuid -p=physical_block_size -o=optimal_io_boundary -m=md_size "
     "-i=md_interleave! -t=dif_type -d=dif_is_head_of_md! -f=dif_pi_format -n=numa_id"},
    {"bdev_malloc_delete", "name"},
    {"bdev_null_create",
     "name num_blocks@ block_size -u=uuid -p=physical_block_size -m=md_size -t=dif_type -d=dif_is_head_of_md! "
     "-f=dif_pi_format -a=preferred_write_alignment -g=preferred_write_granularity -s=optimal_write_size "
     "-c=preferred_unmap_alignment -r=preferred_unmap_granularity"},
    {"bdev_null_delete", "name"},
    {"bdev_null_resize", "name new_size"},
    {"bdev_passthru_create", "-b=base_bdev_name -p=name -u=uuid"},
    {"bdev_passthru_delete", "name"},
    {"bdev_raid_add_base_bdev", "raid_bdev base_bdev"},
    {"bdev_raid_create", "-n=name -z=strip_size_kb -r=raid_level -b=base_bdevs, --uuid=uuid -s=superblock!"},
    {"bdev_raid_delete", "name -c=clear_sb!"},
    {"bdev_raid_get_bdevs", "category"},
    {"bdev_raid_remove_base_bdev", "name"},
    {"bdev_raid_set_options", "-w=process_window_size_kb -b=process_max_bandwidth_mb_sec"},
    {"bdev_reset_iostat", "-b=name -m=mode"},
    {"bdev_set_options",
     "-p=bdev_io_pool_size -c=bdev_io_cache_size --auto-examine=bdev_auto_examine! "
     "--no-auto-examine=bdev_auto_examine~ -e=bdev_auto_examine! --enable-auto-examine=bdev_auto_examine! "
     "-d=bdev_auto_examine~ --disable-auto-examine=bdev_auto_examine~"},
    {"bdev_set_qd_sampling_period", "name period"},
    {"bdev_set_qos_limit",
     "name --rw-ios-per-sec=rw_ios_per_sec --rw-mbytes-per-sec=rw_mbytes_per_sec "
     "--r-mbytes-per-sec=r_mbytes_per_sec --w-mbytes-per-sec=w_mbytes_per_sec"},
    {"bdev_split_create", "base_bdev split_count -s=split_size_mb"},
    {"bdev_split_delete", "base_bdev"},
    {"bdev_uring_create", "filename name block_size -u=uuid"},
    {"bdev_uring_delete", "name"},
    {"bdev_uring_rescan", "name"},
    {"bdev_zone_block_create", "-b=name -n=base_bdev -z=zone_capacity -o=optimal_open_zones"},
    {"bdev_zone_block_delete", "name"},
    {"delete_bdev", "name"},
    {"framework_get_config", "name"},
    {"framework_set_scheduler", "name -p=period"},
    {"keyring_file_add_key", "name path"},
    {"keyring_file_remove_key", "name"},
    {"log_clear_flag", "flag"},
    {"log_enable_timestamps",
     "--timestamps=enabled! --no-timestamps=enabled~ -e=enabled! --enable=enabled! -d=enabled~ --disable=enabled~"},
    {"log_set_flag", "flag"},
    {"log_set_level", "level"},
    {"log_set_print_level", "level"},
    {"notify_get_notifications", "-i=id -n=max"},
    {"nvmf_create_subsystem",
     "nqn -t=tgt_name -s=serial_number -d=model_number -a=allow_any_host! -m=max_namespaces -r=ana_reporting! "
     "-i=min_cntlid -I=max_cntlid -p=passthrough! -n=enable_nssr!"},
    {"nvmf_create_transport",
     "-t=trtype -g=tgt_name -q=max_queue_depth -m=max_io_qpairs_per_ctrlr -c=in_capsule_data_size -i=max_io_size "
     "-u=io_unit_size -a=max_aq_depth -n=num_shared_buffers -b=buf_cache_size -z=zcopy! -d=num_cqe "
     "-s=max_srq_depth -r=no_srq! -o=c2h_success~ --c2h-success=c2h_success~ -f=dif_insert_or_strip! "
     "-y=sock_priority -l=acceptor_backlog -x=abort_timeout_sec -w=no_wr_batching! -e=control_msg_num "
     "-M=disable_mappable_bar0! -I=disable_adaptive_irq! -S=disable_shadow_doorbells! --masked-oncs=masked_oncs, "
     "--masked-fuses=masked_fuses, -p=max_qpairs_per_ctrlr"},
    {"nvmf_delete_subsystem", "nqn -t=tgt_name"},
    {"nvmf_get_stats", "-t=tgt_name"},
    {"nvmf_get_subsystems", "nqn -t=tgt_name"},
    {"nvmf_get_transports", "-t=tgt_name"},
    {"nvmf_create_target", "name -s=max_subsystems -d=discovery_filter, -p=dup_host_policy"},
    {"nvmf_delete_target", "name"},
    {"nvmf_discovery_add_referral",
     "-t=address.trtype --trtype=address.trtype -a=address.traddr --traddr=address.traddr -p=tgt_name "
     "-f=address.adrfam --adrfam=address.adrfam -s=address.trsvcid --trsvcid=address.trsvcid -k=secure_channel! "
     "-n=subnqn"},
    {"nvmf_discovery_get_referrals", "-t=tgt_name"},
    {"nvmf_discovery_remove_referral",
     "-t=address.trtype --trtype=address.trtype -a=address.traddr --traddr=address.traddr -p=tgt_name "
     "-f=address.adrfam --adrfam=address.adrfam -s=address.trsvcid --trsvcid=address.trsvcid -n=subnqn"},
    {"nvmf_get_blockservice2transport", "-t=trtype"},
    {"nvmf_ns_add_host", "nqn nsid host -t=tgt_name"},
    {"nvmf_ns_remove_host", "nqn nsid host -t=tgt_name"},
    {"nvmf_put_blockservice2transport", "-t=trtype -b=blockservice"},
    {"nvmf_remove_blockservice2transport", "-t=trtype -b=blockservice"},
    {"nvmf_set_config",
     "-m=poll_groups_mask -d=discovery_filter --discovery-filters=discovery_filters, "
     "--dhchap-digests=dhchap_digests, --dhchap-dhgroups=dhchap_dhgroups --dup-host-policy=dup_host_policy"},
    {"nvmf_set_crdt", "-t1=crdt1 -t2=crdt2 -t3=crdt3"},
    {"nvmf_set_max_subsystems", "-x=max_subsystems"},
    {"nvmf_subsystem_add_host",
     "nqn host -t=tgt_name --dhchap-key=dhchap_key --dhchap-ctrlr-key=dhchap_ctrlr_key "
     "--rw-ios-per-sec=rw_ios_per_sec --rw-mbytes-per-sec=rw_mbytes_per_sec --r-mbytes-per-sec=r_mbytes_per_sec "
     "--w-mbytes-per-sec=w_mbytes_per_sec"},
    {"nvmf_subsystem_add_listener",
     "nqn -t=listen_address.trtype --trtype=listen_address.trtype -a=listen_address.traddr "
     "--traddr=listen_address.traddr -p=tgt_name -f=listen_address.adrfam --adrfam=listen_address.adrfam "
     "-s=listen_address.trsvcid --trsvcid=listen_address.trsvcid -k=secure_channel! -n=ana_state -S=sock_impl "
     "--secure-concatenation=secure_concatenation"},
    {"nvmf_subsystem_add_ns",
     "nqn namespace.bdev_name --bdev-name=namespace.bdev_name -t=tgt_name -p=namespace.ptpl_file "
     "--ptpl-file=namespace.ptpl_file -n=namespace.nsid --nsid=namespace.nsid -g=namespace.nguid "
     "--nguid=namespace.nguid -e=namespace.eui64 --eui64=namespace.eui64 -u=namespace.uuid --uuid=namespace.uuid "
     "-a=namespace.anagrpid --anagrpid=namespace.anagrpid -i=namespace.no_auto_visible! "
     "--no-auto-visible=namespace.no_auto_visible! -N=namespace.hide_metadata! "
     "--hide-metadata=namespace.hide_metadata!"},
    {"nvmf_subsystem_allow_any_host",
     "nqn -t=tgt_name -e=allow_any_host! --enable=allow_any_host! -d=allow_any_host~ --disable=allow_any_host~ "
     "--no-allow-any-host=allow_any_host~"},
    {"nvmf_subsystem_get_controllers", "nqn -t=tgt_name"},
    {"nvmf_subsystem_get_listeners", "nqn -t=tgt_name"},
    {"nvmf_subsystem_get_qpairs", "nqn -t=tgt_name"},
    {"nvmf_subsystem_listener_set_ana_state",
     "nqn -t=listen_address.trtype --trtype=listen_address.trtype -a=listen_address.traddr "
     "--traddr=listen_address.traddr -p=tgt_name -f=listen_address.adrfam --adrfam=listen_address.adrfam "
     "-s=listen_address.trsvcid --trsvcid=listen_address.trsvcid -n=ana_state -g=anagrpid"},
    {"nvmf_subsystem_listener_set_hosts",
     "nqn -t=listen_address.trtype --trtype=listen_address.trtype -a=listen_address.traddr "
     "--traddr=listen_address.traddr -p=tgt_name -f=listen_address.adrfam --adrfam=listen_address.adrfam "
     "-s=listen_address.trsvcid --trsvcid=listen_address.trsvcid --hosts=hosts,"},
    {"nvmf_subsystem_remove_host", "nqn host -t=tgt_name -T=timeout_ms"},
    {"nvmf_subsystem_remove_listener",
     "nqn -t=listen_address.trtype --trtype=listen_address.trtype -a=listen_address.traddr "
     "--traddr=listen_address.traddr -p=tgt_name -f=listen_address.adrfam --adrfam=listen_address.adrfam "
     "-s=listen_address.trsvcid --trsvcid=listen_address.trsvcid"},
    {"nvmf_subsystem_set_host_qos_limit",
     "nqn host -t=tgt_name --rw-ios-per-sec=rw_ios_per_sec --rw-mbytes-per-sec=rw_mbytes_per_sec "
     "--r-mbytes-per-sec=r_mbytes_per_sec --w-mbytes-per-sec=w_mbytes_per_sec"},
    {"nvmf_subsystem_set_keys", "nqn host -t=tgt_name --dhchap-key=dhchap_key --dhchap-ctrlr-key=dhchap_ctrlr_key"},
    {"nvmf_subsystem_remove_ns", "nqn nsid -t=tgt_name"},
    {"nvmf_subsystem_set_ns_ana_group", "nqn nsid anagrpid -t=tgt_name"},
    {"rpc_get_methods", "-c=current! -i=include_aliases!"},
    {"scheduler_set_options", "-i=isolated_core_mask -s=scheduling_core"},
    {"sock_impl_get_options", "-i=impl_name --impl=impl_name"},
    {"sock_impl_set_options",
     "-i=impl_name --impl=impl_name -r=recv_buf_size -s=send_buf_size -p=enable_placement_id "
     "--recv-pipe=enable_recv_pipe! --no-recv-pipe=enable_recv_pipe~ --disable-recv-pipe=enable_recv_pipe~ "
     "--quickack=enable_quickack! --no-quickack=enable_quickack~ --disable-quickack=enable_quickack~ "
     "--zerocopy-send-server=enable_zerocopy_send_server! --no-zerocopy-send-server=enable_zerocopy_send_server~ "
     "--disable-zerocopy-send-server=enable_zerocopy_send_server~ "
     "--zerocopy-send-client=enable_zerocopy_send_client! --no-zerocopy-send-client=enable_zerocopy_send_client~ "
     "--disable-zerocopy-send-client=enable_zerocopy_send_client~ --ktls=enable_ktls! --no-ktls=enable_ktls~ "
     "--disable-ktls=enable_ktls~"},
    {"sock_set_default_impl", "-i=impl_name --impl=impl_name"},
    {"spdk_kill_instance", "sig_name"},
    {"thread_set_cpumask", "-i=id -m=cpumask"},
    {"trace_clear_tpoint_mask", "name tpoint_mask#"},
    {"trace_disable_tpoint_group", "name"},
    {"trace_enable_tpoint_group", "name"},
    {"trace_set_tpoint_mask", "name tpoint_mask#"},
};

constexpr std::string_view text_params[] = {
    "adrfam",    "bdev_name",          "cpumask", "eui64",        "filename", "flag",     "host",
    "impl_name", "isolated_core_mask", "level",   "model_number", "name",     "nguid",    "nqn",
    "psk",       "serial_number",      "traddr",  "trsvcid",      "trtype",   "tgt_name", "uuid",
};

constexpr std::pair<std::string_view, std::string_view> older_names[] = {
    {"bdev_inject_error", "bdev_error_inject_error"},
    {"construct_aio_bdev", "bdev_aio_create"},
    {"construct_error_bdev", "bdev_error_create"},
    {"construct_malloc_bdev", "bdev_malloc_create"},
    {"construct_null_bdev", "bdev_null_create"},
    {"construct_passthru_bdev", "bdev_passthru_create"},
    {"construct_split_vbdev", "bdev_split_create"},
    {"construct_uring_bdev", "bdev_uring_create"},
    {"delete_aio_bdev", "bdev_aio_delete"},
    {"delete_error_bdev", "bdev_error_delete"},
    {"delete_malloc_bdev", "bdev_malloc_delete"},
    {"delete_null_bdev", "bdev_null_delete"},
    {"delete_nvmf_subsystem", "nvmf_delete_subsystem"},
    {"delete_passthru_bdev", "bdev_passthru_delete"},
    {"delete_uring_bdev", "bdev_uring_delete"},
    {"destruct_split_vbdev", "bdev_split_delete"},
    {"get_bdevs", "bdev_get_bdevs"},
    {"get_bdevs_iostat", "bdev_get_iostat"},
    {"get_rpc_methods", "rpc_get_methods"},
    {"nvmf_subsystem_create", "nvmf_create_subsystem"},
    {"set_bdev_options", "bdev_set_options"},
};

GrammarTarget read_target(std::string_view text) {
    GrammarTarget target;
    // "--x=y", "-x=y" or "y".
    if (text.starts_with('-')) {
        const size_t equals = text.find('=');
        target.word = text.substr(0, equals);
        text = equals == std::string_view::npos ? std::string_view{} : text.substr(equals + 1);
    }
    using Kind = GrammarTarget::Kind;
    constexpr std::pair<char, Kind> marks[] = {
        {'!', Kind::flag}, {'~', Kind::flag_off}, {',', Kind::list}, {'@', Kind::mebibytes}, {'#', Kind::hexadecimal}};
    for (const auto& [mark, kind] : marks) {
        if (!text.ends_with(mark)) continue;
        target.kind = kind;
        text.remove_suffix(1);
    }
    target.param = text;
    return target;
}

Grammar read_grammar(std::string_view method, std::string_view words) {
    Grammar grammar{.method = method};
    while (!words.empty()) {
        const size_t space = words.find(' ');
        const GrammarTarget target = read_target(words.substr(0, space));
        (target.word.empty() ? grammar.positionals : grammar.options).push_back(target);
        words = space == std::string_view::npos ? std::string_view{} : words.substr(space + 1);
    }
    return grammar;
}

}  // namespace

const GrammarTarget* Grammar::find(std::string_view word) const {
    const auto found = std::ranges::find(options, word, &GrammarTarget::word);
    return found == options.end() ? nullptr : &*found;
}

std::optional<Grammar> grammar_of(std::string_view method) {
    const auto row = std::ranges::find(table, method, &Row::method);
    if (row == std::end(table)) return std::nullopt;
    return read_grammar(row->method, row->words);
}

std::optional<Grammar> grammar_from(std::string_view method, std::string_view words) {
    constexpr size_t words_bytes_max = 4096;
    if (words.empty() || words.size() > words_bytes_max) return std::nullopt;
    Grammar grammar = read_grammar(method, words);
    for (const auto* targets : {&grammar.positionals, &grammar.options}) {
        for (const GrammarTarget& target : *targets) {
            if (target.param.empty()) return std::nullopt;
        }
    }
    return grammar;
}

std::vector<std::string_view> grammar_methods() {
    std::vector<std::string_view> names;
    for (const Row& row : table) names.push_back(row.method);
    return names;
}

std::string_view canonical_name(std::string_view method) {
    const auto found = std::ranges::find(older_names, method, [](const auto& pair) { return pair.first; });
    return found == std::end(older_names) ? method : found->second;
}

bool is_text_param(std::string_view name) {
    const size_t dot = name.rfind('.');
    if (dot != std::string_view::npos) name.remove_prefix(dot + 1);
    return std::ranges::find(text_params, name) != std::end(text_params);
}

}  // namespace weft::cli
