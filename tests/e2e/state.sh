#!/bin/bash
# --state: what is configured survives stop and kill -9; what contradicts it is refused; damage is said; `weft apply`.
. "$(dirname "$0")/lib.sh"
state=$work/state
config() { rpc framework_get_config --name bdev && rpc framework_get_config --name nvmf; }
# save FILE: what save_config prints.
save() {
    {
        echo '{"subsystems":[{"subsystem":"bdev","config":'; rpc framework_get_config --name bdev
        echo '},{"subsystem":"nvmf","config":'; rpc framework_get_config --name nvmf
        echo '}]}'
    } >"$1"
}
# same NAME: the configuration is what it was when $before was taken.
same() {
    local now
    now=$(config)
    if [ "$now" = "$before" ]; then ok "$1"; else not_ok "$1" "$(diff <(echo "$before") <(echo "$now"))"; fi
}
# log_says PATTERN: a line of the log, since the last call of new_log, has it.
log_says() { grep -qE -- "$1" "$work/log"; }
new_log() { : >"$work/log"; }

# Life and death.
check "a target with a state directory starts" start --state "$state"
check "the directory is its owner's only" [ "$(stat -c %a "$state")" = 700 ]
check "and so are the files" [ "$(stat -c %a "$state/journal" "$state/lock" | sort -u)" = 600 ]
truncate -s 32M "$work/disk"
check "a RAM disk without a name" rpc bdev_malloc_create --block_size 512 --num_blocks 8192
check "a file" rpc bdev_aio_create --name File0 --filename "$work/disk"
check "exported" export_device Malloc0
check "the file too" rpc nvmf_subsystem_add_ns --nqn "$nqn" --namespace '{"bdev_name":"File0","nsid":7}'
check "a host" rpc nvmf_subsystem_add_host --nqn "$nqn" --host nqn.2016-06.io.weft:host
before=$(config)
kill_hard
check "it starts again after kill -9" start --state "$state"
same "it is the same, ids included"
check "hosts can use it" "$bin/weft" io verify "${target[@]}" -n "$nqn"
refused "a second daemon may not use the directory" "another weftd uses it" "$bin/weftd" -r "$work/other.sock" --state "$state"
check "it stops" stop
check "after that the journal is one entry" [ "$(wc -l <"$state/journal")" = 2 ]
check "it starts after that" start --state "$state"
same "it is the same again"
save "$work/config.json"
check "it stops again" stop

# Which configuration counts.
refused "a file beside a state is refused" "--state-wins.*--config-wins" "$bin/weftd" -r "$sock" --state "$state" -c "$work/config.json"
refused "both winners are refused" "excludes" "$bin/weftd" -r "$sock" --state "$state" -c "$work/config.json" --state-wins --config-wins
refused "a winner without a state is refused" "requires --state" "$bin/weftd" -r "$sock" -c "$work/config.json" --state-wins
echo '{"subsystems":[{"subsystem":"bdev","config":[{"method":"bdev_null_create","params":{"name":"Only","block_size":512,"num_blocks":8}}]}]}' >"$work/other.json"
check "--state-wins starts" start --state "$state" -c "$work/other.json" --state-wins
same "with the state"
check "and stops" stop
check "--demo beside a state starts" start --state "$state" --demo --demo-port "$(free_port)"
same "with the state alone"
check "and stops" stop
echo '{"subsystems":[{"subsystem":"bdev","config":[{"method":"bdev_null_create","params":{"name":"Bad","block_size":500,"num_blocks":8}}]}]}' >"$work/bad.json"
refused "--config-wins with a file that fails ends" "500" "$bin/weftd" -r "$sock" --state "$state" -c "$work/bad.json" --config-wins
check "and leaves the state alone" start --state "$state"
same "as it was"
kill_hard
check "--config-wins starts" start --state "$state" -c "$work/other.json" --config-wins
check "with the file" bash -c "'$bin/weft' rpc -s '$sock' bdev_get_bdevs | grep -q Only && ! '$bin/weft' rpc -s '$sock' bdev_get_bdevs | grep -q File0"
check "the old state was set aside" grep -q File0 "$state/journal.replaced-1"
kill_hard
check "the file's configuration is kept" start --state "$state"
check "all of it" bash -c "'$bin/weft' rpc -s '$sock' bdev_get_bdevs | grep -q Only"
check "it stops" stop
check "an empty state takes a file" start --state "$work/second" -c "$work/config.json"
same "as it is"
kill_hard
check "and keeps it" start --state "$work/second"
same "as it was"

# --wait-for-rpc: options from before, all else with framework_start_init.
kill_hard
check "--wait-for-rpc starts" start --state "$work/second" --wait-for-rpc
check "options can be set" rpc bdev_set_options --bdev_io_pool_size 4096
check "the framework starts with the state" rpc framework_start_init
before=${before/65535/4096}
same "and the new options"
kill_hard
check "they are kept" start --state "$work/second"
same "without --wait-for-rpc too"

