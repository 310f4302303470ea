"""What the app reads from a valid configuration."""

import json
from collections.abc import Callable
from datetime import timedelta

import pytest
from pydantic import ValidationError

from shared.config import Configuration, StageSettings, WorkspaceReference
from shared.config.batch import INVOKE
from shared.core.approval import Approval
from shared.core.messages import Kind
from shared.core.plan import KINDS, PlanSettings, plan_for
from shared.core.replacing import replace
from tests.config.right import CLIENT_ID, RIGHT, SETTINGS, WORKSPACE, changed
from tests.core.world import promotion

Configured = Callable[..., Configuration]

DEV, TEST = SETTINGS["DEV"], SETTINGS["TEST"]


def test_a_workspace_is_read_from_its_arm_id_in_any_casing() -> None:
    workspace = WorkspaceReference.parse(WORKSPACE.format("dev").replace("resourceGroups", "resourcegroups") + "/")
    assert workspace == WorkspaceReference("dev-sub", "dev-group", "dev")
    assert workspace.id == WORKSPACE.format("dev")


def test_environments_and_routes_know_their_names(configured: Configured) -> None:
    configuration = configured()
    assert {key: each.name for key, each in configuration.environments.items()} == {
        n: n for n in ("dev", "test", "prod")
    }
    assert {key: each.name for key, each in configuration.routes.items()} == {"churn": "churn"}
    assert configuration.environments["dev"].identity is None
    assert configuration.environments["test"].identity == CLIENT_ID


@pytest.mark.parametrize("workspace", [TEST, TEST.lower(), TEST.upper(), TEST + "/"])
def test_the_environment_of_a_workspace_is_found_in_any_casing(workspace: str, configured: Configured) -> None:
    environment = configured().environment_of(workspace)
    assert environment is not None
    assert environment.name == "test"


def test_a_workspace_that_is_not_configured_has_no_environment(configured: Configured) -> None:
    assert configured().environment_of(WORKSPACE.format("another")) is None
    assert configured().environment_of("not an ARM id") is None


@pytest.mark.parametrize(
    ("workspace", "model", "routes"),
    [
        (DEV, "churn-eu", ["churn"]),
        (DEV.upper(), "churn-eu", ["churn"]),
        (DEV, "churn-", ["churn"]),
        (DEV, "churn", []),
        (DEV, "CHURN-eu", []),
        (DEV, "my-churn-eu", []),
        (TEST, "churn-eu", []),
    ],
)
def test_the_routes_of_a_registered_model(
    workspace: str, model: str, routes: list[str], configured: Configured
) -> None:
    assert [route.name for route in configured().routes_for(workspace, model)] == routes


def test_a_model_may_take_several_routes(configured: Configured) -> None:
    second = RIGHT[RIGHT.index("  churn:") :].replace("  churn:", "  second:").replace('"{model}', '"x-{model}')
    assert [route.name for route in configured(RIGHT + second).routes_for(DEV, "churn-eu")] == ["churn", "second"]


@pytest.mark.parametrize(
    ("workspace", "experiment", "tags", "models"),
    [
        (DEV, "churn-training", {"team": "a", "other": "b"}, ["churn-eu"]),
        (DEV.upper(), "churn-training", {"team": "a"}, ["churn-eu"]),
        (DEV, "nightly", {}, ["churn-us"]),
        (DEV, "churn-training", {"team": "b"}, []),
        (DEV, "churn-training", {}, []),
        (DEV, "churn", {"team": "a"}, []),
        (TEST, "nightly", {}, []),
    ],
)
def test_the_models_that_a_job_leaves_behind(
    workspace: str, experiment: str, tags: dict[str, str], models: list[str], configured: Configured
) -> None:
    jobs = """
      - {experiment: churn-training, tags: {team: a}, output: model, model: churn-eu}
      - {experiment: nightly, output: model, model: churn-us}"""
    text = changed((" {experiment: churn-training, output: model, model: churn-eu}", jobs))
    found = configured(text).routes_for_job(workspace, experiment, tags)
    assert [(route.name, job.output, job.model) for route, job in found] == [("churn", "model", m) for m in models]


def test_required_tags_that_are_missing_or_different_are_named(configured: Configured) -> None:
    route = configured(changed(('{promote: "true"}', '{promote: "true", owner: ""}'))).model_routes[0]
    assert route.missing_tags({"promote": "true", "owner": "", "more": "x"}) == {}
    assert route.missing_tags({"promote": "True", "owner": ""}) == {"promote": "true"}
    assert route.missing_tags({}) == {"promote": "true", "owner": ""}


def test_the_metrics_of_all_gates_of_all_routes_are_known(configured: Configured) -> None:
    second = RIGHT[RIGHT.index("  churn:") :].replace("  churn:", "  second:").replace('"{model}', '"x-{model}')
    assert configured(RIGHT + second.replace("auc", "f1")).metrics_asked_for() == ("auc", "f1")


def test_stages_follow_one_another_unless_after_says_otherwise(configured: Configured) -> None:
    third = """\
      - environment: prod
        name: other
        after: [test]
        endpoint: "{model}-other"
        deployment: deployments/churn.yml
      - environment: dev
        endpoint: "{model}"
        deployment: deployments/churn.yml
      - environment: dev
        name: at-once
        after: []
        endpoint: "{model}-at-once"
        deployment: deployments/churn.yml
"""
    stages = configured(RIGHT + third).routes["churn"].stages
    assert [(stage.name, stage.environment, stage.after) for stage in stages] == [
        ("test", "test", ()),
        ("prod", "prod", ("test",)),
        ("other", "prod", ("test",)),
        ("dev", "dev", ("other",)),
        ("at-once", "dev", ()),
    ]


