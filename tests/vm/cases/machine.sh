# machine.sh - cases against a target on the machine outside the guest (in a
# self-test: the kernel's, inside).  Sourced by the agent; every case_NAME is a
# case, run in this order, each with a fresh target.
# shellcheck shell=bash

ADDR=${ADDR:-$TARGET_ADDR}
setup() { :; }

one_disk() { # VERB (ram, file or null) MIB [connect's options...]: made and connected, sets DEV
    t "$1" Disk0 "$2"
    t subsystem "$NQN"
    t add "$NQN" 1 Disk0
    connect "$NQN" "${@:3}"
    device "$NQN"
}

case_discover() {
    t subsystem "$NQN"
    t subsystem "$NQN2"
    nvme discover -t tcp -a "$ADDR" -s "$TARGET_PORT" | tee /tmp/log
    grep -q "subnqn: *$NQN\$" /tmp/log
    grep -q "subnqn: *$NQN2\$" /tmp/log
    grep -q "trsvcid: *$TARGET_PORT\$" /tmp/log
}

case_four_queues() {
    local controller
    one_disk ram 64 --nr-io-queues=4
    controller=$(controllers "$NQN")
    nvme list
    nvme id-ctrl "/dev/$controller" | grep -E '^(sn|mn|fr|mdts|oncs|sgls|ioccsz|maxcmd) '
    nvme id-ns "$DEV" | grep -E '^(nsze|nmic|nguid|lbaf)'
    [ "$(attribute "$controller" queue_count)" = 5 ] # and the admin queue
    # a job on every processor, so one on every queue
    verify "$DEV" 4M --numjobs=4 --offset_increment=16M --cpus_allowed=0-3 --cpus_allowed_policy=split
    nvme flush "$DEV"
}

case_ext4() {
    one_disk ram 256 --nr-io-queues=4
    exercise_fs "$DEV" ext4
}

case_xfs() {
    one_disk ram 640 --nr-io-queues=4
    exercise_fs "$DEV" xfs
}

case_fio() {
    one_disk ram 64 --nr-io-queues=4
    verify "$DEV" 16M
}

case_fio_digests() {
    one_disk ram 64 --nr-io-queues=4 --hdr-digest --data-digest
    verify "$DEV" 16M
}

case_fio_file() {
    one_disk file 64 --nr-io-queues=4
    verify "$DEV" 16M
}

case_blkdiscard() {
    one_disk ram 64
    dd if=/dev/urandom of=/tmp/pattern bs=1M count=8 status=none
    dd if=/tmp/pattern of="$DEV" bs=1M oflag=direct status=none
    blkdiscard -o 2M -l 4M "$DEV"
    # what surrounds the hole is as it was; the hole reads as what it was or as zeros
    cmp -n $((2 << 20)) /tmp/pattern "$DEV"
    dd if="$DEV" bs=1M skip=6 count=2 iflag=direct status=none | cmp - <(tail -c $((2 << 20)) /tmp/pattern)
    dd if="$DEV" bs=1M skip=2 count=4 iflag=direct status=none >/tmp/hole
    cmp -s -n $((4 << 20)) /tmp/hole /dev/zero || cmp /tmp/hole <(dd if=/tmp/pattern bs=1M skip=2 count=4 status=none)
    blkdiscard "$DEV"
    verify "$DEV" 4M
}

case_resize() {
    one_disk file 128
    size_is "$DEV" 128
    make_fs "$DEV" ext4
    t grow Disk0 192
    wait_for 20 size_is "$DEV" 192
    resize2fs "$DEV"
    [ "$(df -m /mnt/ext4 | awk 'NR == 2 { print $2 }')" -gt 150 ]
    copy_files /mnt/ext4
    remount "$DEV" ext4
    check_files /mnt/ext4
    check_fs "$DEV" ext4
}

case_resize_null() {
    one_disk null 64
    size_is "$DEV" 64
    t grow_null Disk0 2048
    wait_for 20 size_is "$DEV" 2048
}

