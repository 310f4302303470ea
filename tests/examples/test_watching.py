import io
from collections.abc import AsyncIterator, Sequence
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer
from rich.console import Console

from examples.demo.promotions import ApiError, Promotions
from examples.demo.watching import watch
from mlpromote.watching import view
from tests.examples.promotion_document import promotion, stage, step, under_way

KEY = "the key"


class App:
    """Answers as the app's HTTP API does; each look at the promotion finds the next of the documents."""

    def __init__(self, documents: Sequence[Any]) -> None:
        self.documents = list(documents)
        self.hidden_for = 0  #: so many listings do not have it yet

    def routes(self) -> web.Application:
        application = web.Application()
        application.add_routes([web.get("/api/promotions", self.list), web.get("/api/promotions/{id}", self.get)])
        application.add_routes([web.get("/api/promotions/{id}/series", self.series)])
        return application

    async def list(self, request: web.Request) -> web.Response:
        self._demand_key(request)
        self.hidden_for -= 1
        found = [] if self.hidden_for >= 0 else [self.documents[0]]
        job = {**self.documents[0], "id": "job", "kind": "job"}
        value = [it for it in (job, *found) if it["model"] == request.query["model"]]
        return web.json_response({"value": value, "next_link": None})

    async def get(self, request: web.Request) -> web.Response:
        self._demand_key(request)
        if request.match_info["id"] != self.documents[0]["id"]:
            raise web.HTTPNotFound(text='{"title": "no such promotion"}')
        return web.json_response(self.documents.pop(0) if len(self.documents) > 1 else self.documents[0])

    async def series(self, request: web.Request) -> web.Response:
        self._demand_key(request)
        minute = {"deployment": "v1", "at": "2026-11-20T12:00:00Z", "requests": 50, "errors": 1, "latency_p95": 40.0}
        return web.json_response(
            {"promotion": request.match_info["id"], "stages": [{"name": "test", "minutes": [minute]}]}
        )

    def _demand_key(self, request: web.Request) -> None:
        if request.headers.get("x-functions-key") != KEY:
            raise web.HTTPUnauthorized


def done() -> Any:
    return promotion("succeeded", [stage("test", "succeeded", [step("soak", "succeeded", 1, 2)])])


@pytest.fixture
def app() -> App:
    return App([promotion("queued", []), promotion("running", []), done()])


@pytest.fixture
async def promotions(app: App) -> AsyncIterator[Promotions]:
    async with TestServer(app.routes()) as server:
        yield Promotions(str(server.make_url("")), KEY)


async def test_a_promotion_is_awaited_until_it_appears_and_the_job_s_record_is_not_taken_for_it(
    app: App, promotions: Promotions
) -> None:
    app.hidden_for = 2

    found = await promotions.started("digits", "1", within_seconds=120)

    assert (found["kind"], found["id"]) == ("model", "digits-1")


async def test_a_promotion_that_never_appears_is_a_time_out_that_names_it(promotions: Promotions) -> None:
    with pytest.raises(TimeoutError, match="digits version 9"):
        await promotions.started("digits", "9", within_seconds=0.3)


async def test_an_answer_that_is_not_200_is_an_error_with_what_came(promotions: Promotions) -> None:
    with pytest.raises(ApiError, match=r"404.*no such promotion"):
        await promotions.get("another")


async def test_watching_ends_with_the_promotion_and_tells_its_steps_line_by_line(promotions: Promotions) -> None:
    output = io.StringIO()

    ended = await watch(view(Console(file=output, width=80)), promotions, promotion("queued", []), within_seconds=120)

    assert ended["status"] == "succeeded"
    assert [line.split() for line in output.getvalue().splitlines()] == [["✓", "test", "soak", "1.0", "s"]]


async def test_on_a_terminal_the_last_picture_stays_with_the_footer_below(promotions: Promotions) -> None:
    output = io.StringIO()
    console = Console(file=output, width=80, force_terminal=True, color_system=None)

    await watch(view(console, lambda: "requests 7"), promotions, promotion("queued", []), within_seconds=120)

    drawn = output.getvalue()
    assert "✓ soak" in drawn
    assert drawn.rindex("✓ soak") < drawn.rindex("requests 7")


async def test_watching_stops_where_it_is_told_to_and_goes_on_without_telling_anything_twice(
    app: App, promotions: Promotions
) -> None:
    output = io.StringIO()
    console = Console(file=output, width=80)
    waiting = under_way()
    app.documents = [{**waiting, "id": "digits-1"}]

    paused = await watch(
        view(console),
        promotions,
        promotion("queued", []),
        within_seconds=120,
        until=lambda it: it["status"] == "running",
    )
    told = output.getvalue()
    ended = {**waiting, "id": "digits-1", "status": "succeeded"}
    ended["stages"][1]["steps"][1].update(status="succeeded", ended=ended["updated"], evidence={"deployment": "v1"})
    app.documents = [ended]
    await watch(view(console, before=paused), promotions, paused, within_seconds=120)

    assert "validate" in told
    assert output.getvalue().removeprefix(told).split()[:3] == ["✓", "prod", "deploy"]


async def test_a_promotion_that_does_not_end_in_time_is_a_time_out(app: App, promotions: Promotions) -> None:
    app.documents = [{**under_way(), "id": "digits-1"}]

    with pytest.raises(TimeoutError, match="still running"):
        await watch(view(Console(file=io.StringIO())), promotions, app.documents[0], within_seconds=0.3)


async def test_the_figures_of_a_rollout_are_drawn_while_it_is_watched_on_a_terminal(
    app: App, promotions: Promotions
) -> None:
    output = io.StringIO()
    steps = [step("deploy", "succeeded", 1, 2, evidence={"deployment": "v1"}), step("rollout-1", "running", 2)]
    app.documents = [promotion("running", [stage("test", "running", steps)]), done()]
    console = Console(file=output, width=80, force_terminal=True, color_system=None)
    queued = promotion("queued", [])

    await watch(view(console), promotions, queued, within_seconds=120, until=lambda it: it["status"] == "running")

    assert "error rate  candidate █ 2 %" in output.getvalue()
