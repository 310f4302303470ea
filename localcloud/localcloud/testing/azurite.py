"""The table service of Azure Storage on this machine: Microsoft's own emulator, Azurite, which runs on Node.

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

from localcloud.http_server import bind, port_of
from localcloud.processes import LEASH, LOG_BYTES, tail

_MODULES = Path(__file__).resolve().parents[3] / "requirements/azurite/node_modules"
_PROGRAM = _MODULES / "azurite/dist/src/table/main.js"
#: Created last, so that an incomplete installation is not taken for a complete one.
_INSTALLED = _MODULES / ".installed"

_ACCOUNT = "local"
_STARTED = "successfully started"
_START_SECONDS = 30.0
#: Another process may take the port that was found free.
_TRIES = 3


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

    endpoint: str  #: of its table service
    connection_string: str


@contextmanager
def running(folder: Path, certificate: Path | None = None) -> Iterator[Account]:
    """Azurite's table service on a free port of 127.0.0.1, for as long as the block lasts and this process lives.

    Its log goes to `folder`. With a certificate and its key, in one PEM file, it speaks HTTPS and takes tokens of Entra
    ID as well, as far as their audience, issuer and times are right.
    """
    key = base64.b64encode(secrets.token_bytes(32)).decode()
    for attempt in range(_TRIES):
        probe = bind(0)
        port = port_of(probe)
        probe.close()
        log = folder / f"azurite-{attempt}.log"
        leash = _start(port, key, log, certificate)
        try:
            if not _has_started(leash, log):
                continue
            protocol = "https" if certificate else "http"
            endpoint = f"{protocol}://127.0.0.1:{port}/{_ACCOUNT}"
            named = f"DefaultEndpointsProtocol={protocol};AccountName={_ACCOUNT};AccountKey={key}"
            yield Account(endpoint, f"{named};TableEndpoint={endpoint};")
            return
        finally:
            _end(leash)
    raise AzuriteError(f"Azurite did not start:\n{tail(log, 20)}")


def _start(port: int, key: str, log: Path, certificate: Path | None) -> subprocess.Popen[bytes]:
    options = ["--tableHost", "127.0.0.1", "--tablePort", str(port), "--inMemoryPersistence", "--silent"]
    if certificate is not None:
        options += ["--cert", str(certificate), "--key", str(certificate), "--oauth", "basic"]
    command = ["node", str(_PROGRAM), *options, "--disableTelemetry"]
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
        if _STARTED in tail(log, 20):
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
