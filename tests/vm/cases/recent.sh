# recent.sh - cases that want a newer kernel and newer tools than Debian 12 has: a guest of Debian 13 (kernel 6.12,
# nvme-cli 2.13, ktls-utils). The target is in the guest, in a network namespace; no multipath, so that two connections
# are two hosts. Sourced by the agent; every case_NAME is a case, run in this order, each with a fresh target.
# shellcheck shell=bash disable=SC2034

ADDR=$TARGET_ADDR
TARGET_EXEC="nsenter --net=/run/netns/target"

setup() { target_in_namespace; }

one_namespace() { # sets CONTROLLER, DEV
    t ram Disk0 64
    t subsystem "$NQN"
    t add "$NQN" 1 Disk0
    connect "$NQN"
    device "$NQN"
    CONTROLLER=/dev/$(controllers "$NQN")
}

says() { # PATTERN COMMAND...: the command succeeds and prints a line that matches
    local pattern=$1
    shift
    echo "+ $*"
    "$@" >/tmp/said 2>&1 || { cat /tmp/said; return 1; }
    grep -Eq "$pattern" /tmp/said || { cat /tmp/said; echo "no line matches: $pattern"; return 1; }
}

# What nvme-cli asks a controller, each with a line of the right answer.
case_cli_identify() {
    one_namespace
    says '^subnqn +: nqn.2024-11.io.weft:cnode1' nvme id-ctrl "$CONTROLLER"
    says '^nsze +: 0x20000$' nvme id-ns "$DEV"
    says '0x1$' nvme list-ns "$CONTROLLER"
    says 'uuid' nvme ns-descs "$DEV"
    says 'NQN=nqn.2024-11.io.weft:cnode1' nvme list-subsys
    says 'Maximum Queue Entries' nvme show-regs --human-readable "$CONTROLLER"
    nvme list --output-format=json | grep -q '"DevicePath":"/dev/nvme'
}

case_cli_logs() {
    one_namespace
    verify "$DEV" 4M
    says '^critical_warning[[:space:]]*: 0' nvme smart-log "$CONTROLLER"
    says 'Error Log Entries|error_count' nvme error-log "$CONTROLLER"
    says 'Firmware Log' nvme fw-log "$CONTROLLER"
    says 'Read' nvme effects-log "$CONTROLLER"
    says 'LID 0x2 ' nvme supported-log-pages "$CONTROLLER"
}

case_cli_features() {
    one_namespace
    says 'Current value' nvme get-feature "$CONTROLLER" --feature-id=7
    says 'Current value' nvme get-feature "$CONTROLLER" --feature-id=0xb
    nvme set-feature "$CONTROLLER" --feature-id=4 --value=0x160
    says '0x0*160' nvme get-feature "$CONTROLLER" --feature-id=4
}

# Commands that change or check blocks, on a disk that a file system does not use.
case_cli_blocks() {
    one_namespace
    dd if=/dev/urandom of=/tmp/data bs=4096 count=1 status=none
    nvme write "$DEV" --start-block=8 --block-count=7 --data-size=4096 --data=/tmp/data
    nvme read "$DEV" --start-block=8 --block-count=7 --data-size=4096 --data=/tmp/back
    cmp /tmp/data /tmp/back
    nvme compare "$DEV" --start-block=8 --block-count=7 --data-size=4096 --data=/tmp/data
    not nvme compare "$DEV" --start-block=9 --block-count=7 --data-size=4096 --data=/tmp/data
    nvme write-zeroes "$DEV" --start-block=8 --block-count=7
    nvme read "$DEV" --start-block=8 --block-count=7 --data-size=4096 --data=/tmp/back
    cmp -n 4096 /dev/zero /tmp/back
    nvme dsm "$DEV" --ad --slbs=8 --blocks=8
    nvme flush "$DEV"
}

# Copy, Verify, Write Uncorrectable.
case_cli_commands() {
    one_namespace
    dd if=/dev/urandom of=/tmp/data bs=4096 count=1 status=none
    nvme write "$DEV" --start-block=0 --block-count=7 --data-size=4096 --data=/tmp/data
    nvme copy "$DEV" --sdlba=64 --slbs=0,4 --blocks=3,3
    nvme read "$DEV" --start-block=64 --block-count=7 --data-size=4096 --data=/tmp/back
    cmp /tmp/data /tmp/back
    not nvme copy "$DEV" --sdlba=4 --slbs=0 --blocks=7
    nvme verify "$DEV" --start-block=0 --block-count=65535
    nvme write-uncor "$DEV" --start-block=128 --block-count=0
    not nvme read "$DEV" --start-block=128 --block-count=0 --data-size=512 --data=/tmp/back
    not nvme verify "$DEV" --start-block=128 --block-count=0
    says 'DSLBA: 0x0+80, NLB: 0x0+1,' nvme get-lba-status "$CONTROLLER" -n 1 --start-lba=0 --max-dw=63 --action=16 \
        --range-len=0
    nvme write "$DEV" --start-block=128 --block-count=0 --data-size=512 --data=/tmp/data
    says 'NLSD.*: *0' nvme get-lba-status "$CONTROLLER" -n 1 --start-lba=0 --max-dw=63 --action=17 --range-len=1000
    nvme verify "$DEV" --start-block=128 --block-count=0
    says 'Current value|timestamp|Timestamp' nvme get-feature "$CONTROLLER" --feature-id=0xe
}

