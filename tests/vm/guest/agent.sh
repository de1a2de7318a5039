#!/bin/bash
# agent.sh - in the guest: runs the cases that /host/plan names and reports to
# the runner over the wire (the protocol is in vm.sh).  After a failure the
# guest ends; the runner boots a fresh one for the cases left.
#
#   agent.sh         run all cases of the plan
#   agent.sh NAME    run one: a process of its own, which ends at the first error
#
# The plan sets: TARGET (weftd, nvmet, or remote: weftd on the host's machine),
# SET, CASES, and what the target's verbs need (TARGET_*, WEFT*).
# shellcheck disable=SC1090,SC1091
set -uo pipefail
. /host/plan
exec 7<>/dev/ttyS1

tell() { printf '%s\n' "$*" >&7; }

# ask VERB [ARG...]: the runner carries out a verb of the target; words without blanks.
ask() {
    local id=$EPOCHREALTIME answer status text
    tell ask "$id" "$@"
    while read -r -t 90 -u 7 answer status text; do
        [ "$answer" = "$id" ] || continue
        [ -z "$text" ] || echo "host: $text"
        return "$status"
    done
    echo "the host does not answer: $*"
    return 1
}

# t VERB [ARG...]: a verb of the target, wherever it runs.
if [ "$TARGET" = remote ]; then
    t() { echo "+ target $*"; ask "$@"; }
else
    . "/host/target-$TARGET.sh"
    t() { echo "+ target $*"; "target_$1" "${@:2}"; }
fi
. /host/lib.sh
. "/host/$SET.sh"

case_must_fail() { false; true; }

one() {
    set -Ee
    trap 'echo "! ${BASH_SOURCE[0]##*/}:$LINENO: $BASH_COMMAND"' ERR
    t start
    "case_$1"
    leave
    t stop
}

state() { # for the log of a failed case
    echo '--- connections'
    timeout 10 nvme list-subsys
    echo '--- kernel'
    dmesg | tail -n 60
    if [ -e "$TARGET_DIR/log" ]; then
        echo '--- target'
        tail -n 60 "$TARGET_DIR/log"
    fi
}

run_case() {
    local log=/host/log/$1.log status=0
    tell case "$1"
    dmesg -c >/dev/null
    bash /host/agent.sh "$1" >"$log" 2>&1 || status=$?
    if dmesg | grep -E 'WARNING:|BUG:|Oops|blocked for more than' >>"$log"; then status=1; fi
    if [ $status = 0 ]; then
        tell pass "$1"
        return 0
    fi
    state >>"$log" 2>&1
    tell fail "$1"
    return 1
}

all() {
    ask hello || exit 1
    if [ -d /host/weft ]; then cp -r /host/weft "$WEFT_BIN"; fi
    modprobe nvme-tcp
    nvme gen-hostnqn >/etc/nvme/hostnqn
    sed 's/.*uuid://' /etc/nvme/hostnqn >/etc/nvme/hostid
    setup
    if bash /host/agent.sh must_fail; then
        tell broken "errors of a case go unnoticed"
        exit 1
    fi
    t stop
    for case in $CASES; do
        run_case "$case" || break
    done
    tell end
    sleep 1
}

if [ $# = 0 ]; then all; else one "$1"; fi
