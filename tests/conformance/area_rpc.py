"""JSON-RPC 2.0 on the socket: framing, depth, sizes, ids, batches, clients that are slow, silent or gone (defect classes C27, C29)."""
import json
import os
import socket
import stat
import time

from answers import Unexpected, require
from case import Case, sample
from world import RpcClient

PARSE, REQUEST, METHOD, PARAMS = -32700, -32600, -32601, -32602
GOOD = {"jsonrpc": "2.0", "id": 1, "method": "spdk_get_version"}
BIG = 1 << 20  # of a request; past it a server may refuse


class Session(RpcClient):
    """A client whose answers must come, and which must be closed at the end."""

    def __init__(self, world, timeout=5):
        super().__init__(world.path, timeout)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def reply(self):
        try:
            text = self.line()
        except TimeoutError:
            raise Unexpected("no answer and no end") from None
        if text is None:
            return None
        try:
            return json.loads(text)
        except ValueError:
            raise Unexpected(f"an answer that is not JSON: {text[:80]!r}") from None


def check_shape(reply, want_id):
    """JSON-RPC 2.0, section 5."""
    require(isinstance(reply, dict) and reply.get("jsonrpc") == "2.0", f"{reply!r:.200}")
    require("id" in reply and ("result" in reply) != ("error" in reply), f"{reply!r:.200}")
    require(reply["id"] == want_id and isinstance(reply["id"], type(want_id)),
            f"id {reply['id']!r:.60} instead of {want_id!r:.60}")
    if "error" in reply:
        error = reply["error"]
        require(isinstance(error.get("code"), int) and isinstance(error.get("message"), str) and error["message"],
                f"{error!r:.200}")
        return error["code"]
    return None


def refusal(name, text, codes, want_id=None, may_close=True, may_close_silently=False, rule="JSON-RPC 2.0"):
    """`text` gets one error of these codes (None: success); then the server still works, for this client or the next."""
    raw = text if isinstance(text, bytes) else text.encode()

    def run(world):
        with Session(world) as client:
            try:
                client.send(raw)
            except (BrokenPipeError, ConnectionResetError):
                pass
            reply = client.reply()
            if reply is None:
                require(may_close_silently, "closed without an answer")
            else:
                ids = want_id if isinstance(want_id, list) else [want_id]
                code = check_shape(reply, reply.get("id") if isinstance(reply, dict) and reply.get("id") in ids
                                   else ids[0])
                require(code in codes, f"code {code}, allowed: {codes}: {str(reply)[:150]}")
            if code_closes(client):
                require(may_close, "the connection was closed")
        with Session(world) as client:
            require(client.call("spdk_get_version"), "the next client")

    def code_closes(client):
        try:
            client.send(json.dumps({**GOOD, "id": "again"}).encode())
            reply = client.reply()
        except (BrokenPipeError, ConnectionResetError):
            return True
        while reply is not None and reply.get("id") != "again":
            reply = client.reply()
        return reply is None

    return Case(f"rpc/{name}", rule, run, classes=("C29",))


