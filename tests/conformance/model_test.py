#!/usr/bin/env python3
"""The suite's own parts against what people wrote down: the model against lines of the catalogue of bad input, and the
judge of what a target sends against PDUs that are wrong."""
import struct
import sys
import unittest

sys.dont_write_bytecode = True
import model_command  # noqa: E402
import model_pdu  # noqa: E402
import wire  # noqa: E402
from answers import (COMPARE, FORMAT, INVALID_FIELD, INVALID_NAMESPACE, LBA_RANGE, OK, SGL_LENGTH, SGL_TYPE, Cpl,
                     Term,  # noqa: E402
                     Unexpected, bad_parameter, expect)
from wire import Framing  # noqa: E402

PLAIN, HEADER, DATA = Framing(), Framing(hdgst=True), Framing(ddgst=True)


def terms(faults):
    assert faults.is_fatal
    return faults.terms()


class Catalogue(unittest.TestCase):
    """Ids as in the catalogue: what it expects is what the model allows."""

    def test_ic_req(self):
        right = {"flags": 0, "hlen": 128, "pdo": 0, "plen": 128, "pfv": 0, "hpda": 0, "dgst": 0}
        for name, fields, fei in (("T02", {"hpda": 32}, 10), ("T04", {"hlen": 127}, 2), ("T06", {"plen": 127}, 4),
                                  ("T08", {"plen": 0}, 4),
                                  ("T10", {"hlen": 1, "plen": 1}, 2)):
            self.assertEqual(terms(model_pdu.ic_req(**{**right, **fields})), {Term(1, fei)}, name)
        self.assertFalse(model_pdu.ic_req(**right).is_fatal)
        self.assertFalse(model_pdu.ic_req(**{**right, "hpda": 31}).is_fatal)

    def test_capsule(self):
        for name, framing, flags, hlen, pdo, plen, fei in (
                ("T32", PLAIN, 0, 71, 72, 584, 2), ("T34", PLAIN, 0, 0, 72, 584, 2), ("T36", PLAIN, 0, 72, 0, 71, 4),
                ("T40", PLAIN, 0, 72, 0, 584, 3), ("T42", PLAIN, 0, 72, 129, 1000, 3),
                ("T44", PLAIN, 0, 72, 100, 80, 3),
                ("T46", PLAIN, 1, 72, 72, 584, 1), ("T48", HEADER, 0, 72, 76, 588, 1), ("T50", DATA, 2, 72, 72, 74, 4)):
            self.assertIn(Term(1, fei), terms(model_pdu.capsule(flags, hlen, pdo, plen, framing)[0]), name)
        faults, size = model_pdu.capsule(0, 72, 72, 0xFFFFFFFF, PLAIN)  # T38: the command's limit decides
        self.assertFalse(faults.is_fatal)
        self.assertIn(Term(1, 4), model_command.sgl(model_command.TO_CONTROLLER, 512, 1, 512, 0, size, 131072, 4096)[0])
        for pdo in (72, 76, 128):
            faults, size = model_pdu.capsule(0, 72, pdo, pdo + 512, PLAIN)
            self.assertEqual((faults.is_fatal, size), (False, 512))
        self.assertEqual(model_pdu.capsule(3, 72, 76, 76 + 512 + 4, Framing(True, True))[1], 512)

    def test_h2c(self):
        def judge(cccid=5, ttag=9, datao=0, datal=4096, last=False, at=0):
            ready = model_pdu.Ready(5, 9, 0, 16384)
            ready.next = at
            return model_pdu.judge_h2c([ready], cccid, ttag, datao, datal, last, 131072)[:2]

        self.assertEqual(judge(ttag=0x7777), ({Term(1, 10)}, False))                       # T72
        self.assertIn(Term(1, 8), judge(cccid=6)[0])                                       # T76
        self.assertEqual(judge(datal=16384 + 512, last=True), ({Term(4)}, False))          # T78
        self.assertEqual(judge(datao=0, at=4096), ({Term(2)}, False))                      # T80
        self.assertIn(Term(5), judge(datal=131072 + 512)[0])                               # T82
        self.assertEqual(judge(datal=4095)[0], {Term(1, 16)})                              # T84
        self.assertEqual(judge(), (set(), True))
        self.assertEqual(judge(datal=16384, last=True), (set(), True))
        self.assertEqual(judge(datal=16384), ({Term(2)}, True))                            # T92: refused or taken
        self.assertEqual(judge(last=True), ({Term(2)}, False))
        faults = model_pdu.h2c_data(0, 24, 24, 124, 16384, PLAIN)                          # T86
        self.assertIn(Term(1, 4), terms(faults))
        self.assertEqual(terms(model_pdu.h2c_data(0, 23, 24, 24 + 512, 512, PLAIN)), {Term(1, 2)})   # T88
        self.assertIn(Term(1, 3), terms(model_pdu.h2c_data(0, 24, 255, 24 + 512, 512, PLAIN)))       # T90

    def test_commands(self):
        def sgl(need, identifier, length, payload=0, direction=model_command.TO_CONTROLLER):
            return model_command.sgl(direction, need, identifier, length, 0, payload, 131072, 4096)

        self.assertIn(SGL_LENGTH, sgl(512, 1, 512, 1024)[0])                               # T52
        self.assertFalse(sgl(512, 1, 512, 1024)[1])
        self.assertIn(Term(1, 4), sgl(8192, 1, 8192, 8192)[0])                             # T54
        for identifier in (0x00, 0x20, 0x40, 0x51):                                        # T56 to T62
            self.assertEqual(sgl(4096, identifier, 4096), ({SGL_TYPE}, False))
        self.assertEqual(sgl(4096, 0x5A, 0xFFFFFFFF), ({INVALID_FIELD, SGL_LENGTH}, False))  # T66
        self.assertEqual(sgl(4096, 0x5A, 512), ({SGL_LENGTH}, False))                      # T68
        self.assertEqual(sgl(4096, 0x5A, 4096), (set(), True))
        self.assertEqual(model_command.io_range(512, 2048, 131072, 2047, 1), {LBA_RANGE})  # I02
        self.assertEqual(model_command.io_range(512, 2048, 131072, (1 << 64) - 1, 0), {LBA_RANGE})
        self.assertEqual(model_command.io_range(512, 2048, 131072, 2047, 0), set())
        self.assertEqual(model_command.io_namespace(0, [1], 32), {INVALID_NAMESPACE})      # I06
        self.assertEqual(model_command.connect(recfmt=1), {FORMAT})                        # F04
        self.assertEqual(model_command.connect(sqsize=0xFFFF), {bad_parameter(44, False)})  # F06
        self.assertEqual(model_command.connect(cntlid=0xFFF0), {bad_parameter(16, True)})  # F08


