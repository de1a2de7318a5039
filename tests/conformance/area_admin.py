"""Admin commands, and the types of fabrics ones: opcodes, flags, Identify, features, Abort, events (Base 5, 6)."""
import time
from itertools import product

import model_command
import wire
from answers import (AER_LIMIT, CLOSED, INVALID_FIELD, INVALID_NAMESPACE, INVALID_OPCODE, KATO_INVALID, NOT_CHANGEABLE,
                     NOT_SAVEABLE, OK, QUEUE_TYPE, R2T, SEQUENCE, SGL_LENGTH, SILENT, Cpl, expect, require)
from case import FRAMINGS, PLAIN, Case, edges, sample
from wire import IN_CAPSULE, TRANSPORT

PAGE = 4096


def supported(table, opcode):
    """CSUPP or FSUPP of a log page of 32-bit entries."""
    return bool(table[opcode * 4] & 1)


def asked(host, command, allowed, data=b""):
    """Executes a command whose data, if the target asks for it, is `data`; then the connection still works."""
    got = host.command(command)
    if R2T.allows(got):
        length = got.pdu.u32(16)
        host.send(host.h2c(int.from_bytes(command[2:4], "little"), got.pdu.u16(10), 0,
                           data[:length].ljust(length, b"\0")))
        got = host.completion(command)
    expect(got, allowed)
    return got


def attachment(_world, _full):
    """Namespace Attachment: which namespace, what to do, and the list of controllers (Base 5.20, 4.6.1)."""
    list_invalid = Cpl(1, 0x1C)

    def controllers(count, *ids):
        return b"".join(number.to_bytes(2, "little") for number in (count, *ids)).ljust(PAGE, b"\0")

    def run(world, nsid, select, data, allowed, length=PAGE):
        host = world.admin()
        asked(host, wire.sqe(0x15, 7, nsid, wire.sgl(TRANSPORT, length), (select,)), allowed, data)

    nobody = controllers(1, 0xFFEE)
    rows = {f"nsid={nsid:#x}": (nsid, 1, nobody, {INVALID_NAMESPACE}) for nsid in (0, 0x10000, 0xFFFFFFFE, 0xFFFFFFFF)}
    rows |= {f"select={select}": (1, select, nobody, {INVALID_FIELD}) for select in range(2, 16)}
    rows |= {f"controllers={label}": (1, select, data, {list_invalid}) for select in (0, 1) for label, data in
             {f"none,select={select}": controllers(0), f"unknown,select={select}": nobody,
              f"2048,select={select}": controllers(2048), f"65535,select={select}": controllers(0xFFFF),
              f"twice,select={select}": controllers(2, 5, 5), f"falling,select={select}": controllers(2, 6, 5)}.items()}
    rows |= {f"length={length}": (1, 1, nobody, {SGL_LENGTH}, length) for length in (4, 2048, PAGE - 4)}
    for name, row in rows.items():
        yield Case(f"admin/attachment,{name}", "Base 5.20", lambda world, a=row: run(world, *a))


