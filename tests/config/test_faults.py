"""All faults of a configuration are reported at once, each with its place, in words for the person who wrote it."""

from collections.abc import Callable
from pathlib import Path

import pytest

from shared.config import Configuration, ConfigurationFaults, load
from shared.config.sources import shared_data
from tests.config.right import CLIENT_ID, RIGHT, SETTINGS, WORKSPACE, changed

FaultsOf = Callable[..., list[str]]

ENDPOINT_RULE = (
    "Azure refuses this name: use 3 to 32 letters, digits and hyphens, starting with a letter and not ending with a "
    "hyphen"
)
PLACEHOLDER_RULE = "{model} is the only placeholder, and it can be used only once"
DURATION_RULE = "must be a duration: a whole number and ms, s, m, h or d, such as 500ms, 30s, 20m, 2h or 3d"
ARM_ID_RULE = (
    "must be a workspace's ARM id: /subscriptions/…/resourceGroups/…"
    "/providers/Microsoft.MachineLearningServices/workspaces/…"
)
RESOURCE_NAME_RULE = (
    "Azure refuses this name: use 3 to 33 letters, digits, hyphens and underscores, starting with a letter or digit"
)
STAGE, GATE = "routes.churn.stages[0]", "routes.churn.stages[0].validate[0]"
SECOND = "routes.churn.stages[1]"
AUC = "at_least: 0.82"


@pytest.mark.parametrize(
    ("old", "new", "fault"),
    [
        ("    stages:", "    stage: x\n    stages:", "routes.churn.stage: unknown key; did you mean stages?"),
        ("smoke: {", "smok: {", f"{STAGE}.smok: unknown key; did you mean smoke?"),
        ("max_latency", "max_latncy", f"{STAGE}.smoke.max_latncy: unknown key; did you mean max_latency?"),
        (AUC, f"{AUC}, at_lest: 1", f"{GATE}.at_lest: unknown key; did you mean at_least?"),
        ("{experiment", "{x: 1, experiment",
         "routes.churn.from_jobs.x: unknown key; known: experiment, model, output, tags"),
        ("prod: {", "prod: {name: x, ", "environments.prod.name: unknown key; known: identity, policy, workspace"),
        ("registry: contoso-ml\n", "", "registry: is missing"),
        ("        endpoint: \"{model}\"\n", "", f"{SECOND}.endpoint: is missing; name one here, or in batch_endpoint"),
    ],
)  # fmt: skip
def test_a_key_that_is_unknown_or_missing(old: str, new: str, fault: str, faults_of: FaultsOf) -> None:
    assert faults_of(changed((old, new))) == [fault]


