"""A listener with TLS (NVMe/TCP 3.6): who comes without, with the wrong key, under another name, or does not get through.

The keys are derived here once more, from the specification; the handshake is OpenSSL's own client."""
import base64
import hashlib
import hmac
import socket
import ssl
import struct
import subprocess
import time

import wire
from answers import CLOSED, INVALID_HOST, OK, expect, require
from case import Case
from host import ANSWER_S, Host

RULE = "NVMe/TCP 3.6"
HASHES = {1: hashlib.sha256, 2: hashlib.sha384}
DIGESTS = {1: "SHA256", 2: "SHA384"}
SUITES = {1: "TLS_AES_128_GCM_SHA256", 2: "TLS_AES_256_GCM_SHA384"}


def expand_label(number, secret, label, context, size, old=False):
    """HKDF-Extract without salt, then HKDF-Expand-Label (RFC 8446, 7.1); or as libnvme did it before 1.16."""
    algorithm = HASHES[number]
    prk = hmac.new(bytes(algorithm().digest_size), secret, algorithm).digest()
    label = b"tls13 " + label
    info = (struct.pack("<H", size) + label + context if old else
            struct.pack(">HB", size, len(label)) + label + bytes((len(context),)) + context)
    out, block, count = b"", b"", 1
    while len(out) < size:
        block = hmac.new(prk, block + info + bytes((count,)), algorithm).digest()
        out, count = out + block, count + 1
    return out[:size]


def tls_psk(key, hostnqn, subnqn, version, old=False):
    """Identity and key of a configured PSK whose hash is that of its length."""
    number = 1 if len(key) == 32 else 2
    retained = expand_label(number, key, b"HostNQN", hostnqn.encode(), len(key), old)
    identity = f"NVMe{version}R{number:02} {hostnqn} {subnqn}"
    context = identity
    if version == 1:
        text = f"{hostnqn} {subnqn} NVMe-over-Fabrics".encode()
        digest = base64.b64encode(hmac.new(retained, text, HASHES[number]).digest()).decode()
        identity, context = f"{identity} {digest}", f"{number:02} {digest}"
    return identity, expand_label(number, retained, b"nvme-tls-psk", context.encode(), len(key), old), number


class TlsHost(Host):
    """A host whose bytes go through `openssl s_client`."""

    def __init__(self, world, identity, key, number, host_number=1, more=(), port=None):
        super().__init__(world, host_number)
        self.socket.close()
        self.socket, other = socket.socketpair()
        self.client = subprocess.Popen(
            ["openssl", "s_client", "-quiet", "-connect", f"{world.address}:{port or world.secure_port}", "-tls1_3", "-psk",
             key.hex(), "-psk_identity", identity, "-ciphersuites", SUITES[number], *more],
            stdin=other, stdout=other, stderr=subprocess.DEVNULL)
        other.close()

    def close(self):
        super().close()
        self.client.kill()
        self.client.wait()


def came_through(world, identity, key, number, more=(), subnqn=None):
    host = TlsHost(world, identity, key, number, more=more)
    world.hosts.append(host)
    return host.handshake().connect(subnqn=subnqn or world.secure_nqn).enable()


def refused(world, identity, key, number, more=()):
    """No byte of NVMe/TCP is answered."""
    host = TlsHost(world, identity, key, number, more=more)
    world.hosts.append(host)
    host.send(wire.ic_req())
    expect(host.answer(), CLOSED)


def raw(world):
    stream = socket.create_connection((world.address, world.secure_port), ANSWER_S)
    stream.settimeout(ANSWER_S)
    return stream


def ends(stream, seconds=ANSWER_S):
    """The target closes; what it says before is an alert at most."""
    stream.settimeout(seconds)
    said = b""
    try:
        while got := stream.recv(4096):
            said += got
    except ConnectionResetError:
        pass
    stream.close()
    require(len(said) <= 64, f"{len(said)} bytes said to somebody without a key")


