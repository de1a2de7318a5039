#!/bin/bash
# --memory: what is counted against it, and what does not fit is refused with the numbers.
# Alone: it measures.
. "$(dirname "$0")/lib.sh"

refused "too little" "134217728" "$bin/weftd" -r "$sock" --memory 1M
refused "no size" "memory" "$bin/weftd" -r "$sock" --memory much
check "a target with 256 MiB starts" start --memory 256M
refused "a RAM disk of 512 MiB" "needs 536870912 bytes of memory; of the 268435456" rpc bdev_malloc_create --name Malloc0 --block_size 4096 --num_blocks 131072
check "one of 64 MiB fits" rpc bdev_malloc_create --name Malloc0 --block_size 4096 --num_blocks 16384
check "with the buffers of a transport" export_device Malloc0
refused "another one does not" "--memory" rpc bdev_malloc_create --name Malloc1 --block_size 4096 --num_blocks 32768
check "a host works" "$bin/weft" io verify "${target[@]}" -n "$nqn"
check "the disk goes" rpc bdev_malloc_delete --name Malloc0
check "and makes room" rpc bdev_malloc_create --name Malloc1 --block_size 4096 --num_blocks 25600
check "it stops" stop
refused "a demo that does not fit" "demo: .*--memory" "$bin/weftd" -r "$sock" --memory 128M --demo --demo-port "$port" --demo-size 512
finish
