"""H2CData against the R2T that asked for it (3.3.2.2, 3.6.2.8): every field, tags of every origin, and any pieces."""
import random
import select
import struct
import time
from itertools import product

import model_pdu
import wire
from answers import (CLOSED, COMPARE, OK, R2T, SEQUENCE, SILENT, TRANSIENT, CID_CONFLICT, Cpl, Term, expect, require)
from area_pdu import receiving, right_flags
from case import FRAMINGS, PLAIN, Case, edges, sample
from wire import H2C_DATA, IN_CAPSULE, TRANSPORT

LENGTH = 16384
FILL_OLD, FILL_NEW = b"\x5A", b"\xC3"


def model_of(host):
    """The R2T of area_pdu.receiving() as the model sees it."""
    return model_pdu.Ready(host.write_cid, host.r2t.u16(10), host.r2t.u32(12), host.r2t.u32(16))


def judged(host, got, terms, may_pass, what=""):
    """For an R2T answered as a whole: refused as the model says, or taken and completed."""
    expect(got, terms | ({OK} if may_pass else set()) or {OK}, what)


# Fields ------------------------------------------------------------------------------------------------------------


def field_case(name, framing, cccid=0, ttag=0, datao=0, datal=LENGTH, last=None, flags=None, hlen=24, pdo=None,
               plen=None, full=False):
    """cccid and ttag: added to the right ones. An H2CData with these fields is the first answer to an R2T of LENGTH."""
    def run(world):
        host = receiving(world, framing)
        ready = model_of(host)
        require(ready.end - ready.begin == LENGTH, f"R2T of {ready.end - ready.begin} bytes for {LENGTH}")
        is_last = datao + datal == LENGTH if last is None else last
        bits = right_flags(framing) | model_pdu.last_flag(is_last) if flags is None else flags
        place = wire.first_data(H2C_DATA, framing) if pdo is None else pdo
        digest = 4 if framing.ddgst else 0
        total = place + datal + digest if plen is None else plen
        total &= 0xFFFFFFFF
        tag, cid = ready.ttag + ttag & 0xFFFF, ready.cccid + cccid & 0xFFFF
        faults = model_pdu.h2c_data(bits, hlen, place, total, datal, framing)
        terms, may_pass, _ = model_pdu.judge_h2c([ready], cid, tag, datao, datal, bool(bits & 4), host.max_h2c, faults)
        if not faults.is_fatal:
            terms |= faults.terms()
        header = wire.common(H2C_DATA, bits, hlen, place, total) + wire.h2c_body(cid, tag, datao, datal)
        if framing.hdgst:
            header += struct.pack("<I", wire.crc32c(header))
        size = min(datal, LENGTH + 8192)
        data = FILL_NEW * size
        sent = header + bytes(max(0, place - len(header))) + data
        if framing.ddgst:
            sent += struct.pack("<I", wire.crc32c(data))
        host.send(sent)
        is_whole = may_pass and datao == 0 and datal == LENGTH
        if may_pass and not is_whole:  # one piece of several: the rest follows
            got = host.answer(0.05 if not terms else 1)
            if SILENT.allows(got):
                host.send(host.h2c(cid, tag, datal, FILL_NEW * (LENGTH - datal)))
                got = host.answer()
            judged(host, got, terms, True)
            return
        judged(host, host.answer(), terms, may_pass)

    return Case(name, "NVMe/TCP 3.3.2.2, 3.6.2.8", run, full, ("C1", "C2", "C3"))


