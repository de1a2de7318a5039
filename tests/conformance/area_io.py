"""I/O commands: ranges at every edge and block size, lengths against descriptors, namespaces, ranges of DSM (NVM, Base 4.3.2)."""
import struct
from itertools import product

import model_command
import wire
from answers import (COMPARE, INVALID_FIELD, INVALID_NAMESPACE, INVALID_OPCODE, LBA_RANGE, OK, R2T, SGL_LENGTH, Cpl,
                     expect,
                     require)
from case import FRAMINGS, PLAIN, Case, edges, sample
from model_command import COMPARE as COMPARE_OP
from model_command import DSM, FLUSH, READ, TO_CONTROLLER, TO_HOST, WRITE, WRITE_ZEROES
from wire import IN_CAPSULE, TRANSPORT

NAMES = {WRITE: "write", READ: "read", COMPARE_OP: "compare", WRITE_ZEROES: "write-zeroes", FLUSH: "flush", DSM: "dsm"}
WRITE_UNCORRECTABLE = 4
MARK = 0x6B
# Reservation Report in its short form, Acquire and Release by a host that is not registered.
RESERVED = {0x0E: {Cpl(0, 0x18)}, 0x11: {Cpl(0, 0x83)}, 0x15: {Cpl(0, 0x83)}}


def perform(host, command, data):
    """The command with its data in the capsule (if `data` says so) or by R2T; its answer."""
    got = host.command(command, data if command[39] == IN_CAPSULE else b"")
    while R2T.allows(got):
        offset, length = got.pdu.u32(12), got.pdu.u32(16)
        require(offset + length <= len(data), f"R2T of {offset}+{length} for {len(data)} bytes")
        host.send(host.h2c(struct.unpack_from("<H", command, 2)[0], got.pdu.u16(10), offset,
                           data[offset:offset + length]))
        got = host.completion(command)
    return got


def read_back(host, nsid, slba, count):
    size = host.world.blocks[nsid][0]
    return expect(host.command(wire.sqe(READ, host.cid(), nsid, wire.sgl(TRANSPORT, count * size),
                                        (slba, 0, count - 1))), OK).data


def ranges(world, full):
    def run(world, nsid, opcode, slba, nlb, framing):
        """One command whose descriptor is right for its length; the model knows what its range is worth."""
        _, host = world.io_pair(framing)
        size, blocks = world.blocks.get(nsid) or (512, 1 << 54)
        transfers = opcode != WRITE_ZEROES
        errors = model_command.io_range(size, blocks, world.mdts, slba, nlb, transfers)
        length = (nlb + 1) * size if transfers else 0
        data = bytes([MARK]) * length if opcode in (WRITE, COMPARE_OP) and not errors else b""
        edge = blocks - 1 if nsid in world.blocks else None
        before = read_back(host, nsid, edge, 1) if edge and opcode in (WRITE, WRITE_ZEROES) else b""
        first = read_back(host, nsid, 0, 1) if before else b""
        command = wire.sqe(opcode, 7, nsid, wire.sgl(TRANSPORT, length), (slba & 0xFFFFFFFF, slba >> 32, nlb))
        if length > world.mdts:
            errors |= {SGL_LENGTH}
        got = perform(host, command, data)
        if opcode == COMPARE_OP and not errors:
            expect(got, {OK, COMPARE})
        else:
            expect(got, errors or {OK})
        if opcode == READ and OK.allows(got):
            require(len(got.data) == length, f"{len(got.data)} of {length} bytes")
        if before and not OK.allows(got):
            require(read_back(host, nsid, edge, 1) == before and read_back(host, nsid, 0, 1) == first,
                    "a refused write changed the disk")

    for nsid in (*world.blocks, 4):
        size, blocks = world.blocks.get(nsid) or (512, 1 << 54)
        most = world.mdts // size
        lbas = edges(64, blocks, 1 << 31, 1 << 32, 1 << 63, (1 << 64) // size,
                     more=(blocks - most, blocks - most + 1, (1 << 55), (1 << 32) - blocks))
        nlbs = edges(16, most - 1, most, more=(7,))
        pairs = list(product(lbas, nlbs))
        for opcode in (READ, WRITE, COMPARE_OP, WRITE_ZEROES):
            chosen = {*sample(full, pairs, 50, opcode), *((lba, nlb) for lba,
                                                          nlb in pairs if abs(lba - blocks) < 3
                                                          and nlb in (0, 1, 65535)),
                      *((lba, nlb) for lba, nlb in pairs if lba > 1 << 62 and nlb in (0, 1))}
            for slba, nlb in sorted(chosen):
                if nsid == 4 and opcode in (COMPARE_OP, WRITE_ZEROES) and not full:
                    continue
                yield Case(f"io/{NAMES[opcode]},ns={nsid},slba={slba:#x},nlb={nlb}", "NVM 3.2, Base 5.1.13 MDTS",
                           lambda world, a=(nsid, opcode, slba, nlb, PLAIN): run(world, *a), classes=("C17",))


