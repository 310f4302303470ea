"""Real processes for the tests of the compute, and a bounded wait for what they do."""

import asyncio
import time
from collections.abc import Callable
from pathlib import Path

import pytest

PROJECT = Path(__file__).parents[3]


@pytest.fixture(scope="session")
def compute_python() -> Path:
    """The interpreter of the virtual environment that jobs and deployments run in."""
    python = PROJECT / ".venv-compute" / "bin" / "python"
    assert python.exists(), "run `make install` first"
    return python


async def until(condition: Callable[[], bool], seconds: float = 10.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "what was waited for did not happen"
        await asyncio.sleep(0.01)


@pytest.fixture(name="until", scope="session")
def until_fixture() -> Callable[..., object]:
    """Wait until the condition holds; fails after so many seconds."""
    return until
