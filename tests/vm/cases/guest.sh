# guest.sh - cases with the target inside the guest, in a network namespace
# behind a veth pair: the addresses in discovery entries are real, and the link
# can go down.  Sourced by the agent; every case_NAME is a case, run in this
# order, each with a fresh target.  The kernel runs without multipath, so that
# two connections to a namespace are two disks, as on two machines.
# shellcheck shell=bash disable=SC2034

ADDR=$TARGET_ADDR
TARGET_EXEC="nsenter --net=/run/netns/target"

setup() { target_in_namespace; }

two_subsystems() {
    t ram Disk0 64
    t ram Disk1 32
    t subsystem "$NQN"
    t subsystem "$NQN2"
    t add "$NQN" 1 Disk0
    t add "$NQN2" 1 Disk1
}

both_connected() {
    device "$NQN" && size_is "$DEV" 64 && device "$NQN2" && size_is "$DEV" 32
}

case_connect_all() {
    two_subsystems
    nvme connect-all -t tcp -a "$ADDR" -s "$TARGET_PORT"
    both_connected
    verify "$DEV" 8M
}

case_discovery_conf() {
    two_subsystems
    echo "--transport=tcp --traddr=$ADDR --trsvcid=$TARGET_PORT" >/etc/nvme/discovery.conf
    nvme discover | tee /tmp/log
    grep -q "traddr: *$ADDR\$" /tmp/log
    nvme connect-all
    both_connected
    rm /etc/nvme/discovery.conf
}

case_list_subsys() {
    two_subsystems
    connect "$NQN"
    connect "$NQN2"
    nvme list-subsys | tee /tmp/said
    grep -q "NQN=$NQN\$" /tmp/said
    grep -q "NQN=$NQN2\$" /tmp/said
    [ "$(grep -c "nvme[0-9]* tcp traddr=$ADDR,trsvcid=$TARGET_PORT.* live" /tmp/said)" = 2 ]
}

case_disconnect_all() {
    two_subsystems
    nvme connect-all -t tcp -a "$ADDR" -s "$TARGET_PORT"
    both_connected
    nvme disconnect-all
    wait_for 10 not connected "$NQN"
    wait_for 10 not connected "$NQN2"
    nvme connect-all -t tcp -a "$ADDR" -s "$TARGET_PORT"
    both_connected
}

# A host goes by the referral to the same target's other name, and sees what it is shown.
case_referral() {
    two_subsystems
    t do nvmf_discovery_add_referral -t tcp -a 10.9.1.99 -s 8009
    nvme discover -t tcp -a "$ADDR" -s "$TARGET_PORT" | tee /tmp/log
    grep -q 'subtype: *discovery subsystem referral' /tmp/log
    grep -q 'traddr: *10.9.1.99$' /tmp/log
    t do nvmf_discovery_remove_referral -t tcp -a 10.9.1.99 -s 8009
    t do nvmf_discovery_set_nqn --discovery_nqn nqn.2016-06.io.spdk:rack7
    nvme discover -t tcp -a "$ADDR" -s "$TARGET_PORT" | tee /tmp/log
    not grep -q '10.9.1.99' /tmp/log
    nvme discover -t tcp -a "$ADDR" -s "$TARGET_PORT" --nqn nqn.2016-06.io.spdk:rack7
}

# A discovery controller stays, and the target's next change is an event that the kernel tells of.
case_persistent_discovery() {
    two_subsystems
    nvme discover -t tcp -a "$ADDR" -s "$TARGET_PORT" --persistent --keep-alive-tmo=10
    wait_for 10 grep -lq discovery /sys/class/nvme/nvme*/subsysnqn
    sleep 15 # longer than its keep-alive time
    grep -lq discovery /sys/class/nvme/nvme*/subsysnqn
    nvme disconnect-all
}

