"""The target under test: a weftd of our own, what it exports, and what it holds."""
import atexit
import base64
import json
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
import zlib
from pathlib import Path

import area_auth
import wire
from answers import OK, expect, require
from host import Host
from wire import Framing

SETTLE_S = 8.0  # so long may a target take to give back what a case used


class RpcError(Exception):
    def __init__(self, error):
        super().__init__(f"{error.get('code')}: {error.get('message')}")
        self.code = error.get("code")


class RpcClient:
    """One connection to the RPC socket, in order: call() for right calls, exchange() for any bytes."""

    def __init__(self, path, timeout=20):
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.socket.settimeout(timeout)
        self.socket.connect(str(path))
        self.buffer = b""

    def send(self, data):
        self.socket.sendall(data)

    def line(self):
        """The next answer's text; None at the end."""
        while b"\n" not in self.buffer:
            try:
                got = self.socket.recv(1 << 20)
            except ConnectionResetError:
                return None
            if not got:
                return None
            self.buffer += got
        text, _, self.buffer = self.buffer.partition(b"\n")
        return text

    def call(self, method, params=None):
        self.send(json.dumps({"jsonrpc": "2.0", "id": 1, "method": method,
                              **({"params": params} if params else {})}).encode())
        text = self.line()
        if text is None:
            raise ConnectionError(f"{method}: the RPC connection ended")
        answer = json.loads(text)
        if "error" in answer:
            raise RpcError(answer["error"])
        return answer["result"]

    def close(self):
        self.socket.close()


