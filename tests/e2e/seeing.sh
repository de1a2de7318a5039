#!/bin/bash
# What is to be seen of a target under load: metrics, exact histograms, iostat, weft top on a real terminal, the log.
. "$(dirname "$0")/lib.sh"
metrics_port=$(free_port)

# http TARGET [METHOD]: status line, headers and body of an answer.
http() {
    exec 9<>"/dev/tcp/127.0.0.1/$metrics_port" || return 1
    printf '%s %s HTTP/1.0\r\n\r\n' "${2:-GET}" "$1" >&9
    timeout 10 cat <&9
    exec 9>&-
}
metric() { http /metrics | tr -d '\r' | grep -F -- "$1" | sed 's/.* //'; } # NAME-AND-LABELS
has() { grep -qE -- "$1"; }                                               # PATTERN on standard input

refused "a port that is none" 'ADDRESS:PORT' "$bin/weftd" -r "$sock" --metrics none
check "weftd serves metrics" start -m 0x1 --metrics "$metrics_port" -L bdev
check "a RAM disk" rpc bdev_malloc_create --name Malloc0 --block_size 4096 --num_blocks 4096
check "is exported" export_device Malloc0

check "what looked at it as it came is not counted" rpc bdev_reset_iostat --name Malloc0
check "histograms start" rpc bdev_enable_histogram --name Malloc0 --enable true
load() { "$bin/weft" perf "${target[@]}" -n "$nqn" -q 4 -o 4096 -w randrw -t "$1" --json; }
check "a load" load 1
[ "$(metric 'weft_transport_connections{')" = 0 ] && ok "connections end" || not_ok "connections end" "$(http /metrics | grep weft_transport_conn)"

reads=$(metric "weft_namespace_commands_total{subsystem=\"$nqn\",nsid=\"1\",op=\"read\"}")
timed=$(metric "weft_namespace_latency_seconds_count{subsystem=\"$nqn\",nsid=\"1\",op=\"read\"}")
disk=$(metric 'weft_bdev_operations_total{bdev="Malloc0",op="read"}')
host=$(http /metrics | grep -a '^weft_host_commands_total.*op="read"' | sed 's/.* //')
same="$reads commands, $timed latencies, $disk device reads, $host of the host"
if [ "${reads:-0}" -gt 100 ] && [ "$reads" = "$timed" ] && [ "$reads" = "$disk" ] && [ "$reads" = "$host" ]; then
    ok "namespace, histogram, device and host count the same reads"
else
    not_ok "namespace, histogram, device and host count the same reads" "$same"
fi
bytes=$(metric "weft_namespace_bytes_total{subsystem=\"$nqn\",nsid=\"1\",op=\"read\"}")
[ "$bytes" = $((reads * 4096)) ] && ok "their bytes" || not_ok "their bytes" "$bytes, $reads reads"

# The same reads by RPC: iostat and the exact histogram, decoded as the field's script does it.
rpc bdev_get_iostat --name Malloc0 >"$work/iostat.json"
rpc bdev_get_histogram --name Malloc0 >"$work/histogram.json"
check "iostat and the exact histogram agree" python3 - "$reads" "$work" <<'PYTHON'
import base64, json, sys
reads, work = int(sys.argv[1]), sys.argv[2]
bdev = json.load(open(work + "/iostat.json"))["bdevs"][0]
assert bdev["num_read_ops"] == reads, bdev
assert 0 < bdev["min_read_latency_ticks"] <= bdev["read_latency_ticks"] / reads <= bdev["max_read_latency_ticks"], bdev
h = json.load(open(work + "/histogram.json"))
counts = base64.b64decode(h["histogram"])
counts = [int.from_bytes(counts[at:at + 8], "little") for at in range(0, len(counts), 8)]
assert len(counts) == (h["max_range"] - h["min_range"] + 1) << h["granularity"], len(counts)
assert sum(counts) == reads + bdev["num_write_ops"], (sum(counts), bdev)
assert h["tsc_rate"] == 1_000_000_000
PYTHON

# A reader that is not ours.
http /metrics | sed '1,/^\r*$/d' >"$work/metrics.txt"
if python3 -c 'import prometheus_client' 2>/dev/null || /usr/bin/python3 -c 'import prometheus_client' 2>/dev/null; then
    python=python3
    $python -c 'import prometheus_client' 2>/dev/null || python=/usr/bin/python3
    check "Prometheus' own library reads it" $python - "$work/metrics.txt" <<'PYTHON'
import sys
from prometheus_client.parser import text_string_to_metric_families
families = list(text_string_to_metric_families(open(sys.argv[1]).read()))
assert len(families) > 50, len(families)
assert all(family.documentation and family.type != "unknown" for family in families)
PYTHON
else
    echo "skip Prometheus' own library reads it: python3-prometheus-client is not installed"
fi

