"""In-band authentication (Base 8.13.5, 6.1, 6.2): who has not proved who it is gets nothing, and each field of each message."""
import base64
import hashlib
import hmac
import struct
import zlib

import wire
from answers import AUTH_REQUIRED, CLOSED, INVALID_FIELD, OK, SEQUENCE, SGL_LENGTH, Cpl, expect, require
from case import Case
from wire import IN_CAPSULE, TRANSPORT

NEGOTIATE, CHALLENGE, REPLY, SUCCESS1, SUCCESS2, FAILURE2, FAILURE1 = 0, 1, 2, 3, 4, 0xF0, 0xF1
FAILED, NO_PROTOCOL, CONCATENATION, NO_HASH, NO_GROUP, PAYLOAD, MESSAGE = range(1, 8)
HOST = 50  # of those that World.hostnqn() names: the one with a key
SECRET, CONTROLLER_SECRET = bytes(range(32)), bytes(range(100, 132))
TID = 0x1234


def key_text(secret):
    """A key file's contents; not transformed."""
    return f"DHHC-1:00:{base64.b64encode(secret + struct.pack('<I', zlib.crc32(secret))).decode()}:\n"


def command(fctype, cid, length, secp=0xE9, spsp0=1, spsp1=1, pointer=None):
    if pointer is None:
        pointer = wire.sgl(IN_CAPSULE if fctype == 5 else TRANSPORT, length)
    return wire.fabrics(fctype, cid, pointer, bytes([0, spsp0, spsp1, secp]) + struct.pack("<I", length & 0xFFFFFFFF) +
                        bytes(16))


def send(host, message, **fields):
    return host.command(command(5, host.cid(), len(message), **fields), message)


def receive(host, length=4096, **fields):
    return host.command(command(6, host.cid(), length, **fields))


def negotiate(kind=0, ident=NEGOTIATE, sc_c=0, napd=1, protocol=1, hashes=(1, ), groups=(0, ), halen=None, dhlen=None,
              extra=b"", cut=0):
    message = struct.pack("<BBHHBB", kind, ident, 0, TID, sc_c, napd) + bytes(
        [protocol, 0, len(hashes) if halen is None else halen,
         len(groups) if dhlen is None else dhlen]) + bytes(hashes).ljust(30, b"\0") + bytes(groups).ljust(30, b"\0")
    return (message + extra)[:len(message) + len(extra) - cut]


def response(world, secret, challenge, sequence, by_host=True):
    ends = [world.hostnqn(HOST).encode(), world.auth_nqn.encode()]
    role, (own, other) = (b"HostHost", ends) if by_host else (b"Controller", ends[::-1])
    return hmac.new(secret, challenge + struct.pack("<IHB", sequence, TID, 0) + role + own + b"\0" + other,
                    hashlib.sha256).digest()


def challenged(host):
    """Negotiates SHA-256 and the NULL group; the challenge and its sequence number."""
    expect(send(host, negotiate()), OK, "Negotiate")
    data = expect(receive(host), OK, "Challenge").data
    require(len(data) == 4096, f"{len(data)} bytes for an allocation length of 4096")
    kind, ident, _, tid, size, _, digest, group, public, sequence = struct.unpack_from("<BBHHBBBBHI", data)
    require((kind, ident, tid, size, digest, group, public) == (1, CHALLENGE, TID, 32, 1, 0, 0), f"Challenge {data[:16].hex()}")
    require(sequence != 0, "sequence number 0")
    return data[16:48], sequence


def reply(world, challenge, sequence, secret=SECRET, kind=1, ident=REPLY, tid=TID, size=32, cvalid=0, public=0, own=b"",
          own_sequence=0, extra=b"", cut=0):
    message = struct.pack("<BBHHBBBBHI", kind, ident, 0, tid, size, 0, cvalid, 0, public, own_sequence) + response(
        world, secret, challenge, sequence) + own.ljust(32, b"\0")
    return (message + extra)[:len(message) + len(extra) - cut]


