#!/bin/bash
# Raids, as docs/bdev/raid.md shows them: what is typed there works, nothing acknowledged is lost when a base bdev goes
# under load, when it is filled again, and when the target is killed.
. "$(dirname "$0")/lib.sh"
manual=$(cd "$(dirname "$0")/../.." && pwd)/docs/bdev/raid.md

raid() { rpc bdev_raid_get_bdevs all; }
# settled SECONDS COUNT: so many base bdevs work, and none is being filled.
settled() {
    local tries
    for tries in $(seq $(($1 * 10))); do
        raid >"$work/raid.json"
        if ! grep -q '"process"' "$work/raid.json" && grep -q "\"num_base_bdevs_operational\": $2" "$work/raid.json"; then return 0; fi
        sleep 0.1
    done
    cat "$work/raid.json"
    return 1
}
disks() {
    local number
    for number in 0 1; do
        rpc bdev_aio_create "$work/disk$number.img" "Disk$number" 4096 >/dev/null || return 1
    done
}

truncate -s 48M "$work"/disk{0,1}.img
check "a target starts" start
bad=0
while read -r line; do
    said=$(eval "'$bin/weft' rpc -s '$sock' ${line//\/srv\//$work/}" 2>&1) || { not_ok "the manual's $line" "$said"; bad=1; }
done < <(sed -n 's/^    weft rpc //p' "$manual")
is "the lines of the manual work" 0 $bad
check "what they made goes" rpc bdev_raid_delete Fast

refused "a base bdev that somebody has" "claimed" bash -c "
    '$bin/weft' rpc -s '$sock' bdev_raid_create -n R0 -z 4 -r raid0 -b Disk0 >/dev/null &&
    '$bin/weft' rpc -s '$sock' bdev_raid_create -n R1 -r raid1 -b 'Disk0 Disk1'"
check "it goes" rpc bdev_raid_delete R0
refused "strips of no power of two" "strip_size_kb" rpc bdev_raid_create -n R -z 3 -r 0 -b Disk0
refused "too few" "base_bdevs" rpc bdev_raid_create -n R -r 1 -b Disk0
refused "itself" "itself" rpc bdev_raid_create -n R -z 4 -r 0 -b R

check "a mirror" rpc bdev_raid_create -n Mirror -r raid1 -b "Disk0 Disk1" -s
check "it is exported" export_device Mirror
check "data is what was written" "$bin/weft" io verify "${target[@]}" -n "$nqn"
check "the rebuild is slow enough to be seen" rpc bdev_raid_set_options -w 256 -b 20

# The checker remembers what was acknowledged, and reads it back.
journal=$work/journal
checker() { "$bin/weft-checker" "$1" -a 127.0.0.1 -s "$port" -n "$nqn" -j "$journal" "${@:2}"; }
if [ -x "$bin/weft-checker" ] && checker run --time 1 --hosts 2 >"$work/checker.log" 2>&1; then
    checker run --time 6 --hosts 2 --seed 7 >"$work/checker.log" 2>&1 &
    load=$!
    sleep 1
    check "a base bdev goes under load" rpc bdev_raid_remove_base_bdev Disk0
    sleep 0.5
    check "and comes back under load" rpc bdev_raid_add_base_bdev Mirror Disk0
    is "it is being filled" 1 "$(raid | grep -c '"type": "rebuild"')"
    check "it is filled" settled 20 2
    wait "$load"
    is "all that was acknowledged was read back" 0 $?
    check "and is there" checker check
    checker run --time 20 --hosts 2 --seed 8 >"$work/checker.log" 2>&1 &
    load=$!
    sleep 1
    kill_hard
    wait "$load"
    check "a target starts after kill -9" start
    check "its disks are there" disks
    check "the raid with them" export_device Mirror
    check "both are read" settled 5 2
    check "everything acknowledged is there" checker check
    check "it is there on the first disk alone" rpc bdev_raid_remove_base_bdev Disk1
    check "… all of it" checker check
else
    echo "skip the checker: $(tail -1 "$work/checker.log" 2>/dev/null)"
fi
"$bin/weft" perf "${target[@]}" -n "$nqn" -q 16 -o 4096 -w randrw -M 50 -t 20 >"$work/perf.log" 2>&1 &
load=$!
sleep 0.5
check "a mirror is deleted under load" rpc bdev_raid_delete Mirror -c
wait "$load" 2>/dev/null
check "the target stops" stop

truncate -s 0 "$work/disk1.img"  # which had been taken out, and so keeps its superblock
truncate -s 16M "$work"/disk{0,1}.img
check "a target starts" start
check "its disks are there" disks
is "no raid: the superblocks are gone" "[]" "$(raid | tr -d ' \n')"
check "stripes that wait" rpc bdev_raid_create -n Late -z 16 -r raid0 -b "Disk0 Soon"
is "it waits" 1 "$(rpc bdev_raid_get_bdevs configuring | grep -c '"name": "Late"')"
check "what is saved has it" bash -c "'$bin/weft' rpc -s '$sock' save_config >'$work/saved.json' && grep -q bdev_raid_create '$work/saved.json'"
check "a RAM disk" rpc bdev_malloc_create -b Soon 16 4096
is "it is there" 1 "$(rpc bdev_raid_get_bdevs online | grep -c '"name": "Late"')"
check "exported" export_device Late
check "data is what was written" "$bin/weft" io verify "${target[@]}" -n "$nqn"
check "it stops" stop
finish
