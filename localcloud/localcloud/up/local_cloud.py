"""One local cloud as an object, which starts, stops, crashes and restarts its parts, and knows their addresses."""

import asyncio
import contextlib
import json
import logging
import sys
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import localcloud
from localcloud import processes
from localcloud.configuration_file import ConfigurationError
from localcloud.folder_lock import PRIVATE_FOLDER, locked
from localcloud.up import app_check
from localcloud.up.description import Description
from localcloud.up.kept_secrets import keep_secrets, write_private
from localcloud.up.layout import Layout
from localcloud.up.part_files import part_file, shared_access_file, webhook_subscriptions, write_part_files
from localcloud.up.ports import Ports, choose_ports
from localcloud.up.readiness import json_answer, port_is_open
from localcloud.up.supervisor import READY_WITHIN, Part, PartFailedError, Supervisor

#: Seconds that running invocations of the app may take when everything ends.
_APP_GRACE = 2.0
#: Groups of parts that start in parallel. Each group needs those before it.
START_ORDER = (("identity", "servicebus", "eventgrid"), ("azureml",), ("functions",))

_DISTRIBUTION = Path(localcloud.__file__).resolve().parents[1]

_log = logging.getLogger(__name__)


class LocalCloud:
    """All parts and the app of one description. State stays under `data`, where the next start finds it.

    As an asynchronous context manager it is running inside the block.
    """

    def __init__(
        self,
        description: Description,
        data: Path,
        ports: Ports | None = None,
        *,
        without_app: bool = False,
        tell: Callable[[str], None] = _log.warning,
        ready_within: float = READY_WITHIN,
        confirmed_within: float = READY_WITHIN,
    ) -> None:
        """`ports` 0 are chosen freely; `tell` gets a line whenever a part dies.

        Seconds: a part must be ready within `ready_within`, and the app must have confirmed its event subscriptions
        within `confirmed_within` after that.

        `without_app`: another host runs the app on its port, and events wait until it is there.
        """
        self._data = data.resolve()
        self._data.mkdir(mode=PRIVATE_FOLDER, parents=True, exist_ok=True)
        self._lock = contextlib.ExitStack()
        self._description = description
        self._wanted_ports = ports or Ports()
        self._without_app = without_app
        self._tell = tell
        self._ready_within = ready_within
        self._confirmed_within = confirmed_within
        self._layout: Layout | None = None
        self._supervisor: Supervisor | None = None

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.stop()

    async def start(self) -> None:
        """Starts all parts and returns when all are ready and the app receives events.

        Raises `ConfigurationError` before anything runs, or `PartFailedError` after stopping everything.
        """
        self._lock.enter_context(locked(self._data, "local cloud"))
        try:
            self._layout = self._laid_out()
            await self._app_checked(self._layout)
            self._supervisor = Supervisor(self._tell, self._write_addresses, self._ready_within)
            parts = self._parts(self._layout)
            for group in START_ORDER:
                await _together([self._supervisor.start(parts[name]) for name in group if name in parts])
            if not self._without_app:
                await self._subscriptions_validated(self._layout)
        except BaseException:
            await self.stop()
            raise

    async def stop(self) -> None:
        """Stops all parts, the app first. Harmless if nothing runs."""
        if self._supervisor is not None:
            await self._supervisor.stop_all(first="functions")
            self._supervisor = None
        (self._data / "addresses.json").unlink(missing_ok=True)
        self._lock.close()

    async def failed(self) -> PartFailedError:
        """Waits until a part has died too often to be restarted, and returns why."""
        return await asyncio.shield(self._running.failure)

    async def kill(self, part: str) -> None:
        """Ends a part as a crash would; it stays down until `restart`."""
        await self._running.kill(part)

    async def restart(self, part: str) -> None:
        """Restarts a part, whether it runs or not, and returns when it is ready."""
        await self._running.restart(part)

    @property
    def layout(self) -> Layout:
        """Ids, addresses and secrets; there from the first start on."""
        if self._layout is None:
            raise RuntimeError("The local cloud was not started yet.")
        return self._layout

    @property
    def addresses(self) -> dict[str, Any]:
        """What `addresses.json` holds."""
        return self.layout.addresses(self._running.pids)

    @property
    def _running(self) -> Supervisor:
        if self._supervisor is None:
            raise RuntimeError("The local cloud is not running.")
        return self._supervisor

    def _laid_out(self) -> Layout:
        app = self._description.app
        if app is not None and not (app.folder / "host.json").is_file():
            raise ConfigurationError(f"app.folder: there is no Functions app (no host.json) in {app.folder}")
        secrets = keep_secrets(
            self._data / "secrets.json",
            self._description.environments,
            [topic.name for topic in self._description.topics],
            self._description.shared_access,
        )
        layout = Layout(self._description, choose_ports(self._wanted_ports, self._data), secrets, self._data)
        layout.app_settings()
        write_part_files(layout)
        return layout

    async def _app_checked(self, layout: Layout) -> None:
        app = layout.description.app
        if app is not None and app.check:
            await app_check.check(app.check, app.folder, layout.app_settings())

    def _parts(self, layout: Layout) -> dict[str, Part]:
        ports, data = layout.ports, layout.data
        functions_key = {"x-functions-key": layout.secrets.master_key}

        async def identity_is_ready() -> bool:
            return await json_answer(f"http://127.0.0.1:{ports.identity}/health") is not None

        async def servicebus_is_ready() -> bool:
            return await port_is_open(ports.servicebus)

        async def eventgrid_is_ready() -> bool:
            return await json_answer(f"{layout.eventgrid_url}/health") is not None

        async def azureml_is_ready() -> bool:
            return layout.ca_file.is_file() and await port_is_open(ports.azureml)

        async def functions_is_ready() -> bool:
            status = await json_answer(f"{layout.functions_url}/admin/host/status", functions_key)
            return isinstance(status, dict) and status.get("state") == "Running"

        guarded = [*_data_option(data, "servicebus"), "--shared-access", str(shared_access_file(layout))]
        parts = {
            "identity": self._part("identity", ports.identity, [], identity_is_ready),
            "servicebus": self._part("servicebus", ports.servicebus, guarded, servicebus_is_ready),
            "eventgrid": self._part("eventgrid", ports.eventgrid, _data_option(data, "eventgrid"), eventgrid_is_ready),
            "azureml": self._part("azureml", ports.azureml, _data_option(data, "azureml"), azureml_is_ready),
        }
        if layout.description.app is not None and not self._without_app:
            app = ["--app", str(layout.description.app.folder), "--grace", str(_APP_GRACE)]
            command = [
                *_localcloud("functions"),
                *app,
                "--port",
                str(ports.functions),
                *_data_option(data, "functions"),
            ]
            environment = {**_environment(), **layout.app_settings()}
            log = data / "logs" / "functions.log"
            parts["functions"] = Part("functions", command, environment, _DISTRIBUTION, log, functions_is_ready)
        return parts

    def _part(self, name: str, port: int, options: list[str], ready: Callable[[], Awaitable[bool]]) -> Part:
        command = [*_localcloud(name), "--port", str(port), *options, "--config", str(part_file(self.layout, name))]
        return Part(name, command, _environment(), _DISTRIBUTION, self._data / "logs" / f"{name}.log", ready)

    async def _subscriptions_validated(self, layout: Layout) -> None:
        """Waits until the app has confirmed its event subscriptions, so that events need no second attempt."""
        webhooks = {one["name"] for one in webhook_subscriptions(layout)}
        deadline = time.monotonic() + self._confirmed_within
        while True:
            health = await json_answer(f"{layout.eventgrid_url}/health") or {"subscriptions": {"all": {}}}
            missing = [
                name
                for name, state in health["subscriptions"].items()
                if not state.get("validated") and name not in webhooks
            ]
            if not missing:
                return
            if time.monotonic() > deadline:
                assert layout.description.event_subscriptions is not None
                function = layout.description.event_subscriptions.function
                raise PartFailedError(
                    f"The app did not confirm its event subscriptions: {', '.join(missing)}. "
                    f"Does it have a function {function!r} with an Event Grid trigger? See {self._data / 'logs'}."
                )
            await asyncio.sleep(0.05)

    def _write_addresses(self) -> None:
        write_private(self._data / "addresses.json", json.dumps(self.addresses, indent=2))


def _localcloud(part: str) -> list[str]:
    return [sys.executable, "-m", "localcloud", part]


def _data_option(data: Path, part: str) -> list[str]:
    return ["--data", str(data / part)]


def _environment() -> dict[str, str]:
    return {**processes.inherited(), "PYTHONUNBUFFERED": "1"}


async def _together(starts: list[Awaitable[None]]) -> None:
    """Waits for all, then raises the first failure, so that nothing is still starting when the others are stopped."""
    results = await asyncio.gather(*starts, return_exceptions=True)
    for result in results:
        if isinstance(result, BaseException):
            raise result
