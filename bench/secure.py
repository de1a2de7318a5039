"""What TLS costs: the same reads and writes of a RAM disk, with and without, by CPU per I/O and by IOPS."""

import copy
import os

from clients import Load
from crowds import targets_with_disk
from measure import in_turn, running
from targets import NQN, free_port, listen_address

HOST = "nqn.2014-08.org.nvmexpress:uuid:11111111-2222-4333-8444-555555555555"
# 32 and 48 bytes: AES-128 and AES-256. Any key does.
KEYS = {"weft tls 128": "NVMeTLSkey-1:01:VRLbtnN9AQb2WXW3c9+wEf/DRLz0QuLdbYvEhwtdWwNf9LrZ:",
        "weft tls 256": "NVMeTLSkey-1:02:VRLbtnN9AQb2WXW3c9+wEf/DRLz0QuLdbYvEhwtdWwP/w0S89ELi3W2LxIcLXVsDn8kXZQ==:"}
LOADS = {"4 KiB reads, depth 1": Load("randread", 4096, 1), "4 KiB reads, depth 32": Load("randread", 4096, 32),
         "4 KiB writes, depth 32": Load("randwrite", 4096, 32), "128 KiB reads, depth 8": Load("randread", 131072, 8),
         "128 KiB writes, depth 8": Load("randwrite", 131072, 8)}


def tls(commands, client, arguments):
    """By load: the figures of each target."""
    with targets_with_disk(commands, "weft plain", *KEYS) as targets:
        options = {}
        for name, key in KEYS.items():
            with running(targets[name]):
                more = _secure(targets[name], key)
                options[targets[name].port] = more
        secured = _with_options(client, options)
        return {name: in_turn(targets, secured, load, arguments) for name, load in LOADS.items()}


def _secure(target, key):
    """Lets one host in, through a port with TLS, which becomes the target's; its options."""
    path = os.path.join(target.folder.name, "key")
    with open(os.open(path, os.O_CREAT | os.O_WRONLY, 0o600), "w", encoding="ascii") as file:
        file.write(key)
    target.call("keyring_file_add_key", name="key", path=path)
    target.call("nvmf_subsystem_allow_any_host", nqn=NQN, allow_any_host=False)
    target.call("nvmf_subsystem_add_host", nqn=NQN, host=HOST, psk="key")
    target.port = free_port()
    target.call("nvmf_subsystem_add_listener", nqn=NQN, listen_address=listen_address(target.port), secure_channel=True)
    return ["--hostnqn", HOST, "--tls-key", path]


def _with_options(client, options):
    secured = copy.copy(client)
    secured.options = options
    return secured
