"""The story of the demo, point by point: actions, output and expectations."""

import asyncio
import textwrap
import time
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Any

import aiohttp
from azure.core.exceptions import AzureError
from rich.console import Console
from rich.padding import Padding
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from examples.demo.addresses import addresses_of
from examples.demo.checks import BrokenPromiseError, Point, must
from examples.demo.data_scientist import ENDED, DataScientist
from examples.demo.digits import drawing, images
from examples.demo.endpoints import Answer, Endpoint, ScoringError
from examples.demo.project import Project
from examples.demo.promotions import ApiError, Promotion, Promotions
from examples.demo.request_loop import RequestLoop
from examples.demo.terminal import Terminal
from examples.demo.watching import watch
from localcloud.up import LocalCloud

MODEL = "digits"
JOB_SECONDS = 60
START_SECONDS = 30
PROMOTION_SECONDS = 120
JOB_POLL_SECONDS = 0.3
LOG_LINES = 12
#: The request loop continues until the new version has answered this many.
LAST_ANSWERS = 10
ANSWER_SECONDS = 20
#: What init() raises when it cannot load the model of version 3.
CAUSE = "AttributeError"
#: An experiment that the route ignores.
TRIALS = "digits-trials"


class Story:
    """Runs the points in order and stops at the first that fails."""

    def __init__(
        self, console: Console, cloud: LocalCloud, project: Project, data: Path, session: aiohttp.ClientSession
    ) -> None:
        """`cloud` runs in the folder `data`, with its app configured from `project`."""
        self._console = console
        self._cloud = cloud
        self._project = project
        self._terminal = Terminal(console, data)
        self._addresses = addresses_of(cloud.addresses)
        self._promotions = Promotions(session, self._addresses.app, self._addresses.app_key)
        self._scientist = DataScientist(self._addresses)
        self._images = images()
        self._test = Endpoint(self._addresses, "test", f"{MODEL}-test", session)
        self._prod = Endpoint(self._addresses, "prod", MODEL, session)
        self._job = ""  # that version 1 comes from
        self._trials: asyncio.Task[list[str]] | None = None
        self._plot: list[tuple[Point, Callable[[], Awaitable[str]]]] = [
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
                Point(7, "A better version", "once approved, version 4 replaces version 1; no request fails"),
                self._better_version,
            ),
        ]

    @property
    def points(self) -> list[Point]:
        """The points, with the results so far."""
        return [point for point, _ in self._plot]

    async def tell(self) -> bool:
        """Run the points; return False if one failed."""
        try:
            for point, happens in self._plot:
                self._console.print()
                self._console.print(Text.assemble((f"{point.number}  {point.title}", "bold cyan")))
                await self._happen(point, happens)
                if not point.kept:
                    return False
            return True
        finally:
            if self._trials is not None:
                self._trials.cancel()

    async def _happen(self, point: Point, happens: Callable[[], Awaitable[str]]) -> None:
        began = time.monotonic()
        point.kept = False
        try:
            point.seen = await happens()
            point.kept = True
        except (BrokenPromiseError, ApiError, ScoringError, AzureError, TimeoutError) as fault:
            point.seen = str(fault)
            self._marked("✗", "red", str(fault))
        finally:
            point.seconds = time.monotonic() - began

    # --- the points ---------------------------------------------------------------------------------------------------

    async def _train(self) -> str:
        self._tell(
            "The Azure ML SDK submits examples/digits/train/job.yml to the dev workspace. The job learns to read "
            "handwritten digits with scikit-learn and logs its metrics with MLflow."
        )
        self._job = await asyncio.to_thread(self._scientist.submit, training_rows=800)
        await self._completed(self._job)
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
        must(promotion["status"] == "succeeded", "that version 1 reaches prod", _end(promotion))
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
        must(promotion["status"] == "refused", "that a gate refuses version 2", _end(promotion))
        refused = str(_failure(promotion)["reason"])
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
        must(promotion["status"] == "failed", "that the deployment of version 3 fails", _end(promotion))
        failure = _failure(promotion)
        self._console.print(Padding(_log(failure["diagnosis"]), (0, 0, 1, 3)))
        must(
            failure["kind"] == "container-crash",
            "that the failure is classified as a crash",
            failure["kind"],
        )
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
        promotion = await self._watch(await self._started("3"), until=_waits_for_approval, before=failed)
        must(_waits_for_approval(promotion), "that version 3 passes test and waits for approval", _end(promotion))
        left = await self._test.versions()
        must(left == ["3"], "that version 3 serves test", f"{self._test.name} has version {', '.join(left)}")
        self._keep("version 3 serves test and waits: prod requires approval")
        self._tell("Bob rejects it: he knows that version 4 is better.")
        await self._terminal.type("reject", f"{MODEL}/3", "--as", "bob", "--reason", "version 4 is better")
        promotion = await self._promotions.get(promotion["id"])
        must(promotion["status"] == "rejected", "that one rejection ends version 3", _end(promotion))
        await self._still_version_1()
        return "replayed, it serves test; rejected for prod"

    async def _better_version(self) -> str:
        job = (await self._trial_jobs())[2]
        self._tell("Version 4 was trained on 1200 images. Meanwhile, requests to prod continue and are counted.")
        loop = RequestLoop(self._one_request, failing=ScoringError)
        async with loop:
            await self._register("4", job)
            promotion = await self._watch(await self._started("4"), footer=loop.says, until=_waits_for_approval)
            must(_waits_for_approval(promotion), "that version 4 waits for approval", _end(promotion))
            self._keep("version 4 serves test and waits: prod requires approval")
            await self._terminal.type("approve", f"{MODEL}/4", "--as", "bob", "--reason", "the best so far")
            promotion = await self._watch(promotion, footer=loop.says, before=promotion)
            must(promotion["status"] == "succeeded", "that version 4 reaches prod", _end(promotion))
            await loop.until_answered("4", LAST_ANSWERS, within_seconds=ANSWER_SECONDS)
        must(loop.failed == 0, "that no request fails", f"{loop.failed} failed, such as {'; '.join(loop.failures)}")
        must(list(loop.answered) == ["1", "4"], "that version 4 takes over from version 1", loop.says())
        left = await self._prod.versions()
        must(left == ["4"], "that version 1 is removed when version 4 serves", f"prod has version {', '.join(left)}")
        by_version = ", then ".join(f"version {version} answered {count}" for version, count in loop.answered.items())
        self._keep(f"{loop.failed} of {loop.sent} requests failed: {by_version}")
        return f"{loop.failed} of {loop.sent} requests failed"

    # --- steps of several points
    # ---------------------------------------------------------------------------------------

    async def _ask_for_approval(self) -> None:
        self._tell("From now on prod requires approval. The app is restarted with this in its promotion.yml:")
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

    async def _completed(self, job: str) -> None:
        deadline = time.monotonic() + JOB_SECONDS
        with self._console.status(f"job {job} is running"):
            while (status := await asyncio.to_thread(self._scientist.status, job)) not in ENDED:
                if time.monotonic() > deadline:
                    raise TimeoutError(f"job {job} is still {status} after {JOB_SECONDS} seconds")
                await asyncio.sleep(JOB_POLL_SECONDS)
        if status != "Completed":
            log = await asyncio.to_thread(self._scientist.log, job)
            self._console.print(Padding(_panel(log.rstrip().splitlines()[-LOG_LINES:], "the job's log"), (0, 0, 1, 3)))
        must(status == "Completed", f"that job {job} completes", f"it ended as {status}; the end of its log is above")

    async def _register(self, version: str, job: str) -> None:
        await self._completed(job)
        await asyncio.to_thread(self._scientist.register, MODEL, version, job)

    async def _started(self, version: str) -> Promotion:
        with self._console.status(f"waiting for version {version}"):
            return await self._promotions.started(MODEL, version, START_SECONDS)

    async def _watch(
        self,
        promotion: Promotion,
        footer: Callable[[], str] | None = None,
        until: Callable[[Promotion], bool] | None = None,
        before: Promotion | None = None,
    ) -> Promotion:
        self._console.print()
        promotion = await watch(self._console, self._promotions, promotion, PROMOTION_SECONDS, footer, until, before)
        self._console.print()
        return promotion

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

    # --- output -----------------------------------------------------------------------------------------------

    def _tell(self, text: str) -> None:
        self._console.print(Padding(Text(text, style="dim"), (0, 0, 0, 3)))

    def _changed(self, lines: str) -> None:
        """Show lines that were added to a file."""
        added = "\n".join(f"+ {line}" for line in textwrap.dedent(lines).splitlines())
        self._console.print(Padding(Text(added, style="green"), (1, 0, 1, 6)))

    def _keep(self, sentence: str) -> None:
        self._marked("✓", "green", sentence)

    def _marked(self, mark: str, style: str, sentence: str) -> None:
        line = Table.grid(padding=(0, 1))
        line.add_row(Text(mark, style=style), sentence)
        self._console.print(Padding(line, (0, 0, 0, 3)))