refused "its port twice" 'in use' "$bin/weftd" -r "$work/other.sock" --metrics "$metrics_port"
http / | has 'Content-Security-Policy: default-src .none.;' && ok "the page forbids all that is not its own" || not_ok "the page forbids all that is not its own"
http /figures.json | has '"version":' && ok "figures as JSON" || not_ok "figures as JSON"
http /none | has '^HTTP/1.1 404' && ok "no such page" || not_ok "no such page"
http / POST | has '^HTTP/1.1 405' && ok "nothing but reading" || not_ok "nothing but reading"
rpc thread_get_stats >"$work/threads.json"
check "thread and reactor times are sane" python3 - "$work" "$(rpc framework_get_reactors)" <<'PYTHON'
import json, sys
threads = json.load(open(sys.argv[1] + "/threads.json"))["threads"]
reactors = json.loads(sys.argv[2])["reactors"]
group = next(t for t in threads if t["name"] == "nvmf_tgt_poll_group_000")
data = next(r for r in reactors if r["lcore"] == 0)
assert 0 < group["busy"] <= data["busy"], (group, data)
assert sum(t["busy"] for t in threads if t["name"] != "app_thread") <= data["busy"] * 1.01
assert group["active_pollers_count"] == 1
PYTHON

# weft top, for scripts and on a terminal.
"$bin/weft" top -s "$sock" --once -d 0.2 -v bdevs | has '^Malloc0 ' && ok "weft top --once" || not_ok "weft top --once"
refused "a view that is none" 'there is no such view' "$bin/weft" top -s "$sock" --once -v nothing
refused "a column that is none" 'has the columns' "$bin/weft" top -s "$sock" --once --sort nothing
refused "no server" 'Is weftd running' "$bin/weft" top -s "$work/none.sock" --once
refused "no terminal" 'no terminal.*--once' "$bin/weft" top -s "$sock"
if command -v tmux >/dev/null; then
    tm() { tmux -L "weft-e2e-$$" -f /dev/null "$@"; }
    shown() { # PATTERN: it comes onto the screen within ten seconds
        local tries
        for tries in $(seq 100); do
            tm capture-pane -p | grep -qE -- "$1" && return 0
            sleep 0.1
        done
        tm capture-pane -p
        return 1
    }
    load 20 >/dev/null 2>&1 &
    load_pid=$!
    tm new-session -d -x 80 -y 24 "stty -a | tail -n +2 >$work/before; $bin/weft top -s $sock -d 0.2; echo LEFT \$?; stty -a | tail -n +2 >$work/after; exec sleep 60"
    check "top draws namespaces with their rates" shown "~?.*spdk:cnode1 +1 Malloc0 +[0-9.]+k"
    tm send-keys 6
    check "views by number" shown '^nvmf_tgt_poll_group_000 +reactor_0'
    tm send-keys 2 /
    tm send-keys nothing
    check "a filter" shown 'filter: nothing_'
    tm send-keys Escape
    check "let go" shown '^Malloc0 '
    tm send-keys p
    check "a pause" shown PAUSED
    tm send-keys p
    tm resize-window -x 50 -y 10
    check "follows a smaller window" shown '^bdev'
    [ "$(tm capture-pane -p | awk '{ if (length > 50) n++ } END { print n + 0 }')" = 0 ] && ok "within its columns" || not_ok "within its columns"
    tm resize-window -x 120 -y 30
    check "and a larger one" shown 'q quit'
    tm send-keys '?'
    check "its keys" shown 'Shift-Tab'
    tm send-keys x q
    check "leaves" shown 'LEFT 0'
    cmp -s "$work/before" "$work/after" && ok "and gives the terminal back" || not_ok "and gives the terminal back" "$(diff "$work/before" "$work/after")"
    for way in TERM ABRT; do
        tm kill-server 2>/dev/null
        sleep 0.2
        tm new-session -d -x 80 -y 24 "stty -a | tail -n +2 >$work/before; sh -c 'echo \$\$ >$work/top; exec $bin/weft top -s $sock'; stty -a | tail -n +2 >$work/after; echo LEFT; exec sleep 60"
        shown 'q quit' >/dev/null
        kill -"$way" "$(cat "$work/top")"
        check "leaves at SIG$way" shown '^LEFT'
        cmp -s "$work/before" "$work/after" && ok "with the terminal as it was ($way)" || not_ok "with the terminal as it was ($way)"
    done
    tm kill-server 2>/dev/null
    kill "$load_pid" 2>/dev/null
    wait "$load_pid" 2>/dev/null
else
    echo "skip weft top on a terminal: tmux is not installed (scripts/setup test)"
fi

grep -q '\*INFO\*: bdev "Malloc0": Malloc disk' "$work/log" && ok "-L bdev lets it talk" || not_ok "-L bdev lets it talk"
check "log flags by RPC" rpc log_set_flag --flag nvmf_tcp
refused "an unknown one" 'no such log flag' rpc log_set_flag --flag nothing
"$bin/weftd" --help | grep -A1 -- --logflag | tr -d '\n' | has 'all, bdev, nvmf, nvmf_tcp, +rpc' && ok "-h lists the flags" || not_ok "-h lists the flags" "$("$bin/weftd" --help | grep -A2 -- --logflag)"
check "stops" stop
: >"$work/log"
check "starts with a JSON log" start --log-format json
check "stops again" rpc spdk_kill_instance --sig_name SIGTERM
for tries in $(seq 50); do kill -0 "$(target_pid)" 2>/dev/null || break; sleep 0.1; done
check "every line is an object" python3 - "$work/log" <<'PYTHON'
import json, sys
lines = [json.loads(line) for line in open(sys.argv[1])]
assert lines and all({"time", "level", "file", "line", "function", "message"} == set(line) for line in lines), lines
assert lines[-1]["message"] == "stopped in order", lines[-1]
PYTHON
finish