# A namespace that is shown to one of two hosts appears and goes there, without a reconnect.
case_visibility() {
    local one=nqn.2016-06.io.host:one two=nqn.2016-06.io.host:two
    t ram Disk0 64
    t ram Disk1 32
    t subsystem "$NQN"
    t add "$NQN" 1 Disk0
    t do nvmf_subsystem_add_ns "$NQN" Disk1 -n 2 -i
    nvme connect -t tcp -a "$ADDR" -s "$TARGET_PORT" -n "$NQN" --hostnqn "$one" \
        --hostid 11111111-1111-1111-1111-111111111111
    # nvme-cli 2.3 refuses a second connection to an address, whoever asks; the kernel does not
    printf '%s' "transport=tcp,traddr=$ADDR,trsvcid=$TARGET_PORT,nqn=$NQN,hostnqn=$two," \
        hostid=22222222-2222-2222-2222-222222222222 >/dev/nvme-fabrics
    disks() { ls /sys/block | grep -c '^nvme'; }
    wait_for 10 eval '[ "$(disks)" = 2 ]'
    t do nvmf_ns_add_host "$NQN" 2 "$one"
    wait_for 10 eval '[ "$(disks)" = 3 ]'
    t do nvmf_ns_remove_host "$NQN" 2 "$one"
    wait_for 10 eval '[ "$(disks)" = 2 ]'
}

# Keep-alive of 3 s, a new try every 2 s: an idle connection stays; one whose
# link is gone is given up by both ends and comes back with the link.
case_keep_alive() {
    local controller
    two_subsystems
    nvme connect -t tcp -a "$ADDR" -s "$TARGET_PORT" -n "$NQN" -c2 -k3
    device "$NQN"
    controller=$(controllers "$NQN")
    [ "$(attribute "$controller" reconnect_delay)" = 2 ]
    [ "$(attribute "$controller" kato)" = 3 ]
    sleep 7
    live "$controller"
    not grep -E "$controller.*(reconnect|keep.?alive)" <(dmesg)
    step "idle for 7 s and live"
    ip link set near down
    wait_for 20 not live "$controller"
    step "link down: $(attribute "$controller" state)"
    ip link set near up
    wait_for 30 live "$controller"
    step "link up: live"
    verify "$DEV" 4M
}

# Two hosts, one namespace: ext4's multiple mount protection must see the other.
HOSTNQN=nqn.2024-11.io.weft:host
HOSTID=00000000-0000-4000-8000-00000000000
host_disk() { # HOSTNQN: sets DISK to its block device
    local controller
    controller=$(controllers "$NQN" "$1")
    DISK=/dev/${controller}n1
    [ -n "$controller" ] && [ -b "$DISK" ]
}
case_two_hosts() {
    local a b mount
    t ram Disk0 128
    t subsystem "$NQN"
    t add "$NQN" 1 Disk0
    connect "$NQN" --hostnqn="${HOSTNQN}1" --hostid="${HOSTID}1"
    # nvme-cli 2.3 refuses a second connection to an address, whoever asks; the kernel does not
    printf '%s' "transport=tcp,traddr=$ADDR,trsvcid=$TARGET_PORT,nqn=$NQN,hostnqn=${HOSTNQN}2,hostid=${HOSTID}2," \
        keep_alive_tmo=30 >/dev/nvme-fabrics
    wait_for 20 host_disk "${HOSTNQN}1"
    a=$DISK
    wait_for 20 host_disk "${HOSTNQN}2"
    b=$DISK
    [ "$a" != "$b" ]
    step "$a and $b are the same namespace"
    dd if=/dev/urandom of=/tmp/pattern bs=64K count=1 status=none
    dd if=/tmp/pattern of="$a" bs=64K oflag=direct status=none
    dd if="$b" bs=64K count=1 iflag=direct status=none | cmp - /tmp/pattern

    mkfs.ext4 -F -O mmp "$a"
    mkdir /mnt/a /mnt/b
    mount -t ext4 "$a" /mnt/a
    echo from a >/mnt/a/file
    mount -t ext4 "$b" /mnt/b & # both watch the block for 11 s, so together
    mount=$!
    not e2mmpstatus "$b"
    not wait $mount
    step "mounted by the one, refused to the other"
    umount /mnt/a
    blockdev --flushbufs "$b"
    e2mmpstatus "$b"
    mount -t ext4 -o ro "$b" /mnt/b
    [ "$(cat /mnt/b/file)" = "from a" ]
    step "read by the other"
}

