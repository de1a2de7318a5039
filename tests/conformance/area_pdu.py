"""PDU headers after ICResp: every type in every state, every length against every other, flags, digests, terminations."""
import struct
from itertools import product

import model_command
import model_pdu
import wire
from answers import (CLOSED, INVALID_FIELD, INVALID_OPCODE, OK, R2T, SEQUENCE, SGL_LENGTH, TRANSIENT, Cpl, Term, expect,
                     require)
from case import FRAMINGS, PLAIN, Case, edges, sample
from wire import CAPSULE, FLAG_DDGST, FLAG_HDGST, H2C_DATA, H2C_TERM, IC_REQ

# States ------------------------------------------------------------------------------------------------------------


def connecting(world, framing):
    """The Connect's data was asked for (3.3.1 allows that): an R2T of the Connect is outstanding."""
    host = world.fresh(framing)
    host.send(host.capsule(wire.connect_sqe(host.cid(), data_pointer=wire.sgl(wire.TRANSPORT, 1024))))
    expect(host.answer(), R2T)
    return host


def receiving(world, framing, blocks=32):
    _, host = world.io_pair(framing)
    host.write_cid = host.cid()
    host.send(host.capsule(wire.sqe(1, host.write_cid, 1, wire.sgl(wire.TRANSPORT, blocks * 512), (0, 0, blocks - 1))))
    host.r2t = expect(host.answer(), R2T).pdu
    return host


def after_bad_digest(world, framing):
    """A wrong data digest fails its command and not the connection (3.5.2)."""
    _, host = world.io_pair(wire.Framing(framing.hdgst, True))
    command = wire.sqe(1, host.cid(), 1, wire.sgl(wire.IN_CAPSULE, 512), (0, 0, 0))
    host.send(host.capsule(command, bytes(512), ddgst=1))
    expect(host.completion(command), TRANSIENT)
    return host


def disconnected(world, framing):
    _, host = world.io_pair(framing)
    expect(host.command(wire.disconnect(cid=host.cid())), OK)
    return host


STATES = {
    "ready": lambda world, framing: world.fresh(framing),
    "connecting": connecting,
    "connected": lambda world, framing: world.admin(framing, enabled=False),
    "enabled": lambda world, framing: world.admin(framing),
    "io": lambda world, framing: world.io_pair(framing)[1],
    "receiving": receiving,
    "bad-digest": after_bad_digest,
    "disconnected": disconnected,
}
# What Property Get of CAP is answered there: on I/O queues it is none of their commands.
ON_CAPSULE = {"ready": {SEQUENCE},
              "connecting": {SEQUENCE, Term(2)},  # (n) a queue has one entry until its Connect is over
              "connected": {OK}, "enabled": {OK},
              "io": {INVALID_FIELD, INVALID_OPCODE, SEQUENCE}, "disconnected": {SEQUENCE, CLOSED, Term(2),
                                                                                INVALID_FIELD}}


def of_type(kind, host):
    """A PDU of this type that is well formed in itself."""
    flags = FLAG_HDGST if host.framing.hdgst and kind not in (IC_REQ, wire.IC_RESP, H2C_TERM, wire.C2H_TERM) else 0
    if kind == IC_REQ:
        return wire.ic_req()
    if kind == CAPSULE:
        return host.capsule(wire.property_get(0, 1, cid=0x4444))
    if kind == H2C_DATA:
        return host.h2c(0x4444, 0x7777, 0, bytes(512))
    length = wire.HLEN.get(kind, 24)
    header = wire.common(kind, flags, length, 0, length + (4 if flags else 0)) + bytes(length - 8)
    return header + (struct.pack("<I", wire.crc32c(header)) if flags else b"")


