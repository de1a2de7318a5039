# stacks.sh - devices that stand on others, below a kernel that checks what it wrote: every module's data are right; then
# what they stand on goes while the kernel is at work, which neither the target nor a neighbour minds; then they are made
# again. The target is in the guest (Debian 13's), in a network namespace. Sourced by the agent; every case_NAME is a case,
# run in this order, each with a fresh target.
# shellcheck shell=bash disable=SC2034

ADDR=$TARGET_ADDR
TARGET_EXEC="nsenter --net=/run/netns/target"

setup() { target_in_namespace; }

bdevs() { target_rpc bdev_get_bdevs | sed -n 's/^        "name": "\(.*\)",$/\1/p' | sort | xargs; }
bdevs_are() { [ "$(bdevs)" = "$(printf '%s\n' "$@" | sort | xargs)" ]; } # NAME...
ram() { printf 'bdev_malloc_create -b %s '"$1"' 512\n' "${@:2}" | t do_all; } # MIB NAME...
lose() { printf 'bdev_malloc_delete %s\n' "$@" | t do_all; } # NAME...: of ram's

# Namespace 1 is a disk that nothing happens to; sets STEADY, and FREE, the next namespace to use.
steady_disk() {
    t ram Steady 8
    t subsystem "$NQN"
    t add "$NQN" 1 Steady
    connect "$NQN"
    device "$NQN"
    STEADY=$DEV FREE=2
}

show() { # BDEV...: as namespaces of the connected subsystem; sets DEVICES, in the same order
    local bdev nsid=$FREE
    for bdev; do echo "nvmf_subsystem_add_ns $NQN $bdev -n $((nsid++))"; done | t do_all
    DEVICES=()
    for bdev; do
        device "$NQN" $((FREE++))
        DEVICES+=("$DEV")
    done
}

keep_verifying() { # DEVICE: until /tmp/enough is there; fails at the first wrong block
    local rounds=0
    while [ ! -e /tmp/enough ]; do
        verify "$1" 2M || return 1
        rounds=$((rounds + 1))
    done
    step "$rounds rounds on $1"
}

