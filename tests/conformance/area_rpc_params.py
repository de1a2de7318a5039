"""Every parameter of every method, as the target describes them: each wrong type and each number beyond its bounds is -32602,
and nothing is done (defect class C29). A second table names values that have the right type and no sense."""
import json

from answers import require
from area_rpc import PARAMS, REQUEST, Session, check_shape
from case import Case, sample

WRONG_STATE = -1
INTEGERS = {"u8": (0, 255), "u16": (0, 65535), "u32": (0, (1 << 32) - 1), "u64": (0, (1 << 64) - 1), "i8": (-128, 127),
            "i16": (-32768, 32767),
            "i32": (-(1 << 31), (1 << 31) - 1), "i64": (-(1 << 63), (1 << 63) - 1)}
SAMPLES = {"null": None, "true": True, "number": 7, "float": 1.5, "string": "x", "digits": "12", "array": [1],
           "object": {"a": 1}, "empty-array": [], "empty-object": {}}


def wrong_values(kind):
    """(label, JSON text) of values that are none of this type. null stands for an absent one and is not among them."""
    base = kind.strip("[]")
    if kind.startswith("["):
        yield from ((label, json.dumps(SAMPLES[label])) for label in ("true", "number", "float", "string", "object"))
        if base in INTEGERS:
            yield from ((f"of-{label}", json.dumps([SAMPLES[label]])) for label in ("true", "float", "string", "array",
                                                                                    "object"))
        return
    right = {"bool": ("true",), "string": ("string", "digits"), "object": ("object", "empty-object"),
             "json": tuple(SAMPLES)}.get(kind, ())
    if kind in INTEGERS:
        low, high = INTEGERS[kind]
        right = ("number",)
        yield from ((str(value), str(value)) for value in (low - 1, high + 1, -(1 << 63), 1 << 64, 10 ** 30))
        yield from ((text, text) for text in ("1e300", "-0.5", "7.000000001", "1e400"))
    if kind in ("uuid", "enum"):
        yield from ((label, json.dumps(value)) for label, value in {"empty": "", "nonsense": "no-such-value",
                                                                    "nul": "\0", "long": "0" * 5000}.items())
        right = ("null",)
    for label, value in SAMPLES.items():
        if label not in right and label != "null" and not (kind == "string" and label == "digits"):
            yield label, json.dumps(value)


def types(world, full):
    methods = world.rpc.call("weft_describe_methods")
    require(len(methods) > 50, f"{len(methods)} methods are described")

    known = {}  # what there was after the case before

    def run(world, method, states, text, codes):
        before = known.get("state") or state(world)
        with Session(world) as client:
            client.send(b'{"jsonrpc":"2.0","id":5,"method":%s,"params":%s}' % (json.dumps(method).encode(),
                                                                               text.encode()))
            reply = client.reply()
            require(reply is not None, "closed without an answer")
            code = check_shape(reply, reply.get("id") if reply.get("id") in (5, None) else 5)
            allowed = codes | (set() if "runtime" in states else {WRONG_STATE})
            require(code in allowed, f"code {code}, allowed: {sorted(allowed)}: {str(reply)[:150]}")
        known["state"] = state(world)
        require(known["state"] == before, "a refused call changed something")

    def state(world):
        subsystems = world.rpc.call("nvmf_get_subsystems")
        bdevs = world.rpc.call("bdev_get_bdevs")
        return json.dumps([subsystems, bdevs], sort_keys=True)

    def case(method, states, label, text, codes):
        return Case(f"rpcp/{method},{label}", "JSON-RPC 2.0, 5.1; docs/rpc.md", lambda world,
                    a=(method, states, text, codes): run(world, *a), classes=("C29",))

    for method in methods:
        name, states, params = method["name"], method["states"], method["params"]
        bad = {PARAMS}
        yield case(name, states, "unknown-parameter", '{"no_such_parameter": 1}', bad)
        for label, text in {"array": "[1, 2]", "string": '"x"', "number": "5", "true": "true"}.items():
            yield case(name, states, f"params={label}", text, {PARAMS, REQUEST})
        required = [param for param in params if param["required"] and "." not in param["name"]]
        if required:
            yield case(name, states, "nothing", "{}", bad)
        cases = []
        for param in params:
            top, _, inner = param["name"].partition(".")
            for label, text in wrong_values(param["type"]):
                body = f'{{"{top}": {{"{inner}": {text}}}}}' if inner else f'{{"{top}": {text}}}'
                # A number beyond floating point may be called no JSON (w).
                cases.append(case(name, states, f"{param['name']}={label}", body,
                                  bad | ({-32700} if label == "1e400" else set())))
            if not inner:
                cases.append(case(name, states, f"{param['name']}=twice", f'{{"{top}": 1, "{top}": 1}}',
                                  bad | {REQUEST}))
        yield from sample(full, cases, 24, len(name))
        for alias in method["aliases"]:
            yield case(alias, states, "unknown-parameter", '{"no_such_parameter": 1}', bad)