def types(_world, full):
    def run(world, state, framing, kind):
        host = STATES[state](world, framing)
        host.send(of_type(kind, host))
        if kind not in wire.HOST_TYPES:
            allowed = {Term(1, 0)}
        else:
            allowed = {IC_REQ: {Term(2)}, H2C_TERM: {CLOSED}, H2C_DATA: {Term(1, 10)},
                       CAPSULE: ON_CAPSULE.get(state, ON_CAPSULE["io"])}[kind]
        if state == "disconnected":
            allowed = allowed | {CLOSED}
        got = expect(host.answer(), allowed)
        if isinstance(got, Term):
            sent = of_type(kind, host)
            require(got.header and sent.startswith(got.header),
                    "the C2HTermReq does not show the header that was wrong")

    kinds = range(256) if full else [*range(12), 0x7F, 0x80, 0xFF]
    for state, framing, kind in product(STATES, FRAMINGS if full else (PLAIN, FRAMINGS[3]), kinds):
        yield Case(f"pdu/type={kind:#04x},{state},{framing.label}", "NVMe/TCP 3.1, 3.3, 3.5.1",
                   lambda world, *of, args=(state, framing, kind): run(world, *args),
                   classes=("C3",) if kind == H2C_DATA else ("C5",) if kind == IC_REQ else ())


def after_fatal(_world, _full):
    """3.5.1: after a fatal error nothing more is processed, and one C2HTermReq is sent."""
    def run(world, state, kind):
        host = STATES[state](world, PLAIN)
        host.send(wire.common(0x0B, 0, 24, 0, 24) + bytes(16) + of_type(kind, host) * 3)
        expect(host.answer(), Term(1, 0))

    def later(world, state, kind):
        host = STATES[state](world, PLAIN)
        host.send(wire.common(0x0B, 0, 24, 0, 24) + bytes(16))
        got = host.answer  # the PDU comes when the C2HTermReq is already out
        host.send(of_type(kind, host))
        expect(got(), {Term(1, 0), CLOSED})

    for state, kind in product(STATES, wire.HOST_TYPES):
        yield Case(f"pdu/after-fatal={kind},{state}", "NVMe/TCP 3.5.1", lambda world, a=(state, kind): run(world, *a))
        yield Case(f"pdu/long-after-fatal={kind},{state}", "NVMe/TCP 3.5.1", lambda world,
                   a=(state, kind): later(world, *a))


# Lengths of a capsule ------------------------------------------------------------------------------------------------


def capsule_of(host, is_io, flags, hlen, pdo, plen):
    """(bytes to send, faults, allowed answers) of a command with in-capsule data whose header has these fields."""
    framing = host.framing
    faults, size = model_pdu.capsule(flags, hlen, pdo, plen, framing)
    limit = host.world.ioccsz if is_io else 8192
    cid = 0x2222
    data_bytes = size if not faults.is_fatal else 512
    pointer = wire.sgl(wire.IN_CAPSULE, data_bytes)
    need = 512
    command = (wire.sqe(1, cid, 1, pointer, (0, 0, 0)) if is_io else wire.sqe(9, cid, 0, pointer, (0x16,)))
    header = wire.common(CAPSULE, flags, hlen, pdo, plen) + command
    if framing.hdgst:
        header += struct.pack("<I", wire.crc32c(header))
    if faults.is_fatal or size > limit:
        rest = min(max(plen - len(header), 0), 9000)
        allowed = faults.terms() if faults.is_fatal else {Term(1, 4), SGL_LENGTH, Cpl(0, 0x16),
                                                          INVALID_FIELD} | faults.terms()
        return header + bytes(rest), allowed, not faults.is_fatal and plen < 100000
    errors, may_pass = model_command.sgl(model_command.TO_CONTROLLER, need, wire.IN_CAPSULE, data_bytes, 0, size,
                                         host.world.mdts, limit)
    body = bytes(size)
    sent = header
    if size:
        sent += bytes(pdo - len(header)) + body + (struct.pack("<I", wire.crc32c(body)) if framing.ddgst else b"")
    return sent, model_command.settle(errors, may_pass) | faults.terms(), True


