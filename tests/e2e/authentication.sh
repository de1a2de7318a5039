#!/bin/bash
# In-band authentication (DH-HMAC-CHAP): our host against our target, and where keys are never to be seen.
. "$(dirname "$0")/lib.sh"
host=nqn.2016-06.io.weft:host1
# Secrets 00 01 02 …, transformed with no hash, SHA-256, SHA-384 and SHA-512.
make_key() { # FILE FIRST-BYTE TRANSFORMATION BYTES
    (umask 077; python3 - "$2" "$3" "$4" >"$work/$1" <<'EOF'
import base64, struct, sys, zlib
first, transformation, size = (int(word) for word in sys.argv[1:])
secret = bytes((first + at) % 256 for at in range(size))
print(f"DHHC-1:{transformation:02}:{base64.b64encode(secret + struct.pack('<I', zlib.crc32(secret))).decode()}:")
EOF
    )
}
make_key plain 0 0 32
make_key sha256 50 1 32
make_key sha384 100 2 48
make_key sha512 150 3 64
make_key wrong 200 0 32
identify() { timeout 60 "$bin/weft" identify "${target[@]}" -n "$nqn" --hostnqn "$host" "$@"; }
add_keys() { # keys of the keyring, each by its file's name
    local key
    for key in plain sha256 sha384 sha512 wrong; do rpc keyring_file_add_key "$key" "$work/$key" || return 1; done
}
set_keys() { rpc nvmf_subsystem_set_keys "$nqn" "$host" "$@"; }

check "a target starts" start --state "$work/state" --audit "$work/audit"
check "keys are added" add_keys
check "a RAM disk" rpc bdev_malloc_create 8 4096 -b Malloc0
check "it is exported" export_device Malloc0
check "only to whom is on the list" rpc nvmf_subsystem_allow_any_host "$nqn" -d
refused "a controller's key alone" "needs dhchap_key" \
    rpc nvmf_subsystem_add_host "$nqn" "$host" --dhchap-ctrlr-key plain
refused "a key that is not there" "there is no key none" \
    rpc nvmf_subsystem_add_host "$nqn" "$host" --dhchap-key none
(umask 077; echo hello >"$work/hello")
check "a file with something else" rpc keyring_file_add_key hello "$work/hello"
refused "which is no secret" "DHHC-1" rpc nvmf_subsystem_add_host "$nqn" "$host" --dhchap-key hello
check "the host, with a key" rpc nvmf_subsystem_add_host "$nqn" "$host" --dhchap-key plain

check "the right key" identify --dhchap-key "$work/plain"
check "the right key, as text" identify --dhchap-key "$(cat "$work/plain")"
refused "no key" "no key was given" identify
refused "another key" "authentication failed" identify --dhchap-key "$work/wrong"
chmod 644 "$work/wrong"
refused "a key that all may read" "chmod 600" identify --dhchap-key "$work/wrong"
chmod 600 "$work/wrong"
refused "a controller that has no key" "authentication" \
    identify --dhchap-key "$work/plain" --dhchap-ctrl-key "$work/sha384"

check "both ways" set_keys --dhchap-key sha256 --dhchap-ctrlr-key sha384
for digest in sha256 sha384 sha512; do
    for group in null ffdhe2048 ffdhe3072 ffdhe4096 ffdhe6144 ffdhe8192; do
        check "$digest with $group" identify --dhchap-key "$work/sha256" --dhchap-ctrl-key "$work/sha384" \
            --dhchap-digest "$digest" --dhchap-dhgroup "$group"
    done
done
check "the host asks for nothing" identify --dhchap-key "$work/sha256"
refused "a controller with another key" "did not prove" \
    identify --dhchap-key "$work/sha256" --dhchap-ctrl-key "$work/wrong"
