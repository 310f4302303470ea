"""Each violation, put into a world without any, is reported as that violation and nothing else."""

from dataclasses import replace

import pytest

from tests.chaos import invariants
from tests.chaos.invariants import violations
from tests.chaos.world import Answer, Deployment, Endpoint, Line, Promotion, Queue, Request, Serving, Stage, Told, World

MODEL, STAGE, PROD = "straight-1", "prod", "prod/straight-1"
FIRST, SECOND = "straight-1-1-aaa", "straight-1-2-bbb"
REASON = "no. 00001"
BUNDLE = "a" * 64
LEFT_ALONE = Stage(STAGE, "succeeded", left_alone=frozenset({"v1-a", "v1-b"}))
RETIRED = Line("step-succeeded", "done", STAGE, "retire")


def promotion(version: str, id: str, *lines: Line, **more: object) -> Promotion:
    """One that has succeeded by itself."""
    journal = (
        Line("requested", f"{MODEL}, version {version} from dev, by event-grid"),
        Line("stage-started", "in prod", STAGE),
        Line("step-succeeded", "done", STAGE, "deploy"),
        Line("step-succeeded", "done", STAGE, "shift"),
        *(lines or (RETIRED,)),
        Line("succeeded", "done"),
    )
    stages = (Stage(STAGE, "succeeded"),)
    known = Promotion(id, "straight", MODEL, version, "succeeded", "event-grid", stages, journal, BUNDLE)
    return replace(known, **more)  # type: ignore[arg-type]


REPLACED = promotion("1", FIRST)
CHAMPION = promotion(
    "2", SECOND, RETIRED, Line("retried", f"alice: {REASON}; retire is looked at now", STAGE, "retire")
)
SERVING = Serving("straight", MODEL, STAGE, "prod", MODEL, SECOND, "2")
DEPLOYED = Deployment("v2-b", "2", SECOND, STAGE)
STRAY = Deployment("v1-a", "1", FIRST, STAGE)
ENDPOINT = Endpoint("prod", MODEL, {"v2-b": 100}, (DEPLOYED,), "2", "old")
ASKED = Request("retried", "alice", REASON, Answer.DONE, frozenset({SECOND}))
SOUND = World(
    registered=frozenset({(MODEL, "1"), (MODEL, "2")}),
    promotions=(CHAMPION, REPLACED),
    serving=(SERVING,),
    endpoints=(ENDPOINT,),
    queues=(Queue("steps-prod", dead=frozenset({"steps-prod:7"})),),
    listed=frozenset({"steps-prod:7"}),
    requests=(ASKED,),
    told=(Told(SECOND, 2, Line("stage-started", "in prod", STAGE)),),
    editions={BUNDLE: "old"},
)


def with_champion(*lines: Line, **more: object) -> World:
    return replace(SOUND, promotions=(promotion("2", SECOND, *lines, *CHAMPION.journal[4:-1], **more), REPLACED))


def with_replaced(*lines: Line, **more: object) -> World:
    """With the deployment of the first version still there."""
    endpoint = replace(ENDPOINT, deployments=(DEPLOYED, STRAY))
    return replace(SOUND, promotions=(CHAMPION, promotion("1", FIRST, *lines, **more)), endpoints=(endpoint,))


BROKEN = {
    "lost: straight-1 3 was registered, and no promotion came of it": replace(
        SOUND, registered=SOUND.registered | {(MODEL, "3")}
    ),
    "lost: straight-1 1 was registered, and no promotion came of it": replace(
        SOUND, promotions=(CHAMPION, replace(REPLACED, requested_by="alice"))
    ),
    "lost: alice's request 'why' (cancelled) was answered as done, and no journal shows it": replace(
        SOUND, requests=(ASKED, Request("cancelled", "alice", "why", Answer.DONE))
    ),
    f"lost: alice's request 'why' (cancelled) was answered as done, and the journal of {FIRST} does not show it": (
        replace(SOUND, requests=(ASKED, Request("cancelled", "alice", "why", Answer.DONE, frozenset({FIRST}))))
    ),
    "doubled: 2 promotions came of the registration of straight-1 1": replace(
        SOUND, promotions=(CHAMPION, REPLACED, replace(REPLACED, id="straight-1-1-ccc"))
    ),
    f"doubled: alice's request '{REASON}' (retried) is in the journal of {SECOND} 2 times for prod": with_champion(
        CHAMPION.journal[5]
    ),
    f"doubled: alice's request '{REASON}' (retried) was answered as not done, and is in the journal of {SECOND}": (
        replace(SOUND, requests=(replace(ASKED, answer=Answer.NOTHING, promotions=None),))
    ),
    f"doubled: {SECOND} has prod.deploy done 2 times in attempt 2": with_champion(
        Line("step-succeeded", "done", STAGE, "deploy")
    ),
    f"doubled: {FIRST} has 2 deployments for prod": replace(
        with_replaced(stages=(LEFT_ALONE,)),
        endpoints=(replace(ENDPOINT, deployments=(DEPLOYED, STRAY, replace(STRAY, name="v1-b"))),),
    ),
    f"doubled: line 9 of {SECOND} was published, and is not in its journal": replace(
        SOUND, told=(Told(SECOND, 9, Line("succeeded", "done")),)
    ),
    f"stuck: {FIRST} is still running (prod succeeded)": replace(
        SOUND, promotions=(CHAMPION, replace(REPLACED, status="running"))
    ),
    "stuck: steps-prod has 1 messages left, and 0 that are scheduled": replace(
        SOUND, queues=(Queue("steps-prod", active=1),)
    ),
    "stuck: steps-prod has 0 messages left, and 2 that are scheduled": replace(
        SOUND, queues=(Queue("steps-prod", scheduled=2),)
    ),
    "stuck: the dead letter steps-prod:7 is not among the failures that the app lists": replace(
        SOUND, listed=frozenset()
    ),
    "stuck: prod of straight/straight-1 is held though its hold was to be released": replace(
        SOUND, serving=(replace(SERVING, is_held=True),)
    ),
    f"orphaned: deployment v1-a of {PROD} ({FIRST}) is not the champion's, and no journal says that it was left": (
        with_replaced()
    ),
    "orphaned: deployment x of test/other (nobody) belongs to no stage of a lane that the app knows": replace(
        SOUND, endpoints=(ENDPOINT, Endpoint("test", "other", {}, (Deployment("x", "1", "nobody", "test"),), None))
    ),
    "disagreeing: the champion of prod/straight-1 is version 2, and version 1 answers": replace(
        SOUND, endpoints=(replace(ENDPOINT, answer="1"),)
    ),
    "disagreeing: the champion of prod/straight-1 is version 2, and version None answers": replace(
        SOUND, endpoints=(replace(ENDPOINT, answer=None),)
    ),
    f"disagreeing: the champion of {PROD} is {SECOND}; its traffic is {{'v2-b': 50}}, of {{'v2-b': '{SECOND}'}}": (
        replace(SOUND, endpoints=(replace(ENDPOINT, traffic={"v2-b": 50}),))
    ),
    "disagreeing: straight-1 has no champion in prod, and its traffic is {'v3-c': 100}": replace(
        SOUND,
        serving=(replace(SERVING, promotion=None, version=None),),
        endpoints=(replace(ENDPOINT, traffic={"v3-c": 100}, deployments=()),),
    ),
    "disagreeing: version 2 serves prod, and there is no endpoint straight-1": replace(SOUND, endpoints=()),
}


