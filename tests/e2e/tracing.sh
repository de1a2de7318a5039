#!/bin/bash
# What a user sees of a running target without a rebuild: static probes, and what the CPUs did to data.
# Release only: it is about files, a build or a tool, not about what the programs do.
. "$(dirname "$0")/lib.sh"

check "an empty target starts" start
check "a transport" rpc nvmf_create_transport --trtype tcp
check "a RAM disk" rpc bdev_malloc_create --name Malloc0 --block_size 512 --num_blocks 65536
check "a subsystem" export_device Malloc0

head -c 8192 /dev/urandom >"$work/data"
# of OPCODE: how often and how many bytes.
work_of() { rpc accel_get_stats | tr -d '\n ' | sed -n "s/.*\"opcode\":\"$1\",\"module_name\":\"software\",\"executed\":\([0-9]*\),\"failed\":0,\"num_bytes\":\([0-9]*\).*/\1 \2/p"; }
# A new disk was looked at for partitions and the like: that was read, too.
read -r copies bytes <<<"$(work_of copy)"
since() { local now_copies now_bytes; read -r now_copies now_bytes <<<"$(work_of copy)"; echo $((now_copies - copies)) $((now_bytes - bytes)); }
check "a write" "$bin/weft" io write "${target[@]}" -n "$nqn" --file "$work/data"
is "a write of 8 KiB is one copy" "1 8192" "$(since)"
check "a read" "$bin/weft" io read "${target[@]}" -n "$nqn" --length 8192 --file "$work/back"
is "a read that is sent from the disk is none" "1 8192" "$(since)"
check "a read with a digest" "$bin/weft" io read "${target[@]}" -n "$nqn" --length 8192 --file "$work/back" --ddgst
check "its digests are counted, those of admin commands too" test "$(work_of crc32c | cut -d" " -f2)" -ge 8192

names=$(readelf -n "$bin/weftd" | sed -n 's/^ *Name: //p' | sort -u | xargs)
is "the probes are in the program" "receive_begin receive_end request_state send_begin send_end turn" "$names"
if [ "$(id -u)" != 0 ] || ! bpftrace -e 'BEGIN { exit(); }' >/dev/null 2>&1; then
    echo "skip hot_path.bt shows where time goes: no bpftrace here, or not root"
else
    "$bin/weft" perf "${target[@]}" -n "$nqn" -q 8 -o 4096 -w randread -t 8 >/dev/null 2>&1 &
    out=$(timeout -s INT 5 bpftrace -p "$(target_pid)" "$(dirname "$0")/../../scripts/hot_path.bt" 2>&1)
    kill $! 2>/dev/null
    for part in receive send own; do
        check "hot_path.bt shows $part" grep -qE "us_per_s\[$part\]: [1-9]" <<<"$out"
    done
fi
check "it stops" stop
finish