class Judge(unittest.TestCase):
    """A wrong PDU of a controller is not taken for a right one."""

    @staticmethod
    def read(data, framing=PLAIN, align=4, initialized=True):
        place = [0]

        def take(count):
            piece = data[place[0]:place[0] + count]
            place[0] += count
            if len(piece) < count:
                raise wire.Broken("cut")
            return piece

        return wire.read_pdu(take, framing, align, initialized)

    def test_what_is_right_passes(self):
        response = wire.common(5, 0, 24, 0, 24) + bytes(16)
        self.assertEqual(self.read(response).kind, wire.RESPONSE)
        data = wire.common(7, 4, 24, 24, 24 + 8) + struct.pack("<HHIII", 1, 0, 0, 8, 0) + bytes(8)
        self.assertEqual(self.read(data).data, bytes(8))
        header = wire.common(5, 1, 24, 0, 28) + bytes(16)
        self.assertEqual(self.read(header + struct.pack("<I", wire.crc32c(header)), HEADER).kind, wire.RESPONSE)

    def test_what_is_wrong_does_not(self):
        def data(pdo=24, plen=32, datal=8, flags=4):
            return wire.common(7, flags, 24, pdo, plen) + struct.pack("<HHIII", 1, 0, 0, datal, 0) + bytes(200)

        header = wire.common(5, 1, 24, 0, 28) + bytes(16)
        for name, pdu, framing, align in (
                ("a host's type", wire.common(4, 0, 72, 0, 72) + bytes(64), PLAIN, 4),
                ("HLEN", wire.common(5, 0, 20, 0, 24) + bytes(16), PLAIN, 4),
                ("PLEN", wire.common(5, 0, 24, 0, 28) + bytes(20), PLAIN, 4),
                ("HDGSTF", wire.common(5, 1, 24, 0, 24) + bytes(16), PLAIN, 4),
                ("header digest", header + bytes(4), HEADER, 4), ("PDO", data(pdo=25, plen=33), PLAIN, 4),
                ("alignment", data(pdo=28, plen=36), PLAIN, 8),
                ("DATAL", data(datal=12), PLAIN, 4), ("no data", data(plen=24, datal=0), PLAIN, 4),
                ("data digest", data(plen=36, flags=6), DATA, 4),
                ("DDGSTF", data(flags=6), PLAIN, 4), ("TermReq of 200 bytes",
                                                      wire.common(3, 0, 24, 0, 200) + bytes(192), PLAIN, 4)):
            with self.assertRaises(wire.Broken, msg=name):
                self.read(pdu, framing, align)
        with self.assertRaises(wire.Broken):
            self.read(wire.common(5, 0, 24, 0, 24) + bytes(16), initialized=False)

    def test_expect_takes_what_is_allowed_and_nothing_else(self):
        expect(Term(1, 4, b"x"), {Term(1, 4)})
        expect(Cpl(0, 0, 7, b"data"), OK)
        for got, allowed in ((Term(1, 5), Term(1, 4)), (Term(2, 0), Term(1)), (COMPARE, OK),
                             (Cpl(1, 0x82, 44), bad_parameter(44, True)), (OK, Term(1, 0))):
            with self.assertRaises(Unexpected):
                expect(got, {allowed})

    def test_crc32c(self):
        self.assertEqual(wire.crc32c(b"123456789"), 0xE3069283)


if __name__ == "__main__":
    unittest.main()
