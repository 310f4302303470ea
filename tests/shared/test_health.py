"""What an app finds when it looks at itself."""

import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import jwt
import pytest

from shared.cloud.signing_keys import Keys, KeysUnavailableError, SigningKeys
from shared.cloud.sqlite import SqliteStore
from shared.cloud.sqlite_approvals import SqliteApprovals
from shared.config import Policy, load, sign_in
from shared.config.app_settings import AppSettings
from shared.config.policy import ApprovalPolicy
from shared.config.roles import Roles
from shared.config.sources import source_names
from shared.core.events import Person
from shared.core.journal import JournalEntry
from shared.core.promotion import Lane
from shared.http.authorisation import OPERATOR
from shared.http.health import Health
from shared.http.sign_in import Verifier
from shared.ports import (
    Capability,
    EventSubscription,
    ForbiddenError,
    Publishing,
    RejectedError,
    Topic,
    TopicUnavailableError,
    Workspace,
)
from shared.worker.order import Rules
from tests.config.right import RIGHT, SETTINGS, changed
from tests.core.world import NOW
from tests.fakes.identity_provider import APP, IdentityProvider, published
from tests.fakes.queues import FakeQueues
from tests.fakes.workspace import FakeWorkspace

NAMES = ("dev", "test", "prod")
ISSUER = IdentityProvider()


def verifier(fetch: Callable[[], Keys] | None = None) -> Verifier:
    """Of tokens of an issuer that publishes one key, or what `fetch` gives."""
    settings = sign_in.read(AppSettings.read(ISSUER.settings))
    assert settings
    return Verifier(settings, SigningKeys(fetch or (lambda: {"first": jwt.PyJWK(published("first"))})))


def raising(error: Exception) -> Callable[..., Any]:
    def fail(*_: object) -> Any:
        raise error

    return fail


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """With a configuration that is right, and its files."""
    (tmp_path / "promotion.yml").write_text(RIGHT, encoding="utf-8")
    for name, content in (("deployments/churn.yml", "instance_count: 1\n"), ("smoke/churn.jsonl", '{"request": 1}\n')):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(content)
    return tmp_path


@pytest.fixture
def health(folder: Path) -> Health:
    """Of an app with all parts, in which all is well."""
    workspaces = {name: FakeWorkspace(name=name) for name in NAMES}
    queues = FakeQueues()
    return Health(
        roles=Roles(True, NAMES),
        environments=NAMES,
        folder=folder,
        configuration=lambda: load(folder / "promotion.yml", SETTINGS),
        store=lambda: SqliteStore(folder / "promotions.sqlite"),
        dead_letters=lambda: queues,
        topic=lambda: None,
        workspace=workspaces.__getitem__,
        policy=lambda _: Policy(),
        rules=lambda _: Rules(),
        sources=lambda: ["dev"],
        verifier=lambda: verifier(),
    )


def faults(health: Health) -> list[tuple[str, str, str]]:
    """What is not ok, and what is to be seen of it."""
    report = health.report(None)
    found = [(check["what"], check["name"], check["says"]) for check in report["checks"] if not check["ok"]]
    assert report["healthy"] is not bool(found)
    return found


def test_everything_that_an_app_uses_is_looked_at(health: Health) -> None:
    report = health.report(None)
    assert report["healthy"]
    assert [(check["what"], check["name"]) for check in report["checks"]] == [
        ("configuration", "promotion.yml"),
        ("configuration", "files"),
        ("store", "promotions"),
        ("topic", "notifications"),
        ("sign-in", "Microsoft Entra ID"),
        ("queue", "promotion-events"),
        *(("queue", f"{kind}-{name}") for kind in ("steps", "reports") for name in NAMES),
        *(("workspace", "dev"), ("registry", "dev"), ("rights", "dev"), ("events", "dev")),
        *((what, name) for name in ("test", "prod") for what in ("workspace", "registry", "rights", "events")),
    ]


