#!/bin/bash
# A file-backed namespace keeps what was acknowledged when the target is killed; a file system that is full says so;
# a device removed under load ends its commands; a target that is told to stop under load stops.
. "$(dirname "$0")/lib.sh"

truncate -s 64M "$work/disk"
check "a target starts" start
check "a file" rpc bdev_aio_create --name File0 --filename "$work/disk" --block_size 4096
check "it is exported" export_device File0
check "data is what was written" "$bin/weft" io verify "${target[@]}" -n "$nqn"
head -c 1048576 /dev/urandom >"$work/pattern"
check "a megabyte is written" "$bin/weft" io write "${target[@]}" -n "$nqn" --offset 1048576 --length 1048576 --file "$work/pattern"
"$bin/weft" perf "${target[@]}" -n "$nqn" -q 32 -o 4096 -w randread -t 20 >"$work/perf.log" 2>&1 &
load=$!
sleep 1
kill_hard
wait "$load"
check "it starts again after kill -9" start
check "the file again" rpc bdev_aio_create --name File0 --filename "$work/disk" --block_size 4096
check "exported again" export_device File0
check "it is read" "$bin/weft" io read "${target[@]}" -n "$nqn" --offset 1048576 --length 1048576 --file "$work/back"
check "nothing acknowledged is lost" cmp "$work/pattern" "$work/back"

"$bin/weft" perf "${target[@]}" -n "$nqn" -q 32 -o 4096 -w randrw -M 50 -t 20 >"$work/perf.log" 2>&1 &
load=$!
sleep 1
check "the device goes while it is in use" rpc bdev_aio_delete --name File0
check "its namespace went with it" bash -c "! '$bin/weft' rpc -s '$sock' nvmf_get_subsystems | grep -q File0"
kill "$load" 2>/dev/null
wait "$load" 2>/dev/null
check "the file comes back" rpc bdev_uring_create --name File0 --filename "$work/disk" --block_size 4096
check "and is a namespace again" rpc nvmf_subsystem_add_ns --nqn "$nqn" --namespace '{"bdev_name":"File0"}'
"$bin/weft" perf "${target[@]}" -n "$nqn" -q 32 -o 4096 -w randrw -M 50 -t 20 >"$work/perf.log" 2>&1 &
load=$!
sleep 1
check "SIGTERM under load ends it with status 0" stop
kill "$load" 2>/dev/null
wait "$load" 2>/dev/null

mkdir "$work/small"
if mount -t tmpfs -o size=8m none "$work/small" 2>/dev/null; then
    truncate -s 16M "$work/small/disk"
    check "a target on a small file system" start
    check "a file larger than it" rpc bdev_aio_create --name Full0 --filename "$work/small/disk" --block_size 4096
    check "exported" export_device Full0
    refused "writing more than fits says so" "81|CAPACITY" "$bin/weft" io verify "${target[@]}" -n "$nqn"
    check "what fits is still read" "$bin/weft" io read "${target[@]}" -n "$nqn" --offset 0 --length 4096 --file "$work/back"
    check "it stops" stop
    umount "$work/small"
else
    echo "skip a full file system: no right to mount one"
fi
finish
