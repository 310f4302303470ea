"""People retry failed promotions, and have dead letters delivered again."""

from dataclasses import replace

import pytest

from shared.core.commands import due
from shared.core.events import (
    NotNowError,
    PromotionRequested,
    Renewed,
    Replayed,
    Retried,
)
from shared.core.lane import decide
from shared.core.messages import Failed, FailureKind, Succeeded
from shared.core.promotion import Lane, PromotionStatus, StageStatus
from tests.core.driver import drive
from tests.core.people import ANNA, ONE_STAGE, OPERATOR, approve, ask, asking, in_flight, run, the, waiting
from tests.core.two_versions import newer, with_champion
from tests.core.world import BROKEN, KEY, NOW, TEST_THEN_PROD, Azure, requested

# --- retry ------------------------------------------------------------------------------------------------------------


def failed(step: str, event: PromotionRequested | None = None) -> Lane:
    lane = run(decide(Lane(KEY), event or requested("1", ONE_STAGE), NOW).lane, {step: BROKEN})
    assert the(lane).status is PromotionStatus.FAILED
    return lane


@pytest.mark.parametrize(
    ("broke", "goes_on_from"),
    [("share", "share"), *((broke, "validate") for broke in ("validate", "deploy", "smoke", "shift"))],
)
def test_a_retry_goes_on_from_what_failed_but_looks_again_at_what_is_to_be_deployed(
    broke: str, goes_on_from: str
) -> None:
    lane = failed(broke)
    lane = ask(lane, Retried(KEY, the(lane).id, OPERATOR, "mended"))
    assert in_flight(lane) == [f"prod.{goes_on_from}"]
    assert due(lane)[0].attempt == 2
    assert the(run(lane)).status is PromotionStatus.SUCCEEDED


def test_a_retry_can_begin_earlier_but_not_later() -> None:
    lane = failed("deploy")
    event = Retried(KEY, the(lane).id, OPERATOR, "again", "share")
    assert in_flight(ask(lane, event)) == ["prod.share"]
    with pytest.raises(NotNowError, match="prod can resume from share, validate, not from deploy"):
        ask(lane, replace(event, from_step="deploy"))
    with pytest.raises(NotNowError, match="not from nonsense"):
        ask(lane, replace(event, from_step="nonsense"))


def test_a_retry_lets_the_stages_after_the_failed_one_follow() -> None:
    lane = failed("deploy", requested("1", TEST_THEN_PROD))
    assert [stage.status for stage in the(lane).stages] == [StageStatus.FAILED, StageStatus.SKIPPED]
    lane = run(ask(lane, Retried(KEY, the(lane).id, OPERATOR, "mended")))
    assert the(lane).status is PromotionStatus.SUCCEEDED


@pytest.mark.parametrize("step", ["validate", "smoke"])
def test_what_a_gate_refused_is_tried_again_if_somebody_asks_for_just_that(step: str) -> None:
    no = {step: Failed("wrong answers", FailureKind.REFUSED)}
    lane = run(decide(Lane(KEY), requested("1", ONE_STAGE), NOW).lane, no)
    assert the(lane).status is PromotionStatus.REFUSED
    with pytest.raises(NotNowError, match="a gate refused the promotion"):
        ask(lane, Retried(KEY, the(lane).id, OPERATOR, "all of them", only_failed=True))
    again = ask(lane, Retried(KEY, the(lane).id, OPERATOR, "mended"))
    assert in_flight(again) == ["prod.validate"]
    assert the(run(again)).status is PromotionStatus.SUCCEEDED
    assert the(run(again, no)).status is PromotionStatus.REFUSED


def test_what_a_person_rejected_is_not_tried_again() -> None:
    no = {"validate": Failed("nobody agreed", FailureKind.REJECTED)}
    lane = run(decide(Lane(KEY), requested("1", ONE_STAGE), NOW).lane, no)
    with pytest.raises(NotNowError, match="it is rejected; start a new promotion instead"):
        ask(lane, Retried(KEY, the(lane).id, OPERATOR, "again"))


def test_what_is_under_way_or_succeeded_is_not_tried_again() -> None:
    lane, _ = with_champion()
    with pytest.raises(NotNowError, match="it has succeeded"):
        ask(lane, Retried(KEY, the(lane).id, OPERATOR, "again"))
    lane = newer(lane, until="deploy")
    with pytest.raises(NotNowError, match="it is running"):
        ask(lane, Retried(KEY, the(lane, "2").id, OPERATOR, "again", only_failed=True))


def test_what_a_newer_version_has_superseded_is_not_tried_again() -> None:
    lane = run(decide(failed("deploy"), requested("2", ONE_STAGE), NOW).lane)
    with pytest.raises(NotNowError, match="superseded: version 2 is newer and already serves prod"):
        ask(lane, Retried(KEY, the(lane).id, OPERATOR, "again"))