# A zoned namespace: nvme-cli's commands, and fio on the kernel's zoned block device.
case_cli_zones() {
    t do weft_zoned_create --name Zoned0 --block_size 4096 --num_zones 16 --zone_size 1024
    t subsystem "$NQN"
    t add "$NQN" 1 Zoned0
    connect "$NQN"
    device "$NQN"
    CONTROLLER=/dev/$(controllers "$NQN")
    says '^zasl' nvme zns id-ctrl "$CONTROLLER"
    says '^mar' nvme zns id-ns "$DEV"
    says '^nr_zones: 16$' nvme zns report-zones "$DEV" --descs=2
    [ "$(cat "/sys/block/${DEV##*/}/queue/zoned")" = host-managed ]
    dd if=/dev/urandom of=/tmp/data bs=4096 count=1 status=none
    nvme zns zone-append "$DEV" --zslba=0 --data-size=4096 --data=/tmp/data
    nvme zns zone-append "$DEV" --zslba=0 --data-size=4096 --data=/tmp/data
    says 'WP: 0x2 ' nvme zns report-zones "$DEV" --descs=1
    nvme read "$DEV" --start-block=1 --block-count=0 --data-size=4096 --data=/tmp/back
    cmp /tmp/data /tmp/back
    nvme zns finish-zone "$DEV" --start-lba=0
    not nvme zns zone-append "$DEV" --zslba=0 --data-size=4096 --data=/tmp/data
    nvme zns reset-zone "$DEV" --select-all
    fio --name=zones --filename="$DEV" --zonemode=zbd --direct=1 --rw=write --bs=64k --size=16m --ioengine=psync \
        --verify=crc32c --do_verify=1
}

# Linux takes no metadata over TCP (it shows a disk of size 0): the target makes and checks the tuples for it.
case_protection() {
    t do bdev_malloc_create --name Safe0 --block_size 4096 --num_blocks 8192 --md_size 8 --md_interleave true --dif_type 1
    t subsystem "$NQN"
    t do nvmf_subsystem_add_ns --nqn "$NQN" --namespace '{"nsid":1,"bdev_name":"Safe0","hide_metadata":true}'
    connect "$NQN"
    device "$NQN"
    size_is "$DEV" 32
    verify "$DEV" 16M
    exercise_fs "$DEV" ext4
}

# The discovery service is found by multicast DNS, through the guest's avahi-daemon; not after it is stopped.
case_mdns() {
    local bus=/run/dbus/system_bus_socket
    mkdir -p /run/dbus /run/avahi-daemon
    cat >/tmp/bus.conf <<END
<busconfig><type>system</type><listen>unix:path=$bus</listen><auth>EXTERNAL</auth><policy context="default">
<allow user="*"/><allow own="*"/><allow send_destination="*"/><allow receive_sender="*"/></policy></busconfig>
END
    dbus-daemon --config-file=/tmp/bus.conf --fork --nopidfile
    echo 'avahi:x:100:100::/:/bin/false' >>/etc/passwd
    echo 'avahi:x:100:' >>/etc/group
    printf '[server]\nhost-name=target\nuse-ipv6=no\n[rlimits]\n' >/tmp/avahi.conf
    $TARGET_EXEC avahi-daemon --file=/tmp/avahi.conf --no-drop-root --no-chroot --no-rlimits >/tmp/avahi.log 2>&1 &
    wait_for 20 grep -q 'Server startup complete' /tmp/avahi.log || { cat /tmp/avahi.log; return 1; }
    not t do nvmf_publish_mdns_prr
    t subsystem "$NQN"
    t do nvmf_subsystem_add_listener --nqn discovery --listen_address \
        "{\"trtype\":\"TCP\",\"traddr\":\"$TARGET_ADDR\",\"trsvcid\":\"$TARGET_PORT\"}"
    t do nvmf_publish_mdns_prr
    target_rpc save_config | grep -q '"nvmf_publish_mdns_prr"'
    wait_for 120 finds_discovery || { cat /tmp/avahi.log; avahi-browse --resolve --parsable --terminate --all; return 1; }
    says '"p=tcp"' avahi-browse --resolve --parsable --terminate _nvme-disc._tcp
    says 'nqn=nqn.2014-08.org.nvmexpress.discovery' avahi-browse --resolve --parsable --terminate _nvme-disc._tcp
    t do nvmf_stop_mdns_prr
    wait_for 120 not finds_discovery
}
finds_discovery() { avahi-browse --resolve --parsable --terminate _nvme-disc._tcp | grep -q "^=.*;$TARGET_PORT;"; }

# TLS: the kernel asks tlshd for the handshake, which finds the key in the keyring by its identity.
TLS_KEY=NVMeTLSkey-1:01:VRLbtnN9AQb2WXW3c9+wEf/DRLz0QuLdbYvEhwtdWwNf9LrZ:
TLS_HOST=nqn.2014-08.org.nvmexpress:uuid:11111111-2222-4333-8444-555555555555

tls_host() { # starts tlshd once; keys of other cases do not count
    modprobe tls
    cat >/etc/tlshd.conf <<'END'
[debug]
loglevel=0
tls=0
nl=0
[authenticate]
keyrings=.nvme
END
    tlshd -s -c /etc/tlshd.conf >/tmp/tlshd.log 2>&1 &
    sleep 1
}

tls_target() {
    (umask 077 && echo "$TLS_KEY" >/tmp/psk)
    t ram Disk0 64
    t do nvmf_create_subsystem --nqn "$NQN"
    t add "$NQN" 1 Disk0
    t do keyring_file_add_key --name psk0 --path /tmp/psk
    t do nvmf_subsystem_add_host --nqn "$NQN" --host "$TLS_HOST" --psk psk0
    t do nvmf_subsystem_add_listener --nqn "$NQN" --secure_channel true --listen_address \
        "{\"trtype\":\"TCP\",\"traddr\":\"$TARGET_ADDR\",\"trsvcid\":\"$TARGET_PORT\"}"
}

case_tls() {
    local version
    tls_host
    tls_target
    not connect "$NQN" --hostnqn="$TLS_HOST" # without TLS
    for version in 0 1; do
        nvme check-tls-key --insert --identity=$version --hostnqn="$TLS_HOST" --subsysnqn="$NQN" --keydata="$TLS_KEY"
        connect "$NQN" --hostnqn="$TLS_HOST" --tls || { cat /tmp/tlshd.log; keyctl show %:.nvme; return 1; }
        device "$NQN"
        verify "$DEV" 16M
        exercise_fs "$DEV" ext4
        nvme disconnect -n "$NQN"
        keyctl clear %:.nvme
    done
    tls_and_authentication
}

# Both on one connection: the PSK alone is not enough any more.
tls_and_authentication() {
    local secret
    secret=$(nvme gen-dhchap-key --hmac=1 --nqn="$TLS_HOST")
    (umask 077 && echo "$secret" >/tmp/chap)
    t do keyring_file_add_key --name chap --path /tmp/chap
    t do nvmf_subsystem_set_keys --nqn "$NQN" --host "$TLS_HOST" --dhchap_key chap
    nvme check-tls-key --insert --identity=1 --hostnqn="$TLS_HOST" --subsysnqn="$NQN" --keydata="$TLS_KEY"
    not connect "$NQN" --hostnqn="$TLS_HOST" --tls
    connect "$NQN" --hostnqn="$TLS_HOST" --tls --dhchap-secret="$secret"
    device "$NQN"
    verify "$DEV" 16M
}

# In-band authentication with the kernel's host and nvme-cli's keys: one way, both ways, with another key, and a new key
# under a disk that is in use.
case_authentication() {
    local host keys=$TARGET_DIR/keys ours theirs other
    host=$(cat /etc/nvme/hostnqn)
    mkdir -m 0700 "$keys"
    ours=$(nvme gen-dhchap-key --hmac=1 --nqn="$host")
    theirs=$(nvme gen-dhchap-key --hmac=3 --nqn="$NQN")
    other=$(nvme gen-dhchap-key --hmac=0 --nqn="$host")
    (umask 077 && echo "$ours" >"$keys/host" && echo "$theirs" >"$keys/controller" && echo "$other" >"$keys/other")
    t ram Disk0 64
    t subsystem "$NQN"
    t add "$NQN" 1 Disk0
    for key in host controller other; do t do keyring_file_add_key --name "$key" --path "$keys/$key"; done
    t do nvmf_subsystem_add_host --nqn "$NQN" --host "$host" --dhchap_key host --dhchap_ctrlr_key controller
    not connect "$NQN"
    not connect "$NQN" --dhchap-secret="$other"
    not connect "$NQN" --dhchap-secret="$ours" --dhchap-ctrl-secret="$other"
    connect "$NQN" --dhchap-secret="$ours"
    device "$NQN"
    verify "$DEV" 4M
    nvme disconnect -n "$NQN"
    connect "$NQN" --dhchap-secret="$ours" --dhchap-ctrl-secret="$theirs"
    device "$NQN"
    verify "$DEV" 4M
    t do nvmf_subsystem_set_keys --nqn "$NQN" --host "$host" --dhchap_key other --dhchap_ctrlr_key controller
    verify "$DEV" 4M
    # Writing the secret into sysfs makes the kernel authenticate again.
    echo "$other" >"/sys/class/nvme/$(controllers "$NQN")/dhchap_secret"
    verify "$DEV" 4M
    nvme disconnect -n "$NQN"
    not connect "$NQN" --dhchap-secret="$ours"
    connect "$NQN" --dhchap-secret="$other"
}
