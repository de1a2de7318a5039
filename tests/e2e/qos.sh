#!/bin/bash
# Limits of rates, of bdevs and of hosts: what `weft perf` sees of them, changed while it runs, taken away, saved and loaded.
# Alone: it measures.
. "$(dirname "$0")/lib.sh"

# perf OPTIONS...: runs for two seconds and leaves operations and bytes a second in $iops and $bytes.
perf() {
    "$bin/weft" perf "${target[@]}" -n "$nqn" -t 2 --warmup 1 --json "$@" >"$work/perf.json" 2>&1 || return 1
    iops=$(sed -n 's/^ *"iops": *\([0-9]*\).*/\1/p' "$work/perf.json" | head -1)
    bytes=$(sed -n 's/^ *"bytes_per_second": *\([0-9]*\).*/\1/p' "$work/perf.json" | head -1)
}
# near NAME WANTED FOUND: within a sixth. The machine may be busy: less is forgiven sooner than more.
near() {
    if [ "${3:-0}" -gt $(($2 * 7 / 10)) ] && [ "${3:-0}" -lt $(($2 * 11 / 10)) ]; then
        ok "$1"
    else
        not_ok "$1" "wanted about $2, found ${3:-nothing}: $(tail -3 "$work/perf.json")"
    fi
}
limits() { rpc bdev_get_bdevs --name "${1:-Malloc0}" | tr -d ' \n' | grep -o '"assigned_rate_limits":{[^}]*}'; }

check "it starts, with two reactors" start -m 0x3
check "a RAM disk" rpc bdev_malloc_create --name Malloc0 --num_blocks 65536 --block_size 512
check "it is exported" export_device Malloc0
is "no limits" '"assigned_rate_limits":{"rw_ios_per_sec":0,"rw_mbytes_per_sec":0,"r_mbytes_per_sec":0,"w_mbytes_per_sec":0}' "$(limits)"

check "a limit of operations" rpc bdev_set_qos_limit Malloc0 --rw-ios-per-sec 2500
is "rounded up to whole thousands" '"assigned_rate_limits":{"rw_ios_per_sec":3000,"rw_mbytes_per_sec":0,"r_mbytes_per_sec":0,"w_mbytes_per_sec":0}' "$(limits)"
perf -w randread -o 4K -q 32 -P 2
near "3000 reads a second, through two reactors" 3000 "$iops"
perf -w randwrite -o 4K -q 32 -P 1
near "3000 writes a second" 3000 "$iops"

check "a limit of bytes instead" rpc bdev_set_qos_limit Malloc0 --rw-ios-per-sec 0 --w-mbytes-per-sec 10
perf -w randwrite -o 64K -q 16
near "10 MiB of writes a second" $((10 << 20)) "$bytes"
perf -w randread -o 4K -q 32
check "reads are not meant" [ "${iops:-0}" -gt 6000 ]

# What was read before, while and after: nothing is lost on the way.
"$bin/weft" perf "${target[@]}" -n "$nqn" -w randrw -o 16K -q 16 -P 2 -t 4 --verify >"$work/verify" 2>&1 &
verify=$!
changes=0
for at in $(seq 12); do
    sleep 0.25
    rpc bdev_set_qos_limit Malloc0 --rw-ios-per-sec $((at % 3 * 4000)) --w-mbytes-per-sec $((at % 2 * 50)) >/dev/null &&
        changes=$((changes + 1))
done
check "twelve changes while a host verifies" [ "$changes" = 12 ]
wait "$verify"
check "and it finds what it wrote" grep -q "blocks, 0 wrong" "$work/verify"

check "no limits any more" rpc bdev_set_qos_limit Malloc0 --rw-ios-per-sec 0 --w-mbytes-per-sec 0
perf -w randread -o 4K -q 32
check "as fast as before" [ "${iops:-0}" -gt 6000 ]

check "the queue depth is looked at" rpc bdev_set_qd_sampling_period Malloc0 1000
check "a limit that makes requests wait" rpc bdev_set_qos_limit Malloc0 --rw-ios-per-sec 1000
perf -w randread -o 4K -q 32
iostat() { rpc bdev_get_iostat --name Malloc0 | sed -n "s/^ *\"$1\": *\([0-9]*\).*/\1/p"; }
is "once a millisecond" 1000 "$(iostat queue_depth_polling_period)"
check "there was something pending for a second" [ "$(iostat io_time)" -gt 1000000 ]
check "and much of it" [ "$(iostat weighted_io_time)" -gt $(($(iostat io_time) * 8)) ]
check "no more of it" rpc bdev_set_qd_sampling_period Malloc0 0

refused "no limit at all" "No rate limits specified" rpc bdev_set_qos_limit Malloc0
refused "no such bdev" "No such device" rpc bdev_set_qos_limit Malloc9 --rw-ios-per-sec 1000
refused "a number below zero" "rw_ios_per_sec" rpc bdev_set_qos_limit --name Malloc0 --rw_ios_per_sec -5
refused "a period of more than an hour" "more than an hour" rpc bdev_set_qd_sampling_period Malloc0 3600000001

