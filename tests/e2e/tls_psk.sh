#!/bin/bash
# TLS 1.3 with pre-shared keys on NVMe/TCP: data through it, who is let in and who is not, what is told and what is kept.
. "$(dirname "$0")/lib.sh"

host=nqn.2014-08.org.nvmexpress:uuid:11111111-2222-4333-8444-555555555555
other=nqn.2014-08.org.nvmexpress:uuid:66666666-7777-4888-8999-aaaaaaaaaaaa
plain_port=$port
port=$((plain_port + 1))
target=(-a 127.0.0.1 -s "$port" -n "$nqn" --hostnqn "$host")
# The configured PSKs of libnvme's tests.
key32=NVMeTLSkey-1:01:VRLbtnN9AQb2WXW3c9+wEf/DRLz0QuLdbYvEhwtdWwNf9LrZ:
key48=NVMeTLSkey-1:02:VRLbtnN9AQb2WXW3c9+wEf/DRLz0QuLdbYvEhwtdWwP/w0S89ELi3W2LxIcLXVsDn8kXZQ==:

umask 077
echo "$key32" >"$work/key32"
echo "$key48" >"$work/key48"
echo "DHHC-1:00:AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh+KfiaR:" >"$work/no-psk"
address() { echo "{\"trtype\":\"TCP\",\"adrfam\":\"IPv4\",\"traddr\":\"127.0.0.1\",\"trsvcid\":\"$1\"}"; }
listen() { rpc nvmf_subsystem_add_listener --nqn "$1" --listen_address "$(address "$2")" --secure_channel true; }
add_host() { rpc nvmf_subsystem_add_host --nqn "$nqn" --host "$1" "${@:2}"; }
rewrite_key() { cp "$work/$1" "$work/used"; }

check "an empty target starts" start
check "transport, disk, subsystem" bash -c "
    '$bin/weft' rpc -s '$sock' nvmf_create_transport --trtype TCP >/dev/null &&
    '$bin/weft' rpc -s '$sock' bdev_malloc_create --name Malloc0 --block_size 512 --num_blocks 131072 >/dev/null &&
    '$bin/weft' rpc -s '$sock' nvmf_create_subsystem --nqn $nqn --allow_any_host true >/dev/null &&
    '$bin/weft' rpc -s '$sock' nvmf_subsystem_add_ns --nqn $nqn --namespace '{\"bdev_name\":\"Malloc0\"}' >/dev/null"
refused "a listener with TLS where any host is allowed" 'allows any host' listen "$nqn" "$port"
check "no more" rpc nvmf_subsystem_allow_any_host --nqn "$nqn" --allow_any_host false
check "a listener with TLS" listen "$nqn" "$port"
refused "the same port without TLS for another" 'listened on with TLS|take another port' \
    rpc nvmf_subsystem_add_listener --nqn discovery --listen_address "$(address "$port")"
check "discovery without TLS" rpc nvmf_subsystem_add_listener --nqn discovery --listen_address "$(address "$plain_port")"

rewrite_key key32
check "a key of the keyring" rpc keyring_file_add_key --name psk0 --path "$work/used"
check "one that is no PSK" rpc keyring_file_add_key --name other --path "$work/no-psk"
refused "a host with a key that is not there" 'no key|not_found|nokey' add_host "$host" --psk nokey
refused "a host with a key that is no PSK" 'NVMeTLSkey-1' add_host "$host" --psk other
check "a host with its key" add_host "$host" --psk psk0
refused "the same host again" 'allowed already' add_host "$host" --psk psk0
check "a host without one" add_host "$other"

for key in key32 key48; do
    rewrite_key "$key"  # read anew for each handshake
    for how in "0" "1" "0 --tls-old-derivation" "1 --tls-old-derivation"; do
        # shellcheck disable=SC2086
        check "$key, identity version $how" "$bin/weft" identify "${target[@]}" --tls-key "$work/$key" \
            --tls-identity-version $how
    done
    for size in 512 4096 65536 131072; do
        check "$key: $size bytes, verified" "$bin/weft" perf "${target[@]}" --tls --tls-key "$work/$key" -q 16 -P 2 \
            -o "$size" -w randrw -M 50 -t 1 --verify
    done
    check "$key: with digests" "$bin/weft" perf "${target[@]}" --tls --tls-key "$work/$key" -q 8 -o 65536 -w randrw \
        -M 50 -t 1 --verify --hdgst --ddgst
