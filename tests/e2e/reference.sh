#!/bin/bash
# docs/rpc.md is what weftd says of its methods, and its examples work.
. "$(dirname "$0")/lib.sh"
reference=$(cd "$(dirname "$0")/../.." && pwd)/docs/rpc.md
"$bin/weftd" --rpc-reference >"$work/rpc.md"
check "docs/rpc.md is fresh (else: weftd --rpc-reference >docs/rpc.md)" diff "$reference" "$work/rpc.md"

# The target that src/app/daemon/rpc_examples.h describes; with paths and ports of this test.
here() { sed "s,/srv/,$work/,g; s/ 4420/ $port/; s/ 4421/ $other_port/"; }
other_port=$(free_port)
truncate -s 8M "$work"/disk{0,1,2,3}.img
cat >"$work/config.json" <<END
{"subsystems": [
  {"subsystem": "bdev", "config": [
    {"method": "bdev_malloc_create", "params": {"name": "Malloc0", "num_blocks": 2048, "block_size": 512}},
    {"method": "bdev_null_create", "params": {"name": "Null0", "num_blocks": 2048, "block_size": 512}},
    {"method": "bdev_aio_create", "params": {"name": "File0", "filename": "$work/disk0.img", "block_size": 4096}},
    {"method": "bdev_uring_create", "params": {"name": "Ring0", "filename": "$work/disk1.img", "block_size": 4096}},
    {"method": "bdev_enable_histogram", "params": {"name": "Malloc0", "enable": true}}]},
  {"subsystem": "nvmf", "config": [
    {"method": "nvmf_create_transport", "params": {"trtype": "TCP"}},
    {"method": "nvmf_create_subsystem", "params": {"nqn": "nqn.2016-06.io.spdk:cnode1"}},
    {"method": "nvmf_subsystem_add_host", "params": {"nqn": "nqn.2016-06.io.spdk:cnode1", "host": "nqn.2016-06.io.spdk:host1"}},
    {"method": "nvmf_subsystem_add_ns", "params": {"nqn": "nqn.2016-06.io.spdk:cnode1", "namespace": {"bdev_name": "Null0", "nsid": 1}}},
    {"method": "nvmf_subsystem_add_listener", "params": {"nqn": "nqn.2016-06.io.spdk:cnode1",
      "listen_address": {"trtype": "TCP", "adrfam": "IPv4", "traddr": "127.0.0.1", "trsvcid": "$port"}}}]}]}
END

world=(-c "$work/config.json" --audit "$work/audit" --state)
# own_target METHOD: how the target must be started that this example needs for itself: it takes away what others need, or
# is for the time before the start. Nothing for those that can share one.
own_target() {
    case $1 in
        *_delete* | delete_* | *_remove_* | spdk_kill_instance) echo "${world[@]}" "$work/state-$1" ;;
        nvmf_create_transport) echo -m 0x1 ;;
        framework_start_init) echo --wait-for-rpc ;;
        *) grep -A4 "^## .$1." "$work/rpc.md" | grep -q "before framework_start_init" && echo --wait-for-rpc ;;
    esac
}
run_example() { eval "'$bin/weft' rpc -s '$sock' $1"; }
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
for line in "${examples[@]}"; do
    method=${line%% *}
    [ -n "$(own_target "$method")" ] || examine "$method" run_example "$(here <<<"$line")"
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