def fields(world, full):
    top = (1 << 32) - 4
    offsets = edges(32, LENGTH, 1 << 31, more=(2, 4, LENGTH - 4, LENGTH + 4, top))
    lengths = edges(32, LENGTH, 1 << 31, world.mdts, more=(2, 3, 4, 4095, 4096, LENGTH - 4, LENGTH + 4, world.mdts + 4,
                                                           top))
    for framing in FRAMINGS:
        pairs = list(product(offsets, lengths))
        for datao, datal in pairs if full else {*sample(False, pairs, 40, len(framing.label)),
                                                *((0, datal) for datal in lengths)}:
            yield field_case(f"h2c/{framing.label},datao={datao},datal={datal}", framing, datao=datao, datal=datal)
        for cccid, ttag in product((0, 1, -1, 0x8000), (0, 1, -1, 0x8000)):
            yield field_case(f"h2c/{framing.label},cccid+{cccid},ttag+{ttag}", framing, cccid, ttag)
        for last, datal in product((False, True), (4096, LENGTH)):
            yield field_case(f"h2c/{framing.label},datal={datal},last={last}", framing, datal=datal, last=last)
        for flags in range(256) if full else edges(8, 4, 8, 16, 128, more=(2, 5, 6)):
            yield field_case(f"h2c/{framing.label},flags={flags}", framing, flags=flags)
        end, place = wire.header_end(H2C_DATA, framing), wire.first_data(H2C_DATA, framing)
        digest = 4 if framing.ddgst else 0
        plens = edges(32, 24, end, place + digest, place + LENGTH + digest, 1 << 31)
        for hlen in edges(8, 24, 72, 128):
            yield field_case(f"h2c/{framing.label},hlen={hlen}", framing, hlen=hlen)
        pdos = edges(8, 24, end, 128, more=(place + 4, 100, 252))
        shapes = [(pdo, None) for pdo in pdos] + [(None, plen) for plen in plens] + list(product(pdos, plens))
        for pdo, plen in sample(full, shapes, 70, 11):
            yield field_case(f"h2c/{framing.label},pdo={pdo},plen={plen}", framing, pdo=pdo, plen=plen)
        for datal, plen in product((0, 4, 100, LENGTH), (24, end, place + 4, place + 100)):
            yield field_case(f"h2c/{framing.label},datal={datal},plen={plen}", framing, datal=datal, plen=plen)


# Tags ------------------------------------------------------------------------------------------------------------


def tags(_world, full):
    """TTAGs that are, or were, somebody else's."""
    def of_other_queue(world, framing):
        admin, first = world.io_pair(framing)
        second = world.io(admin, framing, 2)
        cid = first.cid()
        write = wire.sqe(1, cid, 1, wire.sgl(TRANSPORT, LENGTH), (0, 0, 31))
        first.send(first.capsule(write))
        ttag = expect(first.answer(), R2T).pdu.u16(10)
        second.send(second.h2c(cid, ttag, 0, FILL_NEW * LENGTH))
        expect(second.answer(), Term(1, 10))
        first.send(first.h2c(cid, ttag, 0, FILL_OLD * LENGTH))
        expect(first.completion(write), OK)
        got = first.command(wire.sqe(2, first.cid(), 1, wire.sgl(TRANSPORT, LENGTH), (0, 0, 31)))
        require(got.data == FILL_OLD * LENGTH, "another queue's data was taken")

    def of_finished(world, framing):
        _, host = world.io_pair(framing)
        cid = host.cid()
        write = wire.sqe(1, cid, 1, wire.sgl(TRANSPORT, LENGTH), (0, 0, 31))
        host.send(host.capsule(write))
        ttag = expect(host.answer(), R2T).pdu.u16(10)
        host.send(host.h2c(cid, ttag, 0, FILL_NEW * LENGTH))
        expect(host.completion(write), OK)
        host.send(host.h2c(cid, ttag, 0, FILL_NEW * LENGTH))
        expect(host.answer(), Term(1, 10))

    def of_read(world, framing):
        """A read in progress has a slot and no R2T: no tag of it is known."""
        _, host = world.io_pair(framing)
        reads = [host.capsule(wire.sqe(2, 100 + at, 1, wire.sgl(TRANSPORT, 65536), (0, 0, 127))) for at in range(8)]
        host.send(b"".join(reads) + b"".join(host.h2c(100 + at, at, 0, FILL_NEW * 512) for at in range(1)))
        got = OK
        while OK.allows(got):
            got = host.answer()
        expect(got, Term(1, 10))

    def of_admin(world, framing):
        admin = world.admin(framing)
        admin.send(admin.capsule(wire.sqe(0x0C, 9)))  # waits for an event
        admin.send(admin.h2c(9, 0, 0, FILL_NEW * 512))
        expect(admin.answer(), Term(1, 10))

    def every_tag(world, framing):
        """Of the tags that are not out, none is taken."""
        for ttag in sample(full, range(0x10000), 12):
            host = receiving(world, framing)
            if ttag != host.r2t.u16(10):
                host.send(host.h2c(host.write_cid, ttag, 0, FILL_NEW * LENGTH))
                expect(host.answer(), Term(1, 10), f"tag {ttag:#x}")
            world.close_hosts()

    for what in (of_other_queue, of_finished, of_read, of_admin):
        for framing in FRAMINGS:
            yield Case(f"h2c/tag-{what.__name__},{framing.label}", "NVMe/TCP 3.3.2.2",
                       lambda world, a=(what, framing): a[0](world, a[1]), classes=("C3",))
    yield Case("h2c/tag-every", "NVMe/TCP 3.3.2.2", lambda world: every_tag(world, PLAIN), classes=("C3",))