def capsule_case(name, is_io, framing, flags, hlen, pdo, plen):
    def run(world):
        host = world.io_pair(framing)[1] if is_io else world.admin(framing)
        sent, allowed, _ = capsule_of(host, is_io, flags, hlen, pdo, plen)
        host.send(sent)
        got = expect(host.answer(), allowed)
        if isinstance(got, Cpl):  # the connection lives: the next command is understood
            alive = wire.sqe(0, host.cid(), 1) if is_io else wire.property_get(0, 1, cid=host.cid())
            expect(host.command(alive), OK, "the next command")

    return Case(name, "NVMe/TCP 3.6.2.6", run, classes=("C1", "C4") if plen > 4000 else ("C1",))


def right_flags(framing, has_data=True):
    return (FLAG_HDGST if framing.hdgst else 0) | (FLAG_DDGST if framing.ddgst and has_data else 0)


def capsules(world, full):
    for is_io, framing in product((False, True), FRAMINGS):
        end = wire.header_end(CAPSULE, framing)
        place = wire.first_data(CAPSULE, framing)
        digest = 4 if framing.ddgst else 0
        limit = world.ioccsz if is_io else 8192
        normal = place + 512 + digest
        hlens = edges(8, 72, 128, more=(24, end))
        pdos = edges(8, 72, end, 128, more=(place + 4, 100, 124, 132))
        plens = edges(32, 72, end, place, place + digest, normal, place + limit + digest, 1 << 31,
                      more=(normal + 4, 128, 8))
        queue = "io" if is_io else "admin"
        triples = {(hlen, place, normal) for hlen in hlens} | {(72, pdo, plen) for pdo, plen in product(pdos, plens)}
        triples |= {(hlen, place, plen) for hlen, plen in product((1, 71, 73), plens)}
        if full:
            triples = set(product(hlens, pdos, plens))
        for hlen, pdo, plen in sample(full, sorted(triples), 160, len(framing.label)):
            flags = right_flags(framing, plen > end)
            yield capsule_case(f"pdu/capsule,{queue},{framing.label},hlen={hlen},pdo={pdo},plen={plen}", is_io, framing,
                               flags,
                               hlen, pdo, plen)
        for flags in range(256) if full else edges(8, 2, 4, 8, 16, 32, 64, 128, more=(2, 3, 4, 8)):
            for plen in (end, normal):
                yield capsule_case(f"pdu/capsule,{queue},{framing.label},flags={flags},plen={plen}", is_io, framing,
                                   flags, 72,
                                   0 if plen == end else place, plen)


# Digests ------------------------------------------------------------------------------------------------------------


def digests(_world, full):
    def header(world, state, framing, bits):
        host = STATES[state](world, framing)
        sent = host.capsule(wire.property_get(0, 1, cid=5), hdgst=bits)
        host.send(sent)
        received = struct.unpack_from("<I", sent, 72)[0]
        expect(host.answer(), {Term(3, received)} | ({CLOSED} if state == "disconnected" else set()))

    def data(world, framing, is_io, bits, then):
        host = world.io_pair(framing)[1] if is_io else world.admin(framing)
        pointer = wire.sgl(wire.IN_CAPSULE, 512)
        command = wire.sqe(1, 7, 1, pointer, (4000, 0, 0)) if is_io else wire.sqe(9, 7, 0, pointer, (0x16,))
        before = host.command(wire.sqe(2, 8, 1, wire.sgl(wire.TRANSPORT, 512), (4000, 0, 0))).data if is_io else b""
        host.send(host.capsule(command, b"\xA5" * 512, ddgst=bits))
        if then == "rst":
            host.reset()
            return
        expect(host.completion(command), TRANSIENT)
        if is_io:
            got = host.command(wire.sqe(2, 8, 1, wire.sgl(wire.TRANSPORT, 512), (4000, 0, 0)))
            require(got.data == before, "data with a wrong digest reached the disk")

    bits_of = range(32) if full else (0, 7, 16, 31)
    for state, framing, bit in product(STATES, FRAMINGS[1::2], bits_of):
        yield Case(f"pdu/hdgst,{state},{framing.label},bit={bit}", "NVMe/TCP 3.5.2",
                   lambda world, a=(state, framing, 1 << bit): header(world, *a), classes=("C5",))
    for framing, is_io, bit, then in product(FRAMINGS[2:], (False, True), bits_of, ("answer", "rst")):
        yield Case(f"pdu/ddgst,{'io' if is_io else 'admin'},{framing.label},bit={bit},{then}", "NVMe/TCP 3.5.2",
                   lambda world, a=(framing, is_io, 1 << bit, then): data(world, *a), classes=("C5",))

    def flipped(world, framing, byte):
        """A bit of a header flips on the way: only the digest is named, whatever the bit means; never taken."""
        host = world.admin(framing)
        sent = bytearray(host.capsule(wire.property_get(0, 1, cid=5)))
        sent[byte] ^= 0x10
        host.send(bytes(sent) + bytes(200))
        got = host.answer()
        require(isinstance(got, Term), f"a flipped header got {got}")
        if byte >= 8:
            expect(got, Term(3, struct.unpack_from("<I", sent, 72)[0]))

    for framing, byte in product(FRAMINGS[1::2], range(0, 76)):
        if byte not in (2, 4, 5, 6, 7):  # where the digest lies is told by these: they are judged first
            yield Case(f"pdu/flip,{framing.label},byte={byte}", "NVMe/TCP 3.5.2", lambda world,
                       a=(framing, byte): flipped(world, *a))


