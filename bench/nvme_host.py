"""A small NVMe/TCP host over plain sockets: connects queues and holds them, keeps them alive, reads a block."""

import contextlib
import socket
import struct
import uuid

from targets import ADDRESS, NQN

IC_REQ, CAPSULE_COMMAND, CAPSULE_RESPONSE, C2H_DATA = 0, 4, 5, 7
FABRICS, KEEP_ALIVE, READ = 0x7F, 0x18, 0x02
PROPERTY_SET, CONNECT, PROPERTY_GET = 0, 1, 4
CONTROLLER_CONFIGURATION, CONTROLLER_STATUS = 0x14, 0x1C
ENABLED = 0x460001  # entries of 64 and 16 bytes, enabled
DATA_IN_CAPSULE, DATA_BY_TRANSPORT = 0x01, 0x5A  # types of SGL descriptors
LAST_AND_SUCCESS = 0x0C
NO_FLOW_CONTROL = 0x04  # of the submission queue; then data can end a read without a response of its own
BLOCK = 4096


class HostError(Exception):
    """The target refused, or closed a connection."""


class Queue:
    """One connection: the admin queue (0) or an I/O queue."""

    def __init__(self, port):
        self.socket = socket.create_connection((ADDRESS, port), 10)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.socket.sendall(struct.pack("<BBBBI", IC_REQ, 0, 128, 0, 128) + bytes(120))
        self._receive(128)

    def connect(self, queue_id, controller, host, depth, keep_alive_ms, nqn=NQN):
        """Fabrics Connect; the controller's id."""
        fields = struct.pack("<HHHBxI", 0, queue_id, depth - 1, NO_FLOW_CONTROL, keep_alive_ms)
        data = host.bytes + struct.pack("<H", controller) + bytes(238)
        data += nqn.encode().ljust(256, b"\0") + f"nqn.2014-08.org.nvmexpress:uuid:{host}".encode().ljust(256, b"\0")
        data = data.ljust(1024, b"\0")
        sgl = struct.pack("<QIxxxB", 0, len(data), DATA_IN_CAPSULE)
        return self.command(struct.pack("<BBHB19x", FABRICS, 0x40, 0, CONNECT) + sgl + fields, data) & 0xFFFF

    def set_property(self, offset, value):
        fields = struct.pack("<B3xIQ", 0, offset, value)
        self.command(struct.pack("<BBHB35x", FABRICS, 0x40, 0, PROPERTY_SET) + fields)

    def get_property(self, offset):
        return self.command(struct.pack("<BBHB35x", FABRICS, 0x40, 0, PROPERTY_GET) + struct.pack("<B3xI", 0, offset))

    def keep_alive(self):
        self.command(struct.pack("<BBH", KEEP_ALIVE, 0x40, 0))

    def command(self, entry, data=b""):
        """Sends a command and its data; the first four bytes of what completes it."""
        data_offset = 72 if data else 0
        header = struct.pack("<BBBBI", CAPSULE_COMMAND, 0, 72, data_offset, 72 + len(data))
        self.socket.sendall(header + entry.ljust(64, b"\0") + data)
        response = self._receive(24)
        result, status = struct.unpack_from("<I", response, 8)[0], struct.unpack_from("<H", response, 22)[0]
        if response[0] != CAPSULE_RESPONSE or status >> 1:
            raise HostError(f"a command ended with PDU type {response[0]}, status {status >> 1:#x}")
        return result

    def read_burst(self, count):
        """So many reads at once, as a host at work has them."""
        self.socket.sendall(b"".join(_read_command(block) for block in range(count)))
        for _ in range(count):
            self._receive_block()

    def _receive_block(self):
        data = self._receive(24 + BLOCK)
        if data[0] != C2H_DATA or len(data) != struct.unpack_from("<I", data, 4)[0]:
            raise HostError(f"a read brought PDU type {data[0]}")
        if data[1] & LAST_AND_SUCCESS != LAST_AND_SUCCESS:
            raise HostError("a read's data came without its success")

    def _receive(self, size):
        received = bytearray()
        while len(received) < size:
            piece = self.socket.recv(size - len(received))
            if not piece:
                raise HostError("the target closed the connection")
            received += piece
        return received


def _read_command(block, nsid=1):
    sgl = struct.pack("<QIxxxB", 0, BLOCK, DATA_BY_TRANSPORT)
    entry = struct.pack("<BBHI16x", READ, 0x40, block & 0x7FFF, nsid) + sgl + struct.pack("<QI12x", block, 0)
    return struct.pack("<BBBBI", CAPSULE_COMMAND, 0, 72, 0, 72) + entry


class Host:
    """A controller of its own, with I/O queues that are connected and do nothing."""

    def __init__(self, port, queues=1, keep_alive_ms=0, depth=128, nqn=NQN):
        self.id = uuid.uuid4()
        self.queues = []
        self.admin = Queue(port)
        try:
            controller = self.admin.connect(0, 0xFFFF, self.id, 32, keep_alive_ms, nqn)
            self.admin.set_property(CONTROLLER_CONFIGURATION, ENABLED)
            while not self.admin.get_property(CONTROLLER_STATUS) & 1:
                pass
            for queue_id in range(1, queues + 1):
                queue = Queue(port)
                self.queues.append(queue)
                queue.connect(queue_id, controller, self.id, depth, 0, nqn)
        except BaseException:
            self.close()
            raise

    def close(self):
        for queue in [*self.queues, self.admin]:
            queue.socket.close()


@contextlib.contextmanager
def hosts(port, count, **options):
    """So many hosts, connected while the block lasts."""
    connected = []
    try:
        for _ in range(count):
            connected.append(Host(port, **options))
        yield connected
    finally:
        for host in connected:
            host.close()
