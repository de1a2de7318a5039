"""NVMe/TCP as bytes: what a host sends is built here, right or wrong; what a controller sends is taken apart and judged.

NVMe/TCP Transport 1.0, 3.6. Everything that a case wants to break is an argument. Nothing is shared with the target.
"""
import struct
from dataclasses import dataclass

IC_REQ, IC_RESP, H2C_TERM, C2H_TERM, CAPSULE, RESPONSE, H2C_DATA, C2H_DATA, R2T = 0, 1, 2, 3, 4, 5, 6, 7, 9
HLEN = {IC_REQ: 128, IC_RESP: 128, H2C_TERM: 24, C2H_TERM: 24, CAPSULE: 72, RESPONSE: 24, H2C_DATA: 24, C2H_DATA: 24,
        R2T: 24}
HOST_TYPES = (IC_REQ, H2C_TERM, CAPSULE, H2C_DATA)
FLAG_HDGST, FLAG_DDGST, FLAG_LAST, FLAG_SUCCESS = 1, 2, 4, 8
IN_CAPSULE, TRANSPORT = 0x01, 0x5A


def _table():
    table = []
    for byte in range(256):
        for _ in range(8):
            byte = byte >> 1 ^ 0x82F63B78 if byte & 1 else byte >> 1
        table.append(byte)
    return table


_CRC = _table()


def crc32c(data):
    crc, table = 0xFFFFFFFF, _CRC
    for byte in data:
        crc = table[(crc ^ byte) & 0xFF] ^ crc >> 8
    return crc ^ 0xFFFFFFFF


def common(kind, flags, hlen, pdo, plen):
    return struct.pack("<BBBBI", kind, flags & 0xFF, hlen & 0xFF, pdo & 0xFF, plen & 0xFFFFFFFF)


@dataclass(frozen=True)
class Framing:
    """What was agreed in ICReq and ICResp. `align`: CPDA as bytes."""
    hdgst: bool = False
    ddgst: bool = False
    align: int = 4

    @property
    def label(self):
        return ("h" if self.hdgst else "") + ("d" if self.ddgst else "") or "plain"


def ic_req(pfv=0, hpda=0, dgst=0, maxr2t=0, hlen=128, plen=128, flags=0, pdo=0, rest=bytes(112)):
    return common(IC_REQ, flags, hlen, pdo, plen) + struct.pack("<HBBI", pfv, hpda, dgst, maxr2t) + rest


def term_req(fes=1, fei=0, data=bytes(24), plen=None, hlen=24, flags=0, pdo=0):
    plen = 24 + len(data) if plen is None else plen
    return common(H2C_TERM, flags, hlen, pdo, plen) + struct.pack("<HI", fes, fei) + bytes(10) + data


def header_end(kind, framing):
    return HLEN[kind] + (4 if framing.hdgst else 0)


