#!/bin/bash
# Tracing: one I/O through its stages, the masks and their RPCs, the file of a trace in life and after death.
. "$(dirname "$0")/lib.sh"

shm() { echo "/dev/shm/weftd_trace.pid$(target_pid)"; }
# mask GROUP: the tpoint_mask of a group.
mask() { rpc trace_get_info | tr -d '\n ' | sed -n "s/.*\"$1\":{\"mask\":\"0x[0-9a-f]*\",\"tpoint_mask\":\"\(0x[0-9a-f]*\)\"}.*/\1/p"; }
stages() { python3 "$(dirname "$0")/trace_stages.py" "$1"; }
# went NAME FILE WORDS: a command in the trace went through these stages and no others.
went() {
    local out
    out=$(stages "$2" 2>&1)
    if grep -qxF "$3" <<<"$out"; then ok "$1"; else not_ok "$1" "$(sort <<<"$out" | uniq -c)"; fi
}
io() { local op=$1; shift; "$bin/weft" io "$op" "${target[@]}" -n "$nqn" "$@"; }
traced() { # FILE COMMAND...: what the command does, as a trace
    local file=$1 recorder
    shift
    "$bin/weft" trace record -s "$sock" -t 0 -o "$file" 2>"$work/said" &
    recorder=$!
    for _ in $(seq 100); do [ "$(mask reactor)" = 0x0 ] || break; sleep 0.05; done
    "$@"
    local status=$?
    kill -TERM "$recorder"  # a shell lets nothing in the background hear SIGINT
    wait "$recorder" && return "$status"
}

check "a target" start
check "a RAM disk and a file" eval 'rpc bdev_malloc_create --name Malloc0 --block_size 512 --num_blocks 65536 &&
    truncate -s 16M "$work/disk" && rpc bdev_aio_create --name File0 --filename "$work/disk" --block_size 512'
check "a subsystem" export_device Malloc0
is "nothing is traced, and nothing is there for it" "0x0 gone" "$(mask nvmf_tcp) $([ -e "$(shm)" ] || echo gone)"

# One I/O through its stages.
head -c 131072 /dev/urandom >"$work/large"
head -c 4096 "$work/large" >"$work/data"
both() { io write --file "$work/data" && io read --length 4096 --file "$work/back"; }
check "a write and a read are recorded" traced "$work/a.json" both
went "a write, from its capsule to its answer" "$work/a.json" \
    "WRITE NEW TX_H_TO_C RDY_TO_EXECUTE EXECUTING[bdev write] EXECUTED RDY_TO_COMPLETE TRANSFER_C2H COMPLETED"
went "a read, sent from memory that the disk lends" "$work/a.json" \
    "READ NEW RDY_TO_EXECUTE EXECUTING EXECUTED RDY_TO_COMPLETE TRANSFER_C2H[bdev read] COMPLETED"
check "it tells how much" grep -qE '^/.*a.json: [0-9]+ entries, [0-9]+ whole commands, 0 entries lost$' "$work/said"
for name in reactor_ weft_control REACTOR_TURN REACTOR_SLEEP SOCK_RECV SOCK_SEND TCP_QP_CREATE TCP_QP_DESTROY \
    THREAD_MESSAGE '"name":"FABRIC"' '"name":"IDENTIFY"'; do
    check "$name is in it" grep -qF -- "$name" "$work/a.json"
done
second() { rpc nvmf_subsystem_add_ns --nqn "$nqn" --namespace '{"bdev_name":"File0","nsid":2}'; }
check "a second namespace is recorded" traced "$work/n.json" second
check "with the channel that it needs" grep -qF '"THREAD_IOCH_GET"' "$work/n.json"
check "which is made" grep -qF '"BDEV_IOCH_CREATE"' "$work/n.json"
large() { io write --nsid 2 --file "$work/large" && io read --nsid 2 --length 131072 --file "$work/back"; }
check "a large write to a file is recorded" traced "$work/b.json" large
went "a write whose data is asked for" "$work/b.json" \
    "WRITE NEW AWAIT_R2T_ACK TX_H_TO_C RDY_TO_EXECUTE EXECUTING[bdev write] EXECUTED RDY_TO_COMPLETE TRANSFER_C2H COMPLETED"
went "a read of a file" "$work/b.json" \
    "READ NEW RDY_TO_EXECUTE EXECUTING[bdev read] EXECUTED RDY_TO_COMPLETE TRANSFER_C2H COMPLETED"
is "the tracepoints are off again" "0x0 0x0 0x0" "$(mask nvmf_tcp) $(mask bdev) $(mask reactor)"
"$bin/weft" perf "${target[@]}" -n "$nqn" -q 32 -o 4096 -w randrw -M 50 -t 2 >/dev/null 2>&1 &
check "under load" "$bin/weft" trace record -s "$sock" -t 0.5 --entries 20000 -o "$work/c.json"
check "its slices lie in one another" stages "$work/c.json"
wait $!

