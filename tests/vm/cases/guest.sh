# guest.sh - cases with the target inside the guest, in a network namespace
# behind a veth pair: the addresses in discovery entries are real, and the link
# can go down.  Sourced by the agent; every case_NAME is a case, run in this
# order, each with a fresh target.  The kernel runs without multipath, so that
# two connections to a namespace are two disks, as on two machines.
# shellcheck shell=bash disable=SC2034

ADDR=$TARGET_ADDR
TARGET_EXEC="nsenter --net=/run/netns/target"

setup() {
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
