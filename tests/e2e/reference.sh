#!/bin/bash
# docs/rpc.md is what weftd says of its methods, and its examples work.
. "$(dirname "$0")/lib.sh"
reference=$(cd "$(dirname "$0")/../.." && pwd)/docs/rpc.md
"$bin/weftd" --rpc-reference >"$work/rpc.md"
check "docs/rpc.md is fresh (else: weftd --rpc-reference >docs/rpc.md)" diff "$reference" "$work/rpc.md"

# The target that src/app/daemon/rpc_examples.h describes; with paths and ports of this test.
here() { sed "s,/srv/,$work/,g; s/ 4420/ $port/; s/ 4421/ $other_port/; s/\"4420\"/\"$port\"/"; }
other_port=$(free_port)
truncate -s 8M "$work"/disk{0,1,2,3}.img
for key in 0 1; do
    (umask 077; echo DHHC-1:00:AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh+KfiaR: >"$work/key$key")
done
(umask 077; echo 00112233445566778899aabbccddeeff >"$work/xts1"; echo ffeeddccbbaa99887766554433221100 >"$work/xts2")
cat >"$work/config.json" <<END
{"subsystems": [
  {"subsystem": "keyring", "config": [
    {"method": "keyring_file_add_key", "params": {"name": "key0", "path": "$work/key0"}},
    {"method": "keyring_file_add_key", "params": {"name": "xts1", "path": "$work/xts1"}},
    {"method": "keyring_file_add_key", "params": {"name": "xts2", "path": "$work/xts2"}}]},
  {"subsystem": "accel", "config": [
    {"method": "accel_crypto_key_create", "params": {"name": "disk0", "cipher": "AES_XTS", "keyring_key": "xts1", "keyring_key2": "xts2"}},
    {"method": "accel_crypto_key_create", "params": {"name": "disk2", "cipher": "AES_XTS", "keyring_key": "xts2", "keyring_key2": "xts1"}}]},
  {"subsystem": "bdev", "config": [
    {"method": "bdev_malloc_create", "params": {"name": "Malloc0", "num_blocks": 2048, "block_size": 512}},
    {"method": "bdev_null_create", "params": {"name": "Null0", "num_blocks": 2048, "block_size": 512}},
    {"method": "bdev_null_create", "params": {"name": "Null5", "num_blocks": 2048, "block_size": 512}},
    {"method": "bdev_null_create", "params": {"name": "Null6", "num_blocks": 2048, "block_size": 512}},
    {"method": "bdev_null_create", "params": {"name": "Null7", "num_blocks": 2048, "block_size": 512}},
    {"method": "bdev_crypto_create", "params": {"base_bdev_name": "Null6", "name": "Crypto0", "key_name": "disk0"}},
    {"method": "bdev_null_create", "params": {"name": "Null8", "num_blocks": 2048, "block_size": 512}},
    {"method": "bdev_null_create", "params": {"name": "Null9", "num_blocks": 2048, "block_size": 512}},
    {"method": "bdev_null_create", "params": {"name": "Null10", "num_blocks": 2048, "block_size": 512}},
    {"method": "bdev_null_create", "params": {"name": "Null11", "num_blocks": 2048, "block_size": 512}},
    {"method": "bdev_raid_create", "params": {"name": "Raid1", "raid_level": "raid1", "base_bdevs": ["Null8", "Null9"]}},
    {"method": "bdev_null_create", "params": {"name": "Null12", "num_blocks": 2048, "block_size": 512}},
    {"method": "bdev_null_create", "params": {"name": "Null13", "num_blocks": 2048, "block_size": 512}},
    {"method": "bdev_delay_create", "params": {"name": "Delay0", "base_bdev_name": "Null12",
      "avg_read_latency": 10, "p99_read_latency": 100, "avg_write_latency": 10, "p99_write_latency": 100}},
    {"method": "bdev_error_create", "params": {"base_name": "Delay0"}},
    {"method": "bdev_passthru_create", "params": {"name": "Passthru0", "base_bdev_name": "EE_Delay0"}},
    {"method": "bdev_split_create", "params": {"base_bdev": "File0", "split_count": 2}},
    {"method": "bdev_zone_block_create", "params": {"name": "Zones0", "base_bdev": "Ring0", "zone_capacity": 256,
      "optimal_open_zones": 4}},
    {"method": "weft_zoned_create", "params": {"name": "Zoned1", "block_size": 4096, "num_zones": 8, "zone_size": 64}},
    {"method": "bdev_aio_create", "params": {"name": "File0", "filename": "$work/disk0.img", "block_size": 4096}},
    {"method": "bdev_uring_create", "params": {"name": "Ring0", "filename": "$work/disk1.img", "block_size": 4096}},
    {"method": "bdev_enable_histogram", "params": {"name": "Malloc0", "enable": true}}]},
  {"subsystem": "nvmf", "config": [
    {"method": "nvmf_create_transport", "params": {"trtype": "TCP"}},
    {"method": "nvmf_put_blockservice2transport", "params": {"trtype": "TCP", "blockservice": "127.0.0.0/8"}},
    {"method": "nvmf_put_blockservice2transport", "params": {"trtype": "TCP", "blockservice": "10.0.0.0/8"}},
    {"method": "nvmf_discovery_add_referral", "params": {"address": {"trtype": "TCP", "traddr": "192.0.2.1", "trsvcid": "8009"}}},
    {"method": "nvmf_create_subsystem", "params": {"nqn": "nqn.2016-06.io.spdk:cnode1", "ana_reporting": true}},
    {"method": "nvmf_subsystem_add_host", "params": {"nqn": "nqn.2016-06.io.spdk:cnode1", "host": "nqn.2016-06.io.spdk:host1"}},
    {"method": "nvmf_subsystem_add_ns", "params": {"nqn": "nqn.2016-06.io.spdk:cnode1", "namespace": {"bdev_name": "Null0", "nsid": 1}}},
    {"method": "nvmf_subsystem_add_ns", "params": {"nqn": "nqn.2016-06.io.spdk:cnode1", "namespace": {"bdev_name": "Null5", "nsid": 5, "no_auto_visible": true}}},
    {"method": "nvmf_subsystem_add_listener", "params": {"nqn": "nqn.2016-06.io.spdk:cnode1",
      "listen_address": {"trtype": "TCP", "adrfam": "IPv4", "traddr": "127.0.0.1", "trsvcid": "$port"}}}]}]}
