#!/bin/bash
# From nothing to a listening subsystem by RPC, as the field does it; and the configuration saved, loaded and the same.
. "$(dirname "$0")/lib.sh"

check "an empty target starts" start
check "it has the discovery subsystem only" bash -c "[ \$('$bin/weft' rpc -s '$sock' nvmf_get_subsystems | grep -c '\"nqn\"') = 1 ]"
check "a transport" rpc nvmf_create_transport --trtype tcp --io_unit_size 16384 --max_io_qpairs_per_ctrlr 8 --in_capsule_data_size 8192
refused "a second one of the type is refused" "exists" rpc nvmf_create_transport --trtype TCP
check "a RAM disk" rpc bdev_malloc_create --name Malloc0 --block_size 512 --num_blocks 131072
check "a method says what it takes" bash -c "'$bin/weft' rpc -s '$sock' bdev_null_create --help | grep -q 'block_size .*required'"
check "a name of digits is a name" rpc bdev_null_create --name 7 --block_size 512 --num_blocks 8
check "a null device" rpc bdev_null_create --name Null0 --block_size 4096 --num_blocks 1000
truncate -s 32M "$work/disk"
check "a file" rpc bdev_aio_create --name File0 --filename "$work/disk" --block_size 512
check "a subsystem with its namespace and listener" export_device Malloc0
check "a second namespace" rpc nvmf_subsystem_add_ns --nqn "$nqn" --namespace '{"bdev_name":"Null0","nsid":5}'
check "a third, of a file" rpc nvmf_subsystem_add_ns --nqn "$nqn" --namespace '{"bdev_name":"File0"}'
check "a listener for discovery" rpc nvmf_subsystem_add_listener --nqn discovery --listen_address "{\"trtype\":\"TCP\",\"traddr\":\"127.0.0.1\",\"trsvcid\":\"$port\"}"
check "discovery lists both" bash -c "[ \$('$bin/weft' discover ${target[*]} | grep -c '$port') = 2 ]"
check "identify shows the namespaces" bash -c "'$bin/weft' identify ${target[*]} -n '$nqn' | grep -q E2E"
check "data is what was written (RAM disk)" "$bin/weft" io verify "${target[@]}" -n "$nqn"
check "data that comes slowly is written too" bash -c "(sleep 4; head -c 4096 /dev/zero) | '$bin/weft' io write ${target[*]} -n '$nqn' --kato 1000 --file -"
check "load in parallel, verified" "$bin/weft" perf "${target[@]}" -n "$nqn" -q 32 -P 2 -o 8192 -w randrw -M 50 -t 1 --verify
check "with digests" "$bin/weft" perf "${target[@]}" -n "$nqn" -q 16 -o 131072 -w randrw -M 50 -t 1 --verify --hdgst --ddgst

before=$(rpc nvmf_get_subsystems)
{
    echo '{"subsystems":['
    echo '{"subsystem":"bdev","config":'; rpc framework_get_config --name bdev
    echo '},{"subsystem":"nvmf","config":'; rpc framework_get_config --name nvmf
    echo '}]}'
} >"$work/config.json"
check "SIGTERM ends it with status 0" stop
check "the saved configuration loads" start --json "$work/config.json"
after=$(rpc nvmf_get_subsystems)
if [ "$before" = "$after" ]; then ok "it is the same, ids included"; else not_ok "it is the same, ids included" "$(diff <(echo "$before") <(echo "$after"))"; fi
check "it stops again" stop
finish
