"""The beginning of a connection: ICReq, field by field, and what else may come first (3.1, 3.6.2.2)."""
import time
from itertools import product

import model_pdu
import wire
from answers import CLOSED, IC_RESP, OK, Term, expect
from case import PLAIN, Case, edges, sample
from wire import Framing

HLENS = (0, 1, 127, 128, 129, 255)
PLENS = (0, 1, 127, 128, 129, 1 << 31, (1 << 32) - 1)


def field_case(name, classes=(), full=False, **fields):
    """An ICReq with these fields; the rest is right."""
    all_fields = {"flags": 0, "hlen": 128, "pdo": 0, "plen": 128, "pfv": 0, "hpda": 0, "dgst": 0, "maxr2t": 0, **fields}

    def run(world):
        host = world.host()
        host.send(wire.ic_req(**all_fields))
        faults = model_pdu.ic_req(**{key: value for key, value in all_fields.items() if key != "maxr2t"})
        allowed = faults.terms()
        if all_fields["pfv"]:
            allowed |= {Term(6, 8)}  # (l) a version, or a parameter, that is not supported
        if all_fields["hpda"] > 31 and len(faults.must) == 1:
            allowed |= {Term(6, 10)}
        if faults.is_fatal:
            expect(host.answer(), allowed)
            return
        got = expect(host.answer(), allowed | {IC_RESP})
        if IC_RESP.allows(got):  # and it is in force
            dgst = got.pdu.header[11]
            host.framing, host.initialized = Framing(bool(dgst & 1), bool(dgst & 2), (got.pdu.header[10] + 1) * 4), True
            host.hpda = (all_fields["hpda"] + 1) * 4
            host.connect().enable()
            expect(host.command(wire.sqe(6, host.cid(), data_pointer=wire.sgl(wire.TRANSPORT, 4096), cdw=(1,))), OK)

    return Case(name, "NVMe/TCP 3.6.2.2", run, full, classes)


def fields(_world, full):
    for value in range(256) if full else edges(8, 31, more=(3, 7, 15, 63, 127)):
        yield field_case(f"ic/hpda={value}", hpda=value)
    for value in range(256) if full else edges(8, 4):
        yield field_case(f"ic/dgst={value}", dgst=value)
    for value in edges(16, 256):
        yield field_case(f"ic/pfv={value}", pfv=value)
    for value in edges(32, 0x8000, 0x7FFFFFFF):
        yield field_case(f"ic/maxr2t={value}", maxr2t=value)
    for value in range(256) if full else edges(8, 2, 4, 8, 128):
        yield field_case(f"ic/flags={value}", flags=value)
        yield field_case(f"ic/pdo={value}", pdo=value)
    for hlen, plen in product(HLENS, PLENS):
        if (hlen, plen) != (128, 128):
            yield field_case(f"ic/hlen={hlen},plen={plen}", ("C1",), hlen=hlen, plen=plen)
    for hlen, hpda, pfv in product((1, 128), (0, 32), (0, 1)):
        yield field_case(f"ic/hlen={hlen},hpda={hpda},pfv={pfv}", ("C1",), hlen=hlen, hpda=hpda, pfv=pfv)


def first_pdus(_world, full):
    """3.1: a host's first PDU is ICReq. (m) of a type that no host sends, either rule may be named."""
    kinds = range(256) if full else [*range(1, 13), 0x16, 0x47, 0x7F, 0x80, 0xFE, 0xFF]
    for kind in kinds:
        if kind == 0:
            continue

        def run(world, kind=kind):
            host = world.host()
            length = wire.HLEN.get(kind, 24)
            host.send(wire.common(kind, 0, length, 0, length) + bytes(length - 8))
            allowed = {Term(2)} if kind in wire.HOST_TYPES else {Term(2), Term(1, 0)}
            expect(host.answer(), CLOSED if kind == wire.H2C_TERM else allowed)

        yield Case(f"ic/first={kind:#04x}", "NVMe/TCP 3.1", run, classes=("C3",) if kind == wire.H2C_DATA else ())
    texts = {"http": b"GET / HTTP/1.1\r\nHost: a\r\n\r\n", "tls": bytes.fromhex("1603010200010001fc0303") + bytes(500),
             "ssh": b"SSH-2.0-x\r\n", "json": b'{"jsonrpc":"2.0"}',
             "ones": b"\xff" * 4096, "iscsi": bytes.fromhex("4387") + bytes(46)}
    for name, text in texts.items():
        def run(world, text=text):
            host = world.host()
            host.send(text)
            expect(host.answer(), {Term(1, 0), Term(2)})
        yield Case(f"ic/other-protocol={name}", "NVMe/TCP 3.1", run)


def streams(_world, full):
    """TCP is a stream of bytes: where it is cut means nothing; what is missing is waited for."""
    def in_pieces(world, size):
        host = world.host()
        for at in range(0, 128, size):
            host.send(wire.ic_req()[at:at + size])
        host.take_ic_resp(PLAIN)
        host.connect().enable()

    for size in (1, 2, 3, 7, 8, 9, 64, 127):
        yield Case(f"ic/pieces={size}", "TCP", lambda world, size=size: in_pieces(world, size))

    def twice(world, second, framing):
        host = world.host()
        host.send(wire.ic_req(dgst=(1 if framing.hdgst else 0) | (2 if framing.ddgst else 0)) + second)
        host.take_ic_resp(framing)
        expect(host.answer(), Term(2))

    for framing in (PLAIN, Framing(True), Framing(True, True)):
        for dgst in range(4):
            yield Case(f"ic/twice,{framing.label},dgst={dgst}", "NVMe/TCP 3.1, Figure 23",
                       lambda world, dgst=dgst, framing=framing: twice(world, wire.ic_req(dgst=dgst), framing),
                       classes=("C5",))

    def closes(world, size, how):
        host = world.host()
        host.send(wire.ic_req()[:size])
        if how == "fin":
            host.socket.shutdown(1)
            while not CLOSED.allows(got := host.answer()):
                expect(got, IC_RESP)
                host.initialized = True
        else:
            host.reset()

    for size in sample(full, range(129), 9):
        for how in ("fin", "rst"):
            yield Case(f"ic/end-after={size},{how}", "TCP", lambda world, size=size, how=how: closes(world, size, how),
                       classes=("C6", "C27"))

    def silence(world, sent):
        host = world.host()
        host.send(sent)
        began = time.monotonic()
        expect(host.answer(12), {CLOSED, Term(2)}, f"after {time.monotonic() - began:.1f} s")

    for name, sent in (("nothing", b""), ("half", wire.ic_req()[:64])):
        yield Case(f"ic/silence={name}", "goal: 10 s to a finished Connect", lambda world,
                   sent=sent: silence(world, sent), True, ("C15",))

    def no_connect(world):
        host = world.fresh()
        expect(host.answer(12), {CLOSED, Term(2)})

    yield Case("ic/silence=no-connect", "goal: 10 s to a finished Connect", no_connect, True, ("C15",))
