#!/bin/bash
# Stacks of block devices under the checker of acknowledged writes: encrypted, on a mirror, on delay, on error, on files;
# and a part of a partition of a file. One side of the mirror fails under load, and the target is killed.
. "$(dirname "$0")/lib.sh"

journal=$work/journal
checker() { "$bin/weft-checker" "$1" -a 127.0.0.1 -s "$port" -n "$nqn" -j "$journal" "${@:2}"; }
if [ ! -x "$bin/weft-checker" ]; then
    echo "skip stacks: weft-checker is not built"
    finish
fi

# settled COUNT: so many base bdevs of the mirror work, and none is being filled.
settled() {
    local tries
    for tries in $(seq 200); do
        rpc bdev_raid_get_bdevs all >"$work/raid.json"
        if ! grep -q '"process"' "$work/raid.json" && grep -q "\"num_base_bdevs_operational\": $1" "$work/raid.json"; then return 0; fi
        sleep 0.1
    done
    cat "$work/raid.json"
    return 1
}
side() { # NUMBER: a file, errors on it, a delay on these
    rpc bdev_aio_create "$work/disk$1.img" "Disk$1" 4096 && rpc bdev_error_create "Disk$1" &&
        rpc bdev_delay_create -b "EE_Disk$1" -d "Slow$1" -r 50 -t 500 -w 50 -n 500
} >/dev/null
sides() { side 0 && side 1; }
encrypted() { # what stands on the mirror
    rpc keyring_file_add_key xts1 "$work/xts1" && rpc keyring_file_add_key xts2 "$work/xts2" &&
        rpc accel_crypto_key_create -c AES_XTS -n disk --keyring-key xts1 --keyring-key2 xts2 &&
        rpc bdev_get_bdevs -b Mirror -t 5000 && rpc bdev_crypto_create Mirror Secret -n disk && export_device Secret
} >/dev/null

truncate -s 64M "$work"/disk{0,1}.img
(umask 077; echo 00112233445566778899aabbccddeeff >"$work/xts1"; echo ffeeddccbbaa99887766554433221100 >"$work/xts2")
check "a target starts" start
check "two slow files that may fail" sides
check "a mirror of them" rpc bdev_raid_create -n Mirror -r raid1 -b "Slow0 Slow1" -s
check "encrypted, and exported" encrypted
checker run --time 5 --hosts 2 --seed 3 >"$work/checker.log" 2>&1 &
load=$!
sleep 1
check "writes of one side fail under load" rpc bdev_error_inject_error EE_Disk0 write failure -n 3
check "the mirror goes on without it" settled 1
wait "$load"
is "all that was acknowledged was read back" 0 $?
check "and is there" checker check
check "the side comes back" rpc bdev_raid_add_base_bdev Mirror Slow0
check "and is filled" settled 2
checker run --time 20 --hosts 2 --seed 4 >"$work/checker.log" 2>&1 &
load=$!
sleep 2
check "the checker is at work" bash -c "[ -s '$journal' ] || { cat '$work/checker.log'; false; }"
kill_hard
wait "$load"
check "a target starts after kill -9" start
check "the sides are there" sides
check "the mirror comes by itself" settled 2
check "what stands on it is made" encrypted
check "everything acknowledged is there" checker check
check "and the plain text is not on the files" bash -c "! grep -qa weft-checker '$work'/disk0.img"
check "the target stops" stop

rm -f "$journal"
truncate -s 160M "$work/table.img"
python3 "$(dirname "$0")/make_gpt.py" "$work/table.img" 4096 64:40000 || not_ok "a partition table" "make_gpt.py failed"
part() {
    rpc bdev_aio_create "$work/table.img" Table 4096 >/dev/null && rpc bdev_wait_for_examine >/dev/null &&
        rpc bdev_split_create Tablep1 2 >/dev/null && export_device Tablep1p1
}
check "another target starts" start
check "a part of a partition" part
checker run --time 20 --hosts 2 --seed 5 >"$work/checker.log" 2>&1 &
load=$!
sleep 2
check "the checker is at work" bash -c "[ -s '$journal' ] || { cat '$work/checker.log'; false; }"
kill_hard
wait "$load"
check "a target starts after kill -9" start
check "the part is there" part
check "everything acknowledged is there" checker check
check "the target stops" stop
finish
