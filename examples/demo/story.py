"""The story of the demo, point by point: actions, output and expectations."""

import asyncio
from pathlib import Path

import aiohttp
from rich.console import Console
from rich.padding import Padding
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from examples.demo.checks import Point, must
from examples.demo.data_scientist import DataScientist
from examples.demo.digits import drawing, images
from examples.demo.endpoints import Answer, Endpoint, ScoringError
from examples.demo.project import Project
from examples.demo.promotions import Promotion
from examples.demo.request_loop import RequestLoop
from examples.demo.telling import (
    LOG_LINES,
    START_SECONDS,
    Telling,
    end_of,
    failure_of,
    log_panel,
    waits_for_approval,
)
from localcloud.up import LocalCloud

MODEL = "digits"
#: The request loop continues until the new version has answered this many.
LAST_ANSWERS = 10
#: Seconds between two requests: a rollout needs some in each of its steps.
REQUEST_PAUSE = 0.02
ANSWER_SECONDS = 120
#: What init() raises when it cannot load the model of version 3.
CAUSE = "AttributeError"
#: An experiment that the route ignores.
TRIALS = "digits-trials"


class Story(Telling):
    """A model's way from its training job to production."""

    def __init__(
        self, console: Console, cloud: LocalCloud, project: Project, data: Path, session: aiohttp.ClientSession
    ) -> None:
        """`cloud` runs in the folder `data`, with its app configured from `project`."""
        super().__init__(console, cloud, data)
        self._project = project
        self._scientist = DataScientist(self._addresses)
        self._images = images()
        self._test = Endpoint(self._addresses, "test", f"{MODEL}-test", session)
        self._prod = Endpoint(self._addresses, "prod", MODEL, session)
        self._job = ""  # that version 1 comes from
        self._trials: asyncio.Task[list[str]] | None = None
        self._plot = [
            (Point(1, "A training job", "a training job runs in dev"), self._train),
            (
                Point(2, "To production, automatically", "version 1 reaches test and prod automatically"),
                self._first_version,
            ),
            (Point(3, "Questions to prod", "prod answers real requests"), self._answers),
            (Point(4, "A worse version", "a gate refuses version 2, with figures"), self._worse_version),
            (Point(5, "A broken version", "version 3 crashes, is explained and removed"), self._broken_version),
            (Point(6, "The same version, fixed", "version 3 is retried and passes test"), self._mended_version),
            (
                Point(7, "A better version", "version 4 gets more and more of the traffic; no request fails"),
                self._better_version,
            ),
            (
                Point(8, "A slower version", "version 5 is too slow in prod, and the traffic returns by itself"),
                self._slower_version,
            ),
        ]

    async def tell(self) -> bool:
        """Run the points; return False if one failed."""
        try:
            return await super().tell()
        finally:
            if self._trials is not None:
                self._trials.cancel()

    # --- the points ---------------------------------------------------------------------------------------------------

    async def _train(self) -> str:
        self._tell(
            "The Azure ML SDK submits examples/digits/train/job.yml to the dev workspace. The job learns to read "
            "handwritten digits with scikit-learn and logs its metrics with MLflow."
        )
        self._job = await asyncio.to_thread(self._scientist.submit, training_rows=800)
        await self._completed(self._job, self._scientist)
        self._keep(f"job {self._job} has completed")
        return "the job has completed"

    async def _first_version(self) -> str:
        self._tell(
            "Nobody needs to act now. Event Grid notifies the app that the job has completed. The app registers "
            "the job's output as version 1 of the model and promotes it through the stages of "
            "examples/digits/promotion.yml."
        )
        # Train these meanwhile, in an experiment that the route ignores.
        self._trials = asyncio.create_task(self._train_trials())
        promotion = await self._started("1")
        origin = await asyncio.to_thread(self._scientist.origin, MODEL, "1")
        must(origin == self._job, "that version 1 comes from the job", f"it comes from {origin}")
        self._keep("the app has registered the job's output as version 1, with the job as its origin")
        promotion = await self._watch(promotion)
        must(promotion["status"] == "succeeded", "that version 1 reaches prod", end_of(promotion))
        self._keep("version 1 serves test and prod, without anybody's help")
        return "both endpoints serve version 1"

    async def _answers(self) -> str:
        shown = [3, 7, 0, 4]
        self._tell("Four images that the model was not trained on go to the prod endpoint over HTTPS.")
        answer = await self._ask(shown)
        self._console.print()
        self._console.print(Padding(_read(shown, answer), (0, 0, 1, 3)))
        must(list(answer.digits) == shown, f"that {shown} are recognised", f"they were recognised as {answer.digits}")
        self._keep(f"version {answer.version} recognises all four in {answer.seconds * 1000:.0f} ms")
        return "all four images are recognised"

    async def _worse_version(self) -> str:
        job = (await self._trial_jobs())[0]
        self._tell("Version 2 was trained on only 60 images. The SDK registers it; the app does the rest.")
        await self._register("2", job)
        promotion = await self._watch(await self._started("2"))
        must(promotion["status"] == "refused", "that a gate refuses version 2", end_of(promotion))
        refused = str(failure_of(promotion)["reason"])
        must("accuracy" in refused, "that the refusal has the figures", refused)
        self._keep("version 2 is refused: nothing of it was deployed to prod")
        await self._still_version_1()
        return refused

    async def _broken_version(self) -> str:
        job = (await self._trial_jobs())[1]
        await self._ask_for_approval()
        self._tell(
            "Version 3 is a good model in a new file layout that the scoring code cannot load: init() raises. Its "
            "metrics do not show that."
        )
        await self._register("3", job)
        promotion = await self._watch(await self._started("3"))
        must(promotion["status"] == "failed", "that the deployment of version 3 fails", end_of(promotion))
        failure = failure_of(promotion)
        self._console.print(Padding(_log(failure["diagnosis"]), (0, 0, 1, 3)))
        must(failure["kind"] == "container-crash", "that the failure is classified as a crash", failure["kind"])
        must(CAUSE in failure["diagnosis"], "that the diagnosis names the cause", failure["diagnosis"])
        left = await self._test.versions()
        must(left == ["2"], "that the broken deployment is removed", f"{self._test.name} has version {', '.join(left)}")
        self._keep(f"the broken deployment is removed: {self._test.name} has only version 2")
        await self._still_version_1()
        return f"{failure['kind']}, the log names the {CAUSE}; the deployment is removed"

    async def _mended_version(self) -> str:
        self._tell("Somebody fixes scoring/score.py and replays the promotion, which validates the file again:")
        self._changed(self._project.mend_scoring())
        failed = await self._started("3")
        await self._terminal.type("replay", f"{MODEL}/3", "--as", "alice", "--reason", "score.py reads bundles now")
        promotion = await self._watch(await self._started("3"), until=waits_for_approval, before=failed)
        must(waits_for_approval(promotion), "that version 3 passes test and waits for approval", end_of(promotion))
        left = await self._test.versions()
        must(left == ["3"], "that version 3 serves test", f"{self._test.name} has version {', '.join(left)}")
        self._keep("version 3 serves test and waits: prod requires approval")
        self._tell("Bob rejects it: he knows that version 4 is better.")
        await self._terminal.type("reject", f"{MODEL}/3", "--as", "bob", "--reason", "version 4 is better")
        promotion = await self._promotions.get(promotion["id"])
        must(promotion["status"] == "rejected", "that one rejection ends version 3", end_of(promotion))
        await self._still_version_1()
        return "replayed, it serves test; rejected for prod"

    async def _better_version(self) -> str:
        job = (await self._trial_jobs())[2]
        self._tell("Version 4 was trained on 1200 images. Meanwhile, requests to prod continue and are counted.")
        async with self._requests() as loop:
            await self._register("4", job)
            promotion = await self._watch(await self._started("4"), footer=loop.says, until=waits_for_approval)
            must(waits_for_approval(promotion), "that version 4 waits for approval", end_of(promotion))
            self._keep("version 4 serves test and waits: prod requires approval")
            await self._terminal.type("approve", f"{MODEL}/4", "--as", "bob", "--reason", "the best so far")
            promotion = await self._watch(promotion, footer=loop.says, before=promotion)
            must(promotion["status"] == "succeeded", "that version 4 reaches prod", end_of(promotion))
            await loop.until_answered("4", LAST_ANSWERS, within_seconds=ANSWER_SECONDS)
        must(loop.failed == 0, "that no request fails", f"{loop.failed} failed, such as {'; '.join(loop.failures)}")
        must(list(loop.answered) == ["1", "4"], "that version 4 takes over from version 1", loop.says())
        left = sorted(await self._prod.versions())
        must(left == ["1", "4"], "that version 1 is kept for a while", f"prod has version {', '.join(left)}")
        self._keep("version 1 stays without traffic, so that going back takes seconds")
        by_version = ", then ".join(f"version {version} answered {count}" for version, count in loop.answered.items())
        self._keep(f"{loop.failed} of {loop.sent} requests failed: {by_version}")
        return f"{loop.failed} of {loop.sent} requests failed"

    async def _slower_version(self) -> str:
        job = (await self._trial_jobs())[2]
        self._tell("Version 5 is as good as version 4, but somebody has made its scoring code call another service:")
        self._changed(self._project.slow_scoring_down())
        async with self._requests() as loop:
            await self._register("5", job)
            promotion = await self._watch(await self._started("5"), footer=loop.says, until=waits_for_approval)
            must(waits_for_approval(promotion), "that version 5 waits for approval", end_of(promotion))
            await self._terminal.type("approve", f"{MODEL}/5", "--as", "bob", "--reason", "it looks fine")
            promotion = await self._watch(promotion, footer=loop.says, before=promotion)
        must(promotion["status"] == "refused", "that version 5 comes back by itself", end_of(promotion))
        reason = str(failure_of(promotion)["reason"])
        must("latency_p95" in reason, "that the refusal has the latencies", reason)
        self._keep("version 5 took a part of the traffic, was too slow, and all traffic is back at version 4")
        await self._terminal.type("show", f"{MODEL}/5")
        must(loop.failed == 0, "that no request fails", f"{loop.failed} failed, such as {'; '.join(loop.failures)}")
        version = (await self._ask([3, 7])).version
        must(version == "4", "that prod answers with version 4", f"version {version} answered")
        self._keep(f"{loop.failed} of {loop.sent} requests failed")
        return reason

    # --- steps of several points
    # ---------------------------------------------------------------------------------------

    def _requests(self) -> RequestLoop:
        return RequestLoop(self._one_request, failing=ScoringError, pause_seconds=REQUEST_PAUSE)

    async def _ask_for_approval(self) -> None:
        self._tell(
            "From now on prod requires approval, and its traffic moves gradually. The app is restarted with this in "
            "its promotion.yml:"
        )
        self._changed(self._project.roll_out_gradually())
        self._changed(self._project.ask_for_approval())
        with self._console.status("the app is restarting"):
            await self._cloud.restart("functions")

    async def _train_trials(self) -> list[str]:
        """Submit the jobs of versions 2 to 4 and return their names."""
        return [
            await asyncio.to_thread(self._scientist.submit, training_rows=rows, layout=layout, experiment=TRIALS)
            for rows, layout in ((60, "pipeline"), (1100, "bundle"), (1200, "pipeline"))
        ]

    async def _trial_jobs(self) -> list[str]:
        assert self._trials is not None
        return await self._trials

    async def _register(self, version: str, job: str) -> None:
        await self._completed(job, self._scientist)
        await asyncio.to_thread(self._scientist.register, MODEL, version, job)

    async def _started(self, version: str) -> Promotion:
        with self._console.status(f"waiting for version {version}"):
            return await self._promotions.started(MODEL, version, START_SECONDS)

    async def _ask(self, digits: list[int]) -> Answer:
        return await self._prod.ask([self._images[digit] for digit in digits])

    async def _one_request(self) -> str:
        return (await self._ask([3])).version

    async def _still_version_1(self) -> None:
        version = (await self._ask([3, 7])).version
        must(version == "1", "that prod still answers with version 1", f"version {version} answered")
        versions = await self._prod.versions()
        must(versions == ["1"], "that prod has only version 1", f"it has version {', '.join(versions)}")
        self._keep("prod still answers with version 1")


def _log(diagnosis: str) -> Panel:
    """The end of the container's log, up to the last line that names the cause. In a diagnosis, the cause is above
    it."""
    lines = diagnosis.rstrip().splitlines()
    last = max((number for number, line in enumerate(lines) if CAUSE in line), default=len(lines) - 1)
    return log_panel(lines[max(2, last + 1 - LOG_LINES) : last + 1], "the container's log")


def _read(digits: list[int], answer: Answer) -> Table:
    """The images side by side, each with the recognised digit."""
    table = Table.grid(padding=(0, 2))
    drawn = images()
    table.add_row(*(drawing(drawn[digit]) for digit in digits))
    read = zip(answer.digits, answer.probabilities, strict=True)
    table.add_row(*(Text(f"{digit}  ({probability:.1%})", "bold", justify="center") for digit, probability in read))
    return table
