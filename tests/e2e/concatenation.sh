#!/bin/bash
# Secure channel concatenation: our host authenticates, and goes on through TLS with the key that comes of it.
. "$(dirname "$0")/lib.sh"
host=nqn.2016-06.io.weft:host1
plain_port=$port
required_port=$((port + 1))
make_key() { # FILE FIRST-BYTE
    (umask 077; python3 - "$2" >"$work/$1" <<'END'
import base64, struct, sys, zlib
secret = bytes((int(sys.argv[1]) + at) % 256 for at in range(32))
print(f"DHHC-1:01:{base64.b64encode(secret + struct.pack('<I', zlib.crc32(secret))).decode()}:")
END
    )
}
make_key ours 0
make_key theirs 50
make_key wrong 100
at() { echo "-a 127.0.0.1 -s $1 -n $nqn --hostnqn $host"; }
# shellcheck disable=SC2046
identify() { timeout 60 "$bin/weft" identify $(at "$1") "${@:2}"; }
# shellcheck disable=SC2046
perf() { timeout 60 "$bin/weft" perf $(at "$1") -q 8 -o 4096 -w randrw -M 50 -P 2 --verify "${@:2}"; }
keys=(--dhchap-key "$work/ours" --dhchap-ctrl-key "$work/theirs")
listen() { # PORT WORD
    rpc nvmf_subsystem_add_listener "$nqn" -t tcp -a 127.0.0.1 -s "$1" --secure-concatenation "$2"
}
said() { "$bin/weft" rpc -s "$sock" "$@" | tr -d ' \n'; }

check "a target starts" start --state "$work/state" --audit "$work/audit"
check "a transport" rpc nvmf_create_transport -t tcp
check "a RAM disk" rpc bdev_malloc_create 8 4096 -b Malloc0
check "a subsystem" rpc nvmf_create_subsystem "$nqn"
check "with the disk" rpc nvmf_subsystem_add_ns "$nqn" Malloc0
check "our key" rpc keyring_file_add_key ours "$work/ours"
check "their key" rpc keyring_file_add_key theirs "$work/theirs"
check "the host with both" rpc nvmf_subsystem_add_host "$nqn" "$host" --dhchap-key ours --dhchap-ctrlr-key theirs
refused "a word that is none" "secure_concatenation" listen "$plain_port" perhaps
check "a listener where it may be" listen "$plain_port" allowed
check "and one where it must be" listen "$required_port" required
refused "beside one that takes no TLS" "take another port" \
    rpc nvmf_subsystem_add_listener discovery -t tcp -a 127.0.0.1 -s "$plain_port"
refused "with TLS from the first byte" "secure_channel" rpc nvmf_subsystem_add_listener "$nqn" -t tcp -a 127.0.0.1 \
    -s $((port + 2)) -k --secure-concatenation allowed

for one in "$plain_port" "$required_port"; do
    check "port $one: authenticated both ways" identify "$one" --concat "${keys[@]}"
    check "port $one: one way" identify "$one" --concat --dhchap-key "$work/ours"
    for digest in sha256 sha384; do
        check "port $one: $digest" identify "$one" --concat "${keys[@]}" --dhchap-digest "$digest" \
            --dhchap-dhgroup ffdhe3072
    done
    check "port $one: data, verified" perf "$one" --concat "${keys[@]}" -t 1
    refused "port $one: another key" "authentication failed" identify "$one" --concat --dhchap-key "$work/wrong"
    refused "port $one: a target with another key" "did not prove" \
        identify "$one" --concat --dhchap-key "$work/ours" --dhchap-ctrl-key "$work/wrong"
done
check "without it, where it may be" identify "$plain_port" "${keys[@]}"
refused "without it, where it must be" "concat" identify "$required_port" "${keys[@]}"
refused "without a key to authenticate with" "dhchap-key" identify "$plain_port" --concat
refused "with a key for TLS beside it" "tls-key" identify "$plain_port" --concat "${keys[@]}" --tls-key "$work/ours"
refused "with the NULL group" "null" identify "$plain_port" --concat "${keys[@]}" --dhchap-dhgroup null
refused "with SHA-512" "sha384" identify "$plain_port" --concat "${keys[@]}" --dhchap-digest sha512

perf "$plain_port" --concat "${keys[@]}" -t 4 --reauthenticate 0.2 --json >"$work/load" 2>&1 &
load=$!
through=no
for ((turn = 0; turn < 60; turn++)); do
    said nvmf_subsystem_get_qpairs "$nqn" >"$work/qpairs"
    if [ "$(grep -o TLS_AES_256_GCM_SHA384 "$work/qpairs" | wc -l)" = 3 ]; then through=yes; break; fi
    sleep 0.1
done
is "all three queues are through TLS" yes $through
wait $load
is "the load ends well" 0 $?
check "and its key was replaced several times" python3 -c "
import json; sys_exit = __import__('sys').exit
sys_exit(json.load(open('$work/load'))['reauthentications'] < 3)"
check "queues without TLS authenticate again, too" perf "$plain_port" "${keys[@]}" -t 1 --reauthenticate 0.1
refused "who has no key cannot" "needs --dhchap-key" perf "$plain_port" --reauthenticate 0.1 -t 1

check "the discovery log says that it may be" bash -c "
    '$bin/weft' discover -a 127.0.0.1 -s $plain_port --hostnqn $host --json | grep -q 'not required'"
check "so do listeners" bash -c "'$bin/weft' rpc -s '$sock' nvmf_subsystem_get_listeners $nqn | tr -d ' \n' |
    grep -q '\"secure_concatenation\":\"required\"'"
rpc save_config >"$work/config"
rpc nvmf_get_subsystems >"$work/told"
cat "$work/qpairs" >>"$work/told"
check "the configuration has the words" bash -c "grep -q '\"secure_concatenation\": *\"allowed\"' '$work/config'"
check "and no key that was made, nor its name" bash -c "
    ! grep -rqE 'NVMe1G0|generated' '$work/config' '$work/told' '$work/log' '$work/audit' '$work/state'"
check "it stops" stop
check "what was kept starts again" start --state "$work/state"
check "and takes it" identify "$required_port" --concat "${keys[@]}"
for _ in $(seq 20); do sleep 30 >"/dev/tcp/127.0.0.1/$plain_port" & done 2>/dev/null
sleep 0.3
check "beside those that say nothing" identify "$plain_port" --concat "${keys[@]}"
check "it stops with these" stop
kill $(jobs -p) 2>/dev/null
finish