done
rewrite_key key32

# Both on one connection: TLS says that the host has the PSK, DH-HMAC-CHAP that it has the other key too.
set_keys() { rpc nvmf_subsystem_set_keys --nqn "$nqn" --host "$host" "$@"; }
check "the host is to authenticate as well" set_keys --dhchap_key other
check "with both" "$bin/weft" perf "${target[@]}" --tls-key "$work/key32" --dhchap-key "$(cat "$work/no-psk")" -q 8 \
    -o 4096 -w randrw -M 50 -t 1 --verify
refused "with TLS alone" 'dhchap|authentic' "$bin/weft" identify "${target[@]}" --tls-key "$work/key32"
refused "with authentication alone" 'closed|lost|reset' "$bin/weft" identify "${target[@]}" \
    --dhchap-key "$(cat "$work/no-psk")"
check "no more" set_keys

refused "without TLS" 'closed|lost|reset' "$bin/weft" identify "${target[@]}"
refused "with another key" 'another key' "$bin/weft" identify "${target[@]}" --tls-key "$work/key32.wrong"  \
    < <(sed s/01:/00:/ "$work/key32" >"$work/key32.wrong")
refused "as a host without a key" 'knows no such key' "$bin/weft" identify -a 127.0.0.1 -s "$port" -n "$nqn" \
    --hostnqn "$other" --tls-key "$work/key32"
refused "for a subsystem that is not there" 'knows no such key' "$bin/weft" identify -a 127.0.0.1 -s "$port" \
    -n "$nqn-b" --hostnqn "$host" --tls-key "$work/key32"
refused "TLS at a listener without" 'TLS' "$bin/weft" identify -a 127.0.0.1 -s "$plain_port" -n "$nqn" \
    --hostnqn "$host" --tls-key "$work/key32"
refused "--tls without a key" '--tls-key' "$bin/weft" identify "${target[@]}" --tls
chmod 644 "$work/key48"
refused "a key file that all may read" 'chmod|read' "$bin/weft" identify "${target[@]}" --tls-key "$work/key48"
chmod 600 "$work/key48"

check "the discovery log says so" bash -c "
    '$bin/weft' discover -a 127.0.0.1 -s $plain_port --hostnqn $host --json |
    python3 -c 'import json,sys; text = sys.stdin.read(); json.loads(text); sys.exit(\"required\" not in text)'"
check "the listener says so" bash -c "'$bin/weft' rpc -s '$sock' nvmf_subsystem_get_listeners --nqn $nqn |
    grep -q '\"secure_channel\": true'"
check "so do queue pairs" bash -c "
    '$bin/weft' perf -a 127.0.0.1 -s $port -n $nqn --hostnqn $host --tls-key '$work/key32' -q 1 -o 4096 -w read -t 4 &
    for tries in \$(seq 50); do
        '$bin/weft' rpc -s '$sock' nvmf_subsystem_get_qpairs --nqn $nqn >'$work/qpairs'
        grep -q '\"qid\": 1' '$work/qpairs' && break
        sleep 0.1
    done
    wait
    cat '$work/qpairs'
    [ \$(grep -c TLS_AES_128_GCM_SHA256 '$work/qpairs') = 2 ]"
check "no key is told or logged" bash -c "
    '$bin/weft' rpc -s '$sock' save_config >'$work/config' &&
    '$bin/weft' rpc -s '$sock' nvmf_get_subsystems >'$work/subsystems' &&
    grep -q '\"psk\": \"psk0\"' '$work/config' && grep -q '\"secure_channel\": true' '$work/config' &&
    ! grep -q 'VRLbtnN9' '$work/config' '$work/subsystems' '$work/log'"
check "the host goes" rpc nvmf_subsystem_remove_host --nqn "$nqn" --host "$host"
refused "it comes no more" 'knows no such key' "$bin/weft" identify "${target[@]}" --tls-key "$work/key32"
check "it stops" stop

check "it starts with what was saved" start -c "$work/config"
check "and the host comes" "$bin/weft" identify "${target[@]}" --tls-key "$work/key32"
# While handshakes stall.
for _ in $(seq 20); do sleep 30 >"/dev/tcp/127.0.0.1/$port" & done 2>/dev/null
sleep 0.3
check "beside those that say nothing" "$bin/weft" identify "${target[@]}" --tls-key "$work/key32"
check "it stops with handshakes under way" stop
kill $(jobs -p) 2>/dev/null
finish