def client_hello(world):
    """What a client of this machine says first, for another server."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    session = context.wrap_bio(incoming, outgoing, server_hostname="target")
    try:
        session.do_handshake()
    except ssl.SSLWantReadError:
        pass
    return outgoing.read()


def keys(_world, _full):
    def good(name, key_name, version, old=False, more=()):
        def run(world):
            hostnqn = world.hostnqn(1)
            subnqn = world.secure_nqn if key_name == "key32" else world.secure_long_nqn
            identity, key, number = tls_psk(world.psks[key_name], hostnqn, subnqn, version, old)
            host = came_through(world, identity, key, number, more, subnqn)
            expect(host.command(wire.sqe(6, host.cid(), data_pointer=wire.sgl(wire.TRANSPORT, 4096), cdw=(1,))), OK)
        return Case(f"tls/key/{name}", RULE, run)

    # Keys of 48 bytes are tests/e2e/tls_psk.sh's: s_client offers every key of -psk with SHA-256.
    for version in (0, 1):
        yield good(f"key32,version={version}", "key32", version)
        yield good(f"key32,version={version},libnvme-1.13", "key32", version, old=True)
    for group in ("P-256", "P-384"):  # the second and third choice: a HelloRetryRequest among them
        yield good(f"group={group}", "key32", 0, more=("-groups", group))
    yield good("retry", "key32", 1, more=("-groups", "P-521:P-384"))

    def bad(name, change, more=()):
        def run(world):
            identity, key, number = tls_psk(world.psks["key32"], world.hostnqn(1), world.secure_nqn, 0)
            identity, key, number = change(world, identity, key, number)
            refused(world, identity, key, number, more)
        return Case(f"tls/refused/{name}", RULE, run)

    yield bad("another key", lambda world, identity, key, number: (identity, bytes(32), number))
    yield bad("identity of a host without a key", lambda world, identity, key, number:
              (identity.replace(world.hostnqn(1), world.hostnqn(2)), key, number))
    yield bad("identity of a subsystem without the host", lambda world, identity, key, number:
              (identity.replace(world.secure_nqn, world.nqn), key, number))
    yield bad("hash of another cipher", lambda world, identity, key, number:
              (identity.replace("R01", "R02"), key, number))
    yield bad("unknown version", lambda world, identity, key, number: (identity.replace("NVMe0", "NVMe2"), key, number))
    yield bad("version 1 without a digest", lambda world, identity, key, number:
              (identity.replace("NVMe0", "NVMe1"), key, number))
    yield bad("version 1 with a wrong digest", lambda world, identity, key, number:
              (identity.replace("NVMe0", "NVMe1") + " " + base64.b64encode(bytes(32)).decode(), key, number))
    yield bad("identity of one byte", lambda world, identity, key, number: ("N", key, number))
    yield bad("identity of 250 bytes", lambda world, identity, key, number: ("N" * 250, key, number))
    yield bad("groups that are too slow", lambda world, identity, key, number: (identity, key, number),
              ("-groups", "P-521"))


def names(_world, _full):
    """Connect must name whom the key is for."""
    def one(name, change):
        def run(world):
            identity, key, number = tls_psk(world.psks["key32"], world.hostnqn(1), world.secure_nqn, 0)
            host = TlsHost(world, identity, key, number)
            world.hosts.append(host)
            host.handshake()
            fields = {"subnqn": world.secure_nqn, "hostnqn": world.hostnqn(1), **change(world)}
            data = wire.connect_data(fields["subnqn"], hostnqn=fields["hostnqn"], hostid=world.hostid(1))
            expect(host.command(wire.connect_sqe(7), data), INVALID_HOST)
            right = wire.connect_data(world.secure_nqn, hostnqn=world.hostnqn(1), hostid=world.hostid(1))
            expect(host.command(wire.connect_sqe(8), right), OK, "Connect after a refused one")
        return Case(f"tls/names/{name}", RULE, run)

    yield one("another host", lambda world: {"hostnqn": world.hostnqn(2)})
    yield one("another host of the subsystem", lambda world: {"hostnqn": world.hostnqn(3)})
    yield one("another subsystem", lambda world: {"subnqn": world.secure_long_nqn})
    yield one("the discovery subsystem", lambda world: {"subnqn": world.discovery_nqn})

    def io_queue(world):
        identity, key, number = tls_psk(world.psks["key32"], world.hostnqn(1), world.secure_nqn, 0)
        admin = came_through(world, identity, key, number)
        other, other_key, number = tls_psk(world.psks["key32"], world.hostnqn(3), world.secure_nqn, 0)
        host = TlsHost(world, other, other_key, number)
        world.hosts.append(host)
        host.handshake()
        data = wire.connect_data(world.secure_nqn, hostnqn=world.hostnqn(1), hostid=world.hostid(1), cntlid=admin.cntlid)
        expect(host.command(wire.connect_sqe(7, 1, 31), data), INVALID_HOST)
        plain = world.host(1).handshake()  # nor at a listener without TLS
        got = plain.command(wire.connect_sqe(7), data)
        require(not OK.allows(got), "a subsystem with TLS only took a host without")
    yield Case("tls/names/I/O queue of another host", RULE, io_queue)


def strangers(_world, _full):
    def case(name, run):
        return Case(f"tls/strangers/{name}", RULE, run)

    def sends(data):
        def run(world):
            stream = raw(world)
            try:
                stream.sendall(data(world))
                stream.shutdown(socket.SHUT_WR)
            except OSError:  # it was reset meanwhile, or is no connection any more
                pass
            ends(stream)
        return run

    yield case("ICReq without TLS", sends(lambda world: wire.ic_req()))
    yield case("nothing, then the end", sends(lambda world: b""))
    yield case("HTTP", sends(lambda world: b"GET / HTTP/1.1\r\nHost: target\r\n\r\n"))
    yield case("zeros", sends(lambda world: bytes(70000)))
    yield case("a record of 65535 bytes", sends(lambda world: b"\x16\x03\x01\xff\xff" + bytes(65535)))
    yield case("half a ClientHello", sends(lambda world: client_hello(world)[:100]))
    yield case("a ClientHello without a key", sends(client_hello))
    yield case("a ClientHello twice", sends(lambda world: client_hello(world) * 2))

    def stalls(world):
        stream = raw(world)
        stream.sendall(client_hello(world)[:50])
        began = time.monotonic()
        ends(stream, 25)
        require(time.monotonic() - began < 20, "a handshake that stalls is kept")
    yield Case("tls/strangers/stalls", RULE, stalls, full=True)

    def crowd(world):
        """Many that stall keep nobody out."""
        streams = [raw(world) for _ in range(200)]
        for stream in streams:
            stream.sendall(client_hello(world)[:50])
        identity, key, number = tls_psk(world.psks["key32"], world.hostnqn(1), world.secure_nqn, 1)
        came_through(world, identity, key, number)
        for stream in streams:
            stream.close()
    yield case("a crowd", crowd)
