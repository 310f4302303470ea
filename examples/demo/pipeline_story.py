"""The story of the second demo: a training pipeline from dev runs in prod, and its model replaces the champion."""

import asyncio
from pathlib import Path

import aiohttp
from rich.console import Console

from examples.demo.checks import Point, must
from examples.demo.data_scientist import DataScientist
from examples.demo.digits import images
from examples.demo.endpoints import Endpoint
from examples.demo.project import Project
from examples.demo.promotions import Promotion
from examples.demo.telling import START_SECONDS, Telling, end_of, failure_of, waits_for_approval
from localcloud.up import LocalCloud

MODEL = "digits"
#: The pipeline's route, and so also its name.
ROUTE = "digits-training"
MAKE_DATA = Path(__file__).parents[1] / "digits_pipeline" / "data" / "make_data.py"
COMPUTE = Path(__file__).parents[2] / ".venv-compute" / "bin" / "python"
#: The number of images that the first champion was trained on, by hand.
ROWS_BY_HAND = 100
BY_HAND = "digits-by-hand"
MAKING_SECONDS = 300


class Story(Telling):
    """A training pipeline goes to production."""

    def __init__(
        self, console: Console, cloud: LocalCloud, project: Project, data: Path, session: aiohttp.ClientSession
    ) -> None:
        """`cloud` runs in the folder `data`, with its app configured from `project`."""
        super().__init__(console, cloud, data)
        self._folder = data / "images"
        self._dev = DataScientist(self._addresses, "dev")
        self._in_prod = DataScientist(self._addresses, "prod")
        self._prod = Endpoint(self._addresses, "prod", MODEL, session)
        self._job = ""  # of the first pipeline, in dev
        self._version = ""  # of the model that it made in prod
        self._second: asyncio.Task[str] | None = None  # the job of the second pipeline
        self._plot = [
            (Point(1, "A champion, trained by hand", "version 1, trained by hand, serves prod"), self._champion),
            (Point(2, "A pipeline in dev", "a pipeline with two steps runs in dev, on a sample"), self._pipeline),
            (
                Point(
                    3,
                    "The same pipeline in prod",
                    "once approved, it runs in prod on all data, as well as in dev",
                ),
                self._run_in_prod,
            ),
            (
                Point(4, "Against the champion", "its model is compared with the champion, approved, and serves"),
                self._better_model,
            ),
            (Point(5, "Lineage", "from the endpoint back to job, code and data"), self._lineage),
            (
                Point(6, "A worse pipeline", "good on the sample, but refused in prod, with both metrics"),
                self._worse,
            ),
        ]

    # --- the points ---------------------------------------------------------------------------------------------------

    async def _champion(self) -> str:
        self._tell(
            "Prod has data that dev never sees: all images, and a holdout set. Somebody trained a model on "
            f"{ROWS_BY_HAND} of the images by hand, and registers it in prod. That starts a promotion: a job evaluates "
            "the model on the holdout set, and Bob approves it."
        )
        await self._make_data()
        trained, self._job = await asyncio.gather(
            asyncio.to_thread(self._in_prod.submit, ROWS_BY_HAND, experiment=BY_HAND),
            asyncio.to_thread(self._dev.submit_pipeline, "random"),
        )
        await self._completed(trained, self._in_prod)
        await asyncio.to_thread(self._in_prod.register, MODEL, "1", trained)
        promotion = await self._approved(await self._model("1"), "a start")
        must(promotion["status"] == "succeeded", "that version 1 reaches prod", end_of(promotion))
        self._keep("version 1 serves prod")
        return "version 1 serves prod"

    async def _pipeline(self) -> str:
        self._tell(
            "Meanwhile the Azure ML SDK has submitted examples/digits_pipeline/pipeline.yml to dev. The first step "
            "drops broken lines and sets test images aside; the second trains on the rest. In dev it has only a sample."
        )
        await self._completed(self._job, self._dev)
        self._keep(f"pipeline job {self._job} completed")
        return "the pipeline completed on the sample"

    async def _run_in_prod(self) -> str:
        self._tell(
            "Its job has the tag promote=true, so the app promotes what ran: both steps become components in the "
            "registry, versioned by their content. Code from dev would read prod's data, so people are asked first."
        )
        promotion = await self._approved(await self._pipeline_promotion(self._job), "the code was reviewed")
        must(promotion["status"] == "succeeded", "that the pipeline runs in prod", end_of(promotion))
        await self._terminal.type("show", str(promotion["id"]))
        self._version = "2"
        self._keep("it ran on all of prod's data, about as well as on the sample; its model is version 2 there")
        return "the metrics passed; its model is version 2 in prod"

    async def _better_model(self) -> str:
        self._tell(
            "That registration starts a promotion, too. One job in prod evaluates version 2 and the champion on the "
            "same images, which neither was trained on. Bob sees both results before he approves."
        )
        promotion = await self._watch(await self._model(self._version), until=waits_for_approval)
        must(waits_for_approval(promotion), "that version 2 is evaluated and waits for approval", end_of(promotion))
        await self._terminal.type("show", str(promotion["id"]))
        self._second = asyncio.create_task(asyncio.to_thread(self._dev.submit_pipeline, "last"))
        promotion = await self._approved(promotion, "better than the champion", shown=promotion)
        must(promotion["status"] == "succeeded", "that version 2 reaches prod", end_of(promotion))
        answer = await self._prod.ask([images()[digit] for digit in (3, 7, 0, 4)])
        must(list(answer.digits) == [3, 7, 0, 4], "that four images are recognised", f"{answer.digits}")
        must(answer.version == self._version, "that version 2 answers", f"version {answer.version} answered")
        self._keep("version 2 has replaced the champion, and recognises four images")
        return "version 2 serves prod"

    async def _lineage(self) -> str:
        self._tell("What serves prod now, and where it comes from:")
        await self._terminal.type("lineage", f"prod/{MODEL}")
        self._keep("from the endpoint back to the people, the run, dev's pipeline, its code and all data")
        return "the lineage is printed"

    async def _worse(self) -> str:
        self._tell(
            "Meanwhile somebody has changed the pipeline: it tests on the last fifth of the file instead of a random "
            "fifth. On the sample, which is shuffled, that makes no difference. But prod's data is sorted by digit."
        )
        assert self._second is not None
        job = await self._second
        await self._completed(job, self._dev)
        promotion = await self._approved(await self._pipeline_promotion(job), "it looks harmless")
        must(promotion["status"] == "refused", "that the worse pipeline is refused", end_of(promotion))
        await self._terminal.type("show", str(promotion["id"]))
        refused = str(failure_of(promotion)["reason"])
        must("accuracy" in refused, "that the refusal names the metric", refused)
        versions = await self._prod.versions()
        must(versions == [self._version], "that version 2 alone serves", f"prod has version {', '.join(versions)}")
        self._keep("it is refused, with both metrics; no model was registered, and version 2 still serves")
        return refused

    # --- what several points do ---------------------------------------------------------------------------------------

    async def _make_data(self) -> None:
        with self._console.status("making the data"):
            making = await asyncio.create_subprocess_exec(str(COMPUTE), str(MAKE_DATA), str(self._folder))
            ended = await asyncio.wait_for(making.wait(), MAKING_SECONDS)
            must(ended == 0, "that the data is made", f"{MAKE_DATA.name} ended with {ended}")
            for scientist, name in (
                (self._dev, "sample"),
                (self._in_prod, "production"),
                (self._in_prod, "holdout"),
            ):
                await asyncio.to_thread(scientist.create_data, f"digits-{name}", self._folder / name)

    async def _model(self, version: str) -> Promotion:
        with self._console.status(f"waiting for the promotion of version {version}"):
            return await self._promotions.started(MODEL, version, START_SECONDS)

    async def _pipeline_promotion(self, job: str) -> Promotion:
        with self._console.status(f"waiting for the promotion of the pipeline of job {job}"):
            return await self._promotions.started(ROUTE, job, START_SECONDS, kind="pipeline")

    async def _approved(self, promotion: Promotion, reason: str, shown: Promotion | None = None) -> Promotion:
        """Have Bob approve the promotion as soon as it asks, and return it at its end."""
        if shown is None:
            promotion = shown = await self._watch(promotion, until=waits_for_approval)
        must(waits_for_approval(promotion), "that it waits for approval", end_of(promotion))
        await self._terminal.type("approve", str(promotion["id"]), "--as", "bob", "--reason", reason)
        return await self._watch(promotion, before=shown)
