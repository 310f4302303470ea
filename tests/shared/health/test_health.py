"""The app's checks of itself: its configuration, its store, its queues, and who may sign in."""

import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from shared.cloud.signing_keys import KeysUnavailableError
from shared.config import sign_in
from shared.config.app_settings import AppSettings
from shared.config.roles import Roles
from shared.core.events import Person
from shared.core.holds import HoldLine
from shared.core.journal import JournalEntry
from shared.core.promotion import Lane
from shared.http.authorisation import OPERATOR
from shared.http.health import Health
from shared.ports import (
    Publishing,
    RejectedError,
    Topic,
    TopicUnavailableError,
    Workspace,
)
from tests.config.right import changed
from tests.core.world import NOW
from tests.fakes.identity_provider import APP
from tests.fakes.queues import FakeQueues
from tests.fakes.workspace import FakeWorkspace
from tests.shared.health.conftest import ISSUER, NAMES, faults, line, raising, verifier


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
        *((what, name) for name in ("test", "prod") for what in ("workspace", "registry", "rights", "events", "quota")),
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
        ("quota", "prod", True),
    ]


def test_all_faults_of_the_configuration_are_told_each_with_its_place(health: Health, folder: Path) -> None:
    wrong = changed(("at_least: 0.82", "at_leest: 0.82"), ("from: dev", "from: nowhere"))
    (folder / "promotion.yml").write_text(wrong, encoding="utf-8")
    found = faults(health)
    assert {what for what, _, _ in found} == {"configuration"}
    assert len(found) == len(set(found)), "each is told once"
    assert {"routes.churn.from", "routes.churn.stages[0].validate[0].at_leest"} <= {place for _, place, _ in found}


def test_files_that_do_not_exist_are_named(health: Health, folder: Path) -> None:
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


def test_a_deployment_file_that_the_sdk_refuses_is_reported(health: Health) -> None:
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


class SeenTopic(Topic):
    """One that can be reached, or not."""

    def __init__(self, fault: TopicUnavailableError | None = None) -> None:
        self._fault = fault

    def publish(self, lane: Lane, journal: Sequence[JournalEntry]) -> bool:
        raise AssertionError("a check publishes nothing")

    def tell_of_source(self, source: str, digest: str, trouble: str) -> None:
        raise AssertionError("nobody publishes bundles here")

    def publish_holds(self, lines: Sequence[HoldLine]) -> bool:
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
    """The publishing process is not the one that is asked, and may be gone."""
    if kept:
        health.store().keep_publishing(kept)
    found = line(replace(health, topic=lambda: topic), "topic", "notifications")
    assert (found["state"], says in found["says"]) == (state, True)


def test_what_does_not_answer_holds_nothing_up_for_longer_than_is_allowed(health: Health) -> None:
    release = threading.Event()

    def hanging(environment: str) -> Workspace:
        release.wait(300)
        return FakeWorkspace(name=environment)

    began = time.monotonic()
    try:
        found = faults(replace(health, workspace=hanging, longest_seconds=0.3))
    finally:
        release.set()
    assert time.monotonic() - began < 100, "it hangs for longer than that"
    hung = {(what, name, "no answer within 0.3 s") for what in ("workspace", "registry", "rights") for name in NAMES}
    assert hung <= set(found), "on a busy machine others may be late, too"


def test_the_caller_is_shown(health: Health) -> None:
    alice = Person("2", "alice", (OPERATOR,))
    assert health.report(alice)["caller"] == {"name": "alice", "roles": [OPERATOR]}
    assert health.report(None)["caller"] is None
