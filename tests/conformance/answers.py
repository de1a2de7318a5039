"""What a target can answer, and what it may answer: patterns that compare with what came."""
from dataclasses import dataclass


@dataclass(frozen=True)
class Term:
    """C2HTermReq, then the end of the connection. fei None: any."""
    fes: int
    fei: int | None = None
    header: bytes = b""  # of what came only: the echoed header

    def allows(self, got):
        return isinstance(got, Term) and got.fes == self.fes and (self.fei is None or got.fei == self.fei)

    def __str__(self):
        return f"TERM {self.fes:02X}h" + ("" if self.fei is None else f" FEI {self.fei}")


@dataclass(frozen=True)
class Cpl:
    """A completion. cdw0 None: any."""
    sct: int
    sc: int
    cdw0: int | None = None
    data: bytes = b""  # of what came only
    cid: int = 0
    sqhd: int = 0

    def allows(self, got):
        return isinstance(got, Cpl) and (got.sct, got.sc) == (self.sct, self.sc) and self.cdw0 in (None, got.cdw0)

    def __str__(self):
        return f"CPL {self.sct}/{self.sc:02X}h" + ("" if self.cdw0 is None else f" dw0={self.cdw0:#x}")


@dataclass(frozen=True)
class Other:
    """Anything else, by its name."""
    name: str
    pdu: object = None

    def allows(self, got):
        return isinstance(got, Other) and got.name == self.name

    def __str__(self):
        return self.name


CLOSED = Other("closed")      # without a C2HTermReq
SILENT = Other("no answer")   # and the connection lives
R2T = Other("R2T")
IC_RESP = Other("ICResp")
OK = Cpl(0, 0)

# Generic status by their names, so that tables of rules read like the specification.
INVALID_OPCODE, INVALID_FIELD, CID_CONFLICT = Cpl(0, 1), Cpl(0, 2), Cpl(0, 3)
INVALID_NAMESPACE, SEQUENCE, SGL_LENGTH, SGL_TYPE, SGL_OFFSET = Cpl(0, 0x0B), Cpl(0, 0x0C), Cpl(0, 0x0F), Cpl(0, 0x11), Cpl(0, 0x16)
KATO_INVALID, TRANSIENT, LBA_RANGE, COMPARE = Cpl(0, 0x1A), Cpl(0, 0x22), Cpl(0, 0x80), Cpl(2, 0x85)
FORMAT, BUSY, INVALID_HOST, QUEUE_TYPE = Cpl(1, 0x80), Cpl(1, 0x81), Cpl(1, 0x84), Cpl(1, 0x85)
AUTH_REQUIRED = Cpl(1, 0x91)
INVALID_LOG, NOT_SAVEABLE, NOT_CHANGEABLE, AER_LIMIT = Cpl(1, 9), Cpl(1, 0x0D), Cpl(1, 0x0E), Cpl(1, 5)


def bad_parameter(offset, in_data):
    """Connect Invalid Parameters with its IPO and IATTR."""
    return Cpl(1, 0x82, offset | (1 << 16 if in_data else 0))


class Unexpected(Exception):
    pass


def expect(got, allowed, what=""):
    """Raises Unexpected unless one of `allowed` (or the only one) allows what came; gives it back."""
    patterns = allowed if isinstance(allowed, (list, tuple, set, frozenset)) else [allowed]
    if not any(pattern.allows(got) for pattern in patterns):
        raise Unexpected(f"{what + ': ' if what else ''}got {got}, allowed: {' | '.join(sorted(set(map(str, patterns))))}")
    return got


def require(condition, text):
    if not condition:
        raise Unexpected(text)