def refused(host, reason):
    """The next message says why, and then the connection ends."""
    data = expect(receive(host), OK, "Failure1").data
    require(data[:8] == struct.pack("<BBHHBB", 0, FAILURE1, 0, struct.unpack_from("<H", data, 4)[0], 1, reason),
            f"Failure1 {data[:8].hex()}, reason {reason} was due")
    host.end()


def success(host, has_response=False):
    data = expect(receive(host), OK, "Success1").data
    require(data[:9] == struct.pack("<BBHHBBB", 1, SUCCESS1, 0, TID, 32, 0, has_response), f"Success1 {data[:9].hex()}")
    return data[16:48]


def connect(world, qid=0, cntlid=0xFFFF):
    """Connected, not authenticated; the answer must demand it."""
    host = world.host(HOST).handshake()
    sqe = wire.connect_sqe(host.cid(), qid, 31, 0)
    got = expect(host.command(sqe, host.connect_data(world.auth_nqn, cntlid=cntlid)), OK, "Connect")
    require(got.cdw0 >> 16 == 2, f"AUTHREQ {got.cdw0:#x}")
    host.cntlid = got.cdw0 & 0xFFFF
    return host


def authenticate(world, host):
    expect(send(host, reply(world, *challenged(host))), OK, "Reply")
    success(host)
    return host


def before(_world, full):
    """What a queue that has not authenticated is told (Base 3.3.2, 8.13.2)."""
    def admin(world, sqe):
        host = connect(world)
        expect(host.command(sqe(host)), AUTH_REQUIRED)
        authenticate(world, host).enable()

    commands = {"property-get": lambda host: wire.property_get(0, 1, cid=host.cid()),
                "property-set": lambda host: wire.property_set(0x14, 0x460001, cid=host.cid()),
                "disconnect": lambda host: wire.disconnect(cid=host.cid())}
    for opcode in range(256) if full else (0, 2, 6, 9, 0x0A, 0x0C, 0x18, 0x7E, 0x80, 0xFF):
        if opcode != 0x7F:
            commands[f"opcode={opcode:#04x}"] = lambda host, opcode=opcode: wire.sqe(opcode, host.cid())
    for name, sqe in commands.items():
        yield Case(f"auth/before,{name}", "Base 8.13.2", lambda world, sqe=sqe: admin(world, sqe))

    def again(world):
        host = connect(world)
        expect(host.command(wire.connect_sqe(host.cid()), host.connect_data(world.auth_nqn)), SEQUENCE)
        authenticate(world, host)

    yield Case("auth/before,connect", "Base 6.3", again)

    def io_queue(world, opcode):
        admin_host = authenticate(world, connect(world)).enable()
        host = connect(world, 1, admin_host.cntlid)
        expect(host.command(wire.sqe(opcode, host.cid(), 1)), AUTH_REQUIRED)
        authenticate(world, host)
        expect(host.command(wire.sqe(0, host.cid(), 1)), OK, "Flush")

    for opcode in range(256) if full else (0, 1, 2, 5, 9, 0x80):
        if opcode != 0x7F:
            yield Case(f"auth/before,io,opcode={opcode:#04x}", "Base 8.13.2", lambda world, opcode=opcode: io_queue(world, opcode))

    def io_of_nobody(world):
        host = connect(world)
        other = world.host(HOST).handshake()
        sqe = wire.connect_sqe(other.cid(), 1, 31, 0)
        got = other.command(sqe, other.connect_data(world.auth_nqn, cntlid=host.cntlid))
        require(isinstance(got, Cpl) and got.sct == 1, f"an I/O queue before the admin queue authenticated: {got}")

    yield Case("auth/before,io-queue", "Base 3.3.2", io_of_nobody)

    def elsewhere(world):
        host = world.admin(number=HOST)  # the key is for one subsystem only
        expect(host.command(wire.property_get(0, 1, cid=host.cid())), OK)

    yield Case("auth/other-subsystem", "Base 8.13.2", elsewhere)