check "a disk whose I/O is cut" rpc bdev_malloc_create --name Cut0 --num_blocks 4096 --block_size 512 --optimal_io_boundary 8
check "shown to hosts, too" rpc nvmf_subsystem_add_ns --nqn "$nqn" --namespace '{"bdev_name":"Cut0","nsid":2}'
check "with a limit" rpc bdev_set_qos_limit Cut0 --r-mbytes-per-sec 100
check "holds what is written to it" "$bin/weft" perf "${target[@]}" -n "$nqn" --nsid 2 -w randrw -o 16K -q 8 -t 1 --verify

# The limits of a host, by all its queues together; others are not concerned.
host=nqn.2016-06.io.host:limited
host_limits() { rpc nvmf_get_subsystems "$nqn" | tr -d ' \n' | grep -o '"assigned_rate_limits":{[^}]*}'; }
check "the bdev's limit goes" rpc bdev_set_qos_limit Malloc0 --rw-ios-per-sec 0
refused "a host that is not in the list" "is not in the list" rpc nvmf_subsystem_set_host_qos_limit "$nqn" "$host" --rw-ios-per-sec 5
check "a host with a limit" rpc nvmf_subsystem_add_host "$nqn" "$host" --rw-ios-per-sec 1500
is "it is shown" '"assigned_rate_limits":{"rw_ios_per_sec":1500}' "$(host_limits)"
perf --hostnqn "$host" -w randread -o 4K -q 32 -P 2
near "1500 reads a second, through two reactors" 1500 "$iops"
perf -w randread -o 4K -q 32
check "another host has none" [ "${iops:-0}" -gt 6000 ]
check "bytes instead" rpc nvmf_subsystem_set_host_qos_limit "$nqn" "$host" --rw-ios-per-sec 0 --w-mbytes-per-sec 10
perf --hostnqn "$host" -w randwrite -o 64K -q 16 -P 2
near "10 MiB of its writes a second" $((10 << 20)) "$bytes"
"$bin/weft" perf "${target[@]}" -n "$nqn" --hostnqn "$host" -w randrw -o 16K -q 16 -P 2 -t 4 --verify >"$work/verify" 2>&1 &
verify=$!
changes=0
for at in $(seq 12); do
    sleep 0.25
    rpc nvmf_subsystem_set_host_qos_limit "$nqn" "$host" --rw-ios-per-sec $((at % 3 * 4000)) \
        --w-mbytes-per-sec $((at % 2 * 50)) >/dev/null && changes=$((changes + 1))
done
check "twelve changes while it verifies" [ "$changes" = 12 ]
wait "$verify"
check "and it finds what it wrote" grep -q "blocks, 0 wrong" "$work/verify"
check "few, so that commands wait" rpc nvmf_subsystem_set_host_qos_limit "$nqn" "$host" --rw-ios-per-sec 5 --w-mbytes-per-sec 3
"$bin/weft" perf "${target[@]}" -n "$nqn" --hostnqn "$host" -w randrw -o 16K -q 16 -P 2 -t 60 >"$work/cut" 2>&1 &
cut=$!
sleep 1
check "a host is cut off while its commands wait" kill -9 "$cut"
wait "$cut" 2>/dev/null
idle() { ! rpc nvmf_subsystem_get_qpairs "$nqn" | grep -q "$host"; }
for at in $(seq 50); do idle && break; sleep 0.1; done
check "and nothing is left of it" idle
refused "no limit at all" "No rate limits specified" rpc nvmf_subsystem_set_host_qos_limit "$nqn" "$host"
refused "removal names no limits" "removed with its limits" rpc nvmf_subsystem_remove_host --nqn "$nqn" --host "$host" --rw_ios_per_sec 5
check "a limit for the bdev again" rpc bdev_set_qos_limit Malloc0 --rw-ios-per-sec 1000

check "the configuration is saved" bash -c "'$bin/weft' rpc -s '$sock' save_config >'$work/saved.json'"
check "it stops" stop
check "and starts with what it saved" start -c "$work/saved.json"
is "limits are back" '"assigned_rate_limits":{"rw_ios_per_sec":1000,"rw_mbytes_per_sec":0,"r_mbytes_per_sec":0,"w_mbytes_per_sec":0}' "$(limits)"
is "each disk's" '"assigned_rate_limits":{"rw_ios_per_sec":0,"rw_mbytes_per_sec":0,"r_mbytes_per_sec":100,"w_mbytes_per_sec":0}' "$(limits Cut0)"
is "and the host's" '"assigned_rate_limits":{"rw_ios_per_sec":5,"w_mbytes_per_sec":3}' "$(host_limits)"
check "it stops again" stop
finish
