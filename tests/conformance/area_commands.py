"""Commands beside Read and Write: Copy with every limit, Verify, fused pairs, zones on what has none (NVM 3.2, Base 3.4.2)."""
import struct
from itertools import product

import wire
from answers import (INVALID_FIELD, INVALID_NAMESPACE, INVALID_OPCODE, LBA_RANGE, OK, R2T, SGL_LENGTH, Cpl,
                     expect, require)
from area_io import perform, read_back
from case import Case, edges
from model_command import COMPARE as COMPARE_OP
from model_command import FLUSH, WRITE
from wire import IN_CAPSULE, TRANSPORT

COPY, VERIFY = 0x19, 0x0C
SIZE_LIMIT, OVERLAP = Cpl(1, 0x83), Cpl(1, 0x87)
FAILED_FUSED, MISSING_FUSED, UNIT_EXCEEDED = Cpl(0, 9), Cpl(0, 0x0A), Cpl(0, 0x14)


def source(slba, blocks, form=0):
    if form == 1:
        return struct.pack("<8xQH8x10xHH", slba & (1 << 64) - 1, blocks - 1 & 0xFFFF, 0, 0)
    return struct.pack("<8xQH6xIHH", slba & (1 << 64) - 1, blocks - 1 & 0xFFFF, 0, 0, 0)