@pytest.mark.parametrize(
    ("old", "new", "fault"),
    [
        ("contoso-ml", "7", "registry: must be text, not the number 7; put it in quotes"),
        ("contoso-ml", "2026-11-01", "registry: must be text, not the date 2026-11-01; put it in quotes"),
        ("contoso-ml", "", "registry: must be text, not empty"),
        ('"true"', "true", "routes.churn.require_tags.promote: must be text, not true; put it in quotes"),
        ('["churn-*"]', "churn-*", "routes.churn.models: must be a list, not the text 'churn-*'"),
        ('["churn-*"]', "[]", "routes.churn.models: must not be empty"),
        ('{promote: "true"}', "[promote]",
         "routes.churn.require_tags: must be a mapping of keys to values, not a list"),
        ("{experiment: churn-training, output: model, model: churn-eu}", "jobs",
         "routes.churn.from_jobs: must be a list, not the text 'jobs'"),
        (CLIENT_ID, '"  "', "environments.test.identity: must not be empty"),
        ("0.82", "high", f"{GATE}.at_least: must be a number, not the text 'high'"),
        ("0.82", "true", f"{GATE}.at_least: must be a number, not true or false"),
        ("0.82", ".inf", f"{GATE}.at_least: must be a finite number, not the number inf"),
        ("500ms", "500", f"{STAGE}.smoke.max_latency: {DURATION_RULE}"),
        ("500ms", "1.5h", f"{STAGE}.smoke.max_latency: {DURATION_RULE}"),
        ("500ms", "0s", f"{STAGE}.smoke.max_latency: must be positive"),
        ("500ms", "9000h", f"{STAGE}.smoke.max_latency: must not be longer than 365d"),
        ("        smoke: {", "        timeouts: {deploi: 1h}\n        smoke: {",
         f"{STAGE}.timeouts.deploi: unknown step; did you mean deploy?"),
        ("        smoke: {", "        timeouts: {approve: 1h}\n        smoke: {",
         f"{STAGE}.timeouts.approve: is set with the approval: approval: {{expires: 72h}}"),
        ("        smoke: {", "        approval: {min: 0}\n        smoke: {",
         f"{STAGE}.approval.min: must be 1 or more, not 0"),
        ("        smoke: {", "        approval: {min: true}\n        smoke: {",
         f"{STAGE}.approval.min: must be a number, not true or false"),
        ("        smoke: {", "        approval: {roles: []}\n        smoke: {",
         f"{STAGE}.approval.roles: must not be empty"),
        ("        smoke: {", "        approval: {not_requestor: true}\n        smoke: {",
         f"{STAGE}.approval.not_requestor: unknown key; did you mean not_requester?"),
        ("        smoke: {", "        timeouts: {deploy: 60}\n        smoke: {",
         f"{STAGE}.timeouts.deploy: {DURATION_RULE}"),
        ("500ms", "500ms, tolerance: -1", f"{STAGE}.smoke.tolerance: must be 0 or more, not -1"),
        ("deployments/", "/deployments/", f"{STAGE}.deployment: "
         "must be relative to the configuration's folder"),
        ("      - environment: prod", "      - prod\n      - environment: prod",
         f"{SECOND}: must be a mapping of keys to values, not the text 'prod'"),
    ],
)  # fmt: skip
def test_a_value_of_the_wrong_kind(old: str, new: str, fault: str, faults_of: FaultsOf) -> None:
    assert faults_of(changed((old, new))) == [fault]


@pytest.mark.parametrize(
    ("bounds", "fault"),
    [
        ("", f"{GATE}: needs a bound: at_least, at_most or no_worse_than_champion_by"),
        ("no_worse_than_champion_by: 0.1",
         f"{GATE}: needs without_champion: pass or fail, which applies while there is no champion"),
        ("no_worse_than_champion_by: -0.1, without_champion: pass",
         f"{GATE}.no_worse_than_champion_by: must be 0 or more, not -0.1"),
        ("no_worse_than_champion_by: 0.1, without_champion: maybe",
         f"{GATE}.without_champion: must be 'pass' or 'fail', not the text 'maybe'"),
        ("no_worse_than_champion_by: 0.1, without_champion: pass, higher_is_better: perhaps",
         f"{GATE}.higher_is_better: must be true or false, not the text 'perhaps'"),
        ("at_least: 1, without_champion: pass",
         f"{GATE}: without_champion and higher_is_better require no_worse_than_champion_by"),
        ("at_least: 1, higher_is_better: false",
         f"{GATE}: without_champion and higher_is_better require no_worse_than_champion_by"),
        ("at_least: 2, at_most: 1", f"{GATE}: can never pass: at_least 2 is greater than at_most 1"),
    ],
)  # fmt: skip
def test_an_invalid_gate(bounds: str, fault: str, faults_of: FaultsOf) -> None:
    assert faults_of(changed((AUC, bounds))) == [fault]