def test_a_worker_alone_looks_at_its_own_queues_and_environment_only(health: Health) -> None:
    nothing = raising(AssertionError("this is none of a worker's business"))
    worker = replace(health, roles=Roles(False, ("prod",)), configuration=nothing, store=nothing)
    checks = worker.report(None)["checks"]
    assert [(check["what"], check["name"], check["ok"]) for check in checks] == [
        ("sign-in", "Microsoft Entra ID", True),
        ("queue", "steps-prod", True),
        ("queue", "reports-prod", True),
        ("workspace", "prod", True),
        ("registry", "prod", True),
        ("rights", "prod", True),
        ("events", "prod", True),
    ]


def test_all_faults_of_the_configuration_are_told_each_with_its_place(health: Health, folder: Path) -> None:
    wrong = changed(("at_least: 0.82", "at_leest: 0.82"), ("from: dev", "from: nowhere"))
    (folder / "promotion.yml").write_text(wrong, encoding="utf-8")
    found = faults(health)
    assert {what for what, _, _ in found} == {"configuration"}
    assert len(found) == len(set(found)), "each is told once"
    assert {"routes.churn.from", "routes.churn.stages[0].validate[0].at_leest"} <= {place for _, place, _ in found}


def test_files_that_are_not_there_are_named(health: Health, folder: Path) -> None:
    (folder / "smoke" / "churn.jsonl").unlink()
    [(what, name, says)] = faults(health)
    assert (what, name) == ("configuration", "routes.churn.stages[0].smoke.requests")
    assert "The file of smoke requests" in says


def test_what_the_files_name_in_turn_is_read_as_well(health: Health, folder: Path) -> None:
    deployment = "code_configuration: {code: scoring, scoring_script: score.py}\n"
    (folder / "deployments" / "churn.yml").write_text(deployment)
    [(_, name, says)] = faults(health)
    assert name == "routes.churn.stages[0].deployment"
    assert says == "deployments/churn.yml: there is no folder scoring, which it names as code"


def test_a_deployment_file_that_the_sdk_refuses_is_told(health: Health) -> None:
    refusing = FakeWorkspace(name="test", raises={"deployment_file": RejectedError("unknown field: no_such_key")})
    workspaces = {name: FakeWorkspace(name=name) for name in NAMES} | {"test": refusing}
    assert faults(replace(health, workspace=workspaces.__getitem__)) == [
        ("configuration", "churn.test", "unknown field: no_such_key")
    ]


def test_of_sign_in_is_said_whose_tokens_count(health: Health) -> None:
    assert line(health, "sign-in", "Microsoft Entra ID")["says"] == (
        f"{ISSUER.issuer} publishes 1 key; accepted audience: {APP}"
    )


def test_without_sign_in_an_approval_could_never_be_given(health: Health, folder: Path) -> None:
    off = replace(health, verifier=lambda: None)
    assert faults(off) == []
    asks = changed(("        validate:\n", "        approval: {min: 1}\n        validate:\n"))
    (folder / "promotion.yml").write_text(asks, encoding="utf-8")
    [(what, _, says)] = faults(off)
    assert what == "sign-in"
    assert "nobody can give the approvals that churn.test require" in says
    assert faults(health) == []


def test_settings_of_sign_in_that_are_wrong_are_found_and_named(health: Health) -> None:
    wrong = ISSUER.settings | {sign_in.TENANT: "common", sign_in.CLIENT_ID: ""}
    [(what, _, says)] = faults(replace(health, verifier=lambda: raising(sign_in_error(wrong))()))
    assert what == "sign-in"
    assert f"{sign_in.TENANT} must be" in says
    assert f"{sign_in.CLIENT_ID} must be" in says


def sign_in_error(settings: Mapping[str, str]) -> Exception:
    with pytest.raises(sign_in.SignInSettingsError) as caught:
        sign_in.read(AppSettings.read(settings))
    return caught.value


def test_an_issuer_that_is_away_is_found(health: Health) -> None:
    away = verifier(raising(KeysUnavailableError("https://login.test cannot be reached")))
    assert faults(replace(health, verifier=lambda: away)) == [
        ("sign-in", "Microsoft Entra ID", "https://login.test cannot be reached")
    ]


def test_a_store_that_cannot_be_written_is_found(health: Health, folder: Path) -> None:
    (folder / "promotions.sqlite").write_text("this is no database, and long enough to be taken for none" * 100)
    [(what, _, says)] = faults(health)
    assert (what, says) == ("store", "file is not a database")


