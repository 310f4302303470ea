"""Compares a rollback to a deployment that was kept with one for which the old version is deployed again."""

import asyncio
import time
from pathlib import Path

from benchmarks.figures import Comparison, Finding, Target
from benchmarks.progress import Progress
from benchmarks.waiting import DEPLOYMENT_SECONDS, PERSON, Run, trained

#: A guard only: it is as many times faster as a deployment is slower than a change of traffic.
TARGET = Target(0.2, at_least=False)
SETTINGS = {"MLPROMOTE_CONFIGURATION": "benchmarks/rollback.yml"}
KEPT, REMOVED = "kept", "removed"


async def measure(folder: Path, progress: Progress) -> list[Finding]:
    async with trained(folder, SETTINGS, progress, 4) as run:
        for version in ("1", "2"):
            progress(int(version), 4, f"version {version} of two models, each with a deployment")
            ended = await asyncio.gather(*(run.promotion(model, version) for model in (KEPT, REMOVED)))
        progress(3, 4, "rolling both back")
        kept, removed = [await _seconds_back(run, promotion["id"]) for promotion in ended]
    return [
        Comparison(
            "rollback",
            [kept],
            [removed],
            "of a stage with `keep`: from the request until the promotion has ended, the old version serving",
            f"of a stage without, whose old version is deployed again, in {DEPLOYMENT_SECONDS} s here",
            "s",
            TARGET,
        )
    ]


async def _seconds_back(run: Run, promotion: str) -> float:
    began = time.monotonic()
    await run.roll_back(promotion, PERSON)
    return time.monotonic() - began