@pytest.mark.parametrize(
    ("old", "new", "fault"),
    [
        ("contoso-ml", "ml", f"registry: {RESOURCE_NAME_RULE}"),
        ("${PROD}", "/subscriptions/1", f"environments.prod.workspace: {ARM_ID_RULE}"),
        ("${PROD}", WORKSPACE.format("x"), f"environments.prod.workspace: {RESOURCE_NAME_RULE}"),
        (CLIENT_ID, "/subscriptions/1", "environments.test.identity: "
         "must be the identity's client id, not its ARM id"),
        (CLIENT_ID, "test-client", "environments.test.identity: "
         "must be the identity's client id, a GUID, not the text 'test-client'"),
        (CLIENT_ID, '"${TEST}"', "environments.test.identity: must be the identity's client id, not its ARM id"),
        ('"{model}"', '"1-{model}"', f"{SECOND}.endpoint: {ENDPOINT_RULE}"),
        ('"{model}"', '"{model}-"', f"{SECOND}.endpoint: {ENDPOINT_RULE}"),
        ('"{model}"', '"{model}_prod"', f"{SECOND}.endpoint: {ENDPOINT_RULE}"),
        ('"{model}"', '"{model}-much-too-long-behind"',
         f"{SECOND}.endpoint: has more than 20 characters besides the model's name"),
        ('"{model}"', '"{name}"', f"{SECOND}.endpoint: {PLACEHOLDER_RULE}"),
        ('"{model}"', '"{model}{model}"', f"{SECOND}.endpoint: {PLACEHOLDER_RULE}"),
        ("  churn:\n", "  churn.eu:\n",
         'routes["churn.eu"]: the name of a route or stage may have at most 50 letters, digits, '
         "hyphens and underscores, starting with a letter and ending with a letter or digit"),
        ('["churn-*"]', '["churn-*", "a b"]', "routes.churn.models[1]: can never match a model's name: "
         "use only letters, digits, . _ - and the wildcards * ? [ ]"),
    ],
)  # fmt: skip
def test_a_name_that_azure_would_refuse(old: str, new: str, fault: str, faults_of: FaultsOf) -> None:
    assert faults_of(changed((old, new))) == [fault]


@pytest.mark.parametrize("name", ["Prod", "prod_1", "1prod", "prod-", "p" * 51, "prod.eu"])
def test_an_environment_that_no_queue_and_function_can_be_named_after(name: str, faults_of: FaultsOf) -> None:
    faults = faults_of(RIGHT.replace("  prod:", f"  {name}:").replace("environment: prod", f"environment: {name}"))
    assert all("queues and functions are named after it" in fault for fault in faults)
    assert len(faults) == 2


def test_a_fixed_endpoint_name_that_azure_would_refuse(faults_of: FaultsOf) -> None:
    text = changed(("churn-*", "churn-eu"), ('"{model}"', "ch"))
    assert faults_of(text) == [f"{SECOND}.endpoint: {ENDPOINT_RULE}"]


@pytest.mark.parametrize(
    ("old", "new", "fault"),
    [
        ("environment: prod", "environment: prd",
         f"{SECOND}.environment: unknown environment 'prd'; did you mean prod?"),
        ("from: dev", "from: lab", "routes.churn.from: unknown environment 'lab'; known: dev, prod, test"),
        ("environment: prod", "environment: prod\n        after: [tests]",
         f"{SECOND}.after[0]: unknown stage 'tests'; did you mean test?"),
        ("environment: prod", "environment: prod\n        after: [prod]",
         "routes.churn.stages: stages wait for each other through `after`: prod → prod"),
        ("environment: test", "environment: test\n        after: [prod]",
         "routes.churn.stages: stages wait for each other through `after`: test → prod → test"),
        ("environment: prod", "environment: test",
         f"{SECOND}: {STAGE} is also named 'test'; change one `name`"),
        ("churn-eu", "fraud", "routes.churn.from_jobs.model: 'fraud' is not one of this route's models (churn-*)"),
    ],
)  # fmt: skip
def test_a_name_that_leads_nowhere(old: str, new: str, fault: str, faults_of: FaultsOf) -> None:
    assert faults_of(changed((old, new))) == [fault]


def test_the_place_of_one_of_several_jobs_has_its_position(faults_of: FaultsOf) -> None:
    jobs = "[{experiment: a, output: b, model: churn-eu}, {experiment: a, output: b, model: fraud}]"
    text = changed(("{experiment: churn-training, output: model, model: churn-eu}", jobs))
    assert faults_of(text) == ["routes.churn.from_jobs[1].model: 'fraud' is not one of this route's models (churn-*)"]


