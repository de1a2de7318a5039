#!/bin/bash
# Moving in from SPDK: its command lines, its configuration files, its program names. A target's life by rpc.py's
# grammar, with answers of the shapes that the field's target gives (field/shapes-26.09.txt, recorded).
# Release only: it is about words and files, which unit tests hold under sanitizers.
. "$(dirname "$0")/lib.sh"
field=$(cd "$(dirname "$0")" && pwd)/field
mkdir "$work/bin"
ln -s "$bin/weft" "$work/bin/rpc.py"
ln -s "$bin/weftd" "$work/bin/nvmf_tgt"
ln -s "$bin/weftd" "$work/bin/spdk_tgt"
py() { "$work/bin/rpc.py" -s "$sock" "$@" </dev/null; }
# shaped METHOD [WORDS...]: the answer has every key that was recorded.
shaped() { local answer; answer=$(py "$@") && python3 "$field/shape.py" "$field/shapes-26.09.txt" "$1" <<<"$answer"; }
# The daemon under another name: start PROGRAM [OPTIONS...]
start_as() {
    local program=$1
    shift
    "$work/bin/$program" -r "$sock" "$@" >>"$work/log" 2>&1 </dev/null &
    echo $! >"$work/pid"
    disown
    for _ in $(seq 100); do py spdk_get_version >/dev/null 2>&1 && return 0; sleep 0.1; done
    tail -5 "$work/log"
    return 1
}