def commands(_world, _full):
    """Fields of the two commands (Base 6.1, 6.2)."""
    def field(world, fctype, fields, allowed):
        host = connect(world)
        message = negotiate()
        if fctype == 5:
            got = host.command(command(5, host.cid(), fields.pop("length", len(message)),
                                       pointer=wire.sgl(IN_CAPSULE, len(message)), **fields), message)
        else:
            expect(send(host, message), OK)
            got = receive(host, **fields)
        expect(got, allowed)
        if not OK.allows(got):
            expect(host.command(wire.property_get(0, 1, cid=host.cid())), AUTH_REQUIRED, "afterwards")

    for fctype, name in ((5, "send"), (6, "receive")):
        for what, values in (("secp", (0, 1, 0xE8, 0xEA, 0xFF)), ("spsp0", (0, 2, 0xFF)), ("spsp1", (0, 2, 0xFF))):
            for value in values:
                yield Case(f"auth/{name},{what}={value:#x}", "Base 6.1, 6.2",
                           lambda world, a=(fctype, {what: value}): field(world, a[0], dict(a[1]), INVALID_FIELD))
    for length, allowed in ((0, INVALID_FIELD), (1 << 31, {INVALID_FIELD}), (4097, {INVALID_FIELD, SGL_LENGTH}),
                            (73, {SGL_LENGTH})):
        yield Case(f"auth/send,tl={length}", "Base 6.2",
                   lambda world, a=(length, allowed): field(world, 5, {"length": a[0]}, a[1]))
    yield Case("auth/receive,al=0", "Base 6.1",
               lambda world: field(world, 6, {"length": 0, "pointer": wire.sgl(TRANSPORT, 4096)}, INVALID_FIELD))
    yield Case("auth/receive,al>sgl", "Base 6.1",
               lambda world: field(world, 6, {"length": 4096, "pointer": wire.sgl(TRANSPORT, 64)}, SGL_LENGTH))

    def small(world, room):
        host = connect(world)
        expect(send(host, negotiate()), OK)
        got = receive(host, room)
        if room < 8:
            expect(got, INVALID_FIELD)
        else:
            require(OK.allows(got) and got.data[1] == FAILURE1 and got.data[7] == PAYLOAD, f"{got} {got.data[:8].hex()}")
        host.end()

    for room in (1, 7, 8, 47):
        yield Case(f"auth/receive,al={room}", "Base 6.1", lambda world, room=room: small(world, room))


