"""Compares a promotion's time from its model's registration to prod with the time that Azure ML itself took for it."""

import asyncio
import time
from datetime import datetime
from pathlib import Path

from benchmarks import azureml_calls
from benchmarks.figures import BenchmarkError, Comparison, Finding, Target
from benchmarks.progress import Progress
from benchmarks.waiting import DEPLOYMENT_SECONDS, Run, trained

TARGET = Target(1.05, at_least=False)
SETTINGS = {"MLPROMOTE_CONFIGURATION": "benchmarks/journey.yml"}
MODEL = "digits"


async def measure(folder: Path, progress: Progress) -> list[Finding]:
    async with trained(folder, SETTINGS, progress, 3) as run:
        progress(1, 3, "a first version to prod, which shows how long each step takes")
        first = await _journey(run, "1")
        progress(2, 3, "the next version to prod")
        second = await _journey(run, "2")
    azure = "all calls and operations of Azure ML for it, those at the same time counted once"
    stages = f"two stages with a deployment of {DEPLOYMENT_SECONDS} s each"
    return [
        Comparison("journey", [second[0]], [second[1]], f"from registration to prod, {stages}", azure, "s", TARGET),
        Comparison(
            "journey, the lane's first", [first[0]], [first[1]], "the same, with nothing known yet", azure, "s", None
        ),
    ]


async def _journey(run: Run, version: str) -> tuple[float, float]:
    """The seconds from the registration to the end of its promotion, and those in which Azure ML was at work."""
    began = time.time()
    promotion = await run.promotion(MODEL, version)
    if promotion["status"] != "succeeded":
        raise BenchmarkError(f"the promotion {promotion['status']}: {promotion['reason']}")
    created, ended = (datetime.fromisoformat(promotion[name]).timestamp() for name in ("created", "updated"))
    calls, operations = await asyncio.gather(run.calls(began), run.operations(began))
    registered = min(created, _answered(calls, version))
    return ended - registered, azureml_calls.seconds_at_work(calls, operations, registered, ended)


def _answered(calls: list[azureml_calls.Call], version: str) -> float:
    """When Azure ML had registered the version, in seconds since 1970."""
    path = f"/workspaces/ws-dev/models/{MODEL}/versions/{version}".lower()
    put = [each for each in calls if each["method"] == "PUT" and each["path"].lower() == path]
    if not put:
        raise BenchmarkError(f"the registration of {MODEL}, version {version} is not in the control plane's log")
    return float(put[0]["time"] + put[0]["seconds"])
