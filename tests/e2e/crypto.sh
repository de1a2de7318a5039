#!/bin/bash
# Encrypted bdevs from outside: made, written over NVMe/TCP, nothing plain below, back after a restart; keys that nobody is told.
. "$(dirname "$0")/lib.sh"

io() { # VERB NSID [OPTIONS...]
    local verb=$1 nsid=$2
    shift 2
    "$bin/weft" io "$verb" "${target[@]}" -n "$nqn" --nsid "$nsid" "$@"
}
(umask 077
    echo 00112233445566778899aabbccddeeff >"$work/a"
    echo ffeeddccbbaa99887766554433221100 >"$work/b")
truncate -s 16M "$work/disk.img"

check "it starts" start --state "$work/state" --audit "$work/audit"
for key in a b; do check "key file $key" rpc keyring_file_add_key $key "$work/$key"; done
check "a key of the keyring" rpc accel_crypto_key_create -c AES_XTS -n disk --keyring-key a --keyring-key2 b
check "a key in the call" rpc accel_crypto_key_create -c AES_XTS -n plain \
    -k 0102030405060708090a0b0c0d0e0f10 -e 1112131415161718191a1b1c1d1e1f20
refused "two keys alike" "the same as key" rpc accel_crypto_key_create -c AES_XTS -n x \
    -k 0102030405060708090a0b0c0d0e0f10 -e 0102030405060708090a0b0c0d0e0f10
refused "a key that is too short" "keys of 2 bytes" rpc accel_crypto_key_create -c AES_XTS -n x -k 0102 -e 0304
refused "no such key" "no crypto key" rpc accel_crypto_key_destroy -n x
check "a file" rpc bdev_aio_create "$work/disk.img" File 512
refused "a key that is not there" "no crypto key" rpc bdev_crypto_create File Secret -n none
check "a crypto bdev" rpc bdev_crypto_create File Secret -n disk
refused "its base is claimed" "claimed|in use|crypto" rpc bdev_crypto_create File Other -n disk
refused "its key is in use" "in use" rpc accel_crypto_key_destroy -n disk
check "transport" rpc nvmf_create_transport -t TCP
check "subsystem" rpc nvmf_create_subsystem "$nqn" -a
check "namespace" rpc nvmf_subsystem_add_ns "$nqn" Secret
check "listener" rpc nvmf_subsystem_add_listener "$nqn" -t tcp -a 127.0.0.1 -s "$port"

check "a new disk reads as zeroes" io compare 1 --offset 0 --length 256K --pattern 0
check "write" io write 1 --offset 0 --length 512K --pattern 0x5a
check "what was written is there" io compare 1 --offset 0 --length 512K --pattern 0x5a
is "but not in the file" 0 "$(head -c 524288 "$work/disk.img" | grep -c ZZZZZZZZ)"
check "deallocate" io unmap 1 --offset 64K --length 64K
check "reads as zeroes then" io compare 1 --offset 64K --length 64K --pattern 0
check "and the rest is as it was" io compare 1 --offset 128K --length 64K --pattern 0x5a
is "encryption is counted" 1 "$(rpc accel_get_stats | grep -c '"encrypt"')"

rpc save_config >"$work/config.json"
rpc accel_crypto_keys_get >"$work/keys.json"
is "the key of the keyring is saved by name" 1 "$(grep -c '"keyring_key": "a"' "$work/config.json")"
is "keys are told by name only" 2 "$(grep -c '"cipher": "AES_XTS"' "$work/keys.json")"
is "and nowhere what they are" "" "$(grep -rlE '00112233445566|0102030405060708|ffeeddccbbaa99' \
    "$work/config.json" "$work/keys.json" "$work/state" "$work/audit" "$work/log")"
check "it stops" stop
check "and starts with what it had" start --state "$work/state"
check "the data are there" io compare 1 --offset 0 --length 64K --pattern 0x5a
refused "the key of the call is not" "no crypto key" rpc accel_crypto_keys_get -k plain
check "its base goes" rpc bdev_aio_delete File
refused "and the crypto bdev with it" "No such device" rpc bdev_get_bdevs -b Secret
refused "its key is still in use" "in use" rpc accel_crypto_key_destroy -n disk
check "the base comes back" rpc bdev_aio_create "$work/disk.img" File 512
check "and the crypto bdev with it" rpc bdev_get_bdevs -b Secret -t 2000
check "delete" rpc bdev_crypto_delete Secret
refused "it is gone" "No such device" rpc bdev_get_bdevs -b Secret
check "with its namespace; the key is free" rpc accel_crypto_key_destroy -n disk
check "stop" stop
finish
