"""Connect, field by field, on admin, I/O and discovery queues (Base 6.3); and what may stand before it."""
from itertools import product

import model_command
import wire
from answers import (BUSY, FORMAT, INVALID_FIELD, INVALID_HOST, INVALID_OPCODE, OK, R2T, SEQUENCE, SGL_LENGTH,
                     SGL_OFFSET,
                     Cpl, Term, bad_parameter, expect, require)
from case import FRAMINGS, PLAIN, Case, edges, sample
from wire import IN_CAPSULE, TRANSPORT

RULE = "Base 6.3, Figure 546"
LONGEST = "nqn.2016-06.io.spdk:" + "n" * 203  # 223 bytes


def try_connect(world, allowed, command=None, data=None, framing=PLAIN, number=1):
    """Sends a Connect on a connection of its own; afterwards the connection still answers if it was refused."""
    host = world.host(number).handshake(framing)
    command = command or wire.connect_sqe(7)
    got = expect(host.command(command, host.connect_data() if data is None else data), allowed)
    if isinstance(got, Cpl) and not OK.allows(got):  # a second try on the same connection is right
        expect(host.command(wire.connect_sqe(8), host.connect_data()), OK, "Connect after a refused one")
    elif isinstance(got, Cpl):
        expect(host.command(wire.property_get(0, 1, cid=9)), {OK, INVALID_FIELD, INVALID_OPCODE}, "after Connect")
    return got


def admin_fields(world, full):
    limit = world.admin_sqsize_max

    def one(name, **fields):
        def run(world):
            data_fields = {key: fields[key] for key in ("cntlid",) if key in fields}
            sqe_fields = {key: value for key, value in fields.items() if key not in data_fields}
            allowed = model_command.connect(sqsize_max=limit, **{key: value for key,
                                                                 value in fields.items() if key != "kato"})
            if fields.get("qid"):  # an I/O queue of a controller that is not there
                allowed = {bad_parameter(16, True)} | (allowed - {OK}) | {bad_parameter(42, False)}
            try_connect(world, allowed, wire.connect_sqe(7, **sqe_fields), world.host().connect_data(**data_fields))
        return Case(f"connect/{name}", RULE, run, classes=("C8",))

    for value in edges(16, more=(2, 0x100)):
        yield one(f"recfmt={value}", recfmt=value)
    for value in edges(16, limit, 31, 0x8000):
        yield one(f"sqsize={value}", sqsize=value)
    for value in range(256) if full else edges(8, 2, 4, 8, 16):
        yield one(f"cattr={value}", cattr=value)
    for value in edges(16, 0xFFEF, 0xFFFE):
        yield one(f"cntlid={value:#x}", cntlid=value)
    for value in edges(16, world.io_queues_max):
        if value:
            yield one(f"qid={value}", qid=value, cntlid=0x7777)
    for value in edges(32, 1000, 0x7FFFFFFF):
        yield one(f"kato={value}", kato=value)
    for recfmt, sqsize, cntlid in product((0, 1), (0, 31, 0xFFFF), (0, 0xFFFF)):
        yield one(f"recfmt={recfmt},sqsize={sqsize},cntlid={cntlid:#x}", recfmt=recfmt, sqsize=sqsize, cntlid=cntlid)


