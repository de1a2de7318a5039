"""Fabrics commands beside Connect: properties and what they reset, Disconnect (Base 3.1.4, 3.6, 3.7.2, 6.4 to 6.6)."""
import contextlib
import time
from itertools import product

import wire
from answers import CLOSED, FORMAT, INVALID_FIELD, OK, QUEUE_TYPE, SEQUENCE, SILENT, Cpl, Term, expect, require
from case import FRAMINGS, Case, edges
from wire import TRANSPORT

PROPERTIES = {0x00: 8, 0x08: 4, 0x14: 4, 0x1C: 4}  # CAP, VS, CC, CSTS
OPTIONAL_PROPERTIES = {0x20: 4, 0x68: 4, 0x04: 4, 0x24: 4, 0x28: 8,
                       0x30: 8}  # (v) NSSR, CRTO, CAP's upper half; AQA, ASQ, ACQ


def properties(_world, full):
    def get(world, offset, attrib, enabled):
        host = world.admin(enabled=enabled)
        size = {0: 4, 1: 8}.get(attrib & 7)
        want = PROPERTIES.get(offset)
        if want == size and want:
            allowed = {OK}
        elif want == 8 and size == 4 or (OPTIONAL_PROPERTIES.get(offset) == size and size):
            allowed = {OK, INVALID_FIELD}
        else:
            allowed = {INVALID_FIELD}
        if attrib & ~7:
            allowed = allowed | {INVALID_FIELD}  # (c)
        expect(host.command(wire.property_get(offset, attrib, cid=7)), allowed)

    offsets = [*range(0, 0x104, 4)] if full else [0, 4, 8, 0xC, 0x10, 0x14, 0x18, 0x1C, 0x20, 0x24, 0x28, 0x30, 0x68,
                                                  0x100]
    offsets += [1, 2, 3, 7, 0x15, 0x1000, 1 << 31, (1 << 32) - 4, (1 << 32) - 1]
    for offset, attrib in product(offsets, range(256) if full else (0, 1, 2, 7, 8, 255)):
        yield Case(f"fabrics/property-get,{offset:#x},attrib={attrib}", "Base 6.5", lambda world,
                   a=(offset, attrib, True): get(world, *a))
        if full:
            yield Case(f"fabrics/property-get,{offset:#x},attrib={attrib},disabled", "Base 6.5",
                       lambda world, a=(offset, attrib, False): get(world, *a))

    def put(world, offset, attrib, value):
        host = world.admin(enabled=False)
        size = {0: 4, 1: 8}.get(attrib & 7)
        allowed = {INVALID_FIELD}
        if offset == 0x14 and size == 4:
            allowed = {OK} if value in (0, 0x460001, 0x460000) else {OK, INVALID_FIELD, SEQUENCE}
        elif offset == 0x20:
            allowed = {INVALID_FIELD, OK}  # NSSR where it is not supported
        expect(host.command(wire.property_set(offset, value, attrib, cid=7)), allowed)
        expect(host.command(wire.property_get(0x1C, cid=8)), OK, "CSTS afterwards")

    for offset, attrib in product(offsets, (0, 1, 2, 7)):
        yield Case(f"fabrics/property-set,{offset:#x},attrib={attrib}", "Base 6.6", lambda world,
                   a=(offset, attrib, 0x460001): put(world, *a))
    fields = {"css": (4, 3), "mps": (7, 4), "ams": (11, 3), "shn": (14, 2), "iosqes": (16, 4), "iocqes": (20, 4),
              "crime": (24, 1), "rsvd": (25, 7)}
    for name, (shift, bits) in fields.items():
        for value in range(1 << bits):
            cc = 0x460001 & ~(((1 << bits) - 1) << shift) | value << shift
            yield Case(f"fabrics/cc,{name}={value}", "Base 3.1.4.5", lambda world, cc=cc: put(world, 0x14, 0, cc))
    for value in edges(64, 1 << 32):
        yield Case(f"fabrics/cc={value:#x}", "Base 3.1.4.5", lambda world, value=value: put(world, 0x14, 0, value))

    def entry_sizes(world, sqes, cqes):
        """IOSQES and IOCQES that no queue has: refused at once or when an I/O queue is connected."""
        host = world.admin(enabled=False)
        got = expect(host.command(wire.property_set(0x14, 1 | sqes << 16 | cqes << 20, cid=7)), {OK, INVALID_FIELD})
        if OK.allows(got):
            io = world.fresh()
            good = (sqes, cqes) == (6, 4)
            expect(io.command(wire.connect_sqe(8, 1), io.connect_data(cntlid=host.cntlid)),
                   {OK} if good else {Cpl(1, 0x82)})

    for sqes, cqes in product(range(16), (4, 0, 15)):
        yield Case(f"fabrics/iosqes={sqes},iocqes={cqes}", "Base 3.1.4.5", lambda world,
                   a=(sqes, cqes): entry_sizes(world, *a))

    def disconnect(world, on_io, recfmt, framing):
        host = world.io_pair(framing)[1] if on_io else world.admin(framing)
        allowed = {FORMAT} if recfmt else {OK}
        if not on_io:
            allowed = {QUEUE_TYPE} | ({FORMAT} if recfmt else set())
        got = expect(host.command(wire.disconnect(recfmt, 7)), allowed)
        if OK.allows(got):
            host.send(host.capsule(wire.sqe(0, 8, 1)))
            expect(host.answer(), {SEQUENCE, CLOSED, Term(2)}, "a command after Disconnect")

    for on_io, recfmt, framing in product((True, False), edges(16), FRAMINGS):
        yield Case(f"fabrics/disconnect,{'io' if on_io else 'admin'},recfmt={recfmt},{framing.label}", "Base 6.4",
                   lambda world, a=(on_io, recfmt, framing): disconnect(world, *a))


def resets(_world, _full):
    """CC.EN to 0, or CC.SHN, with commands in flight (Base 3.7.2): queues end, CSTS tells so, and it begins again."""
    def run(world, framing, cc, kind):
        admin = world.admin(framing)
        queues = [world.io(admin, framing, qid) for qid in (1, 2, 3)]
        admin.send(admin.capsule(wire.sqe(0x0C, 99)))
        for queue in queues:
            for at in range(20):
                pointer = wire.sgl(TRANSPORT, 16384)
                queue.send(queue.capsule(wire.sqe(1 if kind == "writes" else 2, 100 + at, 1, pointer,
                                                  (at * 32, 0, 31))))
        expect(admin.command(wire.property_set(0x14, cc, cid=7)), OK)
        for queue in queues:
            with contextlib.suppress(wire.Cut):
                while not CLOSED.allows(got := queue.answer()):
                    require(not SILENT.allows(got), "an I/O queue of a controller that was reset lives on")
        end = time.monotonic() + 5
        while True:
            csts = expect(admin.command(wire.property_get(0x1C, cid=8)), OK).cdw0
            if csts & 1 == 0 if cc & 1 == 0 else csts >> 2 & 3 == 2:
                break
            require(time.monotonic() < end, f"CSTS stays {csts:#x}")
        if cc & 1 == 0:
            admin.enable()
            again = world.io(admin, framing, 2)
            expect(again.command(wire.sqe(0, 7, 1)), OK)

    for framing, (name, cc), kind in product(FRAMINGS, (("reset", 0x460000), ("shutdown", 0x464001),
                                                        ("abrupt", 0x468001)), ("writes", "reads")):
        yield Case(f"admin/{name},{kind},{framing.label}", "Base 3.6, 3.7.2", lambda world,
                   a=(framing, cc, kind): run(world, *a), classes=("C6", "C7"))