def first_data(kind, framing):
    return -(-header_end(kind, framing) // framing.align) * framing.align


def assemble(kind, body, data, framing, flags=None, hlen=None, pdo=None, plen=None, hdgst=None, ddgst=None,
             extra_flags=0, header_digest=None, data_digest=None):
    """A PDU with header fields `body` behind the common header and `data`; what is None is made right.

    hdgst, ddgst: XORed to the digests. header_digest, data_digest: whether there are any (default: as agreed).
    """
    with_header = framing.hdgst if header_digest is None else header_digest
    with_data = (framing.ddgst if data_digest is None else data_digest) and len(data) > 0
    start = first_data(kind, framing) if data else 0
    end = HLEN[kind] + (4 if with_header else 0)
    if flags is None:
        flags = (FLAG_HDGST if framing.hdgst else 0) | (FLAG_DDGST if framing.ddgst and data else 0)
    hlen = HLEN[kind] if hlen is None else hlen
    real_pdo = start if pdo is None else pdo
    if plen is None:
        plen = end if not data else (real_pdo if real_pdo >= end else start) + len(data) + (4 if with_data else 0)
    header = common(kind, flags | extra_flags, hlen, real_pdo, plen) + body
    pdu = header
    if with_header:
        pdu += struct.pack("<I", crc32c(header) ^ (hdgst or 0))
    if data:
        pdu += bytes(max(0, (real_pdo if pdo is not None and pdo > end else start) - len(pdu))) + data
        if with_data:
            pdu += struct.pack("<I", crc32c(data) ^ (ddgst or 0))
    return pdu


def sgl(identifier, length, address=0, reserved=0):
    return struct.pack("<QI", address & (1 << 64) - 1,
                       length & 0xFFFFFFFF) + struct.pack("<I", reserved | identifier << 24)


def sqe(opcode, cid=0, nsid=0, data_pointer=None, cdw=(0, 0, 0, 0, 0, 0), fuse=0, psdt=1, cdw2=0, cdw3=0, mptr=0):
    """A command; cdw: CDW10 to CDW15. `data_pointer`: sgl(), by default one of no bytes."""
    cdw = [*cdw, *[0] * (6 - len(cdw))]
    return struct.pack("<BBHIIIQ", opcode, fuse & 3 | psdt << 6, cid, nsid & 0xFFFFFFFF, cdw2, cdw3, mptr) + (
        data_pointer or sgl(TRANSPORT, 0)) + struct.pack("<6I", *[word & 0xFFFFFFFF for word in cdw])


def fabrics(fctype, cid=0, data_pointer=None, tail=bytes(24), psdt=1):
    return struct.pack("<BBHB", 0x7F, psdt << 6, cid, fctype) + bytes(19) + (data_pointer or bytes(16)) + tail


def connect_sqe(cid=0, qid=0, sqsize=31, kato=0, recfmt=0, cattr=0, data_pointer=None):
    tail = struct.pack("<HHHBBI", recfmt, qid, sqsize, cattr, 0, kato) + bytes(12)
    return fabrics(1, cid, data_pointer or sgl(IN_CAPSULE, 1024), tail)


def name_field(name):
    """`name`: str, ended by NUL; bytes are taken as they are."""
    raw = name if isinstance(name, bytes) else name.encode()
    return raw[:256].ljust(256, b"\0")


def connect_data(subnqn, hostnqn, hostid=b"\1" * 16, cntlid=0xFFFF):
    return hostid + struct.pack("<H", cntlid) + bytes(238) + name_field(subnqn) + name_field(hostnqn) + bytes(256)


def property_get(offset, attrib=0, cid=0):
    return fabrics(4, cid, tail=bytes([attrib, 0, 0, 0]) + struct.pack("<I", offset & 0xFFFFFFFF) + bytes(16))


def property_set(offset, value, attrib=0, cid=0):
    return fabrics(0, cid, tail=bytes([attrib, 0, 0, 0]) + struct.pack("<IQ", offset & 0xFFFFFFFF, value) + bytes(8))


def disconnect(recfmt=0, cid=0):
    return fabrics(8, cid, tail=struct.pack("<H", recfmt) + bytes(22))


def h2c_body(cccid, ttag, datao, datal):
    return struct.pack("<HHII", cccid & 0xFFFF, ttag & 0xFFFF, datao & 0xFFFFFFFF, datal & 0xFFFFFFFF) + bytes(4)


# What comes back -----------------------------------------------------------------------------------------------


class Broken(Exception):
    """The target sent something that it may not send."""


class Cut(Broken):
    """The connection ended within a PDU, which only a queue that is deleted under its commands may do."""


@dataclass
class Pdu:
    kind: int
    flags: int
    header: bytes
    data: bytes

    def u16(self, offset):
        return struct.unpack_from("<H", self.header, offset)[0]

    def u32(self, offset):
        return struct.unpack_from("<I", self.header, offset)[0]


def read_pdu(read, framing, hpda_bytes, initialized):
    """One PDU of the controller by `read(n)`; Broken when a rule of the specification does not hold for it."""
    head = read(8)
    kind, flags, hlen, pdo, plen = struct.unpack("<BBBBI", head)
    if kind not in (IC_RESP, C2H_TERM, RESPONSE, C2H_DATA, R2T):
        raise Broken(f"a controller sends no PDU of type {kind:#x}: {head.hex()}")
    if (kind == IC_RESP) == initialized and kind != C2H_TERM:
        raise Broken(f"PDU type {kind:#x} {'after' if initialized else 'instead of'} ICResp")
    if hlen != HLEN[kind]:
        raise Broken(f"HLEN {hlen} of type {kind:#x}")
    digests = kind in (RESPONSE, C2H_DATA, R2T)
    with_header, with_data = digests and framing.hdgst, kind == C2H_DATA and framing.ddgst
    if digests and bool(flags & FLAG_HDGST) != framing.hdgst:
        raise Broken(f"HDGSTF {flags:#x}")
    end = hlen + (4 if with_header else 0)
    limit = {IC_RESP: 128, C2H_TERM: 152, RESPONSE: end, R2T: end}.get(kind, 1 << 26)
    if not end <= plen <= limit:
        raise Broken(f"PLEN {plen} of type {kind:#x}")
    header = head + read(hlen - 8)
    if with_header and struct.unpack("<I", read(4))[0] != crc32c(header):
        raise Broken("header digest")
    if kind == C2H_TERM:
        return Pdu(kind, flags, header, read(plen - hlen))
    if kind != C2H_DATA:
        return Pdu(kind, flags, header, b"")
    datal = struct.unpack_from("<I", header, 16)[0]
    if pdo % hpda_bytes or not end <= pdo < max(129, end + hpda_bytes) or datal == 0:
        raise Broken(f"C2HData PDO {pdo} DATAL {datal}")
    if plen != pdo + datal + (4 if with_data else 0) or bool(flags & FLAG_DDGST) != framing.ddgst:
        raise Broken(f"C2HData PLEN {plen} PDO {pdo} DATAL {datal} flags {flags:#x}")
    read(pdo - end)
    data = read(datal)
    if with_data and struct.unpack("<I", read(4))[0] != crc32c(data):
        raise Broken("data digest")
    return Pdu(kind, flags, header, data)
