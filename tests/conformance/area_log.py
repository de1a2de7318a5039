"""Get Log Page: every page, every offset and length that lies on an edge (Base 5.1.12; defect class C11)."""
from itertools import product

import wire
from answers import INVALID_FIELD, INVALID_LOG, INVALID_NAMESPACE, OK, SGL_LENGTH, Cpl, expect, require
from case import Case, edges
from wire import TRANSPORT

# Bytes of the pages that have a size of their own (Base 5.1.12.1); of the others the target's answers tell.
SIZES = {0: 1024, 1: None, 2: 512, 3: 512, 4: 4096, 5: 4096, 0x12: 1024}
STABLE = (0, 3, 5, 0x12)
MOST = 131072


def get(host, lid, offset=0, numd=0, sgl_bytes=None, lsp=0, csi=0, uuid=0, nsid=0xFFFFFFFF, retain=1, index=0):
    length = min((numd + 1) * 4, 1 << 20) if sgl_bytes is None else sgl_bytes
    cdw = (lid | lsp << 8 | retain << 15 | (numd & 0xFFFF) << 16, numd >> 16, offset & 0xFFFFFFFF, offset >> 32,
           uuid | index << 23 | csi << 24)
    command = wire.sqe(2, 7, nsid, wire.sgl(TRANSPORT, length), cdw)
    host.send(host.capsule(command))
    got = host.completion(command)
    if isinstance(got, Cpl):
        require(len(got.data) <= length, f"{len(got.data)} bytes for a descriptor of {length}")
        require(not got.data or OK.allows(got), "data before an error")
    return got


def whole(world, host, lid, size):
    """The page, read whole in one piece, and from there on zeroes."""
    return expect(get(host, lid, 0, size // 4 - 1), OK).data


def pages(world, full):
    kinds = {"nvm": None, "discovery": world.discovery_nqn}

    def known_lids(world, kind, host):
        if kind == "nvm":
            return {lid for lid in range(256) if world.pages[lid * 4] & 1}
        page = whole(world, host, 0, 1024)
        return {lid for lid in range(256) if page[lid * 4] & 1}

    def lid_case(world, kind, lid):
        host = world.admin(subnqn=kinds[kind])
        if lid in known_lids(world, kind, host):
            expect(get(host, lid, 0, 0), OK)
        else:
            expect(get(host, lid, 0, 0), {INVALID_LOG, INVALID_FIELD})

    for kind, lid in product(kinds, range(256)):
        if full or lid < 0x20 or lid in (0x70, 0x71, 0x7F, 0x80, 0x81, 0xC0, 0xFF):
            yield Case(f"log/{kind},lid={lid:#x}", "Base 5.1.12", lambda world, a=(kind, lid): lid_case(world, *a),
                       classes=("C11",))

    def window(world, kind, lid, offset, numd):
        """What a window shows is what the page has there; past its end there is nothing but zeroes."""
        host = world.admin(subnqn=kinds[kind])
        size = size_of(world, host, lid)
        asked = (numd + 1) * 4
        got = get(host, lid, offset, numd)
        errors = set()
        if offset % 4 or offset > size:
            errors |= {INVALID_FIELD}
        if asked > world.mdts:
            errors |= {INVALID_FIELD, SGL_LENGTH}
        if errors:
            expect(got, errors)
            return
        expect(got, {OK, INVALID_FIELD} if offset == size else OK)
        if not OK.allows(got):
            return
        require(len(got.data) == asked, f"{len(got.data)} of {asked} bytes")
        require(not any(got.data[max(0, size - offset):]), "bytes behind the page's end are not zero")
        if lid in STABLE or kind == "discovery" and lid == 0x70:
            page = whole(world, host, lid, min(size + 4096, MOST))
            require(got.data == page[offset:offset + asked].ljust(asked, b"\0"),
                    "another window of the page shows other bytes")

    def size_of(world, host, lid):
        if lid == 1:
            return 64 * (world.elpe + 1)
        if lid == 0x70:
            head = expect(get(host, 0x70, 0, 3), OK).data
            return 1024 * (1 + int.from_bytes(head[8:16], "little"))
        return SIZES[lid]

    lids = [("nvm", lid) for lid in SIZES if world.pages[lid * 4] & 1] + [("discovery", lid) for lid in (0, 1, 0x70)]
    for kind, lid in lids:
        size = {1: 64 * (world.elpe + 1), 0x70: 5 * 1024}.get(lid) or SIZES[lid]
        offsets = [0, 1, 2, 3, 4, size // 2, size - 4, size - 1, size, size + 1, size + 4, 1 << 20, 1 << 31,
                   (1 << 32) - 4, 1 << 32,
                   (1 << 32) + 4, 1 << 63, (1 << 64) - 8, (1 << 64) - 4, (1 << 64) - 1]
        numds = [0, 1, size // 4 - 2, size // 4 - 1, size // 4, 1023, MOST // 4 - 1, MOST // 4, 0xFFFF, 0x10000,
                 0x3FFFFFFF, 0x40000000,
                 0xFFFFFFFE, 0xFFFFFFFF]
        for offset, numd in product(offsets, sorted(set(numds))):
            if full or offset in (0, 4, size - 4, size, size + 4) or numd in (0, size // 4 - 1, 0xFFFFFFFF):
                yield Case(f"log/{kind},lid={lid:#x},lpo={offset:#x},numd={numd:#x}", "Base 5.1.12",
                           lambda world, a=(kind, lid, offset, numd): window(world, *a), classes=("C11", "C17"))

    def narrow(world, kind, lid, numd, sgl_bytes):
        """A descriptor shorter than NUMD asks for: refused, or no more than the descriptor has."""
        host = world.admin(subnqn=kinds[kind])
        asked = (numd + 1) * 4
        allowed = {SGL_LENGTH, INVALID_FIELD} if sgl_bytes < asked else {OK, SGL_LENGTH}
        if asked > world.mdts:
            allowed = {INVALID_FIELD, SGL_LENGTH}
        expect(get(host, lid, 0, numd, sgl_bytes), allowed if sgl_bytes else allowed | {Cpl(0, 0x11)})

    for kind, lid in lids:
        for numd, sgl_bytes in product((0, 127, 1023, 0xFFFFFFFF), (0, 1, 3, 4, 511, 512, 4096)):
            yield Case(f"log/{kind},lid={lid:#x},numd={numd:#x},sgl={sgl_bytes}", "Base 4.3.2, 5.1.12",
                       lambda world, a=(kind, lid, numd, sgl_bytes): narrow(world, *a), classes=("C11", "C27"))

    def options(world, kind, lid, fields):
        host = world.admin(subnqn=kinds[kind])
        expect(get(host, lid, 0, 127, **fields), {OK, INVALID_FIELD, INVALID_NAMESPACE, INVALID_LOG, Cpl(0, 0x2C)})

    shapes = [{"lsp": value} for value in edges(7, 16)] + [{"csi": value} for value in edges(8, 3)]
    shapes += [{"uuid": value} for value in edges(7)] + [{"nsid": value}
                                                         for value in edges(32, 4, world.nn)] + [{"index": 1},
                                                                                                 {"retain": 0}]
    for (kind, lid), fields in product(lids, shapes):
        label = ",".join(f"{key}={value:#x}" for key, value in fields.items())
        yield Case(f"log/{kind},lid={lid:#x},{label}", "Base 5.1.12", lambda world,
                   a=(kind, lid, fields): options(world, *a), classes=("C11",))
