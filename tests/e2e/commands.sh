#!/bin/bash
# I/O commands beside Read and Write, from outside: fused Compare and Write, Copy, Verify, Write Uncorrectable; and a
# zoned RAM disk that comes back from its saved configuration.
. "$(dirname "$0")/lib.sh"

io() { # VERB NSID [OPTIONS...]
    local verb=$1 nsid=$2
    shift 2
    "$bin/weft" io "$verb" "${target[@]}" -n "$nqn" --nsid "$nsid" "$@"
}

check "it starts" start
truncate -s 16M "$work/disk.img"
check "a RAM disk" rpc bdev_malloc_create -b Ram 16 512
check "a file" rpc bdev_aio_create "$work/disk.img" File 512
check "a zoned RAM disk" rpc weft_zoned_create --name Zoned --block_size 4096 --num_zones 8 --zone_size 64 \
    --zone_capacity 48 --max_open_zones 2 --max_active_zones 3
refused "zones of odd sizes" "zone_size" rpc weft_zoned_create --name Z --block_size 4096 --num_zones 8 --zone_size 63
refused "too many zones" "num_zones" rpc weft_zoned_create --name Z --block_size 4096 --num_zones 65537 --zone_size 64
check "transport" rpc nvmf_create_transport -t TCP
check "subsystem" rpc nvmf_create_subsystem "$nqn" -a
for bdev in Ram File Zoned; do check "namespace $bdev" rpc nvmf_subsystem_add_ns "$nqn" "$bdev"; done
check "listener" rpc nvmf_subsystem_add_listener "$nqn" -t tcp -a 127.0.0.1 -s "$port"

for nsid in 1 2; do
    check "write, ns $nsid" io write $nsid --offset 0 --length 64K --pattern 0xa5
    check "copy, ns $nsid" io copy $nsid --offset 0 --to 1M --length 64K
    check "what was copied is there, ns $nsid" io compare $nsid --offset 1M --length 64K --pattern 0xa5
    refused "ranges that overlap, ns $nsid" "overlap" io copy $nsid --offset 0 --to 512 --length 1K
    check "compare and write, ns $nsid" io compare-write $nsid --offset 1M --length 4K --expected 0xa5 --pattern 0x11
    refused "once more, ns $nsid" "COMPARE FAILURE" \
        io compare-write $nsid --offset 1M --length 4K --expected 0xa5 --pattern 0x12
    check "the first one counts, ns $nsid" io compare $nsid --offset 1M --length 4K --pattern 0x11
    refused "a pair that is too long, ns $nsid" "ATOMIC WRITE UNIT EXCEEDED" \
        io compare-write $nsid --offset 1M --length 64K --expected 0xa5 --pattern 0x12
    check "check, ns $nsid" io check $nsid
done
refused "a file cannot be spoiled" "INVALID OPCODE" io write-uncor 2 --offset 0
check "write-uncor" io write-uncor 1 --offset 8K --length 1K
refused "then it cannot be read" "UNRECOVERED READ ERROR" io read 1 --offset 8K --length 512
refused "nor checked" "UNRECOVERED READ ERROR" io check 1
check "until it is written" io write 1 --offset 8K --length 1K --pattern 1
check "then it can" io check 1
check "a zone from its front" io write 3 --offset 0 --length 8K --pattern 0x77
refused "and nowhere else" "ZONE INVALID WRITE" io write 3 --offset 64K --length 4K --pattern 0x77
check "what was written is there" io compare 3 --offset 0 --length 8K --pattern 0x77

is "bdev_get_bdevs tells zones" 1 "$(rpc bdev_get_bdevs -b Zoned | grep -c '"max_active_zones": 3')"
rpc save_config >"$work/config.json"
check "it stops" stop
check "it starts with what it saved" start -c "$work/config.json"
is "the zoned disk is there" 1 "$(rpc bdev_get_bdevs -b Zoned | grep -c '"zone_capacity": 48')"
check "a disk in use goes, too" rpc weft_zoned_delete --name Zoned
refused "once" "No such device" rpc weft_zoned_delete --name Zoned
check "it stops again" stop
finish