def lengths(world, full):
    def run(world, nsid, opcode, nlb, identifier, length, address, payload, framing):
        """Every length against every other: blocks, descriptor, capsule."""
        _, host = world.io_pair(framing)
        size, _ = world.blocks[nsid]
        need = (nlb + 1) * size
        direction = TO_HOST if opcode == READ else TO_CONTROLLER
        errors, may_pass = model_command.sgl(direction, need, identifier, length, address, payload, world.mdts,
                                             world.ioccsz,
                                             bool(world.sgls & 1 << 20))
        if need > world.mdts:
            errors, may_pass = errors | {INVALID_FIELD}, False
        command = wire.sqe(opcode, 7, nsid, wire.sgl(identifier, length, address), (0, 0, nlb))
        host.send(host.capsule(command, bytes(payload)))
        got = host.completion(command)
        while R2T.allows(got):
            require(may_pass, f"R2T, allowed: {sorted(map(str, errors))}")
            host.send(host.h2c(7, got.pdu.u16(10), got.pdu.u32(12), bytes(got.pdu.u32(16))))
            got = host.completion(command)
        expect(got, model_command.settle(errors, may_pass) | ({COMPARE} if opcode == COMPARE_OP and may_pass
                                                              else set()))
        if opcode == READ and OK.allows(got):
            require(len(got.data) == need, f"{len(got.data)} of {need} bytes")
        if isinstance(got, Cpl):
            expect(host.command(wire.sqe(FLUSH, host.cid(), nsid)), OK, "the next command")

    limit = world.ioccsz
    for framing in FRAMINGS if full else (PLAIN, FRAMINGS[3]):
        for nsid, opcode, nlb in product((1, 2), (READ, WRITE, COMPARE_OP), (0, 7)):
            need = (nlb + 1) * world.blocks[nsid][0]
            shapes = [(TRANSPORT, length, 0, 0) for length in edges(32, need, world.mdts, 8192, 1 << 31)]
            shapes += [(TRANSPORT, need, 0, payload) for payload in (1, 4, need)]
            shapes += [(TRANSPORT, need, address, 0) for address in (1, 1 << 63, (1 << 64) - 1)]
            payloads = sorted({0, 1, 4, need - 4, need, need + 4, limit - 4, limit, limit + 1, limit + 4, 2 * limit})
            shapes += [(IN_CAPSULE, payload, 0, payload) for payload in payloads]
            shapes += [(IN_CAPSULE, length, 0, min(need, limit)) for length in edges(32, need, limit)]
            shapes += [(IN_CAPSULE, min(need, limit), address, min(need, limit)) for address in (1, 4, need, 1 << 32,
                                                                                                 (1 << 64) - need)]
            for identifier, length, address, payload in sample(full, dict.fromkeys(shapes), 40, nsid):
                yield Case(f"io/lengths,{NAMES[opcode]},ns={nsid},nlb={nlb},{framing.label},sgl={identifier:#x}:{length}@{address:#x},payload={payload}",
                           "NVMe/TCP 3.3.1, Base 4.3.2", lambda world, a=(nsid, opcode, nlb, identifier, length,
                                                                          address, payload, framing):
                           run(world, *a), classes=("C4", "C27") if payload else ("C27",))
    for identifier, opcode in product(range(256), (READ, WRITE, DSM)):
        if full or (opcode == WRITE and identifier % 5 == 1) or identifier in (0, 2, 0x10, 0x20, 0x30, 0x40, 0x51, 0x52,
                                                                               0x5F, 0x6A, 0xFF):
            if identifier not in (IN_CAPSULE, TRANSPORT):
                yield Case(f"io/sgl={identifier:#x},{NAMES[opcode]}", "NVMe/TCP 3.3.2",
                           lambda world, a=(1, opcode, 0, identifier, 512, 0, 0, PLAIN): run(world, *a))