# H2CTermReq ------------------------------------------------------------------------------------------------------------


def terminations(_world, full):
    """3.5.1: after an H2CTermReq the connection ends, and no C2HTermReq is sent, however wrong it is."""
    def run(world, state, hlen, plen, fes, data):
        host = STATES[state](world, PLAIN) if state != "start" else world.host()
        host.send(wire.term_req(fes, 0, data, plen, hlen))
        host.send(bytes(152))
        expect(host.answer(), CLOSED)

    shapes = [(24, plen, 1) for plen in edges(32, 24, 48, 152, 1 << 31)]
    shapes += [(hlen, 48, 1) for hlen in edges(8, 24, 128)]
    shapes += [(24, None, fes) for fes in edges(16, 6, 0xFF)]
    for state in ("start", *STATES):
        for hlen, plen, fes in sample(full or state == "io", dict.fromkeys(shapes), 9):
            yield Case(f"pdu/h2cterm,{state},hlen={hlen},plen={plen},fes={fes}", "NVMe/TCP 3.5.1, 3.6.2.4",
                       lambda world, a=(state, hlen, plen, fes, bytes(24)): run(world, *a), classes=("C1",))


def pieces(_world, full):
    """A whole association in segments of any size (TCP is a stream)."""
    def run(world, framing, size):
        admin = world.admin()
        host = world.host().handshake(framing)
        connect = host.capsule(wire.connect_sqe(host.cid(), 1, 31), host.connect_data(cntlid=admin.cntlid))
        command = wire.sqe(1, host.cid(), 1, wire.sgl(wire.IN_CAPSULE, 1024), (100, 0, 1))
        data = bytes(range(256)) * 4
        stream = connect + host.capsule(command, data) + host.capsule(
            wire.sqe(2, 77, 1, wire.sgl(wire.TRANSPORT, 1024), (100, 0, 1)))
        if size > 1:
            first = len(connect)
            chunks = [stream[:first]] + [stream[at:at + size] for at in range(first, len(stream), size)]
        else:
            chunks = [stream[at:at + 1] for at in range(len(stream))]
        host.send(chunks[0])
        if size > 1:
            expect(host.answer(), OK)
        for chunk in chunks[1:]:
            host.send(chunk)
        answers = {got.cid: got for got in (expect(host.answer(), OK) for _ in range(2 if size > 1 else 3))}
        require(answers[77].data in (data, answers[77].data[:0]) or len(answers[77].data) == 1024, "the read's data")

    for framing, size in product(FRAMINGS if full else FRAMINGS[::3], (1, 3, 7, 73, 1000) if full else (7, 73)):
        yield Case(f"pdu/pieces={size},{framing.label}", "TCP", lambda world, a=(framing, size): run(world, *a))
