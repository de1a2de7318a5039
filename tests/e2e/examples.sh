#!/bin/bash
# The examples with the command lines of docs/embedding.md, against each other on loopback. WEFT_EXAMPLES: where they are.
. "$(dirname "$0")/lib.sh"
examples=${WEFT_EXAMPLES:-$bin/../examples}
trid="trtype:TCP adrfam:IPv4 traddr:127.0.0.1 trsvcid:$port"
cpus=$(python3 -c 'import os; print(",".join(map(str, sorted(os.sched_getaffinity(0))[:2])))')
ln -s "$bin/weft" "$work/rpc.py"
rpc_py() { "$work/rpc.py" -s "$sock" "$@"; }
# prints PATTERN COMMAND...: it succeeds, and says something that matches.
prints() {
    local pattern=$1 out
    shift
    out=$("$@" 2>&1) || { echo "$out"; return 1; }
    grep -qE -- "$pattern" <<<"$out" || { echo "no /$pattern/ in: $out"; return 1; }
}

# A target in threads and a loop that are not Weft's, configured as the field's notes do it.
program=$examples/nvmf_example
check "nvmf_example starts, with poll groups that wander" start -m "[$cpus]" -i 0 -s 512 -u -g 20000
check "its target has its name" prints '^\["nvmf_example"\]$' bash -c "'$work/rpc.py' -s '$sock' nvmf_get_targets | tr -d ' \n'"
check "a transport" rpc_py nvmf_create_transport -t TCP -g nvmf_example
check "a subsystem" rpc_py nvmf_create_subsystem -t nvmf_example -s SPDK00000000000001 -a -m 32 "$nqn"
check "a RAM disk" rpc_py bdev_malloc_create -b Malloc1 128 512
check "a namespace" rpc_py nvmf_subsystem_add_ns -t nvmf_example "$nqn" Malloc1
check "a listener" rpc_py nvmf_subsystem_add_listener -t tcp -f Ipv4 -a 127.0.0.1 -s "$port" -p nvmf_example "$nqn"
check "and one for discovery" rpc_py nvmf_subsystem_add_listener -t tcp -f Ipv4 -a 127.0.0.1 -s "$port" -p nvmf_example discovery
refused "a target of another name" "find a target" rpc_py nvmf_get_subsystems -t nvmf_tgt
# The control reactor and the first data reactor have one thread, the others one each.
threads_of_reactors() {
    rpc framework_get_reactors | python3 -c '
import json, sys
ids = [reactor["tid"] for reactor in json.load(sys.stdin)["reactors"]]
print("OS threads of the reactors:", ids)
sys.exit(0 in ids or ids[0] != ids[1] or len(set(ids)) != len(ids) - 1)'
}
check "its own threads turn the reactors" threads_of_reactors
check "data is what was written" "$bin/weft" io verify "${target[@]}" -n "$nqn"

check "hello_world" prints '^Hello world!$' "$examples/hello_world" -r "$trid subnqn:$nqn"
check "wrote it" prints '^Hello world!' bash -c "'$bin/weft' io read ${target[*]} -n '$nqn' --length 512 --file - | head -c 12"
check "another text" prints '^Guten Tag$' "$examples/hello_world" -r "$trid subnqn:$nqn" -n 1 -t "Guten Tag"
refused "a text that is too long for a block" "does not fit" "$examples/hello_world" -r "$trid subnqn:$nqn" -t "$(printf 'x%.0s' $(seq 600))"
refused "a namespace that is not there" "namespace 7" "$examples/hello_world" -r "$trid subnqn:$nqn" -n 7
refused "no target at all" "transport-id" "$examples/hello_world"
refused "a target without a subsystem" "subnqn is missing" "$examples/hello_world" -r "$trid"
refused "a transport that is none" "tcp only" "$examples/hello_world" -r "trtype:RDMA traddr:127.0.0.1 subnqn:$nqn"
refused "a target that is not there" "refused" "$examples/hello_world" -r "trtype:TCP traddr:127.0.0.1 trsvcid:1 subnqn:$nqn"

check "identify" prints 'Serial number  *"?SPDK00000000000001' "$examples/identify" -r "$trid subnqn:$nqn"
check "of its namespace" prints '262144 blocks of 512 bytes' "$examples/identify" -r "$trid subnqn:$nqn"
check "identify of the discovery controller" prints "$nqn.* at .*127.0.0.1.* port .*$port" "$examples/identify" -r "$trid"

# A block device without a target.
cat >"$work/bdevs.json" <<END
{"subsystems": [{"subsystem": "bdev", "config": [
  {"method": "bdev_malloc_create", "params": {"name": "Malloc0", "num_blocks": 8192, "block_size": 512}},
  {"method": "bdev_null_create", "params": {"name": "Null0", "num_blocks": 8192, "block_size": 512}},
  {"method": "weft_zoned_create", "params": {"name": "Zoned0", "block_size": 4096, "num_zones": 4, "zone_size": 64}}]},
  {"subsystem": "nvmf", "config": [{"method": "nvmf_create_transport", "params": {"trtype": "TCP"}}]}]}
