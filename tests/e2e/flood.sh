#!/bin/bash
# Release only: a sanitizer has memory of its own, which is no measure.
# Storms of connections, descriptors that run out, and a log that somebody tries to fill. flood.sh --full takes minutes:
# it has the sizes whose figures are in docs/reliability/bounds.md.
# Alone: it measures.
. "$(dirname "$0")/lib.sh"
here=$(dirname "$0")
metrics=$(free_port)

# A subsystem of its own, for the host that has a key.
export_with_tls() {
    rpc nvmf_create_subsystem --nqn "$nqn-secure" >/dev/null &&
        rpc nvmf_subsystem_add_listener --nqn "$nqn-secure" --secure_channel true --listen_address \
            "{\"trtype\":\"TCP\",\"adrfam\":\"IPv4\",\"traddr\":\"127.0.0.1\",\"trsvcid\":\"$secure_port\"}" >/dev/null &&
        rpc keyring_file_add_key --name psk0 --path "$work/key" >/dev/null &&
        rpc nvmf_subsystem_add_host --nqn "$nqn-secure" --host "$host" --psk psk0 >/dev/null
}

check "a target starts" start --metrics "$metrics"
check "a RAM disk" rpc bdev_malloc_create --name Malloc0 --block_size 512 --num_blocks 8192
check "exported" export_device Malloc0
secure_port=$(free_port)
host=nqn.2014-08.org.nvmexpress:uuid:11111111-2222-4333-8444-555555555555
(umask 077; echo NVMeTLSkey-1:01:VRLbtnN9AQb2WXW3c9+wEf/DRLz0QuLdbYvEhwtdWwNf9LrZ: >"$work/key")
check "one with TLS beside it" export_with_tls
python3 "$here/flood.py" --port "$port" --tls-port "$secure_port" --pid "$(target_pid)" --metrics "$metrics" \
    --weft "$bin/weft" --nqn "$nqn" "$@" -- -n "$nqn-secure" --hostnqn "$host" --tls-key "$work/key" ||
    failures=$((failures + 1))
check "a host's data is right afterwards" "$bin/weft" io verify "${target[@]}" -n "$nqn"

# Bad PDUs: each a connection of its own.
bad_pdus() {
    python3 - "$port" "${1:-20000}" <<'PY'
import socket, sys
for number in range(int(sys.argv[2])):
    peer = socket.create_connection(("127.0.0.1", int(sys.argv[1])))
    peer.sendall(bytes([number % 256]) * 128)
    peer.close()
PY
}
size_before=$(stat -c %s "$work/log")
check "bad PDUs are answered or closed" bad_pdus "$([ "${1:-}" = --full ] && echo 1000000 || echo 5000)"
check "the log has not grown by a megabyte" [ $(($(stat -c %s "$work/log") - size_before)) -lt 1048576 ]
check "the target stops" stop

# Descriptors run out.
rm -f "$work/log"
printf '#!/bin/bash\nexec prlimit --nofile=64 "%s/weftd" "$@"\n' "$bin" >"$work/few" && chmod +x "$work/few"
program=$work/few
check "a target with 64 descriptors starts" start
check "its RAM disk" rpc bdev_malloc_create --name Malloc0 --block_size 512 --num_blocks 8192
check "is exported" export_device Malloc0
exhaust() {
    python3 - "$port" "$(target_pid)" "$bin/weft" "$sock" "$nqn" <<'PY'
import os, socket, subprocess, sys, time
port, pid, weft, rpc, nqn = int(sys.argv[1]), sys.argv[2], sys.argv[3], sys.argv[4], sys.argv[5]
def cpu():
    fields = open(f"/proc/{pid}/stat").read().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
work = subprocess.Popen([weft, "io", "verify", "-a", "127.0.0.1", "-s", str(port), "-n", nqn], stdout=subprocess.DEVNULL)
work.wait()
peers = []
for number in range(300):
    peer = socket.socket()
    peer.settimeout(1)
    try:
        peer.connect(("127.0.0.1", port))
    except OSError:
        pass
    peers.append(peer)
time.sleep(1)
before = cpu()
began = time.monotonic()
answered = 0
while time.monotonic() - began < 4:
    answered += subprocess.run([weft, "rpc", "-s", rpc, "spdk_get_version"], capture_output=True, timeout=5).returncode == 0
    time.sleep(0.5)
spent = (cpu() - before) / (time.monotonic() - began)
for peer in peers:
    peer.close()
time.sleep(1)
again = subprocess.run([weft, "identify", "-a", "127.0.0.1", "-s", str(port), "-n", nqn], capture_output=True, timeout=20).returncode
print(f"{spent * 100:.1f} % CPU, {answered} RPC calls answered, then identify: {again}")
sys.exit(0 if spent < 0.05 and answered >= 6 and work.returncode == 0 and again == 0 else 1)
PY
}
check "out of descriptors it does not spin, RPC answers, and hosts come back" exhaust
check "it stops" stop
finish
