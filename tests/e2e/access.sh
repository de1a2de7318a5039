#!/bin/bash
# Who may come: networks of a transport, hosts of a subsystem and of a listener, namespaces shown to hosts, and cutting
# off. As docs/nvmf/access.md tells it.
. "$(dirname "$0")/lib.sh"

one=nqn.2016-06.io.host:one
two=nqn.2016-06.io.host:two
listen="{\"trtype\":\"TCP\",\"adrfam\":\"IPv4\",\"traddr\":\"127.0.0.1\",\"trsvcid\":\"$port\"}"
as() { "$bin/weft" identify "${target[@]}" -n "$nqn" --hostnqn "$1"; }
# What the statistics count; 0 when it is not there.
refused_count() { rpc nvmf_get_stats | grep -o '"refused_by_network": *[0-9]*' | grep -o '[0-9]*$'; }

check "a target" start
check "a device" rpc bdev_malloc_create --name Malloc0 --block_size 512 --num_blocks 2048
check "and one more" rpc bdev_null_create --name Null0 --block_size 512 --num_blocks 4096
check "exported" export_device Malloc0

check "without networks all may come" as "$one"
check "a network we are not of" rpc nvmf_put_blockservice2transport -t TCP -b 192.0.2.0/24
refused "from outside nobody comes in" . as "$one"
check "and is counted" [ "$(refused_count)" -ge 1 ]
check "our network" rpc nvmf_put_blockservice2transport -t tcp -b 127.0.0.0/8
check "we may come" as "$one"
check "both are listed" bash -c "[ \"\$('$bin/weft' rpc -s '$sock' nvmf_get_blockservice2transport -t TCP | tr -d ' \n')\" = '[\"192.0.2.0/24\",\"127.0.0.0/8\"]' ]"
refused "bits behind the prefix" "the network is 10.0.0.0/8" rpc nvmf_put_blockservice2transport -t TCP -b 10.1.0.0/8
refused "no network" "not a network" rpc nvmf_put_blockservice2transport -t TCP -b localhost
refused "twice" "already" rpc nvmf_put_blockservice2transport -t TCP -b 127.0.0.0/8
check "IPv6" rpc nvmf_put_blockservice2transport -t TCP -b fd00:17::/64
"$bin/weft" perf "${target[@]}" -n "$nqn" --hostnqn "$one" -q 4 -o 4096 -w randread -t 60 >"$work/perf" 2>&1 &
perf=$!
for _ in $(seq 50); do rpc nvmf_subsystem_get_controllers "$nqn" | grep -q cntlid && break; sleep 0.1; done
check "a network goes" rpc nvmf_remove_blockservice2transport -t TCP -b 127.0.0.0/8
check "its connections end" timeout 20 tail --pid=$perf -f /dev/null
refused "and its hosts come no more" . as "$one"
for network in 192.0.2.0/24 fd00:17::/64; do rpc nvmf_remove_blockservice2transport -t TCP -b $network >/dev/null; done
check "without networks all may come again" as "$one"

check "a listener for one host" rpc nvmf_subsystem_listener_set_hosts "$nqn" -t tcp -a 127.0.0.1 -s "$port" --hosts "$one"
check "which comes in" as "$one"
refused "another does not" . as "$two"
check "nor sees it in the discovery log" bash -c "! '$bin/weft' discover ${target[*]} --hostnqn $two | grep '$nqn'"
check "the one does" bash -c "'$bin/weft' discover ${target[*]} --hostnqn $one | grep '$nqn'"
refused "a host that is no NQN" "not an NQN" rpc nvmf_subsystem_listener_set_hosts "$nqn" -t tcp -a 127.0.0.1 -s "$port" --hosts hello