def test_everything_wrong_is_reported_at_once(faults_of: FaultsOf) -> None:
    text = changed(
        ("contoso-ml", "7"),
        ("${PROD}", "${PRODUCTION}"),
        ("from: dev", "from: dv"),
        ("0.82", "high"),
        ("500ms", "soon"),
        ("environment: prod", "environment: prod\n        after: [tst]"),
        ('"{model}"', "churn"),
        ("{experiment", "{output: other, experiment"),
    )
    assert sorted(faults_of(text)) == [
        "environments.prod.workspace: the setting PRODUCTION is missing; add it to the app's settings",
        "registry: must be text, not the number 7; put it in quotes",
        "routes.churn.from: unknown environment 'dv'; did you mean dev?",
        "routes.churn.from_jobs.output: duplicate key: line 10 and line 10",
        f"{STAGE}.smoke.max_latency: {DURATION_RULE}",
        f"{GATE}.at_least: must be a number, not the text 'high'",
        f"{SECOND}.after[0]: unknown stage 'tst'; did you mean test?",
        f"{SECOND}.endpoint: several models of this route would share this endpoint: add {{model}} to its name",
    ]  # fmt: skip


def test_all_stages_being_faulty_does_not_count_as_no_stage(faults_of: FaultsOf) -> None:
    assert faults_of(changed(('"{model}-test"', "7"), ('"{model}"', "8"))) == [
        f"{STAGE}.endpoint: must be text, not the number 7; put it in quotes",
        f"{SECOND}.endpoint: must be text, not the number 8; put it in quotes",
    ]


def test_the_error_lists_the_file_and_every_fault(tmp_path: Path) -> None:
    path = tmp_path / "promotion.yml"
    path.write_text(changed(("contoso-ml", "7"), ("from: dev", "from: dv")), encoding="utf-8")
    with pytest.raises(ConfigurationFaults) as refused:
        load(path, SETTINGS)
    assert str(refused.value).splitlines() == [
        f"{path} has 2 faults:",
        "  registry: must be text, not the number 7; put it in quotes",
        "  routes.churn.from: unknown environment 'dv'; did you mean dev?",
    ]


def test_without_environments_that_alone_is_reported(faults_of: FaultsOf) -> None:
    text = RIGHT[: RIGHT.index("environments:")] + RIGHT[RIGHT.index("routes:") :]
    assert faults_of(text) == ["environments: is missing"]


MODELS = '    models: ["churn-*"]\n'
SHARED = (MODELS, MODELS + "    share_data: [churn-sample]\n")
JOBS = "    from_jobs: {experiment: churn-training, output: model, model: churn-eu}\n"
FROM_PROD, FROM_REGISTRY = ("from: dev", "from: prod"), ("from: dev", "from: registry")


def test_data_of_a_workspace_that_routes_deploy_to_stays_there(
    faults_of: FaultsOf, configured: Callable[..., Configuration]
) -> None:
    assert configured(changed(SHARED)).routes["churn"].share_data == ("churn-sample@latest",)
    stays = "is used by a stage, so its data stays there; share data from another workspace"
    says = f"routes.churn.share_data: the workspace of prod {stays}"
    assert faults_of(changed(SHARED, FROM_PROD)) == [says]
    same_place = faults_of(changed(SHARED, ('dev: {workspace: "${DEV}"}', 'dev: {workspace: "${PROD}"}')))
    assert same_place == [says.replace("prod is", "dev is")]


def test_nothing_of_the_registry_is_shared_and_it_has_no_jobs(faults_of: FaultsOf) -> None:
    assert faults_of(changed(SHARED, FROM_REGISTRY, (JOBS, ""))) == [
        "routes.churn.share_data: the route is `from: registry`, so its data is there already; remove this"
    ]
    assert faults_of(changed(FROM_REGISTRY)) == [
        "routes.churn.from_jobs: a registry has no jobs; remove this, or name an environment in `from`"
    ]


def test_no_environment_has_the_name_of_the_registry(faults_of: FaultsOf) -> None:
    named = faults_of(changed(("  dev:", "  registry:"), FROM_REGISTRY, (JOBS, "")))
    assert named == ["environments.registry: this name is reserved for the registry; choose another name"]


def test_a_worker_finds_in_its_own_file_which_data_may_leave(tmp_path: Path) -> None:
    file = tmp_path / "promotion.yml"
    file.write_text(changed(SHARED))
    assert shared_data(file, "dev") == {"churn-sample"}
    assert shared_data(file, "test") == shared_data(file, "prod") == frozenset()
    file.write_text(changed(SHARED, FROM_PROD))
    assert shared_data(file, "prod") == frozenset()
