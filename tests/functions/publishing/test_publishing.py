"""Publishing over HTTP: who may, what is refused, and what counts afterwards."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from shared.config import bundle
from shared.core.events import RolledBack
from shared.core.holds import HoldLine
from shared.core.journal import JournalEntry
from shared.core.messages import LaneKey
from shared.core.promotion import Lane
from shared.ports import Publication, Topic
from tests.config.teams import CHURN, GROUP, edited
from tests.core.people import OPERATOR
from tests.functions.conftest import ALICE, ISSUER, Api, Reply

PAUL = ISSUER.headers("paul", "Promotion.Publisher")
CARLA = ISSUER.headers("carla", "Credit.Publisher")
#: By group, for credit-team.
GRETA = ISSUER.headers("greta", groups=[GROUP.upper()])
MANY = ISSUER.headers("many", hasgroups=True)


LANE_HELD = "churn-team/scores/churn-eu/test"


class ToldTopic(Topic):
    """Keeps what was told of sources."""

    def __init__(self) -> None:
        self.told: list[tuple[str, str, str]] = []

    def publish(self, lane: Lane, journal: Sequence[JournalEntry]) -> bool:
        return True

    def publish_holds(self, lines: Sequence[HoldLine]) -> bool:
        return True

    def tell_of_source(self, source: str, digest: str, trouble: str) -> None:
        self.told.append((source, digest, trouble))

    def check(self) -> None:
        """It is there."""


def kept(api: Api, files: Mapping[str, bytes], source: str = "churn-team", by: Mapping[str, str] = PAUL) -> str:
    """Store a bundle; its digest."""
    digest = bundle.digest_of(files)
    answer = api.ask("PUT", f"sources/{source}/bundles/{digest}", bundle.archived(files), by)
    assert answer.status == 200, answer.body
    return digest


def publish(
    api: Api, digest: str, expected: str | None = None, source: str = "churn-team", by: Mapping[str, str] = PAUL
) -> Reply:
    return api.post(f"sources/{source}/publish", {"digest": digest, "expected": expected, "reason": "a test"}, by)


def published(
    api: Api,
    files: Mapping[str, bytes],
    expected: str | None = None,
    source: str = "churn-team",
    by: Mapping[str, str] = PAUL,
) -> str:
    digest = kept(api, files, source, by)
    answer = publish(api, digest, expected, source, by)
    assert answer.status == 200, answer.body
    return digest


def source(api: Api, name: str = "churn-team") -> Any:
    return api.get(f"sources/{name}", ALICE).body


def test_before_anything_is_published_there_are_sources_without_routes(api: Api) -> None:
    assert api.get("sources", ALICE).body["value"] == [
        {"source": name, "published": None, "routes": [], "trouble": None} for name in ("churn-team", "credit-team")
    ]
    assert api.post("promotions", {"model": "churn-eu", "version": "1", "reason": "x"}, ALICE).status == 400


def test_what_is_published_counts_at_once_under_the_names_of_its_source(api: Api) -> None:
    digest = published(api, CHURN)
    assert source(api)["routes"] == ["churn-team/scores"]
    assert source(api)["published"]["digest"] == digest
    started = api.post("promotions", {"model": "churn-eu", "version": "1", "reason": "x"}, ALICE)
    assert (started.status, started.body["route"], started.body["bundle"]) == (202, "churn-team/scores", digest)
    [command] = api.steps
    assert command.bundle == digest


def test_the_preview_says_what_would_change_and_changes_nothing(api: Api) -> None:
    first = published(api, CHURN)
    changed = kept(api, edited(("scoring/score.py", "pass", "print()"), ("promotion.yml", "churn-*", "churn-e*")))
    seen = api.post("sources/churn-team/preview", {"digest": changed}, PAUL).body
    assert (seen["expected"], seen["faults"]) == (first, [])
    assert seen["changes"] == [
        {
            "route": "churn-team/scores",
            "change": "changed",
            "settings": [{"place": "models", "before": ["churn-*"], "after": ["churn-e*"]}],
            "files": ["scoring/score.py"],
        }
    ]
    assert source(api)["published"]["digest"] == first


def test_the_preview_names_the_limit_of_a_gate_that_changes_and_nothing_else(api: Api) -> None:
    def gated(*gates: str) -> dict[str, bytes]:
        smoke = "        smoke: {requests: smoke/churn.jsonl}\n"
        return edited(("promotion.yml", smoke, f"{smoke}        validate: [{', '.join(gates)}]\n"))

    published(api, gated("{metric: auc, at_least: 0.8}", "{metric: rmse, at_most: 80}", "{metric: f1, at_least: 0.5}"))
    changed = kept(api, gated("{metric: rmse, at_most: 60}", "{metric: auc, at_least: 0.8}"))
    [change] = api.post("sources/churn-team/preview", {"digest": changed}, PAUL).body["changes"]
    assert change["settings"] == [
        {"place": "stages.test.validate.f1", "before": {"at_least": 0.5, "higher_is_better": True}, "after": None},
        {"place": "stages.test.validate.rmse.at_most", "before": 80.0, "after": 60.0},
    ]


def test_a_wrong_bundle_is_refused_with_all_its_faults_and_the_pointer_stays(api: Api) -> None:
    first = published(api, CHURN)
    wrong = kept(api, edited(("promotion.yml", "from: dev", "from: dve"), ("smoke/churn.jsonl", "request", "req")))
    seen = api.post("sources/churn-team/preview", {"digest": wrong}, PAUL).body["faults"]
    refused = publish(api, wrong, first)
    assert (refused.status, refused.body["faults"]) == (400, seen)
    assert [fault["place"] for fault in seen] == ["routes.scores.from", "routes.scores.stages[0].smoke.requests"]
    assert source(api)["published"]["digest"] == first


def test_a_policy_cannot_be_softened(api: Api) -> None:
    softer = b"environments: {prod: {policy: {approvals: 0}}}\n" + CHURN["promotion.yml"]
    refused = publish(api, kept(api, {**CHURN, "promotion.yml": softer}))
    assert refused.status == 400
    assert "environments: belongs to the app's platform.yml" in refused.body["detail"]
    assert source(api)["published"] is None


def test_of_two_who_saw_the_same_the_second_is_told(api: Api) -> None:
    first = published(api, CHURN)
    second = published(api, edited(("scoring/score.py", "pass", "print()")), first)
    late = publish(api, kept(api, edited(("scoring/score.py", "pass", "1"))), first)
    assert (late.status, late.body["expected"]) == (409, second)
    assert "Somebody else has published to churn-team since you looked" in late.body["detail"]


def test_it_goes_back_to_an_earlier_bundle_and_the_history_says_so(api: Api) -> None:
    first = published(api, CHURN)
    second = published(api, edited(("scoring/score.py", "pass", "print()")), first)
    assert publish(api, first, second).status == 200
    assert source(api)["published"]["digest"] == first
    history = source(api)["history"]
    assert [(each["digest"], each["back"], each["name"]) for each in history] == [
        (first, True, "paul"),
        (second, False, "paul"),
        (first, False, "paul"),
    ]


def test_publishing_what_counts_already_changes_nothing(api: Api) -> None:
    first = published(api, CHURN)
    assert publish(api, first, first).status == 200
    assert len(source(api)["history"]) == 1


def test_only_the_publishers_of_a_source_may_publish_to_it(api: Api) -> None:
    digest = bundle.digest_of(CHURN)
    archive = bundle.archived(CHURN)
    for by, name in ((CARLA, "churn-team"), (ALICE, "churn-team"), (PAUL, "credit-team"), (GRETA, "churn-team")):
        answer = api.ask("PUT", f"sources/{name}/bundles/{digest}", archive, by)
        assert answer.status == 403, answer.body
        assert "platform.yml names its publishers" in answer.body["detail"]
    for by in (CARLA, GRETA):
        assert api.ask("PUT", f"sources/credit-team/bundles/{digest}", archive, by).status == 200
    assert api.ask("PUT", f"sources/churn-team/bundles/{digest}", archive).status == 403


def test_who_is_in_too_many_groups_for_a_token_is_told_what_to_do(api: Api) -> None:
    refused = api.ask("PUT", f"sources/credit-team/bundles/{bundle.digest_of(CHURN)}", b"", MANY)
    assert refused.status == 403
    assert "set groupMembershipClaims of its app registration to ApplicationGroup" in refused.body["detail"]


def test_the_second_team_on_the_same_models_is_told_of_the_first(api: Api) -> None:
    published(api, CHURN)
    refused = publish(api, kept(api, CHURN, "credit-team", CARLA), None, "credit-team", CARLA)
    assert refused.status == 400
    assert "are promoted by churn-team/scores already" in refused.body["detail"]


def test_an_archive_that_is_another_than_its_digest_says_is_refused(api: Api) -> None:
    refused = api.ask("PUT", f"sources/churn-team/bundles/{'0' * 64}", bundle.archived(CHURN), PAUL)
    assert (refused.status, "Build it again" in refused.body["detail"]) == (400, True)


def test_what_was_never_stored_cannot_be_published(api: Api) -> None:
    refused = publish(api, "0" * 64)
    assert (refused.status, refused.body["detail"]) == (400, f"There is no bundle {'0' * 64}. Publish it again.")


def test_a_bad_bundle_put_by_hand_does_not_count_and_the_last_good_one_does(api: Api) -> None:
    good = published(api, CHURN)
    bad = edited(("promotion.yml", "from: dev", "from: nowhere"))
    bundles = api.app.bundles
    bundles.keep(bundle.digest_of(bad), bundle.archived(bad))
    before = bundles.pointer("churn-team")
    assert before
    by_hand = Publication(bundle.digest_of(bad), "", "somebody", "by hand", before.publications[0].at)
    bundles.publish("churn-team", by_hand, before)
    told = api.app.topic = ToldTopic()
    for _ in range(2):
        api.app.published.forget()
        api.app.take_up_bundles()
    found = source(api)
    assert [(name, digest) for name, digest, _ in told.told] == [("churn-team", bundle.digest_of(bad))]
    assert found["published"]["digest"] == good
    assert "unknown environment 'nowhere'" in found["trouble"]
    started = api.post("promotions", {"model": "churn-eu", "version": "1", "reason": "x"}, ALICE)
    assert started.body["bundle"] == good


def test_an_app_with_routes_of_its_own_has_no_sources(api: Api, tmp_path: Path) -> None:
    assert api.get("sources/other", ALICE).status == 404
    assert "Sources: churn-team, credit-team" in api.get("sources/other", ALICE).body["detail"]


def test_the_lane_of_a_published_route_is_found_by_its_name_in_a_path(api: Api) -> None:
    published(api, CHURN)
    assert api.post("promotions", {"model": "churn-eu", "version": "1", "reason": "x"}, ALICE).status == 202
    answer = api.post("routes/churn-team%2Fscores/churn-eu/stages/test/release", {"reason": "fine"}, ALICE)
    assert (answer.status, answer.body["detail"]) == (409, "there is no hold on test")
    gone = api.post("routes/churn-team%2Fother/stages/test/run", {"reason": "now"}, ALICE)
    assert "There is no pipeline route churn-team/other" in gone.body["detail"]


@pytest.mark.parametrize(
    "scope", ["churn-team/scores", "churn-team/scores/churn-eu", "churn-team/scores/*/test", LANE_HELD]
)
def test_a_published_route_is_held_and_released_by_its_name(scope: str, api: Api) -> None:
    published(api, CHURN)
    answer = api.post("holds", {"scope": scope, "reason": "audit"}, ALICE)
    assert (answer.status, answer.body["value"][0]["scope"]) == (202, scope), answer.body
    started = api.post("promotions", {"model": "churn-eu", "version": "1", "reason": "x"}, ALICE)
    [wait] = api.get(f"promotions/{started.body['id']}").body["waits"]
    assert wait["for"].startswith(f"the hold on {scope} to be released")
    assert api.steps == []
    answer = api.post("holds/release", {"scope": scope, "reason": "over"}, ALICE)
    assert answer.body["done"] == f"{scope} is no longer held, by alice: over"
    assert [command.step for command in api.steps] == ["share"]


def test_the_hold_that_a_rollback_set_on_a_published_stage_is_released_by_its_scope(api: Api) -> None:
    published(api, CHURN)
    for version in ("1", "2"):
        started = api.post("promotions", {"model": "churn-eu", "version": version, "reason": "x"}, ALICE).body["id"]
        api.run()
    api.app.lanes.apply(RolledBack(LaneKey("churn-team/scores", "churn-eu"), started, OPERATOR, "odd", "test"))
    api.run()
    answer = api.post("holds/release", {"scope": LANE_HELD, "reason": "mended"}, ALICE)
    assert (answer.status, answer.body["done"]) == (202, f"{LANE_HELD} is no longer held, by alice: mended")


def test_a_published_route_that_does_not_exist_is_not_held(api: Api) -> None:
    published(api, CHURN)
    answer = api.post("holds", {"scope": "churn-team/scores/fraud/test", "reason": "x"}, ALICE)
    assert (answer.status, answer.body["detail"]) == (404, "Route churn-team/scores does not take fraud.")
    answer = api.post("holds", {"scope": "churn-team/other", "reason": "x"}, ALICE)
    assert answer.status == 404
    assert answer.body["detail"].endswith("Routes: churn-team/scores.")


def test_a_published_pipeline_is_started_by_the_name_of_its_route(api: Api) -> None:
    stage = "{environment: prod, run: {compute: serverless}}"
    pipelines = f"  training: {{from: dev, pipelines: {{experiment: churn}}, stages: [{stage}]}}\n"
    published(api, {**CHURN, "promotion.yml": CHURN["promotion.yml"] + pipelines.encode()})
    body = {"model": "churn-team/training", "version": "brave_fox", "reason": "try"}
    started = api.post("promotions", body, ALICE)
    assert started.status == 202, started.body
    assert (started.status, started.body["route"], started.body["kind"]) == (202, "churn-team/training", "pipeline")
    [lane] = api.get("routes?route=churn-team/training", ALICE).body["value"]
    assert [each["name"] for each in lane["stages"]] == ["prod"]
    for scope in ("churn-team/training/churn-team/training", "churn-team/training/churn-team/training/prod"):
        held = api.post("holds", {"scope": scope, "reason": "audit"}, ALICE)
        assert (held.status, held.body["value"][0]["scope"]) == (202, scope), held.body
        assert api.post("holds/release", {"scope": scope, "reason": "over"}, ALICE).status == 202
    path = "routes/churn-team%2Ftraining/churn-team%2Ftraining/stages/prod/release"
    assert api.post(path, {"reason": "over"}, ALICE).body["detail"] == "there is no hold on prod"
    unknown = api.post("promotions", {**body, "model": "churn-team/other"}, ALICE)
    assert (unknown.status, unknown.body["detail"].partition(":")[0]) == (400, "model")
