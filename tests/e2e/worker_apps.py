"""Worker apps beside a local cloud whose app is the coordinator. As on Azure, an app can get tokens for its own
identity only: each has its own managed identity endpoint. Its key to the queues covers only its own work.
"""

import json
import os
import sys
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path

from localcloud.up import LocalCloud, Ports
from localcloud.up.ports import choose_ports
from localcloud.up.readiness import json_answer
from localcloud.up.supervisor import Part, Supervisor
from shared.config import sign_in
from tests.e2e.conftest import REPOSITORY

#: The last two are those of `scripts/with_clock_ahead.sh`: all apps must have the same clock.
_INHERITED = ("PATH", "HOME", "LANG", "TMPDIR", "LD_PRELOAD", "CLOCK_AHEAD")


class WorkerApps:
    """The running workers. All state is below `folder`."""

    def __init__(self, cloud: LocalCloud, folder: Path) -> None:
        self._cloud = cloud
        self._folder = folder
        self._supervisor = Supervisor(tell=lambda _: None, changed=lambda: None)
        self._ports: dict[str, Ports] = {}

    async def start(
        self, app: str, environment: str, identity: str, queue_key: str = "", more: Mapping[str, str] | None = None
    ) -> None:
        """Start an app with the worker of an environment, and with the identity of an environment.

        `queue_key` names the environment whose worker's key to the queues it has: that of the identity if empty. `more`
        are further settings.
        """
        data = self._folder / app
        data.mkdir(parents=True, exist_ok=True)
        self._ports[app] = ports = choose_ports(Ports(), data)
        await self._supervisor.start(self._identity(app, identity, data, ports))
        settings = {**self._settings(environment, identity, queue_key or identity, ports), **(more or {})}
        await self._supervisor.start(self._host(app, settings, data, ports))

    async def stop(self, app: str) -> None:
        await self._supervisor.stop(f"{app}-functions")
        await self._supervisor.stop(f"{app}-identity")

    async def stop_all(self) -> None:
        await self._supervisor.stop_all(first="")

    def host(self, app: str) -> str:
        """Where the app listens."""
        return f"http://127.0.0.1:{self._ports[app].functions}"

    async def functions(self, app: str) -> set[str]:
        """The names of the functions that the app has."""
        found = await json_answer(f"{self.host(app)}/admin/functions", self._master_key)
        return {each["name"] for each in found}

    def url(self, app: str) -> str:
        """The address of its API."""
        return f"http://127.0.0.1:{self._ports[app].functions}/api"

    def log(self, app: str) -> str:
        """What the app has logged so far."""
        return self._log(app).read_text(encoding="utf-8")

    def _log(self, app: str) -> Path:
        return self._folder / app / f"{app}-functions.log"

    @property
    def _master_key(self) -> dict[str, str]:
        return {"x-functions-key": self._cloud.layout.secrets.master_key}

    def _identity(self, app: str, identity: str, data: Path, ports: Ports) -> Part:
        layout = self._cloud.layout
        content = {
            "identities": [{"name": identity, "client_id": layout.client_ids[identity]}],
            "header": layout.secrets.identity_header,
            "token_key": str(layout.data / "token.key"),
        }
        file = data / "identity.json"
        file.write_text(json.dumps(content))

        async def is_ready() -> bool:
            return await json_answer(f"http://127.0.0.1:{ports.identity}/health") is not None

        options = ["--port", str(ports.identity), "--config", str(file)]
        return _part(f"{app}-identity", ["identity", *options], {}, data, is_ready)

    def _settings(self, environment: str, identity: str, queue_key: str, ports: Ports) -> dict[str, str]:
        layout, name = self._cloud.layout, environment.upper()
        every = layout.app_settings()
        shared = ("IDENTITY_HEADER", "REQUESTS_CA_BUNDLE", "SSL_CERT_FILE", "AZUREML_CLOUD", "MLPROMOTE_CONFIGURATION")
        return {key: every[key] for key in (*shared, sign_in.TENANT, sign_in.CLIENT_ID, sign_in.AUTHORITY)} | {
            "ServiceBus": layout.connection_strings[f"worker-{queue_key}"],
            "IDENTITY_ENDPOINT": f"http://127.0.0.1:{ports.identity}/msi/token",
            "ENVIRONMENTS": environment,
            f"{name}_WORKSPACE": layout.workspace_ids[environment],
            f"{name}_IDENTITY": layout.client_ids[identity],
        }

    def _host(self, app: str, settings: Mapping[str, str], data: Path, ports: Ports) -> Part:
        keys = data / "functions" / "keys.json"
        keys.parent.mkdir(exist_ok=True)
        keys.write_text(json.dumps({"master": self._master_key["x-functions-key"], "default": "-", "systemKeys": {}}))

        async def is_ready() -> bool:
            status = await json_answer(f"http://127.0.0.1:{ports.functions}/admin/host/status", self._master_key)
            return isinstance(status, dict) and status.get("state") == "Running"

        options = ["--app", str(REPOSITORY), "--port", str(ports.functions), "--data", str(keys.parent), "--grace", "2"]
        return _part(f"{app}-functions", ["functions", *options], settings, data, is_ready)


def _part(
    name: str, command: list[str], settings: Mapping[str, str], data: Path, ready: Callable[[], Awaitable[bool]]
) -> Part:
    inherited = {key: value for key, value in os.environ.items() if key in _INHERITED}
    environment = {**inherited, "PYTHONUNBUFFERED": "1", **settings}
    log = data / f"{name}.log"
    return Part(name, [sys.executable, "-m", "localcloud", *command], environment, REPOSITORY, log, ready)
