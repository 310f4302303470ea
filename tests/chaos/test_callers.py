"""Which failures of callers count, and what the harness finds wrong with the division of an endpoint's traffic."""

from collections.abc import Sequence
from pathlib import Path

import pytest

from localcloud.testing.load import Outcome
from tests.chaos.callers import Callers, failures_of, version_in
from tests.chaos.killing import Outage
from tests.chaos.logbook import Logbook
from tests.e2e.azure import Azure, Shares

MODEL = "gradual-1"
DOWN = Outage(20, 30)
OLD, NEW = "v1-aa", "v2-bb"
ALL, MIRRORED = Shares({OLD: 100}, {}), Shares({OLD: 100}, {NEW: 20})
DIVIDED, MOVED = Shares({OLD: 70, NEW: 30}, {}), Shares({NEW: 100}, {})


def outcome(status: int, deployment: str = "v3-cc", began: float = 10, seconds: float = 0.5) -> Outcome:
    return Outcome(1, status, deployment, seconds, "", began)


@pytest.mark.parametrize(
    ("failed", "counts"),
    [
        (outcome(404, ""), True),
        (outcome(503), True),
        (outcome(424), True),
        (outcome(424, "v2-bb"), False),
        (outcome(408, "v2-bb"), False),
        (outcome(503, "v2-bb"), True),
        (outcome(0, "", began=10, seconds=15), False),
        (outcome(0, "", began=25, seconds=0.1), False),
        (outcome(0, "", began=40, seconds=0.1), True),
    ],
    ids=[
        "nothing serves",
        "a container is not there",
        "a good model fails",
        "a model fails on purpose",
        "a model is slow on purpose",
        "the container of such a model is not there",
        "Azure ML went down meanwhile",
        "Azure ML is down",
        "Azure ML was down before",
    ],
)
def test_what_nothing_but_the_app_can_be_the_reason_for_counts(failed: Outcome, counts: bool) -> None:
    assert [each.status for each in failures_of(MODEL, [failed], [DOWN], {"2"})] == ([failed.status] if counts else [])


def test_the_version_is_read_from_the_name_of_a_deployment() -> None:
    assert version_in("v12-1a2b3c4d") == "12"


class Shown(Azure):
    """An endpoint that is seen to divide its requests like this, one division after the other."""

    def __init__(self, divisions: Sequence[Shares], deployments: Sequence[str]) -> None:
        # Each is seen by two calls: another one makes sure that nothing moves meanwhile.
        self._left = [each for each in divisions for _ in range(2)]
        self._deployments = deployments

    async def shares(self, environment: str) -> dict[str, Shares]:
        return {MODEL: self._left.pop(0)}

    async def deployments(self, environment: str, endpoint: str) -> dict[str, str]:
        return {each: version_in(each) for each in self._deployments}

    async def scoring(self, environment: str, endpoint: str) -> tuple[str, str]:
        raise TimeoutError


@pytest.mark.parametrize(
    ("divisions", "deployments", "wrong"),
    [
        ([ALL, MIRRORED, DIVIDED, MOVED], [OLD, NEW], []),
        ([Shares({}, {}), ALL], [OLD], []),
        (
            [Shares({OLD: 70, NEW: 20}, {})],
            [OLD, NEW],
            [f"{MODEL} divides its traffic as {{'{OLD}': 70, '{NEW}': 20}}, which is not 100 per cent"],
        ),
        ([DIVIDED], [OLD], [f"{MODEL} sends requests to {NEW}, which is not there: {DIVIDED}, of ['{OLD}']"]),
        ([MIRRORED], [OLD], [f"{MODEL} sends requests to {NEW}, which is not there: {MIRRORED}, of ['{OLD}']"]),
    ],
    ids=["a rollout", "the first one", "not everything", "a part for nobody", "copies for nobody"],
)
async def test_what_is_wrong_with_the_traffic_is_said(
    divisions: Sequence[Shares], deployments: Sequence[str], wrong: Sequence[str], tmp_path: Path
) -> None:
    callers = Callers(Shown(divisions, deployments), [MODEL], 0, Logbook(tmp_path / "log"))
    for _ in divisions:
        await callers.look()
    callers.close()
    assert callers.misdirected == wrong