END
hello_bdev() { "$examples/hello_bdev" -c "$work/bdevs.json" "$@"; }
check "hello_bdev in bytes" prints '^read 512 bytes: Hello World!$' hello_bdev
check "and in blocks" prints '^read block 0: Hello World!$' hello_bdev
check "whose bytes must be whole blocks" prints '12 bytes at 0: .*whole' hello_bdev
check "a zoned device" prints '^read block 1: Guten Tag$' hello_bdev -b Zoned0 -t "Guten Tag"
refused "a device that forgets" "not what was written" hello_bdev -b Null0
refused "a device that is not there" "None: No such device" hello_bdev -b None
refused "a text that is too long for a block" "does not fit" hello_bdev -t "$(printf 'x%.0s' $(seq 600))"
refused "a configuration that is not there" "nowhere" "$examples/hello_bdev" -c "$work/nowhere"

# What perf counts is what the target did in that time: less is only what was under way at the end.
reads() { rpc bdev_get_iostat | python3 -c 'import json, sys; print(json.load(sys.stdin)["bdevs"][0]["num_read_ops"])'; }
counts_right() {
    local before counted after
    before=$(reads)
    counted=$("$examples/perf" -q 4 -o 4096 -w randread -t 1 -m "[$cpus]" --silence-noticelog -r "$trid subnqn:$nqn") || return 1
    after=$(reads)
    echo "$counted, by the target $((after - before))"
    [[ $counted == *"; 0 failed" ]] || return 1
    counted=${counted%% *}
    ((counted > 0 && counted <= after - before && after - before <= counted + 8))
}
check "perf counts what was done" counts_right
check "perf writes and reads" prints '; 0 failed$' "$examples/perf" -q 8 -o 512 -w randrw -M 30 -t 1 -r "$trid subnqn:$nqn"
refused "perf with a size that is not of blocks" "multiple" "$examples/perf" -o 1000 -r "$trid subnqn:$nqn"
refused "perf with a pattern that is none" "io-pattern" "$examples/perf" -w random -r "$trid subnqn:$nqn"

# Without work its loop sleeps: a loop that spins would take all of two seconds on two CPUs.
ticks() { awk '{print $14 + $15}' "/proc/$(target_pid)/stat"; }
sleeps() {
    local before
    before=$(ticks)
    sleep 2
    echo "ticks in two seconds: $(($(ticks) - before))"
    (($(ticks) - before < 40))
}
check "the loop sleeps when there is nothing to do" sleeps
check "nvmf_example stops in order" stop
check "it starts for one subsystem and the discovery service" start -n 2
check "a transport" rpc_py nvmf_create_transport -t TCP
check "the subsystem" rpc_py nvmf_create_subsystem -a "$nqn"
refused "a second one" "2" rpc_py nvmf_create_subsystem -a "${nqn}2"
check "it stops in order" stop
program=

# An echo server and its clients.
echo_port=$(free_port)
"$examples/hello_sock" -S -H 127.0.0.1 -P "$echo_port" -m "[$cpus]" -V >"$work/echo.log" 2>&1 &
server=$!
for _ in $(seq 100); do grep -q listening "$work/echo.log" && break; sleep 0.1; done
hello() { "$examples/hello_sock" -H 127.0.0.1 -P "$echo_port" --silence-noticelog; }
check "hello_sock says what it is told" prints '^hello$' bash -c "echo hello | '$examples/hello_sock' -H 127.0.0.1 -P $echo_port"
seq 100000 >"$work/numbers"
echoes() {
    local one
    hello <"$work/numbers" >"$work/echoed.1" &
    one=$!
    cat "$work/numbers" | hello >"$work/echoed.2" && wait $one || return 1
    cmp "$work/numbers" "$work/echoed.1" && cmp "$work/numbers" "$work/echoed.2"
}
check "two clients at once get all of theirs" echoes
refused "a port that is taken" "in use" "$examples/hello_sock" -S -H 127.0.0.1 -P "$echo_port"
accepted=$(grep -c "goes to" "$work/echo.log")
sleep 3 | hello >/dev/null 2>&1 &
for _ in $(seq 100); do (($(grep -c "goes to" "$work/echo.log") > accepted)) && break; sleep 0.1; done
kill -TERM $server
if wait $server; then
    ok "the server stops while a client is connected"
else
    not_ok "the server stops while a client is connected" "$(tail -5 "$work/echo.log")"
fi
refused "then there is none" "refused" bash -c "echo hello | '$examples/hello_sock' -H 127.0.0.1 -P $echo_port"
finish