def names(_world, full):
    """NQNs: 223 bytes at most, ended by NUL within 256 bytes, UTF-8 (Base 4.7)."""
    good_host = "nqn.2014-08.org.nvmexpress:uuid:00000000-0000-4000-8000-000000000001"
    subnqns = {"unknown": "nqn.2016-06.io.spdk:nobody", "empty": "", "no-nul": b"n" * 256, "255": b"n" * 255 + b"\0",
               "224": LONGEST + "n", "223": LONGEST, "case": "NQN.2016-06.io.spdk:conformance", "hello": "hello",
               "prefix": "nqn.2016-06.io.spdk:conformanc", "longer": "nqn.2016-06.io.spdk:conformance1",
               "elsewhere": "nqn.2016-06.io.spdk:elsewhere", "ff": b"\xff" * 10,
               "blank": " nqn.2016-06.io.spdk:conformance"}
    hostnqns = {"no-nul": b"n" * 256, "255": b"n" * 255, "224": LONGEST + "n", "hello": "hello", "nqn": "nqn.",
                "ff": b"nqn.2016-06.a:\xff\xfe",
                "control": b"nqn.2016-06.io.spdk:\x1b[31m\n", "percent": "nqn.2016-06.io.spdk:%n%n%s"}
    open_or_not = {bad_parameter(512, True), OK}  # (p) names whose form the specification leaves open

    def run(world, subnqn, hostnqn, allowed, framing):
        try_connect(world, allowed, data=wire.connect_data(subnqn, hostnqn), framing=framing)

    for name, value in subnqns.items():
        allowed = {bad_parameter(256, True)} | ({INVALID_HOST} if name == "elsewhere" else set())
        for framing in FRAMINGS if full else (PLAIN, FRAMINGS[3]):
            yield Case(f"connect/subnqn={name},{framing.label}", RULE,
                       lambda world, a=(value, good_host, allowed, framing): run(world, *a), classes=("C8",))
    for name, value in hostnqns.items():
        allowed = open_or_not if name in ("nqn", "ff", "control", "percent") else {bad_parameter(512, True)}
        yield Case(f"connect/hostnqn={name}", RULE,
                   lambda world, a=(world_nqn, value, allowed, PLAIN): run(world, *a), classes=("C8",))
    # (q) an empty HOSTNQN: a host without a name; the field's tools connect so. A HOSTID of 0 likewise (Base HOSTID).
    yield Case("connect/hostnqn=empty", RULE, lambda world: run(world, world_nqn, "", open_or_not, PLAIN),
               classes=("C8",))

    def after_nul(world):
        data = bytearray(world.host().connect_data())
        data[256 + 100:512] = b"\xEE" * 156  # bytes behind the NUL
        data[512 + 200:768] = b"\xEE" * 56
        try_connect(world, {OK, bad_parameter(256, True), bad_parameter(512, True)}, data=bytes(data))

    yield Case("connect/bytes-after-nul", RULE, after_nul, classes=("C8",))

    def at_223(world, where):
        data = bytearray(world.host().connect_data())
        data[where:where + 256] = b"nqn.2016-06.io.spdk:".ljust(223, b"x") + b"\0" + b"y" * 32
        try_connect(world, {bad_parameter(256, True)} if where == 256 else {OK, bad_parameter(512, True)},
                    data=bytes(data))

    for where in (256, 512):
        yield Case(f"connect/nul-at-223,{where}", RULE, lambda world, where=where: at_223(world, where),
                   classes=("C8",))
    for reserved in (18, 255, 768, 1023):
        def reserved_set(world, reserved=reserved):
            data = bytearray(world.host().connect_data())
            data[reserved] = 0xFF
            try_connect(world, {OK, bad_parameter(reserved, True), INVALID_FIELD}, data=bytes(data))
        yield Case(f"connect/reserved-byte={reserved}", RULE, reserved_set)

    def host_id(world, value):
        try_connect(world, {OK, bad_parameter(0, True)} if not any(value) else {OK},
                    data=wire.connect_data(world.nqn, good_host, hostid=value))

    for value in (bytes(16), b"\xff" * 16, bytes(15) + b"\1"):
        yield Case(f"connect/hostid={value.hex()}", RULE, lambda world, value=value: host_id(world, value))

    def not_allowed(world):
        host = world.fresh()
        expect(host.command(wire.connect_sqe(1), host.connect_data(world.closed_nqn)), INVALID_HOST)

    yield Case("connect/host-not-allowed", RULE, not_allowed)


world_nqn = "nqn.2016-06.io.spdk:conformance"