# ---- the source notes' command lines, as they stand there ----
check "nvmf_tgt starts with the field's options" start_as nvmf_tgt -m 0x1 -i 0 -e 0xFFFF --no-huge -s 512 -u -g -n 4 -R -W 0000:01:00.0 -L all
check "log_set_level" py log_set_level "DEBUG"
check "log_get_level" bash -c "[ \$('$work/bin/rpc.py' -s '$sock' log_get_level) = '\"DEBUG\"' ]"
check "log_set_print_level" py log_set_print_level "DEBUG"
check "log_get_print_level" bash -c "[ \$('$work/bin/rpc.py' -s '$sock' log_get_print_level) = '\"DEBUG\"' ]"
py log_set_print_level NOTICE
check "thread_get_stats" shaped thread_get_stats
check "nvmf_create_transport -t TCP -u 16384 -m 8 -c 8192" py nvmf_create_transport -t TCP -u 16384 -m 8 -c 8192
check "bdev_malloc_create -b Malloc0 512 512" py bdev_malloc_create -b Malloc0 512 512
check "bdev_malloc_create -b Malloc1 128 512" py bdev_malloc_create -b Malloc1 128 512
check "bdev_malloc_create 64 512 -b Malloc2" py bdev_malloc_create 64 512 -b Malloc2
check "bdev_malloc_create -b malloc3 \$((512)) 512" py bdev_malloc_create -b malloc3 $((512)) 512
check "bdev_malloc_create -b Malloc4 400 512 -u 41a7f127-38ea-4390-b5c6-ab0fed80f5d3" py bdev_malloc_create -b Malloc4 400 512 -u 41a7f127-38ea-4390-b5c6-ab0fed80f5d3
check "bdev_malloc_create -b Malloc5 512 2048" py bdev_malloc_create -b Malloc5 512 2048
check "construct_malloc_bdev -b Malloc6 64 512" py construct_malloc_bdev -b Malloc6 64 512
truncate -s 8M "$work/test-disk.raw"
check "bdev_aio_create test-disk.raw test 512" py bdev_aio_create "$work/test-disk.raw" test 512
check "the sizes are MiB" bash -c "'$work/bin/rpc.py' -s '$sock' bdev_get_bdevs -b Malloc0 | grep -q '\"num_blocks\": 1048576'"
cnode=nqn.2016-06.io.spdk:cnode
check "nvmf_create_subsystem ${cnode}1 -a -s SPDK00000000000001 -d SPDK_Controller1" py nvmf_create_subsystem ${cnode}1 -a -s SPDK00000000000001 -d SPDK_Controller1
check "nvmf_create_subsystem -s … -a -m 32 NQN" py nvmf_create_subsystem -s SPDK00000000000002 -a -m 32 ${cnode}2
check "nvmf_create_subsystem nqn.2014-08.org.nvmexpress:uuid:… -a -s -d" py nvmf_create_subsystem nqn.2014-08.org.nvmexpress:uuid:a8dce057-b5a2-492e-8da3-9cf328f401c7 -a -s SPDK00000000000003 -d SPDK_Controller1
check "nvmf_create_subsystem nqn.2019-07.io.spdk:cnode -a -s test" py nvmf_create_subsystem nqn.2019-07.io.spdk:cnode -a -s test
check "nvmf_subsystem_create ${cnode}3 -a -s SPDK00000000000001" py nvmf_subsystem_create ${cnode}3 -a -s SPDK00000000000001
refused "the same subsystem again" "Unable to create subsystem" py nvmf_create_subsystem ${cnode}1 -a -s SPDK00000000000001 -d SPDK_Controller1
check "nvmf_subsystem_add_ns NQN Malloc0" py nvmf_subsystem_add_ns ${cnode}1 Malloc0
check "nvmf_subsystem_add_ns NQN test" py nvmf_subsystem_add_ns nqn.2019-07.io.spdk:cnode test
check "nvmf_subsystem_add_ns -t TARGET NQN Malloc1" py nvmf_subsystem_add_ns -t nvmf_tgt ${cnode}2 Malloc1
check "nvmf_subsystem_add_listener NQN -t tcp -a IP -s PORT" py nvmf_subsystem_add_listener ${cnode}1 -t tcp -a 127.0.0.1 -s "$port"
check "… -t TCP -f Ipv4 -a IP -s PORT -p TARGET NQN" py nvmf_subsystem_add_listener -t TCP -f Ipv4 -a 127.0.0.1 -s "$port" -p nvmf_tgt ${cnode}2
check "… nqn.2014-08.org.nvmexpress.discovery" py nvmf_subsystem_add_listener nqn.2014-08.org.nvmexpress.discovery -t tcp -a 127.0.0.1 -s "$port"
check "nvmf_subsystem_get_listeners" shaped nvmf_subsystem_get_listeners "${cnode}1"
check "nvmf_subsystem_get_listeners 'nqn.2014-08.org.nvmexpress.discovery'" shaped nvmf_subsystem_get_listeners 'nqn.2014-08.org.nvmexpress.discovery'
check "nvmf_subsystem_add_listener NQN -t tcp -a 0.0.0.0 -s PORT" py nvmf_subsystem_add_listener nqn.2019-07.io.spdk:cnode -t tcp -a 0.0.0.0 -s "$(free_port)"
check "nvmf_get_stats" shaped nvmf_get_stats
# Forms of 23.05 that are others today.
check "nvmf_subsystem_allow_any_host -d" py nvmf_subsystem_allow_any_host ${cnode}2 -d
check "nvmf_subsystem_allow_any_host --allow-any-host" py nvmf_subsystem_allow_any_host ${cnode}2 --allow-any-host
check "log_enable_timestamps -e" py log_enable_timestamps -e
check "bdev_get_iostat -b Malloc0" shaped bdev_get_iostat -b Malloc0
check "bdev_get_iostat --names Malloc0,Malloc1" shaped bdev_get_iostat --names Malloc0,Malloc1
check "data goes through it" "$bin/weft" io verify "${target[@]}" -n "${cnode}1"
check "what was named the old way is warned of once" bash -c "'$work/bin/rpc.py' -s '$sock' construct_malloc_bdev -b M9 1 512 && [ \$(grep -c 'construct_malloc_bdev is deprecated' '$work/log') = 1 ]"
check "delete_bdev" py delete_bdev M9
check "--verbose=DEBUG shows the call" bash -c "'$work/bin/rpc.py' -s '$sock' --verbose=DEBUG nvmf_get_transports 2>&1 | grep -q 'request: nvmf_get_transports'"
check "commands on standard input" bash -c "printf '# two\nbdev_malloc_create -b A 1 512\n\nbdev_malloc_delete \"A\"\n' | '$work/bin/rpc.py' -s '$sock'"
refused "… until one fails" "no such option" bash -c "printf 'bdev_malloc_create -Z 1 512\nspdk_kill_instance SIGKILL\n' | '$work/bin/rpc.py' -s '$sock'"
check "--server ends each answer with its status" bash -c "printf 'log_get_level\nbdev_malloc_delete none\n' | '$work/bin/rpc.py' -s '$sock' --server | grep STATUS | tr '\n' ' ' | grep -q 'STATUS=0 \*\*STATUS=1'"
refused "a method that is misspelt" "Method not found: bdev_null_creat; did you mean bdev_null_create" py bdev_null_creat N0 16 512
refused "a method that is not here" "Method not found: bdev_nvme_attach_controller" py bdev_nvme_attach_controller '{"name":"Nvme0","trtype":"PCIe","traddr":"0000:01:00.0"}'

# ---- the life of a target ----
check "a change: a host" py nvmf_subsystem_add_host ${cnode}1 nqn.2016-06.io.spdk:host1
for method in spdk_get_version framework_get_subsystems framework_get_scheduler thread_get_io_channels bdev_get_bdevs \
    nvmf_get_subsystems nvmf_get_transports notify_get_notifications sock_get_default_impl iobuf_get_stats; do
    check "$method has the field's keys" shaped $method
