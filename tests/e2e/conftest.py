"""A whole local cloud with the app for the tests of one module; each test uses model names of its own."""

import logging
import os
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
import psutil
import pytest
import pytest_asyncio

from localcloud.up import Description, LocalCloud
from shared.core.queues import all_queues
from tests.app_settings import app_settings
from tests.e2e.azure import Azure
from tests.e2e.promoting import Promoting
from tests.signing_in import SIGN_IN

REPOSITORY = Path(__file__).parents[2]
#: A message that a killed app had received is delivered again after this time.
LOCK_DURATION = "PT3S"
#: Seconds that a test may take, with the start of the cloud and what the module prepares. They only end one that hangs.
TIME_LIMIT = 1800


@dataclass(frozen=True)
class Cloud:
    """Everything that a test needs of a running local cloud."""

    parts: LocalCloud
    azure: Azure
    promotions: Promoting
    http: aiohttp.ClientSession

    async def run_timer(self, function: str) -> None:
        """Start a function of the app that a timer starts otherwise, as soon as the app is there."""
        functions = self.parts.addresses["functions"]
        url, headers = (
            f"{functions['url']}/admin/functions/{function}",
            {"x-functions-key": functions["keys"]["master"]},
        )
        async with self.http.post(url, headers=headers, json={"input": ""}) as answer:
            assert answer.status == 202, await answer.text()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Sets the time limit of the tests here, and ignores a warning that concerns only the SDK: it uses marshmallow 3 in
    ways that marshmallow 4 will not allow."""
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.timeout(TIME_LIMIT))
            item.add_marker(pytest.mark.filterwarnings("ignore::marshmallow.warnings.RemovedInMarshmallow4Warning"))


def describe(configuration: str, *environments: str, workers: Sequence[str] = (), **more: Any) -> Description:
    """A local cloud with these environments, whose app promotes by this file of the repository.

    `workers`: names of further environments in that file, which share the workspace of one of these.
    """
    workspaces = {
        name: {"subscription": f"sub-{name}", "resource_group": f"rg-{name}", "workspace": f"ws-{name}"}
        for name in environments
    }
    queues = all_queues((*environments, *workers))
    settings = app_settings(environments) | {
        "MLPROMOTE_CONFIGURATION": configuration,
        "MLPROMOTE_STORE": "{data}/promotions.sqlite",
        # Calls that are held back occupy a thread each.
        "PYTHON_THREADPOOL_THREAD_COUNT": "32",
        **SIGN_IN,
    }
    content = {
        "registry": "contoso-ml",
        "environments": workspaces,
        "people": {"alice": {}},
        "queues": [{"name": name, "properties": {"LockDuration": LOCK_DURATION}} for name in queues],
        "azureml": {"python": str(REPOSITORY / ".venv-compute/bin/python")},
        "deployment_seconds": 0.5,
        "retry_pauses": [0.3],
        "event_subscriptions": {"function": "take_events", "path": "api/events"},
        "app": {"folder": str(REPOSITORY), "settings": settings},
    }
    return Description.model_validate(content | more)


def without_timers(described: Description, *timers: str) -> Description:
    """The same local cloud, whose app runs these functions only when a test asks for it (`Cloud.run_timer`)."""
    assert described.app is not None
    settings = {**described.app.settings, **{f"AzureWebJobs.{timer}.Disabled": "true" for timer in timers}}
    return described.model_copy(update={"app": described.app.model_copy(update={"settings": settings})})


def describe_tiny(**more: Any) -> Description:
    """The local cloud for `tiny/promotion.yml`."""
    return describe("tests/e2e/tiny/promotion.yml", "dev", "prod", workers=["barred"], **more)


#: The folder of every local cloud here: no path may break a command, a URL or a settings file.
ODD_NAME = "my pröj's x"


@pytest.fixture(scope="module")
def description() -> Description:
    """The description of the local cloud. Modules that need another one override it."""
    return describe_tiny()


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def cloud(description: Description, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Cloud]:
    """Running, for the tests of a module."""
    async with running(description, tmp_path_factory.mktemp("e2e") / ODD_NAME) as cloud:
        yield cloud


@asynccontextmanager
async def running(
    description: Description, folder: Path, tell: Callable[[str], None] = logging.warning
) -> AsyncIterator[Cloud]:
    """A running local cloud with its state in `folder`. At the end none of its processes may be left, however the block
    ended. `tell` gets a line whenever a part dies by itself."""
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("AZUREML_CURRENT_CLOUD", "AzureCloud")  # the SDK sets it for the whole process
        parts = LocalCloud(description, folder / "data", tell=tell)
        try:
            async with parts, aiohttp.ClientSession() as session:
                addresses = parts.addresses
                for name, value in parts.layout.sign_in.items():
                    environment.setenv(name, value)
                assert processes_of(folder), "no process would be found if one were left"
                azure = Azure(addresses, session, folder / "models")
                yield Cloud(parts, azure, Promoting(addresses), session)
        finally:
            left = processes_of(folder)
    assert not left, f"still running: {left}"


def processes_of(folder: Path) -> list[str]:
    """The command lines of all processes that have this folder in their arguments or environment."""
    found = []
    for process in psutil.process_iter():
        try:
            known = " ".join((*process.cmdline(), *process.environ().values()))
        except (psutil.NoSuchProcess, psutil.AccessDenied):
            continue
        if str(folder) in known and process.pid != os.getpid():
            found.append(" ".join(process.cmdline()))
    return found
