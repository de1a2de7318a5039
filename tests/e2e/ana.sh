#!/bin/bash
# ANA by its methods: states of listeners and groups, what hosts get, what is kept, and what is refused.
. "$(dirname "$0")/lib.sh"
here=$(dirname "$0")
other=$(free_port)
host() { timeout 60 python3 "$here/reserve.py" 127.0.0.1 "$port" "$nqn" "$@" 2>&1; }
through() { timeout 60 python3 "$here/reserve.py" 127.0.0.1 "$other" "$nqn" "$@" 2>&1; }
set_state() { rpc nvmf_subsystem_listener_set_ana_state "$nqn" -t tcp -a 127.0.0.1 -s "$1" -n "${@:2}"; }
state_is() { # PORT GROUP STATE
    rpc nvmf_subsystem_get_listeners "$nqn" | python3 -c '
import json, sys
port, group, state = sys.argv[1:]
found = [one for one in json.load(sys.stdin) if one["address"]["trsvcid"] == port][0]["ana_states"]
sys.exit({"ana_group": int(group), "ana_state": state} not in found)' "$@"
}

check "a target starts" start --state "$work/state"
rpc nvmf_create_transport -t tcp >/dev/null
check "a subsystem that reports ANA" rpc nvmf_create_subsystem "$nqn" -a -r -m 4
check "a plain one" rpc nvmf_create_subsystem nqn.2016-06.io.spdk:plain -a
rpc bdev_malloc_create -b Malloc0 1 512 >/dev/null
check "a namespace in group 2" rpc nvmf_subsystem_add_ns "$nqn" Malloc0 -a 2
refused "there are as many groups as namespaces" "anagrpid: 5 is not from 1 to 4" rpc nvmf_subsystem_set_ns_ana_group "$nqn" 1 5
check "a listener" rpc nvmf_subsystem_add_listener "$nqn" -t tcp -a 127.0.0.1 -s "$port"
check "another one, closed" rpc nvmf_subsystem_add_listener "$nqn" -t tcp -a 127.0.0.1 -s "$other" -n inaccessible
refused "not where ANA is not reported" "ana_reporting" rpc nvmf_subsystem_add_listener nqn.2016-06.io.spdk:plain -t tcp -a 127.0.0.1 -s "$port" -n inaccessible
check "states are shown" state_is "$port" 2 optimized
check "of each listener" state_is "$other" 4 inaccessible
check "the open path is open" host 1 write
check "the closed one is not" through 1 write:3/2
check "a group is closed" set_state "$port" inaccessible -g 2
check "its namespaces cannot be reached" host 1 write:3/2
check "moved to another group they can" rpc nvmf_subsystem_set_ns_ana_group "$nqn" 1 1
check "so it is" host 1 write
address() { printf '{"trtype":"tcp","traddr":"127.0.0.1","trsvcid":"%s"}' "$1"; }
many() { rpc weft_nvmf_set_ana_states --nqn "$nqn" --listeners "[{\"listen_address\":$(address "$port"),\"states\":[{\"ana_state\":\"optimized\"},{\"anagrpid\":1,\"ana_state\":\"persistent_loss\"}]},{\"listen_address\":$(address "$other"),\"states\":[{\"anagrpid\":1,\"ana_state\":\"$1\"}]}]"; }
refused "many at once are refused as a whole" "ana_state: \"bad\" is none of" many bad
check "so that nothing changed" state_is "$port" 1 optimized
check "many at once" many non_optimized
check "the one path" host 1 read:3/1
check "and the other" through 1 read
before=$(rpc framework_get_config --name nvmf)
kill_hard
check "it starts again after kill -9" start --state "$work/state"
check "with all states" [ "$before" = "$(rpc framework_get_config --name nvmf)" ]
check "which hold" host 1 read:3/1
check "and open" through 1 read
check "it stops" stop
finish
