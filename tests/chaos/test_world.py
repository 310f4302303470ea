"""How the values of the world are read from what the app and its topic say."""

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from tests.chaos.observation import told_of
from tests.chaos.world import Line, Stage, Step, Told, promotion_of


def step(name: str, status: str = "succeeded", started: str | None = None, **evidence: Any) -> dict[str, Any]:
    return {"name": name, "status": status, "started": started, "ended": None, "evidence": evidence}


def shown(steps: list[dict[str, Any]], undoing: list[dict[str, Any]], status: str) -> dict[str, Any]:
    """A promotion as the API shows it, with one stage."""
    more = {"replaces": "1", "kept_until": None, "attempt": 1}
    return {
        "id": "m-1-abc",
        "route": "straight",
        "model": "m",
        "version": "1",
        "status": "failed",
        "requested_by": "alice",
        "stages": [{"name": "prod", "status": status, "steps": steps, "undoing": undoing, **more}],
        "bundle": "abc",
        "journal": [
            {"at": "2026-11-21T12:00:00+00:00", "what": "requested", "text": "m, by alice", "stage": "", "step": ""}
        ],
    }


def test_the_deployments_that_steps_speak_of_are_read_from_their_evidence() -> None:
    steps = [step("shift", others=["v0-a", "v0-b"]), step("retire", left_alone={"v0-a": "not made by this route"})]
    found = promotion_of(shown(steps, [step("remove", left_alone="v1-c")], "succeeded"))
    (stage,) = found.stages
    assert replace(stage, steps=()) == Stage(
        "prod", "succeeded", {"remove": "succeeded"}, frozenset({"v0-a", "v1-c"}), frozenset({"v0-a", "v0-b"}), "1"
    )
    assert found.journal == (Line("requested", "m, by alice"),)


def test_what_a_stage_has_deployed_and_when_its_steps_began_is_read() -> None:
    steps = [step("deploy", started="2026-11-21T12:00:00+00:00", deployment="v1-a"), step("shift", "waiting")]
    (stage,) = promotion_of(shown(steps, [], "running")).stages
    assert stage.steps == (Step("deploy", started=datetime(2026, 11, 21, 12, tzinfo=UTC)), Step("shift", "waiting"))
    assert (stage.deployment, stage.attempt) == ("v1-a", 1)


def test_a_step_whose_figures_were_out_of_bounds_is_read_from_its_evidence() -> None:
    def seen(*results: str) -> dict[str, Any]:
        return {"live": {"findings": [{"result": each} for each in results]}}

    steps = [step("rollout-1", seen={"live": None}), step("rollout-2", seen=seen("passed"))]
    (stage,) = promotion_of(shown([*steps, step("watch", seen=seen("passed", "breached"))], [], "refused")).stages
    assert stage.breached == {"watch"}


def test_a_stage_is_half_undone_when_a_step_of_its_way_back_did_not_succeed() -> None:
    def is_half_undone(status: str, *undone: str) -> bool:
        (stage,) = promotion_of(shown([], [step(str(name), each) for name, each in enumerate(undone)], status)).stages
        return stage.is_half_undone

    assert is_half_undone("failed", "succeeded", "stopped")
    assert is_half_undone("failed", "failed")
    assert not is_half_undone("failed", "succeeded")
    assert not is_half_undone("rolled-back", "succeeded")


def test_a_published_line_is_read_with_its_number() -> None:
    data = {
        "promotion": {"id": "m-1-abc"},
        "number": 3,
        "what": "succeeded",
        "text": "done",
        "stage": None,
        "step": None,
    }
    assert told_of({"data": data}) == Told("m-1-abc", 3, Line("succeeded", "done"))
