import json
from datetime import timedelta
from typing import Any

import pytest

from shared.core.messages import Failed, FailureKind, Retry, Succeeded
from shared.ports import Answer, ForbiddenError
from shared.worker.smoke_file import difference
from tests.fakes.workspace import FakeWorkspace
from tests.steps.promotion import ENDPOINT, OURS, Stage


@pytest.fixture
def workspace(workspace: FakeWorkspace) -> FakeWorkspace:
    workspace.has_endpoint(ENDPOINT, OURS)
    return workspace


def write(stage: Stage, *lines: dict[str, Any]) -> Stage:
    (stage.folder / "smoke.jsonl").write_text("\n".join(json.dumps(line) for line in lines))
    return stage


def test_asks_the_new_deployment_each_request_and_says_how_long_the_answers_took(
    stage: Stage, workspace: FakeWorkspace
) -> None:
    at = write(stage, {"request": [1]}, {"request": [2], "expected": {"y": 2}}, {"request": [3], "expected": "yes"})
    workspace.answers = [Answer(200, "what", 0.1), Answer(200, '{"y": 2}', 0.3), Answer(200, '"yes"', 0.2)]
    outcome = at.run("smoke", workspace)
    assert isinstance(outcome, Succeeded)
    assert outcome.evidence == {"requests": 3, "answers": 3, "slowest_ms": 300.0, "median_ms": 200.0, "failures": 0}
    assert workspace.asked == [(ENDPOINT, stage.deployment, [number]) for number in (1, 2, 3)]


def test_a_stage_without_smoke_requests_asks_nothing(stage: Stage, workspace: FakeWorkspace) -> None:
    settings = {key: value for key, value in stage.settings.items() if key != "smoke"}
    assert isinstance(stage.with_(settings=settings).run("smoke", workspace), Succeeded)
    assert not workspace.asked


@pytest.mark.parametrize(
    ("line", "body", "said"),
    [
        ({"expected": {"y": 2}}, '{"y": 3}', "answer.y is 3, not 2"),
        ({"expected": {"y": [1, {"z": 2.0}]}}, '{"y": [1, {"z": 2.2}]}', "answer.y[1].z is 2.2, not 2.0"),
        ({"expected": 2.0, "tolerance": 0.1}, "2.11", "2.11, not 2.0 ± 0.1"),
        ({"expected": {"y": 2}}, '{"x": 2}', "has the keys ['x'], not ['y']"),
        ({"expected": [1, 2]}, "[1]", "has 1 items, not 2"),
        ({"expected": "no"}, '"yes"', 'is "yes", not "no"'),
        ({"expected": True}, "1", "is 1, not true"),
        ({"expected": None}, '"x"', 'is "x", not null'),
        ({"expected": {"y": 2}}, "no json", 'is "no json"'),
        ({"expected": {"y": 2}}, "[" * 100_000, 'is "[[['),
        ({"expected": 1.5}, "1" + "0" * 400, "not 1.5"),
    ],
)
def test_a_wrong_answer_names_the_line_and_what_was_expected(
    stage: Stage, workspace: FakeWorkspace, line: dict[str, Any], body: str, said: str
) -> None:
    at = write(stage, {"request": 0}, {"request": 1, **line})
    workspace.answers = [Answer(200, "1", 0.1), Answer(200, body, 0.1)]
    outcome = at.run("smoke", workspace)
    assert isinstance(outcome, Failed)
    assert outcome.kind is FailureKind.REFUSED
    assert "line 2: " in outcome.reason
    assert said in outcome.reason
    assert outcome.evidence["failures"] == 1


@pytest.mark.parametrize(
    ("expected", "got", "tolerance"),
    [
        (1.0, 1.05, 0.1),
        (1, 1.0, 0),
        ({"a": [1.0, 2.0]}, {"a": [1.001, 1.999]}, 0.01),
        (float("nan"), float("nan"), 0),
        ("x", "x", 0),
        (None, None, 0),
        ([], [], 0),
    ],
)
def test_an_answer_within_the_tolerance_is_as_expected(expected: Any, got: Any, tolerance: float) -> None:
    assert difference(expected, got, tolerance) is None


@pytest.mark.parametrize(("expected", "got"), [(float("nan"), 1.0), (1.0, float("nan")), (1.0, 1.2), (1.0, "1.0")])
def test_an_answer_beyond_the_tolerance_is_another(expected: Any, got: Any) -> None:
    assert difference(expected, got, 0.1) is not None


def test_an_answer_is_shown_as_people_write_it(stage: Stage, workspace: FakeWorkspace) -> None:
    at = write(stage, {"request": 1, "expected": {"name": "Müller"}})
    workspace.answer = Answer(200, '{"name": "Möller"}', 0.1)
    outcome = at.run("smoke", workspace)
    assert isinstance(outcome, Failed)
    assert 'expected {"name": "Müller"}, got {"name": "Möller"}' in outcome.reason


def test_the_stages_tolerance_counts_where_a_line_says_none(stage: Stage, workspace: FakeWorkspace) -> None:
    at = write(stage, {"request": 1, "expected": 1.0}).with_settings(
        smoke={"requests": "smoke.jsonl", "tolerance": 0.5}
    )
    workspace.answer = Answer(200, "1.4", 0.1)
    assert isinstance(at.run("smoke", workspace), Succeeded)