def data_pointers(_world, full):
    """C8: lengths {0,1,1023,1024,1025,4096} by capsule and by R2T; what a descriptor says against what came."""
    def run(world, identifier, length, payload, framing):
        host = world.fresh(framing)
        errors, may_pass = model_command.sgl(model_command.TO_CONTROLLER, 1024, identifier, length, 0, payload,
                                             world.mdts, 8192)
        allowed = model_command.settle(errors, may_pass)
        command = wire.connect_sqe(7, data_pointer=wire.sgl(identifier, length))
        data = host.connect_data().ljust(max(payload, min(length, 1 << 17)), b"\0")
        host.send(host.capsule(command, data[:payload]))
        got = host.completion(command)
        if R2T.allows(got):
            require(OK in allowed, f"R2T, allowed: {allowed}")
            offset, size = got.pdu.u32(12), got.pdu.u32(16)
            require(offset == 0 and size in (1024, length), f"R2T of {offset}+{size}")
            host.send(host.h2c(7, got.pdu.u16(10), 0, data[:size]))
            got = host.completion(command)
        if length > 0 and payload < 1024 and not allowed & {OK}:
            allowed = allowed | {bad_parameter(0, True)}
        expect(got, allowed)

    lengths = (0, 1, 1023, 1024, 1025, 4096, 8192)
    for framing in FRAMINGS if full else (PLAIN, FRAMINGS[3]):
        for identifier, length in product((IN_CAPSULE, TRANSPORT), (*lengths, (1 << 32) - 1)):
            for payload in lengths if identifier == IN_CAPSULE else (0, 1024):
                if full or payload in (length, 1024, 0) or length == 1024:
                    yield Case(f"connect/sgl={identifier:#x},{framing.label},length={length},payload={payload}",
                               "NVMe/TCP 3.3.1",
                               lambda world, a=(identifier, length, payload, framing): run(world, *a),
                               classes=("C4", "C8", "C27"))
    for identifier in sample(full, range(256), 40):
        if identifier not in (IN_CAPSULE, TRANSPORT):
            yield Case(f"connect/sgl={identifier:#x}", "NVMe/TCP 3.3.2",
                       lambda world, identifier=identifier: run(world, identifier, 1024, 0, PLAIN))

    def over(world, size):
        host = world.fresh()
        command = wire.connect_sqe(7, data_pointer=wire.sgl(IN_CAPSULE, size))
        host.send(host.capsule(command, bytes(size)))
        expect(host.completion(command), {Term(1, 4), SGL_LENGTH, SGL_OFFSET, INVALID_FIELD})

    for size in (8193, 8196, 16384):
        yield Case(f"connect/payload={size}", "NVMe/TCP 3.3.1", lambda world, size=size: over(world, size),
                   classes=("C4",))