def messages(_world, _full):
    def of_negotiate(world, fields, reason):
        host = connect(world)
        expect(send(host, negotiate(**fields)), OK)
        refused(host, reason)

    for name, fields, reason in (
        ("type=2", {"kind": 2}, MESSAGE), ("type=1", {"kind": 1}, MESSAGE), ("id=9", {"ident": 9}, MESSAGE),
        ("sc_c=1", {"sc_c": 1}, CONCATENATION), ("sc_c=2", {"sc_c": 2}, CONCATENATION),
        ("sc_c=3", {"sc_c": 3}, CONCATENATION), ("sc_c=255", {"sc_c": 255}, CONCATENATION),
        ("napd=0", {"napd": 0}, PAYLOAD), ("napd=2", {"napd": 2}, PAYLOAD), ("napd=255", {"napd": 255}, PAYLOAD),
        ("protocol=2", {"protocol": 2}, NO_PROTOCOL), ("halen=0", {"halen": 0}, NO_HASH),
        ("halen=31", {"halen": 31}, PAYLOAD), ("halen=255", {"halen": 255}, PAYLOAD), ("dhlen=0", {"dhlen": 0}, NO_GROUP),
        ("dhlen=31", {"dhlen": 31}, PAYLOAD), ("hash=0", {"hashes": [0]}, NO_HASH), ("hash=4", {"hashes": [4]}, NO_HASH),
        ("hash=255", {"hashes": [255] * 30}, NO_HASH), ("group=6", {"groups": [6]}, NO_GROUP),
        ("group=255", {"groups": [255] * 30}, NO_GROUP), ("longer", {"extra": b"\0"}, PAYLOAD), ("cut=1", {"cut": 1}, PAYLOAD),
        ("cut=64", {"cut": 64}, PAYLOAD), ("cut=66", {"cut": 66}, PAYLOAD), ("cut=71", {"cut": 71}, PAYLOAD)):
        yield Case(f"auth/negotiate,{name}", "Base 8.13.5.2", lambda world, a=(fields, reason): of_negotiate(world, *a))

    def of_reply(world, fields, reason):
        host = connect(world)
        expect(send(host, reply(world, *challenged(host), **fields)), OK)
        refused(host, reason)

    own = {"own": b"\7" * 32, "own_sequence": 1, "cvalid": 1}
    for name, fields, reason in (
        ("key", {"secret": CONTROLLER_SECRET}, FAILED), ("type=0", {"kind": 0}, MESSAGE), ("id=1", {"ident": 1}, MESSAGE),
        ("id=3", {"ident": 3}, MESSAGE), ("tid", {"tid": TID + 1}, PAYLOAD), ("hl=0", {"size": 0}, PAYLOAD),
        ("hl=31", {"size": 31}, PAYLOAD), ("hl=64", {"size": 64}, PAYLOAD), ("hl=255", {"size": 255}, PAYLOAD),
        ("cvalid=2", {**own, "cvalid": 2}, PAYLOAD), ("cvalid=1,seqnum=0", {**own, "own_sequence": 0}, PAYLOAD),
        ("dhvlen=4", {"public": 4}, PAYLOAD), ("dhvlen=4,there", {"public": 4, "extra": b"abcd"}, PAYLOAD),
        ("dhvlen=65535", {"public": 65535}, PAYLOAD), ("longer", {"extra": b"\0"}, PAYLOAD), ("cut=1", {"cut": 1}, PAYLOAD),
        ("cut=64", {"cut": 64}, PAYLOAD), ("cut=65", {"cut": 65}, PAYLOAD)):
        yield Case(f"auth/reply,{name}", "Base 8.13.5.4", lambda world, a=(fields, reason): of_reply(world, *a))

    def both_ways(world, finish):
        host = connect(world)
        challenge, sequence = challenged(host)
        expect(send(host, reply(world, challenge, sequence, **own)), OK)
        require(success(host, True) == response(world, CONTROLLER_SECRET, own["own"], own["own_sequence"], False),
                "the controller's response")
        finish(world, host)

    def completes(_world, host):
        expect(host.command(wire.property_get(0, 1, cid=host.cid())), AUTH_REQUIRED, "before Success2")
        expect(send(host, struct.pack("<BBHH10x", 1, SUCCESS2, 0, TID)), OK)
        expect(host.command(wire.property_get(0, 1, cid=host.cid())), OK, "after Success2")

    def fails(_world, host):
        expect(send(host, struct.pack("<BBHHBB", 0, FAILURE2, 0, TID, 1, FAILED)), OK)
        host.end()

    def wrong(message, reason):
        def spoil(_world, host):
            expect(send(host, message), OK)
            refused(host, reason)
        return spoil

    for name, finish in (("success2", completes), ("failure2", fails),
                         ("success2,tid", wrong(struct.pack("<BBHH10x", 1, SUCCESS2, 0, TID + 1), PAYLOAD)),
                         ("success2,longer", wrong(struct.pack("<BBHH11x", 1, SUCCESS2, 0, TID), PAYLOAD)),
                         ("success2,cut", wrong(struct.pack("<BBHH9x", 1, SUCCESS2, 0, TID), PAYLOAD)),
                         ("reply", wrong(struct.pack("<BBHH10x", 1, REPLY, 0, TID), MESSAGE)),
                         ("negotiate", wrong(negotiate(), MESSAGE))):
        yield Case(f"auth/both-ways,{name}", "Base 8.13.5.5", lambda world, finish=finish: both_ways(world, finish))


