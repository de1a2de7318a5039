# faults.sh - a disk that loses its cache with the power, and a network that loses and reorders packets. The target is in
# the guest, in a network namespace. Sourced by the agent; every case_NAME is a case, run in this order, each with a
# fresh target.
# shellcheck shell=bash disable=SC2034

ADDR=$TARGET_ADDR
TARGET_EXEC="nsenter --net=/run/netns/target"

setup() {
    target_in_namespace
    modprobe null_blk nr_devices=0
    mount -t configfs none /sys/kernel/config
}

# A block device with a volatile write cache: what was not flushed is gone when the power is. 64 MiB, 16 of them cache.
POWER=/sys/kernel/config/nullb/lossy
power_disk() { # sets DISK
    mkdir "$POWER"
    echo 64 >"$POWER/size"
    echo 512 >"$POWER/blocksize"
    echo 1 >"$POWER/memory_backed"
    echo 16 >"$POWER/cache_size"
    echo 1 >"$POWER/power"
    DISK=/dev/lossy
    wait_for 5 test -b "$DISK"
}
power_cycle() {
    echo 0 >"$POWER/power"
    echo 1 >"$POWER/power"
    wait_for 5 test -b "$DISK"
}

# Is it such a disk? Else the case below proves nothing.
forgets_what_is_not_flushed() {
    dd if=/dev/urandom of=/tmp/pattern bs=4096 count=2 status=none
    dd if=/tmp/pattern of="$DISK" bs=4096 count=1 oflag=direct conv=fsync status=none
    dd if=/tmp/pattern of="$DISK" bs=4096 count=1 seek=1 skip=1 oflag=direct status=none
    cmp -n 8192 "$DISK" /tmp/pattern
    power_cycle
    cmp -n 4096 "$DISK" /tmp/pattern
    not cmp -s -n 8192 "$DISK" /tmp/pattern
}

checker() { # SUBCOMMAND [options...]
    "$WEFT_BIN/weft-checker" "$1" -a "$ADDR" -s "$TARGET_PORT" -n "$NQN" --journal /tmp/journal --json "${@:2}"
}

lose_power() { # SEED: under the load of two hosts; then it is on again, and the target started
    local running
    checker run --mode power --time 60 --seed "$1" --hosts 2 --depth 8 --kato 60000 >/tmp/run.json &
    running=$!
    sleep 3
    t crash
    power_cycle
    wait $running
    t restart
    step "seed $1: $(cat /tmp/run.json)"
}

# What was acknowledged with FUA or before a flush is there when the power is back.
case_power_loss() {
    local round
    power_disk
    forgets_what_is_not_flushed
    rm -f /tmp/journal
    t device Disk0 "$DISK"
    t subsystem "$NQN"
    t add "$NQN" 1 Disk0
    for round in 1 2 3 4; do
        lose_power $round
        checker check --kato 60000
    done
    t stop
    echo 0 >"$POWER/power"
    rmdir "$POWER"
}

# One packet of fifty is lost, one of ten comes late, both ways; digests find nothing wrong and nothing is lost.
case_bad_network() {
    t ram Disk0 64
    t subsystem "$NQN"
    t add "$NQN" 1 Disk0
    ip link set near mtu 1500
    tc qdisc add dev near root netem delay 1ms 500us loss 2% reorder 10%
    nsenter --net=/run/netns/target tc qdisc add dev far root netem delay 1ms 500us loss 2% reorder 10%
    connect "$NQN" --hdr-digest --data-digest
    device "$NQN"
    verify "$DEV" 8M
    tc -s qdisc show dev near | tee /tmp/said
    grep -Eq 'dropped [1-9]' /tmp/said
    not grep -iE 'digest|reset controller' <(dmesg)
    tc qdisc del dev near root
    nsenter --net=/run/netns/target tc qdisc del dev far root
}