def io_queues(world, _full):
    def attempt(world, allowed, framing=PLAIN, number=1, enabled=True, admin=None, **fields):
        admin = admin or world.admin(enabled=enabled)
        data_fields = {key: fields.pop(key) for key in ("hostid", "hostnqn", "subnqn", "cntlid") if key in fields}
        host = world.host(number).handshake(framing)
        command = wire.connect_sqe(7, **{"qid": 1, **fields})
        got = expect(host.command(command, host.connect_data(**{"cntlid": admin.cntlid, **data_fields})), allowed)
        expect(admin.command(wire.property_get(0x1C, cid=50)), OK, "the admin queue afterwards")
        return got

    limit = world.io_queues_max
    for qid in sorted({*edges(16, limit, 0x8000)} - {0}):
        allowed = {OK} if qid <= limit else {bad_parameter(42, False), Cpl(1, 1)}
        yield Case(f"connect/io,qid={qid}", RULE, lambda world, a=(allowed, qid): attempt(world, a[0], qid=a[1]),
                   classes=("C9",))
    for sqsize in edges(16, world.mqes):
        allowed = {OK} if 0 < sqsize <= world.mqes else {bad_parameter(44, False)}
        yield Case(f"connect/io,sqsize={sqsize}", RULE, lambda world, a=(allowed, sqsize): attempt(world, a[0],
                                                                                                   sqsize=a[1]))
    for cntlid in edges(16, 0x7777, 0xFFEF, 0xFFFE):
        def wrong_id(world, cntlid=cntlid):
            admin = world.admin()
            attempt(world, {OK} if cntlid == admin.cntlid else {bad_parameter(16, True)}, admin=admin, cntlid=cntlid)
        yield Case(f"connect/io,cntlid={cntlid:#x}", RULE, wrong_id, classes=("C9",))
    for recfmt in edges(16):
        if recfmt:
            yield Case(f"connect/io,recfmt={recfmt}", RULE, lambda world, recfmt=recfmt: attempt(world, {FORMAT},
                                                                                                 recfmt=recfmt))

    singles = {
        "other-hostid": ({bad_parameter(0, True)}, {"hostid": b"\x77" * 16}),
        "other-hostnqn": ({bad_parameter(512, True)}, {"hostnqn": "nqn.2016-06.io.spdk:other"}),
        "other-host": ({bad_parameter(0, True), bad_parameter(512, True)}, {"number": 2}),
        "other-subnqn": ({bad_parameter(256, True), bad_parameter(16, True)}, {"subnqn": "nqn.2016-06.io.spdk:narrow"}),
        "unknown-subnqn": ({bad_parameter(256, True)}, {"subnqn": "nqn.2016-06.io.spdk:nobody"}),
        "before-enable": ({bad_parameter(16, True), bad_parameter(42, False), SEQUENCE}, {"enabled": False}),
        "kato": ({OK, bad_parameter(48, False)}, {"kato": 1}),
    }
    for name, (allowed, fields) in singles.items():
        for framing in FRAMINGS:
            yield Case(f"connect/io,{name},{framing.label}", RULE,
                       lambda world, a=allowed, f=fields, framing=framing: attempt(world, a, framing, **f),
                       classes=("C9",))

    def in_use(world, qid):
        """(r) Figure 546 says Invalid Queue Identifier, the text of 6.3 Command Sequence Error."""
        admin = world.admin()
        world.io(admin, qid=qid)
        attempt(world, {SEQUENCE, Cpl(1, 1), bad_parameter(42, False)}, admin=admin, qid=qid)

    def reused(world, how):
        """The QID is free again when its connection has ended; until then it is in use."""
        admin = world.admin()
        first = world.io(admin, qid=3)
        if how == "disconnect":
            expect(first.command(wire.disconnect(cid=1)), OK)
        getattr(first, "reset" if how == "rst" else "close")()
        for _ in range(400):
            host = world.host()
            host.handshake()
            got = host.command(wire.connect_sqe(7, 3), host.connect_data(cntlid=admin.cntlid))
            if OK.allows(expect(got, {OK, SEQUENCE, Cpl(1, 1), bad_parameter(42, False)})):
                return
            host.close()
        require(False, "the QID stays in use")

    def at_wrong_controllers(world, kind):
        if kind == "discovery":
            admin = world.admin(subnqn=world.discovery_nqn)
            attempt(world, {bad_parameter(16, True), bad_parameter(42, False)}, admin=admin, subnqn=world.discovery_nqn)
        elif kind == "gone":
            admin = world.admin()
            cntlid = admin.cntlid
            admin.close()
            other = world.admin(number=2)
            if other.cntlid != cntlid:
                attempt(world, {bad_parameter(16, True)}, admin=other, cntlid=cntlid)
        else:
            admin = world.admin()
            expect(admin.command(wire.property_set(0x14, 0x460000 | (1 << 14 if kind == "shutdown"
                                                                     else 0) | (kind == "shutdown"),
                                                   cid=3)), OK)
            attempt(world, {bad_parameter(16, True), bad_parameter(42, False), OK if kind == "shutdown" else SEQUENCE},
                    admin=admin)

    yield Case("connect/io,in-use", RULE, lambda world: in_use(world, 1), classes=("C9",))
    for how in ("disconnect", "close", "rst"):
        yield Case(f"connect/io,reused-after-{how}", RULE, lambda world, how=how: reused(world, how), classes=("C9",))
    for kind in ("discovery", "gone", "disabled", "shutdown"):
        yield Case(f"connect/io,{kind}", RULE, lambda world, kind=kind: at_wrong_controllers(world, kind),
                   classes=("C9",))