def values(_world, _full):
    for name, text in {"not-json": "hello\n", "http": "POST / HTTP/1.1\r\nHost: a\r\n\r\n", "closed-first": "]",
                       "brace": "}", "comma": ",",
                       "single-quote": "{'jsonrpc':'2.0'}", "unquoted": "{jsonrpc:1}",
                       "trailing-comma": '{"jsonrpc":"2.0","id":1,"method":"spdk_get_version",}',
                       "mismatch": '{"a":[}', "hex": '{"id":0x10}',
                       "leading-zero": '{"jsonrpc":"2.0","id":01,"method":"x"}', "plus": '{"id":+1}',
                       "nan": '{"id":NaN}', "infinity": '{"id":Infinity}', "comment": '{/*a*/"id":1}', "nul": "\0",
                       "control": '{"id":"\x01"}',
                       "bad-escape": '{"id":"\\x41"}',
                       "half-surrogate": '{"jsonrpc":"2.0","id":"\\ud800","method":"spdk_get_version"}',
                       "bom": "\ufeff{}", "point": '{"id":1.}', "exponent": '{"id":1e}', "minus": '{"id":-}'}.items():
        codes = {PARSE} if name not in ("half-surrogate", "bom") else {PARSE, REQUEST, None}
        yield refusal(f"parse={name}", text, codes, [None, "\ud800", "\ufffd"] if name == "half-surrogate" else None)
    for name, raw in {"ff": b"\xff", "c0af": b"\xc0\xaf", "cut": b"\xe2\x82", "surrogate": b"\xed\xa0\x80",
                      "f5": b"\xf5\x80\x80\x80", "over": b"\xf0\x80\x80\xaf"}.items():
        for where, form in {"method": b'{"jsonrpc":"2.0","id":1,"method":"a%s"}',
                            "id": b'{"jsonrpc":"2.0","id":"%s","method":"a"}',
                            "name": b'{"jsonrpc":"2.0","id":1,"method":"bdev_get_bdevs","params":{"n%s":1}}',
                            "param": b'{"jsonrpc":"2.0","id":1,"method":"bdev_get_bdevs","params":{"name":"%s"}}'}.items():
            yield refusal(f"utf8={name},{where}", form.replace(b"%s", raw), {PARSE}, None)
    for name, text in {"number": "42 ", "string": '"x"', "true": "true", "null": "null", "false": "false",
                       "float": "-1.5e3 ", "empty-object": "{}"}.items():
        yield refusal(f"value={name}", text, {REQUEST})
    yield refusal("batch=empty", "[]", {REQUEST})
    depths = [1, 2, 31, 32, 33, 63, 64, 65, 1000, 100000]
    for depth in depths:
        for shape, text in {"open": "[" * depth, "arrays": "[" * depth + "]" * depth,
                            "objects": '{"a":' * depth + "1" + "}" * depth,
                            "params": json.dumps({**GOOD, "params": 0}).replace("0}", "[" * depth + "]" * depth + "}")}.items():
            if shape == "open" and depth < 70:
                continue
            if shape == "arrays" and depth <= 64:  # a batch of arrays: each is an invalid request
                continue
            allowed = {PARSE} if depth > 64 else {PARSE, REQUEST, PARAMS, None}
            yield refusal(f"depth={depth},{shape}", text, allowed, [None, 1])


def members(_world, _full):
    def call(**fields):
        return json.dumps({key: value for key, value in {**GOOD, **fields}.items() if value is not Ellipsis})

    kinds = {"null": None, "true": True, "number": 5, "float": 1.5, "string": "x", "array": [], "object": {},
             "absent": ...}
    for member, allowed in {"jsonrpc": {}, "method": {"string": {METHOD}}, "params": {"null": {None}, "absent": {None},
                                                                                      "array": {None, PARAMS},
                                                                                      "object": {None}}}.items():
        for kind, value in kinds.items():
            codes = allowed.get(kind) or ({PARAMS, REQUEST} if member == "params" else {REQUEST})
            yield refusal(f"{member}={kind}", call(**{member: value}), codes, 1, may_close=False)
    for kind, value in {"zero": 0, "minus": -1, "float": 1.5, "big": (1 << 63) - 1, "bigger": (1 << 64) - 1,
                        "text": "abc", "empty": "", "utf8": "é漢😀",
                        "128": "x" * 128, "quote": '"\\\n\t'}.items():
        yield refusal(f"id={kind}", call(id=value), {None}, value, may_close=False)
    for kind, value in {"array": [], "object": {}, "true": True, "false": False}.items():
        yield refusal(f"id={kind}", call(id=value), {REQUEST}, None, may_close=False)
    for size in (129, 4096, 65536):
        yield refusal(f"id-length={size}", call(id="i" * size), {None, REQUEST}, [None, "i" * size], may_close=False)
    yield refusal("id=2^64", call(id=0).replace('"id": 0', '"id": 18446744073709551616'), {REQUEST, PARSE, None},
                  [None, 18446744073709551616, 1.8446744073709552e19])
    yield refusal("id=null", call(id=None), {None, REQUEST}, None, may_close=False)
    for version in ("1.0", "2.00", "2", "", "2.0\0"):
        yield refusal(f"version={version!r}", call(jsonrpc=version), {REQUEST}, 1, may_close=False)
    for name, method in {"unknown": "no_such_method", "empty": "", "nul": "spdk_get_version\0x",
                         "blank": " spdk_get_version", "upper": "SPDK_GET_VERSION",
                         "prefix": "spdk_get_versio", "long": "m" * 100000, "format": "%s%n", "escape": "\x1b[2J",
                         "rpc.": "rpc.discover"}.items():
        yield refusal(f"method={name}", call(method=method), {METHOD}, 1, may_close=False)
    for twice in ("id", "method", "params", "jsonrpc"):
        text = call(params={})
        yield refusal(f"twice={twice}", text[:-1] + f', "{twice}": {json.dumps(dict(GOOD, params={})[twice])}}}',
                      {REQUEST, PARAMS, PARSE}, [1, None])
    yield refusal("member=unknown", call(extra=1), {REQUEST, None}, 1, may_close=False)
    yield refusal("params=10001-values", call(params=list(range(10001))), {PARAMS, REQUEST}, [1, None])
    yield refusal("params=10001-names", call(params={f"n{at}": at for at in range(10001)}), {PARAMS, REQUEST},
                  [1, None])
    for size in (BIG - 200, BIG, BIG + 1, 4 * BIG):
        text = call(params={"name": "n" * size}, method="bdev_get_bdevs")
        yield refusal(f"size={size}", text, {PARAMS, REQUEST, PARSE, -19}, [1, None], may_close_silently=size > BIG)
    for number in ("1e400", "-1e400", "1" * 400, "1e-400", "18446744073709551616", "-9223372036854775809", "1e19",
                   "0.5"):
        text = call(method="bdev_null_create", params={"name": "X", "block_size": 512,
                                                       "num_blocks": 0}).replace('"num_blocks": 0',
                                                                                 f'"num_blocks": {number}')
        yield refusal(f"number={number[:24]}:{len(number)}", text, {PARAMS, PARSE, -22}, [1, None])


