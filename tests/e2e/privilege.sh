#!/bin/bash
# What weftd may still do once it runs: no capabilities, no new privileges, a list of system calls; files that RPCs name
# only below what is allowed; RPC for its own user and root only.
# Release only: sanitizers need system calls that the list leaves out, so it is off with them.
. "$(dirname "$0")/lib.sh"

# all_threads FIELD VALUE: of each thread's status.
all_threads() {
    local values
    values=$(sed -n "s/^$1:\t*//p" /proc/"$(target_pid)"/task/*/status | sort -u)
    [ "$values" = "$2" ] || { echo "$1 is $values"; return 1; }
}
none=0000000000000000

check "a target starts" start
check "no capability is effective" all_threads CapEff $none
check "or could become so" all_threads CapPrm $none
[ "$(id -u)" != 0 ] || check "or be had by another program" all_threads CapBnd $none
check "no new privileges" all_threads NoNewPrivs 1
check "system calls are filtered" all_threads Seccomp 2

check "the socket is for its user only" [ "$(stat -c %a "$sock")" = 600 ]
if [ "$(id -u)" = 0 ]; then
    chmod 711 "$work" && chmod 666 "$sock"
    refused "another user is refused where the mode lets it in" "." setpriv --reuid 65534 --regid 65534 --clear-groups "$bin/weft" rpc -s "$sock" spdk_get_version
    check "and the log says who" grep -q 'RPC: a client of user 65534 .* is refused' "$work/log"
    check "root is served" rpc spdk_get_version
    chmod 600 "$sock"
fi
truncate -s 4M "$work/disk"
check "any file may be named" rpc bdev_aio_create --name File0 --filename "$work/disk" --block_size 512
check "it is exported" export_device File0
check "and works" "$bin/weft" io verify "${target[@]}" -n "$nqn"
check "the target stops" stop

mkdir -p "$work/disks/sub"
truncate -s 4M "$work/disks/disk" "$work/disks/sub/disk"
ln -s "$work/disk" "$work/disks/link"
ln -s .. "$work/disks/up"
ln -s sub/disk "$work/disks/inside"
echo '{"subsystems":[]}' >"$work/config.json"
cp "$work/config.json" "$work/disks/"
check "a target that is confined starts" start --allow-path "$work/disks"
aio() { rpc bdev_aio_create --name "$1" --filename "$2" --block_size 512; }
outside="not below a folder.*\($work/disks\)"
check "a file there" aio In0 "$work/disks/disk"
check "a link to a file there" aio In1 "$work/disks/inside"
refused "a file elsewhere" "$outside" aio Out "$work/disk"
refused "a file beside" "$outside" aio Out "$work/disks/../disk"
refused "a link to the outside" "$outside" aio Out "$work/disks/link"
refused "through a folder that is a link" "$outside" aio Out "$work/disks/up/disk"
refused "a relative name" "$outside" aio Out disk
refused "the same of uring" "$outside" rpc bdev_uring_create --name Out --filename "$work/disk" --block_size 512
refused "a configuration elsewhere" "$outside" rpc weft_apply_config --filename "$work/config.json" --dry_run true
check "a configuration there" rpc weft_apply_config --filename "$work/disks/config.json" --dry_run true
check "nothing else came in" bash -c "! '$bin/weft' rpc -s '$sock' bdev_get_bdevs --name Out"
check "the confined target stops" stop

echo "{\"subsystems\":[{\"subsystem\":\"bdev\",\"config\":[{\"method\":\"bdev_aio_create\",\"params\":{\"name\":\"F\",\"filename\":\"$work/disk\",\"block_size\":512}}]}]}" >"$work/outside.json"
refused "a configuration that names a file elsewhere" "not below a folder" "$bin/weftd" -r "$sock" -c "$work/outside.json" --allow-path "$work/disks"
refused "a folder that is not there" "allow-path.*none" "$bin/weftd" -r "$sock" --allow-path "$work/none"
refused "a capability that is none" "CAP_FLY" "$bin/weftd" -r "$sock" --keep-capability CAP_FLY
refused "an action that is none" "seccomp" "$bin/weftd" -r "$sock" --seccomp maybe

ln -s "$work/victim" "$sock.lock"
refused "a link in the place of the lock file" "symbolic link" "$bin/weftd" -r "$sock"
check "its target was not made" [ ! -e "$work/victim" ]
rm "$sock.lock"

check "a target that a foreign call would kill" start --seccomp kill
check "a RAM disk" rpc bdev_malloc_create --name Malloc0 --block_size 512 --num_blocks 8192
check "exported" export_device Malloc0
check "it works all the same" "$bin/weft" io verify "${target[@]}" -n "$nqn"
check "and stops" stop
check "a target without a list" start --seccomp off
check "has none" all_threads Seccomp 0
check "and stops, too" stop
finish
