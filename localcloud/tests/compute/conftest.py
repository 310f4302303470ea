"""Real processes for the tests of the compute, the tracking API over HTTP, and a bounded wait."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path

import pytest
from aiohttp import web

from localcloud.azureml.compute import mlflow

REPOSITORY = Path(__file__).parents[3]


@pytest.fixture(scope="session")
def compute_python() -> Path:
    """The interpreter of the virtual environment that jobs and deployments run in."""
    python = REPOSITORY / ".venv-compute" / "bin" / "python"
    assert python.exists(), "run `make install` first"
    return python


@pytest.fixture
def tracking(tmp_path: Path) -> Iterator[mlflow.Tracking]:
    """An empty tracking store."""
    store = mlflow.Tracking(tmp_path / "tracking.db", lambda _, run: (tmp_path / "artifacts" / f"dcid.{run}").as_uri())
    yield store
    store.close()


@pytest.fixture
async def tracking_uri(tracking: mlflow.Tracking) -> AsyncIterator[str]:
    """The address of the tracking API over that store."""
    prefix = "/mlflow/v1.0/subscriptions/s"
    app = web.Application()
    app.add_routes(mlflow.routes(tracking, prefix))
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    yield f"http://127.0.0.1:{runner.addresses[0][1]}{prefix}"
    await runner.cleanup()


async def until(condition: Callable[[], bool], seconds: float = 300.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "what was waited for did not happen"
        await asyncio.sleep(0.01)


@pytest.fixture(name="until", scope="session")
def until_fixture() -> Callable[..., object]:
    """Wait until the condition holds; fails after so many seconds."""
    return until
