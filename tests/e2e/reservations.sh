#!/bin/bash
# Reservations over a restart: the file that keeps them, and what is refused of it.
. "$(dirname "$0")/lib.sh"
here=$(dirname "$0")
mkdir "$work/kept" "$work/other"
file=$work/kept/ptpl.json
host() { timeout 60 python3 "$here/reserve.py" 127.0.0.1 "$port" "$nqn" "$@" 2>&1; }
set_up() { # OPTIONS...
    start "$@" || return 1
    rpc nvmf_create_transport -t tcp && rpc nvmf_create_subsystem "$nqn" -a &&
        rpc bdev_malloc_create -b Malloc0 1 512 -u 11111111-2222-3333-4444-555555555555 &&
        rpc nvmf_subsystem_add_listener "$nqn" -t tcp -a 127.0.0.1 -s "$port"
}
add() { rpc nvmf_subsystem_add_ns "$nqn" Malloc0 --ptpl-file "${1:-$file}"; }

check "a target starts" set_up
check "a namespace with a ptpl_file" add
check "the file is there at once" grep -q '"ptpl":false' "$file"
check "and is its owner's only" [ "$(stat -c %a "$file")" = 600 ]
check "a host registers, to last, and reserves" host 1 register:5:3 acquire:5:1
check "the file has it" python3 -c 'import json, sys
kept = json.load(open(sys.argv[1]))
assert kept["ptpl"] and kept["crkey"] == 5 and kept["rtype"] == 1, kept
assert [one["rkey"] for one in kept["registrants"]] == [5], kept' "$file"
check "another host may read" host 2 read
check "and not write" host 2 write:conflict
kill_hard
check "it starts again after kill -9" set_up
check "the namespace comes with its reservation" add
check "which still holds" host 2 read write:conflict
check "and the holder may write" host 1 write
check "another one preempts it, and writes" host 2 register:6:0 preempt:6:5:1 write
check "the first may not any more" host 1 write:conflict
check "it stops" stop

cp "$file" "$work/kept/good.json"
check "it starts again" set_up --allow-path "$work/kept"
for spoil in 's/"rtype":1/"rtype":9/' 's/"rkey":6/"rkey":0/' 's/"ptpl":true/"ptpl":1/' 's/11111111/21111111/' 's/}$//'; do
    sed "$spoil" "$work/kept/good.json" >"$file"
    refused "a file with $spoil is refused" "ptpl_file $file: " add
done
head -c 100000 /dev/zero >"$file"
refused "a file that is too large is refused" "ptpl_file: .*larger" add
rm "$file"
mkfifo "$file"
refused "a FIFO is refused" "ptpl_file: " add
refused "a file elsewhere is refused" "allow-path" add "$work/other/ptpl.json"
check "and was not made" [ ! -e "$work/other/ptpl.json" ]
refused "a folder that is not there is said" "ptpl_file: .*[Nn]o such file" add "$work/kept/none/ptpl.json"
check "a good file is taken" add "$work/kept/good.json"
rpc bdev_malloc_create -b Malloc1 1 512 >/dev/null
refused "two namespaces do not share a file" "a file of its own" rpc nvmf_subsystem_add_ns "$nqn" Malloc1 --ptpl-file "$work/kept/good.json"
check "it stops at last" stop
finish
