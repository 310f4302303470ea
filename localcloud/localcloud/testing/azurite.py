"""A service of Azure Storage on this machine: Microsoft's own emulator, Azurite, which runs on Node.

Its version is pinned in `requirements/azurite`, and `make azurite` installs it. It keeps everything in memory.
"""

import base64
import os
import secrets
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from localcloud.http_server import bind, port_of
from localcloud.processes import LEASH, LOG_BYTES, tail

_MODULES = Path(__file__).resolve().parents[3] / "requirements/azurite/node_modules"
#: Created last, so that an incomplete installation is not taken for a complete one.
_INSTALLED = _MODULES / ".installed"

_ACCOUNT = "local"
#: The services do not say it alike.
_STARTED = ("successfully started", "successfully listens")
_START_SECONDS = 300.0
#: Another process may take the port that was found free.
_TRIES = 3


Service = Literal["table", "blob"]


class AzuriteError(Exception):
    """Azurite did not start; the text has the end of its log."""


def missing() -> str:
    """What is missing to run it, as a sentence; empty if nothing is."""
    if shutil.which("node") is None:
        return "Azurite needs Node.js, which is not installed."
    return "" if _INSTALLED.is_file() else "Azurite is not installed: make azurite."


@dataclass(frozen=True)
class Account:
    """A storage account, as its clients need it."""

    endpoint: str  #: of the service that runs
    connection_string: str


@contextmanager
def running(folder: Path, certificate: Path | None = None, service: Service = "table") -> Iterator[Account]:
    """One service of Azurite on a free port of 127.0.0.1, for as long as the block lasts and this process lives.

    Its log goes to `folder`. With a certificate and its key, in one PEM file, it speaks HTTPS and takes tokens of Entra
    ID as well, as far as their audience, issuer and times are right.
    """
    key = base64.b64encode(secrets.token_bytes(32)).decode()
    for attempt in range(_TRIES):
        probe = bind(0)
        port = port_of(probe)
        probe.close()
        log = folder / f"azurite-{attempt}.log"
        leash = _start(service, port, key, log, certificate)
        try:
            if not _has_started(leash, log):
                continue
            protocol = "https" if certificate else "http"
            endpoint = f"{protocol}://127.0.0.1:{port}/{_ACCOUNT}"
            named = f"DefaultEndpointsProtocol={protocol};AccountName={_ACCOUNT};AccountKey={key}"
            yield Account(endpoint, f"{named};{service.capitalize()}Endpoint={endpoint};")
            return
        finally:
            _end(leash)
    raise AzuriteError(f"Azurite did not start:\n{tail(log, 20)}")


def _start(service: Service, port: int, key: str, log: Path, certificate: Path | None) -> subprocess.Popen[bytes]:
    options = [f"--{service}Host", "127.0.0.1", f"--{service}Port", str(port), "--inMemoryPersistence", "--silent"]
    if service == "blob":
        options.append("--skipApiVersionCheck")  # the SDK is newer than the emulator
    if certificate is not None:
        options += ["--cert", str(certificate), "--key", str(certificate), "--oauth", "basic"]
    command = ["node", str(_MODULES / f"azurite/dist/src/{service}/main.js"), *options, "--disableTelemetry"]
    return subprocess.Popen(
        [sys.executable, "-I", "-S", str(LEASH), str(log), str(LOG_BYTES), str(log.parent), *command],
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        env={**os.environ, "AZURITE_ACCOUNTS": f"{_ACCOUNT}:{key}"},
        start_new_session=True,
    )


def _has_started(leash: subprocess.Popen[bytes], log: Path) -> bool:
    """False if it ends instead."""
    deadline = time.monotonic() + _START_SECONDS
    while time.monotonic() < deadline:
        said = tail(log, 20)
        if any(words in said for words in _STARTED):
            return True
        if leash.poll() is not None:
            return False
        time.sleep(0.02)
    return False


def _end(leash: subprocess.Popen[bytes]) -> None:
    """The leash ends what it holds once its orders end."""
    assert leash.stdin is not None
    leash.stdin.close()
    leash.wait()
