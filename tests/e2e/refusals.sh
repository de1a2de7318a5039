#!/bin/bash
# What an operator can get wrong: each is refused with words that help, and the target stays up.
. "$(dirname "$0")/lib.sh"

refused "an unknown option" "not expected|--bogus" "$bin/weftd" --bogus
refused "a mask that is none" "core mask" "$bin/weftd" -m xyz
refused "a CPU that is not there" "CPU 900" "$bin/weftd" -m '[900]'
refused "a configuration file that is not there" "nowhere.json" "$bin/weftd" -r "$sock" --json "$work/nowhere.json"
echo '{"subsystems": [' >"$work/broken.json"
refused "a configuration file that is not JSON" "broken.json" "$bin/weftd" -r "$sock" --json "$work/broken.json"
echo '{"subsystems":[{"subsystem":"bdev","config":[{"method":"bdev_malloc_create","params":{"name":"M","block_size":500,"num_blocks":100}}]}]}' >"$work/bad.json"
refused "an entry of it that cannot be done" "bdev_malloc_create" "$bin/weftd" -r "$sock" --json "$work/bad.json"
refused "a log flag that is none" "no such log flag" "$bin/weftd" -r "$sock" -L nonsense
refused "an RPC address without a port" "the port is not" "$bin/weftd" -r 127.0.0.1:
refused "an RPC address with half a port" "the port is not" "$bin/weftd" -r 127.0.0.1:52x
refused "an RPC address for everybody" "loopback" "$bin/weftd" -r 0.0.0.0:5260

check "a target starts" start
refused "a second target on its RPC socket" "in use|listens" "$bin/weftd" -r "$sock"
refused "an unknown method" "ethod not found" rpc no_such_method
refused "an unknown parameter" "nam" rpc bdev_malloc_create '{"nam":"x","block_size":512,"num_blocks":8}'
refused "a parameter of the wrong type" "num_blocks" rpc bdev_malloc_create '{"block_size":512,"num_blocks":"many"}'
refused "a block size that is none" "block" rpc bdev_malloc_create --block_size 100 --num_blocks 100
refused "more memory than there is" "memory" rpc bdev_malloc_create --block_size 4096 --num_blocks 4503599627370
refused "more than 2^63 bytes" "2\^63" rpc bdev_malloc_create --block_size 4096 --num_blocks 4503599627370496
refused "a device that is not there" "o such device" rpc bdev_get_bdevs --name None0
refused "a file that is not there" "none" rpc bdev_aio_create --name A --filename "$work/none" --block_size 512
truncate -s 100 "$work/tiny"
refused "a file that holds no block" "block" rpc bdev_aio_create --name A --filename "$work/tiny" --block_size 512
refused "a listener without a transport" "nvmf_create_transport" bash -c "'$bin/weft' rpc -s '$sock' nvmf_create_subsystem --nqn '$nqn' && '$bin/weft' rpc -s '$sock' nvmf_subsystem_add_listener --nqn '$nqn' --listen_address '{\"trtype\":\"TCP\",\"traddr\":\"127.0.0.1\",\"trsvcid\":\"$port\"}'"
refused "a name that is no NQN" "NQN" rpc nvmf_create_subsystem --nqn hello
refused "the same subsystem twice" "xists" rpc nvmf_create_subsystem --nqn "$nqn"
refused "a reserve that the pool cannot hold" "num_shared_buffers" rpc nvmf_create_transport --trtype TCP --num_shared_buffers 16 --buf_cache_size 32
check "the transport is made after that" rpc nvmf_create_transport --trtype TCP
check "a RAM disk" rpc bdev_malloc_create --name Malloc0 --block_size 512 --num_blocks 8192
check "a namespace" rpc nvmf_subsystem_add_ns --nqn "$nqn" --namespace '{"bdev_name":"Malloc0"}'
refused "a device that is claimed" "laimed|in use|busy" bash -c "'$bin/weft' rpc -s '$sock' nvmf_create_subsystem --nqn nqn.2016-06.io.spdk:two && '$bin/weft' rpc -s '$sock' nvmf_subsystem_add_ns --nqn nqn.2016-06.io.spdk:two --namespace '{\"bdev_name\":\"Malloc0\"}'"
check "another RAM disk" rpc bdev_malloc_create --name Malloc1 --block_size 512 --num_blocks 8192 --uuid 6ba7b810-9dad-11d1-80b4-00c04fd430c8
for id in '"uuid":"6ba7b810-9dad-11d1-80b4-00c04fd430c8"' '"nguid":"00112233445566778899AABBCCDDEEFF"' '"eui64":"0011223344556677"'; do
    check "a namespace with ids of its own" rpc nvmf_subsystem_add_ns --nqn "$nqn" --namespace "{\"bdev_name\":\"Malloc1\",\"nsid\":2,$id}"
    check "a third RAM disk" rpc bdev_malloc_create --name Malloc2 --block_size 512 --num_blocks 8192
    refused "the same id again: $id" "namespace 2 of .* has the same" rpc nvmf_subsystem_add_ns --nqn "$nqn" --namespace "{\"bdev_name\":\"Malloc2\",$id}"
    check "the refusal left the bdev alone" bash -c "'$bin/weft' rpc -s '$sock' bdev_malloc_delete --name Malloc2"
    check "the namespace goes" rpc nvmf_subsystem_remove_ns --nqn "$nqn" --nsid 2