# Devices on devices: two parts of a disk, each slower than the disk, below a host that checks what it wrote; then the disk
# goes while the host is at it.
case_stacked_devices() {
    t ram Disk0 64
    t do bdev_split_create --base_bdev Disk0 --split_count 2
    t do bdev_delay_create --name Late --base_bdev_name Disk0p0 --avg_read_latency 100 --p99_read_latency 3000 \
        --avg_write_latency 200 --p99_write_latency 5000
    t do bdev_passthru_create --name Top --base_bdev_name Late
    t subsystem "$NQN"
    t add "$NQN" 1 Top
    t add "$NQN" 2 Disk0p1
    connect "$NQN"
    device "$NQN"
    size_is "$DEV" 32
    verify "$DEV" 16M
    fio --name=load --filename="$DEV" --ioengine=libaio --direct=1 --rw=randrw --bs=4k --iodepth=16 --time_based \
        --runtime=20 --output=/tmp/fio-load >/dev/null 2>&1 &
    local load=$!
    sleep 2
    t do bdev_malloc_delete --name Disk0
    wait_for 30 not [ -b "$DEV" ]
    not wait $load
}

# The same two hosts reserve the namespace, and preempt each other.
case_reservations() {
    local a b
    [ "$TARGET" != nvmet ] || return 0 # Debian 12's kernel has none
    t ram Disk0 64
    t subsystem "$NQN"
    t add "$NQN" 1 Disk0
    connect "$NQN" --hostnqn="${HOSTNQN}1" --hostid="${HOSTID}1"
    printf '%s' "transport=tcp,traddr=$ADDR,trsvcid=$TARGET_PORT,nqn=$NQN,hostnqn=${HOSTNQN}2,hostid=${HOSTID}2," \
        keep_alive_tmo=30 >/dev/nvme-fabrics
    wait_for 20 host_disk "${HOSTNQN}1"
    a=$DISK
    wait_for 20 host_disk "${HOSTNQN}2"
    b=$DISK
    nvme id-ns "$a" | grep '^rescap *: 0xfe$'
    nvme resv-register "$a" --nrkey=0x11 --rrega=0
    nvme resv-register "$b" --nrkey=0x22 --rrega=0
    not nvme resv-acquire "$a" --crkey=0x12 --rtype=1 --racqa=0
    nvme resv-acquire "$a" --crkey=0x11 --rtype=1 --racqa=0
    not nvme resv-acquire "$b" --crkey=0x22 --rtype=1 --racqa=0
    nvme resv-report "$b" --eds | tee /tmp/said
    grep -q 'rtype *: 1$' /tmp/said
    grep -q 'regctl *: 2$' /tmp/said
    grep -qi 'rkey *: 0*11$' /tmp/said
    step "reserved by the one: write exclusive"
    dd if=/dev/urandom of="$a" bs=64K count=1 oflag=direct status=none
    dd if="$b" of=/dev/null bs=64K count=1 iflag=direct status=none
    not dd if=/dev/zero of="$b" bs=64K count=1 oflag=direct status=none
    nvme resv-acquire "$b" --crkey=0x22 --prkey=0x11 --rtype=2 --racqa=2
    step "preempted by the other: exclusive access"
    not dd if=/dev/zero of="$a" bs=64K count=1 oflag=direct status=none
    not dd if="$a" of=/dev/null bs=64K count=1 iflag=direct status=none
    verify "$b" 4M
    nvme get-log "$(sed 's/n1$//' <<<"$a")" --log-id=0x80 --log-len=64 --raw-binary | od -An -tu1 -j8 -N1 | grep -q 1
    nvme resv-release "$b" --crkey=0x22 --rtype=2 --rrela=0
    verify "$a" 4M
    nvme resv-register "$b" --crkey=0x22 --rrega=1
    nvme resv-report "$a" --eds | grep -q 'regctl *: 0$'
}

# A mirror of the target's loses a disk under load, and gets it back: the host sees no error, and reads what it wrote.
case_raid() {
    local fio
    t ram Disk0 64
    t ram Disk1 64
    t do bdev_raid_create --name Mirror --raid_level raid1 --base_bdevs '["Disk0","Disk1"]'
    t do bdev_raid_set_options --process_max_bandwidth_mb_sec 40
    t subsystem "$NQN"
    t add "$NQN" 1 Mirror
    connect "$NQN"
    device "$NQN"
    size_is "$DEV" 64
    verify "$DEV" 24M --rate=,3m &
    fio=$!
    sleep 2
    t do bdev_raid_remove_base_bdev --name Disk0
    step "one disk is out"
    sleep 1
    t do bdev_raid_add_base_bdev --raid_bdev Mirror --base_bdev Disk0
    sleep 3
    t do bdev_raid_remove_base_bdev --name Disk1
    step "the other one is out, and the first one is filled"
    wait $fio
    verify "$DEV" 8M
}