def test_where_all_is_well_nothing_is_reported() -> None:
    assert violations(SOUND) == []
    assert invariants.left(SOUND) == []
    assert SOUND.is_at_rest


@pytest.mark.parametrize("text", BROKEN)
def test_each_violation_is_reported_as_what_it_is(text: str) -> None:
    assert [str(each) for each in violations(BROKEN[text])] == [text]


def test_a_line_that_was_published_under_the_number_of_another_is_reported() -> None:
    (found,) = violations(replace(SOUND, told=(Told(SECOND, 3, Line("succeeded", "done")),)))
    assert found.kind == "doubled"
    assert found.text.startswith(f"line 3 of {SECOND} was published as ")


@pytest.mark.parametrize(
    "left",
    [
        with_replaced(RETIRED, Line("step-failed", "conflict: it takes traffic", STAGE, "remove")),
        with_replaced(Line("rolled-back", "alice: x", STAGE), Line("abandoned", "alice: y", STAGE)),
        with_replaced(stages=(LEFT_ALONE,)),
        replace(
            with_replaced(),
            promotions=(
                promotion(
                    "2",
                    SECOND,
                    Line("step-failed", "conflict: it no longer serves", STAGE, "retire"),
                    CHAMPION.journal[5],
                    stages=(Stage(STAGE, "succeeded", others=frozenset({"v1-a"})),),
                ),
                REPLACED,
            ),
        ),
    ],
    ids=["its removal failed", "its removal was abandoned", "retire left it alone", "retire failed"],
)
def test_a_deployment_reported_as_left_is_no_orphan(left: World) -> None:
    assert violations(left) == []
    assert invariants.left(left) == [f"deployment v1-a of {PROD} ({FIRST})"]


def test_a_deployment_whose_way_back_was_walked_again_to_its_end_must_be_gone() -> None:
    again = with_replaced(
        Line("rolled-back", "alice: x", STAGE),
        Line("abandoned", "alice: y", STAGE),
        Line("rolled-back", "alice: z", STAGE),
        Line("step-succeeded", "done", STAGE, "remove"),
    )
    assert [each.kind for each in violations(again)] == ["orphaned"]


def test_a_step_may_be_done_once_more_in_another_attempt() -> None:
    again = Line("stage-started", "in prod", STAGE), Line("step-succeeded", "done", STAGE, "deploy")
    assert violations(with_champion(*again)) == []


def test_a_request_that_was_not_answered_may_have_been_done_but_not_twice() -> None:
    unsure = replace(ASKED, answer=Answer.NONE, promotions=None)
    assert violations(replace(SOUND, requests=(unsure, replace(unsure, reason="no. 00002")))) == []
    twice = replace(with_champion(CHAMPION.journal[5]), requests=(unsure,))
    assert [each.kind for each in violations(twice)] == ["doubled"]


def test_a_request_may_be_about_several_stages_of_a_promotion() -> None:
    elsewhere = replace(CHAMPION.journal[5], stage="test")
    assert violations(with_champion(elsewhere)) == []


def test_how_a_promotion_ended_is_not_taken_for_the_request_that_ended_it() -> None:
    lines = Line("cancelled", "alice: why"), Line("cancelled", "prod: cancelled by alice: why")
    asked = Request("cancelled", "alice", "why", Answer.DONE, frozenset({FIRST}))
    ended = promotion("1", FIRST, *lines)
    assert violations(replace(SOUND, promotions=(CHAMPION, ended), requests=(ASKED, asked))) == []


@pytest.mark.parametrize(
    "restless",
    [
        replace(SOUND, registered=SOUND.registered | {(MODEL, "3")}),
        replace(SOUND, promotions=(CHAMPION, replace(REPLACED, status="queued"))),
        replace(SOUND, queues=(Queue("steps-prod", scheduled=1),)),
    ],
    ids=["a registration was not noticed", "a promotion is under way", "a message is left"],
)
def test_what_is_under_way_is_not_at_rest(restless: World) -> None:
    assert not restless.is_at_rest