done
refused "a name of 256 bytes" "255" rpc bdev_null_create --name "$(printf 'n%.0s' $(seq 256))" --block_size 512 --num_blocks 8
refused "a name with a line feed" "control character" rpc bdev_null_create '{"name":"a\nb","block_size":512,"num_blocks":8}'
refused "a parameter twice" "twice" rpc bdev_null_create '{"name":"a","name":"b","block_size":512,"num_blocks":8}'
refused "a time that no clock holds" "range" "$bin/weft" perf "${target[@]}" -n "$nqn" -t 1e300
refused "a rate that is no number" "range|number" "$bin/weft" perf "${target[@]}" -n "$nqn" --rate nan
check "a listener" rpc nvmf_subsystem_add_listener --nqn "$nqn" --listen_address "{\"trtype\":\"TCP\",\"traddr\":\"127.0.0.1\",\"trsvcid\":\"$port\"}"
refused "a host that is not allowed" "84|INVALID HOST" "$bin/weft" identify "${target[@]}" -n "$nqn"
check "it is allowed" rpc nvmf_subsystem_allow_any_host --nqn "$nqn" --allow_any_host true
check "and gets in" "$bin/weft" identify "${target[@]}" -n "$nqn"
refused "a subsystem that is not there" "82|INVALID PARAM" "$bin/weft" identify "${target[@]}" -n nqn.2016-06.io.spdk:none
sock2=$work/second.sock
"$bin/weftd" -r "$sock2" >"$work/second.log" 2>&1 &
second=$!
for _ in $(seq 100); do "$bin/weft" rpc -s "$sock2" spdk_get_version >/dev/null 2>&1 && break; sleep 0.1; done
"$bin/weft" rpc -s "$sock2" nvmf_create_transport --trtype TCP >/dev/null
refused "a port that another target has" "in use" "$bin/weft" rpc -s "$sock2" nvmf_subsystem_add_listener --nqn discovery --listen_address "{\"trtype\":\"TCP\",\"traddr\":\"127.0.0.1\",\"trsvcid\":\"$port\"}"
truncate -s 4M "$work/disk"
check "a file" rpc bdev_aio_create --name File0 --filename "$work/disk" --block_size 512
refused "a file that another target has" "in use" "$bin/weft" rpc -s "$sock2" bdev_aio_create --name F --filename "$work/disk" --block_size 512
kill "$second"
check "garbage on the data port disturbs nobody" bash -c "head -c 4096 /dev/urandom >/dev/tcp/127.0.0.1/$port; printf 'GET / HTTP/1.0\r\n\r\n' >/dev/tcp/127.0.0.1/$port; '$bin/weft' io verify ${target[*]} -n '$nqn'"
check "the target is still there and stops" stop
finish