check "I/O queues authenticate, too" timeout 60 "$bin/weft" perf "${target[@]}" -n "$nqn" --hostnqn "$host" \
    --dhchap-key "$work/sha256" --dhchap-ctrl-key "$work/sha384" -q 4 -o 4096 -w randrw -M 50 -P 2 -t 1

"$bin/weft" perf "${target[@]}" -n "$nqn" --hostnqn "$host" --dhchap-key "$work/sha256" -w randread -t 3 >/dev/null &
told() { "$bin/weft" rpc -s "$sock" nvmf_subsystem_get_qpairs "$nqn" | tr -d ' \n' | grep -q '"auth":{"state":"completed","digest":"sha'; }
said=no
for ((turn = 0; turn < 40; turn++)); do
    if told; then said=yes; break; fi
    sleep 0.1
done
is "its queues tell how they authenticated" yes $said
wait $!
check "another key while it runs" set_keys --dhchap-key sha512
check "the new one is good" identify --dhchap-key "$work/sha512"
refused "the old one is not" "authentication failed" identify --dhchap-key "$work/sha256"
check "a key that is used is removed" rpc keyring_file_remove_key sha512
check "and stays good" identify --dhchap-key "$work/sha512"
check "and is listed" bash -c "'$bin/weft' rpc -s '$sock' keyring_get_keys | tr -d ' \n' | grep -q '\"name\":\"sha512\",\"module\":\"keyring_file\",\"removed\":true'"
check "the host is given another one" set_keys --dhchap-key plain
chmod 644 "$work/plain"
refused "a file that was opened to all is not taken any more" "authentication failed" identify --dhchap-key "$(cat "$work/plain")"
check "the log says why" grep -q 'key plain: .*chmod 600' "$work/log"
chmod 600 "$work/plain"
check "closed again, it is" identify --dhchap-key "$work/plain"

# A secret is never anywhere but in its file.
rpc framework_get_config nvmf >"$work/config" && rpc framework_get_config keyring >>"$work/config"
rpc keyring_get_keys >>"$work/config"
rpc nvmf_get_subsystems >>"$work/config"
check "names are in the configuration" grep -q '"dhchap_key": *"plain"' "$work/config"
for key in plain sha256 sha384 sha512 wrong; do
    secret=$(cut -d: -f3 "$work/$key")
    check "$key is nowhere else" bash -c "! grep -rqF -- '$secret' '$work/log' '$work/audit' '$work/config' '$work/state'"
done

check "it stops" stop
check "what was kept starts again" start --state "$work/state"
check "and wants the key" identify --dhchap-key "$work/plain"
refused "and no other" "authentication failed" identify --dhchap-key "$work/wrong"
check "a host without key is let in then" set_keys
check "without key" identify
check "it stops again" stop

check "a target that takes little" start --wait-for-rpc
refused "a hash that is none" "dhchap_digests" rpc nvmf_set_config '{"dhchap_digests":["md5"]}'
refused "no hash at all" "at least one" rpc nvmf_set_config '{"dhchap_digests":[]}'
check "one hash and two groups" rpc nvmf_set_config '{"dhchap_digests":["sha384"],"dhchap_dhgroups":["ffdhe2048","ffdhe3072"]}'
check "it starts" rpc framework_start_init
check "a key" rpc keyring_file_add_key plain "$work/plain"
check "a RAM disk again" rpc bdev_malloc_create 8 4096 -b Malloc0
check "exported again" export_device Malloc0
check "a host with a key, where any host may come" rpc nvmf_subsystem_add_host "$nqn" "$host" --dhchap-key plain
check "what both take" identify --dhchap-key "$work/plain"
refused "a hash that the target does not take" "hash function not usable" \
    identify --dhchap-key "$work/plain" --dhchap-digest sha512
refused "a group that the target does not take" "DH group not usable" \
    identify --dhchap-key "$work/plain" --dhchap-dhgroup ffdhe4096
refused "the host must authenticate all the same" "no key was given" identify
check "it stops at last" stop
finish
