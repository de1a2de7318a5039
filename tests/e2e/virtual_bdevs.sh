#!/bin/bash
# Devices that stand on others, as docs/bdev/virtual.md shows them: passthru, delay, error, split, partitions, zones. I/O
# comes through NVMe/TCP.
. "$(dirname "$0")/lib.sh"
page=$(cd "$(dirname "$0")/../.." && pwd)/docs/bdev/virtual.md
make_gpt=$(dirname "$0")/make_gpt.py

io() { # VERB NSID [OPTIONS...]
    local verb=$1 nsid=$2
    shift 2
    "$bin/weft" io "$verb" "${target[@]}" -n "$nqn" --nsid "$nsid" "$@"
}
show() { rpc nvmf_subsystem_add_ns "$nqn" "$1" -n "$2"; } # BDEV NSID
is_there() { rpc bdev_get_bdevs -b "$1" >/dev/null 2>&1; }
comes() { # BDEV: within five seconds
    rpc bdev_get_bdevs -b "$1" -t 5000 >/dev/null
}
goes() {
    local tries
    for tries in $(seq 50); do
        is_there "$1" || return 0
        sleep 0.1
    done
    return 1
}

check "it starts" start
truncate -s 16M "$work"/disk{0,1}.img

# The page's commands, in its order; each line that begins with "# " and a command is run as it stands there.
commands=0
weft() { "$bin/weft" "$1" -s "$sock" "${@:2}"; }
if ! command -v sfdisk >/dev/null; then
    sfdisk() { cat >/dev/null; python3 "$make_gpt" "${@: -1}" 512 2048:10239; }
fi
while IFS= read -r line; do
    commands=$((commands + 1))
    check "docs/bdev/virtual.md: $line" eval "$(sed "s,/srv/,$work/,g" <<<"$line")"
done < <(sed -En 's/^# (weft rpc |printf )/\1/p' "$page")
check "the page has commands" [ "$commands" -gt 15 ]
check "it stops" stop

check "it starts again" start
check "transport" rpc nvmf_create_transport -t TCP
check "subsystem" rpc nvmf_create_subsystem "$nqn" -a
check "listener" rpc nvmf_subsystem_add_listener "$nqn" -t tcp -a 127.0.0.1 -s "$port"

# Split on gpt on malloc: the table is written by a host, through the namespace.
check "a RAM disk" rpc bdev_malloc_create -b Ram 16 512
check "shown" show Ram 1
truncate -s 16M "$work/table.img"
python3 "$make_gpt" "$work/table.img" 512 2048:18431:data 20480:30719
check "a host writes a table on it" io write 1 --offset 0 --length 16M --file "$work/table.img"
check "shown no more" rpc nvmf_subsystem_remove_ns "$nqn" 1
check "it is examined" rpc bdev_examine -b Ram
check "its partitions are there" is_there Ramp1
check "by their GUIDs, too" is_there aaaaaaaa-0000-4000-8000-000000000002
refused "who has partitions cannot be shown" "claimed by gpt" show Ram 1
is "a partition is cut in four" "Ramp1p0 Ramp1p1 Ramp1p2 Ramp1p3" "$(rpc bdev_split_create Ramp1 4 | tr -d '[]",\n' | xargs)"
check "two of them are shown" show Ramp1p1 1
check "…" show Ramp1p2 2
check "data is what was written" io verify 1
check "in both" io verify 2
check "one is written" io write 1 --offset 0 --length 2M --pattern 0x11
check "and its neighbour" io write 2 --offset 0 --length 2M --pattern 0x22
check "they do not touch each other" io compare 1 --offset 0 --length 2M --pattern 0x11
check "load" "$bin/weft" perf "${target[@]}" -n "$nqn" -q 8 -o 4096 -w randrw -M 50 -t 1
check "the disk goes, and all with it" rpc bdev_malloc_delete Ram
for bdev in Ramp1 Ramp2 Ramp1p0 Ramp1p3; do check "… $bdev" goes $bdev; done
is "the namespaces, too" 0 "$(rpc nvmf_get_subsystems "$nqn" | grep -c '"nsid"')"