def test_a_queue_out_of_reach_is_found_beside_those_that_are_not(health: Health) -> None:
    queues = FakeQueues(down={"steps-test"})
    assert [(what, name) for what, name, _ in faults(replace(health, dead_letters=lambda: queues))] == [
        ("queue", "steps-test")
    ]


def test_missing_rights_are_found_for_each_environment_and_for_the_registry_by_itself(health: Health) -> None:
    workspaces = {name: FakeWorkspace(name=name) for name in NAMES}
    workspaces["test"].raises["model_versions"] = ForbiddenError("may not read models")
    workspaces["prod"].raises["registry_model"] = ForbiddenError("may not read the registry")
    assert faults(replace(health, workspace=workspaces.__getitem__)) == [
        ("workspace", "test", "may not read models"),
        ("registry", "prod", "may not read the registry"),
    ]


def line(health: Health, what: str, name: str) -> Mapping[str, Any]:
    """The one line about this."""
    [found] = [one for one in health.report(None)["checks"] if (one["what"], one["name"]) == (what, name)]
    return dict(found)


def test_a_queue_that_the_app_may_read_and_not_send_to_is_found(health: Health) -> None:
    queues = FakeQueues(read_only={"steps-prod"})
    assert faults(replace(health, dead_letters=lambda: queues)) == [
        ("queue", "steps-prod", "Nothing may be sent to steps-prod.")
    ]


@pytest.mark.parametrize(
    ("count", "says"), [(1, "1 dead letter"), (3, "3 dead letters"), (150, "100 or more dead let")]
)
def test_dead_letters_are_a_warning_that_says_where_to_look(count: int, says: str, health: Health) -> None:
    queues = FakeQueues()
    for _ in range(count):
        queues.bury("steps-test", b"{}")
    looked_at = replace(health, dead_letters=lambda: queues)
    found = line(looked_at, "queue", "steps-test")
    assert (found["state"], found["ok"], found["todo"]) == (
        "warning",
        True,
        "See why: mlpromote failures --queue steps-test",
    )
    assert says in found["says"]
    assert looked_at.report(None)["healthy"], "the app can do its work"


def test_rights_are_looked_at_by_what_steps_do_in_an_environment(health: Health) -> None:
    says = {name: line(health, "rights", name)["says"] for name in NAMES}
    assert says == {
        "dev": "may share models to the registry and register the output of jobs",
        "test": "may deploy",
        "prod": "may deploy",
    }


def test_a_right_that_is_missing_is_named_with_the_role_that_has_it(health: Health) -> None:
    workspaces = {name: FakeWorkspace(name=name) for name in NAMES}
    workspaces["prod"].rights_missing[Capability.DEPLOY] = ["endpoints/write"]
    workspaces["dev"].rights_missing[Capability.SHARE] = ["assets/write"]
    looked_at = replace(health, workspace=workspaces.__getitem__)
    assert faults(looked_at) == [
        ("rights", "dev", "its identity may not share models to the registry (assets/write)"),
        ("rights", "prod", "its identity may not deploy (endpoints/write)"),
    ]
    assert line(looked_at, "rights", "prod")["todo"] == "Give it AzureML Data Scientist on the workspace."


def test_where_an_identity_may_not_read_its_rights_that_is_said_and_no_fault(health: Health) -> None:
    workspaces = {name: FakeWorkspace(name=name) for name in NAMES}
    workspaces["test"].rights_missing[Capability.DEPLOY] = None
    looked_at = replace(health, workspace=workspaces.__getitem__)
    assert faults(looked_at) == []
    assert line(looked_at, "rights", "test")["state"] == "unchecked"


class SeenTopic(Topic):
    """One that can be reached, or not."""

    def __init__(self, fault: TopicUnavailableError | None = None) -> None:
        self._fault = fault

    def publish(self, lane: Lane, journal: Sequence[JournalEntry]) -> bool:
        raise AssertionError("a check publishes nothing")

    def check(self) -> None:
        if self._fault:
            raise self._fault


