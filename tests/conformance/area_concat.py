"""Secure channel concatenation (Base 2.1, 8.3.4.5.9; NVMe/TCP 3.6.1): who may ask for it, what comes of it, and who must come with it.

The exchange and its key are made here once more, from the specification, with the smallest group."""
import base64
import hashlib
import hmac
import math
import secrets
import socket
import struct
import time

import area_tls
import wire
from answers import CLOSED, INVALID_HOST, OK, expect, require
from area_auth import (CONCATENATION, CONTROLLER_SECRET, FAILED, FAILURE2, HOST, NO_GROUP, NO_HASH, PAYLOAD, REPLY,
                       SECRET, SUCCESS2, TID, negotiate, receive, refused, send)
from case import Case
from host import ANSWER_S, Host

RULE = "Base 8.3.4.5.9"
NOSC, NEW, REPLACE = 0, 2, 3
SHA256, FFDHE2048 = 1, 1
ATR, ASCR = 2, 4  # of Connect's CDW0, from bit 16 on


def ffdhe2048():
    """RFC 7919, A.1."""
    scale = 1 << 2100
    e = sum(scale // math.factorial(count) for count in range(400))
    return (1 << 2048) - (1 << 1984) + (((e << 1918) // scale + 560316) << 64) - 1


PRIME = ffdhe2048()


def connected(world, port, qid=0, cntlid=0xFFFF, authreq=ATR):
    host = Host(world, HOST, port=port)
    world.hosts.append(host)
    host.handshake()
    sqe = wire.connect_sqe(host.cid(), qid, 31, 0)
    got = expect(host.command(sqe, host.connect_data(world.concat_nqn, cntlid=cntlid)), OK, "Connect")
    require(got.cdw0 >> 16 == authreq, f"AUTHREQ {got.cdw0:#x}")
    host.cntlid = got.cdw0 & 0xFFFF
    return host


def respond(world, secret, session_key, challenge, sequence, sc_c, by_host=True):
    ends = [world.hostnqn(HOST).encode(), world.concat_nqn.encode()]
    role, (own, other) = (b"HostHost", ends) if by_host else (b"Controller", ends[::-1])
    augmented = hmac.new(session_key, challenge, hashlib.sha256).digest()
    return hmac.new(secret, augmented + struct.pack("<IHB", sequence, TID, sc_c) + role + own + b"\0" + other,
                    hashlib.sha256).digest()


class Exchange:
    """One with a DH group, as far as the Reply; what is asked for, and what the responses are made with, may differ."""

    def __init__(self, world, host, sc_c=NEW, signed=None, cvalid=1, sequence=0, secret=SECRET):
        self.world, self.sc_c = world, sc_c
        expect(send(host, negotiate(sc_c=sc_c, groups=(FFDHE2048, ))), OK, "Negotiate")
        data = expect(receive(host), OK, "Challenge").data
        require(data[1] == 1, f"Challenge {data[:16].hex()}")
        hash_id, group, public, self.s1 = struct.unpack_from("<BBHI", data, 8)
        require((hash_id, group, public) == (SHA256, FFDHE2048, 256), f"Challenge {data[:16].hex()}")
        self.c1, theirs = data[16:48], int.from_bytes(data[48:304], "big")
        exponent = secrets.randbits(256)
        shared = pow(theirs, exponent, PRIME).to_bytes(256, "big")
        self.session_key = hashlib.sha256(shared).digest()
        self.c2, self.s2 = secrets.token_bytes(32), sequence
        response = respond(world, secret, self.session_key, self.c1, self.s1, sc_c if signed is None else signed)
        message = struct.pack("<BBHHBBBBHI", 1, REPLY, 0, TID, 32, 0, cvalid, 0, 256, sequence)
        expect(send(host, message + response + self.c2 + pow(2, exponent, PRIME).to_bytes(256, "big")), OK, "Reply")

    def success(self, host):
        data = expect(receive(host), OK, "Success1").data
        require(data[1] == 3 and data[8] == (self.s2 != 0), f"Success1 {data[:9].hex()}")
        if self.s2:
            due = respond(self.world, CONTROLLER_SECRET, self.session_key, self.c2, self.s2, self.sc_c, False)
            require(data[16:48] == due, "the controller's response")
        return self

    def key(self):
        """Identity and key for TLS."""
        psk = hmac.new(self.session_key, self.c1 + self.c2, hashlib.sha256).digest()
        names = f"{self.world.hostnqn(HOST)} {self.world.concat_nqn}"
        digest = base64.b64encode(hmac.new(psk, f"{names} NVMe-over-Fabrics".encode(), hashlib.sha256).digest()).decode()
        return (f"NVMe1G01 {names} {digest}",
                area_tls.expand_label(1, psk, b"nvme-tls-psk", f"01 {digest}".encode(), 32))


def authenticated(world, host, **fields):
    return Exchange(world, host, **fields).success(host).key()


def through_tls(world, identity, key, port=None):
    host = area_tls.TlsHost(world, identity, key, 1, HOST, port=port or world.concat_port)
    world.hosts.append(host)
    return host


def came_through(world, identity, key, qid=0, cntlid=0xFFFF):
    host = through_tls(world, identity, key).handshake()
    sqe = wire.connect_sqe(host.cid(), qid, 31, 0)
    got = expect(host.command(sqe, host.connect_data(world.concat_nqn, cntlid=cntlid)), OK, "Connect through TLS")
    require(got.cdw0 >> 16 == 0, f"AUTHREQ {got.cdw0:#x}: it has authenticated")
    host.cntlid = got.cdw0 & 0xFFFF
    return host if qid else host.enable()


def no_such_key(world, identity, key):
    host = through_tls(world, identity, key)
    host.send(wire.ic_req())
    expect(host.answer(), CLOSED, "TLS with a key that is not good")


def messages(_world, _full):
    def of_negotiate(world, port, authreq, fields, reason):
        host = connected(world, port(world), authreq=authreq)
        expect(send(host, negotiate(**fields)), OK)
        refused(host, reason)

    def allowed(world):
        return world.concat_port

    def required(world):
        return world.required_port

    dh = {"groups": (FFDHE2048, )}
    for value in (1, REPLACE, 4, 0x7F, 0x80, 0xFF):
        yield Case(f"concat/negotiate,sc_c={value}", RULE, lambda world, value=value: of_negotiate(
            world, allowed, ATR, {"sc_c": value, **dh}, CONCATENATION))
    for name, fields, reason in (("null group", {"groups": (0, )}, CONCATENATION), ("no group", {"dhlen": 0}, NO_GROUP),
                                 ("unknown group", {"groups": (6, )}, NO_GROUP),
                                 ("sha-512", {"hashes": (3, ), **dh}, NO_HASH)):
        yield Case(f"concat/negotiate,{name}", "Base 8.3.4.5.2", lambda world, a=(fields, reason): of_negotiate(
            world, allowed, ATR, {"sc_c": NEW, **a[0]}, a[1]))
    yield Case("concat/required,sc_c=0", RULE, lambda world: of_negotiate(
        world, required, ATR | ASCR, {"sc_c": NOSC, **dh}, CONCATENATION))

    def chosen(world):
        host = connected(world, world.concat_port)
        expect(send(host, negotiate(sc_c=NEW, groups=(0, FFDHE2048), hashes=(1, 3))), OK)
        data = expect(receive(host), OK).data
        require(data[8:10] == bytes((SHA256, FFDHE2048)), f"hash {data[8]}, group {data[9]}")
    yield Case("concat/negotiate,null group and SHA-512 beside others", "Base 8.3.4.5.2", chosen)

    def of_reply(world, fields, reason):
        host = connected(world, world.concat_port)
        exchange = Exchange(world, host, **fields)
        refused(host, reason)
        no_such_key(world, *exchange.key())

    for name, fields, reason in (("cvalid=0", {"cvalid": 0}, PAYLOAD), ("cvalid=2", {"cvalid": 2}, PAYLOAD),
                                 ("signed without SC_C", {"signed": 0}, FAILED),
                                 ("signed with another SC_C", {"signed": REPLACE}, FAILED),
                                 ("another key", {"secret": CONTROLLER_SECRET}, FAILED)):
        yield Case(f"concat/reply,{name}", RULE, lambda world, a=(fields, reason): of_reply(world, *a))

    def without(world):
        """One without concatenation is what it always was, and the host may do as it likes afterwards."""
        host = connected(world, world.concat_port)
        Exchange(world, host, sc_c=NOSC, cvalid=0).success(host)
        host.enable()
        came_through(world, *authenticated(world, host))
    yield Case("concat/authenticated before", RULE, without)

    def both_ways(world, ends_well):
        host = connected(world, world.concat_port)
        exchange = Exchange(world, host, sequence=9).success(host)
        no_such_key(world, *exchange.key())  # it is not through
        if ends_well:
            expect(send(host, struct.pack("<BBHH10x", 1, SUCCESS2, 0, TID)), OK)
            came_through(world, *exchange.key())
        else:
            expect(send(host, struct.pack("<BBHHBB", 0, FAILURE2, 0, TID, 1, FAILED)), OK)
            host.end()
            no_such_key(world, *exchange.key())
    yield Case("concat/both-ways,success2", RULE, lambda world: both_ways(world, True))
    yield Case("concat/both-ways,failure2", RULE, lambda world: both_ways(world, False))


def channels(_world, _full):
    def one(name, run):
        return Case(f"concat/{name}", RULE, run)

    def io_connect(world, host, cntlid):
        data = host.connect_data(world.concat_nqn, cntlid=cntlid)
        return host.command(wire.connect_sqe(host.cid(), 1, 31), data)

    def plain(world, port=None):
        host = Host(world, HOST, port=port or world.concat_port)
        world.hosts.append(host)
        return host.handshake()

    def whole(world, port, authreq):
        key = authenticated(world, connected(world, port, authreq=authreq))
        admin = came_through(world, *key)
        expect(io_connect(world, plain(world), admin.cntlid), INVALID_HOST, "an I/O queue without TLS")
        queue = came_through(world, *key, qid=1, cntlid=admin.cntlid)
        expect(admin.command(wire.property_get(0x1C, cid=admin.cid())), OK)
    yield one("the whole way", lambda world: whole(world, world.concat_port, ATR))
    yield one("the whole way where it is required", lambda world: whole(world, world.required_port, ATR | ASCR))

    def silent(world):
        """Whatever is logged: no key is."""
        for flag in ("nvmf", "nvmf_tcp"):
            world.rpc.call("log_set_flag", {"flag": flag})
        try:
            identity, key = authenticated(world, connected(world, world.concat_port))
            came_through(world, identity, key)
            no_such_key(world, identity, bytes(32))
        finally:
            for flag in ("nvmf", "nvmf_tcp"):
                world.rpc.call("log_clear_flag", {"flag": flag})
        logged = (world.folder / "log").read_bytes()
        require(b"is authenticated on queue 0" in logged, "the flag shows nothing")
        for secret in (key, key.hex().encode(), base64.b64encode(key), identity.split()[-1].encode()):
            require(secret not in logged, "a key, or what tells it, is in the log")
    yield one("no key is logged", silent)

    def stays(world):
        """The admin queue that it authenticated on stays: then its I/O queues need TLS all the same."""
        host = connected(world, world.concat_port)
        key = authenticated(world, host)
        host.enable()
        expect(io_connect(world, plain(world), host.cntlid), INVALID_HOST, "an I/O queue without TLS")
        came_through(world, *key, qid=1, cntlid=host.cntlid)
    yield one("I/O queues of an admin queue that stays", stays)

    def io_queue(world):
        admin = connected(world, world.concat_port)
        Exchange(world, admin, sc_c=NOSC, cvalid=0).success(admin)
        admin.enable()
        queue = connected(world, world.concat_port, 1, admin.cntlid)
        expect(send(queue, negotiate(sc_c=NEW, groups=(FFDHE2048, ))), OK)
        refused(queue, CONCATENATION)
    yield one("on an I/O queue", io_queue)

    def over_tls(world, sc_c, is_generated):
        if is_generated:
            host = came_through(world, *authenticated(world, connected(world, world.concat_port)))
        else:
            host = area_tls.came_through(world, *area_tls.tls_psk(world.psks["key32"], world.hostnqn(1),
                                                                  world.secure_nqn, 1))
        expect(send(host, negotiate(sc_c=sc_c, groups=(FFDHE2048, ))), OK)
        refused(host, CONCATENATION)
    yield one("new key over TLS", lambda world: over_tls(world, NEW, True))
    yield one("new key over TLS with a configured one", lambda world: over_tls(world, NEW, False))
    yield one("another key instead of a configured one", lambda world: over_tls(world, REPLACE, False))

    def replaced(world):
        first = authenticated(world, connected(world, world.concat_port))
        admin = came_through(world, *first)
        second = authenticated(world, admin, sc_c=REPLACE)
        no_such_key(world, *first)
        came_through(world, *second, qid=1, cntlid=admin.cntlid)
        expect(admin.command(wire.property_get(0x1C, cid=admin.cid())), OK, "who came with the first stays")
    yield one("another key", replaced)

    def stale(world, change):
        identity, key = authenticated(world, connected(world, world.concat_port))
        no_such_key(world, *change(identity, key))
        came_through(world, identity, key)
    yield one("stale,another key", lambda world: stale(world, lambda identity, key: (identity, bytes(32))))
    yield one("stale,another digest", lambda world: stale(world, lambda identity, key: (
        identity[:identity.rindex(" ") + 1] + base64.b64encode(bytes(32)).decode(), key)))
    yield one("stale,version 0", lambda world: stale(world, lambda identity, key: (
        "NVMe0G01" + identity[8:identity.rindex(" ")], key)))
    yield one("stale,retained", lambda world: stale(world, lambda identity, key: (identity.replace("1G01", "1R01"), key)))

    def keys_changed(world):
        key = authenticated(world, connected(world, world.concat_port))
        admin = came_through(world, *key)
        world.rpc.call("nvmf_subsystem_set_keys", {"nqn": world.concat_nqn, "host": world.hostnqn(HOST),
                                                   "dhchap_key": "host", "dhchap_ctrlr_key": "controller"})
        no_such_key(world, *key)
        expect(admin.command(wire.property_get(0x1C, cid=admin.cid())), OK, "who is connected stays")
    yield one("stale,keys changed", keys_changed)

    def other_name(world):
        identity, key = authenticated(world, connected(world, world.concat_port))
        host = through_tls(world, identity, key).handshake()
        data = wire.connect_data(world.concat_nqn, hostnqn=world.hostnqn(1), hostid=world.hostid(1))
        expect(host.command(wire.connect_sqe(7), data), INVALID_HOST)
    yield one("under another name", other_name)


def first_bytes(_world, _full):
    """A port that takes both: the first byte tells."""
    def raw(world):
        stream = socket.create_connection((world.address, world.concat_port), ANSWER_S)
        stream.settimeout(ANSWER_S)
        return stream

    def sends(data):
        def run(world):
            stream = raw(world)
            try:
                stream.sendall(data(world))
                stream.shutdown(socket.SHUT_WR)
            except OSError:
                pass
            area_tls.ends(stream)
        return run

    for name, data in (("nothing, then the end", lambda world: b""), ("one byte of a record", lambda world: b"\x16"),
                       ("half a record", lambda world: area_tls.client_hello(world)[:100]),
                       ("a record of 65535 bytes", lambda world: b"\x16\x03\x01\xff\xff" + bytes(65535)),
                       ("a ClientHello without a key", area_tls.client_hello),
                       ("one byte of an ICReq", lambda world: b"\0"), ("an alert", lambda world: b"\x15\x03\x03\0\2\2\0"),
                       ("HTTP", lambda world: b"GET / HTTP/1.1\r\nHost: target\r\n\r\n")):
        yield Case(f"concat/first-byte/{name}", RULE, sends(data))

    def pieces(world):
        host = Host(world, HOST, port=world.concat_port)
        world.hosts.append(host)
        request = wire.ic_req()
        for at in range(len(request)):
            host.send(request[at:at + 1])
            if at < 3:
                time.sleep(0.01)
        host.take_ic_resp()
        expect(host.command(wire.connect_sqe(host.cid()), host.connect_data(world.concat_nqn)), OK)
    yield Case("concat/first-byte/an ICReq in bytes", RULE, pieces)

    def crowd(world):
        streams = [raw(world) for _ in range(200)]
        for number, stream in enumerate(streams):
            if number % 2:
                stream.sendall(b"\x16\x03")
        came_through(world, *authenticated(world, connected(world, world.concat_port)))
        for stream in streams:
            stream.close()
    yield Case("concat/first-byte/a crowd", RULE, crowd)
