#!/bin/bash
# Discovery: referrals, filters, the discovery subsystem's own name. As docs/nvmf/discovery.md tells it.
. "$(dirname "$0")/lib.sh"

other_port=$(free_port)
discover() { "$bin/weft" discover -a 127.0.0.1 -s "${1:-$port}"; }
count() { discover "$1" | grep -c "127.0.0.1"; }

check "a target" start
check "a device" rpc bdev_null_create --name Null0 --block_size 512 --num_blocks 4096
check "exported" export_device Null0
check "at a second port too" rpc nvmf_subsystem_add_listener "$nqn" -t tcp -a 127.0.0.1 -s "$other_port"

check "a referral" rpc nvmf_discovery_add_referral -t tcp -a 192.0.2.7 -s 8009
check "once more is no error" rpc nvmf_discovery_add_referral -t tcp -a 192.0.2.7 -s 8009
check "one that wants TLS" rpc nvmf_discovery_add_referral -t tcp -a fd00::7 -k -n nqn.2016-06.io.spdk:elsewhere
refused "no address" "numeric" rpc nvmf_discovery_add_referral -t tcp -a elsewhere
refused "no NQN" "not an NQN" rpc nvmf_discovery_add_referral -t tcp -a 192.0.2.8 -n elsewhere
check "both are listed" bash -c "[ \$('$bin/weft' rpc -s '$sock' nvmf_discovery_get_referrals | grep -c traddr) = 2 ]"
check "and in the log" bash -c "'$bin/weft' discover ${target[*]} | grep -q 192.0.2.7 && '$bin/weft' discover ${target[*]} | grep -q fd00::7"
check "one goes" rpc nvmf_discovery_remove_referral -t tcp -a 192.0.2.7 -s 8009
check "it is not in the log any more" bash -c "! '$bin/weft' discover ${target[*]} | grep 192.0.2.7"
refused "nor to be removed" "no referral" rpc nvmf_discovery_remove_referral -t tcp -a 192.0.2.7 -s 8009

check "a name of its own" rpc nvmf_discovery_set_nqn --discovery_nqn nqn.2016-06.io.spdk:rack7
check "a listener for discovery" rpc nvmf_subsystem_add_listener discovery -t tcp -a 127.0.0.1 -s "$port"
check "the log has it" bash -c "'$bin/weft' discover ${target[*]} | grep -q nqn.2016-06.io.spdk:rack7"
refused "not that of a subsystem" exists rpc nvmf_discovery_set_nqn --discovery_nqn "$nqn"

config() { echo '{"subsystems":['; for part in bdev nvmf; do echo "{\"subsystem\":\"$part\",\"config\":"; rpc framework_get_config $part; echo '},'; done; echo '{"subsystem":"sock","config":[]}]}'; }
config >"$work/config.json"
before=$(discover | tail -n +2)  # without the generation, which counts changes
check "it stops" stop
check "what was saved loads" start --json "$work/config.json"
is "the log is the same" "$before" "$(discover | tail -n +2)"
check "without a filter both ports are shown" [ "$(count "$port")" -ge 2 ]
check "it stops again" stop

check "a target that waits" start --wait-for-rpc
refused "commands for a drive that is not there" "no bdev takes NVMe admin commands" rpc nvmf_set_config '{"admin_cmd_passthru":{"identify_ctrlr":true}}'
refused "a class that is none" "format" rpc nvmf_set_config '{"admin_cmd_passthru":{"format":true}}'
check "none of them" rpc nvmf_set_config '{"admin_cmd_passthru":{"identify_ctrlr":false,"sanitize":false}}'
refused "an unknown filter" "svcid" rpc nvmf_set_config --discovery-filters port
check "only the port that is asked" rpc nvmf_set_config --discovery-filters svcid --dup-host-policy restrict_per_listener
check "go" rpc framework_start_init
rpc bdev_null_create --name Null0 --block_size 512 --num_blocks 4096 >/dev/null
check "exported" export_device Null0
check "at a second port too" rpc nvmf_subsystem_add_listener "$nqn" -t tcp -a 127.0.0.1 -s "$other_port"
check "of the other port nothing is shown" bash -c "! '$bin/weft' discover ${target[*]} | grep '$other_port'"
check "of its own there is" bash -c "'$bin/weft' discover ${target[*]} | grep -q '$port'"
check "and at the other" bash -c "'$bin/weft' discover -a 127.0.0.1 -s $other_port | grep -q '$other_port'"
check "the options are saved" bash -c "'$bin/weft' rpc -s '$sock' framework_get_config nvmf | grep -q restrict_per_listener"
check "it stops in order" stop
finish