# Delay on error on a file, whose entries are there before the file is.
check "a delay that waits for what waits for a file" rpc bdev_delay_create -b EE_File -d Late -r 2000 -t 4000 -w 2000 -n 4000
check "an error device that waits" rpc bdev_error_create File
refused "neither is there yet" "No such device" rpc bdev_get_bdevs -b Late
check "the file comes" rpc bdev_aio_create "$work/disk0.img" File 4096
check "and with it all that waited" comes Late
check "shown" show Late 1
check "data is what was written, later" io verify 1
check "a write is to fail" rpc bdev_error_inject_error EE_File write failure
refused "it does" "INTERNAL" io write 1 --offset 0 --length 4K --pattern 1
check "the next does not" io write 1 --offset 0 --length 4K --pattern 1
check "a read is to fail as NVMe has it" rpc bdev_error_inject_error EE_File read nvme_failure --nvme-sct 2 --nvme-sc 129
refused "it does" "UNRECOVERED READ ERROR" io read 1 --offset 0 --length 4K
check "a byte is to be written wrong" rpc bdev_error_inject_error EE_File write corrupt_data -o 5 -v 128
check "the write goes well" io write 1 --offset 0 --length 4K --pattern 1
refused "but not what is read" "" io compare 1 --offset 0 --length 4K --pattern 1
check "three have no room at first" rpc bdev_error_inject_error EE_File all nomem -n 3
check "and are done all the same" io write 1 --offset 0 --length 4K --pattern 1
# A reactor that asks again and again rests in between: what the device waits for may need its CPU.
rests() { awk '/^voluntary/ { sum += $2 } END { print sum }' "/proc/$(target_pid)"/task/*/status; }
check "it has no room for long" rpc bdev_error_inject_error EE_File write nomem -n 1000000000
io write 1 --offset 0 --length 4K --pattern 1 >"$work/busy" 2>&1 &
waiting=$!
sleep 0.5
before=$(rests)
sleep 1
slept=$(($(rests) - before))
check "who waits for room sleeps in between ($slept times in a second)" [ $slept -gt 200 ]
check "it has room again" rpc bdev_error_inject_error EE_File clear failure
wait $waiting
is "then it is done" 0 $?
check "one stays" rpc bdev_error_inject_error EE_File write pending
io write 1 --offset 0 --length 4K --pattern 7 >"$work/pending" 2>&1 &
waiting=$!
sleep 0.5
check "it does not end" kill -0 $waiting
check "until it goes on" rpc bdev_error_resume_pending EE_File
wait $waiting
is "then it does" 0 $?
check "and did what it should" io compare 1 --offset 0 --length 4K --pattern 7
took() { # COMMAND...: milliseconds
    local before=$(date +%s%N)
    "$@" >/dev/null 2>&1 || return 1
    echo $((($(date +%s%N) - before) / 1000000))
}
check "later still" rpc bdev_delay_update_latency Late avg_read 700000
check "…" rpc bdev_delay_update_latency Late p99_read 700000
check "a read takes as long" [ "$(took io read 1 --offset 0 --length 4K)" -ge 700 ]
check "and no longer" rpc bdev_delay_update_latency Late avg_read 0
check "…" rpc bdev_delay_update_latency Late p99_read 0

# Zones over a plain disk.
check "a RAM disk" rpc bdev_malloc_create -b Ram 16 4096
check "with zones" rpc bdev_zone_block_create -b Zones -n Ram -z 48 -o 4
check "shown" show Zones 2
refused "they are full at first" "ZONE IS FULL" io write 2 --offset 0 --length 4K --pattern 1

# What was configured comes back, in whatever order, whether or not it was there.
check "one that waits for ever" rpc bdev_passthru_create -b Nothing -p Waits
rpc save_config >"$work/config.json"
check "it stops" stop
check "it starts with what it saved" start -c "$work/config.json"
for bdev in Late Zones; do check "$bdev is there" is_there $bdev; done
is "and what waits" 1 "$(rpc save_config | grep -c '"Waits"')"
check "data, too" io compare 1 --offset 0 --length 4K --pattern 7
check "it stops" stop
check "it starts with a state directory" start --state "$work/state" -c "$work/config.json"
check "it is killed" kill_hard
check "it starts from that" start --state "$work/state"
for bdev in Late Zones; do check "$bdev is there" is_there $bdev; done
check "data, too" io compare 1 --offset 0 --length 4K --pattern 7

# The base of a stack goes under load, and comes back.
"$bin/weft" perf "${target[@]}" -n "$nqn" -q 8 -o 4096 -w randread -t 30 >"$work/perf" 2>&1 &
load=$!
sleep 1
check "the file goes under load" rpc bdev_aio_delete File
check "Late goes" goes Late
kill $load 2>/dev/null
wait $load 2>/dev/null
check "the file comes back" rpc bdev_aio_create "$work/disk0.img" File 4096
check "Late comes back" comes Late
check "shown again" show Late 1
check "with its data" io compare 1 --offset 0 --length 4K --pattern 7
check "it stops" stop
finish