written() { local figures; read -ra figures <"/sys/block/${1##*/}/stat"; echo "${figures[4]}"; } # DEVICE: how often
at_work() { [ "$(written "$1")" -gt "${WRITTEN[$1]}" ]; }
still_written() { # DEVICE...
    local dev
    for dev; do WRITTEN[$dev]=$(written "$dev"); done
    for dev; do wait_for 30 at_work "$dev"; done
}
begin_loads() { # [fio's options...]: on DEVICES, and one that verifies on STEADY; returns when all of them are at work
    local dev jobs=()
    declare -gA WRITTEN=()
    rm -f /tmp/enough
    keep_verifying "$STEADY" &
    NEIGHBOUR=$!
    for dev in "${DEVICES[@]}"; do
        WRITTEN[$dev]=$(written "$dev")
        jobs+=(--name="load-${dev##*/}" --filename="$dev")
    done
    fio --direct=1 --ioengine=libaio --iodepth=4 --rw=randrw --bs=4k --time_based --runtime=120 --rate_iops=50 --thread "$@" \
        "${jobs[@]}" >/tmp/loads 2>&1 &
    LOADS=$!
    for dev in "${DEVICES[@]}"; do wait_for 30 at_work "$dev"; done
    step "at work: ${DEVICES[*]}"
}
end_loads() { # DEVICES are gone from the host, each load ended with an error, the neighbour's did not
    local dev
    for dev in "${DEVICES[@]}"; do wait_for 30 not [ -b "$dev" ]; done
    not wait "$LOADS"
    grep ': err=' /tmp/loads
    [ "$(grep -c '^load-.*: err= *[1-9]' /tmp/loads)" = ${#DEVICES[@]} ]
    touch /tmp/enough
    wait "$NEIGHBOUR"
    [ "$(target_rpc nvmf_get_subsystems --nqn "$NQN" | grep -c '"nsid"')" = 1 ]
}

# Each on a disk of its own, beside disks on which nothing stands. The disk goes, and comes back: what waits for it comes
# with it.
case_virtual_bdevs() {
    local shown=(EE_Faulty Halvesp0 Halvesp1 Late Same Secret Bare Kept) below=(Plain Slow Faulty Halves Hidden) round
    steady_disk
    truncate -s 16M "$TARGET_DIR/kept.img"
    t do_all <<-END
	bdev_passthru_create -b Plain -p Same
	bdev_delay_create -b Slow -d Late -r 100 -t 3000 -w 200 -n 5000
	bdev_error_create Faulty
	bdev_split_create Halves 2
	accel_crypto_key_create -c AES_XTS -n disk -k 00112233445566778899aabbccddeeff -e ffeeddccbbaa99887766554433221100
	bdev_crypto_create Hidden Secret -n disk
	END
    for round in first second; do
        ram 16 "${below[@]}" Bare
        t do_all <<-END
	bdev_aio_create $TARGET_DIR/kept.img Kept 4096
	bdev_null_create Void 16 512
	END
        bdevs_are Steady "${below[@]}" "${shown[@]}" Void
        show "${shown[@]}" Void
        verify "${DEVICES[*]:0:8}" 2M
        [ $round = first ] || break
        begin_loads
        lose "${below[@]}" Bare
        printf '%s\n' 'bdev_aio_delete Kept' 'bdev_null_delete Void' | t do_all
        end_loads
        bdevs_are Steady
    done
}

# One disk of each goes, which mirror and parity do without; then another.
case_raid_levels() {
    local all=(Mirror Parity Row Stripes) round
    steady_disk
    ram 16 A{0,1,2} B{0,1,2} C{0,1}
    ram 32 D{0,1}
    for round in first second; do
        t do_all <<-END
	bdev_raid_create -n Stripes -r raid0 -z 16 -b 'A0 A1 A2'
	bdev_raid_create -n Parity -r raid5f -z 16 -b 'B0 B1 B2'
	bdev_raid_create -n Row -r concat -z 16 -b 'C0 C1'
	bdev_raid_create -n Mirror -r raid1 -b 'D0 D1'
	END
        show "${all[@]}"
        size_is "${DEVICES[1]}" 32
        verify "${DEVICES[*]}" 3M --offset=14M --bssplit=32k/100 # over the border of two disks
        [ $round = first ] || break
        not dd if=/dev/zero of="${DEVICES[1]}" bs=4k count=1 oflag=direct # not a whole stripe
        begin_loads --bs=32k
        lose B0 D0
        bdevs_are Steady A{0,1,2} B{1,2} C{0,1} D1 "${all[@]}"
        still_written "${DEVICES[@]:0:2}"
        lose A2 B1 C1 D1
        end_loads
        bdevs_are Steady A{0,1} B2 C0
        [ "$(target_rpc bdev_get_bdevs | grep -c '"claimed": true')" = 1 ] # Steady
        printf 'bdev_raid_delete %s\n' "${all[@]}" | t do_all
        ram 16 A2 B{0,1} C1
        ram 32 D{0,1}
    done
}

# A table by sfdisk, through a namespace: found when the disk is shown no more.
case_partitions() {
    local type=6527994e-2c5a-4eec-9613-8f5944074e8b round
    steady_disk
    for round in first second; do
        ram 16 Whole
        show Whole
        printf '%s\n' 'label: gpt' "size=4MiB, type=$type" "size=1MiB, type=linux" "size=6MiB, type=$type" |
            sfdisk --quiet "${DEVICES[0]}"
        wait_for 10 [ -b "${DEVICES[0]}p3" ]
        dd if=/dev/urandom of=/tmp/pattern bs=64k count=8 status=none
        dd if=/tmp/pattern of="${DEVICES[0]}p3" bs=64k oflag=direct status=none
        t remove "$NQN" $((FREE - 1))
        wait_for 20 not [ -b "${DEVICES[0]}" ]
        t do bdev_examine --name Whole
        bdevs_are Steady Whole Wholep{1,3}
        show Wholep{1,3}
        size_is "${DEVICES[0]}" 4
        size_is "${DEVICES[1]}" 6
        dd if="${DEVICES[1]}" bs=64k count=8 iflag=direct status=none | cmp - /tmp/pattern
        verify "${DEVICES[*]}" 2M
        [ $round = first ] || break
        begin_loads
        lose Whole
        end_loads
        bdevs_are Steady
    done
}

# Zones on a plain disk, for the kernel's zoned block device.
case_zoned_face() {
    local round zones=(--rw=write --bssplit=32k/100 --zonemode=zbd --iodepth=1)
    steady_disk
    t do bdev_zone_block_create -b Zones -n Flat -z 1984 -o 8 # of 1 MiB, of which 31 times 32 KiB can be written
    for round in first second; do
        ram 16 Flat
        show Zones
        [ "$(cat "/sys/block/${DEVICES[0]##*/}/queue/zoned")" = host-managed ]
        nvme zns report-zones "${DEVICES[0]}" >/tmp/zones
        [ "$(grep -c 'Cap: 0x7c0 .*State: 0xe0' /tmp/zones)" = 16 ] || { cat /tmp/zones; return 1; } # all full
        verify "${DEVICES[0]}" 4M "${zones[@]}"
        [ $round = first ] || break
        begin_loads "${zones[@]}"
        lose Flat
        end_loads
        bdevs_are Steady
    done
}

counts_errors() { # NUMBER DEVICE READ-OR-WRITE: the host is told of so many in its first 4 MiB
    fio --name=errors --filename="$2" --size=4M --direct=1 --ioengine=libaio --iodepth=8 --bs=4k --rw="$3" \
        --continue_on_error=all --thread >/tmp/fio.errors 2>&1 || true
    grep -q "errors *: total=$1, first_error=" /tmp/fio.errors || { cat /tmp/fio.errors; return 1; }
    step "$1 errors in ${3}s"
}
fault() { t do bdev_error_inject_error EE_Faulty "$@"; } # OP KIND [options...]
reads_as() { dd if="$1" bs="$2" count=1 iflag=direct status=none | cmp - "$3"; } # DEVICE BYTES FILE

# As many errors reach the host as were asked for, no more, and what it has written is there.
case_injected_errors() {
    local dev retries=/sys/module/nvme_core/parameters/max_retries
    steady_disk
    ram 16 Faulty
    t do bdev_error_create Faulty
    show EE_Faulty
    dev=${DEVICES[0]}
    dd if=/dev/urandom of=/tmp/old bs=1M count=4 status=none
    dd if=/dev/urandom of=/tmp/new bs=4k count=1 status=none
    dd if=/tmp/old of="$dev" bs=1M oflag=direct status=none
    fault read failure -n 3
    reads_as "$dev" 4M /tmp/old # the kernel tries again
    echo 0 >$retries
    fault read failure -n 7
    counts_errors 7 "$dev" read
    reads_as "$dev" 4M /tmp/old
    fault write failure
    not dd if=/tmp/new of="$dev" bs=4k oflag=direct
    reads_as "$dev" 4M /tmp/old
    dd if=/tmp/new of="$dev" bs=4k oflag=direct status=none
    reads_as "$dev" 4k /tmp/new
    fault write failure -n 5
    counts_errors 5 "$dev" write
    fault read nvme_failure --nvme-sct 2 --nvme-sc 129
    not dd if="$dev" of=/dev/null bs=4k count=1 iflag=direct 2>/tmp/dd.said
    grep 'No data available' /tmp/dd.said # what the kernel makes of a medium error
    fault write corrupt_data -o 100 -v 1
    not verify "$dev" 1M
    fault all nomem -n 20
    verify "$dev" 2M
    echo 5 >$retries
}
