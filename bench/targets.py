"""Targets under measurement: a daemon started from a command line and configured by JSON-RPC, the same for all."""

import json
import os
import socket
import subprocess
import tempfile
import time

NQN = "nqn.2016-06.io.spdk:cnode1"


class Target:
    """A running target with one RAM disk exported on 127.0.0.1:port; ends with close()."""

    def __init__(self, name, command, port, disk_mib=256, log=subprocess.DEVNULL):
        self.name = name
        self.port = port
        self.folder = tempfile.TemporaryDirectory(prefix="weft-bench.")
        self.socket = os.path.join(self.folder.name, "rpc.sock")
        self.process = subprocess.Popen(command.format(socket=self.socket).split(), stdout=log, stderr=log,
                                        stdin=subprocess.DEVNULL)
        try:
            self._wait()
            self.call("nvmf_create_transport", trtype="TCP")
            self.call("bdev_malloc_create", name="Malloc0", block_size=4096, num_blocks=disk_mib * 256)
            self.call("nvmf_create_subsystem", nqn=NQN, allow_any_host=True, serial_number="BENCH")
            self.call("nvmf_subsystem_add_ns", nqn=NQN, namespace={"bdev_name": "Malloc0"})
            self.call("nvmf_subsystem_add_listener", nqn=NQN, listen_address={
                "trtype": "TCP", "adrfam": "IPv4", "traddr": "127.0.0.1", "trsvcid": str(port)})
        except BaseException:
            self.close()
            raise

    def _wait(self):
        for _ in range(300):
            if self.process.poll() is not None:
                raise SystemExit(f"{self.name} ended with status {self.process.returncode} before it was configured")
            try:
                self.call("spdk_get_version")
                return
            except OSError:
                time.sleep(0.1)
        raise SystemExit(f"{self.name} does not answer on {self.socket}")

    def call(self, method, **params):
        request = {"jsonrpc": "2.0", "id": 1, "method": method}
        if params:
            request["params"] = params
        with socket.socket(socket.AF_UNIX) as connection:
            connection.settimeout(60)
            connection.connect(self.socket)
            connection.sendall(json.dumps(request).encode())
            text = b""
            while True:
                piece = connection.recv(65536)
                if not piece:
                    raise SystemExit(f"{self.name}: {method}: the connection ended")
                text += piece
                try:
                    answer = json.loads(text)
                    break
                except ValueError:
                    continue
        if "error" in answer:
            raise SystemExit(f"{self.name}: {method}: {answer['error']['message']}")
        return answer["result"]

    def busy_seconds(self):
        """Busy time of all threads so far, as the target counts it."""
        stats = self.call("thread_get_stats")
        return sum(thread["busy"] for thread in stats["threads"]) / stats["tick_rate"]

    def cpu_seconds(self):
        """CPU time of the process so far, as the kernel counts it."""
        with open(f"/proc/{self.process.pid}/stat", encoding="ascii") as file:
            fields = file.read().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def resident_kib(self):
        with open(f"/proc/{self.process.pid}/smaps_rollup", encoding="ascii") as file:
            for line in file:
                if line.startswith("Rss:"):
                    return int(line.split()[1])
        raise SystemExit("no Rss in smaps_rollup")

    def close(self):
        if self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(20)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        self.folder.cleanup()