check "a namespace for nobody" rpc nvmf_subsystem_add_ns "$nqn" Null0 -n 5 -i
check "the listener is for all again" rpc nvmf_subsystem_listener_set_hosts --nqn "$nqn" --listen_address "$listen" --hosts '[]'
refused "nobody reads it" . "$bin/weft" io read "${target[@]}" -n "$nqn" --hostnqn "$one" --nsid 5
check "shown to one" rpc nvmf_ns_add_host "$nqn" 5 "$one"
check "who reads it" bash -c "'$bin/weft' io read ${target[*]} -n $nqn --hostnqn $one --nsid 5 >'$work/block'"
refused "the other does not" . "$bin/weft" io read "${target[@]}" -n "$nqn" --hostnqn "$two" --nsid 5
refused "one that all see has no list" "no_auto_visible" rpc nvmf_ns_add_host "$nqn" 1 "$one"

before=$(rpc nvmf_get_subsystems)
config() { echo '{"subsystems":['; for part in bdev nvmf; do echo "{\"subsystem\":\"$part\",\"config\":"; rpc framework_get_config $part; echo '},'; done; echo '{"subsystem":"sock","config":[]}]}'; }
rpc nvmf_put_blockservice2transport -t TCP -b 127.0.0.0/8 >/dev/null
config >"$work/config.json"
check "it stops" stop
check "what was saved loads" start --json "$work/config.json"
after=$(rpc nvmf_get_subsystems)
if [ "$before" = "$after" ]; then ok "and is the same"; else not_ok "and is the same" "$(diff <(echo "$before") <(echo "$after"))"; fi
check "with its networks" bash -c "'$bin/weft' rpc -s '$sock' nvmf_get_blockservice2transport -t TCP | grep -q 127.0.0.0/8"
check "one still sees the namespace" bash -c "'$bin/weft' io read ${target[*]} -n $nqn --hostnqn $one --nsid 5 >'$work/block'"
check "hidden again" rpc nvmf_ns_remove_host "$nqn" 5 "$one"
refused "it reads it no more" . "$bin/weft" io read "${target[@]}" -n "$nqn" --hostnqn "$one" --nsid 5

"$bin/weft" perf "${target[@]}" -n "$nqn" --hostnqn "$one" -q 4 -o 4096 -w randread -t 60 >"$work/perf" 2>&1 &
perf=$!
for _ in $(seq 50); do rpc nvmf_subsystem_get_controllers "$nqn" | grep -q cntlid && break; sleep 0.1; done
cntlid=$(rpc nvmf_subsystem_get_controllers "$nqn" | grep -o '"cntlid": *[0-9]*' | grep -o '[0-9]*$' | head -1)
refused "a queue that is not there" "has no queue 99" rpc nvmf_subsystem_disconnect --nqn "$nqn" --cntlid "$cntlid" --qid 99
check "a controller is cut off" rpc nvmf_subsystem_disconnect --nqn "$nqn" --cntlid "$cntlid"
check "its host sees that" timeout 20 tail --pid=$perf -f /dev/null
refused "it is gone" "has no controller" rpc nvmf_subsystem_disconnect --nqn "$nqn" --cntlid "$cntlid"

check "a second target" rpc nvmf_create_target second
check "is listed" bash -c "'$bin/weft' rpc -s '$sock' nvmf_get_targets | grep -q second"
refused "no second of the name" exists rpc nvmf_create_target second
check "it has a transport" rpc nvmf_create_transport -t TCP -g second
check "and a subsystem" rpc nvmf_create_subsystem nqn.2016-06.io.spdk:second -a -t second
other_port=$(free_port)
check "and a listener" rpc nvmf_subsystem_add_listener nqn.2016-06.io.spdk:second -t tcp -a 127.0.0.1 -s "$other_port" -p second
check "which hosts reach" "$bin/weft" identify -a 127.0.0.1 -s "$other_port" -n nqn.2016-06.io.spdk:second
refused "it is not ours" "not found" rpc nvmf_get_subsystems nqn.2016-06.io.spdk:second
check "statistics of it" rpc nvmf_get_stats -t second
check "deleted" rpc nvmf_delete_target second
refused "it is gone" "find a target" rpc nvmf_get_subsystems -t second
check "one more is there at the end" rpc nvmf_create_target third
check "it stops in order" stop
finish