# Damage.
rpc bdev_null_create --name Last --block_size 512 --num_blocks 8 >/dev/null
kill_hard
truncate -s -3 "$work/second/journal"
new_log
check "a journal that was cut starts" start --state "$work/second"
same "without the entry that was cut"
check "one line says so" log_says 'the last [0-9]+ bytes .* are dropped, .* kept as .*/journal.damaged-1'
for name in A B C; do rpc bdev_null_create --name $name --block_size 512 --num_blocks 8 >/dev/null; done
kill_hard
sed -i 's/"name":"B"/"name":"X"/' "$work/second/journal"
new_log
check "a journal that was damaged in its middle starts" start --state "$work/second"
check "with what came before" bash -c "'$bin/weft' rpc -s '$sock' bdev_get_bdevs | grep -q '\"A\"' && ! '$bin/weft' rpc -s '$sock' bdev_get_bdevs | grep -qE '\"(B|C|X)\"'"
check "an error says that later changes are gone" log_says 'ERROR.* damaged after .* at least 1 entries of later changes'
kill_hard
mv "$work/disk" "$work/disk.away"
new_log
refused "a file that is gone stops the start" "File0|disk.*state-skip-failed" "$bin/weftd" -r "$sock" --state "$work/second"
check "--state-skip-failed goes on" start --state "$work/second" --state-skip-failed
check "and says what is missing" bash -c "'$bin/weft' rpc -s '$sock' weft_get_state | grep -q 'bdev File0'"
kill_hard
mv "$work/disk.away" "$work/disk"
check "nothing of it was dropped" start --state "$work/second"
check "it is there again" bash -c "'$bin/weft' rpc -s '$sock' nvmf_get_subsystems | grep -q File0"
kill_hard
rm "$work/disk"
check "without the file again" start --state "$work/second" --state-skip-failed
check "what is missing can be forgotten" rpc weft_forget_missing
kill_hard
check "then it starts without" start --state "$work/second"
kill_hard
touch "$work/second/skip-recovery"
new_log
check "skip-recovery starts" start --state "$work/second"
check "with nothing" bash -c "[ \$('$bin/weft' rpc -s '$sock' bdev_get_bdevs) = '[]' ]"
check "says so" log_says 'starting empty; the state before is kept as .*journal.skipped-1'
check "and is used up" [ ! -e "$work/second/skip-recovery" ]

# weft apply.
apply() { "$bin/weft" apply -s "$sock" "$@"; }
rpc nvmf_create_transport --trtype TCP >/dev/null
rpc bdev_null_create --name Old --block_size 512 --num_blocks 8 >/dev/null
save "$work/running.json"
check "apply of what runs does nothing" bash -c "[ \"\$('$bin/weft' apply -s '$sock' '$work/running.json')\" = 'nothing to do' ]"
cat >"$work/wanted.json" <<END
{"subsystems":[{"subsystem":"bdev","config":[
  {"method":"bdev_malloc_create","params":{"name":"Ram","block_size":512,"num_blocks":8192}}]},
 {"subsystem":"nvmf","config":[
  {"method":"nvmf_create_transport","params":{"trtype":"TCP"}},
  {"method":"nvmf_create_subsystem","params":{"nqn":"$nqn","allow_any_host":true}},
  {"method":"nvmf_subsystem_add_ns","params":{"nqn":"$nqn","namespace":{"bdev_name":"Ram","nsid":1}}},
  {"method":"nvmf_subsystem_add_listener","params":{"nqn":"$nqn","listen_address":{"trtype":"TCP","traddr":"127.0.0.1","trsvcid":"$port"}}}]}]}
END
apply "$work/wanted.json" --dry-run >"$work/shown"
check "--dry-run ends with 2 when there are differences" [ $? = 2 ]
check "and shows them" [ "$(cut -c1-8 "$work/shown" | tr '\n' '|')" = "- bdev O|+ bdev R|+ subsys|+ namesp|+ listen|" ]
before=$(config)
same "and does nothing"
check "apply does it" apply "$work/wanted.json"
check "then there is nothing to do" apply "$work/wanted.json" --dry-run
check "hosts can use it" "$bin/weft" io verify "${target[@]}" -n "$nqn"
before=$(config)
kill_hard
check "it is kept" start --state "$work/second"
same "as one change"
sed "s/\"Ram\",\"block/\"Ram2\",\"block/; s/\"trsvcid\":\"$port\"/\"trsvcid\":\"0x\"/" "$work/wanted.json" >"$work/broken.json"
refused "a file with a wrong address is refused" "trsvcid|port" apply "$work/broken.json"
same "before anything is done"
sed 's/"bdev_name":"Ram"/"bdev_name":"None"/' "$work/wanted.json" >"$work/broken.json"
refused "one that fails on the way says what failed" "nvmf_subsystem_add_ns .*No such device.*as it was before" apply "$work/broken.json"
same "and is undone"
kill_hard
check "also in the state" start --state "$work/second"
same "as it was"
refused "what save_config does not write is refused" "save_config writes no such method" apply <(echo '{"subsystems":[{"subsystem":"x","config":[{"method":"spdk_kill_instance","params":{"sig_name":"SIGKILL"}}]}]}')
refused "a file that is none is refused" "JSON|JSON" apply "$work/log"
"$bin/weft" rpc -s "$sock" bdev_null_create '{"name":"\u001b]0;owned\u0007\u009b2J","block_size":512,"num_blocks":8}' >/dev/null
check "a name cannot command the terminal" bash -c "! '$bin/weft' apply -s '$sock' '$work/wanted.json' --dry-run | grep -qP '[\x00-\x09\x0b-\x1f\x7f]|\xc2[\x80-\x9f]'"
check "it stops" stop

# Twenty kills at random moments; `crash.py` alone makes two hundred.
"$(dirname "$0")/crash.py" --kills 20 --calls 200 || failures=$((failures + 1))
finish