def _end(promotion: Promotion) -> str:
    return f"it has {promotion['status']}" + (f": {promotion['reason']}" if promotion["reason"] else "")


def _waits_for_approval(promotion: Promotion) -> bool:
    return any(stage["approval"] and stage["approval"]["status"] == "running" for stage in promotion["stages"])


def _failure(promotion: Promotion) -> Mapping[str, Any]:
    """The failure of the failed step. Raises BrokenPromiseError if no step failed."""
    for stage in promotion["stages"]:
        for step in stage["steps"]:
            if step["failure"]:
                failure: Mapping[str, Any] = step["failure"]
                return failure
    raise BrokenPromiseError(f"Expected that a step fails. Instead: {_end(promotion)}")


def _log(diagnosis: str) -> Panel:
    """The end of the container's log, up to the last line that names the cause. In a diagnosis, the cause is above
    it."""
    lines = diagnosis.rstrip().splitlines()
    last = max((number for number, line in enumerate(lines) if CAUSE in line), default=len(lines) - 1)
    return _panel(lines[max(2, last + 1 - LOG_LINES) : last + 1], "the container's log")


def _panel(log: list[str], title: str) -> Panel:
    return Panel(Text("\n".join(log), overflow="fold"), title=title, title_align="left", border_style="dim")


def _read(digits: list[int], answer: Answer) -> Table:
    """The images side by side, each with the recognised digit."""
    table = Table.grid(padding=(0, 2))
    drawn = images()
    table.add_row(*(drawing(drawn[digit]) for digit in digits))
    read = zip(answer.digits, answer.probabilities, strict=True)
    table.add_row(*(Text(f"{digit}  ({probability:.1%})", "bold", justify="center") for digit, probability in read))
    return table
