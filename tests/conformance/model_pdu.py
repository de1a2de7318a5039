"""The model of PDU headers: from fields and what was agreed to the answers that NVMe/TCP 1.0 allows.

Written from the specification (3.3, 3.5, 3.6) and not from the target. Where it leaves something open, docs/reliability/conformance.md
names the choice, by the letters that stand here.
"""
from answers import Term
from wire import CAPSULE, FLAG_DDGST, FLAG_HDGST, FLAG_LAST, H2C_DATA, HLEN, first_data, header_end

PDO_MAX = 128


class Faults:
    """What is wrong with a header. `must`: FEI of fields that are wrong; `may`: of reserved ones that may be looked at."""

    def __init__(self):
        self.must, self.may = set(), set()
        self.linked = set()  # (a) fields of which each is wrong only in view of the other: either may be named

    @property
    def is_fatal(self):
        return bool(self.must)

    def terms(self):
        """3.5.1 and Figure 23: of several wrong fields the one at the lowest offset is named."""
        if not self.must:
            return {Term(1, offset) for offset in self.may}
        lowest = min(self.must)
        named = {lowest} | {offset for offset in self.may if offset < lowest}
        if lowest in self.linked:
            named |= self.linked
        return {Term(1, offset) for offset in named}


def _flags(faults, flags, framing, may_have_data, has_data, reserved):
    if bool(flags & FLAG_HDGST) != framing.hdgst:
        faults.must.add(1)
    if may_have_data and has_data and bool(flags & FLAG_DDGST) != framing.ddgst:
        faults.must.add(1)
    if not has_data and flags & FLAG_DDGST:
        faults.may.add(1)  # (b) DDGSTF where there is no data
    if flags & reserved:
        faults.may.add(1)  # (c) reserved bits may be ignored or refused


def capsule(flags, hlen, pdo, plen, framing):
    """CapsuleCmd (3.6.2.6): (faults, bytes of in-capsule data)."""
    faults, end = Faults(), header_end(CAPSULE, framing)
    has_data = plen > end
    _flags(faults, flags, framing, True, has_data, 0xFC)
    if hlen != HLEN[CAPSULE]:
        faults.must.add(2)
    if plen < end:
        faults.must.add(4)
    if not has_data:
        if pdo:
            faults.may.add(3)  # (d) PDO without data
        return faults, 0
    digest = 4 if framing.ddgst else 0
    wrong_place = pdo < end or pdo % framing.align or (pdo > PDO_MAX and pdo != first_data(CAPSULE, framing))
    if wrong_place or pdo >= plen:
        faults.must.add(3)
        faults.linked = {3, 4}
    elif plen - pdo <= digest:
        faults.must.add(4)  # no room for data and its digest
        faults.linked = {3, 4}
    return faults, max(0, plen - pdo - digest)


def h2c_data(flags, hlen, pdo, plen, datal, framing):
    """H2CData (3.6.2.8), as far as its lengths go."""
    faults, end = Faults(), header_end(H2C_DATA, framing)
    has_data = plen > end
    _flags(faults, flags, framing, True, has_data, 0xF8)
    if hlen != HLEN[H2C_DATA]:
        faults.must.add(2)
    if plen < end:
        faults.must.add(4)
    digest = 4 if framing.ddgst else 0
    if not has_data and pdo:
        faults.may.add(3)  # (d)
    if has_data and (pdo < end or pdo % framing.align or pdo >= plen or (pdo > PDO_MAX and pdo != first_data(H2C_DATA,
                                                                                                             framing))):
        faults.must.add(3)
        faults.linked = {3, 4, 16}
    elif has_data and plen != pdo + datal + digest:
        faults.must |= {4}
        faults.linked = {4, 16}
    elif not has_data and plen == end:
        if datal:
            faults.must |= {4}
        faults.linked = {3, 4, 16}
    return faults


def ic_req(flags, hlen, pdo, plen, pfv, hpda, dgst):
    """ICReq (3.6.2.2)."""
    faults = Faults()
    if flags:
        faults.may.add(1)
    if hlen != 128:
        faults.must.add(2)
    if pdo:
        faults.may.add(3)
    if plen != 128:
        faults.must.add(4)
    if pfv:
        faults.must.add(8)
    if hpda > 31:
        faults.must.add(10)
    if dgst & 0xFC:
        faults.may.add(11)
    return faults


class Ready:
    """An R2T, and what has come of it (3.3.2.2): its data comes in order, once, and whole."""

    def __init__(self, cccid, ttag, offset, length):
        self.cccid, self.ttag, self.begin, self.end = cccid, ttag, offset, offset + length
        self.next = offset

    @property
    def is_done(self):
        return self.next == self.end


def judge_h2c(readies, cccid, ttag, datao, datal, last, max_h2c, faults=None):
    """(answers that refuse it, whether it may also be taken, the R2T it is for). Several things wrong: any of them."""
    terms = set(faults.terms()) if faults and faults.is_fatal else set()
    found = next((ready for ready in readies if ready.ttag == ttag), None)
    if datal % 4:
        terms.add(Term(1, 16))
    if datal == 0:
        terms |= {Term(1, 16), Term(2)}  # (e) an H2CData without data
    if datal > max_h2c:
        terms.add(Term(5))
    if found is None:
        return terms | {Term(1, 10)}, False, None
    if cccid != found.cccid:
        terms |= {Term(1, 8), Term(2)}
    if datao % 4:
        terms.add(Term(1, 12))
    is_inside = found.begin <= datao and datao + datal <= found.end
    if not is_inside:
        terms.add(Term(4))
    if datao != found.next:
        terms |= {Term(2)}
        if not is_inside or datao >= found.end:
            terms.add(Term(4))
    tolerated = not terms
    if is_inside and datao == found.next:
        is_final = datao + datal == found.end
        if last and not is_final:
            terms.add(Term(2))
            tolerated = False
        if not last and is_final:
            terms.add(Term(2))  # (f) LAST_PDU missing: refused, or taken
    return terms, tolerated, found


def last_flag(last):
    return FLAG_LAST if last else 0