@pytest.mark.parametrize(
    ("topic", "kept", "state", "says"),
    [
        (None, None, "ok", "not set"),
        (SeenTopic(), Publishing(NOW), "ok", "last published at 2026-11-20 12:00 UTC"),
        (SeenTopic(), None, "unchecked", "not checked whether it accepts events"),
        (
            SeenTopic(),
            Publishing(NOW, "403: no"),
            "fault",
            "failed at 2026-11-20 12:00 UTC; the changes are kept and retried: 403: no",
        ),
        (SeenTopic(TopicUnavailableError("cannot be reached")), Publishing(NOW), "fault", "cannot be reached"),
    ],
)
def test_of_the_topic_is_said_what_any_process_saw_without_an_event(
    topic: Topic | None, kept: Publishing | None, state: str, says: str, health: Health
) -> None:
    """Whoever publishes is another process than the one that is asked, and may be gone."""
    if kept:
        health.store().keep_publishing(kept)
    found = line(replace(health, topic=lambda: topic), "topic", "notifications")
    assert (found["state"], says in found["says"]) == (state, True)


def test_what_does_not_answer_holds_nothing_up_for_longer_than_is_allowed(health: Health) -> None:
    release = threading.Event()

    def hanging(environment: str) -> Workspace:
        release.wait(10)
        return FakeWorkspace(name=environment)

    began = time.monotonic()
    try:
        found = faults(replace(health, workspace=hanging, longest_seconds=0.3))
    finally:
        release.set()
    assert time.monotonic() - began < 5
    hung = {(what, name, "no answer within 0.3 s") for what in ("workspace", "registry", "rights") for name in NAMES}
    assert hung <= set(found), "on a busy machine others may be late, too"


def test_it_is_told_as_whom_the_app_was_asked(health: Health) -> None:
    alice = Person("2", "alice", (OPERATOR,))
    assert health.report(alice)["caller"] == {"name": "alice", "roles": [OPERATOR]}
    assert health.report(None)["caller"] is None


def test_a_registry_that_is_not_replicated_to_where_models_are_deployed_is_a_fault(health: Health) -> None:
    out_of_reach = {name: FakeWorkspace(name=name, out_of_reach="northeurope") for name in ("dev", "prod")}
    found = faults(replace(health, workspace=lambda name: out_of_reach.get(name, FakeWorkspace(name=name))))
    assert [(what, name) for what, name, _ in found] == [("registry", "prod")]
    assert "not replicated to northeurope" in found[0][2]


def dev_subscribed(health: Health, *subscriptions: EventSubscription) -> Health:
    """Where dev's events go to these."""
    workspaces = {name: FakeWorkspace(name=name) for name in NAMES}
    workspaces["dev"].subscriptions = list(subscriptions)
    return replace(health, workspace=workspaces.__getitem__)


INTAKE = "https://func.azurewebsites.net/api/events"
EVENTS = tuple(
    f"Microsoft.MachineLearningServices.{name}" for name in ("ModelRegistered", "RunCompleted", "RunStatusChanged")
)


@pytest.mark.parametrize(
    ("subscription", "state", "says"),
    [
        (EventSubscription("ours", "Succeeded", INTAKE), "ok", "delivered by ours"),
        (EventSubscription("ours", "Succeeded", INTAKE, EVENTS), "ok", "delivered by ours"),
        (EventSubscription("ours", "Failed", INTAKE), "warning", "ours is in state Failed"),
        (EventSubscription("ours", "Succeeded", INTAKE, EVENTS[1:]), "warning", "delivers Microsoft.MachineLearning"),
        (EventSubscription("another", "Succeeded", "https://x.test/hook"), "warning", "no event subscription delivers"),
    ],
)
def test_who_gets_a_sources_events_is_looked_at(
    subscription: EventSubscription, state: str, says: str, health: Health
) -> None:
    found = line(dev_subscribed(health, subscription), "events", "dev")
    assert (found["state"], says in found["says"]) == (state, True)
    assert ("azd hooks run postdeploy" in found["todo"]) is (state == "warning")


def test_where_nobody_is_subscribed_that_is_said_and_what_still_works(health: Health) -> None:
    found = line(dev_subscribed(health), "events", "dev")
    assert (found["state"], found["ok"]) == ("warning", True)
    assert "models are found late, finished jobs never" in found["says"]