def test_a_stage_may_wait_for_one_further_down(configured: Configured) -> None:
    text = changed(
        ("environment: test", "environment: test\n        after: [prod]"),
        ("environment: prod", "environment: prod\n        after: []"),
    )
    assert [stage.after for stage in configured(text).routes["churn"].stages] == [("prod",), ()]


def test_a_stage_names_the_time_limits_that_differ(configured: Configured) -> None:
    text = changed(("        smoke: {", "        timeouts: {deploy: 40m, remove: 90s}\n        smoke: {"))
    first, second = configured(text).routes["churn"].stages
    assert first.timeouts == {"deploy": timedelta(minutes=40), "remove": timedelta(seconds=90)}
    assert second.timeouts == {}


def test_every_step_of_the_plan_can_have_a_time_limit(configured: Configured) -> None:
    planned = [step for step in KINDS[Kind.MODEL].plan if not (step.waits or step.repeats or step.holds)]
    steps = dict.fromkeys(name for step in planned for name in (step.name, *step.undo[-1:]) if name != INVOKE)
    limits = ", ".join(f"{step}: 7m" for step in steps)
    [stage, _] = (
        configured(changed(("        smoke: {", f"        timeouts: {{{limits}}}\n        smoke: {{")))
        .routes["churn"]
        .stages
    )
    plan = plan_for(Kind.MODEL, PlanSettings(limits=stage.timeouts), environment="test", source="dev", first=True)
    assert {step.limit for step in plan} == {timedelta(minutes=7)}
    assert {step.undo_limit for step in plan if step.undo} == {timedelta(minutes=7)}


def test_a_stage_is_the_same_after_a_journey_as_json(configured: Configured) -> None:
    text = changed(
        ("{metric: auc, at_least: 0.82}", "{metric: auc, no_worse_than_champion_by: 0, without_champion: fail}"),
        ("        smoke: {", "        timeouts: {deploy: 90m}\n        smoke: {tolerance: 0.5, "),
    )
    for stage in configured(text).routes["churn"].stages:
        assert StageSettings.parse(json.loads(json.dumps(stage.frozen()))) == stage


def test_a_frozen_stage_says_what_was_left_to_defaults(configured: Configured) -> None:
    assert configured().routes["churn"].stages[1].frozen() == {
        "environment": "prod",
        "name": "prod",
        "endpoint": "{model}",
        "deployment": "deployments/churn.yml",
        "after": ["test"],
        "validate": [],
        "timeouts": {},
    }


def test_frozen_settings_of_a_newer_version_are_refused(configured: Configured) -> None:
    frozen = configured().routes["churn"].stages[0].frozen()
    with pytest.raises(ValueError, match="soak"):
        StageSettings.parse(frozen | {"soak": {"for": "1h"}})


def test_a_stage_asks_nobody_for_approval_unless_it_says_so(configured: Configured) -> None:
    assert [stage.approval for stage in configured().routes["churn"].stages] == [None, None]


def test_an_approval_that_says_nothing_else_asks_one_approver_who_did_not_ask_for_the_promotion(
    configured: Configured,
) -> None:
    stage = (
        configured(changed(("        smoke: {", "        approval: {}\n        smoke: {"))).routes["churn"].stages[0]
    )
    assert stage.frozen()["approval"] == {
        "min": 1,
        "roles": ["Promotion.Approver"],
        "not_requester": True,
        "not_author": False,
        "expires": "3d",
    }
    assert StageSettings.parse(stage.frozen()) == stage


def test_the_rules_read_an_approval_as_it_was_configured(configured: Configured) -> None:
    asked = "approval: {min: 2, roles: [Model.Owner, Risk], not_requester: false, expires: 90m}"
    stage = configured(changed(("        smoke: {", f"        {asked}\n        smoke: {{"))).routes["churn"].stages[0]
    asking = promotion(asked=("approval",))
    run = replace(asking.stages[0], approval=stage.approval_rule())
    assert Approval.of(asking, run) == Approval(2, ("Model.Owner", "Risk"), False)
    assert stage.approval is not None
    assert stage.approval.expires == timedelta(minutes=90)


def test_settings_cannot_be_changed(configured: Configured) -> None:
    configuration = configured()
    with pytest.raises(ValidationError):
        configuration.registry = "another"
    with pytest.raises(ValidationError):
        configuration.model_routes[0].stages[0].endpoint = "another"


def test_the_hash_changes_with_what_is_meant_and_with_nothing_else(configured: Configured) -> None:
    plain = configured().hash
    assert len(bytes.fromhex(plain)) == 32
    assert configured(RIGHT + "# a comment\n").hash == plain
    assert configured(changed(("0.82", "8.2e-1"), ('"{model}"', "'{model}'"))).hash == plain
    assert configured(changed(("        smoke: {", "        after: []\n        smoke: {"))).hash == plain
    first = '  dev: {workspace: "${DEV}"}\n'
    second = f'  test: {{workspace: "${{TEST}}", identity: {CLIENT_ID}}}\n'
    assert configured(changed((first + second, second + first))).hash == plain
    assert configured(changed(("0.82", "0.83"))).hash != plain
    assert configured(settings=SETTINGS | {"PROD": WORKSPACE.format("prod2")}).hash != plain