def states(_world, _full):
    """Messages out of their order, and a second exchange."""
    def sent(world, message):
        host = connect(world)
        expect(send(host, message), OK)
        refused(host, MESSAGE)

    for name, message in (("reply", struct.pack("<BBHH74x", 1, REPLY, 0, TID)), ("success1", struct.pack("<BBHH10x", 1, 3, 0, TID)),
                          ("success2", struct.pack("<BBHH10x", 1, SUCCESS2, 0, TID)), ("challenge", struct.pack("<BBHH42x", 1, 1, 0, TID)),
                          ("failure1", struct.pack("<BBHHBB", 0, FAILURE1, 0, TID, 1, 1)),
                          ("failure2", struct.pack("<BBHHBB", 0, FAILURE2, 0, TID, 1, 1))):
        yield Case(f"auth/first,{name}", "Base 8.13.5", lambda world, message=message: sent(world, message))

    def nothing_to_receive(world):
        refused(connect(world), MESSAGE)

    yield Case("auth/first,receive", "Base 8.13.5", nothing_to_receive)

    def not_fetched(world):
        host = connect(world)
        expect(send(host, negotiate()), OK)
        expect(send(host, negotiate()), OK)
        refused(host, MESSAGE)

    yield Case("auth/negotiate-twice", "Base 8.13.5", not_fetched)

    def after_failure(world):
        host = connect(world)
        expect(send(host, negotiate(kind=2)), OK)
        expect(receive(host), OK)
        got = send(host, negotiate())
        expect(got, {SEQUENCE, CLOSED}, "a second try on the same queue")

    yield Case("auth/after-failure1", "Base 8.13.5", after_failure)

    def again(world, secret):
        host = authenticate(world, connect(world)).enable()
        for _ in range(3):
            authenticate(world, host)
            expect(host.command(wire.property_get(0, 1, cid=host.cid())), OK)
        challenge = challenged(host)
        expect(host.command(wire.property_get(0, 1, cid=host.cid())), OK, "while it authenticates again")
        expect(send(host, reply(world, *challenge, secret=secret)), OK)
        if secret == SECRET:
            success(host)
            expect(host.command(wire.property_get(0, 1, cid=host.cid())), OK)
        else:
            refused(host, FAILED)

    yield Case("auth/again", "Base 8.13.5", lambda world: again(world, SECRET))
    yield Case("auth/again,other-key", "Base 8.13.5", lambda world: again(world, CONTROLLER_SECRET))

    def unasked(world):
        host = world.admin()
        expect(send(host, negotiate()), OK)
        expect(receive(host), OK)
        expect(send(host, struct.pack("<BBHHBBBBHI", 1, REPLY, 0, TID, 32, 0, 0, 0, 0, 0) + bytes(64)), OK)
        refused(host, FAILED)

    yield Case("auth/host-without-key", "Base 8.13.5", unasked)

    def replayed(world):
        first = connect(world)
        message = reply(world, *challenged(first))
        host = connect(world)
        challenged(host)
        expect(send(host, message), OK)
        refused(host, FAILED)

    yield Case("auth/reply-of-another-queue", "Base 8.13.5.4", replayed)

    def changed(world):
        host = authenticate(world, connect(world)).enable()
        set_keys = {"nqn": world.auth_nqn, "host": world.hostnqn(HOST)}
        world.rpc.call("nvmf_subsystem_set_keys", {**set_keys, "dhchap_key": "controller"})
        try:
            expect(host.command(wire.property_get(0, 1, cid=host.cid())), OK, "who is connected stays")
            expect(send(host, reply(world, *challenged(host), secret=CONTROLLER_SECRET)), OK)
            success(host)
            expect(send(host, reply(world, *challenged(host))), OK)
            refused(host, FAILED)
        finally:
            world.rpc.call("nvmf_subsystem_set_keys", {**set_keys, "dhchap_key": "host", "dhchap_ctrlr_key": "controller"})

    yield Case("auth/key-changed", "nvmf_subsystem_set_keys", changed)
