"""Thin traffic: requests that the champion's data collector recorded are sent to the candidate."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from typing import Any

import pytest

from shared.config.analysis import AnalysisSettings
from shared.ports import Answer, RecordedRequest, UnavailableError
from shared.worker.analysis import Judgement
from tests.fakes.workspace import FakeWorkspace
from tests.steps.analysis.watching import (
    CANDIDATE,
    CHAMPION,
    LATE,
    MINUTE,
    WATCHED,
    has_minutes,
    judged_after,
    settings,
)
from tests.steps.promotion import ENDPOINT, NOW, OURS

ERRORS = {"metric": "error_rate", "at_most": 0.02}
NO_SLOWER = {"metric": "latency_p95", "no_worse_than_champion_by": "20%"}
FEW = f"deployment {CANDIDATE} answered only 40 of 100 requests"


@dataclass
class Scoring(FakeWorkspace):
    """Answers with the double; `wrong`, `failing` and `slow` say for which numbers the candidate does otherwise."""

    wrong: set[int] = field(default_factory=set)
    failing: set[int] = field(default_factory=set)
    busy_after: int = 1_000_000  #: requests; then the candidate has too many at once
    slower: float = 1.0
    away_after: int = 1_000_000
    seconds: float = 0.01

    def score(self, endpoint: str, deployment: str | None, requests: Iterable[Any]) -> Iterator[Answer]:
        for body in requests:
            if len(self.asked) >= self.away_after:
                raise UnavailableError("the endpoint is away")
            self.asked.append((endpoint, deployment, body))
            yield self._answer(int(body["number"]), is_ours=deployment == CANDIDATE)

    def _answer(self, number: int, is_ours: bool) -> Answer:
        seconds = self.seconds * (self.slower if is_ours else 1.0)
        if is_ours and len(self.asked) > self.busy_after:
            return Answer(429, "too many requests", seconds)
        if is_ours and number in self.failing:
            return Answer(424, "the model raised", seconds)
        return Answer(200, str(number if is_ours and number in self.wrong else 2 * number), seconds)

    @property
    def numbers(self) -> list[int]:
        """What the candidate was asked."""
        return [body["number"] for _, deployment, body in self.asked if deployment == CANDIDATE]


@pytest.fixture
def workspace() -> Scoring:
    """A candidate that was asked 40 times, and a champion that recorded 300 requests before."""
    workspace = Scoring()
    workspace.has_endpoint(ENDPOINT, OURS, {CHAMPION: 90, CANDIDATE: 10})
    has_minutes(workspace, CANDIDATE, 10, 4)
    workspace.recorded[ENDPOINT, CHAMPION] = [
        RecordedRequest(f"id-{number}", NOW - (300 - number) * MINUTE, {"number": number}, 2 * number)
        for number in range(300)
    ]
    return workspace


def asking(*analysis: dict[str, Any], **more: Any) -> AnalysisSettings:
    return settings(*(analysis or (ERRORS,)), too_few="replay", **more)


def replayed(workspace: Scoring, asked: AnalysisSettings) -> Judgement:
    return judged_after(14, workspace, asked)


def test_the_last_recorded_requests_decide_in_place_of_the_live_ones(workspace: Scoring) -> None:
    found = replayed(workspace, asking())
    assert (found.breaches, found.waits) == ((), "")
    assert workspace.numbers == list(range(100, 300))
    assert found.seen.notes == (f"{FEW}: judged by 200 recorded requests instead",)
    assert found.seen.replay is not None
    assert (found.seen.replay.requests, found.seen.replay.errors, found.seen.replay.different) == (200, 0, 0)


def test_nothing_is_replayed_while_the_step_lasts_or_if_there_are_enough_requests(workspace: Scoring) -> None:
    assert judged_after(12, workspace, asking()).waits == f"{FEW}{LATE}"
    has_minutes(workspace, CANDIDATE, 5, 50)
    assert judged_after(14, workspace, asking()).waits == ""
    assert workspace.asked == []


def test_a_candidate_that_fails_for_recorded_requests_is_refused(workspace: Scoring) -> None:
    workspace.failing = set(range(100, 109))
    found = replayed(workspace, asking())
    assert found.breaches == ("error_rate: required at most 2 %, found 4.5 % of 200 replayed requests",)


def test_answers_that_differ_are_counted_and_not_judged_without_a_limit(workspace: Scoring) -> None:
    workspace.wrong = set(range(100, 150))
    found = replayed(workspace, asking())
    assert found.breaches == ()
    assert found.seen.replay is not None
    assert found.seen.replay.different == 50


@pytest.mark.parametrize(("wrong", "breached"), [(4, False), (5, True)])
def test_a_limit_says_how_many_answers_may_differ(workspace: Scoring, wrong: int, breached: bool) -> None:
    workspace.wrong = set(range(100, 100 + wrong))
    found = replayed(workspace, asking(replay={"different_at_most": "2%"}))
    assert bool(found.breaches) is breached
    if breached:
        assert found.breaches == ("answers: required at most 2 % different answers, found 5 of 200 replayed requests",)


def test_numbers_may_differ_by_the_tolerance(workspace: Scoring) -> None:
    workspace.wrong = {150}  # 150 in place of 300
    asked = asking(replay={"different_at_most": 0, "tolerance": 150})
    assert replayed(workspace, asked).breaches == ()


@pytest.mark.parametrize(("slower", "breached"), [(1.0, False), (1.5, True)])
def test_latencies_are_compared_with_the_champions_for_the_same_requests(
    workspace: Scoring, slower: float, breached: bool
) -> None:
    workspace.slower = slower
    assert bool(replayed(workspace, asking(NO_SLOWER)).breaches) is breached
    assert [deployment for _, deployment, _ in workspace.asked[:4]] == [CANDIDATE, CHAMPION] * 2


def test_the_champion_is_not_asked_if_no_latency_is_compared(workspace: Scoring) -> None:
    found = replayed(workspace, asking({"metric": "latency_p95", "at_most": "20ms"}))
    assert found.breaches == ()
    assert {deployment for _, deployment, _ in workspace.asked} == {CANDIDATE}
    assert found.seen.replay is not None
    assert found.seen.replay.latency_p95 == pytest.approx(10, rel=0.06)


def test_a_long_replay_takes_several_polls_and_sends_each_request_once(workspace: Scoring) -> None:
    workspace.seconds = 0.7
    first = replayed(workspace, asking())
    assert first.waits == f"{FEW}: replayed 86 of 200 recorded requests"
    second = judged_after(16, workspace, asking(), replace(WATCHED, kept=first.kept))
    third = judged_after(18, workspace, asking(), replace(WATCHED, kept=second.kept))
    assert (third.breaches, third.waits) == ((), "")
    assert workspace.numbers == list(range(100, 300))


def test_a_replay_that_is_interrupted_goes_on_where_it_was(workspace: Scoring) -> None:
    workspace.away_after = 30
    first = replayed(workspace, asking())
    assert first.waits.endswith("replayed 30 of 200 recorded requests")
    with pytest.raises(UnavailableError):
        judged_after(15, workspace, asking(), replace(WATCHED, kept=first.kept))
    workspace.away_after = 1_000_000
    last = judged_after(16, workspace, asking(), replace(WATCHED, kept=first.kept))
    assert (last.breaches, last.waits) == ((), "")
    assert workspace.numbers == list(range(100, 300))


def test_a_candidate_that_is_busy_is_asked_again_later_and_not_blamed(workspace: Scoring) -> None:
    workspace.busy_after = 50
    first = replayed(workspace, asking())
    assert (first.breaches, first.waits) == ((), f"{FEW}: replayed 50 of 200 recorded requests")
    workspace.busy_after = 1_000_000
    last = judged_after(16, workspace, asking(), replace(WATCHED, kept=first.kept))
    assert (last.breaches, last.waits) == ((), "")


def test_a_candidate_that_is_always_busy_fails_the_step_in_the_end(workspace: Scoring) -> None:
    workspace.busy_after = 0
    first = replayed(workspace, asking())
    last = judged_after(131, workspace, asking(), replace(WATCHED, kept=first.kept))
    assert last.breaches == (f"{FEW}, and the candidate took none of 200 recorded requests: too many at once.",)


def test_our_own_requests_do_not_count_as_live_ones(workspace: Scoring) -> None:
    workspace.seconds = 0.7
    first = replayed(workspace, asking())
    has_minutes(workspace, CANDIDATE, 3, 0, first=14, errors=86)
    later = judged_after(20, workspace, asking(), replace(WATCHED, kept=first.kept))
    assert later.breaches == ()
    assert later.seen.requests == 40


def test_requests_that_are_recorded_meanwhile_are_not_sent(workspace: Scoring) -> None:
    late = RecordedRequest("late", NOW + 15 * MINUTE, {"number": 1000}, 2000)
    workspace.recorded[ENDPOINT, CHAMPION].append(late)
    replayed(workspace, asking())
    assert 1000 not in workspace.numbers


def test_no_contents_of_requests_or_answers_become_evidence(workspace: Scoring) -> None:
    workspace.recorded[ENDPOINT, CHAMPION][-1] = RecordedRequest(
        "id", NOW - MINUTE, {"number": 1, "name": "Ada Lovelace"}, "Ada Lovelace"
    )
    found = replayed(workspace, asking(replay={"different_at_most": 0}))
    assert found.breaches
    assert "Lovelace" not in repr(found)


def test_without_recorded_requests_the_step_fails_and_says_what_to_set(workspace: Scoring) -> None:
    workspace.recorded.clear()
    found = replayed(workspace, asking())
    assert found.breaches == (
        f"{FEW}, and there are no requests to replay: deployment {CHAMPION} has recorded none: its deployment file "
        "needs a data_collector with the collections request and response.",
    )


def test_too_many_errors_of_callers_are_a_breach_without_a_replay(workspace: Scoring) -> None:
    has_minutes(workspace, CANDIDATE, 1, 0, errors=10, first=9)
    assert judged_after(14, workspace, asking()).breaches
    assert workspace.asked == []
