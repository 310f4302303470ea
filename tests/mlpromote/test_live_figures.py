"""What `show` draws of a rollout's live figures."""

import io
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from rich.cells import cell_len
from rich.console import Console

from mlpromote.access import Access
from mlpromote.api import Api
from mlpromote.live_figures import COLUMNS
from mlpromote.live_series import SeriesReader
from mlpromote.watching import view
from tests.examples.promotion_document import stage, step
from tests.mlpromote.conftest import CommandLine
from tests.mlpromote.documents import detailed
from tests.mlpromote.stub import Answer, Request, StubApp, problem

ID = "digits-3-0123456789ab"
OURS, THEIRS = "v3-0123456789", "v2-abcdef0123"
START = datetime(2026, 11, 20, 12, tzinfo=UTC)


def minute(deployment: str, number: int, **figures: float) -> dict[str, Any]:
    return {"deployment": deployment, "at": (START + number * timedelta(minutes=1)).isoformat(), **figures}


def watched() -> dict[str, Any]:
    """A promotion in the middle of a rollout in prod."""
    deploy = step("deploy", "succeeded", 0, 1, evidence={"deployment": OURS})
    steps = [deploy, step("rollout-1", "running", 2, says="gets 10 %")]
    return {**detailed(waits=[]), "stages": [stage("prod", "running", steps, approval=None)]}


def series(*minutes: dict[str, Any]) -> dict[str, Any]:
    return {"promotion": ID, "stages": [{"name": "prod", "minutes": list(minutes)}]}


def shown(mlpromote: CommandLine, app: StubApp, *minutes: dict[str, Any]) -> list[str]:
    app.will_answer(Answer(watched()), Answer(series(*minutes)))
    return mlpromote("show", ID).output.splitlines()


def drawn(lines: list[str]) -> list[str]:
    first = next(number for number, line in enumerate(lines) if "live figures" in line)
    return [line.strip() for line in lines[first : first + 5]]


def test_error_rates_and_latencies_of_both_deployments_are_drawn_on_one_scale(
    mlpromote: CommandLine, app: StubApp
) -> None:
    ours = [
        minute(OURS, number, requests=100, errors=errors, latency_p95=200.0) for number, errors in enumerate((0, 4, 8))
    ]
    theirs = [minute(THEIRS, number, requests=900, errors=0, latency_p95=100.0) for number in range(3)]
    lines = shown(mlpromote, app, *ours, *theirs)
    assert app.asked[-1].path == f"/api/promotions/{ID}/series"
    assert drawn(lines) == [
        "live figures of prod, 12:00 to 12:02 UTC:",
        "error rate  candidate ▁▅█ 8 %",
        "champion  ▁▁▁ 0 %",
        "P95 latency candidate ███ 200 ms",
        "champion  ▅▅▅ 100 ms",
    ]


def test_a_minute_without_a_figure_is_a_gap_and_not_0(mlpromote: CommandLine, app: StubApp) -> None:
    ours = [minute(OURS, 0, latency_p95=10.0), minute(OURS, 1, requests=0), minute(OURS, 2, latency_p95=10.0)]
    lines = shown(mlpromote, app, *ours, minute(THEIRS, 1, latency_p95=5.0))
    assert "P95 latency candidate █ █ 10 ms" in [line.strip() for line in lines]
    assert not any("error rate" in line for line in lines)


def test_a_whole_day_fits_into_80_columns_and_a_peak_does_not_disappear(mlpromote: CommandLine, app: StubApp) -> None:
    ours = [minute(OURS, number, requests=10, errors=10 * (number == 700), latency_p95=8.0) for number in range(1440)]
    lines = shown(mlpromote, app, *ours)
    assert max(cell_len(line) for line in lines) <= 80
    (rates,) = (line for line in lines if "error rate" in line)
    assert rates.count("█") == 1
    assert sum(rates.count(bar) for bar in "▁█") <= COLUMNS


def test_nothing_is_asked_for_or_drawn_if_no_stage_has_watched_anything(mlpromote: CommandLine, app: StubApp) -> None:
    app.will_answer(Answer(detailed()))
    assert "live figures" not in mlpromote("show", ID).output
    assert len(app.asked) == 1


def test_an_older_app_without_live_figures_is_shown_without_them(mlpromote: CommandLine, app: StubApp) -> None:
    app.will_answer(Answer(watched()), Answer("", 404, "text/plain"))
    ended = mlpromote("show", ID)
    assert (ended.code, "live figures" in ended.output) == (0, False)


