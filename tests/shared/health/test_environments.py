"""The app's checks of its environments: rights, the registry, events, and their own rules."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import pytest

from shared.app.wiring import App
from shared.cloud.sqlite_approvals import SqliteApprovals
from shared.config import Policy
from shared.config.loading import load_as_worker
from shared.config.policy import ApprovalPolicy
from shared.config.roles import Roles
from shared.config.sources import source_names
from shared.http.health import Health
from shared.ports import (
    Capability,
    EventSubscription,
    ForbiddenError,
    RejectedError,
)
from shared.worker.order import Rules
from tests.config.right import CLIENT_ID, RIGHT, SETTINGS, changed
from tests.fakes.workspace import FakeWorkspace
from tests.shared.health.conftest import NAMES, faults, line, raising


def test_missing_rights_are_found_for_each_environment_and_for_the_registry_by_itself(health: Health) -> None:
    workspaces = {name: FakeWorkspace(name=name) for name in NAMES}
    workspaces["test"].raises["model_versions"] = ForbiddenError("may not read models")
    workspaces["prod"].raises["registry_model"] = ForbiddenError("may not read the registry")
    assert faults(replace(health, workspace=workspaces.__getitem__)) == [
        ("workspace", "test", "may not read models"),
        ("registry", "prod", "may not read the registry"),
    ]


def test_rights_are_looked_at_by_what_steps_do_in_an_environment(health: Health) -> None:
    says = {name: line(health, "rights", name)["says"] for name in NAMES}
    assert says == {
        "dev": "may share models to the registry and register the output of jobs",
        "test": "may deploy",
        "prod": "may deploy",
    }


def test_an_identity_that_evaluates_must_be_allowed_to_run_jobs(health: Health, folder: Path) -> None:
    asks = "evaluate: {job: jobs/evaluate.yml, gates: [{metric: auc, at_least: 1}]}"
    text = changed(("        smoke: {", f"        {asks}\n        smoke: {{"))
    (folder / "promotion.yml").write_text(text, encoding="utf-8")
    assert line(health, "rights", "test")["says"] == "may deploy and run jobs"
    assert line(health, "rights", "prod")["says"] == "may deploy"
    workspaces = {name: FakeWorkspace(name=name) for name in NAMES}
    workspaces["test"].rights_missing[Capability.RUN] = ["jobs/write"]
    found = line(replace(health, workspace=workspaces.__getitem__), "rights", "test")
    assert (found["says"], found["todo"]) == (
        "its identity may not run jobs (jobs/write)",
        "Give it AzureML Data Scientist on the workspace.",
    )


@pytest.mark.parametrize(
    ("rollout", "may"),
    [
        ("{keep: 1h}", "may deploy"),
        (
            "{keep: 1h, watch: 1h, analysis: [{metric: error_rate, at_most: 0}]}",
            "may deploy and read the live figures of endpoints",
        ),
        (
            "{keep: 1h, watch: 1h, too_few: replay, analysis: [{metric: error_rate, at_most: 0}]}",
            "may deploy and read the live figures of endpoints and read the requests that endpoints recorded",
        ),
        (
            "{keep: 1h, watch: 1h, analysis: [{job: jobs/compare.yml, gates: [{metric: differing, at_most: 0}]}]}",
            "may deploy and run jobs and read the live figures of endpoints",
        ),
    ],
)
def test_an_identity_that_watches_must_be_allowed_to_read_what_it_judges(
    health: Health, folder: Path, rollout: str, may: str
) -> None:
    text = changed(("        smoke: {", f"        rollout: {rollout}\n        smoke: {{"))
    (folder / "promotion.yml").write_text(text, encoding="utf-8")
    assert line(health, "rights", "test")["says"] == may
    assert line(health, "rights", "prod")["says"] == "may deploy"


def test_a_missing_right_on_live_figures_is_named_with_the_role_that_has_it(health: Health, folder: Path) -> None:
    rollout = "rollout: {keep: 1h, watch: 1h, analysis: [{metric: error_rate, at_most: 0}]}"
    text = changed(("        smoke: {", f"        {rollout}\n        smoke: {{"))
    (folder / "promotion.yml").write_text(text, encoding="utf-8")
    workspaces = {name: FakeWorkspace(name=name) for name in NAMES}
    workspaces["test"].rights_missing[Capability.WATCH] = ["Microsoft.Insights/metrics/read"]
    found = line(replace(health, workspace=workspaces.__getitem__), "rights", "test")
    assert (found["says"], found["todo"]) == (
        "its identity may not read the live figures of endpoints (Microsoft.Insights/metrics/read)",
        "Give it Monitoring Reader on the workspace.",
    )


def test_a_quota_that_cannot_be_read_is_a_warning_with_what_to_do(health: Health) -> None:
    workspaces = {name: FakeWorkspace(name=name) for name in NAMES}
    workspaces["prod"].raises["quotas"] = ForbiddenError("may not read quotas")
    workspaces["test"].limits = []
    health = replace(health, workspace=workspaces.__getitem__)
    found = line(health, "quota", "prod")
    assert found["says"] == "it is not known before a deployment whether there is room: may not read quotas"
    assert "readsQuota: true" in found["todo"]
    assert (found["ok"], found["state"]) == (True, "warning")
    assert line(health, "quota", "test")["state"] == "unchecked"


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
def test_the_event_subscriptions_of_a_source_are_checked(
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


def test_a_caller_who_may_not_see_the_subscriptions_is_told_how_to_look_by_hand(health: Health) -> None:
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


_ENDPOINT = '        endpoint: "{model}"\n'
_ROLLOUT = "rollout: {watch: 1h, keep: 1h, too_few: replay, analysis: [{metric: error_rate, at_most: 0}]}"
WATCHES = changed((_ENDPOINT, f"{_ENDPOINT}        {_ROLLOUT}\n"))


def alone(health: Health, folder: Path, text: str, settings: Mapping[str, str]) -> Health:
    """The app with prod's worker alone, which has only these settings."""
    (folder / "promotion.yml").write_text(text, encoding="utf-8")
    workspaces = {"prod": FakeWorkspace(name="prod")}
    workspaces["prod"].rights_missing[Capability.WATCH] = ["Microsoft.Insights/metrics/read"]
    return replace(
        health,
        roles=Roles(False, ("prod",)),
        configuration=raising(AssertionError("this is none of a worker's business")),
        workspace=workspaces.__getitem__,
        worker_configuration=lambda: load_as_worker(folder / "promotion.yml", settings, ("prod",)),
    )