def lba_status(_world, _full):
    """Get LBA Status: which namespace, range and action, and how long the answer may be (NVM Command Set 4.2)."""
    lba_range = Cpl(0, 0x80)

    def run(world, nsid, slba, action, blocks, length, allowed, sgl_length=None):
        host = world.admin()
        words = (slba & 0xFFFFFFFF, slba >> 32, length // 4 - 1, action << 24 | blocks)
        got = host.command(wire.sqe(0x86, 7, nsid, wire.sgl(TRANSPORT, sgl_length or length), words))
        expect(got, allowed)

    rows = {f"nsid={nsid:#x}": (nsid, 0, 0x11, 0, 64, {INVALID_NAMESPACE}) for nsid in (0, 0x10000, 0xFFFFFFFF)}
    rows |= {f"action={action:#x}": (1, 0, action, 0, 64, {INVALID_FIELD})
             for action in (0, 1, 2, 0x0F, 0x12, 0x80, 0xFF)}
    rows |= {f"slba={slba:#x}": (1, slba, 0x11, 1, 64, {lba_range}) for slba in (1 << 32, 1 << 63, (1 << 64) - 1)}
    rows |= {f"length={length}": (1, 0, 0x10, 0, length, {OK}) for length in (4, 8, 12, 20, 24, 4096)}
    rows |= {"length=max": (1, 0, 0x11, 0, 1 << 34, {INVALID_FIELD}, 4096),
             "sgl,short": (1, 0, 0x11, 0, 4096, {SGL_LENGTH}, 64)}
    for name, row in rows.items():
        yield Case(f"admin/lba-status,{name}", "NVM 4.2", lambda world, a=row: run(world, *a))


def opcodes(_world, full):
    def admin_opcode(world, opcode, enabled):
        host = world.admin(enabled=enabled)
        command = wire.sqe(opcode, 7, 1, wire.sgl(TRANSPORT, PAGE))
        if not enabled:  # (s) which of the two comes first
            asked(host, command, {SEQUENCE} | ({INVALID_OPCODE} if not supported(world.commands, opcode) else set()) |
                  {INVALID_FIELD, SGL_LENGTH, Cpl(0, 0x11)})
            return
        if opcode == 0x0C:
            host.send(host.capsule(wire.sqe(opcode, 7)))
            expect(host.answer(0.02), SILENT)
        elif not supported(world.commands, opcode):
            asked(host, command, {INVALID_OPCODE})
        else:
            host.send(host.capsule(command))
            got = host.answer()
            require(isinstance(got, Cpl) or R2T.allows(got), f"a supported command got {got}")

    for opcode in range(256):
        if opcode != 0x7F and (full or opcode < 0x30 or opcode >= 0x7C and opcode < 0x90 or opcode % 16 == 15):
            for enabled in (True, False):
                yield Case(f"admin/opcode={opcode:#04x},{'enabled' if enabled else 'disabled'}", "Base 3.3.2, 5",
                           lambda world, a=(opcode, enabled): admin_opcode(world, *a))

    def fctype(world, kind, state):
        host = {"ready": world.fresh, "connected": lambda: world.admin(enabled=False), "enabled": world.admin,
                "io": lambda: world.io_pair()[1]}[state]()
        command = wire.fabrics(kind, 7, wire.sgl(TRANSPORT, 1024))
        if kind == 1:
            if state == "ready":
                return
            allowed = {SEQUENCE, INVALID_FIELD}
        elif state == "ready":
            allowed = {SEQUENCE, INVALID_FIELD}
        elif kind == 8:
            allowed = {OK} if state == "io" else {QUEUE_TYPE}
        elif kind in (0, 4) and state != "io":
            allowed = {INVALID_FIELD, OK}
        else:  # (t) what no fabrics command is, or authentication that was not asked for
            allowed = {INVALID_FIELD, INVALID_OPCODE, SEQUENCE}
        asked(host, command, allowed, host.connect_data())

    for kind, state in product(range(256) if full else [*range(12), 0x7F, 0x80, 0xFF],
                               ("ready", "connected", "enabled", "io")):
        yield Case(f"fabrics/fctype={kind:#04x},{state}", "Base 6", lambda world, a=(kind, state): fctype(world, *a))

    def flags(world, fuse, psdt, opcode):
        host = world.admin()
        command = wire.sqe(opcode, 7, 0, wire.sgl(TRANSPORT, PAGE), (1,), fuse=fuse, psdt=psdt)
        right = fuse == 0 and psdt == 1
        asked(host, command, {OK, KATO_INVALID} if right else {INVALID_FIELD,
                                                               Cpl(0, 0x0A)} | ({OK} if opcode == 0x18 and not fuse
                                                                                else set()))

    for fuse, psdt, opcode in product(range(4), range(4), (6, 0x18)):
        yield Case(f"admin/fuse={fuse},psdt={psdt},opcode={opcode:#x}", "Base 4.1, Figure 95",
                   lambda world, a=(fuse, psdt, opcode): flags(world, *a), classes=("C13",))


def identify(world, full):
    def run(world, cns, nsid, length, identifier, framing, csi=0, cntid=0, subnqn=None):
        host = world.admin(framing, subnqn=subnqn)
        payload = length if identifier == IN_CAPSULE and length <= 8192 else 0
        command = wire.sqe(6, 7, nsid, wire.sgl(identifier, length), (cns | cntid << 16, csi << 24))
        host.send(host.capsule(command, bytes(payload)))
        errors, may_pass = model_command.sgl(model_command.TO_HOST, PAGE, identifier, length, 0, payload, world.mdts,
                                             8192)
        active = list(world.blocks) + [4]
        known = True
        zero = False
        if cns in (0, 3, 5, 8) and subnqn is None:  # of one namespace
            namespace = model_command.io_namespace(nsid, active, world.nn)
            if namespace and cns in (0, 5, 8) and 0 < nsid <= world.nn:
                errors |= namespace if cns != 0 else set()
                zero = cns == 0  # 5.1.13.2: an inactive NSID gives zeroes
            elif namespace:
                errors |= namespace
                may_pass = False
            known = cns in (0, 3) or None
        elif cns in (2, 7) and subnqn is None:
            if nsid >= 0xFFFFFFFE:
                errors |= {INVALID_NAMESPACE}
                may_pass = False
            known = cns == 2 or None
        elif cns == 1:
            if nsid:
                errors |= {INVALID_FIELD, INVALID_NAMESPACE}  # (u) NSID where none is used
        elif cns in (6, 0x10, 0x11, 0x1C) and subnqn is None:
            known = None
        else:
            known = False if cns >= 0x20 or subnqn is None else None
        if known is False:
            errors |= {INVALID_FIELD, INVALID_NAMESPACE} if nsid else {INVALID_FIELD}
            may_pass = False
        elif known is None or csi:  # optional, or of a command set
            errors |= {INVALID_FIELD, Cpl(1, 0x2C), INVALID_NAMESPACE}
        got = expect(host.completion(command), model_command.settle(errors, may_pass))
        if OK.allows(got):
            require(len(got.data) == PAGE, f"{len(got.data)} bytes of Identify")
            require(not zero or not any(got.data), "data of a namespace that is not there")
        else:
            require(not got.data if isinstance(got, Cpl) else True, "data before an error")

    nsids = edges(32, 4, world.nn, more=(5, 0xFFFFFFFE))
    for cns, nsid in product(range(0x22), nsids):
        if full or cns in (0, 1, 2, 3, 5, 6, 7, 8, 0x1C) or nsid == 1:
            yield Case(f"admin/identify,cns={cns:#x},nsid={nsid:#x}", "Base 5.1.13",
                       lambda world, a=(cns, nsid, PAGE, TRANSPORT, PLAIN): run(world, *a), classes=("C11",))
    for cns in range(0x22, 256) if full else (0x7F, 0x80, 0xFF):
        yield Case(f"admin/identify,cns={cns:#x}", "Base 5.1.13", lambda world,
                   cns=cns: run(world, cns, 0, PAGE, TRANSPORT, PLAIN))
    for csi, cns in product(edges(8, 3), (5, 6, 7, 8)):
        yield Case(f"admin/identify,cns={cns:#x},csi={csi}", "Base 5.1.13",
                   lambda world, a=(cns, 1, PAGE, TRANSPORT, PLAIN, csi): run(world, *a))
    for cntid in edges(16):
        yield Case(f"admin/identify,cntid={cntid:#x}", "Base 5.1.13", lambda world,
                   c=cntid: run(world, 1, 0, PAGE, TRANSPORT, PLAIN, 0, c))
    for length in edges(32, PAGE, world.mdts, 1 << 31):
        for identifier, framing in product((TRANSPORT, IN_CAPSULE), FRAMINGS):
            yield Case(f"admin/identify,length={length},sgl={identifier:#x},{framing.label}", "Base 4.3.2",
                       lambda world, a=(1, 0, length, identifier, framing): run(world, *a), classes=("C11",))
    for identifier in sample(full, range(256), 48):
        yield Case(f"admin/identify,sgl={identifier:#x}", "NVMe/TCP 3.3.2", lambda world,
                   i=identifier: run(world, 1, 0, PAGE, i, PLAIN))
    for cns in range(0x22) if full else (0, 1, 2, 3, 6):
        yield Case(f"admin/identify,discovery,cns={cns:#x}", "Base 3.1.3.3",
                   lambda world, cns=cns: run(world, cns, 0, PAGE, TRANSPORT, PLAIN, subnqn=world.discovery_nqn))


def features(world, full):
    def get(world, fid, select, length):
        host = world.admin()
        command = wire.sqe(0x0A, 7, 0, wire.sgl(TRANSPORT, length), (fid | select << 8,))
        known = supported(world.features, fid)
        allowed = {OK, INVALID_FIELD, SGL_LENGTH} if known and select < 4 else {INVALID_FIELD,
                                                                                *({SGL_LENGTH} if known
                                                                                  and length < PAGE else ())}
        if supported(world.features, fid) and select < 3 and length >= PAGE and fid not in (0x81, 0x16):
            allowed = {OK}
        if fid in (0x82, 0x83):  # of a namespace
            allowed |= {INVALID_NAMESPACE}
        got = expect(host.command(command), allowed)
        require(len(got.data) <= length, "more data than the descriptor has")

    for fid in range(256) if full else [*range(0x22), 0x7F, 0x80, 0x81, 0x82, 0x83, 0xFF]:
        for select, length in product(range(8) if full or supported(world.features, fid) else (0,), (0, 511, PAGE)):
            yield Case(f"admin/get-feature={fid:#x},sel={select},length={length}", "Base 5.1.11",
                       lambda world, a=(fid, select, length): get(world, *a))

    def put(world, fid, save, value):
        host = world.admin(kato=0)
        command = wire.sqe(9, 7, 0, wire.sgl(TRANSPORT, PAGE), (fid | save << 31, value))
        good = {OK, INVALID_FIELD, NOT_CHANGEABLE, SEQUENCE, KATO_INVALID,
                *({INVALID_NAMESPACE} if fid in (0x82, 0x83) else ())}
        if not supported(world.features, fid):
            allowed = {INVALID_FIELD}
        elif save:
            allowed = {INVALID_FIELD, NOT_SAVEABLE}  # nothing can be saved, whatever ONCS says of SV and SEL
        elif fid == 0x0F:
            allowed = {KATO_INVALID, INVALID_FIELD} if value == 0 else {OK}
        elif fid == 7:
            allowed = {INVALID_FIELD} if 0xFFFF in (value & 0xFFFF, value >> 16) else {OK}
        elif fid == 2 and value & 0x1F:
            allowed = {INVALID_FIELD}  # there is one power state
        else:
            allowed = good
        asked(host, command, allowed, bytes(PAGE))

    for fid in range(256) if full else [*range(0x22), 0x80, 0x81, 0x83, 0xFF]:
        values = edges(32, 0xFFFF, 0x10000, more=(0xFFFF0000, 0xFFFE0000)) if supported(world.features, fid) else (0,)
        for save, value in product((0, 1), values):
            yield Case(f"admin/set-feature={fid:#x},save={save},value={value:#x}", "Base 5.1.25",
                       lambda world, a=(fid, save, value): put(world, *a))

    def queues_later(world):
        admin, _ = world.io_pair()
        expect(admin.command(wire.sqe(9, 7, 0, None, (7, 3 | 3 << 16))), SEQUENCE)

    def behavior(world, identifier, length, framing):
        host = world.admin(framing)
        payload = length if identifier == IN_CAPSULE else 0
        errors, may_pass = model_command.sgl(model_command.TO_CONTROLLER, 512, identifier, length, 0, payload,
                                             world.mdts, 8192)
        command = wire.sqe(9, 7, 0, wire.sgl(identifier, length), (0x16,))
        host.send(host.capsule(command, bytes(payload)))
        got = host.completion(command)
        if R2T.allows(got):
            host.send(host.h2c(7, got.pdu.u16(10), 0, bytes(got.pdu.u32(16))))
            got = host.completion(command)
        expect(got, model_command.settle(errors, may_pass))

    yield Case("admin/queues-after-queue", "Base 5.1.25.1.6", queues_later)
    for identifier, length, framing in product((IN_CAPSULE, TRANSPORT), edges(32, 512, 8192, 1 << 31), FRAMINGS):
        if identifier == TRANSPORT or length <= 8192:
            yield Case(f"admin/behavior,sgl={identifier:#x},length={length},{framing.label}", "Base 4.3.2",
                       lambda world, a=(identifier, length, framing): behavior(world, *a), classes=("C4",))


def life(world, _full):
    """C13: Abort, event requests, keep alive."""
    def abort(world, sqid, cid, prepare):
        admin, io = world.io_pair()
        if prepare == "aer":
            admin.send(admin.capsule(wire.sqe(0x0C, cid)))
        elif prepare == "write":
            io.send(io.capsule(wire.sqe(1, cid, 1, wire.sgl(TRANSPORT, 16384), (0, 0, 31))))
            r2t = expect(io.answer(), R2T).pdu
        admin.send(admin.capsule(wire.sqe(8, 7, 0, None, (sqid | cid << 16,))))
        answers = {}
        while 7 not in answers:
            got = expect(admin.answer(), {OK, INVALID_FIELD, Cpl(0, 7)})
            answers[got.cid] = got
        if OK.allows(answers[7]) and answers[7].cdw0 & 1 == 0:
            require(prepare, "Abort says that it aborted what there is not")
            if prepare == "aer":
                expect(answers.get(cid) or admin.answer(), Cpl(0, 7), "the aborted command")
        if prepare == "write":  # it ends once: aborted, or by its data
            got = io.answer(0.02) if answers[7].cdw0 & 1 == 0 else SILENT
            if SILENT.allows(got):
                io.send(io.h2c(cid, r2t.u16(10), 0, bytes(16384)))
                expect(io.answer(), {OK, Cpl(0, 7)})

    for sqid in edges(16, world.io_queues_max):
        yield Case(f"admin/abort,sqid={sqid}", "Base 5.1.1", lambda world, sqid=sqid: abort(world, sqid, 0xBEEF, None),
                   classes=("C13",))
    for cid in edges(16):
        for prepare in (None, "aer", "write"):
            if cid != 7:
                yield Case(f"admin/abort,cid={cid},{prepare}", "Base 5.1.1",
                           lambda world, a=(1 if prepare == "write" else 0, cid, prepare): abort(world, *a),
                           classes=("C13",))
    yield Case("admin/abort-itself", "Base 5.1.1", lambda world: abort(world, 0, 7, None), classes=("C13",))

    def abort_abort(world):
        host = world.admin()
        host.send(b"".join(host.capsule(wire.sqe(8, 20 + at, 0, None, ((19 + at) << 16,))) for at in range(20)))
        got = {expect(host.answer(), {OK, Cpl(1, 3)}).cid for _ in range(20)}
        require(got == set(range(20, 40)), "each Abort is answered once")

    def events(world, subnqn):
        """AERL + 1 may wait; the next is refused; they end without completions when the queue does."""
        host = world.admin(subnqn=subnqn)
        for at in range(world.aerl + 1):
            host.send(host.capsule(wire.sqe(0x0C, 100 + at)))
        expect(host.answer(0.02), SILENT)
        expect(host.command(wire.sqe(0x0C, 200)), AER_LIMIT)
        host.send(host.capsule(wire.sqe(8, 7, 0, None, (100 << 16,))))
        got = [host.answer(), host.answer()]
        require({answer.cid for answer in got} == {7, 100}, f"Abort of an event request: {got}")
        host.send(host.capsule(wire.sqe(0x0C, 300)))
        expect(host.answer(0.02), SILENT)

    yield Case("admin/abort-abort", "Base 5.1.1", abort_abort, classes=("C13",))
    for name, subnqn in (("nvm", None), ("discovery", world.discovery_nqn)):
        yield Case(f"admin/events,{name}", "Base 5.1.2", lambda world, subnqn=subnqn: events(world, subnqn),
                   classes=("C13",))

    def keep_alive(world, kato, nsid):
        host = world.admin(kato=kato)
        expect(host.command(wire.sqe(0x18, 7, nsid)), {OK} if kato and not nsid else {OK, KATO_INVALID, INVALID_FIELD,
                                                                                      INVALID_NAMESPACE})

    for kato, nsid in product((0, 1, 2000, 0xFFFFFFFF), (0, 1)):
        yield Case(f"admin/keep-alive,kato={kato},nsid={nsid}", "Base 3.9", lambda world,
                   a=(kato, nsid): keep_alive(world, *a))

    def expiry(world, kato):
        admin = world.admin(kato=kato)
        io = world.io(admin)
        began = time.monotonic()
        expect(io.answer(3 * kato / 1000 + 2), CLOSED)
        took = time.monotonic() - began
        require(kato / 1000 * 0.9 <= took <= 2 * kato / 1000 + 1,
                f"it took {took:.1f} s to end a silent host with KATO {kato} ms")
        world.admin()

    yield Case("admin/keep-alive-expires", "Base 3.9", lambda world: expiry(world, 1000))