def namespaces(world, full):
    def half_a_pair(host, command, size):
        """It waits for its other half, until another command shows that there is none."""
        host.send(host.capsule(command))
        got = host.completion(command)
        host.send(host.h2c(7, got.pdu.u16(10), got.pdu.u32(12), bytes(size)))
        host.send(host.capsule(wire.sqe(FLUSH, 8, 1)))
        got = {answer.cid: answer for answer in (host.answer(), host.answer())}
        expect(got[7], Cpl(0, 0x0A))
        expect(got[8], OK)

    def run(world, opcode, nsid, fuse, psdt):
        size = world.blocks.get(nsid, (512, 0))[0]
        _, host = world.io_pair()
        command = wire.sqe(opcode, 7, nsid, wire.sgl(TRANSPORT, size if opcode in (READ, WRITE, COMPARE_OP, DSM)
                                                     else 0), (0, 0, 0), fuse, psdt)
        errors = model_command.io_namespace(nsid, [*world.blocks, 4], world.nn)
        if opcode == FLUSH and nsid == 0xFFFFFFFF:  # VWC bits 2:1: 10b not supported, 11b supported
            errors = {OK} if world.vwc >> 1 & 3 == 3 else {INVALID_NAMESPACE, INVALID_FIELD,
                                                           *({OK} if world.vwc >> 1 & 3 == 0 else ())}
        if fuse:
            errors |= {INVALID_FIELD, Cpl(0, 0x0A)}
        if world.fuses and (opcode, fuse, psdt) == (COMPARE_OP, 1, 1):
            return half_a_pair(host, command, size)
        if psdt != 1:
            errors |= {INVALID_FIELD}
        expect(perform(host, command, bytes(size)), errors or {OK, COMPARE})

    for opcode in (FLUSH, READ, WRITE, COMPARE_OP, WRITE_ZEROES, DSM):
        for nsid in edges(32, 4, world.nn, more=(5, 0xFFFFFFFE)):
            yield Case(f"io/{NAMES[opcode]},nsid={nsid:#x}", "Base 3.2.1", lambda world,
                       a=(opcode, nsid, 0, 1): run(world, *a))
        for fuse, psdt in product(range(4), range(4)):
            if (fuse, psdt) != (0, 1):
                yield Case(f"io/{NAMES[opcode]},fuse={fuse},psdt={psdt}", "Base 4.1", lambda world,
                           a=(opcode, 1, fuse, psdt): run(world, *a), classes=("C13",))

    def unknown(world, opcode, nsid):
        _, host = world.io_pair()
        known = world.commands[1024 + opcode * 4] & 1
        if opcode == 0x7F:
            return
        command = wire.sqe(opcode, 7, nsid, wire.sgl(TRANSPORT, 512))
        got = perform(host, command, bytes(512))
        expect(got, {INVALID_OPCODE, *({INVALID_NAMESPACE} if nsid == 0 else ())} if not known else
               {OK, COMPARE, INVALID_FIELD, Cpl(1, 0x87), *RESERVED.get(opcode, ())} if nsid else {INVALID_NAMESPACE})
        if opcode == WRITE_UNCORRECTABLE and OK.allows(got):
            write = wire.sqe(WRITE, 9, nsid, wire.sgl(TRANSPORT, 512), (0, 0, 0))
            expect(perform(host, write, bytes(512)), OK, "what was made unreadable is written")

    for opcode in range(256):
        if opcode < 0x20 or opcode >= 0xF0 or opcode % 8 == 5 or full:
            yield Case(f"io/opcode={opcode:#04x}", "NVM 3", lambda world, opcode=opcode: unknown(world, opcode, 1))
    yield Case("io/opcode=0x18,nsid=0", "NVM 3", lambda world: unknown(world, 0x18, 0))

    def fused_split(world, second, end):
        """Half a fused pair, or its other half lost: refused or aborted, and nothing waits for ever (C13)."""
        _, host = world.io_pair()
        first = wire.sqe(COMPARE_OP, 7, 1, wire.sgl(IN_CAPSULE, 512), (0, 0, 0), fuse=1)
        host.send(host.capsule(first, bytes(512)))
        if end:
            getattr(host, end)()
            return
        host.send(host.capsule(wire.sqe(second, 8, 1, wire.sgl(IN_CAPSULE if second == WRITE else TRANSPORT, 512),
                                        (0, 0, 0),
                                        fuse=2 if second == WRITE else 0), bytes(512) if second == WRITE else b""))
        got = {}
        while len(got) < 2:
            answer = expect(host.answer(), {OK, INVALID_FIELD, Cpl(0, 0x0A), Cpl(0, 9), COMPARE})
            got[answer.cid] = answer
        expect(got[7], {INVALID_FIELD, Cpl(0, 0x0A), *({OK, COMPARE} if world.fuses and second == WRITE else ())})

    for second, end in ((WRITE, None), (READ, None), (READ, "reset"), (READ, "close")):
        yield Case(f"io/fused,{NAMES[second]},{end}", "Base 3.4.2", lambda world,
                   a=(second, end): fused_split(world, *a), classes=("C13",))


