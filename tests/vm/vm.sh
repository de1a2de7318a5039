# vm.sh - boots a test guest and serves its wire; sourced by run.
#
# The wire is the guest's second serial port, two named pipes here.  One line
# is one message; words are separated by blanks:
#   guest: case NAME               this case begins
#          pass NAME / fail NAME   and has ended
#          ask ID VERB [ARG...]    carry out a verb of the target
#          broken TEXT             the guest cannot work
#          end                     no case is left, or one failed
#   host:  ID STATUS TEXT          the answer to a verb
# The first message is `ask ID hello`.  Whoever is silent too long loses: a
# guest that does not come up, or a case that takes too long, is ended from
# here; the guest waits a limited time for an answer.
#
# Uses work and guest (kernel and initramfs), and calls the runner's
# case_passed NAME TENTHS-OF-A-SECOND and case_failed NAME.
# shellcheck shell=bash disable=SC2154

vm_boot_limit=${WEFT_VM_BOOT_LIMIT:-300} # seconds
vm_case_limit=${WEFT_VM_CASE_LIMIT:-300}
vm_pid=''

# vm_boot CPUS MIB CONSOLE [KERNEL-ARGUMENT...]: a guest that sees $work/share as /host
vm_boot() {
    local cpus=$1 mib=$2 console=$3
    shift 3
    rm -f "$work"/{wire,monitor}.{in,out}
    mkfifo "$work"/{wire,monitor}.{in,out}
    # both ends open here: nobody blocks, nobody sees an end of file
    exec {vm_to}<>"$work/wire.in" {vm_from}<>"$work/wire.out" {vm_monitor}<>"$work/monitor.in" {vm_drain}<>"$work/monitor.out"
    # no_timer_check: on a busy machine the emulated timer can miss the kernel's
    # check of it.  hardened_usercopy stops a kernel that receives what it sent
    # itself from a huge page, as it does with both ends in one guest.  TCG even where /dev/kvm is: it may be there and not work.
    qemu-system-x86_64 \
        -nodefaults -no-user-config -no-reboot -display none \
        -machine q35,usb=off -accel tcg,thread=multi -cpu max -smp "$cpus" -m "$mib" \
        -kernel "$guest/kernel" -initrd "$guest/initrd" \
        -append "console=ttyS0 loglevel=4 no_timer_check panic=-1 oops=panic nokaslr mitigations=off hardened_usercopy=off random.trust_cpu=on sysrq_always_enabled watchdog_thresh=60 $*" \
        -chardev "file,id=console,path=$console" -serial chardev:console \
        -chardev "pipe,id=wire,path=$work/wire" -serial chardev:wire \
        -chardev "pipe,id=monitor,path=$work/monitor" -mon chardev=monitor,mode=readline \
        -virtfs "local,path=$work/share,mount_tag=host,security_model=none,multidevs=remap" \
        -netdev user,id=net,ipv6=off -device virtio-net-pci,netdev=net,romfile= -device virtio-rng-pci \
        </dev/null >"$work/qemu.out" 2>&1 &
    vm_pid=$!
}

vm_halt() {
    [ -n "$vm_pid" ] || return 0
    kill -KILL "$vm_pid" 2>/dev/null || true
    wait "$vm_pid" 2>/dev/null || true
    vm_pid=''
    exec {vm_to}>&- {vm_from}>&- {vm_monitor}>&- {vm_drain}>&-
}

# The console then tells what every task and processor was doing.
vm_explain_hang() {
    local key
    for key in 8 w l; do
        echo "sendkey alt-sysrq-$key" >&"$vm_monitor"
        sleep 2
    done
}

# vm_receive LIMIT: the guest's next line into vm_line; status 1 if the guest is
# gone, 2 if it was silent until SECONDS reached LIMIT
vm_receive() {
    local part
    vm_line=''
    while :; do
        if IFS= read -r -t 1 -u "$vm_from" part; then
            vm_line+=${part%$'\r'}
            return 0
        fi
        vm_line+=$part
        kill -0 "$vm_pid" 2>/dev/null || return 1
        [ $SECONDS -lt "$1" ] || return 2
    done
}

vm_answer() { # ID VERB [ARG...]
    local id=$1 status=0
    shift
    if [ "$1" = hello ]; then
        :
    elif declare -F "target_$1" >/dev/null; then
        "target_$1" "${@:2}" >"$work/answer" 2>&1 || status=$?
    else
        echo "no verb $1" >"$work/answer"
        status=1
    fi
    echo "$id $status $(tail -c 400 "$work/answer" | tr '\n\r' '  ')" >&"$vm_to"
    : >"$work/answer"
}

# vm_serve CONSOLE: until the guest has ended.  Status 1 if it never said hello.
vm_serve() {
    local console=$1 case='' began=0 deadline=$((SECONDS + vm_boot_limit)) hello=0 status words
    : >"$work/answer"
    while :; do
        status=0
        vm_receive "$deadline" || status=$?
        if [ $status != 0 ]; then
            [ $status = 1 ] || vm_explain_hang
            if [ -n "$case" ]; then
                cat "$console" >>"$work/share/log/$case.log"
                case_failed "$case"
            fi
            break
        fi
        read -ra words <<<"$vm_line"
        case ${words[0]:-} in
        ask)
            hello=1
            vm_answer "${words[@]:1}"
            ;;
        case)
            case=${words[1]} began=${EPOCHREALTIME/./}
            deadline=$((SECONDS + vm_case_limit))
            ;;
        pass)
            case_passed "$case" $(((${EPOCHREALTIME/./} - began) / 100000))
            case=''
            ;;
        fail)
            case_failed "$case"
            case=''
            ;;
        end) break ;;
        broken) echo "${words[*]}" >>"$console"; break ;;
        *) echo "wire: $vm_line" >>"$console" ;;
        esac
    done
    vm_halt
    [ $hello = 1 ]
}