def streams(_world, _full):
    good = json.dumps(GOOD).encode()

    def pieces(world, size):
        with Session(world) as client:
            for at in range(0, len(good), size):
                client.send(good[at:at + size])
            require(check_shape(client.reply(), 1) is None, "an error")

    def together(world, count, between):
        with Session(world) as client:
            client.send(between.join(json.dumps({**GOOD, "id": at}).encode() for at in range(count)))
            got = [client.reply() for _ in range(count)]
            require([each["id"] for each in got] == list(range(count)), "answers in order")

    for size in (1, 2, 7, 50):
        yield Case(f"rpc/pieces={size}", "a stream of bytes", lambda world, size=size: pieces(world, size),
                   classes=("C29",))
    for name, between in {"nothing": b"", "newline": b"\n", "blanks": b" \r\n\t "}.items():
        yield Case(f"rpc/together,{name}", "a stream of bytes", lambda world,
                   between=between: together(world, 40, between), classes=("C29",))

    def batch(world, items, want):
        with Session(world) as client:
            client.send(json.dumps(items).encode())
            if want is None:  # notifications only: nothing is answered
                client.send(good)
                require(check_shape(client.reply(), 1) is None, "the call after it")
                return
            got = client.reply()
            require(isinstance(got, list) and len(got) == len(want), f"{got!r:.200}")
            have = sorted((str(each.get("id")), each.get("error", {}).get("code")) for each in got)
            require(have == sorted((str(at), code) for at, code in want), f"{have} instead of {want}")

    note = {"jsonrpc": "2.0", "method": "spdk_get_version"}
    batches = {"one": ([GOOD], [(1, None)]), "two": ([GOOD, {**GOOD, "id": 2}], [(1, None), (2, None)]),
               "numbers": ([1, 2, 3], [(None, REQUEST)] * 3),
               "mixed": ([GOOD, 1, {**GOOD, "id": 2, "method": "no"}, note], [(1, None), (None, REQUEST), (2, METHOD)]),
               "notes": ([note, note], None),
               "nested": ([[GOOD]], [(None, REQUEST)]), "same-ids": ([GOOD] * 3, [(1, None)] * 3),
               "1000": ([{**GOOD, "id": at} for at in range(1000)], [(at, None) for at in range(1000)])}
    for name, (items, want) in batches.items():
        yield Case(f"rpc/batch,{name}", "JSON-RPC 2.0, 6", lambda world, a=(items, want): batch(world, *a),
                   classes=("C29",))

    def notification(world, method):
        with Session(world) as client:
            client.send(json.dumps({"jsonrpc": "2.0", "method": method}).encode() + good)
            require(check_shape(client.reply(), 1) is None, "only the call is answered")

    for method in ("spdk_get_version", "no_such_method", "bdev_null_create"):
        yield Case(f"rpc/notification,{method}", "JSON-RPC 2.0, 4.1", lambda world,
                   method=method: notification(world, method))