def test_figures_that_cannot_be_read_are_an_error(mlpromote: CommandLine, app: StubApp) -> None:
    app.will_answer(Answer(watched()), problem(503, "The store cannot be reached."))
    assert mlpromote("show", ID).code != 0


def test_for_scripts_a_promotion_is_what_the_app_answered(mlpromote: CommandLine, app: StubApp) -> None:
    app.will_answer(Answer(watched()))
    assert mlpromote("show", ID, "--json").document == watched()
    assert len(app.asked) == 1


# --- while somebody watches -------------------------------------------------------------------------------------------


def under_way(app: StubApp, series: Callable[[], Answer], polls: int = 1) -> None:
    """The app of a rollout that ends after so many polls; `series` gives each answer about its figures."""
    looked = 0

    def answer(asked: Request) -> Answer:
        nonlocal looked
        if asked.path.endswith("/series"):
            return series()
        looked += 1
        return Answer({**watched(), "status": "succeeded" if looked > polls else "running"})

    app.will_answer(answer)


@pytest.fixture
def terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("TERM", "xterm")


def asked_for_series(app: StubApp) -> int:
    return sum(asked.path.endswith("/series") for asked in app.asked)


@pytest.mark.usefixtures("terminal")
def test_a_terminal_that_watches_draws_the_figures_as_they_come(mlpromote: CommandLine, app: StubApp) -> None:
    errors = iter((3, 9))
    under_way(app, lambda: Answer(series(minute(OURS, 0, requests=100, errors=next(errors), latency_p95=120.0))))
    ended = mlpromote("show", ID, "--watch")
    assert ended.code == 0
    seen = [ended.output.find(f"error rate  candidate █ {rate} %") for rate in (3, 9)]
    assert -1 < seen[0] < seen[1]
    assert "P95 latency candidate █ 120 ms" in ended.output
    assert asked_for_series(app) == 2


@pytest.mark.usefixtures("terminal")
@pytest.mark.parametrize("away", [Answer("", 503), Answer("", 404, "text/plain")])
def test_figures_that_cannot_be_read_now_do_not_end_the_watching(
    mlpromote: CommandLine, app: StubApp, away: Answer
) -> None:
    under_way(app, lambda: away)
    ended = mlpromote("show", ID, "--watch")
    assert (ended.code, "live figures" in ended.output) == (0, False)
    assert f"{ID} has succeeded" in ended.output


def test_a_pipe_that_watches_gets_lines_and_asks_for_no_figures(
    mlpromote: CommandLine, app: StubApp, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("COLUMNS")
    under_way(app, lambda: Answer(series()))
    ended = mlpromote("show", ID, "--watch")
    assert (ended.code, asked_for_series(app)) == (0, 0)
    assert "\x1b" not in ended.output


def test_figures_are_not_read_more_often_than_they_change(app: StubApp) -> None:
    times = iter((100.0, 101.0, 102.9, 103.0, 103.1))
    app.will_answer(Answer(series(minute(OURS, 0, latency_p95=1.0))))
    reader = SeriesReader(Api(Access(f"{app.url}/api")), pause=3.0, seconds=lambda: next(times))
    assert all(reader(watched()) is not None for _ in range(4))
    assert len(app.asked) == 2
    reader({**watched(), "status": "succeeded"})
    assert len(app.asked) == 3, "the last figures are read when the promotion has ended"


def test_a_picture_that_is_taller_than_the_terminal_leaves_out_the_steps_of_stages_that_are_done() -> None:
    """What has scrolled off the top cannot be redrawn: each frame would be printed below the one before."""
    output = io.StringIO()
    console = Console(file=output, width=80, height=14, force_terminal=True, color_system=None)
    done = stage("test", "succeeded", [step(f"step-{number}", "succeeded", 0, 1) for number in range(8)])
    document = watched()
    document["stages"] = [done, *document["stages"]]
    figures = series(minute(OURS, 0, requests=10, errors=1, latency_p95=5.0))
    deadline = time.monotonic() + 300
    with view(console) as shown_there:
        shown_there.show(document, figures)
        while "P95 latency" not in output.getvalue():
            assert time.monotonic() < deadline
            time.sleep(0.01)
        drawn_so_far = output.getvalue()
    assert "test" in drawn_so_far
    assert "step-7" not in drawn_so_far
    assert "step-7" in output.getvalue(), "all of it stays in the end"