# Pieces ------------------------------------------------------------------------------------------------------------


class Disk:
    """Blocks around a write, old before it; what may be in them afterwards."""

    def __init__(self, host, lba, count, guard=16):
        self.host, self.lba, self.count, self.guard = host, lba, count, guard
        self.first, self.total = lba - guard, count + 2 * guard

    def fill(self):
        data, cid = FILL_OLD * (self.total * 512), self.host.cid()
        write = wire.sqe(1, cid, 1, wire.sgl(TRANSPORT, len(data)), (self.first, 0, self.total - 1))
        expect(self.host.write_by_r2t(write, cid, data), OK)

    def check(self, host, is_done):
        """Outside nothing may have changed; inside each block is old or new, and new when the write was acknowledged."""
        got = host.command(wire.sqe(2, host.cid(), 1, wire.sgl(TRANSPORT, self.total * 512),
                                    (self.first, 0, self.total - 1)))
        expect(got, OK)
        for at in range(self.total):
            block = got.data[at * 512:at * 512 + 512]
            inside = self.guard <= at < self.guard + self.count
            good = (FILL_NEW,) if inside and is_done else (FILL_OLD, FILL_NEW) if inside else (FILL_OLD,)
            require(any(block == fill * 512 for fill in good), f"block {at - self.guard} of the write at {self.lba} is "
                    f"{'torn or ' if inside else ''}wrong: {block[:8].hex()}…")