def clients(_world, full):
    def half(world, size, how):
        text = json.dumps({"jsonrpc": "2.0", "id": 1, "method": "bdev_null_create",
                           "params": {"name": "Half", "block_size": 512, "num_blocks": 8}}).encode()
        client = Session(world)
        client.send(text[:size])
        if how == "fin":
            client.socket.shutdown(socket.SHUT_WR)
            reply = client.reply()
            require(reply is None or size == len(text) or check_shape(reply, None) == PARSE, f"{reply!r:.100}")
        client.close()
        names = [bdev["name"] for bdev in world.rpc.call("bdev_get_bdevs")]
        require(size == len(text) or "Half" not in names, "half a call was executed")
        deadline = time.monotonic() + 5
        while size == len(text):  # J32: it was made, or it was not; nothing between
            try:
                world.rpc.call("bdev_null_delete", {"name": "Half"})
            except Exception as error:  # pylint: disable=broad-except  # not made yet, or never
                if how == "fin" and time.monotonic() > deadline:
                    raise Unexpected(f"the call of a client that has gone: {error}") from error
                time.sleep(0.02)
                if how != "fin" and time.monotonic() > deadline - 4.8:
                    return
                continue
            return

    length = len(json.dumps({"jsonrpc": "2.0", "id": 1, "method": "bdev_null_create",
                             "params": {"name": "Half", "block_size": 512, "num_blocks": 8}}))
    for size in sample(full, range(length + 1), 12):
        for how in ("fin", "gone"):
            yield Case(f"rpc/half={size},{how}", "a stream of bytes", lambda world, a=(size, how): half(world, *a),
                       classes=("C27", "C29"))

    def silent(world):
        """J04: who says half and then nothing costs nothing, and others are served."""
        idle = [Session(world) for _ in range(60)]
        for client in idle:
            client.send(b'{"jsonrpc":"2.0","id":1,"met')
        before = busy(world)
        time.sleep(0.5)
        require(busy(world) - before < 100_000_000, "silent clients cost CPU time")
        with Session(world) as client:
            require(client.call("spdk_get_version"), "another client")
        for client in idle:
            client.close()

    def busy(world):
        """Nanoseconds of work of the thread that serves RPC."""
        return next(each["busy_ns"] for each in world.rpc.call("weft_get_figures")["threads"]
                    if each["name"] == "app_thread")

    def never_reads(world, count):
        """J30: its answers wait, then its calls do; memory is bounded and others are served."""
        client = Session(world)
        client.socket.setblocking(False)
        text = json.dumps({**GOOD, "method": "rpc_get_methods"}).encode() * 50
        before = resident(world)
        sent = 0
        end = time.monotonic() + 3
        while sent < count * len(text) // 50 and time.monotonic() < end:
            try:
                sent += client.socket.send(text)
            except BlockingIOError:
                with Session(world) as other:
                    require(other.call("spdk_get_version"), "another client")
                time.sleep(0.02)
        limit = 64 << 20 if memory(world)[0] < 1 << 40 else 512 << 20  # AddressSanitizer keeps what was freed for a while
        require(resident(world) - before < limit,
                f"{(resident(world) - before) >> 20} MiB for a client that never reads")
        client.close()

    def memory(world):
        """Bytes of address space, and of them resident."""
        with open(f"/proc/{world.process.pid}/statm", encoding="utf-8") as file:
            return [int(pages) * os.sysconf("SC_PAGE_SIZE") for pages in file.read().split()[:2]]

    def resident(world):
        return memory(world)[1]

    def guarded(world):
        """C28: the socket is its owner's alone."""
        mode = stat.S_IMODE(os.stat(world.path).st_mode)
        require(mode == 0o600, f"the RPC socket has mode {mode:o}")

    def coming_and_going(world):
        for at in range(300):
            client = Session(world)
            if at % 3:
                client.send(b"[" if at % 2 else json.dumps(GOOD).encode())
            client.close()

    yield Case("rpc/silent", "J04", silent, classes=("C15", "C29"))
    yield Case("rpc/never-reads", "J30", lambda world: never_reads(world, 20000), classes=("C15", "C29"))
    yield Case("rpc/socket-mode", "C28", guarded, classes=("C28",))
    yield Case("rpc/coming-and-going", "J32", coming_and_going, classes=("C29",))