def copies(world, full):
    def run(world, to, ranges, nr, length, form):
        """Any of the broken rules may be named; what is refused has changed nothing."""
        _, host = world.io_pair()
        size, blocks = world.blocks[1]
        errors = set()
        if form > 1:
            errors.add(INVALID_FIELD)
        if nr + 1 > 128:
            errors.add(SIZE_LIMIT)
        if length < min(nr + 1, 128) * (40 if form == 1 else 32):
            errors.add(SGL_LENGTH)
        total = sum(count for _, count in ranges)
        if any(count > 65535 for _, count in ranges):
            errors.add(SIZE_LIMIT)
        if any(slba + count > blocks for slba, count in ranges) or to + total > blocks:
            errors.add(LBA_RANGE)
        if any(slba < to + total and to < slba + count for slba, count in ranges):
            errors.add(OVERLAP)
        if length > world.mdts:
            errors |= {INVALID_FIELD, SGL_LENGTH}
        before = read_back(host, 1, blocks - 1, 1) if errors else b""
        data = b"".join(source(*entry, form) for entry in ranges).ljust(length, b"\0")[:length]
        command = wire.sqe(COPY, 7, 1, wire.sgl(TRANSPORT, length), (to & 0xFFFFFFFF, to >> 32, nr | form << 8))
        got = expect(perform(host, command, data), errors or {OK})
        if errors:
            require(got.cdw0 == 0, f"dword 0 is {got.cdw0}: nothing was copied")
            require(read_back(host, 1, blocks - 1, 1) == before, "a refused Copy changed the disk")

    blocks = world.blocks[1][1]
    for slba, count in product(edges(64, blocks, 1 << 32, 1 << 63), (1, 2, 65535, 65536)):
        if full or slba < blocks + 2 or count == 1:
            yield Case(f"io/copy,slba={slba:#x},count={count}", "NVM 3.2.2",
                       lambda world, a=(blocks // 2, [(slba, count)], 0, 32, 0): run(world, *a), classes=("C17",))
    for to in edges(64, blocks, 1 << 32, 1 << 63):
        yield Case(f"io/copy,to={to:#x}", "NVM 3.2.2",
                   lambda world, to=to: run(world, to, [(100, 4), (200, 4)], 1, 64, 0), classes=("C17",))
    for to in (89, 92, 93, 99, 100, 103, 104):
        yield Case(f"io/copy,overlap,to={to}", "NVM 3.2.2",
                   lambda world, to=to: run(world, to, [(10, 4), (100, 4)], 1, 64, 0))
    for form in range(1, 16):
        yield Case(f"io/copy,format={form}", "NVM 3.2.2", lambda world, form=form: run(world, 50, [(0, 1)], 0, 40, form))
    for nr, length in product((0, 1, 101, 102, 127, 128, 255), (0, 32, 39, 40, 80, 4080, 4096, 5119, 5120, 8192)):
        yield Case(f"io/copy,format=1,nr={nr},length={length}", "NVM 3.2.2",
                   lambda world, nr=nr, length=length: run(world, blocks // 2, [(0, 1)] * (nr + 1), nr, length, 1),
                   classes=("C14",))
    for nr, length in product((0, 1, 127, 128, 255), (0, 31, 32, 64, 4095, 4096, 8192)):
        yield Case(f"io/copy,nr={nr},length={length}", "NVM 3.2.2",
                   lambda world, nr=nr, length=length: run(world, blocks // 2, [(0, 1)] * (nr + 1), nr, length, 0),
                   classes=("C14",))


def verifies(world, full):
    def run(world, nsid, slba, nlb):
        _, host = world.io_pair()
        size, blocks = world.blocks.get(nsid) or (512, 0)
        errors = {LBA_RANGE} if nsid in world.blocks and slba + nlb + 1 > blocks else set()
        if nsid not in world.blocks:
            errors = {INVALID_NAMESPACE, INVALID_FIELD}
        command = wire.sqe(VERIFY, 7, nsid, None, (slba & 0xFFFFFFFF, slba >> 32, nlb))
        expect(host.command(command), errors or {OK})

    blocks = world.blocks[1][1]
    for slba, nlb in product(edges(64, blocks, 1 << 32, 1 << 63), (0, 1, 65535)):
        yield Case(f"io/verify,slba={slba:#x},nlb={nlb}", "NVM 3.2.6", lambda world, a=(1, slba, nlb): run(world, *a),
                   classes=("C17",))
    for nsid in (0, 5, 0xFFFFFFFE, 0xFFFFFFFF):
        yield Case(f"io/verify,nsid={nsid:#x}", "Base 3.2.1", lambda world, nsid=nsid: run(world, nsid, 0, 0))


def pairs(world, full):
    def run(world, first, second, nlb, expected):
        """Both halves in one segment; then a Flush, which has to work."""
        _, host = world.io_pair()
        length = 512 * (nlb + 1)
        identifier = IN_CAPSULE if length <= world.ioccsz else TRANSPORT
        commands = []
        for cid, (opcode, fuse, nsid, slba) in ((7, first), (8, second)):
            command = wire.sqe(opcode, cid, nsid, wire.sgl(identifier, length), (slba, 0, nlb), fuse=fuse)
            commands.append(host.capsule(command, bytes(length) if identifier == IN_CAPSULE else b""))
        host.send(b"".join(commands) + host.capsule(wire.sqe(FLUSH, 9, 1)))
        got = {}
        while len(got) < 3:
            answer = host.answer()
            if R2T.allows(answer):
                host.send(host.h2c(answer.pdu.u16(8), answer.pdu.u16(10), answer.pdu.u32(12),
                                   bytes(answer.pdu.u32(16))))
                continue
            got[answer.cid] = answer
        expect(got[9], OK)
        for cid, allowed in zip((7, 8), expected):
            expect(got[cid], allowed)

    compare, write = (COMPARE_OP, 1, 1, 3), (WRITE, 2, 1, 3)
    rows = {
        "right": (compare, write, 0, (OK, OK)),
        "with-r2t": (compare, write, 15, (OK, OK)),
        "too-long": (compare, write, 64, (UNIT_EXCEEDED, FAILED_FUSED)),
        "other-slba": (compare, (WRITE, 2, 1, 4), 0, (INVALID_FIELD, INVALID_FIELD)),
        "other-nsid": (compare, (WRITE, 2, 5, 3), 0, (FAILED_FUSED, {INVALID_NAMESPACE, INVALID_FIELD})),
        "first-is-write": ((WRITE, 1, 1, 3), write, 0, (INVALID_FIELD, FAILED_FUSED)),
        "second-is-compare": (compare, (COMPARE_OP, 2, 1, 3), 0, (FAILED_FUSED, INVALID_FIELD)),
        "two-first": (compare, compare, 0, (MISSING_FUSED, MISSING_FUSED)),
        "two-second": (write, write, 0, (MISSING_FUSED, MISSING_FUSED)),
        "not-fused-second": (compare, (WRITE, 0, 1, 3), 0, (MISSING_FUSED, OK)),
        "reserved": ((COMPARE_OP, 3, 1, 3), write, 0, (INVALID_FIELD, MISSING_FUSED)),
    }
    for name, row in rows.items():
        yield Case(f"io/pair,{name}", "Base 3.4.2", lambda world, row=row: run(world, *row), classes=("C13",))


def zones_elsewhere(world, full):
    def run(world, opcode, action):
        _, host = world.io_pair()
        length = 512 if opcode != 0x79 else 0
        command = wire.sqe(opcode, 7, 1, wire.sgl(TRANSPORT, length), (0, 0, 0, action))
        expect(host.command(command), INVALID_OPCODE)

    for opcode, action in product((0x79, 0x7A, 0x7D), (0, 1, 5, 0x10, 0x100, 0xFFFFFFFF)):
        yield Case(f"io/zone,opcode={opcode:#x},cdw13={action:#x}", "ZNS 3.4",
                   lambda world, a=(opcode, action): run(world, *a))
