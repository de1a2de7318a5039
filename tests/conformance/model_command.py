"""The model of commands: each broken rule adds the statuses that the specification names for it.

NVMe Base 2.x does not order the checks of a command: of several broken rules any may be reported (g). Nothing broken: success.
"""
from answers import (FORMAT, INVALID_FIELD, INVALID_NAMESPACE, LBA_RANGE, OK, SGL_LENGTH, SGL_OFFSET, SGL_TYPE, Term,
                     bad_parameter)
from wire import IN_CAPSULE, TRANSPORT

TO_HOST, TO_CONTROLLER, NO_DATA = "to host", "to controller", "no data"
IDENTIFY, GET_LOG, ABORT, SET_FEATURES, GET_FEATURES, AER, KEEP_ALIVE = 6, 2, 8, 9, 0x0A, 0x0C, 0x18
FLUSH, WRITE, READ, COMPARE, WRITE_ZEROES, DSM = 0, 1, 2, 5, 8, 9


def sgl(direction, need, identifier, length, address, payload, mdts, capsule_max, offsets=False):
    """(statuses that refuse the data pointer, whether it may also be taken). `need`: bytes the command moves;
    `payload`: bytes that came in its capsule."""
    errors, may_pass = set(), True
    if payload > capsule_max:
        return {SGL_LENGTH, SGL_OFFSET, INVALID_FIELD, Term(1, 4)}, False
    if direction == NO_DATA or need == 0:
        if identifier not in (IN_CAPSULE, TRANSPORT) or length:
            errors |= {SGL_TYPE, SGL_LENGTH, INVALID_FIELD, SGL_OFFSET}  # (h) a descriptor where none is used
        if payload:
            errors |= {SGL_LENGTH, Term(1, 4), INVALID_FIELD}
        return errors, True
    if identifier not in (IN_CAPSULE, TRANSPORT):
        if length or identifier >> 4:
            return {SGL_TYPE, *({SGL_LENGTH, INVALID_FIELD} if length < need else ())}, False
        return {SGL_TYPE, SGL_LENGTH, INVALID_FIELD}, False  # all zero: a descriptor of no bytes
    if length < need:
        errors |= {SGL_LENGTH, INVALID_FIELD} if length == 0 else {SGL_LENGTH}
        may_pass = False
    if length > mdts:
        errors |= {INVALID_FIELD, SGL_LENGTH}
        if length > max(mdts, 8192, need):
            may_pass = False
    elif length > need:
        errors.add(SGL_LENGTH)  # (i) longer than the data: SGLS bit 18 tells nothing that a host must rely on
    if identifier == IN_CAPSULE:
        if address:
            errors |= {SGL_OFFSET, SGL_LENGTH, Term(1, 4)}
            if not offsets or address + length > payload:
                may_pass = False
        if length != payload and not address:
            errors |= {SGL_LENGTH, Term(1, 4), SGL_OFFSET}
            may_pass = False
        if direction == TO_HOST:
            errors |= {SGL_TYPE, SGL_OFFSET, INVALID_FIELD, SGL_LENGTH}
            may_pass = False
    elif payload:
        errors |= {SGL_LENGTH, Term(1, 4), INVALID_FIELD}  # (j) data in the capsule that no descriptor names
    return errors, may_pass


def settle(errors, may_pass=True):
    """The allowed answers."""
    return errors | {OK} if may_pass or not errors else errors


def io_range(size, blocks, mdts, slba, nlb, transfers=True):
    """Statuses that refuse a range; `nlb` is 0's based."""
    errors = set()
    count = nlb + 1
    if slba + count > blocks:
        errors.add(LBA_RANGE)
    if transfers and count * size > mdts:
        errors.add(INVALID_FIELD)
    return errors


def io_namespace(nsid, active, nn):
    """Base 3.2.1: invalid NSIDs are 0/0Bh, inactive ones Invalid Field; the catalogue has 0/0Bh for both (k)."""
    if nsid in active:
        return set()
    if nsid == 0 or nsid > nn:
        return {INVALID_NAMESPACE, *({INVALID_FIELD} if nsid == 0xFFFFFFFF else ())}
    return {INVALID_NAMESPACE, INVALID_FIELD}


def connect(recfmt=0, qid=0, sqsize=31, cattr=0, cntlid=0xFFFF, sqsize_max=127, wrong=()):
    """Base 6.3: Connect names the parameter that is wrong; of several, any. `wrong`: other answers that refuse it."""
    errors = set(wrong)
    if recfmt:
        return errors | {FORMAT}
    if sqsize == 0 or sqsize > sqsize_max:
        errors.add(bad_parameter(44, False))
    if qid == 0 and cntlid != 0xFFFF:
        errors.add(bad_parameter(16, True))
    if cattr & ~0x0F and not errors:
        return {bad_parameter(46, False), OK}  # (c)
    return errors or {OK}