END

world=(-c "$work/config.json" --audit "$work/audit" --state)
# own_target METHOD: how the target must be started that this example needs for itself: it takes away what others need, or
# is for the time before the start. Nothing for those that can share one.
own_target() {
    case $1 in
        nvmf_delete_target) ;;  # the example of nvmf_create_target made it
        *_delete* | delete_* | *_remove_* | *_destroy | spdk_kill_instance) echo "${world[@]}" "$work/state-$1" ;;
        nvmf_create_transport) echo -m 0x1 ;;
        framework_start_init) echo --wait-for-rpc ;;
        *) grep -A4 "^## .$1." "$work/rpc.md" | grep -q "before framework_start_init" && echo --wait-for-rpc ;;
    esac
}
run_example() { eval "'$bin/weft' rpc -s '$sock' $1"; }
# Test machines have no avahi-daemon (tests/vm has): the refusal must say what is missing.
run_announcement() { grep -E 'avahi-daemon|listens nowhere|not announced' <<<"$(run_example "$1" 2>&1)"; }
how_to_run() { case $1 in *_mdns_prr) echo run_announcement ;; *) echo run_example ;; esac; }
run_alone() { # COMMAND OPTIONS...
    local command=$1 done=1
    start "${@:2}" || return 1
    run_example "$command" && done=0
    # Asking a target to stop that is stopping already is all right.
    stop >/dev/null 2>&1 || [ "${command%% *}" = spdk_kill_instance ] || return 1
    return $done
}
total=0 bad=0
examine() { # METHOD HOW...
    total=$((total + 1))
    said=$("${@:2}" 2>&1) && return
    not_ok "example of $1" "$said"
    bad=$((bad + 1))
}
mapfile -t examples < <(sed -n 's/^    weft rpc //p' "$work/rpc.md")
check "the target of the examples starts" start "${world[@]}" "$work/state"
check "its mirror has an empty place" rpc bdev_raid_remove_base_bdev Null9
# Controller 1, which an example cuts off.
"$bin/weft" perf "${target[@]}" -n "$nqn" --hostnqn nqn.2016-06.io.spdk:host1 -q 1 -o 512 -w randread -t 60 >/dev/null 2>&1 &
for tries in $(seq 50); do rpc nvmf_subsystem_get_controllers "$nqn" | grep -q cntlid && break; sleep 0.1; done
for line in "${examples[@]}"; do
    method=${line%% *}
    [ -n "$(own_target "$method")" ] || examine "$method" "$(how_to_run "$method")" "$(here <<<"$line")"
done
check "and stops" stop
for line in "${examples[@]}"; do
    method=${line%% *}
    read -ra how <<<"$(own_target "$method")"
    [ "${#how[@]}" = 0 ] || examine "$method" run_alone "$(here <<<"$line")" "${how[@]}"
done
check "all $total examples work" [ "$bad" = 0 ]
check "each method has one" [ "$total" = "$(grep -c '^## ' "$work/rpc.md")" ]
finish
