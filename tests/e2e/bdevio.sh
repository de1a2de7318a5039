#!/bin/bash
# weft bdevio over every kind of bdev there is, and weft bdevperf's workloads.
#
#   bdevio.sh [CONFIGURATION...]     of further devices, in files; %WORK% in them is a folder of this test
. "$(dirname "$0")/lib.sh"
truncate -s 64M "$work/disk0" "$work/disk1"

# config NAME ENTRY...: a configuration with these calls.
config() {
    local name=$1 entry entries=
    shift
    for entry; do entries+="${entries:+,}$entry"; done
    printf '{"subsystems": [{"subsystem": "bdev", "config": [%s]}]}' "$entries" >"$work/$name.json"
}
call() { printf '{"method": "%s", "params": {"name": "%s", %s}}' "$1" "$2" "$3"; }
config malloc "$(call bdev_malloc_create Malloc0 '"num_blocks": 32768, "block_size": 512')" \
    "$(call bdev_malloc_create Malloc1 '"num_blocks": 8192, "block_size": 4096')" \
    "$(call bdev_malloc_create Malloc2 '"num_blocks": 512, "block_size": 65536')" \
    "$(call bdev_malloc_create Tiny0 '"num_blocks": 3, "block_size": 512')"
config metadata "$(call bdev_malloc_create Apart0 '"num_blocks": 8192, "block_size": 512, "md_size": 8')" \
    "$(call bdev_malloc_create Pi1 '"num_blocks": 8192, "block_size": 512, "md_size": 8, "dif_type": 1')" \
    "$(call bdev_malloc_create Pi3 '"num_blocks": 4096, "block_size": 4096, "md_size": 16, "dif_type": 3, "dif_pi_format": 2')"
config null "$(call bdev_null_create Null0 '"num_blocks": 32768, "block_size": 512')"
config file "$(call bdev_aio_create File0 "\"filename\": \"$work/disk0\", \"block_size\": 512")" \
    "$(call bdev_uring_create Ring0 "\"filename\": \"$work/disk1\", \"block_size\": 4096")"
config zoned "$(call weft_zoned_create Zoned0 '"block_size": 4096, "num_zones": 8, "zone_size": 64, "max_active_zones": 3')"
# Devices on devices: encrypted stripes, parts of a mirror, a row of disks, one behind three others.
(umask 077; echo 00112233445566778899aabbccddeeff >"$work/xts1"; echo ffeeddccbbaa99887766554433221100 >"$work/xts2")
bases=
for number in 0 1 2 3 4 5 6; do bases+=$(call bdev_malloc_create "Base$number" '"num_blocks": 16384, "block_size": 512'),; done
cat >"$work/stacked.json" <<END
{"subsystems": [
  {"subsystem": "keyring", "config": [$(call keyring_file_add_key xts1 "\"path\": \"$work/xts1\""),
    $(call keyring_file_add_key xts2 "\"path\": \"$work/xts2\"")]},
  {"subsystem": "accel", "config": [
    $(call accel_crypto_key_create disk '"cipher": "AES_XTS", "keyring_key": "xts1", "keyring_key2": "xts2"')]},
  {"subsystem": "bdev", "config": [$bases
    $(call bdev_raid_create Stripes '"raid_level": "raid0", "strip_size_kb": 16, "base_bdevs": ["Base0", "Base1"]'),
    $(call bdev_raid_create Mirror '"raid_level": "raid1", "base_bdevs": ["Base2", "Base3"]'),
    $(call bdev_raid_create Row '"raid_level": "concat", "strip_size_kb": 16, "base_bdevs": ["Base5", "Base6"]'),
    $(call bdev_crypto_create Secret '"base_bdev_name": "Stripes", "key_name": "disk"'),
    {"method": "bdev_split_create", "params": {"base_bdev": "Mirror", "split_count": 2}},
    $(call bdev_delay_create Late '"base_bdev_name": "Base4", "avg_read_latency": 5, "p99_read_latency": 50,
      "avg_write_latency": 5, "p99_write_latency": 50'),
    {"method": "bdev_error_create", "params": {"base_name": "Late"}},
    $(call bdev_passthru_create Pass '"base_bdev_name": "EE_Late"')]}]}
END
more=()
for given; do
    sed "s,%WORK%,$work,g" "$given" >"$work/$(basename "$given")"
    more+=("$(basename "$given" .json)")
done

# Each line of it is a check.
try() { # NAME OPTIONS...
    local name=$1 line kind said
    shift
    said=$("$bin/weft" bdevio -c "$work/$name.json" "$@" 2>&1)
    local status=$?
    while read -r line; do
        case $line in
            "ok "*) ok "$name: ${line#ok }" ;;
            "FAIL "*) not_ok "$name: ${line#FAIL }" ;;
            "skip "*) echo "skip $name: ${line#skip }" ;;
        esac
    done <<<"$said"
    is "$name: it ends well" 0 "$status"
    [ "$status" = 0 ] || tail -3 <<<"$said" | sed 's/^/# /'
}
for name in malloc metadata null file zoned stacked "${more[@]}"; do try "$name"; done
WEFT_NO_IO_URING=1 try file -b Ring0 --seed 7

