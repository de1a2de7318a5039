#!/bin/bash
# Reads sent by reference: all bytes right, under load, beside small reads, with a response capsule behind the data,
# and when digests forbid it.
# Release only: what is sent by reference is the kernel's to read.
. "$(dirname "$0")/lib.sh"

for success in true false; do
    check "an empty target starts (c2h_success $success)" start
    check "a transport" rpc nvmf_create_transport --trtype tcp --zero_copy_reads true --c2h_success "$success"
    check "it says so" bash -c "'$bin/weft' rpc -s '$sock' nvmf_get_transports | grep -q '\"zero_copy_reads\": true'"
    check "a RAM disk" rpc bdev_malloc_create --name Malloc0 --block_size 512 --num_blocks 131072
    check "a subsystem" export_device Malloc0
    for size in 131072 65536 4096; do
        check "$size bytes, verified" "$bin/weft" perf "${target[@]}" -n "$nqn" -q 32 -P 2 -o "$size" -w randrw -M 60 -t 1 --verify
    done
    check "with data digests" "$bin/weft" perf "${target[@]}" -n "$nqn" -q 16 -o 131072 -w randrw -M 60 -t 1 --verify --ddgst
    check "it stops" stop
done
finish