def test_a_worker_alone_needs_the_rights_that_stages_of_its_environment_ask_for(health: Health, folder: Path) -> None:
    found = line(alone(health, folder, WATCHES, {"PROD": SETTINGS["PROD"]}), "rights", "prod")
    assert (found["state"], found["says"], found["todo"]) == (
        "fault",
        "its identity may not read the live figures of endpoints (Microsoft.Insights/metrics/read)",
        "Give it Monitoring Reader on the workspace.",
    )
    found = line(alone(health, folder, RIGHT, {"PROD": SETTINGS["PROD"]}), "rights", "prod")
    assert (found["state"], found["says"]) == ("ok", "may deploy")


@pytest.mark.parametrize("text", ["sources: {}", WATCHES.replace("${PROD}", "${ANOTHER}"), "a: ["])
def test_a_worker_that_does_not_know_the_routes_says_which_rights_a_route_may_need(
    health: Health, folder: Path, text: str
) -> None:
    found = line(alone(health, folder, text, {"PROD": SETTINGS["PROD"]}), "rights", "prod")
    assert (found["state"], found["ok"]) == ("warning", True)
    assert found["says"] == (
        "may deploy; routes are not known here, and its identity may not read the live figures of endpoints "
        "(Microsoft.Insights/metrics/read)"
    )
    assert found["todo"] == "If a route needs that, give it Monitoring Reader on the workspace."


def test_sources_are_found_without_the_settings_of_the_app(folder: Path) -> None:
    assert source_names(folder / "promotion.yml") == ["dev"]
    (folder / "promotion.yml").write_text("routes: [1]", encoding="utf-8")
    assert source_names(folder / "promotion.yml") == []


def test_the_app_of_a_worker_alone_reads_the_routes_with_its_own_settings() -> None:
    own = {
        "ENVIRONMENTS": "prod",
        "MLPROMOTE_CONFIGURATION": "tests/e2e/apart/promotion.yml",
        "PROD_WORKSPACE": SETTINGS["PROD"],
        "PROD_IDENTITY": CLIENT_ID,
    }
    found = App(own).health.worker_configuration()
    assert found is not None
    assert [stage.name for route in found.model_routes for stage in route.stages] == ["test", "prod"]
    assert found.environments["prod"].workspace.has_id(SETTINGS["PROD"])