def test_an_answer_that_takes_too_long_fails(stage: Stage, workspace: FakeWorkspace) -> None:
    at = stage.with_settings(smoke={"requests": "smoke.jsonl", "max_latency": "500ms"})
    workspace.answer = Answer(200, '{"y": 2.0}', 0.501)
    outcome = at.run("smoke", workspace)
    assert isinstance(outcome, Failed)
    assert "line 1: took 501 ms, more than 500 ms" in outcome.reason
    assert "(and" not in outcome.reason, "there is nothing more to tell"


def test_an_error_of_the_model_fails_with_what_it_said(stage: Stage, workspace: FakeWorkspace) -> None:
    workspace.answer = Answer(424, "shapes do not fit", 0.1)
    outcome = stage.run("smoke", workspace)
    assert isinstance(outcome, Failed)
    assert "status 424: shapes do not fit" in outcome.reason


@pytest.mark.parametrize("status", [429, 502, 503, 504])
def test_an_endpoint_that_is_still_settling_is_asked_again_a_few_times(
    stage: Stage, workspace: FakeWorkspace, status: int
) -> None:
    at = write(stage, {"request": 1}, {"request": 2})
    workspace.answer = Answer(status, "", 0.1)
    for poll in (1, 5):
        waits = at.poll("smoke", workspace, poll)
        assert isinstance(waits, Retry)
        assert waits.after == timedelta(seconds=5)
    assert len(workspace.asked) == 2, "the other requests wait until it has settled"
    outcome = at.poll("smoke", workspace, 6)
    assert isinstance(outcome, Failed)
    assert f"status {status}" in outcome.reason


def test_an_answer_that_takes_just_as_long_as_it_may_passes(stage: Stage, workspace: FakeWorkspace) -> None:
    at = stage.with_settings(smoke={"requests": "smoke.jsonl", "max_latency": "500ms"})
    workspace.answer = Answer(200, '{"y": 2.0}', 0.5)
    assert isinstance(at.run("smoke", workspace), Succeeded)


def test_answers_that_have_taken_just_a_minute_do_not_end_the_asking(stage: Stage, workspace: FakeWorkspace) -> None:
    at = write(stage, *({"request": number} for number in range(3)))
    workspace.answer = Answer(200, "1", 30)
    outcome = at.run("smoke", workspace)
    assert isinstance(outcome, Succeeded), outcome
    assert len(workspace.asked) == 3


def test_only_a_few_failures_are_shown(stage: Stage, workspace: FakeWorkspace) -> None:
    at = write(stage, *({"request": number, "expected": 0} for number in range(1, 21)))
    workspace.answer = Answer(200, "1", 0.1)
    outcome = at.run("smoke", workspace)
    assert isinstance(outcome, Failed)
    assert "and 19 more" in outcome.reason
    assert len(outcome.diagnosis.splitlines()) == 5


def test_nothing_more_is_asked_once_the_answers_have_taken_a_minute(stage: Stage, workspace: FakeWorkspace) -> None:
    at = write(stage, *({"request": number} for number in range(4)))
    workspace.answer, workspace.container_log = Answer(200, "1", 31), "loading"
    outcome = at.run("smoke", workspace)
    assert isinstance(outcome, Failed)
    assert outcome.kind is FailureKind.TIMEOUT
    assert "only 2 of 4 smoke requests" in outcome.reason
    assert outcome.diagnosis == "loading"
    assert len(workspace.asked) == 2


def test_an_endpoint_that_settles_in_the_end_passes(stage: Stage, workspace: FakeWorkspace) -> None:
    workspace.answers = [Answer(502, "", 0.1), Answer(200, '{"y": 2.0}', 0.1)]
    assert isinstance(stage.run("smoke", workspace), Succeeded)


CRASH_LOG = """\
2026-11-21 20:54:14,095 E [2991] azmlinfsrv - Encountered Exception: Traceback (most recent call last):
  File "/var/azureml-app/score.py", line 5, in run
    return data["x"]
KeyError: 'x'
2026-11-21 20:54:14,098 I [2991] gunicorn.access - "POST /score HTTP/1.1" 500
"""


def test_a_failure_brings_what_the_containers_log_has_of_the_scoring_code(
    stage: Stage, workspace: FakeWorkspace
) -> None:
    workspace.answer, workspace.container_log = Answer(500, "An unexpected error occurred", 0.1), CRASH_LOG
    outcome = stage.run("smoke", workspace)
    assert isinstance(outcome, Failed)
    assert "Its log has the cause: KeyError: 'x' (score.py, line 5, in run)." in outcome.reason
    assert '  File "/var/azureml-app/score.py", line 5, in run' in outcome.diagnosis.splitlines()
    assert "gunicorn" not in outcome.diagnosis


def test_a_wrong_answer_is_not_put_down_to_an_error_in_the_log(stage: Stage, workspace: FakeWorkspace) -> None:
    workspace.answer, workspace.container_log = Answer(200, "no", 0.1), CRASH_LOG
    outcome = stage.run("smoke", workspace)
    assert isinstance(outcome, Failed)
    assert "KeyError" not in outcome.reason
    assert "KeyError: 'x'" in outcome.diagnosis


def test_a_failure_is_told_where_the_log_cannot_be_read(stage: Stage, workspace: FakeWorkspace) -> None:
    workspace.answer = Answer(500, "An unexpected error occurred", 0.1)
    workspace.raises["logs"] = ForbiddenError("no right to read logs")
    outcome = stage.run("smoke", workspace)
    assert isinstance(outcome, Failed)
    assert "status 500" in outcome.reason
    assert "no right to read logs" in outcome.diagnosis