def senseless(_world, _full):
    """Right types, and what they mean is not there, too much, or not allowed: an error, and nothing is done."""
    nqn = "nqn.2016-06.io.spdk:conformance"
    ana = "nqn.2016-06.io.spdk:ana"
    long_nqn = "nqn.2016-06.io.spdk:" + "n" * 204
    listen = {"trtype": "TCP", "traddr": "127.0.0.1", "trsvcid": "1"}
    table = {
        "bdev_malloc_create": [{"block_size": size, "num_blocks": 8} for size in (0, 1, 511, 513, 4095, 131072,
                                                                                  (1 << 32) - 1)] +
        [{"block_size": 512, "num_blocks": count} for count in (0, 1 << 52, (1 << 55), (1 << 64) - 1)] +
        [{"name": name, "block_size": 512, "num_blocks": 8} for name in ("", "n" * 256, "a\nb", "a\0b", "Case1",
                                                                         "\x7f")] +
        [{"block_size": 512, "num_blocks": 8, **more} for more in (
            {"md_size": 65}, {"dif_type": 1}, {"md_size": 7, "dif_type": 1}, {"md_size": 8, "dif_type": 4},
            {"md_size": 8, "dif_type": -1}, {"md_size": 16, "dif_type": 1, "dif_pi_format": 1},
            {"md_size": 8, "dif_pi_format": 3})],
        "bdev_null_create": [{"name": "N", "block_size": 512, "num_blocks": count} for count in (0, 1 << 55,
                                                                                                 (1 << 64) - 1)] +
        [{"name": "N", "block_size": size, "num_blocks": 8} for size in (0, 500, 131072)] + [{"name": "Huge",
                                                                                              "block_size": 512,
                                                                                              "num_blocks": 8}],
        "bdev_aio_create": [{"name": "A", "filename": name, "block_size": 512} for name in ("", "/", "/nowhere/at/all",
                                                                                            "/dev/null\0x",
                                                                                            "relative/none",
                                                                                            "../" * 50 + "nowhere",
                                                                                            "n" * 5000)] +
        [{"name": "A", "filename": "/proc/self/mem", "block_size": 512}, {"name": "A", "filename": "/dev/zero",
                                                                          "block_size": 512}],
        "bdev_malloc_delete": [{"name": "None"}, {"name": ""}, {"name": "Huge"}],
        "bdev_null_delete": [{"name": "None"}, {"name": "Case1"}],
        "bdev_null_resize": [{"name": "Huge", "new_size": size} for size in (0, 1, (1 << 64) - 1,
                                                                             1 << 44)] + [{"name": "Case1",
                                                                                           "new_size": 99}],
        "nvmf_create_subsystem": [{"nqn": value} for value in ("", "hello", long_nqn, "nqn.", nqn,
                                                               "nqn.2016-06.io.spdk:\n", "nqn.2016-06.io.spdk:\0x")] +
        [{"nqn": "nqn.2016-06.io.spdk:new", **more} for more in ({"serial_number": "s" * 21},
                                                                 {"model_number": "m" * 41}, {"serial_number": "\n"},
         {"min_cntlid": 0}, {"min_cntlid": 10, "max_cntlid": 9}, {"max_cntlid": 65520}, {"min_cntlid": 65520},
         {"max_namespaces": (1 << 32) - 1}, {"tgt_name": "other"})],
        "nvmf_delete_subsystem": [{"nqn": "nqn.2016-06.io.spdk:nobody"}, {"nqn": ""},
                                  {"nqn": "nqn.2014-08.org.nvmexpress.discovery"}],
        "nvmf_subsystem_add_ns": [{"nqn": nqn, "namespace": {"bdev_name": name, "nsid": nsid}} for name, nsid in
                                  (("None", 5), ("Case1", 5), ("Cut2", 0), ("Huge", (1 << 32) - 1), ("", 5))] +
        [{"nqn": nqn, "namespace": {"bdev_name": "Spare", **more}} for more in ({"nsid": 1}, {"nsid": 9},
                                                                                {"nsid": (1 << 32) - 1},
                                                                                {"nguid": "00"}, {"nguid": "g" * 32},
                                                                                {"eui64": "1"}, {"eui64": "0" * 17})],
        "nvmf_subsystem_remove_ns": [{"nqn": nqn, "nsid": nsid}
                                     for nsid in (0, 5, 9, (1 << 32) - 1)] + [{"nqn": "nobody", "nsid": 1}],
        "nvmf_subsystem_add_listener": [{"nqn": nqn, "listen_address": {**listen, **more}} for more in
                                        ({"trtype": "RDMA"}, {"trtype": ""}, {"traddr": "300.1.1.1"},
                                         {"traddr": "localhost"}, {"traddr": ""}, {"trsvcid": "0x50"},
                                         {"trsvcid": "65536"},
                                         {"trsvcid": "-1"}, {"adrfam": "IPv6"}, {"adrfam": "x"},
                                         {"traddr": "198.51.100.7"})],
        "nvmf_subsystem_listener_set_ana_state": [
            {"nqn": name, "listen_address": {**listen, **where}, "ana_state": state, **more}
            for name, where, state, more in ((nqn, {}, "inaccessible", {}), ("nobody", {}, "optimized", {}),
                                             (ana, {}, "Optimized", {}), (ana, {}, "", {}),
                                             (ana, {"trsvcid": "1"}, "inaccessible", {}),
                                             (ana, {"traddr": "x"}, "inaccessible", {}),
                                             *((ana, {}, "inaccessible", {"anagrpid": group})
                                               for group in (0, 9, (1 << 32) - 1)))],
        "nvmf_subsystem_set_ns_ana_group": [{"nqn": ana, "nsid": nsid, "anagrpid": group} for nsid, group in
                                            ((1, 0), (1, 9), (1, (1 << 32) - 1), (2, 1), (0, 1))],
        "weft_nvmf_set_ana_states": [
            {"nqn": name, "listeners": [{"listen_address": listen, "states": states}]}
            for name, states in (("nobody", []), (nqn, []), (ana, [{"ana_state": "x"}]),
                                 (ana, [{"ana_state": "change"}, {"ana_state": "change", "anagrpid": 9}]))],
        "nvmf_subsystem_remove_listener": [{"nqn": nqn, "listen_address": listen},
                                           {"nqn": "nobody", "listen_address": listen}],
        "nvmf_subsystem_add_host": [{"nqn": nqn, "host": value} for value in ("", "hello", long_nqn,
                                                                              "nqn.2016-06.x:\n")] + [{"nqn": nqn,
                                                                                                       "host": "nqn.2016-06.io.spdk:h", "psk": "key"}],
        "nvmf_put_blockservice2transport": [{"trtype": "TCP", "blockservice": value} for value in
                                            ("", "/", "10.0.0.0/33", "10.0.0.1/24", "::/129", "::ffff:1.2.3.4", "host/8",
                                             "10.0.0.0/8\0", "1" * 5000)] + [{"trtype": "RDMA", "blockservice": "::/0"}],
        "nvmf_remove_blockservice2transport": [{"trtype": "TCP", "blockservice": "10.0.0.0/8"}],
        "nvmf_get_blockservice2transport": [{"trtype": "RDMA"}],
        "nvmf_subsystem_listener_set_hosts": [{"nqn": nqn, "listen_address": listen, "hosts": []},
                                              {"nqn": "nobody", "listen_address": listen, "hosts": []},
                                              {"nqn": nqn, "listen_address": listen, "hosts": ["hello"]}],
        "nvmf_ns_add_host": [{"nqn": nqn, "nsid": nsid, "host": host} for nsid, host in
                             ((0, "nqn.2016-06.io.spdk:h"), (1, "nqn.2016-06.io.spdk:h"), (5, "nqn.2016-06.io.spdk:h"),
                              ((1 << 32) - 1, "nqn.2016-06.io.spdk:h"), (1, ""), (1, long_nqn))],
        "nvmf_ns_remove_host": [{"nqn": nqn, "nsid": 1, "host": "nqn.2016-06.io.spdk:h"},
                                {"nqn": "nobody", "nsid": 1, "host": "nqn.2016-06.io.spdk:h"}],
        "nvmf_discovery_add_referral": [{"address": {**listen, **more}} for more in
                                        ({"trtype": "FC"}, {"traddr": "localhost"}, {"trsvcid": "65536"},
                                         {"adrfam": "ib"})] + [{"address": listen, "subnqn": "hello"},
                                                               {"address": listen, "hosts": [""]}],
        "nvmf_discovery_remove_referral": [{"address": listen}],
        "nvmf_discovery_set_nqn": [{"discovery_nqn": value} for value in ("hello", nqn, long_nqn)],
        "nvmf_subsystem_disconnect": [{"nqn": nqn, "cntlid": 65000}, {"nqn": nqn, "cntlid": 0},
                                      {"nqn": "nobody", "cntlid": 1}],
        "nvmf_create_target": [{"name": value} for value in ("", "n" * 65, "a\nb", "nvmf_tgt")] +
        [{"name": "t", "max_subsystems": 0}, {"name": "t", "discovery_filter": ["no"]}],
        "nvmf_delete_target": [{"name": value} for value in ("", "nobody", "nvmf_tgt")],
        "nvmf_create_transport": [{"trtype": value} for value in ("TCP", "", "RDMA", "tcp", "\0", "T" * 5000)],
        "thread_set_cpumask": [{"id": 999999, "cpumask": "1"}, {"id": 1, "cpumask": "zz"}, {"id": 1, "cpumask": "0"}],
        "log_set_flag": [{"flag": ""}, {"flag": "no_such_flag"}, {"flag": "n" * 5000}],
        "trace_enable_tpoint_group": [{"name": ""}, {"name": "no_such_group"}],
    }

    def run(world, method, params):
        before = [world.rpc.call("nvmf_get_subsystems"), world.rpc.call("bdev_get_bdevs")]
        with Session(world, 20) as client:
            client.send(json.dumps({"jsonrpc": "2.0", "id": 5, "method": method, "params": params}).encode())
            code = check_shape(client.reply(), 5)
        after = [world.rpc.call("nvmf_get_subsystems"), world.rpc.call("bdev_get_bdevs")]
        require(after == before, f"it was answered {code}, and something changed")
        require(code is not None, "it was taken")
        require(code == PARAMS or -140 < code < 0 or code == -32603, f"code {code}")

    for method, sets in table.items():
        for at, params in enumerate(sets):
            yield Case(f"rpcp/{method},senseless={at}", "docs/rpc.md", lambda world, a=(method, params): run(world, *a),
                       classes=("C29",))