def test_what_another_version_that_is_not_a_number_has_superseded_is_not_tried_again() -> None:
    azure = Azure(failing={("autumn", "prod", "deploy"): BROKEN})
    lane, azure = drive(Lane(KEY), requested("autumn", ONE_STAGE), azure)
    lane, _ = drive(lane, requested("winter", ONE_STAGE), azure)
    with pytest.raises(NotNowError, match="version winter now serves prod"):
        ask(lane, Retried(KEY, the(lane, "autumn").id, OPERATOR, "again"))


def test_what_a_newer_version_is_about_to_supersede_is_not_tried_again() -> None:
    lane = run(decide(failed("deploy"), requested("2", ONE_STAGE), NOW).lane, until="smoke")
    with pytest.raises(NotNowError, match="superseded: version 2 is newer and already on its way"):
        ask(lane, Retried(KEY, the(lane).id, OPERATOR, "again"))


def approved_and_failed(step: str) -> Lane:
    lane = run(approve(waiting(asking()), ANNA), {step: BROKEN})
    assert the(lane).status is PromotionStatus.FAILED
    return lane


def test_an_approval_stays_good_where_the_retry_has_the_same_evidence() -> None:
    lane = approved_and_failed("deploy")
    same = {"validate": Succeeded({"saw": "validate"})}
    lane = run(ask(lane, Retried(KEY, the(lane).id, OPERATOR, "again")), same, until="deploy")
    assert in_flight(lane) == ["prod.deploy"]


def test_approval_is_asked_for_again_after_a_retry_that_makes_new_evidence() -> None:
    lane = approved_and_failed("deploy")
    before = next(step for step in the(lane).stages[0].steps if step.plan.waits).evidence["on"]
    lane = run(
        ask(lane, Retried(KEY, the(lane).id, OPERATOR, "other data", "validate")),
        {"validate": Succeeded({"saw": "other"})},
    )
    step = the(lane).stages[0].current
    assert step is not None
    assert step.plan.name == "approve"
    assert step.evidence["given"] == []
    assert step.evidence["on"] != before
    with pytest.raises(NotNowError, match="evidence has changed"):
        approve(lane, ANNA, evidence=before)
    assert in_flight(approve(lane, ANNA)) == ["prod.deploy"]


# --- replay -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("until", ["deploy", ""])
def test_a_replay_is_noted_and_changes_nothing_else(until: str) -> None:
    lane = newer(with_champion()[0], until=until)
    after = ask(lane, Replayed(KEY, the(lane, "2").id, OPERATOR, "mended", "dead letters steps-prod:7"))
    assert the(after, "2").lines == the(lane, "2").lines + 1
    assert the(after, "2").stages == the(lane, "2").stages
    assert (due(after), after.champions) == (due(lane), lane.champions)


# --- with the files of a newer bundle ---------------------------------------------------------------------------------


def test_a_retry_with_other_files_begins_at_validate_and_asks_for_approval_again() -> None:
    lane = approved_and_failed("deploy")
    again = Retried(KEY, the(lane).id, OPERATOR, "mended", renewed=Renewed("b" * 64, ("scoring/score.py",)))
    lane = ask(lane, again)
    assert in_flight(lane) == ["prod.validate"]
    assert due(lane)[0].bundle == the(lane).bundle == "b" * 64
    lane = run(lane)
    assert in_flight(lane) == []
    assert [step.plan.name for stage in the(lane).stages if (step := stage.current)] == ["approve"]


def test_a_retry_with_the_same_files_in_a_newer_bundle_keeps_its_approval() -> None:
    lane = approved_and_failed("deploy")
    lane = run(ask(lane, Retried(KEY, the(lane).id, OPERATOR, "again", renewed=Renewed("b" * 64))))
    assert the(lane).status is PromotionStatus.SUCCEEDED
    assert the(lane).bundle == "b" * 64
    assert lane.champions["prod"].bundle == "b" * 64


@pytest.mark.parametrize(
    ("changed", "says"),
    [
        ((), "with the files of bundle bbbbbbbbbbbb, which are the same for this promotion"),
        (
            ("score.py",),
            "with the files of bundle bbbbbbbbbbbb: score.py changed, so earlier approvals no longer count",
        ),
        (tuple("abcdefg"), "a, b, c, d, e and 2 more changed"),
    ],
)
def test_the_journal_says_which_files_a_retry_uses(changed: tuple[str, ...], says: str) -> None:
    lane = failed("deploy")
    event = Retried(KEY, the(lane).id, OPERATOR, "mended", renewed=Renewed("b" * 64, changed))
    [line] = [entry.text for entry in decide(lane, event, NOW).journal if entry.what == "retried"]
    assert says in line