case_hotplug() {
    local first
    one_disk ram 64
    first=$DEV
    t ram Disk1 32
    t add "$NQN" 2 Disk1
    device "$NQN" 2
    size_is "$DEV" 32
    verify "$DEV" 4M
    t remove "$NQN" 2
    wait_for 20 not find_device "$NQN" 2
    t add "$NQN" 2 Disk1
    device "$NQN" 2
    verify "$first" 4M
}

# Files written one after the other, each noted once its fsync came back.
write_acknowledged() { # DIRECTORY LIST; until LIST.stop exists
    local number=0 sum
    while [ ! -e "$2.stop" ]; do
        number=$((number + 1))
        sum=$(dd if=/dev/urandom bs=16k count=1 status=none | tee /tmp/next | sha256sum)
        dd if=/tmp/next of="$1/$number" bs=16k conv=fsync status=none
        echo "${sum%% *}  $number" >>"$2"
        sleep 0.1
    done
}

acknowledged() { [ "$(wc -l </tmp/acknowledged)" -ge "$1" ]; } # NUMBER

case_crash() {
    local controller files fio writer before
    t file Disk1 64
    one_disk file 256 --nr-io-queues=4 --reconnect-delay=1 --ctrl-loss-tmo=120
    files=$DEV
    t add "$NQN" 2 Disk1
    device "$NQN" 2
    controller=$(controllers "$NQN")
    make_fs "$files" ext4
    copy_files /mnt/ext4

    mkdir /mnt/ext4/acknowledged
    rm -f /tmp/acknowledged*
    : >/tmp/acknowledged
    write_acknowledged /mnt/ext4/acknowledged /tmp/acknowledged &
    writer=$!
    verify "$DEV" 40M --rate=,4m &
    fio=$!
    wait_for 60 acknowledged 10
    sleep 3
    kill -0 $fio
    t crash
    wait_for 20 not live "$controller"
    sleep 1
    t restart
    before=$(wc -l </tmp/acknowledged)
    wait_for 60 live "$controller"
    step "reconnected; $before files acknowledged so far"
    wait $fio
    touch /tmp/acknowledged.stop
    wait $writer
    acknowledged $((before + 1))

    remount "$files" ext4
    check_sums /mnt/ext4/acknowledged /tmp/acknowledged
    check_files /mnt/ext4
    check_fs "$files" ext4
}

case_disconnect() {
    one_disk ram 64
    t subsystem "$NQN2"
    connect "$NQN2"
    nvme disconnect -n "$NQN" | tee /tmp/said
    grep -q 'disconnected 1 ' /tmp/said
    wait_for 10 not connected "$NQN"
    connected "$NQN2"
    nvme disconnect -d "$(controllers "$NQN2")"
    wait_for 10 not connected "$NQN2"
    connect "$NQN" # and back
    device "$NQN"
}

# Two paths to one disk; the states of both change under load, which must see no error.
case_ana() {
    local fio round
    t ram Disk0 64
    t paths "$NQN"
    t add "$NQN" 1 Disk0
    connect "$NQN"
    nvme connect -t tcp -a "$ADDR" -s $((TARGET_PORT + 1)) --keep-alive-tmo=30 -n "$NQN"
    wait_for 20 find_device "$NQN" 1
    [ "$(controllers "$NQN" | wc -l)" = 2 ]
    nvme list-subsys "$DEV" | tee /tmp/said
    [ "$(grep -c 'live optimized' /tmp/said)" = 2 ]
    nvme ana-log "/dev/$(controllers "$NQN" | sed -n 1p)"
    # --error_limit is none: the first error ends fio
    verify "$DEV" 24M --rate=,1500k &
    fio=$!
    for round in 1 2 3; do
        t path "$NQN" 0 inaccessible
        wait_for 20 path_states inaccessible 1
        sleep 2
        t path "$NQN" 0 non_optimized
        wait_for 20 path_states non-optimized 1
        t path "$NQN" 1 inaccessible
        wait_for 20 path_states inaccessible 1
        sleep 2
        t path "$NQN" 1 optimized
        t path "$NQN" 0 optimized
        wait_for 20 path_states optimized 2
        step "round $round: there and back"
    done
    wait $fio
}
path_states() { # STATE NUMBER: so many paths have it
    [ "$(cat /sys/class/nvme/nvme*/nvme*c*n*/ana_state | grep -cx "$1")" = "$2" ]
}