done
check "sock_impl_get_options has the field's keys" shaped sock_impl_get_options -i posix
"$bin/weft" perf "${target[@]}" -n ${cnode}1 -q 1 -o 4096 -w randread --rate 10 --warmup 0 -t 3 >/dev/null 2>&1 </dev/null &
load=$!
for _ in $(seq 50); do py nvmf_subsystem_get_qpairs ${cnode}1 | grep -q '"qid": 1' && break; sleep 0.1; done
for method in nvmf_subsystem_get_controllers nvmf_subsystem_get_qpairs; do
    check "$method has the field's keys" shaped $method ${cnode}1
done
check "a controller is of type io" bash -c "'$work/bin/rpc.py' -s '$sock' nvmf_subsystem_get_controllers ${cnode}1 | grep -q '\"cntrltype\": \"io\"'"
kill "$load"
wait "$load" 2>/dev/null
check "bdevs that came and went were told" bash -c "'$work/bin/rpc.py' -s '$sock' notify_get_notifications | grep -q bdev_unregister"
before=$(py nvmf_get_subsystems)
py save_config >"$work/saved.json"
check "it stops" stop
check "spdk_tgt loads what was saved" start_as spdk_tgt -m 0x1 -c "$work/saved.json"
after=$(py nvmf_get_subsystems)
if [ "$before" = "$after" ]; then ok "it is the same"; else not_ok "it is the same" "$(diff <(echo "$before") <(echo "$after"))"; fi
check "what it saves is what it loaded" diff "$work/saved.json" <(py save_config)
check "nvmf_subsystem_remove_ns" py nvmf_subsystem_remove_ns ${cnode}1 1
check "nvmf_subsystem_remove_host" py nvmf_subsystem_remove_host ${cnode}1 nqn.2016-06.io.spdk:host1
check "nvmf_subsystem_remove_listener" py nvmf_subsystem_remove_listener ${cnode}1 -t tcp -a 127.0.0.1 -s "$port"
check "nvmf_delete_subsystem" py nvmf_delete_subsystem ${cnode}1
check "bdev_malloc_delete" py bdev_malloc_delete Malloc0
check "it stops again" stop

# load_config into a target that waits.
check "a target that waits for RPC" start_as nvmf_tgt --wait-for-rpc
check "load_config" bash -c "'$work/bin/rpc.py' -s '$sock' load_config -j '$work/saved.json'"
check "framework_wait_init" py framework_wait_init
if [ "$before" = "$(py nvmf_get_subsystems)" ]; then ok "it is the same by load_config"; else not_ok "it is the same by load_config"; fi
check "it stops after that" stop

# ---- the field's files ----
for version in 23.05 26.09; do
    sed "s#@PORT@#$port#; s#@FILE@#$work/test-disk.raw#" "$field/config-$version.json" >"$work/field.json"
    check "a file of $version loads as it is" start_as nvmf_tgt --json "$work/field.json"
    check "… and serves" "$bin/weft" io verify "${target[@]}" -n ${cnode}1
    check "… with a word for what it left out" grep -q "bdev_nvme_set_options): skipped: there is no NVMe bdev here" "$work/log"
    check "… and stops" stop
done
sed "s#bdev_raid_set_options#bdev_raid_create#; s#@PORT@#$port#; s#@FILE@#$work/test-disk.raw#" "$field/config-26.09.json" >"$work/raid.json"
refused "a file that makes what is not here" "bdev_raid_create" "$work/bin/nvmf_tgt" -r "$sock" --json "$work/raid.json"

# ---- a transport in each of the notes' forms ----
for form in "-t TCP -u 2097152 -i 2097152" "-t TCP -p 4" "-t TCP -g nvmf_tgt -q 64 -c 0 -a 64 -n 1023 -b 16 -o -y 2 -l 128"; do
    check "a target for one transport" start_as nvmf_tgt
    # shellcheck disable=SC2086
    check "nvmf_create_transport $form" py nvmf_create_transport $form
    check "it has the shape" shaped nvmf_get_transports
    check "it goes" stop
done

