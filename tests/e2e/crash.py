#!/usr/bin/env python3
"""crash.py [--kills N] [--calls N] [--seed S] - kill -9 of weftd at random moments while clients change its configuration.

After each restart the configuration must be exactly what was acknowledged; the call of each client that was not answered
may have been done or not. Identities (UUID, NGUID, EUI-64, serial number) must be those of before. Three clients at a
time, each with devices and a subsystem of its own, so that their entries share fsyncs.
Environment: WEFT_BIN, the folder with weftd and weft.
"""
import argparse
import copy
import json
import os
import random
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import uuid

BIN = os.environ.get("WEFT_BIN") or os.path.join(os.path.dirname(__file__), "../../build/release/bin")
CLIENTS = 3


class Lost(Exception):
    """The target is gone; the call may have been done."""


class Connection:
    def __init__(self, path):
        self.stream = socket.socket(socket.AF_UNIX)
        self.stream.settimeout(30)
        try:
            self.stream.connect(path)
        except OSError as error:
            raise Lost from error
        self.text, self.number = "", 0

    def call(self, method, params=None):
        """The result, or None when the target refuses."""
        self.number += 1
        request = {"jsonrpc": "2.0", "id": self.number, "method": method}
        if params is not None:
            request["params"] = params
        try:
            self.stream.sendall(json.dumps(request).encode())
            while True:
                try:
                    answer, end = json.JSONDecoder().raw_decode(self.text)
                    break
                except json.JSONDecodeError:
                    piece = self.stream.recv(1 << 16)
                    if not piece:
                        raise Lost
                    self.text = (self.text + piece.decode()).lstrip()
        except OSError as error:
            raise Lost from error
        self.text = self.text[end:].lstrip()
        if "error" in answer:
            if answer["error"]["code"] == -125:  # the target is being stopped
                raise Lost
            raise AssertionError(f"{method} {params}: {answer['error']}")
        return answer["result"]