def test_an_environment_whose_jobs_are_not_told_of_is_named_and_needs_no_registrations(health: Health) -> None:
    workspaces = {name: FakeWorkspace(name=name) for name in NAMES}
    workspaces["test"].subscriptions = []
    workspaces["prod"].subscriptions = [EventSubscription("ours", "Succeeded", INTAKE, EVENTS[1:])]
    asked = replace(health, workspace=workspaces.__getitem__)
    assert line(asked, "events", "test")["state"] == "warning"
    assert "steps that run jobs take longer" in line(asked, "events", "test")["says"]
    assert line(asked, "events", "prod")["state"] == "ok"


def test_who_may_not_see_the_subscriptions_is_told_how_to_look_by_hand(health: Health) -> None:
    workspaces = {name: FakeWorkspace(name=name) for name in NAMES}
    workspaces["dev"].raises["event_subscriptions"] = ForbiddenError("may not read eventSubscriptions")
    found = line(replace(health, workspace=workspaces.__getitem__), "events", "dev")
    assert found["state"] == "unchecked"
    assert "may not read eventSubscriptions" in found["says"]
    assert "az eventgrid system-topic event-subscription list" in found["todo"]


def with_policy(health: Health, policy: Policy, rules: Rules) -> Health:
    """Where prod has these rules of its own."""
    return replace(
        health,
        policy=lambda name: policy if name == "prod" else Policy(),
        rules=lambda name: rules if name == "prod" else Rules(),
    )


SOURCE_WORKSPACE = "/subscriptions/s/resourceGroups/g/providers/Microsoft.MachineLearningServices/workspaces/ws-dev"


def test_the_source_that_a_policy_names_is_read_with_that_environments_identity(health: Health) -> None:
    policy = Policy.model_validate({"not_author": True, "source_workspace": SOURCE_WORKSPACE})
    source = FakeWorkspace(name="dev")
    looked_at = with_policy(health, policy, Rules(policy, source=source))
    assert line(looked_at, "source", "prod")["state"] == "ok"
    for method in ("model_versions", "authors"):
        source.raises[method] = ForbiddenError("may not read it")
        found = line(looked_at, "source", "prod")
        assert (found["state"], found["says"]) == ("fault", "may not read it")
        assert "Reader on source_workspace" in found["todo"]


def test_whether_authors_can_be_read_is_not_claimed_where_azure_does_not_say(health: Health) -> None:
    policy = Policy.model_validate({"source_workspace": SOURCE_WORKSPACE})
    source = FakeWorkspace(name="dev")
    source.raises["authors"] = RejectedError("400: no such run")
    found = line(with_policy(health, policy, Rules(policy, source=source)), "source", "prod")
    assert (found["state"], found["ok"]) == ("unchecked", True)


def test_the_record_of_approvals_is_looked_at_where_an_environment_keeps_one(health: Health, folder: Path) -> None:
    policy = Policy(approvals=ApprovalPolicy(taken_by="environment"))
    kept = SqliteApprovals(folder / "approvals.sqlite")
    assert line(with_policy(health, policy, Rules(policy, approvals=kept)), "approvals", "prod")["state"] == "ok"
    away = replace(
        with_policy(health, policy, Rules(policy)), rules=raising(ValueError("There is no store. Set something"))
    )
    [(what, name, says)] = faults(away)
    assert (what, name, says) == ("approvals", "prod", "There is no store. Set something")


def test_a_worker_alone_looks_at_the_events_of_its_environment_and_at_its_own_rules(health: Health) -> None:
    nothing = raising(AssertionError("this is none of a worker's business"))
    worker = replace(health, roles=Roles(False, ("dev",)), configuration=nothing, store=nothing)
    assert "events" in {check["what"] for check in worker.report(None)["checks"]}


def test_sources_are_found_without_the_settings_of_the_app(folder: Path) -> None:
    assert source_names(folder / "promotion.yml") == ["dev"]
    (folder / "promotion.yml").write_text("routes: [1]", encoding="utf-8")
    assert source_names(folder / "promotion.yml") == []
