"""How calls are attributed to the steps of a promotion."""

from datetime import UTC, datetime
from typing import Any

from benchmarks.azureml_calls import by_step, made_by, seconds_at_work


def at(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat()


def call(seconds: float, operation: str = "/models/*", identity: str | None = "worker") -> dict[str, Any]:
    return {"time": seconds, "method": "GET", "operation": operation, "identity": identity}


def promotion(*steps: tuple[str, float, float | None]) -> dict[str, Any]:
    listed = [{"name": name, "started": at(began), "ended": at(end) if end else None} for name, began, end in steps]
    return {"stages": [{"steps": [*listed, {"name": "later", "started": None, "ended": None}]}]}


def test_a_call_belongs_to_the_step_that_was_under_way() -> None:
    calls = [call(11), call(12), call(21), call(22, "/endpoints/*")]
    assert by_step(calls, [promotion(("share", 10, 20), ("deploy", 20.5, 30))]) == [
        ("share", "GET /models/*", 2),
        ("deploy", "GET /models/*", 1),
        ("deploy", "GET /endpoints/*", 1),
    ]


def test_a_call_outside_of_all_steps_is_not_counted() -> None:
    assert by_step([call(5), call(40)], [promotion(("share", 10, 20))]) == []


def test_a_step_that_has_not_ended_has_the_calls_since_its_start() -> None:
    assert by_step([call(40)], [promotion(("share", 10, None))]) == [("share", "GET /models/*", 1)]


def test_scoring_requests_count_though_they_carry_a_key_and_no_identity() -> None:
    scoring = call(3, "/scoring/*/*/score", None)
    assert made_by([call(1), call(2, identity="somebody"), scoring], ["worker"]) == [call(1), scoring]


def test_azure_is_at_work_while_a_call_or_an_operation_runs_and_overlapping_ones_count_once() -> None:
    calls = [{"time": 1.0, "seconds": 2.0}, {"time": 2.0, "seconds": 3.0}, {"time": 8.0, "seconds": 0.5}]
    operations: list[dict[str, Any]] = [{"started": 2.5, "ended": 6.0}, {"started": 9.0, "ended": None}]
    assert seconds_at_work(calls, operations, 0.0, 10.0) == (6.0 - 1.0) + 0.5 + 1.0


def test_only_what_azure_did_between_the_two_moments_counts() -> None:
    assert seconds_at_work([{"time": 1.0, "seconds": 20.0}], [], 5.0, 10.0) == 5.0