class World:
    """Devices: nsid 1 to 3 with blocks of 512, 4096 and 65536; the neighbour has a subsystem of its own."""

    address = "127.0.0.1"
    nqn = "nqn.2016-06.io.spdk:conformance"
    neighbour_nqn = "nqn.2016-06.io.spdk:neighbour"
    closed_nqn = "nqn.2016-06.io.spdk:closed"      # allows one host that nobody is
    elsewhere_nqn = "nqn.2016-06.io.spdk:elsewhere"  # without a listener
    narrow_nqn = "nqn.2016-06.io.spdk:narrow"      # four controller ids
    secure_nqn = "nqn.2016-06.io.spdk:secure"      # with TLS only
    secure_long_nqn = "nqn.2016-06.io.spdk:secure-long"
    psks = {"key32": bytes(range(32)), "key48": bytes(range(48))}
    auth_nqn = "nqn.2016-06.io.spdk:auth"          # one of its hosts has a key: area_auth.py
    concat_nqn = "nqn.2016-06.io.spdk:concat"      # the same host, and a key for TLS made of it: area_concat.py
    ana_nqn = "nqn.2016-06.io.spdk:ana"            # reports ANA
    discovery_nqn = "nqn.2014-08.org.nvmexpress.discovery"
    blocks = {1: (512, 8192), 2: (4096, 4096), 3: (65536, 256)}  # nsid: block size, blocks

    def __init__(self, binary, mask):
        self.folder = Path(tempfile.mkdtemp(prefix="weft-conformance."))
        self.path = self.folder / "rpc.sock"
        self.hosts = []
        self.log = open(self.folder / "log", "wb")
        self.process = subprocess.Popen([str(binary), "-r", str(self.path), "-m", mask, "--no-pin", "--spin-us", "20"],
                                        stdout=self.log,
                                        stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL)
        atexit.register(self.process.kill)
        self.rpc = self._wait_for_rpc()
        self._configure()
        self._read_limits()

    def _wait_for_rpc(self):
        deadline = time.monotonic() + 30
        while time.monotonic() < deadline and self.process.poll() is None:
            try:
                client = RpcClient(self.path)
                client.call("framework_wait_init")
                return client
            except OSError:
                time.sleep(0.02)
        raise RuntimeError(f"{self.process.args[0]} did not come up:\n{self.log_tail()}")

    def _configure(self):
        call = self.rpc.call
        # No reserves: then every buffer that is out is missing from the shared ones, which the figures tell.
        call("nvmf_create_transport", {"trtype": "TCP", "buf_cache_size": 0})
        for nsid, (size, count) in self.blocks.items():
            call("bdev_malloc_create", {"name": f"Case{nsid}", "block_size": size, "num_blocks": count})
        call("bdev_malloc_create", {"name": "Neighbour", "block_size": 512, "num_blocks": 8192})
        call("bdev_null_create", {"name": "Huge", "block_size": 512, "num_blocks": 1 << 54})
        self.port = self.free_port()
        for nqn, more in ((self.nqn, {}), (self.neighbour_nqn, {}), (self.elsewhere_nqn, {}),
                          (self.closed_nqn, {"allow_any_host": False}),
                          (self.auth_nqn, {}), (self.narrow_nqn, {"min_cntlid": 0xFFEC, "max_cntlid": 0xFFEF})):
            call("nvmf_create_subsystem", {"nqn": nqn, "allow_any_host": True, "max_namespaces": 8, **more})
            if nqn != self.elsewhere_nqn:
                call("nvmf_subsystem_add_listener", self.listener(nqn))
        call("nvmf_subsystem_add_listener", self.listener("discovery"))
        for name, secret in (("host", area_auth.SECRET), ("controller", area_auth.CONTROLLER_SECRET)):
            path = self.folder / name
            path.touch(0o600)
            path.write_text(area_auth.key_text(secret))
            call("keyring_file_add_key", {"name": name, "path": str(path)})
        call("nvmf_subsystem_add_host", {"nqn": self.auth_nqn, "host": self.hostnqn(area_auth.HOST), "dhchap_key": "host",
                                         "dhchap_ctrlr_key": "controller"})
        for nsid in self.blocks:
            self.add_namespace(self.nqn, f"Case{nsid}", nsid)
        self.add_namespace(self.nqn, "Huge", 4)
        self.add_namespace(self.neighbour_nqn, "Neighbour", 1)
        call("bdev_malloc_create", {"name": "Path", "block_size": 512, "num_blocks": 64})
        call("nvmf_create_subsystem", {"nqn": self.ana_nqn, "allow_any_host": True, "max_namespaces": 8,
                                       "ana_reporting": True})
        call("nvmf_subsystem_add_listener", self.listener(self.ana_nqn))
        self.add_namespace(self.ana_nqn, "Path", 1)
        call("bdev_null_create", {"name": "Guarded", "block_size": 512, "num_blocks": 8192})
        self.add_namespace(self.auth_nqn, "Guarded", 1)
        self._configure_tls()

    def _configure_tls(self):
        """Two subsystems on a port with TLS; hosts 1 and 3 have keys."""
        call = self.rpc.call
        for name, key in self.psks.items():
            path = self.folder / name
            path.touch(0o600)
            text = base64.b64encode(key + zlib.crc32(key).to_bytes(4, "little")).decode()
            path.write_text(f"NVMeTLSkey-1:{1 if len(key) == 32 else 2:02}:{text}:\n")
            call("keyring_file_add_key", {"name": name, "path": str(path)})
        self.secure_port = self.free_port()
        for nqn, key in ((self.secure_nqn, "key32"), (self.secure_long_nqn, "key48")):
            call("nvmf_create_subsystem", {"nqn": nqn, "max_namespaces": 8})
            for number in (1, 3):
                call("nvmf_subsystem_add_host", {"nqn": nqn, "host": self.hostnqn(number), "psk": key})
            listener = self.listener(nqn)
            listener["listen_address"]["trsvcid"] = str(self.secure_port)
            call("nvmf_subsystem_add_listener", {**listener, "secure_channel": True})

        self.concat_port, self.required_port = self.free_port(), self.free_port()
        call("nvmf_create_subsystem", {"nqn": self.concat_nqn, "max_namespaces": 8})
        call("nvmf_subsystem_add_host", {"nqn": self.concat_nqn, "host": self.hostnqn(area_auth.HOST),
                                         "dhchap_key": "host", "dhchap_ctrlr_key": "controller"})
        for port, word in ((self.concat_port, "allowed"), (self.required_port, "required")):
            listener = self.listener(self.concat_nqn)
            listener["listen_address"]["trsvcid"] = str(port)
            call("nvmf_subsystem_add_listener", {**listener, "secure_concatenation": word})

    def add_namespace(self, nqn, bdev, nsid):
        self.rpc.call("nvmf_subsystem_add_ns", {"nqn": nqn, "namespace": {"bdev_name": bdev, "nsid": nsid}})

    def listener(self, nqn):
        return {"nqn": nqn, "listen_address": {"trtype": "TCP", "adrfam": "IPv4", "traddr": self.address,
                                               "trsvcid": str(self.port)}}

    def free_port(self):
        with socket.socket() as probe:
            probe.bind((self.address, 0))
            return probe.getsockname()[1]

    def _read_limits(self):
        """What the target says of itself, as a host reads it: the model judges by these, the cases go to their edges."""
        admin = self.admin()
        data = expect(admin.command(wire.sqe(6, admin.cid(), data_pointer=wire.sgl(wire.TRANSPORT, 4096), cdw=(1,))),
                      OK).data
        self.mdts = 4096 << data[77] if data[77] else 1 << 32
        self.ioccsz = int.from_bytes(data[1792:1796], "little") * 16 - 64
        self.nn = int.from_bytes(data[516:520], "little")
        self.oncs = int.from_bytes(data[520:522], "little")
        self.fuses = int.from_bytes(data[522:524], "little")
        self.vwc, self.aerl, self.elpe, self.acl = data[525], data[259], data[262], data[258]
        self.sgls = int.from_bytes(data[536:540], "little")
        cap = expect(admin.command(wire.property_get(0, 1, cid=admin.cid())), OK)
        self.mqes = cap.cdw0 & 0xFFFF
        self.admin_sqsize_max = self._asqsz() - 1
        self.commands = self.page(admin, 5, 4096)
        self.features = self.page(admin, 0x12, 1024)
        self.pages = self.page(admin, 0, 1024)
        got = expect(admin.command(wire.sqe(0x0A, admin.cid(), cdw=(7,))), OK)
        self.io_queues_max = (got.cdw0 & 0xFFFF) + 1
        self.close_hosts()

    def _asqsz(self):
        """Entries of the admin queue, from the subsystem's entry in the discovery log."""
        log = self.page(self.admin(subnqn=self.discovery_nqn), 0x70, 8192)
        for at in range(1024, 8192, 1024):
            if log[at + 256:at + 512].rstrip(b"\0") == self.nqn.encode():
                return int.from_bytes(log[at + 8:at + 10], "little")
        raise RuntimeError(f"the discovery log does not name {self.nqn}")

    def page(self, admin, lid, size):
        command = wire.sqe(2, admin.cid(), data_pointer=wire.sgl(wire.TRANSPORT, size),
                           cdw=(lid | (size // 4 - 1) << 16,))
        return expect(admin.command(command), OK, f"log page {lid:#x}").data

    # Hosts -----------------------------------------------------------------------------------------------------------

    def hostnqn(self, number):
        return f"nqn.2014-08.org.nvmexpress:uuid:00000000-0000-4000-8000-{number:012d}"

    def hostid(self, number):
        return number.to_bytes(16, "big")

    def host(self, number=1, **options):
        host = Host(self, number, **options)
        self.hosts.append(host)
        return host

    def fresh(self, framing=Framing(), **ic):
        """After ICResp, before Connect."""
        return self.host().handshake(framing, **ic)

    def admin(self, framing=Framing(), enabled=True, number=1, subnqn=None, **connect):
        host = self.host(number).handshake(framing).connect(subnqn=subnqn, **connect)
        return host.enable() if enabled else host

    def io(self, admin, framing=Framing(), qid=1, subnqn=None, sqsize=127, **ic):
        return self.host(admin.number).handshake(framing, **ic).connect(qid, admin.cntlid, subnqn, sqsize)

    def io_pair(self, framing=Framing(), **more):
        admin = self.admin()
        return admin, self.io(admin, framing, **more)

    def close_hosts(self):
        for host in self.hosts:
            host.close()
        self.hosts = []

    # What it holds ---------------------------------------------------------------------------------------------------

    def held(self):
        """All that a case must give back, as one comparable value."""
        figures = self.rpc.call("weft_get_figures")
        transports = [transport for group in figures["poll_groups"] for transport in group["transports"]]
        return {
            "connections": sum(each["connections"] for each in transports),
            "requests": sum(each["in_flight"] + each["buffer_waiters"] for each in transports),
            "buffers free": [pool["shared_free"] for pool in figures["buffer_pools"]],
            "controllers": len(figures["controllers"]), "queues": figures["queue_count"],
            "device requests": sum(bdev["in_flight"] for bdev in figures["bdevs"]),
            "fds": len(os.listdir(f"/proc/{self.process.pid}/fd")),
        }

    def settle(self, baseline):
        """Waits until all is given back; says what is not."""
        deadline = time.monotonic() + SETTLE_S
        pause = 0.0003
        while (held := self.held()) != baseline:
            if self.process.poll() is not None:
                break
            if time.monotonic() > deadline:
                left = {name: (was, held[name]) for name, was in baseline.items() if held[name] != was}
                require(False, f"not given back (before, now): {left}")
            time.sleep(pause)
            pause = min(pause * 2, 0.05)
        require(self.process.poll() is None, f"the target died:\n{self.log_tail()}")

    def log_tail(self, lines=25):
        self.log.flush()
        return "\n".join((self.folder / "log").read_text(errors="replace").splitlines()[-lines:])

    def stop(self):
        """SIGTERM; it must end in order, with nothing to say of a sanitizer."""
        self.close_hosts()
        self.process.send_signal(signal.SIGTERM)
        try:
            status = self.process.wait(30)
        except subprocess.TimeoutExpired:
            self.process.kill()
            status = "a hang"
        text = self.log_tail(400)
        self.log.close()
        reports = [line for line in text.splitlines() if "Sanitizer" in line or "runtime error" in line]
        if status == 0 and not reports:
            shutil.rmtree(self.folder, ignore_errors=True)
            return ""
        return f"weftd ended with {status}, {reports}; its log is {self.folder}/log\n{text[-3000:]}"
