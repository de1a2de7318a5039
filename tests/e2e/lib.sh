# Shared by the scripts of this folder: start a weftd of one's own, ask it things, and say how each check went.
# Each script prints "ok NAME", "not ok NAME" or "skip NAME reason" a check, and ends with `finish`.
# Environment: WEFT_BIN, the folder with weftd and weft.
set -uo pipefail
bin=${WEFT_BIN:-$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)/build/release/bin}
work=$(mktemp -d "${TMPDIR:-/tmp}/weft-e2e.XXXXXX")
sock=$work/rpc.sock
nqn=nqn.2016-06.io.spdk:cnode1
failures=0

# The target's process id, in a file: what starts it may be a subshell.
target_pid() { cat "$work/pid" 2>/dev/null; }
cleanup() {
    kill -KILL $(target_pid) 2>/dev/null
    umount "$work/small" 2>/dev/null
    rm -rf "$work"
}
trap cleanup EXIT

ok() { echo "ok $1"; }
not_ok() {
    echo "not ok $1"
    [ -z "${2:-}" ] || printf '%s\n' "$2" | tail -20 | sed 's/^/# /'
    failures=$((failures + 1))
}
finish() { [ "$failures" = 0 ]; }

# check NAME COMMAND...: the command succeeds.
check() {
    local name=$1 out
    shift
    if out=$("$@" 2>&1); then ok "$name"; else not_ok "$name" "$out"; fi
}
# is NAME EXPECTED FOUND: the two are the same text.
is() {
    if [ "$2" = "$3" ]; then ok "$1"; else not_ok "$1" "it is: $3"; fi
}
# refused NAME PATTERN COMMAND...: the command fails, and says something that matches PATTERN.
refused() {
    local name=$1 pattern=$2 out
    shift 2
    if out=$("$@" 2>&1); then
        not_ok "$name" "it succeeded: $out"
    elif grep -qE -- "$pattern" <<<"$out"; then
        ok "$name"
    else
        not_ok "$name" "it failed without saying /$pattern/: $out"
    fi
}

# A port that nobody listens on now.
free_port() {
    local port
    for port in $(shuf -i 20000-29999 -n 50); do
        (: <>"/dev/tcp/127.0.0.1/$port") 2>/dev/null || { echo "$port"; return; }
    done
}
port=$(free_port)

rpc() { "$bin/weft" rpc -s "$sock" "$@"; }
target=(-a 127.0.0.1 -s "$port")

# start [OPTIONS...]: weftd, or the target that `program` names, on our socket; returns when it answers.
start() {
    "${program:-$bin/weftd}" -r "$sock" "$@" >>"$work/log" 2>&1 </dev/null &
    local pid=$! tries
    echo "$pid" >"$work/pid"
    disown
    for tries in $(seq 300); do
        rpc spdk_get_version >/dev/null 2>&1 && return 0
        kill -0 "$pid" 2>/dev/null || break
        sleep 0.1
    done
    echo "${program:-weftd} did not come up:"
    tail -5 "$work/log"
    return 1
}
# stop: SIGTERM; succeeds when it ends in order (its last line says so) within fifteen seconds.
stop() {
    local pid tries
    pid=$(target_pid)
    kill -TERM "$pid" || return 1
    if grep -a 'not on its list' "$work/log"; then return 1; fi  # a system call that was forgotten
    for tries in $(seq 150); do
        if ! kill -0 "$pid" 2>/dev/null; then
            tail -1 "$work/log" | grep -q 'stopped in order' && return 0
            echo "weftd did not end in order:"
            tail -5 "$work/log"
            return 1
        fi
        sleep 0.1
    done
    echo "weftd does not stop"
    return 1
}
kill_hard() {
    local pid
    pid=$(target_pid)
    kill -KILL "$pid"
    while kill -0 "$pid" 2>/dev/null; do sleep 0.05; done
}

# hup PATTERN: SIGHUP, and what the log must say then.
hup() {
    local before tries
    before=$(grep -cE "$1" "$work/log")
    kill -HUP "$(target_pid)"
    for tries in $(seq 50); do
        [ "$(grep -cE "$1" "$work/log")" -gt "$before" ] && return 0
        sleep 0.1
    done
    tail -5 "$work/log"
    return 1
}

# export_device BDEV: transport (if there is none), subsystem, namespace, listener.
export_device() {
    rpc nvmf_get_transports --trtype TCP >/dev/null 2>&1 || rpc nvmf_create_transport --trtype TCP >/dev/null || return 1
    rpc nvmf_create_subsystem --nqn "$nqn" --allow_any_host true --serial_number E2E >/dev/null &&
        rpc nvmf_subsystem_add_ns --nqn "$nqn" --namespace "{\"bdev_name\":\"$1\"}" >/dev/null &&
        rpc nvmf_subsystem_add_listener --nqn "$nqn" --listen_address \
            "{\"trtype\":\"TCP\",\"adrfam\":\"IPv4\",\"traddr\":\"127.0.0.1\",\"trsvcid\":\"$port\"}" >/dev/null
}
