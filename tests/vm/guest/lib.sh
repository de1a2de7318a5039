# lib.sh - what the cases share; sourced by the agent in the guest.
# shellcheck shell=bash disable=SC2034

NQN=nqn.2024-11.io.weft:cnode1
NQN2=nqn.2024-11.io.weft:cnode2

step() { local up; read -r up _ </proc/uptime; echo "[$up] $*"; }

wait_for() { # SECONDS COMMAND...: until the command succeeds
    local end=$((SECONDS + $1))
    shift
    until "$@"; do
        [ $SECONDS -lt $end ] || { echo "waited in vain for: $*"; return 1; }
        sleep 0.1
    done
}
not() { ! "$@"; }

# A network namespace for the target, behind a veth pair: near is ours, far the target's.
target_in_namespace() {
    modprobe veth
    mkdir -p /run/netns
    ip netns add target
    ip link add near type veth peer name far netns target
    ip addr add 10.9.1.1/24 dev near
    ip link set near up
    ip -n target addr add "$TARGET_ADDR/24" dev far
    ip -n target link set far up
    ip -n target link set lo up
}

# Connections ---------------------------------------------------------------

# An emulated machine on a busy host may not come to its Keep Alive for some seconds; a case of its own tests that.
connect() { # NQN [nvme connect's options...]
    nvme connect -t tcp -a "$ADDR" -s "$TARGET_PORT" --keep-alive-tmo=30 -n "$@"
}

controllers() { # NQN [HOSTNQN]: names of the controllers connected to it, e.g. nvme0
    local dir
    for dir in /sys/class/nvme/nvme*; do
        [ "$(cat "$dir/subsysnqn" 2>/dev/null)" = "$1" ] || continue
        [ -z "${2:-}" ] || [ "$(cat "$dir/hostnqn")" = "$2" ] || continue
        echo "${dir##*/}"
    done
}
connected() { [ -n "$(controllers "$1")" ]; }
attribute() { cat "/sys/class/nvme/$1/$2"; } # CONTROLLER NAME
live() { [ "$(attribute "$1" state)" = live ]; }

find_device() { # NQN NSID: sets DEV
    local dir
    for dir in /sys/block/nvme*n*; do
        [ "$(cat "$dir/nsid" 2>/dev/null)" = "$2" ] || continue
        [ "$(cat "$dir/device/subsysnqn")" = "$1" ] || continue
        DEV=/dev/${dir##*/}
        [ ! -b "$DEV" ] || return 0
    done
    return 1
}
device() { # NQN [NSID]: waits for the namespace's block device, sets DEV
    wait_for 20 find_device "$1" "${2:-1}"
}
size_is() { [ "$(blockdev --getsize64 "$1")" = $(($2 << 20)) ]; } # DEVICE MIB

leave() { # the end of a case: nothing mounted, nothing connected
    local dir
    for dir in /mnt/*; do
        [ ! -d "$dir" ] || { mountpoint -q "$dir" && umount "$dir"; rmdir "$dir"; }
    done
    nvme disconnect-all
    wait_for 20 not compgen -G '/sys/class/nvme/nvme*' >/dev/null
}

# File systems --------------------------------------------------------------

make_fs() { # DEVICE TYPE: makes it and mounts it at /mnt/TYPE
    case $2 in
    ext4) mkfs.ext4 -q -F "$1" ;;
    xfs) mkfs.xfs -q -f "$1" ;;
    esac
    mkdir -p "/mnt/$2"
    mount -t "$2" "$1" "/mnt/$2"
}

copy_files() { # DIRECTORY: fills it, notes the checksums
    mkdir "$1/copy"
    cp -rL /usr/bin /usr/sbin /usr/lib/modules "$1/copy/"
    (cd "$1/copy" && find . -type f -exec sha256sum {} +) >/tmp/sums
    sync
    step "copied $(wc -l </tmp/sums) files, $(du -sm "$1/copy" | cut -f1) MiB"
}

check_sums() { # DIRECTORY LIST
    (cd "$1" && sha256sum -c "$2") >/tmp/check 2>&1 || { grep -v ': OK$' /tmp/check; return 1; }
    step "$(wc -l <"$2") checksums right"
}
check_files() { check_sums "$1/copy" /tmp/sums; } # DIRECTORY

remount() { # DEVICE TYPE: so that what is read next comes from the target
    umount "/mnt/$2"
    echo 3 >/proc/sys/vm/drop_caches
    mount -t "$2" "$1" "/mnt/$2"
}

check_fs() { # DEVICE TYPE: unmounts and checks it
    umount "/mnt/$2"
    case $2 in
    ext4) e2fsck -fn "$1" ;;
    xfs) xfs_repair -n "$1" ;;
    esac >/tmp/check 2>&1 || { cat /tmp/check; return 1; }
    step "$2: file system check clean"
}

exercise_fs() { # DEVICE TYPE
    make_fs "$1" "$2"
    copy_files "/mnt/$2"
    remount "$1" "$2"
    check_files "/mnt/$2"
    check_fs "$1" "$2"
}

# fio -----------------------------------------------------------------------

verify() { # 'DEVICE...' SIZE [fio's options...]: writes at random, all devices at once, then reads back
    local device jobs=() out=/tmp/fio.$BASHPID
    for device in $1; do jobs+=(--name="verify-${device##*/}" --filename="$device"); done
    fio --size="$2" --direct=1 --ioengine=libaio --iodepth=16 \
        --rw=randwrite --bssplit=4k/70:64k/20:256k/10 --verify=crc32c --verify_fatal=1 --do_verify=1 \
        --randrepeat=0 --thread --group_reporting "${@:3}" "${jobs[@]}" >"$out" 2>&1 || { cat "$out"; return 1; }
    grep -E '^ +(read|write):|err=' "$out"
    step "fio verified $1"
}
