"""Reservation commands: every action, type and key that is wrong, who may touch data meanwhile, and the log and the features
that belong to them (NVMe Base 2.0, 7.2 to 7.5, 8.19)."""
import struct
from itertools import product

import wire
from answers import (COMPARE, INVALID_FIELD, INVALID_NAMESPACE, OK, SGL_LENGTH, Cpl, expect, require)
from area_io import perform
from case import Case, edges
from model_command import DSM, FLUSH, READ, WRITE, WRITE_ZEROES
from model_command import COMPARE as COMPARE_OP
from wire import TRANSPORT

REGISTER, REPORT, ACQUIRE, RELEASE = 0x0D, 0x0E, 0x11, 0x15
CONFLICT, INCONSISTENT = Cpl(0, 0x83), Cpl(0, 0x18)
ANA_INACCESSIBLE, ANA_LOSS, ANA_CHANGE = Cpl(3, 2), Cpl(3, 1), Cpl(3, 3)
TYPES = range(1, 7)
FORCED = 1 << 3
SIZES = {REGISTER: 16, ACQUIRE: 16, RELEASE: 8}


def reserve(host, opcode, cdw10, current=0, other=0, nsid=1, length=None, cdw11=0):
    data = struct.pack("<QQ", current, other)[:SIZES[opcode]]
    command = wire.sqe(opcode, host.cid(), nsid, wire.sgl(TRANSPORT, len(data) if length is None else length),
                       (cdw10, cdw11))
    return perform(host, command, data)