def dsm(world, full):
    def run(world, nsid, nr, entries, length, attributes, identifier):
        _, host = world.io_pair()
        size, blocks = world.blocks[nsid]
        data = b"".join(struct.pack("<IIQ", 0, count & 0xFFFFFFFF, slba) for slba, count in entries)
        data = data.ljust(max(length, 4), b"\0")[:length] if length <= 1 << 16 else data
        need = (nr + 1) * 16
        errors, may_pass = model_command.sgl(TO_CONTROLLER, need, identifier, length, 0,
                                             length if identifier == IN_CAPSULE else 0,
                                             world.mdts, world.ioccsz)
        if attributes & 4:
            wrong = any(slba + count > blocks for slba, count in entries[:nr + 1] if length >= need)
            if wrong:
                errors, may_pass = errors | {LBA_RANGE}, False
        command = wire.sqe(DSM, 7, nsid, wire.sgl(identifier, length), (nr, attributes))
        keep = blocks - 1
        mark = bytes([MARK]) * size
        write = wire.sqe(WRITE, 9, nsid, wire.sgl(TRANSPORT, size), (keep, 0, 0))
        expect(perform(host, write, mark), OK)
        got = expect(perform(host, command, data), model_command.settle(errors, may_pass))
        touched = any(slba <= keep < slba + count for slba, count in entries) and attributes & 4
        if not OK.allows(got) or not touched:
            require(touched or read_back(host, nsid, keep, 1) == mark, "a block that no range names was deallocated")

    for nsid in (1, 2):
        blocks = world.blocks[nsid][1]
        for slba, count in product(edges(64, blocks, 1 << 32, 1 << 63), edges(32, blocks, 1 << 31)):
            if full or slba < blocks + 2 or count in (0, 1, (1 << 32) - 1):
                yield Case(f"io/dsm,ns={nsid},slba={slba:#x},count={count:#x}", "NVM 3.2.3",
                           lambda world, a=(nsid, 0, [(slba, count)], 16, 4, IN_CAPSULE): run(world, *a),
                           classes=("C14", "C17"))
    for nr, length in product(edges(8, 16), (0, 15, 16, 17, 256, 4096, 4112)):
        for identifier in (IN_CAPSULE, TRANSPORT):
            if identifier == TRANSPORT or length <= world.ioccsz:
                yield Case(f"io/dsm,nr={nr},length={length},sgl={identifier:#x}", "NVM 3.2.3",
                           lambda world, a=(1, nr, [(at, 1) for at in range(nr + 1)], length, 4,
                                            identifier): run(world, *a), classes=("C14", "C27"))
    for attributes in edges(32, 4, 8):
        yield Case(f"io/dsm,attributes={attributes:#x}", "NVM 3.2.3",
                   lambda world, attributes=attributes: run(world, 1, 0, [(0, 8)], 16, attributes, IN_CAPSULE),
                   classes=("C14",))
    for bad in (0, 1, 128, 254, 255):
        entries = [(at, 1) for at in range(256)]
        entries[bad] = (world.blocks[1][1], 1)
        yield Case(f"io/dsm,bad-range={bad}", "NVM 3.2.3", lambda world, entries=entries: run(world, 1, 255, entries,
                                                                                              4096, 4, IN_CAPSULE),
                                                                                              classes=("C14",))
    overlapping = [(at, 8000) for at in range(256)]
    yield Case("io/dsm,overlapping", "NVM 3.2.3", lambda world: run(world, 1, 255, overlapping, 4096, 4, TRANSPORT),
               classes=("C14",))

    def options(world, opcode, cdw12, cdw13):
        """PRINFO, FUA, LR, STC and the hints of CDW13: ignored, or refused where they need what is not there."""
        _, host = world.io_pair()
        command = wire.sqe(opcode, 7, 1, wire.sgl(TRANSPORT, 512 if opcode != WRITE_ZEROES else 0),
                           (0, 0, cdw12, cdw13))
        expect(perform(host, command, bytes(512)), {OK, COMPARE, INVALID_FIELD, Cpl(1, 0x81), INVALID_OPCODE})

    for opcode, bit in product((READ, WRITE, COMPARE_OP, WRITE_ZEROES), range(16, 32)):
        yield Case(f"io/{NAMES[opcode]},cdw12-bit={bit}", "NVM 3.2", lambda world,
                   a=(opcode, 1 << bit, 0): options(world, *a))
    for opcode, value in product((READ, WRITE), edges(32, 0x10000)):
        yield Case(f"io/{NAMES[opcode]},cdw13={value:#x}", "NVM 3.2", lambda world,
                   a=(opcode, 0, value): options(world, *a))