def random_pieces(world, seed):
    """One write, its data in pieces of which some are wrong, by an independent interval model."""
    rng = random.Random(seed)
    framing = FRAMINGS[rng.randrange(4)]
    admin, host = world.io_pair(framing)
    second = world.io(admin, qid=2)
    count = rng.choice((1, 3, 8, 32, 64, 128))
    disk = Disk(second, rng.randrange(64, 4000), count)
    disk.fill()
    cid = host.cid()
    write = wire.sqe(1, cid, 1, wire.sgl(TRANSPORT, count * 512), (disk.lba, 0, count - 1))
    host.send(host.capsule(write))
    r2t = expect(host.answer(), R2T).pdu
    ready = model_pdu.Ready(cid, r2t.u16(10), r2t.u32(12), r2t.u32(16))
    total = ready.end
    while True:
        left = ready.end - ready.next
        datal = min(left, 4 * rng.randrange(1, max(2, left // 4 + 1)))
        datao = ready.next
        if rng.random() < 0.2:  # wrong: any offset and length, inside or outside
            datao = rng.choice((ready.next + 4, ready.next - 4, 0, total, rng.randrange(0, total + 4096),
                                (1 << 32) - 4)) & 0xFFFFFFFF
            datal = rng.choice((datal, 4, total, total + 4, 4 * rng.randrange(1, 2048), rng.randrange(1, 4096)))
        last = datao + datal == ready.end if rng.random() > 0.05 else rng.random() < 0.5
        terms, may_pass, _ = model_pdu.judge_h2c([ready], cid, ready.ttag, datao, datal, last, host.max_h2c)
        host.send(host.h2c(cid, ready.ttag, datao, FILL_NEW * datal, last))
        if may_pass and not terms and datao + datal < ready.end:
            ready.next += datal
            continue
        got = host.completion(write)
        expect(got, terms | ({OK} if may_pass else set()),
               f"({datao},{datal}) last={last} after {ready.next} of {total}")
        disk.check(second, isinstance(got, Cpl))
        return


def pieces(_world, full):
    for seed in range(100000 if full else 300):
        yield Case(f"h2c/random={seed}", "NVMe/TCP 3.3.2.2", lambda world, seed=seed: random_pieces(world, seed),
                   classes=("C2",))

    def bad_digest(world, framing, count, bad, end):
        """A wrong data digest on one of several pieces fails the command; the connection and the disk are well."""
        admin, host = world.io_pair(framing)
        second = world.io(admin, qid=2)
        disk = Disk(second, 1000, 32)
        disk.fill()
        cid = host.cid()
        write = wire.sqe(1, cid, 1, wire.sgl(TRANSPORT, LENGTH), (1000, 0, 31))
        host.send(host.capsule(write))
        ttag = expect(host.answer(), R2T).pdu.u16(10)
        size = LENGTH // count
        for at in range(count):
            if end and at == bad + 1:
                host.reset()
                disk.check(second, False)
                return
            host.send(host.h2c(cid, ttag, at * size, FILL_NEW * size, at == count - 1, ddgst=1 if at == bad else 0))
        if end:
            return
        expect(host.completion(write), TRANSIENT)
        expect(host.command(wire.sqe(0, host.cid(), 1)), OK, "the next command")
        disk.check(second, False)

    for framing, count, end in product(FRAMINGS[2:], (1, 2, 4), (False, True)):
        for bad in range(count):
            yield Case(f"h2c/ddgst,{framing.label},{bad}of{count},{'rst' if end else 'answer'}", "NVMe/TCP 3.5.2",
                       lambda world, a=(framing, count, bad, end): bad_digest(world, *a), classes=("C5",))

    def interleaved(world, framing, opcode):
        """Two commands' data in turns is right."""
        _, host = world.io_pair(framing)
        cids = (host.cid(), host.cid())
        tags_of = {}
        for at, cid in enumerate(cids):
            host.send(host.capsule(wire.sqe(opcode, cid, 1, wire.sgl(TRANSPORT, LENGTH), (2000 + 32 * at, 0, 31))))
            tags_of[cid] = expect(host.answer(), R2T).pdu.u16(10)
        for at in range(0, LENGTH, 4096):
            for cid in cids:
                host.send(host.h2c(cid, tags_of[cid], at, FILL_NEW * 4096, at == LENGTH - 4096))
        got = {answer.cid for answer in (expect(host.answer(), {OK} if opcode == 1 else {OK, COMPARE}) for _ in cids)}
        require(got == set(cids), "each is answered once")

    for framing, opcode in product(FRAMINGS, (1, 5)):
        yield Case(f"h2c/interleaved,{framing.label},opcode={opcode}", "NVMe/TCP 3.3.2.2",
                   lambda world, a=(framing, opcode): interleaved(world, *a))


# Queues ------------------------------------------------------------------------------------------------------------


def queues(_world, _full):
    def same_cid(world, framing, on_admin):
        """Base, 0/03h: the second is refused, the first goes on."""
        if on_admin:
            host = world.admin(framing)
            command = wire.sqe(9, 77, 0, wire.sgl(TRANSPORT, 512), (0x16,))
            data = bytes(512)
        else:
            host = world.io_pair(framing)[1]
            command = wire.sqe(1, 77, 1, wire.sgl(TRANSPORT, LENGTH), (0, 0, 31))
            data = FILL_NEW * LENGTH
        host.send(host.capsule(command))
        r2t = expect(host.answer(), R2T).pdu
        host.send(host.capsule(command))
        got = expect(host.answer(), {CID_CONFLICT, Term(2), Term(1)})
        if isinstance(got, Cpl):
            host.send(host.h2c(77, r2t.u16(10), 0, data))
            expect(host.completion(command), OK)

    for framing, on_admin in product(FRAMINGS, (False, True)):
        yield Case(f"h2c/same-cid,{framing.label},{'admin' if on_admin else 'io'}", "Base 0/03h",
                   lambda world, a=(framing, on_admin): same_cid(world, *a), classes=("C13",))

    def too_many(world, sqsize, extra, data_first):
        """(o) More commands than the queue has entries, all but the last ones waiting for data: the host does not count.
        The connection may wait, refuse or end, but not stand still."""
        admin = world.admin()
        host = world.io(admin, sqsize=sqsize)
        count = sqsize + 1 + extra
        waiting = []
        for at in range(count):
            host.send(host.capsule(wire.sqe(1, at, 1, wire.sgl(TRANSPORT, 4096), (at * 8, 0, 7))))
        while len(waiting) < sqsize + 1:
            got = host.answer(2)
            if isinstance(got, Term) or CLOSED.allows(got):
                return
            waiting.append(expect(got, R2T).pdu)
        if not data_first:
            for r2t in waiting:
                host.send(host.h2c(r2t.u16(8), r2t.u16(10), 0, FILL_NEW * 4096))
        done = 0
        while done < count:
            got = expect(host.answer(), {OK, R2T, Term(2), CLOSED, SEQUENCE})
            if isinstance(got, Term) or CLOSED.allows(got):
                return
            if R2T.allows(got):
                host.send(host.h2c(got.pdu.u16(8), got.pdu.u16(10), 0, FILL_NEW * 4096))
            else:
                done += 1

    for sqsize, extra, data_first in product((1, 3, 31), (0, 1, 5), (False, True)):
        if not (extra == 0 and data_first):
            yield Case(f"h2c/too-many,sqsize={sqsize},extra={extra},{'no-data' if data_first else 'data'}",
                       "Base 3.3.1",
                       lambda world, a=(sqsize, extra, data_first): too_many(world, *a))

    def capsule_behind(world, nsid, framing):
        """Right hosts, and more of them than there are buffers: on each queue writes that wait for their data, and behind
        them a command with its data in the capsule. The data of the first comes after that: all of it must end."""
        admin = world.admin()
        hosts = [world.io(admin, framing, qid) for qid in range(1, 7)]
        size = world.blocks[nsid][0]
        for host in hosts:
            for at in range(110):
                host.send(host.capsule(wire.sqe(5, at, nsid, wire.sgl(TRANSPORT, size), (at % 100, 0, 0))))
        time.sleep(0.1)
        for host in hosts:
            behind = host.capsule(wire.sqe(5, 120, 1, wire.sgl(IN_CAPSULE, 512), (0, 0, 0)), bytes(512))
            host.send(behind[:-100])
            host.behind = behind[-100:]
        time.sleep(0.05)
        left = {host.socket: (host, [111]) for host in hosts}
        for host in hosts:
            host.send(host.behind)
        while left:
            ready, _, _ = select.select([*left], [], [], 5)
            require(ready, f"nothing moves: {[count[0] for _, count in left.values()]} commands are open")
            for socket in ready:
                host, count = left[socket]
                while not SILENT.allows(got := host.answer(0)) or host.buffer:
                    if R2T.allows(expect(got, {OK, R2T, COMPARE})):
                        host.send(host.h2c(got.pdu.u16(8), got.pdu.u16(10), 0, FILL_NEW * size))
                    else:
                        count[0] -= 1
                if count[0] == 0:
                    del left[socket]

    for nsid, framing in product((1, 2), (PLAIN, FRAMINGS[2])):
        yield Case(f"h2c/capsule-behind-full,ns={nsid},{framing.label}", "NVMe/TCP 3.3.2",
                   lambda world, a=(nsid, framing): capsule_behind(world, *a), classes=("C15",))