def controller_ids(_world, _full):
    """C9: ids are given again only when they are free, and not while they are in use."""
    def exhausted(world):
        held = [world.admin(subnqn=world.narrow_nqn, number=10 + at) for at in range(4)]
        require(len({host.cntlid for host in held}) == 4, "an id was given twice")
        host = world.host(20).handshake()
        expect(host.command(wire.connect_sqe(1), host.connect_data(world.narrow_nqn)),
               {BUSY, bad_parameter(16, True), Cpl(1, 0x81)})
        held[2].close()
        for _ in range(400):
            got = host.command(wire.connect_sqe(1), host.connect_data(world.narrow_nqn))
            if OK.allows(expect(got, {OK, BUSY})):
                require(got.cdw0 & 0xFFFF == held[2].cntlid, "an id that is in use was given")
                return
        require(False, "the id of a controller that is gone is not given again")

    def wraps(world, count, subnqn, low, high):
        """Old ones stay alive while the ids go round."""
        old = [world.admin(subnqn=subnqn, number=10 + at) for at in range(2)]
        taken = {host.cntlid for host in old}
        for at in range(count):
            host = world.host(30).handshake().connect(subnqn=subnqn)
            require(host.cntlid not in taken and low <= host.cntlid <= high, f"id {host.cntlid:#x} at connect {at}")
            host.close()
            world.hosts.remove(host)
        for host in old:
            expect(host.command(wire.property_get(0x1C, cid=50)), OK)

    yield Case("connect/cntlid-exhausted", "Base 3.1.2", exhausted, classes=("C9",))
    yield Case("connect/cntlid-wraps-narrow", "Base 3.1.2", lambda world: wraps(world, 40, world.narrow_nqn, 0xFFEC,
                                                                                0xFFEF), classes=("C9",))
    yield Case("connect/cntlid-wraps", "Base 3.1.2", lambda world: wraps(world, 65600, world.nqn, 1, 0xFFEF), True,
               classes=("C9",))


def pipelined(_world, _full):
    """What a host may only send after its Connect was answered, sent right behind it: answered in order, or refused."""
    def run(world, qid, framing, behind):
        admin = world.admin()
        host = world.host().handshake(framing)
        connect = host.capsule(wire.connect_sqe(7, qid), host.connect_data(cntlid=admin.cntlid if qid else 0xFFFF))
        second = {"connect": host.capsule(wire.connect_sqe(8, qid),
                                          host.connect_data(cntlid=admin.cntlid if qid else 0xFFFF)),
                  "property": host.capsule(wire.property_get(0, 1, cid=8)),
                  "flush": host.capsule(wire.sqe(0, 8, 1)),
                  "disconnect": host.capsule(wire.disconnect(cid=8))}[behind]
        host.send(connect + second)
        expect(host.answer(), OK, "Connect")
        on_admin = {"connect": {SEQUENCE, INVALID_FIELD}, "property": {OK}, "flush": {SEQUENCE, INVALID_OPCODE},
                    "disconnect": {Cpl(1, 0x85)}}
        on_io = {"connect": {SEQUENCE, INVALID_FIELD}, "property": {INVALID_FIELD, INVALID_OPCODE}, "flush": {OK},
                 "disconnect": {OK}}
        expect(host.answer(), (on_io if qid else on_admin)[behind] | {SEQUENCE, Term(2)}, "what stands behind it")

    for qid, framing, behind in product((0, 1), FRAMINGS, ("connect", "property", "flush", "disconnect")):
        yield Case(f"connect/pipelined={behind},qid={qid},{framing.label}", "Base 6.3", lambda world,
                   a=(qid, framing, behind): run(world, *a), classes=("C6",))
