#!/bin/bash
# In the guest, as a unit of systemd: uses the installed package, removes it, and says how each check went.
sock=/run/weft/rpc.sock
nqn=nqn.2016-06.io.spdk:cnode1

check() { # NAME COMMAND...
    local name=$1 out
    shift
    if out=$("$@" 2>&1); then
        echo "ok $name"
    else
        echo "not ok $name"
        printf '%s\n' "$out" | tail -8 | sed 's/^/# /'
    fi
}
sh() { bash -c "$1"; }
wait_active() {
    for _ in $(seq 100); do
        [ "$(systemctl is-active weft)" = active ] && return 0
        sleep 0.2
    done
    systemctl status weft --no-pager | grep -E 'Active|Main PID'
    journalctl _SYSTEMD_UNIT=weft.service -o cat --no-pager | tail -6 # what it said itself
    return 1
}
rpc() { weft rpc -s $sock "$@"; }
export -f rpc wait_active
export sock nqn

check "PID 1 is systemd" grep -qx systemd /proc/1/comm
check "apt installed it without a word of warning" sh '! grep -iE "warn|error|fail" /opt/checks/install.log'
check "the unit is enabled and started at boot" wait_active
check "it runs as its own user" sh '[ "$(ps -o user= -C weftd 2>/dev/null || stat -c %U /proc/$(systemctl show -p MainPID --value weft))" = weft ]'
check "without a capability" sh 'grep -q "^CapEff:.0000000000000000" /proc/$(systemctl show -p MainPID --value weft)/status'
check "systemd finds its sandbox tight" sh '[ "$(systemd-analyze security --no-pager weft | sed -n "s/.*Overall exposure level for weft.service: \([0-9]*\)\..*/\1/p")" -le 2 ]'
check "it answers" rpc spdk_get_version
check "a transport" rpc nvmf_create_transport --trtype tcp
check "a RAM disk" rpc bdev_malloc_create --name Malloc0 --block_size 512 --num_blocks 65536
check "a file as a disk" sh 'truncate -s 16M /var/lib/weft/disk && chown weft /var/lib/weft/disk && rpc bdev_aio_create --name File0 --filename /var/lib/weft/disk --block_size 512'
check "a subsystem" rpc nvmf_create_subsystem --nqn $nqn --allow_any_host true --serial_number PACKAGE
check "its namespaces" sh 'rpc nvmf_subsystem_add_ns --nqn $nqn --namespace "{\"bdev_name\":\"Malloc0\"}" && rpc nvmf_subsystem_add_ns --nqn $nqn --namespace "{\"bdev_name\":\"File0\"}"'
check "a listener" rpc nvmf_subsystem_add_listener --nqn $nqn --listen_address '{"trtype":"TCP","traddr":"127.0.0.1","trsvcid":"4420","adrfam":"IPv4"}'
check "a host reads what it wrote, in memory" weft io verify -a 127.0.0.1 -s 4420 -n $nqn --nsid 1 --length 4M
check "and in the file" weft io verify -a 127.0.0.1 -s 4420 -n $nqn --nsid 2 --length 4M
before=$(rpc nvmf_get_subsystems)
check "it is restarted after a crash" sh 'systemctl kill -s KILL weft; sleep 2; wait_active'
check "and is the same target" [ "$(rpc nvmf_get_subsystems)" = "$before" ]
mkdir -p /run/systemd/system/weft.service.d
printf '[Service]\nWatchdogSec=4\n' >/run/systemd/system/weft.service.d/fast.conf
systemctl daemon-reload
check "the watchdog hears it" sh 'systemctl restart weft && wait_active && sleep 9 && [ "$(systemctl show -p NRestarts --value weft)" = 0 ]'
check "a hung one is started anew" sh 'kill -STOP $(systemctl show -p MainPID --value weft); for i in $(seq 60); do [ "$(systemctl show -p NRestarts --value weft)" -ge 1 ] && break; sleep 0.5; done; wait_active && rpc spdk_get_version'
check "a stop is in order" sh 'systemctl stop weft && journalctl -u weft -o cat | grep -q "stopped in order" && [ "$(systemctl show -p Result --value weft)" = success ]'
for page in weft weft-io weftd; do check "the manual has $page" sh "man $page | grep -q SYNOPSIS"; done
check "bash completes" bash -ic '. /usr/share/bash-completion/bash_completion; . /usr/share/bash-completion/completions/weft; COMP_WORDS=(weft per) COMP_CWORD=1; _weft; [ "${COMPREPLY[*]}" = perf ]'
check "the field's names are there" sh '/usr/lib/weft/nvmf_tgt --version && /usr/lib/weft/rpc.py --help >/dev/null'
files=$(dpkg -L weft | while read -r file; do [ -d "$file" ] || echo "$file"; done)
check "it is removed" apt-get remove -y weft
check "with its files and its unit" sh "! ls $(echo $files) 2>/dev/null | grep . && ! systemctl cat weft 2>/dev/null"
check "and its state is kept" test -d /var/lib/weft/state
check "until it is purged; disks stay" sh 'apt-get purge -y weft && [ ! -e /var/lib/weft/state ] && [ -e /var/lib/weft/disk ]'
echo end
sync
systemctl poweroff
