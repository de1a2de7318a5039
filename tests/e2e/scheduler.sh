#!/bin/bash
# Threads that move: by RPC and by the dynamic scheduler, while a host writes, reads and compares.
# Alone: it measures.
. "$(dirname "$0")/lib.sh"

[ "$(nproc)" -ge 2 ] || { echo "skip threads move: one CPU"; finish; exit; }

# where: the CPU of each poll group, in the order of their names.
where() {
    rpc framework_get_reactors | python3 -c '
import json, sys
print(*(cpu for name, cpu in sorted((thread["name"], reactor["lcore"])
      for reactor in json.load(sys.stdin)["reactors"] for thread in reactor["lw_threads"]) if "poll_group" in name))'
}
# id_of NAME: of a thread.
id_of() {
    rpc thread_get_stats | python3 -c '
import json, sys
print(*(thread["id"] for thread in json.load(sys.stdin)["threads"] if thread["name"] == sys.argv[1]))' "$1"
}
# within SECONDS EXPECTED: where() is that before long.
within() {
    local tries
    for tries in $(seq $(($1 * 10))); do
        [ "$(where)" = "$2" ] && return 0
        sleep 0.1
    done
    echo "it is: $(where)"
    return 1
}

check "a target on two CPUs starts" start -m 0x3
truncate -s 16M "$work/disk"
check "with a file" rpc bdev_aio_create --name Malloc0 --filename "$work/disk" --block_size 4096
check "exported" export_device Malloc0
check "and a RAM disk" rpc bdev_malloc_create --name Ram --num_blocks 4096 --block_size 4096
check "as its second namespace" rpc nvmf_subsystem_add_ns --nqn "$nqn" --namespace '{"bdev_name":"Ram","nsid":2}'
check "a group on each" within 1 "0 1"
group=$(id_of nvmf_tgt_poll_group_001)

"$bin/weft" perf "${target[@]}" -n "$nqn" --nsid 1 -o 16K -w randrw -q 16 -P 2 -t 3 --verify >"$work/verify" 2>&1 &
verify=$!
moved=0
for at in $(seq 60); do
    rpc thread_set_cpumask --id "$group" --cpumask "$((at % 2 + 1))" >/dev/null && moved=$((moved + 1))
done
check "sixty moves while a host verifies" [ "$moved" = 60 ]
wait "$verify"
check "and it finds what it wrote" grep -q "blocks, 0 wrong" "$work/verify"
check "the group is where it was put" within 1 "0 0"
check "its mask is told" bash -c "'$bin/weft' rpc -s '$sock' thread_get_stats | grep -A2 poll_group_001 | grep -q '\"cpumask\": \"1\"'"
check "it may be anywhere again" rpc thread_set_cpumask --id "$group" --cpumask 0x3

refused "a CPU without a reactor" "no reactor runs on a CPU of mask 4" rpc thread_set_cpumask --id "$group" --cpumask 0x4
refused "a mask that is none" "cpumask" rpc thread_set_cpumask --id "$group" --cpumask pi
refused "an unknown thread" "no thread .* 4242" rpc thread_set_cpumask --id 4242 --cpumask 1
refused "an unknown scheduler" "static and dynamic" rpc framework_set_scheduler --name fair
refused "a limit beyond 100" "load_limit" rpc framework_set_scheduler --name dynamic --load_limit 101

# Busy: two queues with much to do spread; idle: everybody gathers.
check "the dynamic scheduler, with limits that any load is beyond" rpc framework_set_scheduler --name dynamic --period 100000 --load_limit 5 --core_limit 10
"$bin/weft" perf "${target[@]}" -n "$nqn" --nsid 2 -w randread -o 4K -q 64 -P 2 -t 3 --warmup 0 >"$work/perf" 2>&1 &
perf=$!
check "spreads what is busy" within 4 "0 1"
wait "$perf"
check "gathers what is idle" within 4 "0 0"
check "tells what it is" bash -c "'$bin/weft' rpc -s '$sock' framework_get_scheduler | grep -q '\"core_limit\": 10'"
check "static" rpc framework_set_scheduler --name static
check "puts them back" within 2 "0 0"
check "it stops" stop
finish
