"""Chooses the ports of the parts, and the same ports again after a restart, since stored state contains addresses."""

import json
import random
import socket
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path

from localcloud.configuration_file import ConfigurationError
from localcloud.up.kept_secrets import write_private
from localcloud.up.running import data_option

#: Below the range that systems use for outgoing connections, so that no port is lost while a part restarts.
_FREE_PORTS = range(20000, 32000)
_ATTEMPTS = 1000


@dataclass(frozen=True)
class Ports:
    """A port of 127.0.0.1 for each part; 0 means any that is free."""

    servicebus: int = 0
    azureml: int = 0
    eventgrid: int = 0
    identity: int = 0
    functions: int = 0


def choose_ports(wanted: Ports, data: Path) -> Ports:
    """The wanted ports with every 0 replaced; raises `ConfigurationError` if a wanted port is taken.

    The choice is stored in the data folder and reused as long as the ports are free.
    """
    taken = {part: port for part, port in asdict(wanted).items() if port and not _is_free(port)}
    if taken:
        ports = ", ".join(f"{part} {port}" for part, port in taken.items())
        others = " ".join(f"--{part}-port 0" for part in taken)
        command = f"python -m localcloud up{data_option(data)} {others}"
        raise ConfigurationError(f"These ports are taken: {ports}. For free ones, with your other options: {command}")
    file = data / "ports.json"
    kept = json.loads(file.read_text()) if file.exists() else {}
    used = {port for port in asdict(wanted).values() if port}
    chosen = wanted
    for field in fields(Ports):
        if getattr(wanted, field.name):
            continue
        port = kept.get(field.name, 0)
        if port in used or not port or not _is_free(port):
            port = _free_port(used)
        used.add(port)
        chosen = replace(chosen, **{field.name: port})
    write_private(file, json.dumps(asdict(chosen)))
    return chosen


def _free_port(used: set[int]) -> int:
    for _ in range(_ATTEMPTS):
        port = random.choice(_FREE_PORTS)
        if port not in used and _is_free(port):
            return port
    raise ConfigurationError(f"No free port from {_FREE_PORTS.start} to {_FREE_PORTS.stop} was found.")


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
        return True