class Model:
    """What one client has made: things by name, as framework_get_config tells of them."""

    def __init__(self, index, ports, folder):
        self.index, self.ports, self.folder = index, ports, folder
        self.nqn = f"nqn.2016-06.io.weft:crash{index}"
        self.bdevs, self.hosts, self.namespaces, self.listeners = {}, set(), {}, set()
        self.subsystem = None

    def owned(self):
        return {"bdevs": self.bdevs, "subsystem": self.subsystem, "hosts": self.hosts, "namespaces": self.namespaces,
                "listeners": self.listeners}

    def next_call(self, chance):
        """A call that must succeed, and a function that does the same to a model."""
        kinds = ["null", "file", "resize", "delete_bdev"]
        kinds += ["host", "ns", "listener", "any_host", "remove_ns", "remove_host", "remove_listener"] * 2 + ["delete"] \
            if self.subsystem is not None else ["create"] * 4
        chance.shuffle(kinds)
        for kind in kinds:
            made = getattr(self, kind)(chance)
            if made:
                return made
        raise AssertionError("there is always something to do")

    def null(self, chance):
        name, blocks = f"N{self.index}-{chance.randrange(6)}", 2048 * chance.randrange(1, 9)
        if name in self.bdevs:
            return None
        given = {"uuid": str(uuid.UUID(int=chance.getrandbits(128), version=4))} if chance.random() < 0.5 else {}
        params = {"name": name, "block_size": 512, "num_blocks": blocks, **given}
        return "bdev_null_create", params, lambda m: m.bdevs.__setitem__(name, {"num_blocks": blocks, **given})

    def file(self, chance):
        name = f"F{self.index}-{chance.randrange(3)}"
        if name in self.bdevs:
            return None
        path = os.path.join(self.folder, name)
        with open(path, "ab") as file:
            file.truncate(1 << 20)
        params = {"name": name, "filename": path, "block_size": 512}
        return "bdev_aio_create", params, lambda m: m.bdevs.__setitem__(name, {"filename": path})

    def resize(self, chance):
        names = sorted(name for name, bdev in self.bdevs.items() if "num_blocks" in bdev)
        if not names:
            return None
        name = chance.choice(names)
        blocks = self.bdevs[name]["num_blocks"] + 2048
        return ("bdev_null_resize", {"name": name, "new_size": blocks // 2048},
                lambda m: m.bdevs[name].__setitem__("num_blocks", blocks))

    def delete_bdev(self, chance):
        if not self.bdevs:
            return None
        name = chance.choice(sorted(self.bdevs))

        def done(model):
            del model.bdevs[name]  # and its namespaces go with it
            model.namespaces = {nsid: ns for nsid, ns in model.namespaces.items() if ns["bdev_name"] != name}
        return ("bdev_null_delete" if name[0] == "N" else "bdev_aio_delete"), {"name": name}, done

    def create(self, chance):
        given = {"serial_number": f"S{chance.randrange(10**9)}"} if chance.random() < 0.5 else {}
        any_host = chance.random() < 0.5
        return ("nvmf_create_subsystem", {"nqn": self.nqn, "allow_any_host": any_host, **given},
                lambda m: setattr(m, "subsystem", {"allow_any_host": any_host, **given}))

    def delete(self, chance):
        def done(model):
            model.subsystem, model.hosts, model.namespaces, model.listeners = None, set(), {}, set()
        return "nvmf_delete_subsystem", {"nqn": self.nqn}, done

    def any_host(self, chance):
        value = chance.random() < 0.5
        return ("nvmf_subsystem_allow_any_host", {"nqn": self.nqn, "allow_any_host": value},
                lambda m: m.subsystem.__setitem__("allow_any_host", value))

    def host(self, chance):
        name = f"nqn.2016-06.io.weft:host{chance.randrange(5)}"
        if name in self.hosts:
            return None
        return "nvmf_subsystem_add_host", {"nqn": self.nqn, "host": name}, lambda m: m.hosts.add(name)

    def remove_host(self, chance):
        if not self.hosts:
            return None
        name = chance.choice(sorted(self.hosts))
        return "nvmf_subsystem_remove_host", {"nqn": self.nqn, "host": name}, lambda m: m.hosts.remove(name)

    def ns(self, chance):
        used = {ns["bdev_name"] for ns in self.namespaces.values()}
        free = sorted(set(self.bdevs) - used)
        nsid = chance.randrange(1, 33)
        if not free or nsid in self.namespaces:
            return None
        name = chance.choice(free)
        given = {"nguid": f"{chance.getrandbits(128):032X}"} if chance.random() < 0.5 else {}
        return ("nvmf_subsystem_add_ns", {"nqn": self.nqn, "namespace": {"bdev_name": name, "nsid": nsid, **given}},
                lambda m: m.namespaces.__setitem__(nsid, {"bdev_name": name, **given}))

    def remove_ns(self, chance):
        if not self.namespaces:
            return None
        nsid = chance.choice(sorted(self.namespaces))
        return "nvmf_subsystem_remove_ns", {"nqn": self.nqn, "nsid": nsid}, lambda m: m.namespaces.pop(nsid)

    def listener(self, chance):
        port = chance.choice(self.ports)
        if port in self.listeners:
            return None
        return "nvmf_subsystem_add_listener", self.at(port), lambda m: m.listeners.add(port)

    def remove_listener(self, chance):
        if not self.listeners:
            return None
        port = chance.choice(sorted(self.listeners))
        return "nvmf_subsystem_remove_listener", self.at(port), lambda m: m.listeners.remove(port)

    def at(self, port):
        return {"nqn": self.nqn, "listen_address": {"trtype": "TCP", "adrfam": "IPv4", "traddr": "127.0.0.1",
                                                    "trsvcid": str(port)}}


def read_target(connection, models):
    """For each client what the target has of its things, and the identities of all."""
    found = [copy.deepcopy(Model(m.index, m.ports, m.folder)) for m in models]
    identities = {}
    entries = connection.call("framework_get_config", {"name": "bdev"})
    entries += connection.call("framework_get_config", {"name": "nvmf"})
    for entry in entries:
        method, params = entry["method"], entry.get("params", {})
        if method in ("bdev_null_create", "bdev_aio_create"):
            model = found[int(params["name"][1])]
            fact = {"num_blocks": params["num_blocks"]} if method == "bdev_null_create" else {"filename": params["filename"]}
            model.bdevs[params["name"]] = fact
            identities["bdev", params["name"]] = params["uuid"]
        elif "nqn" in params:
            model = next(m for m in found if m.nqn == params["nqn"])
            if method == "nvmf_create_subsystem":
                model.subsystem = {"allow_any_host": params["allow_any_host"]}
                identities["subsystem", model.nqn] = (params["serial_number"], params["model_number"])
            elif method == "nvmf_subsystem_add_host":
                model.hosts.add(params["host"])
            elif method == "nvmf_subsystem_add_listener":
                model.listeners.add(int(params["listen_address"]["trsvcid"]))
            elif method == "nvmf_subsystem_add_ns":
                ns = params["namespace"]
                model.namespaces[ns["nsid"]] = {"bdev_name": ns["bdev_name"]}
                identities["ns", model.nqn, ns["nsid"], ns["bdev_name"]] = (ns["nguid"], ns["eui64"], ns["uuid"])
    return found, identities


def without_identities(model):
    owned = copy.deepcopy(model.owned())
    for name in owned["bdevs"]:
        owned["bdevs"][name].pop("uuid", None)
    if owned["subsystem"]:
        owned["subsystem"].pop("serial_number", None)
    for ns in owned["namespaces"].values():
        ns.pop("nguid", None)
    return owned


def check_given(model, identities):
    for name, bdev in model.bdevs.items():
        assert bdev.get("uuid") in (None, identities["bdev", name]), name
    if model.subsystem:
        assert model.subsystem.get("serial_number") in (None, identities["subsystem", model.nqn][0])
    for nsid, ns in model.namespaces.items():
        assert ns.get("nguid") in (None, identities["ns", model.nqn, nsid, ns["bdev_name"]][0]), nsid


class Run:
    def __init__(self, options, work):
        self.options, self.work, self.chance = options, work, random.Random(options.seed)
        self.socket = os.path.join(work, "rpc.sock")
        ports = free_ports(CLIENTS * 2)
        self.models = [Model(index, ports[index * 2:index * 2 + 2], work) for index in range(CLIENTS)]
        self.unanswered = [None] * CLIENTS  # what the last call of each would have done
        self.identities, self.calls, self.kills, self.undecided, self.done = {}, 0, 0, 0, 0
        self.process, self.failure, self.seconds_a_call = None, None, 0.003

    def start(self):
        with open(os.path.join(self.work, "log"), "ab") as log:
            self.process = subprocess.Popen(
                [os.path.join(BIN, "weftd"), "-r", self.socket, "--no-pin", "--state", os.path.join(self.work, "state")],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log)

    def kill(self):
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()
        self.kills += 1

    def connect(self):
        for _ in range(1500):
            assert self.process.poll() is None, "weftd did not start again"
            try:
                return Connection(self.socket)
            except Lost:
                time.sleep(0.01)
        raise AssertionError("weftd does not answer")

    def check(self, connection):
        """The target has what was acknowledged, and for each client perhaps the call that was not answered."""
        found, identities = read_target(connection, self.models)
        for index, model in enumerate(self.models):
            choices = [model]
            if self.unanswered[index]:
                with_it = copy.deepcopy(model)
                self.unanswered[index](with_it)
                choices.append(with_it)
                self.undecided += 1
            actual = without_identities(found[index])
            fits = [choice for choice in choices if without_identities(choice) == actual]
            assert fits, f"client {index}: expected one of {[without_identities(c) for c in choices]}, found {actual}"
            self.done += len(choices) == 2 and fits[0] is choices[1]
            self.models[index], self.unanswered[index] = fits[0], None
            check_given(fits[0], identities)
        for name, identity in self.identities.items():
            assert identities.get(name, identity) == identity, f"{name}: {identity} became {identities[name]}"
        self.identities = {**identities}

    def client(self, index, seed):
        chance = random.Random(seed)
        try:
            connection = Connection(self.socket)
            while True:
                method, params, do = self.models[index].next_call(chance)
                self.unanswered[index] = do
                connection.call(method, params)
                do(self.models[index])
                self.unanswered[index] = None
                self.calls += 1
                if "delete" in method or "create" in method or "_ns" in method:  # another incarnation: other names perhaps
                    self.forget(index, method, params)
        except Lost:
            pass
        except Exception as error:  # pylint: disable=broad-except
            self.failure = f"client {index}: {error}"

    def forget(self, index, method, params):
        """Given identities may differ when a thing is made again: only what stays must stay the same."""
        gone = params.get("name"), params.get("nqn")
        for name in list(self.identities):
            if name[1] in gone or gone[0] and gone[0] in name:
                self.identities.pop(name, None)

    def life(self):
        self.start()
        if self.chance.random() < 0.1:  # also while it starts
            time.sleep(self.chance.uniform(0, 0.05))
            self.kill()
            return
        self.check(self.connect())
        if self.calls == 0 and not self.connect().call("nvmf_get_transports"):
            self.connect().call("nvmf_create_transport", {"trtype": "TCP"})
        clients = [threading.Thread(target=self.client, args=(index, self.chance.random())) for index in range(CLIENTS)]
        for thread in clients:
            thread.start()
        begin, before = time.monotonic(), self.calls
        time.sleep(self.chance.uniform(0, 2 * self.options.calls / self.options.kills * self.seconds_a_call))
        self.kill()
        if self.calls > before:  # so that the calls are spread over the kills on any machine
            seconds = (time.monotonic() - begin) / (self.calls - before)
            self.seconds_a_call = 0.9 * self.seconds_a_call + 0.1 * min(seconds, 0.1)
        for thread in clients:
            thread.join()
        assert not self.failure, self.failure

    def run(self):
        while self.kills < self.options.kills or self.calls < self.options.calls:
            self.life()
        self.start()
        self.check(self.connect())
        self.process.terminate()
        assert self.process.wait(20) == 0, "weftd did not stop in order"


def free_ports(count):
    sockets = [socket.socket() for _ in range(count)]
    for each in sockets:
        each.bind(("127.0.0.1", 0))
    ports = [each.getsockname()[1] for each in sockets]
    for each in sockets:
        each.close()
    return ports


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--calls", type=int, default=2000)
    parser.add_argument("--seed", type=int, default=None)
    options = parser.parse_args()
    if options.seed is None:
        options.seed = random.SystemRandom().randrange(1 << 32)
    work = tempfile.mkdtemp(prefix="weft-crash.")
    print(f"# seed {options.seed}", flush=True)
    run = Run(options, work)
    try:
        run.run()
    except AssertionError as error:
        if run.process.poll() is None:
            run.process.kill()
        print(f"not ok seed {options.seed}, after {run.kills} kills and {run.calls} calls: {error}\n# kept: {work}")
        return 1
    print(f"ok {run.kills} kills during {run.calls} acknowledged calls; of {run.undecided} without an answer "
          f"{run.done} were done")
    shutil.rmtree(work)
    return 0


if __name__ == "__main__":
    sys.exit(main())
