"""Cancel, roll back, retry, release, and what the routes show meanwhile."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any
from urllib.parse import quote

import pytest
import yaml

from shared.core.lane_notes import Hold
from shared.core.messages import Failed, FailureKind, LaneKey, Running
from shared.core.promotion import Lane
from tests.core.world import NOW, answer
from tests.functions.conftest import ALICE, BOB, Api

BROKEN = {("test", "deploy"): Failed("init() raised KeyError", FailureKind.CONTAINER_CRASH)}


def served(api: Api, version: str) -> str:
    """A promotion that serves the stage test."""
    promotion = api.start(version, through="test")
    api.run()
    return promotion


def test_a_cancelled_promotion_ends_and_its_answer_says_what_was_done(api: Api) -> None:
    promotion = api.start("1")
    cancelled = api.post(f"promotions/{promotion}/cancel", {"reason": "not now"}, ALICE)
    assert (cancelled.status, cancelled.body["done"]) == (202, "cancelled by alice: not now")
    assert cancelled.body["promotion"]["status"] == "running", "the step under way must answer first"
    [command] = api.steps
    api.bus.commands.clear()
    api.app.lanes.apply(answer(command, Running(timedelta(seconds=30), "copying")))
    ended = api.get(f"promotions/{promotion}").body
    assert ended["status"] == "cancelled"
    [step, *_] = ended["stages"][0]["steps"]
    assert (step["name"], step["status"], step["next_poll"]) == ("share", "stopped", None)
    assert step["ended"] is not None


def test_a_rollback_holds_the_stage_until_it_is_released(api: Api) -> None:
    served(api, "1")
    second = served(api, "2")
    answer = api.post(f"promotions/{second}/roll-back", {"reason": "wrong answers"}, ALICE)
    assert (answer.status, answer.body["done"]) == (202, "rolled back by alice: wrong answers")
    api.run()
    third = api.start("3")
    [lane] = api.get("routes").body["value"]
    stages = {stage["name"]: stage for stage in lane["stages"]}
    assert list(stages) == ["test", "prod"]
    assert stages["test"]["champion"]["version"] == "1"
    assert (stages["test"]["hold"]["by"], stages["test"]["hold"]["promotion"]) == ("alice", second)
    assert [one["promotion"] for one in stages["test"]["queue"]] == [third]
    assert stages["prod"] == {
        "name": "prod",
        "configured": True,
        "champion": None,
        "challengers": [],
        "queue": [],
        "hold": None,
    }
    [wait] = api.get(f"promotions/{third}").body["waits"]
    assert wait["for"] == "the hold on test to be released, set by alice: wrong answers"

    released = api.post("routes/churn/churn-eu/stages/test/release", {"reason": "mended"}, ALICE)
    assert (released.status, released.body["done"]) == (202, "released by alice: mended")
    stages = {stage["name"]: stage for stage in released.body["route"]["stages"]}
    assert stages["test"]["hold"] is None
    assert [one["promotion"] for one in stages["test"]["challengers"]] == [third]
    journal = api.get(f"promotions/{second}").body["journal"]
    assert (journal[-1]["what"], journal[-1]["text"]) == ("released", "alice: mended")


def test_a_retry_and_the_promotion_say_which_settings_have_changed_since(api: Api) -> None:
    promotion = api.start("1", through="test")
    api.run(BROKEN)
    assert api.get(f"promotions/{promotion}").body["changed_settings"] == []
    file = api.app.settings.configuration_path
    file.write_text(file.read_text().replace("max_latency: 500ms", "max_latency: 1500ms"))
    assert api.get(f"promotions/{promotion}").body["changed_settings"] == ["test.smoke.max_latency"]
    again = api.post(f"promotions/{promotion}/retry", {"reason": "mended"}, ALICE).body["promotion"]
    assert again["changed_settings"] == ["test.smoke.max_latency"]
    assert api.get(f"promotions/{api.start('2')}").body["changed_settings"] == []


def test_a_failed_promotion_is_tried_again_and_what_is_deployed_is_validated_again(api: Api) -> None:
    promotion = api.start("1", through="test")
    api.run(BROKEN)
    again = api.post(f"promotions/{promotion}/retry", {"reason": "mended"}, ALICE)
    assert (again.status, again.body["done"]) == (202, "retried by alice: mended; from test")
    assert [(command.step, command.attempt) for command in api.steps] == [("share", 2)], "files may differ"
    api.run()
    assert api.get(f"promotions/{promotion}").body["status"] == "succeeded"


def test_what_does_not_apply_is_a_conflict_with_the_present_status(api: Api) -> None:
    promotion = served(api, "1")
    for action, detail in {
        "cancel": "the promotion has ended: it has succeeded",
        "retry": "only a failed or refused promotion can be retried; it has succeeded; start a new promotion instead",
        "roll-back": "nothing served test before this promotion, so there is nothing to roll back to",
        "reject": "nothing waits for approval; the promotion has succeeded",
    }.items():
        answer = api.post(f"promotions/{promotion}/{action}", {"reason": "why not"}, ALICE)
        assert (answer.status, answer.body["detail"]) == (409, detail)
        assert answer.body["promotion"]["status"] == "succeeded"


@pytest.mark.parametrize("action", ["cancel", "roll-back", "retry"])
def test_steering_requires_a_signed_in_operator(action: str, api: Api) -> None:
    promotion = api.start("1")
    assert api.post(f"promotions/{promotion}/{action}", {"reason": "x"}).status == 403
    answer = api.post(f"promotions/{promotion}/{action}", {"reason": "x"}, BOB)
    assert (answer.status, answer.body["detail"]) == (403, "bob needs the role Promotion.Operator to do this.")
    assert api.get(f"promotions/{promotion}").body["status"] == "running"


@pytest.mark.parametrize("action", ["approve", "reject", "cancel", "roll-back", "retry"])
def test_a_promotion_that_does_not_exist_cannot_be_steered(action: str, api: Api) -> None:
    answer = api.post(f"promotions/nobody/{action}", {"reason": "x"}, ALICE)
    assert (answer.status, answer.body["title"]) == (404, "Not found")


MODEL_STEPS = (
    "soak, share, share_data, validate, check_capacity, evaluate, approve, make_room, deploy, smoke, invoke, rollout, "
    "shift, watch, move_monitor, retire"
)
STEPS = f"{MODEL_STEPS}, register, register_components, inspect, run, compare, register_model"
NO_SUCH_STEP = f"from_step: unknown step 'bake'; known are {STEPS}"


@pytest.mark.parametrize(
    ("action", "body", "detail"),
    [
        ("approve", {}, "reason: missing"),
        ("cancel", {"reason": "x", "stage": "test"}, "stage: unknown; known are reason"),
        ("retry", {"reason": "x", "from_step": 3}, "from_step: must be a string of 1 to 2000 characters"),
        ("retry", {"reason": "x", "from_step": "bake"}, NO_SUCH_STEP),
        ("roll-back", [], "the body must be a JSON object"),
    ],
)
def test_a_wrong_body_is_reported_in_words(action: str, body: object, detail: str, api: Api) -> None:
    promotion = api.start("1")
    answer = api.post(f"promotions/{promotion}/{action}", body, ALICE)
    assert (answer.status, answer.body["detail"]) == (400, detail)


def test_lanes_come_in_pages_in_the_order_of_their_names(api: Api) -> None:
    for model in ("churn-b", "churn-c", "churn-a"):
        api.post("promotions", {"model": model, "version": "1", "reason": "x"})
    first = api.get("routes?top=2").body
    assert [lane["model"] for lane in first["value"]] == ["churn-a", "churn-b"]
    following = api.get("routes?" + first["next_link"].partition("?")[2]).body
    assert [lane["model"] for lane in following["value"]] == ["churn-c"]
    assert following["next_link"] is None
    assert [lane["model"] for lane in api.get("routes?model=churn-b").body["value"]] == ["churn-b"]


@pytest.mark.parametrize(
    "query", ["top=0", "top=x", "continuation=nonsense", "continuation=7", "status=queued", "route=unheard"]
)
def test_an_invalid_query_of_lanes_is_refused(query: str, api: Api) -> None:
    assert api.get(f"routes?{query}").status == 400


def test_a_lane_that_does_not_exist_cannot_be_released(api: Api) -> None:
    answer = api.post("routes/churn/churn-eu/stages/test/release", {"reason": "x"}, ALICE)
    assert (answer.status, answer.body["detail"]) == (404, "No churn-eu has been promoted along route churn.")
    assert answer.body["see"] == "/api/routes"


def test_a_stage_without_a_hold_cannot_be_released(api: Api) -> None:
    api.start("1")
    answer = api.post("routes/churn/churn-eu/stages/test/release", {"reason": "x"}, ALICE)
    assert (answer.status, answer.body["detail"]) == (409, "there is no hold on test")


@pytest.mark.parametrize("model", ["churn eu", "churn+eu", "churn%eu", "churn?eu#1", "čurn"])
def test_a_model_with_signs_that_an_address_needs_otherwise_is_named_percent_encoded(model: str, api: Api) -> None:
    empty = Lane(LaneKey("churn", model))
    held = Lane(empty.key, holds={"test": Hold("p", "alice", "bad", NOW)})
    api.app.store.save(empty, held, 0, ())
    released = api.post(f"routes/churn/{quote(model, safe='')}/stages/test/release", {"reason": "ok"}, ALICE)
    assert released.status == 202
    assert released.body["route"]["model"] == model


@pytest.mark.parametrize(("action", "who"), [("approve", BOB), ("reject", BOB), ("roll-back", ALICE)])
def test_a_stage_that_the_promotion_does_not_have_is_named_with_those_it_has(
    action: str, who: dict[str, str], api: Api
) -> None:
    promotion = served(api, "1")
    answer = api.post(f"promotions/{promotion}/{action}", {"reason": "x", "stage": "nowhere"}, who)
    assert (answer.status, answer.body["detail"]) == (409, "the promotion has no stage nowhere; its stages are test")


def test_a_stage_that_the_route_does_not_have_cannot_be_released(api: Api) -> None:
    api.start("1", through="test")
    answer = api.post("routes/churn/churn-eu/stages/nowhere/release", {"reason": "x"}, ALICE)
    assert (answer.status, answer.body["detail"]) == (404, "Route churn has no stage nowhere. Its stages: test, prod.")


def edit_configuration(api: Api, change: Callable[[Any], object]) -> None:
    """Change the file while the app runs."""
    file = api.app.settings.configuration_path
    content = yaml.safe_load(file.read_text(encoding="utf-8"))
    change(content)
    file.write_text(yaml.safe_dump(content), encoding="utf-8")


def test_a_lane_whose_route_is_gone_is_marked(api: Api) -> None:
    served(api, "1")
    assert api.get("routes").body["value"][0]["configured"] is True
    edit_configuration(api, lambda content: content["routes"].pop("churn"))
    [lane] = api.get("routes").body["value"]
    assert lane["configured"] is False
    assert {stage["name"]: stage["configured"] for stage in lane["stages"]} == {"test": False}


def test_a_stage_that_its_route_has_lost_is_marked(api: Api) -> None:
    served(api, "1")
    edit_configuration(api, lambda content: content["routes"]["churn"]["stages"].pop(0))
    [lane] = api.get("routes").body["value"]
    assert lane["configured"] is True
    assert {stage["name"]: stage["configured"] for stage in lane["stages"]} == {"prod": True, "test": False}