def report(host, length=64 + 2 * 64, eds=1, sgl=None, nsid=1):
    command = wire.sqe(REPORT, host.cid(), nsid, wire.sgl(TRANSPORT, length if sgl is None else sgl),
                       (length // 4 - 1, eds))
    return host.command(command)


def register(host, key, nsid=1):
    expect(reserve(host, REGISTER, 2 | FORCED, 0, key, nsid), OK, "register")


def two_hosts(world):
    """I/O queues of two hosts on one namespace without registrations."""
    first = world.io(world.admin(number=1))
    second = world.io(world.admin(number=2))
    register(first, 0xF)
    expect(reserve(first, RELEASE, 1, 0xF), OK, "clear")
    return first, second


def touch(host, opcode, nsid=1):
    size = host.world.blocks[nsid][0]
    length = {FLUSH: 0, WRITE_ZEROES: 0, DSM: 16}.get(opcode, size)
    data = struct.pack("<IIQ", 0, 1, 0) if opcode == DSM else bytes(size)
    cdw = (0, 4) if opcode == DSM else (0, 0, 0)
    return perform(host, wire.sqe(opcode, host.cid(), nsid, wire.sgl(TRANSPORT, length), cdw), data)


def fields(world, full):
    def wrong(world, opcode, cdw10, current, other, allowed):
        first, _ = two_hosts(world)
        register(first, 5)
        expect(reserve(first, opcode, cdw10, current, other), allowed)
        got = expect(report(first), OK).data
        require(got[5:7] == b"\1\0" and got[4] == 0 and got[72:80] == struct.pack("<Q", 5),
                "a refused command changed the reservation")

    rows = [(REGISTER, action, 5, 6, {INVALID_FIELD}) for action in range(3, 8)]
    rows += [(REGISTER, action | keys, 5, 0, {INVALID_FIELD}) for action, keys in ((0, 0), (2, 0), (2, FORCED))]
    rows += [(REGISTER, 0 | cptpl << 30, 0, 5, {INVALID_FIELD}) for cptpl in (1, 3)]  # 3: there is no ptpl_file
    rows += [(REGISTER, 0, 0, 6, {CONFLICT}), (REGISTER, 1, 6, 0, {CONFLICT}), (REGISTER, 2, 6, 7, {CONFLICT})]
    rows += [(ACQUIRE, action | 1 << 8, 5, 5, {INVALID_FIELD}) for action in range(3, 8)]
    rows += [(ACQUIRE, rtype << 8, 5, 0, {INVALID_FIELD}) for rtype in (0, *edges(8, 7)) if rtype not in TYPES]
    rows += [(ACQUIRE, action | FORCED | 1 << 8, 5, 5, {INVALID_FIELD}) for action in range(3)]
    rows += [(ACQUIRE, action | rtype << 8, 6, 5, {CONFLICT}) for action, rtype in product(range(3), TYPES)]
    rows += [(ACQUIRE, action | 1 << 8, 5, 0, {INVALID_FIELD}) for action in (1, 2)]
    rows += [(ACQUIRE, action | 1 << 8, 5, 99, {CONFLICT}) for action in (1, 2)]
    rows += [(RELEASE, action, 5, 0, {INVALID_FIELD}) for action in range(2, 8)]
    rows += [(RELEASE, action | FORCED, 5, 0, {INVALID_FIELD}) for action in range(2)]
    rows += [(RELEASE, action | 1 << 8, 6, 0, {CONFLICT}) for action in range(2)]
    for opcode, cdw10, current, other, allowed in rows:
        yield Case(f"resv/opcode={opcode:#x},cdw10={cdw10:#x},keys={current}:{other}", "Base 7.2-7.4",
                   lambda world, a=(opcode, cdw10, current, other, allowed): wrong(world, *a))

    def lengths(world, opcode, length):
        first, _ = two_hosts(world)
        need = SIZES[opcode]
        allowed = {SGL_LENGTH, *({INVALID_FIELD} if length == 0 else ())} if length < need else \
            {OK, CONFLICT, INVALID_FIELD, SGL_LENGTH}
        expect(reserve(first, opcode, 1 << 8 if opcode != REGISTER else 0, 1, 1, length=length), allowed)

    for opcode, need in SIZES.items():
        for length in (0, 1, need - 1, need):
            yield Case(f"resv/opcode={opcode:#x},length={length}", "Base 4.3.2",
                       lambda world, a=(opcode, length): lengths(world, *a))

    def reports(world, length, eds, sgl):
        first, second = two_hosts(world)
        register(first, 5)
        register(second, 6)
        whole = expect(report(first), OK).data
        got = report(first, length, eds, sgl)
        if not eds:
            return expect(got, INCONSISTENT)
        if length > world.mdts:
            return expect(got, {INVALID_FIELD, SGL_LENGTH})
        if sgl is not None and sgl < length:
            return expect(got, {SGL_LENGTH, *({INVALID_FIELD} if sgl == 0 else ())})
        data = expect(got, OK).data
        require(len(data) == length, f"{len(data)} of {length} bytes")
        require(data[:len(whole)] == whole[:length] and not any(data[len(whole):]), "a part is not what the whole is")
        require(length < 8 or data[5:7] == b"\2\0", "the number of registrants depends on the buffer")

    for length in (4, 8, 60, 64, 68, 128, 192, 196, 4096, 131072, 131076):
        yield Case(f"resv/report,length={length}", "Base 7.5", lambda world, a=(length, 1, None): reports(world, *a))
    for length, eds, sgl in ((64, 0, None), (192, 0, None), (64, 1, 0), (64, 1, 60), (192, 1, 191)):
        yield Case(f"resv/report,length={length},eds={eds},sgl={sgl}", "Base 7.5",
                   lambda world, a=(length, eds, sgl): reports(world, *a))

    def nowhere(world, opcode, nsid):
        first, _ = two_hosts(world)
        got = report(first, nsid=nsid) if opcode == REPORT else reserve(first, opcode, 0, 1, 1, nsid)
        expect(got, {INVALID_NAMESPACE, INVALID_FIELD})

    for opcode, nsid in product((*SIZES, REPORT), (0, 8, 9, 0xFFFFFFFE, 0xFFFFFFFF)):
        yield Case(f"resv/opcode={opcode:#x},nsid={nsid:#x}", "Base 3.2.1", lambda world, a=(opcode, nsid):
                   nowhere(world, *a))


def conflicts(world, full):
    def run(world, rtype, registered, opcode):
        """What another host may do while the first one holds a reservation (8.19, the table of conflicts)."""
        first, second = two_hosts(world)
        register(first, 5)
        if registered:
            register(second, 6)
        expect(reserve(first, ACQUIRE, rtype << 8, 5), OK, "acquire")
        reads = opcode in (READ, COMPARE_OP)
        is_open = (reads and rtype in (1, 3, 5)) or (registered and rtype >= 3)
        good = {OK, COMPARE} if opcode == COMPARE_OP else {OK}
        expect(touch(second, opcode), good if is_open else {CONFLICT})
        expect(touch(first, opcode), good, "of the holder")
        expect(reserve(second, ACQUIRE, 1 << 8, 6 if registered else 0), {CONFLICT}, "acquire of another")
        expect(touch(second, opcode, 2), good, "another namespace")
        expect(reserve(first, RELEASE, rtype << 8, 5), OK, "release")
        expect(touch(second, opcode), good, "after the release")

    for rtype, registered, opcode in product(TYPES, (False, True), (READ, WRITE, COMPARE_OP, WRITE_ZEROES, FLUSH,
                                                                    DSM)):
        yield Case(f"resv/type={rtype},registered={registered},opcode={opcode:#x}", "Base 8.19",
                   lambda world, a=(rtype, registered, opcode): run(world, *a))


def features(world, full):
    def run(world, fid, nsid, value, allowed):
        admin = world.admin()
        expect(admin.command(wire.sqe(9, admin.cid(), nsid, None, (fid, value))), allowed)
        if OK in allowed and nsid == 1:
            got = expect(admin.command(wire.sqe(0x0A, admin.cid(), nsid, None, (fid,))), OK)
            require(got.cdw0 == value, f"{got.cdw0:#x} was not set")

    for value in (0, 2, 4, 8, 0xE):
        yield Case(f"resv/mask={value:#x}", "Base 5.27.1.26", lambda world, v=value: run(world, 0x82, 1, v, {OK}))
    for value in (1, 0x10, 0x80000000):
        yield Case(f"resv/mask={value:#x}", "Base 5.27.1.26",
                   lambda world, v=value: run(world, 0x82, 1, v, {INVALID_FIELD}))
    for fid, nsid in product((0x82, 0x83), (0, 8, 9)):
        yield Case(f"resv/feature={fid:#x},nsid={nsid}", "Base 3.2.1",
                   lambda world, a=(fid, nsid, 0, {INVALID_NAMESPACE, INVALID_FIELD}): run(world, *a))
    for fid in (0x82, 0x83):
        yield Case(f"resv/feature={fid:#x},all", "Base 5.27.1.26",
                   lambda world, a=(fid, 0xFFFFFFFF, 0, {OK}): run(world, *a))
    yield Case("resv/persistence=0", "Base 5.27.1.27", lambda world: run(world, 0x83, 1, 0, {OK}))
    yield Case("resv/persistence=1", "Base 5.27.1.27", lambda world: run(world, 0x83, 1, 1, {INVALID_FIELD}))


def paths(world, full):
    """ANA states: what is refused, with which status, and what goes on."""
    def state(world, name, group=None):
        params = {**world.listener(world.ana_nqn), "ana_state": name, **({"anagrpid": group} if group else {})}
        world.rpc.call("nvmf_subsystem_listener_set_ana_state", params)

    def run(world, name, refusal, opcode):
        admin = world.admin(subnqn=world.ana_nqn)
        host = world.io(admin, subnqn=world.ana_nqn)
        try:
            state(world, name, 1)
            command = wire.sqe(opcode, host.cid(), 1, wire.sgl(TRANSPORT, 0 if opcode in (FLUSH, WRITE_ZEROES)
                                                               else 16 if opcode in SIZES else 512), (0, 0, 0))
            got = perform(host, command, bytes(512))
            good = {OK, COMPARE, INVALID_FIELD, CONFLICT, SGL_LENGTH}
            expect(got, {refusal} if refusal else good)
            expect(admin.command(wire.sqe(0x18, admin.cid())), OK, "Keep Alive")
            expect(admin.command(wire.sqe(6, admin.cid(), 1, wire.sgl(TRANSPORT, 4096), (0,))), OK, "Identify")
            got = admin.command(wire.sqe(0x0A, admin.cid(), 1, None, (0x82,)))
            expect(got, {refusal} if refusal else {OK}, "a feature of the namespace")
            page = expect(admin.command(wire.sqe(2, admin.cid(), 0, wire.sgl(TRANSPORT, 64), (0x0C | 15 << 16,))),
                          OK, "the log").data
            numbers = {"optimized": 1, "non_optimized": 2, "inaccessible": 3, "persistent_loss": 4, "change": 15}
            require(page[8:10] == b"\1\0" and page[32] == numbers[name], f"the log says {page[32]}")
        finally:
            state(world, "optimized")

    states = {"optimized": None, "non_optimized": None, "inaccessible": ANA_INACCESSIBLE, "persistent_loss": ANA_LOSS,
              "change": ANA_CHANGE}
    for (name, refusal), opcode in product(states.items(), (READ, WRITE, COMPARE_OP, WRITE_ZEROES, FLUSH, REGISTER)):
        yield Case(f"ana/{name},opcode={opcode:#x}", "Base 8.1.3", lambda world, a=(name, refusal, opcode):
                   run(world, *a))