# What is wrong with a device is found.
mkdir "$work/full"
if mount -t tmpfs -o size=1M tmpfs "$work/full" 2>/dev/null; then
    truncate -s 64M "$work/full/disk"
    config full "$(call bdev_aio_create Full0 "\"filename\": \"$work/full/disk\", \"block_size\": 512")"
    refused "a disk that is full fails" "FAIL Full0" "$bin/weft" bdevio -c "$work/full.json"
    umount "$work/full"
else
    echo "skip a disk that is full fails: nothing may be mounted here"
fi
refused "no configuration" "config" "$bin/weft" bdevio
refused "a configuration that is not there" "nowhere" "$bin/weft" bdevio -c "$work/nowhere"
refused "a bdev that is not there" "o such device" "$bin/weft" bdevio -c "$work/null.json" -b None
config none
refused "no bdev at all" "no bdev" "$bin/weft" bdevio -c "$work/none.json"

# Loads.
seconds=0.3
perf() { "$bin/weft" bdevperf -c "$work/$1.json" -t $seconds -q 16 "${@:2}"; }
for workload in read write randread randwrite rw randrw unmap flush write_zeroes verify reset; do
    check "bdevperf: $workload" perf file -o 64k -w $workload
done
says() { # PATTERN COMMAND...
    local said
    said=$("${@:2}") && grep -qE -- "$1" <<<"$said" || { echo "$said"; return 1; }
}
check "bdevperf verifies what it wrote" says 'verified: [1-9][0-9]* blocks, 0 wrong' perf malloc -w verify -T Malloc0 -o 4k
check "and again with resets in between" says '^[1-9][0-9]* resets, 0 requests aborted' perf stacked -w reset -o 4k
check "as often as asked for" says '"resets": ([2-9]|[1-9][0-9])' perf malloc -w reset --reset-every 0.05 -T Malloc0 -o 4k --json
check "as JSON" says '"io_failed": 0' perf malloc -w randrw -T Malloc1 --json
refused "what was lost is found" "blocks were wrong" perf null -w verify -o 4k
refused "with resets, too" "blocks were wrong" perf null -w reset -o 4k
cpus=$(python3 -c 'import os; print(",".join(map(str, sorted(os.sched_getaffinity(0))[:2])))')
each_core() {
    local seconds=2  # for all four to have begun, also where other programs want the cores, too
    perf malloc -w randread -C -m "[$cpus]" --json -T Malloc0 -T Malloc1 | python3 -c '
import json, sys
jobs = json.load(sys.stdin)["results"]
cores = len({job["core_mask"] for job in jobs})
print([(job["job"], job["core_mask"], job["iops"]) for job in jobs])
sys.exit(len(jobs) != 2 * cores or any(job["iops"] <= 0 or job["status"] != "finished" for job in jobs))'
}
check "every core on every bdev" each_core
refused "a size that is not of blocks" "whole ones" perf malloc -o 1000
refused "a size of nothing" "whole ones" perf malloc -o 0
refused "more depth than there are units to verify" "room for" perf malloc -w verify -T Tiny0 -o 512
refused "a zoned device is not written" "zoned" perf zoned -w write
check "but read" perf zoned -w randread
refused "a workload that is none" "randrx" perf malloc -w randrx
refused "a bdev that is not there" "o such device" perf malloc -T None
refused "a mask that is none" "core mask" perf malloc -m xyz

# Started by RPC, as the field's scripts do it.
"$bin/weft" bdevperf -c "$work/malloc.json" -z -r "$sock" -T Malloc0 -T Malloc1 -t 1 -q 8 -o 4k -w randread >"$work/served" 2>&1 &
served=$!
check "it waits for perform_tests" rpc -r 50 bdev_get_bdevs -b Malloc0
check "which runs a load" says '"status": "finished"' rpc perform_tests --time_in_sec 1 --io_size 8k --workload_type randrw
for size in much "" 4x 99999999999999999999 -1; do
    refused "a load of \"$size\" bytes" "io_size" rpc perform_tests --io_size="$size"
done
refused "a load of nothing" "whole ones" rpc perform_tests --io_size=0
refused "a depth of nothing" "queue_depth" rpc perform_tests --queue_depth=0
kill -TERM $served
wait $served
is "and it ends in order" 0 $?
finish
