"""A host on a real socket, which does as it is told: right sequences by methods, wrong bytes by send()."""
import socket
import struct
import time

import wire
from answers import CLOSED, IC_RESP, OK, R2T, SILENT, Cpl, Other, Term, expect, require
from wire import Framing

ANSWER_S = 5.0  # a connection that neither answers nor closes for so long hangs


class Closed(Exception):
    pass


class Host:
    """One connection. `world` gives address and names."""

    def __init__(self, world, number=1, receive_buffer=0, port=None):
        self.world = world
        self.number = number  # of the host: its NQN and host id
        self.framing = Framing()
        self.hpda = 4
        self.initialized = False
        self.buffer = bytearray()
        self.next_cid = 1
        self.cntlid = None
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        if receive_buffer:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        self.socket.settimeout(ANSWER_S)
        self.socket.connect((world.address, port or world.port))
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    # Bytes --------------------------------------------------------------------------------------------------------

    def send(self, data):
        """The target may have closed: what it said before that is still read."""
        try:
            self.socket.settimeout(ANSWER_S)
            self.socket.sendall(data)
        except (BrokenPipeError, ConnectionResetError):
            pass

    def _fill(self, count, deadline):
        while len(self.buffer) < count:
            self.socket.settimeout(max(0, deadline - time.monotonic()))
            try:
                got = self.socket.recv(1 << 18)
            except BlockingIOError:
                raise TimeoutError from None
            except (ConnectionResetError, BrokenPipeError):
                raise Closed from None
            if not got:
                raise Closed
            self.buffer += got

    def pdu(self, timeout=ANSWER_S):
        """The next PDU; Closed, TimeoutError."""
        deadline = time.monotonic() + timeout
        self._fill(1, deadline)
        deadline = max(deadline, time.monotonic() + 1)  # what has begun is waited for

        def read(count):
            self._fill(count, deadline)
            taken = bytes(self.buffer[:count])
            del self.buffer[:count]
            return taken

        try:
            return wire.read_pdu(read, self.framing, self.hpda, self.initialized)
        except TimeoutError:
            raise wire.Broken("a PDU that does not end") from None
        except Closed:
            raise wire.Cut("the connection ended within a PDU") from None

    def answer(self, timeout=ANSWER_S):
        """What the target says next, data gathered into its completion; SILENT when it says nothing in time."""
        data = {}
        while True:
            try:
                pdu = self.pdu(timeout)
            except Closed:
                return CLOSED
            except TimeoutError:
                return SILENT
            if pdu.kind == wire.C2H_TERM:
                return self._term(pdu)
            if pdu.kind == wire.IC_RESP:
                return Other(IC_RESP.name, pdu)
            if pdu.kind == wire.R2T:
                return Other(R2T.name, pdu)
            if pdu.kind == wire.C2H_DATA:
                cid, offset = pdu.u16(8), pdu.u32(12)
                have = data.setdefault(cid, bytearray())
                require(offset == len(have), f"C2HData at {offset}, after {len(have)} bytes")
                have += pdu.data
                if pdu.flags & wire.FLAG_SUCCESS:
                    require(pdu.flags & wire.FLAG_LAST, "SUCCESS without LAST_PDU")
                    return Cpl(0, 0, 0, bytes(have), cid)
                continue
            cdw0, _, sqhd, _, cid, status = struct.unpack_from("<IIHHHH", pdu.header, 8)
            status >>= 1
            return Cpl(status >> 8 & 7, status & 0xFF, cdw0, bytes(data.pop(cid, b"")), cid, sqhd)

    def _term(self, pdu):
        """After a C2HTermReq nothing but the end may come (3.5.1)."""
        fes, fei = struct.unpack_from("<HI", pdu.header, 8)
        require(len(pdu.data) <= 128, "C2HTermReq with more than 128 bytes of header")
        try:
            extra = self.pdu()
            raise wire.Broken(f"PDU of type {extra.kind:#x} after C2HTermReq")
        except Closed:
            return Term(fes, fei, pdu.data)
        except TimeoutError:
            raise wire.Broken("no end of the connection after C2HTermReq") from None

    def end(self):
        """The last thing to come must be the end of the connection."""
        return expect(self.answer(), CLOSED, "the connection's end")

    def reset(self):
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.socket.close()

    def close(self):
        self.socket.close()

    # Sequences that are right ----------------------------------------------------------------------------------------

    def handshake(self, framing=Framing(), hpda=0, maxr2t=0):
        self.send(wire.ic_req(hpda=hpda, dgst=(1 if framing.hdgst else 0) | (2 if framing.ddgst else 0), maxr2t=maxr2t))
        self.take_ic_resp(framing, hpda)
        return self

    def take_ic_resp(self, framing=Framing(), hpda=0):
        pdu = expect(self.answer(), IC_RESP).pdu
        cpda, dgst = pdu.header[10], pdu.header[11]
        require(pdu.u16(8) == 0 and cpda <= 31, "ICResp: PFV or CPDA")
        require(dgst == (1 if framing.hdgst else 0) | (2 if framing.ddgst else 0), f"ICResp: digests {dgst}")
        self.max_h2c = pdu.u32(12)
        require(self.max_h2c >= 4096 and self.max_h2c % 4 == 0, f"MAXH2CDATA {self.max_h2c}")
        self.framing = Framing(framing.hdgst, framing.ddgst, (cpda + 1) * 4)
        self.hpda = (hpda + 1) * 4
        self.initialized = True

    def capsule(self, command, data=b"", **wrong):
        return wire.assemble(wire.CAPSULE, command, data, self.framing, **wrong)

    def h2c(self, cccid, ttag, datao, data, last=True, datal=None, **wrong):
        body = wire.h2c_body(cccid, ttag, datao, len(data) if datal is None else datal)
        return wire.assemble(wire.H2C_DATA, body, data, self.framing, extra_flags=wire.FLAG_LAST if last else 0,
                             **wrong)

    def cid(self):
        self.next_cid = self.next_cid % 0xFFF0 + 1
        return self.next_cid

    def command(self, command, data=b"", timeout=ANSWER_S):
        """Sends one command with its in-capsule data; its answer, which must be for its CID."""
        self.send(self.capsule(command, data))
        return self.completion(command, timeout)

    def completion(self, command, timeout=ANSWER_S):
        got = self.answer(timeout)
        if isinstance(got, Cpl):
            cid = struct.unpack_from("<H", command, 2)[0]
            require(got.cid == cid, f"completion for CID {got.cid:#x} instead of {cid:#x}")
        return got

    def connect_data(self, subnqn=None, **fields):
        fields.setdefault("hostid", self.world.hostid(self.number))
        fields.setdefault("hostnqn", self.world.hostnqn(self.number))
        return wire.connect_data(subnqn or self.world.nqn, **fields)

    def connect(self, qid=0, cntlid=0xFFFF, subnqn=None, sqsize=31, kato=0, cattr=0):
        command = wire.connect_sqe(self.cid(), qid, sqsize, kato, cattr=cattr)
        got = expect(self.command(command, self.connect_data(subnqn, cntlid=cntlid)), OK, "Connect")
        self.cntlid = got.cdw0 & 0xFFFF
        return self

    def enable(self, cc=0x460001):
        expect(self.command(wire.property_set(0x14, cc, cid=self.cid())), OK, "enable")
        got = expect(self.command(wire.property_get(0x1C, cid=self.cid())), OK, "CSTS")
        require(got.cdw0 & 1, "CSTS.RDY stays 0")
        return self

    def write_by_r2t(self, command, cid, data):
        """A command whose data is asked for: its R2Ts are served; its answer."""
        self.send(self.capsule(command))
        while True:
            got = self.answer()
            if not R2T.allows(got):
                return got
            offset, length = got.pdu.u32(12), got.pdu.u32(16)
            require(length and offset + length <= len(data), f"R2T of {offset}+{length} for {len(data)} bytes")
            self.send(self.h2c(cid, got.pdu.u16(10), offset, data[offset:offset + length]))