# ---- INI ----
cat >"$work/test.conf" <<END
# of before JSON
[Malloc]
NumberOfLuns 1
LunSizeInMB 16
[Transport]
Type TCP
[Subsystem1]
NQN ${cnode}1
Listen TCP 127.0.0.1:$port
AllowAnyHost Yes
Host nqn.2016-06.io.spdk:init
SN SPDK00000000000001
MaxNamespaces 20
Namespace Malloc0 1
END
check "an INI file" start_as nvmf_tgt -m 1 -c "$work/test.conf"
check "it says so" grep -q "is an INI file" "$work/log"
check "it serves" "$bin/weft" io verify "${target[@]}" -n ${cnode}1
from_ini=$(py nvmf_get_subsystems)
check "it ends" stop
check "convert-config" bash -c "'$bin/weft' convert-config '$work/test.conf' >'$work/converted.json'"
check "what it wrote loads" start_as nvmf_tgt --json "$work/converted.json"
if [ "$from_ini" = "$(py nvmf_get_subsystems)" ]; then ok "and is the same"; else not_ok "and is the same"; fi
check "it ends too" stop
printf '[Transport]\nTyp TCP\n' >"$work/wrong.conf"
refused "an INI file with a wrong key" "wrong.conf: line 2.*did you mean Type" "$work/bin/nvmf_tgt" -r "$sock" -c "$work/wrong.conf"
sed 's/TCP/RDMA/' "$work/test.conf" >"$work/rdma.conf"
refused "one for a transport that is not here" "nvmf_create_transport.*RDMA" "$work/bin/nvmf_tgt" -r "$sock" -c "$work/rdma.conf"

# ---- options of sockets that count ----
check "a target that waits" start_as nvmf_tgt --wait-for-rpc
check "sock_impl_set_options -i posix -r 65536 --enable-quickack" py sock_impl_set_options -i posix -r 65536 --enable-quickack
check "sock_set_default_impl -i uring" py sock_set_default_impl -i uring
refused "sock_set_default_impl -i ssl" "ssl is not supported" py sock_set_default_impl -i ssl
refused "an implementation that is none" "one of posix, uring, ssl" py sock_set_default_impl -i vpp
check "back to posix" py sock_set_default_impl -i posix
check "they are told" bash -c "'$work/bin/rpc.py' -s '$sock' sock_impl_get_options -i posix | grep -q '\"recv_buf_size\": 65536'"
check "framework_start_init" py framework_start_init
refused "too late" "only be called before" py sock_impl_set_options -i posix -r 0
check "a RAM disk behind it" bash -c "printf 'nvmf_create_transport -t TCP\nbdev_malloc_create -b Malloc0 16 512\nnvmf_create_subsystem ${cnode}1 -a\nnvmf_subsystem_add_ns ${cnode}1 Malloc0\nnvmf_subsystem_add_listener ${cnode}1 -t tcp -a 127.0.0.1 -s $port\n' | '$work/bin/rpc.py' -s '$sock'"
if command -v ss >/dev/null; then
    "$bin/weft" perf "${target[@]}" -n ${cnode}1 -q 1 -o 4096 -w randread --rate 10 --warmup 0 -t 3 >/dev/null 2>&1 </dev/null &
    load=$!
    for _ in $(seq 50); do ss -tmnH "sport = :$port" | grep -q rb131072 && break; sleep 0.1; done
    check "connections have the buffer (the system doubles it)" bash -c "ss -tmnH 'sport = :$port' | grep -q rb131072"
    kill "$load"
    wait "$load" 2>/dev/null
else
    echo "skip connections have the buffer: there is no ss"
fi
check "the options are saved" bash -c "'$work/bin/rpc.py' -s '$sock' save_config -s sock | grep -q '\"recv_buf_size\": 65536'"
check "it stops in order" stop

# ---- sockets and the allow list ----
check "two sockets, an allow list and a file" start_as nvmf_tgt -r "$work/two.sock" --rpcs-allowed spdk_get_version,nvmf_get_subsystems,rpc_get_methods,no_such_one --json "$work/saved.json"
check "the other socket" "$work/bin/rpc.py" -s "$work/two.sock" spdk_get_version
if [ "$before" = "$(py nvmf_get_subsystems)" ]; then ok "the file was not limited"; else not_ok "the file was not limited"; fi
check "a name that no method has is told" grep -q "rpcs-allowed: there is no method no_such_one" "$work/log"
tcp=$(free_port)
refused "a socket that another serves" "in use" "$work/bin/spdk_tgt" -r "$work/two.sock" -r "127.0.0.1:$tcp"
refused "clients are" "Method not found" py bdev_get_bdevs
check "they see what they may call" bash -c "[ \$('$work/bin/rpc.py' -s '$sock' rpc_get_methods | grep -c '_') = 3 ]"
check "the end" stop
check "a TCP socket" start_as nvmf_tgt -r "127.0.0.1:$tcp"
check "rpc.py -s ADDRESS -p PORT" "$work/bin/rpc.py" -s 127.0.0.1 -p "$tcp" -t 5 -r 2 spdk_get_version
refused "a timeout that is no time" "range" "$work/bin/rpc.py" -t nan spdk_get_version
check "the very end" stop
finish