# Masks, as the field has them.
is "all of a group" "true 0xffffffffffffffff 0x8" \
    "$(rpc trace_enable_tpoint_group bdev) $(mask bdev) $(rpc trace_get_info | sed -n 's/.*"tpoint_group_mask": *"\(.*\)".*/\1/p')"
is "less one tracepoint" "true 0xfffffffffffffffe" "$(rpc trace_clear_tpoint_mask bdev 0x1) $(mask bdev)"
is "none of it" "true 0x0" "$(rpc trace_disable_tpoint_group bdev) $(mask bdev)"
is "two tracepoints" "true 0x3" "$(rpc trace_set_tpoint_mask bdev 3) $(mask bdev)"
check "are on by name" eval 'rpc trace_get_tpoint_group_mask | tr -d "\n " | grep -qF "{\"name\":\"BDEV_IO_DONE\",\"tpoint_id\":1,\"enabled\":true}"'
check "a recording puts them back" "$bin/weft" trace record -s "$sock" -e bdev:0xf,sock -t 0.1 -o "$work/d.json"
is "as they were" "0x3 0x0" "$(mask bdev) $(mask sock)"
check "what was traced can be forgotten" rpc trace_clear
check "everything" rpc trace_enable_tpoint_group all
check "and nothing" rpc trace_disable_tpoint_group all
refused "a group that is none" "there is no tracepoint group 'bdve'; there are bdev, nvmf_tcp" rpc trace_enable_tpoint_group bdve
refused "a group of the field" "no tracepoints in the group 'blob'" rpc trace_enable_tpoint_group blob
refused "a mask that is none" "no hexadecimal number" rpc trace_set_tpoint_mask bdev 0xz
refused "an action that is none" "record" "$bin/weft" trace play -o "$work/x"
refused "neither record nor a file" "either record, or --file" "$bin/weft" trace -o "$work/x"
refused "a group that is none, for a recording" "there is no tracepoint group 'nvme'" "$bin/weft" trace record -s "$sock" -e nvme -o "$work/x"
refused "a file that is no trace" "no trace of Weft" "$bin/weft" trace --file "$work/data" -o "$work/x"
refused "a file that is none" "No such file" "$bin/weft" trace --file "$work/nothing" -o "$work/x"
refused "a folder" "no ordinary file" "$bin/weft" trace --file "$work" -o "$work/x"
refused "a pipe" "no ordinary file" "$bin/weft" trace --file <(echo) -o "$work/x"

# The file.
file=$(shm)
is "the file is its user's" 600 "$(stat -c %a "$file")"
check "it stops" stop
check "and leaves no file" [ ! -e "$file" ]
refused "a size that is none" "power of two" "$bin/weftd" --num-trace-entries 1000
refused "a group that is none, at the start" "there is no tracepoint group 'nvme'; there are" "$bin/weftd" -e nvme
check "tracing from the start, of a group and two tracepoints" start -e sock,bdev:BDEV_IO_START+bdev_io_done -e 0x30020 --num-trace-entries 1024
is "is on" "0xffffffffffffffff 0x3 0xffffffffffffffff" "$(mask sock) $(mask bdev) $(mask nvmf_tcp)"
check "what is not here is said" grep -q "here are no tracepoints of blob, bdev_raid" "$work/log"
check "a RAM disk" rpc bdev_malloc_create --name Malloc0 --block_size 512 --num_blocks 65536
check "a subsystem again" export_device Malloc0
check "a write" io write --file "$work/data"
file=$(shm)
kill_hard
check "a dead target leaves its trace" "$bin/weft" trace --file "$file" -o "$work/e.json"
went "with the write" "$work/e.json" \
    "WRITE NEW TX_H_TO_C RDY_TO_EXECUTE EXECUTING[bdev write] EXECUTED RDY_TO_COMPLETE TRANSFER_C2H COMPLETED"
"$bin/weft" trace --file "$file" -o - >"$work/text" 2>/dev/null
check "as text" grep -qE '^reactor_[0-9]+ +[0-9]+: +[0-9]+\.[0-9]{3} BDEV_IO_START +id: i[0-9.]+ +request: r[0-9.]+ lba: 0 blocks: 8 type: write$' "$work/text"
truncate -s 4000 "$file"
refused "cut off" "damaged trace" "$bin/weft" trace --file "$file" -o -
rm -f "$file"
check "without room for entries" start -e all --num-trace-entries 0
refused "nothing can be traced" "num-trace-entries is 0" rpc trace_enable_tpoint_group bdev
check "it stops at last" stop
finish
